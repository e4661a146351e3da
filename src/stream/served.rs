use std::{
    pin::Pin,
    sync::MutexGuard,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Sender, WebSocket, cork,
    shared::{Core, Shared},
};
use crate::CloseCode;

/// Runs a handler on a connection, and writes what it sent whenever it waits: so all replies to one read leave in one
/// write, and nothing is held back while the handler awaits something else.
///
/// When the handler has dropped the connection without closing it, it is closed with 1000.
/// [`Server::serve`](crate::Server::serve) runs every handler so; this is for those who accept connections themselves.
///
/// ```
/// # use sockeye::{Error, WebSocket, stream::serve_connection};
/// # async fn example(ws: WebSocket) -> Result<(), Error> {
/// serve_connection(ws, |mut ws| async move {
///     while let Some(message) = ws.recv().await? {
///         ws.send(message).await?;
///     }
///     Ok(())
/// })
/// .await
/// # }
/// ```
///
/// # Cancel safety
///
/// Cancelled, the handler is dropped where it waits, and the connection with it, without a Close.
pub async fn serve_connection<S, H, F>(ws: WebSocket<S>, handler: H) -> F::Output
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: FnOnce(WebSocket<S>) -> F,
    F: Future,
{
    let sender = ws.sender();
    // Boxed, so that the futures around it hold a pointer and not a copy each.
    let mut handler = Box::pin(handler(ws));
    let output = sender.serve(handler.as_mut()).await;
    drop(handler);
    sender.close_if_left(CloseCode::NORMAL).await;
    output
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sender<S> {
    /// Polls a handler of this connection, and writes whenever it waits.
    pub(crate) const fn serve<'a, F: Future>(&'a self, handler: Pin<&'a mut F>) -> Served<'a, S, F> {
        Served { sender: self, handler }
    }

    /// Closes the connection if its receiver was dropped while it was open.
    pub(crate) async fn close_if_left(&self, code: CloseCode) {
        if self.is_left_open() {
            // How it ends is of no interest to a handler that is gone.
            let _ = self.close(code, "").await;
        }
    }
}

/// The thread's turn with a handler, during which it need not write what it sends.
struct Turn<'a, S> {
    shared: &'a Shared<S>,
}

impl<'a, S> Turn<'a, S> {
    fn begin(shared: &'a Shared<S>) -> Self {
        shared.cork();
        cork::begin(shared.id());
        Self { shared }
    }

    /// Ends it, with what was sent in the queue.
    fn end(self) -> MutexGuard<'a, Core<S>> {
        let mut core = self.shared.lock();
        self.shared.uncork(&mut core);
        core
    }
}

impl<S> Drop for Turn<'_, S> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The handler has; what it sent stays in front of what others send.
            self.shared.uncork(&mut self.shared.lock());
        }
        cork::end();
    }
}

/// See [`Sender::serve`].
pub(crate) struct Served<'a, S, F> {
    sender: &'a Sender<S>,
    handler: Pin<&'a mut F>,
}

impl<S: AsyncRead + AsyncWrite + Unpin, F: Future> Future for Served<'_, S, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let sender = self.sender;
        let turn = Turn::begin(&sender.shared);
        let output = self.handler.as_mut().poll(cx);
        if output.is_pending() && sender.shared.is_settled() {
            return output;
        }
        let mut core = turn.end();
        // A transport that is slow wakes this task; one that failed shows in the handler's next call.
        let _ = core.poll_flush(cx);
        let has_parked = core.parked.is_some();
        drop(core);
        if has_parked {
            sender.drive_parked(cx);
        }
        output
    }
}
