use std::future::poll_fn;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Receiver;
use crate::{
    Error, Transport,
    proto::connection::{Chunk, Delivery, Event, Kind, MAX_CHUNK},
};

/// A message that is read chunk by chunk: see [`Receiver::recv_reader`].
pub struct MessageReader<'a, S: AsyncRead + AsyncWrite + Unpin = Transport> {
    receiver: &'a mut Receiver<S>,
    kind: Kind,
    /// What came with the beginning: more than a chunk, if a `recv` was cancelled inside the message.
    first: Bytes,
    complete: bool,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> MessageReader<'a, S> {
    pub(super) fn new(receiver: &'a mut Receiver<S>, first: Chunk) -> Self {
        Self { receiver, kind: first.kind, first: first.bytes, complete: first.fin }
    }

    /// Whether the message is text or binary. Text is checked, but a chunk may end inside a character.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The next chunk, of at most 64 KiB; `None` behind the message's end.
    ///
    /// # Errors
    ///
    /// How the connection ended, if it did before the message.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing that arrived is lost.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if !self.first.is_empty() {
            return Ok(Some(self.first.split_to(self.first.len().min(MAX_CHUNK))));
        }
        while !self.complete {
            match poll_fn(|cx| self.receiver.poll_event(cx, Delivery::Chunks)).await? {
                Some(Event::Chunk(chunk)) => {
                    self.complete = chunk.fin;
                    if !chunk.bytes.is_empty() {
                        return Ok(Some(chunk.bytes));
                    }
                }
                Some(_) => {}
                // The peer closed in the middle of its message.
                None => {
                    self.complete = true;
                    return Err(Error::Lost);
                }
            }
        }
        Ok(None)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Drop for MessageReader<'_, S> {
    fn drop(&mut self) {
        if let Some(state) = &mut self.receiver.state
            && !self.complete
        {
            state.half.skip_message();
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> std::fmt::Debug for MessageReader<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MessageReader").field("kind", &self.kind).finish_non_exhaustive()
    }
}
