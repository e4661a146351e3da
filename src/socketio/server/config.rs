use std::{fmt, io, path::Path, sync::Arc, time::Duration};

use super::Recovery;
use crate::{
    engineio::{self, ClientFiles},
    socketio::{adapter::Adapter, packet::MAX_ATTACHMENTS},
};

/// How a server of Socket.IO treats its clients; the defaults are those of node's.
///
/// ```
/// use std::time::Duration;
/// use sockeye::{engineio::Cors, socketio::{Config, Server}};
/// let config = Config::new()
///     .connect_timeout(Duration::from_secs(10))
///     .engine(|engine| engine.cors(Cors::origins(["https://app.example.com"])));
/// let io = Server::with_config(config);
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) engine: engineio::Config,
    pub(super) connect_timeout: Duration,
    pub(super) max_attachments: usize,
    pub(super) max_namespaces: usize,
    pub(super) max_waiting: usize,
    pub(super) recovery: Option<Recovery>,
    pub(super) adapter: Option<Joined>,
    pub(super) cluster_timeout: Duration,
}

/// What joins the server to others.
#[derive(Clone)]
pub(super) struct Joined(pub(super) Arc<dyn Adapter>);

impl fmt::Debug for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an adapter")
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// | setting | default | because |
    /// |---|---|---|
    /// | `engine` | [`engineio::Config::new`], below `/socket.io/` | |
    /// | `connect_timeout` | 45 s | a client whose middleware asks its user still has time |
    /// | `max_attachments` | 10 | node's decoder takes no more |
    /// | `max_namespaces` | 100 | a pattern may take any name, and each namespace costs memory |
    /// | `max_waiting` | 16 MiB | as many bytes as may be queued for a client |
    /// | `recovery` | none | it costs memory |
    /// | `adapter` | none | a server is alone unless it is joined to others |
    /// | `cluster_timeout` | 5 s | a server that has not answered then has a problem |
    /// | `serve_client` | no | the page's own server can do that |
    pub fn new() -> Self {
        Self {
            engine: engineio::Config::new().path("/socket.io/"),
            connect_timeout: Duration::from_secs(45),
            max_attachments: MAX_ATTACHMENTS,
            max_namespaces: 100,
            max_waiting: 16 << 20,
            recovery: None,
            adapter: None,
            cluster_timeout: Duration::from_secs(5),
        }
    }

    /// Changes how sessions are treated: transports, heartbeats, sizes, CORS.
    #[must_use]
    pub fn engine(mut self, change: impl FnOnce(engineio::Config) -> engineio::Config) -> Self {
        self.engine = change(self.engine);
        self
    }

    /// Sets how long a client may be in no namespace after its session began, before that is ended.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Has clients that were away for a short time go on where they were.
    #[must_use]
    pub const fn recovery(mut self, recovery: Recovery) -> Self {
        self.recovery = Some(recovery);
        self
    }

    /// Joins the server to others: broadcasts reach the sockets of all of them, and so do
    /// [`fetch_sockets`](super::Broadcast::fetch_sockets) and what is done with rooms from afar.
    #[must_use]
    pub fn adapter(mut self, adapter: impl Adapter) -> Self {
        self.adapter = Some(Joined(Arc::new(adapter)));
        self
    }

    /// Sets for how long other servers are waited for that are asked something; acknowledgements of clients have
    /// [a limit of their own](super::Broadcast::timeout).
    #[must_use]
    pub const fn cluster_timeout(mut self, timeout: Duration) -> Self {
        self.cluster_timeout = timeout;
        self
    }

    /// Serves the scripts of node's client below the path of the sessions, such as `/socket.io/socket.io.min.js`, from a
    /// directory: the `dist` of npm's package `socket.io-client`. Nothing else that is there is served.
    ///
    /// They are read now and held in memory, 1.2 MiB if all are there, and browsers ask each time whether they are still the
    /// same.
    ///
    /// ```no_run
    /// use sockeye::socketio::{Config, Server};
    /// # fn example() -> std::io::Result<()> {
    /// let io = Server::with_config(Config::new().serve_client("node_modules/socket.io-client/dist")?);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// If none of them is there, or one cannot be read.
    pub fn serve_client(mut self, directory: impl AsRef<Path>) -> io::Result<Self> {
        self.engine = self.engine.client_files(ClientFiles::read(directory.as_ref())?);
        Ok(self)
    }

    /// Sets how many attachments a packet may have, that comes or is sent.
    #[must_use]
    pub const fn max_attachments(mut self, limit: usize) -> Self {
        self.max_attachments = limit;
        self
    }

    /// Sets how many bytes of a client's events may wait for their handlers (default: 16 MiB, as many as may be
    /// [queued](engineio::Config::max_queued) for it). Behind that the client is read no more until some are handled: not its
    /// acknowledgements either, and one that is not read for as long as a heartbeat may take is given up.
    #[must_use]
    pub const fn max_waiting(mut self, bytes: usize) -> Self {
        self.max_waiting = bytes;
        self
    }

    /// Sets in how many namespaces a client may be at a time; those that it is about to leave count. It is refused more,
    /// with a connection error.
    #[must_use]
    pub const fn max_namespaces(mut self, limit: usize) -> Self {
        self.max_namespaces = limit;
        self
    }
}
