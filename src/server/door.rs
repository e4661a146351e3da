use std::sync::Arc;

use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};

use super::{
    answer::{Answered, Unopened, answer},
    log,
    tracker::Full,
};
use crate::{Error, Transport, proto::handshake::Response, stream::Metrics};

/// How many clients are seen off at once. More are closed at once: without a word if they found no place, and perhaps with a
/// reset behind their answer if they had one, as those who are seen off may take their time.
const MAX_AT_ONCE: usize = 128;

/// Where clients leave who have no connection: they have no place among the connections.
pub(super) struct Door {
    permits: Arc<Semaphore>,
    shut: Notify,
    metrics: Option<Arc<dyn Metrics>>,
}

impl Door {
    pub(super) fn new(metrics: Option<Arc<dyn Metrics>>) -> Self {
        Self { permits: Arc::new(Semaphore::new(MAX_AT_ONCE)), shut: Notify::new(), metrics }
    }

    /// Has a task answer a client, once there is something to answer it over.
    pub(super) fn turn_away(
        self: &Arc<Self>,
        io: impl Future<Output = Result<Transport, Error>> + Send + 'static,
        full: Full,
        until: Instant,
    ) {
        self.count(full.status());
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else { return };
        let door = Arc::clone(self);
        tokio::spawn(async move {
            // A client that is gone needs no answer.
            if let Ok(io) = io.await
                && let Ok(answered) = answer(io, &response(full), "", until).await
            {
                door.linger(answered).await;
            }
            drop(permit);
        });
    }

    /// Waits, if there is room, until a client has ended that came to nothing, so that its answer reaches it.
    pub(super) async fn see_off(&self, unopened: Unopened<Transport>) {
        if let Some(error) = &unopened.error {
            log::failed("handshake", error);
        }
        if let Some(answered) = &unopened.answered {
            self.count(answered.status);
        }
        if let Some(answered) = unopened.answered
            && let Ok(_permit) = self.permits.try_acquire()
        {
            self.linger(answered).await;
        }
    }

    /// Is ready when nobody is left.
    pub(super) async fn drain(&self) {
        let _ = self.permits.acquire_many(MAX_AT_ONCE as u32).await;
    }

    /// Drops those who are still there.
    pub(super) fn shut(&self) {
        self.shut.notify_waiters();
    }

    fn count(&self, status: u16) {
        if let Some(metrics) = &self.metrics {
            metrics.answered(status);
        }
    }

    async fn linger(&self, answered: Answered<Transport>) {
        tokio::select! {
            () = answered.linger() => {}
            () = self.shut.notified() => {}
        }
    }
}

fn response(full: Full) -> Response {
    match full {
        Full::Server(max) => {
            Response::plain(full.status(), &format!("the server has {max} connections, which is its limit"))
        }
        Full::Address(max) => Response::plain(
            full.status(),
            &format!("there are {max} connections from this address, which is the limit"),
        ),
    }
}
