//! The server.

mod ack;
mod asked;
mod broadcast;
mod children;
mod client;
mod cluster;
mod config;
mod emit;
mod handler;
mod holding;
mod listeners;
mod listening;
mod log;
mod namespace;
mod reason;
mod recovery;
mod remote;
mod rooms;
mod server_side;
mod socket;
#[cfg(not(feature = "tracing"))]
mod stderr;
mod waiting;

use std::{
    collections::HashMap,
    fmt,
    future::poll_fn,
    io,
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::net::{TcpListener, ToSocketAddrs};

pub use self::{
    ack::{Ack, AckError, Acknowledged, ConnectError},
    broadcast::{Broadcast, BroadcastAckError},
    cluster::Local,
    config::Config,
    emit::{Emit, EmitError},
    handler::{Event, EventError, EventHandler, IntoOutcome, IntoReply, OfAck, OfArguments, OfSocket, Reply},
    namespace::Namespace,
    reason::DisconnectReason,
    recovery::Recovery,
    remote::RemoteSocket,
    rooms::RoomEvent,
    server_side::ClusterError,
    socket::Socket,
    waiting::EmitAsyncError,
};
use self::{children::Children, client::Client, namespace::Hooks, recovery::Recovered, rooms::Entered};
use crate::{
    Utf8Bytes,
    engineio::{self, Engine, EngineLayer, EngineService, NotFound, Sid},
    socketio::{
        adapter::{AdapterError, ServerId},
        packet::MAIN,
    },
};

/// A server of Socket.IO. It is cheap to clone, and derefs to its main [`Namespace`], `/`.
///
/// ```no_run
/// use sockeye::socketio::{Reply, Server, Socket};
///
/// #[tokio::main]
/// async fn main() -> std::io::Result<()> {
///     let io = Server::new();
///     io.on_connect(|socket: Socket| async move {
///         socket.join("lobby");
///         // To all others in the room; what does not fit the type goes to `on_error`, and not to the handler.
///         socket.on("say", |socket: Socket, text: String| async move { socket.to("lobby").emit("said", text) });
///         // A tuple is several arguments; what is returned in a `Reply` acknowledges the event.
///         socket.on("add", |_: Socket, (a, b): (i64, i64)| async move { Reply(a + b) });
///     });
///     io.listen("127.0.0.1:3000").await
/// }
/// ```
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
    engine: Engine,
    main: Namespace,
}

struct Shared {
    config: Config,
    children: Children,
    /// Which one of a cluster it is.
    id: ServerId,
    namespaces: RwLock<HashMap<Box<str>, Namespace>>,
    patterns: RwLock<Vec<Pattern>>,
    is_closing: AtomicBool,
    on_new_namespace: RwLock<Vec<Arc<OnNewNamespace>>>,
}

/// Is told of a namespace that was made.
type OnNewNamespace = dyn Fn(&Namespace) + Send + Sync;

/// Whether a namespace of this name is made, for a client that says this of itself.
type Takes = dyn Fn(&str, &serde_json::Value) -> bool + Send + Sync;

/// Makes namespaces for the names that it takes.
#[derive(Clone)]
struct Pattern {
    takes: Arc<Takes>,
    hooks: Arc<Hooks>,
}

/// The namespaces of a pattern: what is said here holds for each of them.
#[derive(Clone)]
pub struct Namespaces {
    shared: Arc<Shared>,
    hooks: Arc<Hooks>,
}

impl Server {
    /// With the default [`Config`].
    pub fn new() -> Self {
        Self::with_config(Config::new())
    }

    /// With a configuration.
    pub fn with_config(config: Config) -> Self {
        let shared = Arc::new(Shared {
            config,
            children: Children::default(),
            id: ServerId::new(Sid::random().as_str()),
            namespaces: RwLock::default(),
            patterns: RwLock::default(),
            is_closing: AtomicBool::new(false),
            on_new_namespace: RwLock::default(),
        });
        let main = shared.make(MAIN);
        let server = Arc::clone(&shared);
        let engine = Engine::new(shared.config.engine.clone(), move |session| {
            let mut client = Client::new(Arc::clone(&server), session);
            poll_fn(move |cx| client.poll(cx))
        });
        Self { shared, engine, main }
    }

    /// The namespace of this name, which is made if there is none; by a [pattern](Self::of_those) that takes the name and
    /// `null`, if there is one, and then it stays all the same.
    pub fn of(&self, name: &str) -> Namespace {
        let name = if name.starts_with('/') { name.into() } else { format!("/{name}") };
        self.shared.make(&name)
    }

