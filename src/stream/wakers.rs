use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Wake, Waker},
};

/// All tasks that wait for one connection, behind one waker.
///
/// A transport remembers one waker a direction. Where the receiver and several senders wait, each would steal the
/// other's place; so once anybody has had to wait for a write, the transport is given this one.
#[derive(Debug, Default)]
pub(super) struct Wakers(Mutex<Vec<Waker>>);

impl Wakers {
    pub(super) fn register(&self, waker: &Waker) {
        // One that wakes all of these is no other.
        if std::ptr::eq(waker.data().cast(), self) {
            return;
        }
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }

    pub(super) fn wake_all(&self) {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}
