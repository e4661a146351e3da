//! What a served handler sends between two reads, gathered on its thread, so that no message takes the connection's
//! lock.
//!
//! While [`serve_connection`](super::serve_connection) polls a handler, the thread has a cork for its connection. The
//! receiver arms it when it has got bytes, as far as messages may be sent then; a `WebSocket` that was not split puts
//! its frames there; and whoever takes the lock on this thread finds them merged into the queue, in their order.
//! At the end of the poll they are merged and written in any case.

use std::cell::RefCell;

use super::buffers;
use crate::proto::{
    connection::{Message, SHARE_FROM},
    frame::Header,
};

/// Frames of the connection that this thread serves at the moment.
#[derive(Default)]
pub(super) struct Cork {
    /// Where the connection's shared part is; 0 for none.
    connection: usize,
    /// Which of the connection's merges will take the frames; `None` while none may be put here.
    merge: Option<u64>,
    frames: Vec<u8>,
}

thread_local! {
    static CORK: RefCell<Cork> = const { RefCell::new(Cork { connection: 0, merge: None, frames: Vec::new() }) };
}

/// Begins to serve a connection; returns what the thread had before, for [`end`].
pub(super) fn begin(connection: usize) -> Cork {
    let cork = Cork { connection, ..Cork::default() };
    CORK.try_with(|current| current.replace(cork)).unwrap_or_default()
}

/// Stops serving a connection, whose frames were taken out before.
pub(super) fn end(outer: Cork) {
    let ended = CORK.try_with(|current| current.replace(outer)).unwrap_or_default();
    debug_assert!(ended.frames.is_empty());
}

/// Whether this thread serves the connection at the moment.
pub(super) fn is_here(connection: usize) -> bool {
    CORK.try_with(|cork| cork.borrow().connection == connection).unwrap_or_default()
}

/// Lets frames be put here, if this thread serves the connection.
pub(super) fn arm(connection: usize, merge: u64) {
    let _ = CORK.try_with(|cork| {
        let mut cork = cork.borrow_mut();
        if cork.connection == connection {
            cork.merge = Some(merge);
        }
    });
}

/// Puts a message here, if that may be; says which merge will take it.
#[inline]
pub(super) fn put(connection: usize, message: &Message, limit: usize) -> Option<u64> {
    CORK.try_with(|cork| {
        let mut cork = cork.borrow_mut();
        let merge = cork.merge.filter(|_| cork.connection == connection)?;
        let payload = message.payload();
        if payload.len() >= SHARE_FROM || cork.frames.len() >= limit {
            return None;
        }
        if cork.frames.capacity() == 0 {
            cork.frames = buffers::take_output();
        }
        Header::of_message(message.kind().opcode(), payload.len()).encode(&mut cork.frames);
        cork.frames.extend_from_slice(payload);
        Some(merge)
    })
    .ok()
    .flatten()
}

/// Takes the connection's frames out, if there are any; no more are put here until it is armed again.
pub(super) fn take(connection: usize) -> Option<Vec<u8>> {
    CORK.try_with(|cork| {
        let mut cork = cork.borrow_mut();
        if cork.connection != connection {
            return None;
        }
        cork.merge = None;
        (!cork.frames.is_empty()).then(|| std::mem::take(&mut cork.frames))
    })
    .ok()
    .flatten()
}
