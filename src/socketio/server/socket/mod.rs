mod leaving;

use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use http::Extensions;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Acknowledged, Broadcast, DisconnectReason, Emit, EmitError, Event, EventHandler, Namespace,
    ack::Acks,
    emit::{self, sendable},
    handler::{IntoOutcome, Wanted},
    listeners::Listeners,
    lock, log,
    recovery::Gone,
};
use crate::{
    Compress, Utf8Bytes,
    engineio::{self, Handshake, Outgoing, Sid, TransportKind},
    socketio::{
        FromArguments, ToArguments,
        packet::{Arguments, Body, encode},
    },
};

/// A client in a namespace: what it sends is heard here, and what is sent here goes to it. It is cheap to clone.
///
/// One that is stored somewhere does not keep its client's connection; but what listeners have captured is let go of when
/// it is disconnected.
#[derive(Clone)]
pub struct Socket {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    id: Sid,
    pub(super) span: log::Span,
    /// The secret by which its client gets it back, if the namespace remembers clients.
    pid: Option<Sid>,
    is_recovered: bool,
    namespace: Namespace,
    pub(super) engine: engineio::Sender,
    auth: Option<Utf8Bytes>,
    /// One of the states below.
    state: AtomicU8,
    pub(super) listeners: Listeners,
    pub(super) acks: Acks,
    data: Mutex<serde_json::Map<String, serde_json::Value>>,
    extensions: Mutex<Extensions>,
    /// The rooms that it was in when it was remembered, for those whom its end is still to be told.
    left: OnceLock<Vec<Arc<str>>>,
}

/// Middlewares have not let it in yet.
const CONNECTING: u8 = 0;
const CONNECTED: u8 = 1;
/// The server wants it to leave, which its client's task has still to see to.
const TOLD_TO_LEAVE: u8 = 2;
/// As that, and its client is to leave all namespaces, and its connection to end.
const TOLD_TO_CLOSE: u8 = 3;
const DISCONNECTED: u8 = 4;
/// As that, and its client may come back.
const AWAY: u8 = 5;

impl Socket {
    pub(super) fn new(namespace: &Namespace, engine: &engineio::Sender, auth: Option<Utf8Bytes>) -> Self {
        let id = Sid::random();
        let shared = Shared {
            id,
            span: log::span(namespace, id),
            pid: namespace.memory().map(|_| Sid::random()),
            is_recovered: false,
            namespace: namespace.clone(),
            engine: engine.clone(),
            auth,
            state: AtomicU8::new(CONNECTING),
            listeners: Listeners::default(),
            acks: Acks::default(),
            data: Mutex::default(),
            extensions: Mutex::default(),
            left: OnceLock::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// One whose client has come back.
    pub(super) fn recovered(
        namespace: &Namespace,
        engine: &engineio::Sender,
        auth: Option<Utf8Bytes>,
        pid: Sid,
        session: Gone,
    ) -> Self {
        let mut socket = Self::new(namespace, engine, auth);
        let shared = Arc::get_mut(&mut socket.shared).expect("nobody else has it yet");
        (shared.id, shared.pid, shared.is_recovered) = (session.id, Some(pid), true);
        shared.data = Mutex::new(session.data);
        shared.span = log::span(namespace, shared.id);
        socket
    }

    /// Its id, which other clients may know: it is not that of the session.
    pub fn id(&self) -> Sid {
        self.shared.id
    }

    /// The namespace that it is in.
    pub fn namespace(&self) -> &Namespace {
        &self.shared.namespace
    }

    /// The request that the client's session began with.
    pub fn handshake(&self) -> &Handshake {
        self.shared.engine.handshake()
    }

    /// The session below, which is one for all namespaces that its client is in: `conn` in node. Its id is a secret.
    pub fn session(&self) -> &engineio::Sender {
        &self.shared.engine
    }

    /// What the client has said of itself when it connected: its `auth`, an empty object if it has none.
    ///
    /// # Errors
    ///
    /// If it is not a `T`.
    pub fn auth<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.shared.auth.as_deref().unwrap_or("{}"))
    }

    /// By what packets leave now.
    pub fn transport(&self) -> TransportKind {
        self.shared.engine.transport()
    }

