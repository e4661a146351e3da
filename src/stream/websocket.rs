use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_core::Stream;
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    MemoryBudget, MessageReader, MessageWriter, Metrics, Receiver, Recv, Send, Sender,
    receiver::ReceiverState,
    shared::{Core, Shared},
};
use crate::{
    Error, Transport,
    proto::{
        Utf8Bytes,
        connection::{Compress, Connection, Delivery, End, Event, Inbox, Kind, Message, PreparedMessage},
        frame::CloseCode,
    },
};

/// A WebSocket connection over any [`AsyncRead`] + [`AsyncWrite`] ([`Transport`] by default).
///
/// Control frames need no care: Pings and Closes are answered by whichever call is polled. It takes turns between
/// receiving and sending; [`split`](Self::split) gives halves for different tasks.
///
/// ```
/// # use sockeye::{Error, WebSocket};
/// async fn echo(mut ws: WebSocket) -> Result<(), Error> {
///     while let Some(message) = ws.recv().await? {
///         ws.send(message).await?;
///     }
///     Ok(())
/// }
/// ```
///
/// Dropping it drops the transport, which the peer sees as an abnormal end (1006): [`close`](Self::close) it.
pub struct WebSocket<S = Transport> {
    receiver: Receiver<S>,
    sender: Sender<S>,
    subprotocol: Option<Box<str>>,
}

/// What a [`WebSocket`] consists of: no byte is lost between the transport and the caller.
#[derive(Debug)]
#[non_exhaustive]
pub struct Parts<S> {
    /// The transport; `None` if the connection has ended.
    pub io: Option<S>,
    /// The protocol's state, with what has been taken in of an unfinished message and what is not yet written.
    pub connection: Connection,
    /// Bytes that were read and belong to nothing yet.
    pub inbox: Inbox,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Puts a connection on a transport: behind a handshake that was made elsewhere, or from [`Parts`].
    ///
    /// `inbox` holds the bytes that were read behind the handshake.
    pub fn new(io: S, connection: Connection, inbox: Inbox) -> Self {
        let (receive, send) = connection.into_halves();
        let shared = Arc::new(Shared::new(Core::new(io, send)));
        let state = Some(Box::new(ReceiverState::new(receive, inbox)));
        Self {
            receiver: Receiver { shared: Arc::clone(&shared), state },
            sender: Sender::sole(shared),
            subprotocol: None,
        }
    }

    /// Sets what [`subprotocol`](Self::subprotocol) says.
    #[must_use]
    pub fn with_subprotocol(mut self, subprotocol: Option<&str>) -> Self {
        self.subprotocol = subprotocol.map(Into::into);
        self
    }

    /// Gives it its share in memory that several connections may hold together.
    #[must_use]
    pub fn with_budget(self, budget: &MemoryBudget) -> Self {
        self.sender.shared.lock().set_budget(budget.clone());
        self
    }

    /// Has what it does counted; it is open from now on.
    #[must_use]
    pub fn with_metrics(self, metrics: Arc<dyn Metrics>) -> Self {
        self.sender.shared.lock().set_metrics(metrics);
        self
    }

