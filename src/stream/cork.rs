//! What a served handler sends between two reads, gathered on its thread, so that no message takes the connection's
//! lock.
//!
//! While [`serve_connection`](super::serve_connection) polls a handler, the thread has a cork for its connection. The
//! receiver arms it when it has got bytes, as far as messages may be sent then; a `WebSocket` that was not split puts
//! its frames there; and whoever takes the lock on this thread finds them merged into the queue, in their order.
//! At the end of the poll they are merged and written in any case. Other threads see under the lock that a cork is
//! armed, and wait.

use std::cell::RefCell;

use super::buffers;
use crate::proto::{
    connection::{Message, SHARE_FROM},
    frame::Header,
};

/// Frames of a connection that this thread serves at the moment.
#[derive(Default)]
struct Cork {
    /// Where the connection's shared part is; 0 for none.
    connection: usize,
    /// Up to how many bytes are taken; 0 while it is not armed.
    room: usize,
    frames: Vec<u8>,
}

struct Corks {
    /// The one whose handler is polled.
    current: Cork,
    /// Those whose handlers have begun to serve another connection inside their own poll, the outermost first.
    outer: Vec<Cork>,
}

thread_local! {
    static CORKS: RefCell<Corks> = const {
        RefCell::new(Corks { current: Cork { connection: 0, room: 0, frames: Vec::new() }, outer: Vec::new() })
    };
}

/// Runs on the thread's corks; not at all while the thread ends.
#[inline]
fn with<R: Default>(run: impl FnOnce(&mut Corks) -> R) -> R {
    CORKS.try_with(|corks| run(&mut corks.borrow_mut())).unwrap_or_default()
}

/// Begins to serve a connection, until [`end`].
pub(super) fn begin(connection: usize) {
    with(|corks| {
        let outer = std::mem::replace(&mut corks.current, Cork { connection, ..Cork::default() });
        if outer.connection != 0 {
            corks.outer.push(outer);
        }
    });
}

/// Stops serving the connection that was begun last; its frames were taken out before.
pub(super) fn end() {
    with(|corks| {
        debug_assert!(corks.current.frames.is_empty());
        corks.current = corks.outer.pop().unwrap_or_default();
    });
}

/// Lets `room` bytes of frames be put here, if the connection's handler is the one that this thread polls.
pub(super) fn arm(connection: usize, room: usize) -> bool {
    with(|corks| {
        let is_current = corks.current.connection == connection;
        if is_current {
            corks.current.room = room;
        }
        is_current
    })
}

/// Puts a message here, if that may be.
#[inline]
pub(super) fn put(connection: usize, message: &Message) -> bool {
    with(|corks| {
        let cork = &mut corks.current;
        let payload = message.payload();
        if cork.connection != connection || cork.frames.len() >= cork.room || payload.len() >= SHARE_FROM {
            return false;
        }
        if cork.frames.capacity() == 0 {
            cork.frames = buffers::take_output();
        }
        Header::of_message(message.kind().opcode(), payload.len()).encode(&mut cork.frames);
        cork.frames.extend_from_slice(payload);
        true
    })
}

/// Takes the connection's frames out, and lets no more be put here until it is armed again; `None` if this thread does
/// not serve it.
#[inline]
pub(super) fn take(connection: usize) -> Option<Vec<u8>> {
    with(|corks| if corks.outer.is_empty() { corks.current.take(connection) } else { corks.take(connection) })
}

impl Cork {
    #[inline]
    fn take(&mut self, connection: usize) -> Option<Vec<u8>> {
        if self.connection != connection {
            return None;
        }
        self.room = 0;
        Some(std::mem::take(&mut self.frames))
    }
}

impl Corks {
    /// A connection may be served by a handler that is served itself.
    #[cold]
    fn take(&mut self, connection: usize) -> Option<Vec<u8>> {
        let corks = self.outer.iter_mut().chain([&mut self.current]);
        corks.filter_map(|cork| cork.take(connection)).reduce(|mut earlier, frames| {
            earlier.extend_from_slice(&frames);
            earlier
        })
    }
}