    /// Makes namespaces as clients ask for them, if `takes` says yes to the name and to what the client said of itself. One
    /// goes when nobody is in it, nor is [remembered](Recovery) there.
    ///
    /// It is asked for a namespace that there is not, and not for each client: who may come in is for
    /// [`Namespaces::middleware`] to say.
    ///
    /// ```
    /// # use sockeye::socketio::{Server, Socket};
    /// # let io = Server::new();
    /// let rooms = io.of_those(|name, _auth| name.starts_with("/room-"));
    /// rooms.on_connect(|socket: Socket| async move { socket.emit("welcome", socket.namespace().name()) });
    /// ```
    pub fn of_those(&self, takes: impl Fn(&str, &serde_json::Value) -> bool + Send + Sync + 'static) -> Namespaces {
        let hooks = Arc::<Hooks>::default();
        write(&self.shared.patterns).push(Pattern { takes: Arc::new(takes), hooks: Arc::clone(&hooks) });
        Namespaces { shared: Arc::clone(&self.shared), hooks }
    }

    /// Those that there are now, the main one among them.
    pub fn namespaces(&self) -> Vec<Namespace> {
        read(&self.shared.namespaces).values().cloned().collect()
    }

    /// Has a listener told of each namespace that is made from now on, in front of its first socket's middlewares.
    pub fn on_new_namespace(&self, listener: impl Fn(&Namespace) + Send + Sync + 'static) {
        write(&self.shared.on_new_namespace).push(Arc::new(listener));
    }

    /// The sessions below.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A layer for applications of `tower`, axum among them, that have other requests as well.
    pub fn layer(&self) -> EngineLayer {
        self.engine.layer()
    }

    /// A service for Socket.IO and nothing else.
    pub fn into_service<B>(self) -> EngineService<NotFound<B>> {
        self.engine.into_service()
    }

    /// Listens on an address, and serves Socket.IO there and nothing else.
    ///
    /// # Errors
    ///
    /// If the operating system refuses the address.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it takes no more connections; those that there are go on.
    pub async fn listen(&self, address: impl ToSocketAddrs) -> io::Result<()> {
        self.engine.clone().listen(address).await
    }

    /// As [`listen`](Self::listen), on a listener that was made elsewhere.
    ///
    /// # Errors
    ///
    /// None so far.
    ///
    /// # Cancel safety
    ///
    /// As for [`listen`](Self::listen).
    pub async fn serve(&self, listener: TcpListener) -> io::Result<()> {
        self.engine.clone().serve(listener).await
    }

    /// Ends all sessions, and begins no more. Clients are not told to stay away: they come back, to another server if there
    /// is one. What [`on_disconnect`](Socket::on_disconnect) has sent to them comes too late.
    ///
    /// [`listen`](Self::listen) goes on, and refuses: dropped, it gives the address back.
    pub fn close(&self) {
        self.shared.is_closing.store(true, Ordering::Release);
        self.engine.close();
        self.namespaces().iter().for_each(Namespace::close_when_empty);
    }

