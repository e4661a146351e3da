use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// How far a server's life has come.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Phase {
    /// Connections are accepted.
    Serving,
    /// Connections are being closed.
    Draining,
    /// What is still there is dropped.
    Over,
}

/// Counts the connections of a server, and tells them how far its life has come.
pub(super) struct Tracker {
    places: Arc<Semaphore>,
    max: u32,
    phase: watch::Sender<Phase>,
}

/// A connection's place among those that the server allows.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    phase: watch::Receiver<Phase>,
}

impl Tracker {
    pub(super) fn new(max: u32) -> Self {
        Self { places: Arc::new(Semaphore::new(max as usize)), max, phase: watch::Sender::new(Phase::Serving) }
    }

    /// Waits for a place.
    pub(super) async fn place(&self) -> Place {
        let permit = Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed");
        Place { _permit: permit, phase: self.phase.subscribe() }
    }

    /// Tells all connections.
    pub(super) fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// Ready when every place is free.
    pub(super) async fn all_left(&self) {
        let _ = self.places.acquire_many(self.max).await;
    }
}

impl Place {
    /// Ready when the server's life has come so far.
    pub(super) async fn reached(&mut self, phase: Phase) {
        // A server that was cancelled lets its connections go on.
        if self.phase.wait_for(|reached| *reached >= phase).await.is_err() {
            std::future::pending().await
        }
    }
}