    /// Whether it is in its namespace.
    pub fn is_connected(&self) -> bool {
        self.shared.state.load(Ordering::Acquire) == CONNECTED
    }

    /// Whether it is in its namespace, or may be again: then, what is sent to it is worth being remembered.
    pub(super) fn is_or_may_be_connected(&self) -> bool {
        match self.shared.state.load(Ordering::Acquire) {
            CONNECTED => true,
            AWAY => self.may_be_back() || self.is_back(),
            _ => false,
        }
    }

    /// Whether its client is remembered, or is about to be.
    fn may_be_back(&self) -> bool {
        let (memory, Some(pid)) = (self.namespace().memory(), self.shared.pid) else { return false };
        self.shared.left.get().is_none() || memory.is_some_and(|memory| memory.lock().remembers(pid))
    }

    /// Whether its client is in the namespace, under the same id.
    fn is_back(&self) -> bool {
        self.namespace().socket(self.id()).is_some()
    }

    /// Whether its client was away for a short time, and has got its id, its rooms, its data and what it had missed.
    pub fn is_recovered(&self) -> bool {
        self.shared.is_recovered
    }

    /// What its client is told when it is let in.
    fn connect_payload(&self) -> Utf8Bytes {
        let id = self.id();
        let payload = match self.shared.pid {
            Some(pid) => format!(r#"{{"sid":"{id}","pid":"{pid}"}}"#),
            None => format!(r#"{{"sid":"{id}"}}"#),
        };
        payload.into()
    }

    /// Whether what is sent may come to the client.
    pub(super) fn is_reachable(&self) -> bool {
        self.shared.state.load(Ordering::Acquire) < TOLD_TO_LEAVE && self.shared.engine.reason().is_none()
    }

    /// How many bytes the client has not fetched yet.
    pub fn queued(&self) -> usize {
        self.shared.engine.queued()
    }

    // ── what it hears ──

    /// Has a handler handle an event of this name. There may be several.
    ///
    /// The events of a socket are handled one after the other: a handler that waits holds up the next event of its socket,
    /// but no acknowledgement and nothing of other sockets.
    ///
    /// ```
    /// # use sockeye::socketio::{EmitError, Reply, Server, Socket};
    /// # let io = Server::new();
    /// io.on_connect(|socket: Socket| async move {
    ///     socket.on("say", |socket: Socket, text: String| async move { socket.broadcast().emit("said", text) });
    ///     socket.on("add", |_: Socket, (a, b): (i64, i64)| async move { Reply(a + b) });
    /// });
    /// ```
    pub fn on<S>(&self, event: &str, handler: impl EventHandler<S>) {
        self.shared.listeners.on(
            event,
            Arc::new(move |socket, arguments, ack| handler.handle(socket, arguments, ack)),
            false,
        );
    }

    /// As [`on`](Self::on), but beside the socket's other events, in a task of its own.
    pub fn on_concurrent<S>(&self, event: &str, handler: impl EventHandler<S>) {
        self.shared.listeners.on(
            event,
            Arc::new(move |socket, arguments, ack| handler.handle(socket, arguments, ack)),
            true,
        );
    }

    /// Handles events of this name no more.
    pub fn off(&self, event: &str) {
        self.shared.listeners.off(event);
        self.let_go();
    }

    /// Has a listener told of all events, whatever their names, in front of the middlewares and of their handlers. It does not
    /// acknowledge.
    pub fn on_any<F>(&self, listener: impl Fn(Event) -> F + Send + Sync + 'static)
    where
        F: Future<Output: IntoOutcome> + Send + 'static,
    {
        self.shared.listeners.on_any(Arc::new(move |event| {
            let handling = listener(event);
            Box::pin(async move { handling.await.outcome() })
        }));
    }

    /// Has a listener told of all events that are sent to the client.
    pub fn on_any_outgoing(&self, listener: impl Fn(&str, &Arguments) + Send + Sync + 'static) {
        self.shared.listeners.on_any_outgoing(Arc::new(listener));
    }

    /// Has a middleware look at each event in front of its handlers. An error of its stops the event.
    pub fn middleware<F>(&self, middleware: impl Fn(Event) -> F + Send + Sync + 'static)
    where
        F: Future<Output: IntoOutcome> + Send + 'static,
    {
        self.shared.listeners.middleware(Arc::new(move |event| {
            let judging = middleware(event);
            Box::pin(async move { judging.await.outcome() })
        }));
    }

    /// Has something done when it is disconnected, behind its events, while it is still in its rooms. It counts as gone
    /// already: [`len`](Namespace::len) and [`sockets`](Namespace::sockets) are without it.
    pub fn on_disconnecting<F>(&self, farewell: impl Fn(Self, DisconnectReason) -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.shared.listeners.on_disconnecting(Arc::new(move |socket, reason| Box::pin(farewell(socket, reason))));
    }

    /// Has something done when it is disconnected, behind its events, when it has left its rooms.
    pub fn on_disconnect<F>(&self, farewell: impl Fn(Self, DisconnectReason) -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.shared.listeners.on_disconnect(Arc::new(move |socket, reason| Box::pin(farewell(socket, reason))));
    }

    /// Has its task let go of listeners that are gone.
    pub(super) fn let_go(&self) {
        self.shared.engine.wake();
    }

    // ── what it is told ──

    /// Sends an event. It never waits: what the client does not fetch is queued, up to
    /// [`max_queued`](crate::engineio::Config::max_queued); [`emit_async`](Self::emit_async) does. To a client that has gone, it goes nowhere,
    /// unless it is remembered and comes back.
    ///
    /// # Errors
    ///
    /// [`EmitError`]: the caller's fault, and nothing was sent.
    pub fn emit(&self, event: &str, arguments: impl ToArguments) -> Result<(), EmitError> {
        emit::Event::new(self.namespace(), event, arguments)?.send(self, false, Compress::Auto);
        Ok(())
    }

    /// Sends an event; awaited, gives what the client acknowledges it with. It waits until the client has gone:
    /// [`timeout`](Self::timeout) sets a limit.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sockeye::socketio::{AckError, Socket};
    /// # async fn example(socket: Socket) -> Result<(), AckError> {
    /// let answer: String = socket.timeout(Duration::from_secs(5)).emit_with_ack("ready?", ()).await?;
    /// # Ok(()) }
    /// ```
    pub fn emit_with_ack<T: FromArguments>(&self, event: &str, arguments: impl ToArguments) -> Acknowledged<T> {
        Emit::new(self).emit_with_ack(event, arguments)
    }

    /// Sends events that are dropped if the client cannot take them now.
    pub fn volatile(&self) -> Emit {
        Emit::new(self).volatile()
    }

    /// Sends events that are compressed, or not.
    pub fn compress(&self, compress: Compress) -> Emit {
        Emit::new(self).compress(compress)
    }

    /// Waits for acknowledgements for so long.
    pub fn timeout(&self, timeout: Duration) -> Emit {
        Emit::new(self).timeout(timeout)
    }

    /// To all others of the namespace.
    pub fn broadcast(&self) -> Broadcast {
        Broadcast::new(self.namespace()).but(self)
    }

    /// To all others of the namespace that are on this server.
    pub fn local(&self) -> Broadcast {
        self.broadcast().local()
    }

    /// To the others in a room.
    pub fn to(&self, room: impl AsRef<str>) -> Broadcast {
        self.broadcast().to(room)
    }

    /// As [`to`](Self::to).
    pub fn in_(&self, room: impl AsRef<str>) -> Broadcast {
        self.to(room)
    }

    /// To all others but those in a room.
    pub fn except(&self, room: impl AsRef<str>) -> Broadcast {
        self.broadcast().except(room)
    }

    pub(super) fn tell_outgoing(&self, event: &emit::Event<'_>) {
        for listener in self.shared.listeners.outgoing() {
            listener(event.name, &event.arguments);
        }
    }

    /// Sends an event; whether it did.
    pub(super) fn send(&self, packet: impl IntoIterator<Item = Outgoing>) -> bool {
        self.shared.state.load(Ordering::Acquire) < TOLD_TO_LEAVE && self.shared.engine.offer(packet)
    }

    /// Whether somebody wants to be told what is sent.
    pub(super) fn listens_outgoing(&self) -> bool {
        self.shared.listeners.listens_outgoing()
    }

    /// Sends what others are sent as well; says whether it did.
    pub(super) fn deliver(&self, packet: &Arc<[Outgoing]>, volatile: bool) -> bool {
        self.shared.state.load(Ordering::Acquire) < TOLD_TO_LEAVE
            && (!volatile || self.shared.engine.is_writable())
            && self.shared.engine.offer_later(packet)
    }

    pub(super) fn acknowledge(&self, wanted: &Wanted, arguments: impl ToArguments) -> Result<(), EmitError> {
        let arguments = sendable(self.namespace(), arguments)?;
        if !wanted.give() {
            return Ok(());
        }
        let id = Some(wanted.id);
        let ack = encode(self.namespace().name(), &Body::Ack { id, arguments });
        if self.shared.state.load(Ordering::Acquire) < TOLD_TO_LEAVE {
            self.shared.engine.send_all(ack.into_outgoing(Compress::Auto));
        }
        Ok(())
    }

    // ── where it is ──

    /// Joins a room, which is there as long as somebody is in it.
    pub fn join(&self, room: impl AsRef<str>) {
        if self.shared.left.get().is_none() {
            self.namespace().rooms().join(self.id(), room.as_ref());
        }
    }

    /// Leaves a room.
    pub fn leave(&self, room: impl AsRef<str>) {
        if self.shared.left.get().is_none() {
            self.namespace().rooms().leave(self.id(), room.as_ref());
        }
    }

    /// The rooms that it is in: that of its own, whose name is its id, and those that it has joined.
    pub fn rooms(&self) -> Vec<Arc<str>> {
        self.shared.left.get().cloned().unwrap_or_else(|| self.namespace().rooms().of(self.id()))
    }

    /// Lets it in, and tells its client.
    pub(super) fn let_in(&self) {
        let packet = encode(self.namespace().name(), &Body::Connect(Some(self.connect_payload())));
        self.shared.engine.send_all(packet.into_outgoing(Compress::Never));
        // Behind the packet, so that no broadcast comes in front of it.
        self.shared.state.store(CONNECTED, Ordering::Release);
        log::let_in(self);
    }

    /// Takes over what middlewares have attached to another one.
    pub(super) fn take_extensions(&self, other: &Self) {
        *lock(&self.shared.extensions) = std::mem::take(&mut *lock(&other.shared.extensions));
    }

    pub(super) fn auth_json(&self) -> Option<&Utf8Bytes> {
        self.shared.auth.as_ref()
    }

    // ── what is known of it ──

    /// Notes something of it under a name.
    ///
    /// # Errors
    ///
    /// If it cannot be said in JSON.
    pub fn set(&self, name: impl Into<String>, value: impl Serialize) -> Result<(), serde_json::Error> {
        let value = serde_json::to_value(value)?;
        lock(&self.shared.data).insert(name.into(), value);
        Ok(())
    }

    /// What was noted under a name, if it is a `T`.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let value = lock(&self.shared.data).get(name).cloned()?;
        serde_json::from_value(value).ok()
    }

    /// Everything that was noted.
    pub fn data(&self) -> serde_json::Map<String, serde_json::Value> {
        lock(&self.shared.data).clone()
    }

    /// Attaches a value of a type of its own, in place of one that was there.
    ///
    /// A client that comes back and is [recovered](Self::is_recovered) has what was [`set`](Self::set), and not this: its
    /// value is of this process, and the middlewares that may have attached it are not asked again, unless
    /// [`Recovery::with_middlewares`](super::Recovery::with_middlewares) wants it.
    pub fn insert<T: Clone + Send + Sync + 'static>(&self, value: T) -> Option<T> {
        lock(&self.shared.extensions).insert(value)
    }

    /// The value of a type that was attached.
    pub fn extension<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        lock(&self.shared.extensions).get().cloned()
    }
}

/// The same socket.
impl PartialEq for Socket {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Socket {}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.namespace().name();
        f.debug_struct("Socket").field("id", &self.id().as_str()).field("namespace", &name).finish_non_exhaustive()
    }
}
