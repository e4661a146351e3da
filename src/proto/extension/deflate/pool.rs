//! zlib's states that no connection needs between two messages, kept by the thread for the next message.
//!
//! A deflater's state is 371 KiB with the usual settings, most of which has to be cleared when it is made, and an
//! inflater's 47 KiB.

use std::cell::RefCell;

/// How many states of a kind a thread keeps; each with its settings.
const KEPT: usize = 4;

/// States of one kind, by the settings that they were made with.
pub(super) struct Pool<K, S>(RefCell<Vec<(K, Box<S>)>>);

impl<K: Copy + PartialEq, S> Pool<K, S> {
    pub(super) const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    /// A state with these settings, as it was given back.
    pub(super) fn take(&self, settings: K) -> Option<Box<S>> {
        let mut kept = self.0.borrow_mut();
        let at = kept.iter().rposition(|(other, _)| *other == settings)?;
        Some(kept.swap_remove(at).1)
    }

    /// Keeps a state that was reset, in place of the oldest if there are many.
    pub(super) fn give(&self, settings: K, state: Box<S>) {
        let mut kept = self.0.borrow_mut();
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push((settings, state));
    }
}
