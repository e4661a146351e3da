use std::{sync::Arc, time::Duration};

use tokio::{net::TcpStream, sync::Semaphore};

use super::{
    request::{after, respond},
    tracker::Full,
};
use crate::proto::handshake::Response;

/// How many clients that find no place are being told so at once. More are closed without a word, as those who are told may
/// take their time, and the next client may find a place.
const MAX_AT_ONCE: usize = 128;

/// Tells clients that find no place so, without reading what they want.
pub(super) struct Door {
    permits: Arc<Semaphore>,
    linger: Duration,
}

impl Door {
    pub(super) fn new(linger: Duration) -> Self {
        Self { permits: Arc::new(Semaphore::new(MAX_AT_ONCE)), linger }
    }

    /// Has a task answer a client.
    pub(super) fn turn_away(&self, mut tcp: TcpStream, full: Full) {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else { return };
        let until = after(self.linger);
        tokio::spawn(async move {
            // A client that is gone needs no answer.
            let _ = respond(&mut tcp, &answer(full), until).await;
            drop(permit);
        });
    }
}

fn answer(full: Full) -> Response {
    match full {
        Full::Server(max) => Response::plain(503, &format!("the server has {max} connections, which is its limit")),
        Full::Address(max) => {
            Response::plain(429, &format!("there are {max} connections from this address, which is the limit"))
        }
    }
}
