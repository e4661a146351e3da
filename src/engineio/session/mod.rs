//! A session: one client, by whatever transports it comes.

mod heartbeat;
mod outbox;
mod polling;
mod probe;
mod shared;
mod slow_client;

use std::{
    fmt,
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::task::coop;

use self::heartbeat::{Beat, Heartbeat};
pub(crate) use self::outbox::Outgoing;
use self::shared::Link;
pub use self::slow_client::SlowClient;
pub(super) use self::{
    probe::close,
    shared::{SLOW_READER, Shared},
};
use super::{CloseReason, Handshake, Packet, Sid, log};
use crate::{
    Compress, Error, Message, Utf8Bytes,
    proto::connection::{End, Initiator},
    stream,
};

/// For how long a session that the server has ended waits for a poll that fetches the rest.
const LINGER: Duration = Duration::from_secs(30);
/// For how long a session that its client has ended is known, for the sake of a poll that the end has overtaken.
const LINGER_BEHIND_CLIENT: Duration = Duration::from_secs(1);

/// A client's session, for the one who receives from it. [`Sender`] is for all who send.
///
/// It asks the client now and then whether it is there, and so has to be polled: by [`recv`](Self::recv). Dropped, the
/// session ends.
pub struct Session {
    shared: Arc<Shared>,
    /// The WebSocket, if there is one.
    socket: Option<stream::Receiver>,
    /// Whether something may have come by POST that is still to be received.
    has_posts: bool,
    heartbeat: Heartbeat,
}

/// Sends into a session; its clones do so as well. Sending never waits: what the client does not fetch is queued, and a
/// session with more than [`max_queued`](super::Config::max_queued) bytes ends, unless [`SlowClient`] says otherwise.
#[derive(Clone)]
pub struct Sender {
    shared: Arc<Shared>,
}

/// By what a session's packets come and go.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TransportKind {
    /// HTTP long-polling.
    Polling,
    /// A WebSocket.
    WebSocket,
}