    /// The subprotocol that was agreed to.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Receives the next message; `None` once both ends have closed.
    ///
    /// Pings and Closes are answered on the way, and everything that is queued is written before it waits.
    ///
    /// # Errors
    ///
    /// How the connection ended, if not cleanly; told once, and [`Error::Closed`] after that.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing that arrived is lost.
    #[inline]
    pub fn recv(&mut self) -> Recv<'_, S> {
        Recv::new(&mut self.receiver)
    }

    /// Receives the next event, control frames among them: they are answered already.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing that arrived is lost.
    pub async fn recv_event(&mut self) -> Result<Option<Event>, Error> {
        self.receiver.recv_event().await
    }

    /// Waits for the next message and reads it chunk by chunk: see [`Receiver::recv_reader`].
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing that arrived is lost.
    pub async fn recv_reader(&mut self) -> Result<Option<MessageReader<'_, S>>, Error> {
        self.receiver.recv_reader().await
    }

    /// Sends a message, and waits until the transport has taken it.
    ///
    /// Inside a handler of `serve`, it waits only if [`max_queued`](crate::Limits::max_queued) bytes are queued: everything
    /// is written as soon as the handler waits for anything. Nor does it wait for a peer that does not read under a
    /// [`SlowReader`](crate::SlowReader) policy that drops messages or closes.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if the connection is closing, or how it failed.
    ///
    /// # Cancel safety
    ///
    /// Whole or not at all: cancelled while it waits its turn, nothing is sent; cancelled while the transport is
    /// slow, the message is queued whole, and the next call goes on writing it.
    #[inline]
    pub fn send(&mut self, message: impl Into<Message>) -> Send<'_, S> {
        self.sender.send(message)
    }

    /// Like [`send`](Self::send), with a say in the message's compression.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// As for [`send`](Self::send).
    pub fn send_with(&mut self, message: impl Into<Message>, compress: Compress) -> Send<'_, S> {
        self.sender.send_with(message, compress)
    }

    /// Queues a message without writing it; it leaves with the next [`flush`](Self::flush) or [`send`](Self::send), or
    /// when [`recv`](Self::recv) has to wait.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a message that was not queued yet is not sent.
    pub fn feed(&mut self, message: impl Into<Message>) -> Send<'_, S> {
        self.sender.feed(message)
    }

    /// Sends a message that others send as well: it is compressed once for all that compress alike.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// As for [`send`](Self::send).
    pub async fn send_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        self.sender.send_prepared(message).await
    }

    /// Writes everything that is queued.
    ///
    /// # Errors
    ///
    /// How the transport failed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn flush(&mut self) -> Result<(), Error> {
        self.sender.flush().await
    }

    /// Sends a Ping with at most 125 bytes; [`recv_event`](Self::recv_event) shows the Pong.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the payload is too long; else as for [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// As for [`send`](Self::send).
    pub async fn ping(&mut self, payload: impl Into<Bytes>) -> Result<(), Error> {
        self.sender.ping(payload).await
    }

    /// Sends a Pong that nobody asked for: see [`Sender::pong`].
    ///
    /// # Errors
    ///
    /// As for [`ping`](Self::ping).
    ///
    /// # Cancel safety
    ///
    /// As for [`send`](Self::send).
    pub async fn pong(&mut self, payload: impl Into<Bytes>) -> Result<(), Error> {
        self.sender.pong(payload).await
    }

    /// Begins a message that is sent in parts: see [`MessageWriter`].
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is sent before the first part.
    pub async fn begin(&mut self, kind: Kind) -> Result<MessageWriter<'_, S>, Error> {
        self.sender.begin(kind).await
    }

    /// Sends one message from a stream of parts: see [`Sender::send_stream`].
    ///
    /// # Errors
    ///
    /// As for [`Sender::send_stream`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe behind the first part: see [`Sender::send_stream`].
    pub async fn send_stream(&mut self, kind: Kind, parts: impl Stream<Item = Bytes>) -> Result<(), Error> {
        self.sender.send_stream(kind, parts).await
    }

    /// Closes the connection: sends a Close, waits for the peer's (for `close_timeout` at most, 10 s by default), and
    /// for the transport's end. Messages that still come are discarded. Closing twice is harmless.
    ///
    /// A reason over 123 bytes is cut at the last character that fits.
    ///
    /// # Errors
    ///
    /// How the connection ended, if not cleanly: [`Error::TimedOut`] if the peer did not answer in time.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: once it has been polled the Close is queued, and calling it again, or [`recv`](Self::recv), goes on
    /// waiting.
    pub async fn close(&mut self, code: CloseCode, reason: impl Into<Utf8Bytes>) -> Result<(), Error> {
        self.sender.start_close(code, reason);
        poll_fn(|cx| self.poll_end(cx)).await
    }

    /// How the connection ended, once it has: who closed it, and with what code and reason.
    pub fn end(&self) -> Option<End> {
        self.sender.end()
    }

    /// The round trip of the last keepalive Ping that was answered.
    pub fn rtt(&self) -> Option<Duration> {
        self.sender.shared.lock().send.rtt()
    }

    /// Whether permessage-deflate was agreed to.
    pub fn is_compressed(&self) -> bool {
        self.sender.shared.lock().send.can_compress()
    }

    /// How many bytes are queued that the transport has not taken, with 64 for each message that waits unencoded. What
    /// the operating system holds is not known.
    pub fn queued(&self) -> usize {
        self.sender.queued()
    }

    /// Waits until at most so many bytes are queued: see [`Sender::drained`].
    ///
    /// # Errors
    ///
    /// As for [`flush`](Self::flush).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn drained(&mut self, bytes: usize) -> Result<(), Error> {
        self.sender.drained(bytes).await
    }

    /// How many messages were dropped as the [`SlowReader`](crate::SlowReader) policy wants it.
    pub fn dropped(&self) -> u64 {
        self.sender.dropped()
    }

    /// How many bytes are held for this connection: see [`Connection::retained`].
    pub fn retained(&self) -> usize {
        let received = self.receiver.state.as_ref().map_or(0, |state| state.half.retained());
        received + self.sender.shared.lock().send.retained()
    }

    /// Splits it into halves for different tasks. Whichever is polled sees to Pongs, Closes and what is queued.
    pub fn split(self) -> (Sender<S>, Receiver<S>) {
        (self.sender.shared_with_others(), self.receiver)
    }

    /// Takes it apart without losing a byte.
    ///
    /// # Errors
    ///
    /// Gives it back if the task that serves it has a share in it.
    pub fn into_parts(self) -> Result<Parts<S>, Self> {
        let Self { mut receiver, sender, subprotocol } = self;
        if Arc::strong_count(&sender.shared) > 2 {
            return Err(Self { receiver, sender, subprotocol });
        }
        let state = receiver.state.take().expect("the state is there until the receiver is dropped");
        drop(receiver);
        let Ok(shared) = Arc::try_unwrap(sender.shared).map(Shared::into_core) else {
            unreachable!("nobody else has a share");
        };
        let ReceiverState { half, inbox, .. } = *state;
        let connection = Connection::from_halves(half, shared.send);
        Ok(Parts { io: shared.io, connection, inbox: inbox.map_or_else(Inbox::new, |inbox| *inbox) })
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while ready!(self.receiver.poll_event(cx, Delivery::Discard))?.is_some() {}
        Poll::Ready(Ok(()))
    }
}

