use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::proto::frame::ProtocolError;

/// Memory that connections share: what all of them together may hold of unfinished messages, of queued output, and of the
/// state of permessage-deflate.
///
/// A connection that needs more than is left is failed with 1013; those that hold no more than before go on. Each can
/// be over by one read. Its clones are the same budget; [`WebSocket::with_budget`](super::WebSocket::with_budget) gives a
/// connection its share.
///
/// ```
/// let budget = sockeye::stream::MemoryBudget::new(256 << 20);
/// assert_eq!((budget.limit(), budget.held()), (256 << 20, 0));
/// ```
#[derive(Clone, Debug)]
pub struct MemoryBudget(Arc<Pot>);

#[derive(Debug)]
struct Pot {
    limit: usize,
    held: AtomicUsize,
}

impl MemoryBudget {
    /// A budget of so many bytes.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Pot { limit, held: AtomicUsize::new(0) }))
    }

    /// How many bytes may be held.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        self.0.held.load(Ordering::Relaxed)
    }

    pub(super) const fn share(self) -> Share {
        Share { budget: self, held: 0 }
    }
}

/// What one connection holds of a budget; dropping it gives it back.
pub(super) struct Share {
    budget: MemoryBudget,
    held: usize,
}

impl Share {
    /// Takes note that the connection holds `bytes` now.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), ProtocolError> {
        let Pot { limit, held } = &*self.budget.0;
        if bytes > self.held {
            let more = bytes - self.held;
            let take = |held: usize| held.checked_add(more).filter(|held| held <= limit);
            if held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
                return Err(ProtocolError::BudgetSpent { limit: *limit });
            }
        } else if bytes < self.held {
            held.fetch_sub(self.held - bytes, Ordering::Relaxed);
        }
        self.held = bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.0.held.fetch_sub(self.held, Ordering::Relaxed);
    }
}
