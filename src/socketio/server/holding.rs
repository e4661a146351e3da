//! When a client is read no more for a while: as its handlers have enough to do, or as it does not fetch its answers.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use super::Event;
use crate::engineio;

/// What an event takes beside its bytes.
const OVERHEAD: usize = 200;
/// How many bytes may be queued for a client that sends: it is to fetch its answers before it is asked for more. Less than
/// any limit by which a client that reads would be ended for a burst.
const MAX_UNFETCHED: usize = 1 << 20;
/// After how many packets of a client it is looked whether it fetches its answers: each look takes two locks.
pub(super) const LOOK_AFTER: usize = 8;

/// How many bytes of events wait for their handlers, or are handled beside others.
pub(super) struct Waiting {
    pub(super) queued: usize,
    /// There once something was.
    beside: Option<Arc<AtomicUsize>>,
    limit: usize,
}

/// An event that is handled beside others, until it is.
pub(super) struct Beside {
    all: Arc<AtomicUsize>,
    cost: usize,
    engine: engineio::Sender,
}

impl Waiting {
    pub(super) const fn new(limit: usize) -> Self {
        Self { queued: 0, beside: None, limit }
    }

    /// Whether no more is to be read from the client.
    pub(super) fn is_too_much(&self) -> bool {
        self.queued + self.beside.as_ref().map_or(0, |beside| beside.load(Ordering::Acquire)) > self.limit
    }

    pub(super) fn begin_beside(&mut self, cost: usize, engine: &engineio::Sender) -> Beside {
        let all = Arc::clone(self.beside.get_or_insert_default());
        all.fetch_add(cost, Ordering::AcqRel);
        Beside { all, cost, engine: engine.clone() }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.all.fetch_sub(self.cost, Ordering::AcqRel);
        // It may have waited for this; whether it has, it knows by itself.
        self.engine.wake();
    }
}

/// What an event takes while it waits. Its name may be a copy.
pub(super) fn cost(event: &Event) -> usize {
    event.arguments.held() + event.name.len() + OVERHEAD
}

/// A client that has asked for more than it fetches.
pub(super) struct Unfetched(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Unfetched {
    /// There if so much is queued for it.
    pub(super) fn of(engine: &engineio::Sender) -> Option<Self> {
        let limit = MAX_UNFETCHED.min(engine.max_queued() / 4);
        (engine.queued() > limit).then(|| {
            let engine = engine.clone();
            // How the session has ended is seen by who receives.
            Self(Box::pin(async move {
                let _ = engine.drained(limit).await;
            }))
        })
    }

    /// Writes what the client takes; ready when it has taken enough, or its session has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}
