use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, RwLock, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{
    Broadcast, BroadcastAckError, ClusterError, ConnectError, EmitError, EventError, Local, RemoteSocket, RoomEvent,
    Shared as ServerShared, Socket, children::Watch, cluster::Cluster, config::Joined, contained, handler::IntoOutcome,
    lock, log, read, recovery::Memory, rooms::Rooms, server_side::ServerListeners, write,
};
use crate::{
    Compress, Utf8Bytes,
    engineio::Sid,
    socketio::{FromArguments, ToArguments},
};

/// What is done with a socket that was let in.
type Connected = Arc<dyn Fn(Socket) -> Pin<Box<dyn Future<Output = Result<(), EventError>> + Send>> + Send + Sync>;
/// Whether a socket is let in, some time.
type Middleware = Arc<dyn Fn(Socket) -> Pin<Box<dyn Future<Output = Result<(), ConnectError>> + Send>> + Send + Sync>;
/// Is told what has gone wrong with an event.
type OnError = Arc<dyn Fn(&Socket, &str, &EventError) + Send + Sync>;

/// Is told what has become of rooms.
type OnRoom = Arc<dyn Fn(&RoomEvent) + Send + Sync>;

/// What an application does with the sockets of a namespace, or of all that a pattern has made.
#[derive(Default)]
pub(super) struct Hooks {
    connect: RwLock<Vec<Connected>>,
    middlewares: RwLock<Vec<Middleware>>,
    error: RwLock<Option<OnError>>,
    pub(super) server_side: ServerListeners,
    rooms: RwLock<Vec<OnRoom>>,
}

/// A namespace that may be gone.
#[derive(Clone)]
pub(super) struct WeakNamespace(Weak<Shared>);

/// A part of the server with sockets, rooms, middlewares and handlers of its own. It is cheap to clone.
#[derive(Clone)]
pub struct Namespace {
    shared: Arc<Shared>,
}

struct Shared {
    name: Arc<str>,
    hooks: Arc<Hooks>,
    rooms: Rooms,
    acks: AtomicU64,
    /// How many clients are here, or have still to bid farewell.
    members: AtomicUsize,
    server: Weak<ServerShared>,
    max_attachments: usize,
    memory: Option<Memory>,
    /// The namespace on other servers, if there are some.
    cluster: Option<Cluster>,
    /// Whether a pattern has made it, so that it goes when nobody is in it.
    is_dynamic: bool,
    /// There while it stays for what it remembers.
    watch: Mutex<Option<Watch>>,
}

impl Hooks {
    pub(super) fn on_connect<F>(&self, handler: impl Fn(Socket) -> F + Send + Sync + 'static)
    where
        F: Future<Output: IntoOutcome> + Send + 'static,
    {
        write(&self.connect).push(Arc::new(move |socket| {
            let handling = handler(socket);
            Box::pin(async move { handling.await.outcome() })
        }));
    }

    pub(super) fn middleware<F>(&self, middleware: impl Fn(Socket) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), ConnectError>> + Send + 'static,
    {
        write(&self.middlewares).push(Arc::new(move |socket| Box::pin(middleware(socket))));
    }

    pub(super) fn on_room(&self, listener: impl Fn(&RoomEvent) + Send + Sync + 'static) {
        write(&self.rooms).push(Arc::new(listener));
    }

    /// Whether somebody wants to be told of rooms.
    pub(super) fn watches_rooms(&self) -> bool {
        !read(&self.rooms).is_empty()
    }

    pub(super) fn tell_room(&self, event: &RoomEvent) {
        let listeners = read(&self.rooms).clone();
        for listener in listeners {
            contained("a listener of rooms", || listener(event));
        }
    }

    pub(super) fn on_error(&self, listener: impl Fn(&Socket, &str, &EventError) + Send + Sync + 'static) {
        *write(&self.error) = Some(Arc::new(listener));
    }
}

impl Namespace {
    pub(super) fn new(name: &str, server: &Arc<ServerShared>, hooks: Arc<Hooks>, is_dynamic: bool) -> Self {
        let (name, config): (Arc<str>, _) = (name.into(), &server.config);
        let open = |joined: &Joined, this: &Weak<Shared>| {
            let local = Local::new(server.id.clone(), Arc::clone(&name), WeakNamespace(this.clone()));
            Cluster::open(&*joined.0, local, config.cluster_timeout)
        };
        let shared = Arc::new_cyclic(|this| {
            let cluster = config.adapter.as_ref().map(|joined| open(joined, this));
            Shared {
                name: Arc::clone(&name),
                rooms: Rooms::new(&hooks, cluster.as_ref().map(Cluster::link)),
                cluster,
                hooks,
                acks: AtomicU64::new(0),
                members: AtomicUsize::new(0),
                server: Arc::downgrade(server),
                max_attachments: config.max_attachments,
                memory: config.recovery.map(|recovery| {
                    let own = Arc::default();
                    Memory::new(&name, recovery, if is_dynamic { &server.children.shares } else { &own })
                }),
                is_dynamic,
                watch: Mutex::default(),
            }
        });
        Self { shared }
    }