impl TransportKind {
    /// As requests name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
        }
    }
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Session {
    pub(super) fn new(shared: Arc<Shared>, socket: Option<stream::Receiver>) -> Self {
        let config = &shared.registry.config;
        let heartbeat = Heartbeat::new(config.ping_interval, config.ping_timeout);
        Self { shared, has_posts: socket.is_none(), socket, heartbeat }
    }

    /// A way to send into it.
    pub fn sender(&self) -> Sender {
        Sender { shared: Arc::clone(&self.shared) }
    }

    /// Receives the next message; `None` once the session has ended, for the [`reason`](Sender::reason) that it has then.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing that came is lost.
    pub async fn recv(&mut self) -> Option<Message> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`recv`](Self::recv), for those who write futures by hand.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        loop {
            if self.has_posts
                && self.socket.is_some()
                && let Some(message) = self.take_last_post()
            {
                return Poll::Ready(Some(message));
            }
            let received = match &mut self.socket {
                Some(socket) => Self::poll_socket(socket, &mut self.heartbeat, &self.shared, cx),
                None => self.poll_posts(cx),
            };
            if let Poll::Ready(message) = received {
                return Poll::Ready(message);
            }
            if self.socket.is_none() {
                self.socket = self.shared.lock().polling.take_receiver();
                if self.socket.is_some() {
                    continue;
                }
            }
            match ready!(self.heartbeat.poll(cx)) {
                Beat::Ping => {
                    log::beat(self.shared.id, "asks whether the client is there");
                    let _ = self.shared.send_packet(&Packet::Ping(Utf8Bytes::new()));
                }
                Beat::TimedOut => self.shared.end(CloseReason::PingTimeout),
            }
        }
    }

    fn poll_posts(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        // A body may hold very many messages, and others are to have their turn between them.
        ready!(pin!(coop::consume_budget()).poll(cx));
        let mut state = self.shared.lock();
        state.polling.tell(&mut self.heartbeat);
        if let Some(message) = state.polling.take_message() {
            return Poll::Ready(Some(message));
        }
        if state.end.is_some() {
            return Poll::Ready(None);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// What came by POST before the client went over to its WebSocket is in front of what comes there.
    fn take_last_post(&mut self) -> Option<Message> {
        let mut state = self.shared.lock();
        state.polling.tell(&mut self.heartbeat);
        let message = state.polling.take_message();
        self.has_posts = message.is_some() || state.polling.is_posting;
        message
    }

    fn poll_socket(
        socket: &mut stream::Receiver,
        heartbeat: &mut Heartbeat,
        shared: &Shared,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Message>> {
        loop {
            let Poll::Ready(received) = socket.poll_recv(cx) else {
                let mut state = shared.lock();
                if state.end.is_some() {
                    return Poll::Ready(None);
                }
                if state.queue_later() {
                    // It is written where this is polled.
                    continue;
                }
                state.reader = Some(cx.waker().clone());
                return Poll::Pending;
            };
            let end = match received {
                Ok(Some(message)) => match read(message) {
                    Ok(Packet::Message(message)) => {
                        heartbeat.heard();
                        return Poll::Ready(Some(message));
                    }
                    Ok(Packet::Pong(_)) => {
                        heartbeat.pong();
                        continue;
                    }
                    Ok(Packet::Open(_) | Packet::Upgrade | Packet::Noop) => continue,
                    Ok(Packet::Close) => CloseReason::TransportClose,
                    Ok(Packet::Ping(_)) => CloseReason::TransportError,
                    Err(_) => CloseReason::ParseError,
                },
                Err(Error::Lost | Error::Io(_) | Error::Closed) => CloseReason::TransportClose,
                Ok(None) | Err(_) => why(socket.end()),
            };
            shared.end(end);
            return Poll::Ready(None);
        }
    }

    /// Whether the session has ended, and what came by POST before that may still be received.
    pub(crate) fn has_last_posts(&self) -> bool {
        self.has_posts && self.shared.reason().is_some()
    }

    /// Begins a turn of the task that receives: what is sent during it leaves at its end.
    pub(crate) fn begin_turn(&mut self) {
        // It is written to, though nothing may be received for now.
        if self.socket.is_none() {
            self.socket = self.shared.lock().polling.take_receiver();
        }
        if let Some(socket) = &self.socket {
            socket.begin_turn();
        }
    }

    /// Has this task woken by what others send, and by the end, though nothing is received for now.
    pub(crate) fn wait_for_change(&self, cx: &Context<'_>) {
        {
            let mut state = self.shared.lock();
            state.queue_later();
            state.reader = Some(cx.waker().clone());
        }
        if let Some(socket) = &self.socket {
            socket.wait_for_change(cx);
        }
    }

    /// Ends the turn, and writes what was sent during it.
    pub(crate) fn end_turn(&self, cx: &Context<'_>) {
        if let Some(socket) = &self.socket {
            socket.end_turn(cx);
        }
    }
}

/// The packet in a message of a WebSocket: bytes are a message as they are.
fn read(message: Message) -> Result<Packet, super::PacketError> {
    match message {
        Message::Text(text) => Packet::parse(text),
        binary @ Message::Binary(_) => Ok(Packet::Message(binary)),
    }
}

/// What the end of a WebSocket is to a session that has not ended before it.
fn why(end: Option<End>) -> CloseReason {
    match end {
        Some(End::Closed { by: Initiator::Peer, .. } | End::Lost) | None => CloseReason::TransportClose,
        // A Close of ours is for a client that reads too slowly.
        Some(End::Closed { by: Initiator::Us, .. } | End::Failed(_) | End::TimedOut(_) | End::Abandoned) => {
            CloseReason::TransportError
        }
    }
}

impl Sender {
    /// The session's id.
    pub fn id(&self) -> Sid {
        self.shared.id
    }

    /// The request that the session began with.
    pub fn handshake(&self) -> &Handshake {
        &self.shared.handshake
    }

    /// By what packets leave now.
    pub fn transport(&self) -> TransportKind {
        match self.shared.lock().link {
            Link::Polling => TransportKind::Polling,
            Link::WebSocket(_) | Link::Gone => TransportKind::WebSocket,
        }
    }

    /// Sends a message. One to a session that has ended is gone.
    pub fn send(&self, message: impl Into<Message>) {
        let message = match message.into() {
            Message::Text(text) => Message::Text(format!("4{text}").into()),
            binary @ Message::Binary(_) => binary,
        };
        self.offer([Outgoing::Single(message, Compress::Auto)]);
    }

    /// Sends messages that nothing may come between; a text begins with a `4`.
    pub(crate) fn send_all(&self, messages: impl IntoIterator<Item = Outgoing>) {
        // The end is told to the one who receives.
        let _ = self.shared.send(messages);
    }

    /// Has the one who receives polled.
    pub(crate) fn wake(&self) {
        self.shared.lock().wake_reader();
    }

    /// Whether a message would leave at once: a poll waits for it, or the WebSocket's queue is short.
    pub fn is_writable(&self) -> bool {
        self.shared.lock().is_writable()
    }

    /// How many bytes are queued.
    pub fn queued(&self) -> usize {
        self.shared.lock().queued()
    }

    /// Ends the session behind what was sent. The client is told.
    pub fn close(&self) {
        self.shared.end(CloseReason::ForcedClose);
    }

    /// Ends the session of a client that has not been heard for too long.
    pub(crate) fn give_up(&self) {
        self.shared.end(CloseReason::PingTimeout);
    }

    /// How the session ended, once it has.
    pub fn reason(&self) -> Option<CloseReason> {
        self.shared.reason()
    }

    /// Sees the connection to its end, when the session's receiver is gone.
    pub(super) async fn finish(self) {
        self.close();
        if let Some(socket) = self.shared.take_websocket() {
            // How a peer that was told to go takes it is of no interest.
            let _ = socket.closed().await;
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.end(CloseReason::ForcedClose);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.shared.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("id", &self.shared.id).finish_non_exhaustive()
    }
}