    /// Which one of a cluster it is: what other servers know it by.
    pub fn id(&self) -> &ServerId {
        &self.shared.id
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Server {
    type Target = Namespace;

    fn deref(&self) -> &Namespace {
        &self.main
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl Namespaces {
    /// As [`Namespace::on_connect`], for each of them.
    pub fn on_connect<F>(&self, handler: impl Fn(Socket) -> F + Send + Sync + 'static)
    where
        F: Future<Output: IntoOutcome> + Send + 'static,
    {
        self.hooks.on_connect(handler);
    }

    /// As [`Namespace::middleware`], for each of them.
    pub fn middleware<F>(&self, middleware: impl Fn(Socket) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), ConnectError>> + Send + 'static,
    {
        self.hooks.middleware(middleware);
    }

    /// As [`Namespace::on_server_side`], for each of them.
    pub fn on_server_side<T, F>(&self, event: &str, listener: impl Fn(T) -> F + Send + Sync + 'static)
    where
        T: crate::socketio::FromArguments,
        F: Future<Output: IntoReply> + Send + 'static,
    {
        self.hooks.server_side.on(event, listener);
    }

    /// As [`Namespace::on_room`], for each of them.
    pub fn on_room(&self, listener: impl Fn(&RoomEvent) + Send + Sync + 'static) {
        self.hooks.on_room(listener);
    }

    /// As [`Namespace::on_error`], for each of them.
    pub fn on_error(&self, listener: impl Fn(&Socket, &str, &EventError) + Send + Sync + 'static) {
        self.hooks.on_error(listener);
    }

    /// Those that there are now.
    pub fn all(&self) -> Vec<Namespace> {
        let namespaces = read(&self.shared.namespaces);
        namespaces.values().filter(|namespace| namespace.has(&self.hooks)).cloned().collect()
    }

    /// Sends an event to all sockets of all of them.
    ///
    /// # Errors
    ///
    /// [`EmitError`]: the caller's fault, and nothing was sent.
    pub fn emit(&self, event: &str, arguments: impl crate::socketio::ToArguments) -> Result<(), EmitError> {
        let arguments = arguments.into_arguments()?;
        self.all().iter().try_for_each(|namespace| namespace.emit(event, arguments.clone()))
    }
}

impl fmt::Debug for Namespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all()).finish()
    }
}

impl Shared {
    /// A socket in the namespace that a client asks for, if there is that; one of a pattern's is made.
    fn enter(self: &Arc<Self>, name: &str, auth: Option<&Utf8Bytes>, engine: &engineio::Sender) -> Option<Socket> {
        // Under the lock of the namespaces, so that this one is not forgotten meanwhile.
        let enter = |namespace: &Namespace| {
            let skips = namespace.memory().is_some_and(|memory| memory.recovery().skips_middlewares());
            let recovered = auth.filter(|_| skips).and_then(|auth| recover(namespace, engine, auth));
            recovered.unwrap_or_else(|| {
                let socket = Socket::new(namespace, engine, auth.cloned());
                namespace.rooms().insert(&socket);
                Returned { socket, rooms: Vec::new() }
            })
        };
        let entered = read(&self.namespaces).get(name).map(enter);
        if let Some(entered) = entered {
            return Some(entered.told());
        }
        let said = serde_json::from_str(auth.map_or("{}", Utf8Bytes::as_str)).ok()?;
        let pattern = self.pattern(name, &said)?;
        Some(self.insert(name, Namespace::new(name, self, pattern.hooks, true), enter).told())
    }

    /// The namespace of a name, which is made if there is none: as a pattern's, if one takes the name, so that whatever
    /// guards those guards it too.
    fn make(self: &Arc<Self>, name: &str) -> Namespace {
        if let Some(namespace) = read(&self.namespaces).get(name) {
            return namespace.clone();
        }
        let hooks = self.pattern(name, &serde_json::Value::Null).map(|pattern| pattern.hooks).unwrap_or_default();
        self.insert(name, Namespace::new(name, self, hooks, false), Namespace::clone)
    }

    /// The first pattern that takes a name, and what a client has said of itself.
    fn pattern(&self, name: &str, said: &serde_json::Value) -> Option<Pattern> {
        let patterns = read(&self.patterns).clone();
        let takes = |pattern: &Pattern| contained("the pattern of a namespace", || (pattern.takes)(name, said));
        patterns.into_iter().find(|pattern| takes(pattern).unwrap_or(false))
    }

    /// Takes a namespace in that was made outside of the lock, as its adapter has a say in it, unless somebody else was
    /// faster; gives what `then` makes of the one that is there.
    fn insert<T>(&self, name: &str, made: Namespace, then: impl FnOnce(&Namespace) -> T) -> T {
        let (is_mine, done);
        {
            let mut namespaces = write(&self.namespaces);
            let there = namespaces.entry(name.into()).or_insert_with(|| made.clone());
            (is_mine, done) = (there.is(&made), then(there));
        }
        if is_mine {
            log::made(&made);
            let listeners = read(&self.on_new_namespace).clone();
            for listener in listeners {
                contained("a listener of namespaces", || listener(&made));
            }
        } else {
            made.close();
        }
        done
    }

    fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }
}

/// The socket of a client that is back, and the rooms that are still to be told of it.
struct Returned {
    socket: Socket,
    rooms: Vec<Entered>,
}

impl Returned {
    /// Tells its rooms of it, which is not to be done under a lock.
    fn told(self) -> Socket {
        let rooms = self.socket.namespace().rooms();
        self.rooms.iter().for_each(|entered| rooms.tell_joined(self.socket.id(), entered));
        self.socket
    }
}

/// The socket of a client that was away, and says so: in its namespace, with everything told that it has missed.
fn recover(namespace: &Namespace, engine: &engineio::Sender, auth: &Utf8Bytes) -> Option<Returned> {
    #[derive(serde::Deserialize)]
    struct Known {
        pid: String,
        offset: String,
    }
    let known: Known = serde_json::from_str(auth).ok()?;
    let mut memory = namespace.memory()?.lock();
    let pid = Sid::parse(&known.pid)?;
    let Recovered { session, missed } = memory.restore(&known.pid, &known.offset, engine.max_queued())?;
    let rooms = session.rooms.clone();
    let socket = Socket::recovered(namespace, engine, Some(auth.clone()), pid, session);
    namespace.rooms().insert(&socket);
    let rooms = rooms.iter().filter_map(|room| namespace.rooms().enter(socket.id(), room)).collect();
    for packet in missed {
        engine.send_all(packet.iter().cloned());
    }
    socket.let_in();
    Some(Returned { socket, rooms })
}

/// Calls what an application has written; a panic of it is told, and goes no further.
fn contained<T>(what: &str, call: impl FnOnce() -> T) -> Option<T> {
    let outcome = catch_unwind(AssertUnwindSafe(call));
    if outcome.is_err() {
        log::panicked(what);
    }
    outcome.ok()
}

// Nothing of an application's runs under a lock, so that nothing panics there.

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
