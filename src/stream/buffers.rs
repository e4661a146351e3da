//! The buffers of a worker thread, which its connections borrow while they have bytes: an idle connection owns none.

use std::cell::Cell;

use crate::proto::connection::Inbox;

/// A larger write buffer is given back to the allocator after its burst.
const MAX_KEPT: usize = 256 * 1024;

thread_local! {
    static INBOX: Cell<Option<Box<Inbox>>> = const { Cell::new(None) };
    static OUTPUT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Borrows the thread's inbox, which is empty.
pub(super) fn take_inbox() -> Box<Inbox> {
    INBOX.try_with(Cell::take).ok().flatten().unwrap_or_default()
}

/// Gives an empty inbox back.
pub(super) fn give_inbox(inbox: Box<Inbox>) {
    debug_assert!(inbox.is_empty());
    if inbox.capacity() == Inbox::DEFAULT_CAPACITY {
        // A thread that ends has no use for it.
        let _ = INBOX.try_with(|kept| kept.set(Some(inbox)));
    }
}

/// Borrows the thread's write buffer, which is empty.
pub(super) fn take_output() -> Vec<u8> {
    OUTPUT.try_with(Cell::take).unwrap_or_default()
}

/// Gives a write buffer back.
pub(super) fn give_output(mut buffer: Vec<u8>) {
    if buffer.capacity() <= MAX_KEPT {
        buffer.clear();
        let _ = OUTPUT.try_with(|kept| kept.set(buffer));
    }
}
