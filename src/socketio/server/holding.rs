//! When a client is read no more for a while: as its handlers have enough to do, or as it does not fetch its answers.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Context,
};

use crate::{Utf8Bytes, engineio, socketio::packet::Arguments};

/// What an event takes beside its bytes.
const OVERHEAD: usize = 200;
/// What one that is handled beside others takes beside that: its task, and what the handler keeps.
const TASK: usize = 800;

/// An event that has come, until it is handled.
pub(super) struct Arrived {
    /// The id of the acknowledgement that the client waits for.
    pub(super) id: Option<u64>,
    pub(super) name: Utf8Bytes,
    pub(super) arguments: Arguments,
}

/// What a client has asked for and not got: events that wait for their handlers, or are handled beside others, and answers
/// that it has not fetched.
pub(super) struct Waiting {
    /// How many bytes of events wait.
    pub(super) queued: usize,
    /// How many are handled beside others; there once something was.
    beside: Option<Arc<AtomicUsize>>,
    limit: usize,
    /// There while it has to fetch some first.
    unfetched: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// An event that is handled beside others, until it is.
pub(super) struct Beside {
    all: Arc<AtomicUsize>,
    cost: usize,
    engine: engineio::Sender,
}

impl Waiting {
    pub(super) const fn new(limit: usize) -> Self {
        Self { queued: 0, beside: None, limit, unfetched: None }
    }

    /// Whether no more is to be read from the client.
    pub(super) fn is_too_much(&self) -> bool {
        self.is_unfetched()
            || self.queued + self.beside.as_ref().map_or(0, |all| all.load(Ordering::Acquire)) > self.limit
    }

    /// Whether none of its events is to be handled, as it has to fetch answers first.
    pub(super) const fn is_unfetched(&self) -> bool {
        self.unfetched.is_some()
    }

    pub(super) fn begin_beside(&mut self, cost: usize, engine: &engineio::Sender) -> Beside {
        let (cost, all) = (cost + TASK, Arc::clone(self.beside.get_or_insert_default()));
        all.fetch_add(cost, Ordering::AcqRel);
        Beside { all, cost, engine: engine.clone() }
    }

    /// An event was handled, which may have been answered at length.
    pub(super) fn handled(&mut self, engine: &engineio::Sender) {
        if self.is_unfetched() || !engine.is_worth_a_look() {
            return;
        }
        let limit = engine.max_unfetched();
        if engine.queued() > limit {
            let engine = engine.clone();
            self.unfetched = Some(Box::pin(async move {
                // How the session has ended is seen by who receives.
                let _ = engine.drained(limit).await;
            }));
        }
    }

    /// Writes what the client takes of its answers; whether it has taken enough now, or its session has ended.
    pub(super) fn poll_fetched(&mut self, cx: &mut Context<'_>) -> bool {
        let is_fetched = self.unfetched.as_mut().is_some_and(|unfetched| unfetched.as_mut().poll(cx).is_ready());
        if is_fetched {
            self.unfetched = None;
        }
        is_fetched
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.all.fetch_sub(self.cost, Ordering::AcqRel);
        // It may have waited for this; whether it has, it knows by itself.
        self.engine.wake();
    }
}

impl Arrived {
    /// What it takes while it waits. Its name may be a copy.
    pub(super) fn cost(&self) -> usize {
        self.arguments.held() + self.name.len() + OVERHEAD
    }
}
