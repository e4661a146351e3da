//! Events that wait for a client that is slow.

use super::{Emit, EmitError, Socket, emit::Event};
use crate::{engineio::CloseReason, socketio::ToArguments};

/// Why an event was not sent to a client that was waited for.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum EmitAsyncError {
    /// The caller's fault.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// The client has gone.
    #[error("the client has gone")]
    Disconnected,
}

/// What an event's digits and offset take at most beside its names and arguments, and more than an attachment does.
const OVERHEAD: usize = 256;

impl Socket {
    /// As [`emit`](Self::emit), but waits until less than [`max_queued`](crate::engineio::Config::max_queued) bytes wait for
    /// the client, this event among them: so a fast producer neither ends a slow client's session nor fills its memory.
    /// Those who wait have their turn in order.
    ///
    /// A handler that waits holds up the next event of its socket.
    ///
    /// ```
    /// # use sockeye::socketio::{EmitAsyncError, Socket};
    /// # async fn example(socket: Socket) -> Result<(), EmitAsyncError> {
    /// for page in 0..1_000_000 {
    ///     socket.emit_async("page", (page, "x".repeat(10_000))).await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitAsyncError`], and nothing was sent.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, nothing was sent, and it is the next one's turn.
    pub async fn emit_async(&self, event: &str, arguments: impl ToArguments) -> Result<(), EmitAsyncError> {
        Emit::new(self).emit_async(event, arguments).await
    }

    /// Waits until at most so many bytes are [`queued`](Self::queued) for the client: for those who would rather make no
    /// event than have it wait, or be dropped.
    ///
    /// # Errors
    ///
    /// How the client's session has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn drained(&self, bytes: usize) -> Result<(), CloseReason> {
        self.shared.engine.drained(bytes).await
    }

    /// How many events, in all namespaces of the client, were dropped as [`SlowClient::Drop`](crate::engineio::SlowClient)
    /// wants it. Volatile ones do not count.
    pub fn dropped(&self) -> u64 {
        self.shared.engine.dropped()
    }
}

impl Emit {
    /// Sends an event when there is room for it; see [`Socket::emit_async`]. One that is volatile does not wait.
    ///
    /// # Errors
    ///
    /// As for [`Socket::emit_async`].
    ///
    /// # Cancel safety
    ///
    /// As for [`Socket::emit_async`].
    pub async fn emit_async(&self, event: &str, arguments: impl ToArguments) -> Result<(), EmitAsyncError> {
        let (socket, volatile, compress) = self.parts();
        let namespace = socket.namespace();
        let event = Event::new(namespace, event, arguments)?;
        let engine = &socket.shared.engine;
        let names = namespace.name().len() + 6 * event.name.len();
        let bytes = names + event.arguments.len() + OVERHEAD * (1 + event.arguments.attachments().len());
        let _turn = match volatile {
            true => None,
            false => Some(engine.room(bytes).await.map_err(|_| EmitAsyncError::Disconnected)?),
        };
        if !socket.is_reachable() {
            return Err(EmitAsyncError::Disconnected);
        }
        event.send(socket, volatile, compress);
        Ok(())
    }
}
