use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Sender, WebSocket};
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

/// See [`Sender::serve`].
pub(crate) struct Served<'a, S, F> {
    sender: &'a Sender<S>,
    handler: Pin<&'a mut F>,
}

impl<S: AsyncRead + AsyncWrite + Unpin, F: Future> Future for Served<'_, S, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.sender.shared.lock().corked = true;
        let output = self.handler.as_mut().poll(cx);
        let mut core = self.sender.shared.lock();
        core.corked = false;
        // A transport that is slow wakes this task; one that failed shows in the handler's next call.
        let _ = core.poll_flush(cx);
        let has_parked = core.parked.is_some();
        drop(core);
        if has_parked {
            self.sender.drive_parked(cx);
        }
        output
    }
}