    pub(super) fn downgrade(&self) -> WeakNamespace {
        WeakNamespace(Arc::downgrade(&self.shared))
    }

    /// Its name, with the slash in front.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Has a handler run for each socket that was let in: there, it says what is done with the socket's events.
    ///
    /// Events of a socket wait until it has returned. What is to go on for longer goes into a task of its own.
    pub fn on_connect<F>(&self, handler: impl Fn(Socket) -> F + Send + Sync + 'static)
    where
        F: Future<Output: IntoOutcome> + Send + 'static,
    {
        self.shared.hooks.on_connect(handler);
    }

    /// Asks a middleware whether a socket is let in, one after the other. The error of one is told the client, as its
    /// `connect_error`.
    ///
    /// ```
    /// # use sockeye::socketio::{ConnectError, Server, Socket};
    /// # let io = Server::new();
    /// #[derive(serde::Deserialize)]
    /// struct Auth { token: String }
    ///
    /// io.of("/admin").middleware(|socket: Socket| async move {
    ///     match socket.auth::<Auth>() {
    ///         Ok(Auth { token }) if token == "s3cret" => Ok(()),
    ///         _ => Err(ConnectError::new("not authorized")),
    ///     }
    /// });
    /// ```
    pub fn middleware<F>(&self, middleware: impl Fn(Socket) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), ConnectError>> + Send + 'static,
    {
        self.shared.hooks.middleware(middleware);
    }

    /// Has a listener told what has gone wrong with which event (default: it goes to the log, or to standard error without
    /// the feature `tracing`).
    pub fn on_error(&self, listener: impl Fn(&Socket, &str, &EventError) + Send + Sync + 'static) {
        self.shared.hooks.on_error(listener);
    }

    /// Has a listener told when a room comes into being or goes, and who joins and leaves it, on this server. A socket's own
    /// room, which has its id for a name, is not told of.
    ///
    /// It is told behind the change, so that of two threads' changes the later one may be told first.
    ///
    /// ```
    /// # use sockeye::socketio::{RoomEvent, Server};
    /// # let io = Server::new();
    /// io.on_room(|event| {
    ///     if let RoomEvent::Created(room) = event { println!("somebody is in {room}") }
    /// });
    /// ```
    pub fn on_room(&self, listener: impl Fn(&RoomEvent) + Send + Sync + 'static) {
        self.shared.hooks.on_room(listener);
    }

    /// The rooms that sockets of this server have joined; the sockets' own are not among them.
    pub fn all_rooms(&self) -> Vec<Arc<str>> {
        self.rooms().names()
    }

    /// To all sockets.
    pub fn broadcast(&self) -> Broadcast {
        Broadcast::new(self)
    }

    /// To the sockets in a room.
    pub fn to(&self, room: impl AsRef<str>) -> Broadcast {
        self.broadcast().to(room)
    }

    /// As [`to`](Self::to).
    pub fn in_(&self, room: impl AsRef<str>) -> Broadcast {
        self.to(room)
    }

    /// To all sockets but those in a room.
    pub fn except(&self, room: impl AsRef<str>) -> Broadcast {
        self.broadcast().except(room)
    }

    /// To all sockets, dropping events for those who cannot take them now.
    pub fn volatile(&self) -> Broadcast {
        self.broadcast().volatile()
    }

    /// To the sockets of this server only.
    pub fn local(&self) -> Broadcast {
        self.broadcast().local()
    }

    /// To all sockets, compressed or not.
    pub fn compress(&self, compress: Compress) -> Broadcast {
        self.broadcast().compress(compress)
    }

    /// To all sockets, waiting for their acknowledgements for so long.
    pub fn timeout(&self, timeout: Duration) -> Broadcast {
        self.broadcast().timeout(timeout)
    }

    /// Sends an event to all sockets. It is encoded once for all.
    ///
    /// # Errors
    ///
    /// [`EmitError`]: the caller's fault, and nothing was sent.
    pub fn emit(&self, event: &str, arguments: impl ToArguments) -> Result<(), EmitError> {
        self.broadcast().emit(event, arguments)
    }

    /// Sends an event to all sockets, and waits for their acknowledgements.
    ///
    /// # Errors
    ///
    /// As for [`Broadcast::emit_with_ack`].
    ///
    /// # Cancel safety
    ///
    /// As for [`Broadcast::emit_with_ack`].
    pub async fn emit_with_ack<T: FromArguments>(
        &self,
        event: &str,
        arguments: impl ToArguments,
    ) -> Result<Vec<T>, BroadcastAckError<T>> {
        self.broadcast().emit_with_ack(event, arguments).await
    }

    /// Has all sockets join a room.
    pub fn sockets_join(&self, room: impl AsRef<str>) {
        self.broadcast().sockets_join(room);
    }

    /// Has all sockets leave a room.
    pub fn sockets_leave(&self, room: impl AsRef<str>) {
        self.broadcast().sockets_leave(room);
    }

    /// Has all sockets leave the namespace.
    pub fn disconnect_sockets(&self) {
        self.broadcast().disconnect_sockets();
    }

    /// Ends the connections of all clients.
    pub fn close_connections(&self) {
        self.broadcast().close_connections();
    }

    /// The socket with this id, if it is on this server.
    pub fn socket(&self, id: Sid) -> Option<Socket> {
        self.rooms().get(id)
    }

    /// All sockets of this server.
    pub fn sockets(&self) -> Vec<Socket> {
        self.broadcast().sockets()
    }

    /// All sockets, those of other servers among them; see [`Broadcast::fetch_sockets`].
    ///
    /// # Errors
    ///
    /// As for [`Broadcast::fetch_sockets`].
    ///
    /// # Cancel safety
    ///
    /// As for [`Broadcast::fetch_sockets`].
    pub async fn fetch_sockets(&self) -> Result<Vec<RemoteSocket>, ClusterError<RemoteSocket>> {
        self.broadcast().fetch_sockets().await
    }

    /// How many sockets there are on this server.
    pub fn len(&self) -> usize {
        self.rooms().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn rooms(&self) -> &Rooms {
        &self.shared.rooms
    }

    pub(super) fn max_attachments(&self) -> usize {
        self.shared.max_attachments
    }

    /// What it remembers of clients that have gone, if it does.
    pub(super) fn memory(&self) -> Option<&Memory> {
        self.shared.memory.as_ref()
    }

    /// The other servers, if it is joined to some.
    pub(super) fn cluster(&self) -> Option<&Cluster> {
        self.shared.cluster.as_ref()
    }

    pub(super) fn hooks(&self) -> &Hooks {
        &self.shared.hooks
    }

    /// It has gone, or its server closes: other servers are left.
    pub(super) fn close(&self) {
        if let Some(cluster) = self.cluster() {
            cluster.close();
        }
    }

    /// The next id of an acknowledgement. All sockets share them, so that a broadcast has one.
    pub(super) fn next_ack(&self) -> u64 {
        self.shared.acks.fetch_add(1, Ordering::Relaxed)
    }

    /// Asks the middlewares.
    pub(super) async fn admit(socket: Socket) -> Result<(), ConnectError> {
        let middlewares = read(&socket.namespace().shared.hooks.middlewares).clone();
        for middleware in middlewares {
            middleware(socket.clone()).await?;
        }
        Ok(())
    }

    /// Whether there is nobody to ask.
    pub(super) fn admits_all(&self) -> bool {
        read(&self.shared.hooks.middlewares).is_empty()
    }

    /// Runs the handlers of a socket that was let in.
    pub(super) async fn welcome(socket: Socket) -> Result<(), EventError> {
        let handlers = read(&socket.namespace().shared.hooks.connect).clone();
        let mut outcome = Ok(());
        for handler in handlers {
            outcome = outcome.and(handler(socket.clone()).await);
        }
        outcome
    }

    /// Tells whoever wants to know what has gone wrong.
    pub(super) fn report(&self, socket: &Socket, event: &Utf8Bytes, error: &EventError) {
        let listener = read(&self.shared.hooks.error).clone();
        match listener {
            Some(listener) => drop(contained("a listener of errors", || listener(socket, event, error))),
            None => log::failed(socket, event, error),
        }
    }

    /// A client has asked to be let in.
    pub(super) fn entered(&self) {
        self.shared.members.fetch_add(1, Ordering::AcqRel);
    }

    /// One has gone, and everybody who wanted to has been told. Nobody needs a namespace of a pattern's that nobody is in.
    pub(super) fn left(&self) {
        let is_last = self.shared.members.fetch_sub(1, Ordering::AcqRel) == 1;
        if let Some(server) = self.shared.server.upgrade().filter(|_| is_last) {
            if self.shared.is_dynamic {
                server.forget_if_empty(self);
            }
            if server.is_closing() {
                self.close();
            }
        }
    }

    /// Whether clients are here, or have still to bid farewell.
    pub(super) fn has_members(&self) -> bool {
        self.shared.members.load(Ordering::Acquire) > 0
    }

    /// Who looks at it when what it remembers is over, if it stays for that.
    pub(super) fn watch(&self) -> MutexGuard<'_, Option<Watch>> {
        lock(&self.shared.watch)
    }

    /// The server closes: other servers are left behind the last client's farewell.
    pub(super) fn close_when_empty(&self) {
        if self.shared.members.load(Ordering::Acquire) == 0 {
            self.close();
        }
    }

    /// Whether a pattern with these hooks has made it.
    pub(super) fn has(&self, hooks: &Arc<Hooks>) -> bool {
        Arc::ptr_eq(&self.shared.hooks, hooks)
    }

    /// Whether it is this one, and not one of the same name.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl WeakNamespace {
    pub(super) fn upgrade(&self) -> Option<Namespace> {
        self.0.upgrade().map(|shared| Namespace { shared })
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespace").field("name", &self.name()).field("sockets", &self.len()).finish_non_exhaustive()
    }
}