impl<S> WebSocket<S> {
    /// Has it wait for the peer's end in any case, as a stream of HTTP/2 that is dropped before is reset, and a reset may
    /// overtake a Close.
    #[cfg(feature = "hyper")]
    pub(crate) fn awaiting_end(self) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.sender.shared.lock().await_end();
        self
    }

    /// A share for the task that serves the connection.
    pub(crate) fn sender(&self) -> Sender<S> {
        self.sender.clone()
    }
}

impl WebSocket {
    /// The other end of the TCP connection: [`Transport::peer_addr`]; `None` also once the connection has ended.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.sender.shared.lock().io.as_ref().and_then(Transport::peer_addr)
    }
}

impl<S> std::fmt::Debug for WebSocket<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSocket").field("subprotocol", &self.subprotocol).finish_non_exhaustive()
    }
}

/// The messages; ends behind the first error.
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for WebSocket<S> {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.receiver).poll_next(cx)
    }
}

/// `poll_close` closes with 1000 and waits for the peer.
impl<S: AsyncRead + AsyncWrite + Unpin> Sink<Message> for WebSocket<S> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.sender).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        Pin::new(&mut self.sender).start_send(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.sender).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.sender.start_close(CloseCode::NORMAL, "");
        self.poll_end(cx)
    }
}
