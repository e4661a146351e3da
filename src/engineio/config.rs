use std::{borrow::Cow, sync::Arc, time::Duration};

use http::HeaderMap;

use super::{ClientFiles, ConnectionError, Cookie, Cors, Handshake, SlowClient, hooks::Hooks};
use crate::DeflateConfig;

/// How a server of Engine.IO treats its sessions; the defaults are those of node's.
///
/// ```
/// use std::time::Duration;
/// use sockeye::engineio::Config;
/// let config = Config::new().ping_interval(Duration::from_secs(10)).max_payload(100_000);
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) path: String,
    pub(super) ping_interval: Duration,
    pub(super) ping_timeout: Duration,
    pub(super) upgrade_timeout: Duration,
    pub(super) max_payload: usize,
    pub(super) max_queued: usize,
    pub(super) max_sessions: usize,
    pub(super) slow_client: SlowClient,
    pub(super) polling: bool,
    pub(super) websocket: bool,
    pub(super) upgrades: bool,
    pub(super) http_compression: Option<usize>,
    pub(super) deflate: Option<DeflateConfig>,
    pub(super) cors: Option<Cors>,
    pub(super) cookie: Option<Cookie>,
    pub(super) client_files: Option<ClientFiles>,
    pub(super) hooks: Hooks,
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// | setting | default | because |
    /// |---|---|---|
    /// | `path` | `/engine.io/` | node has it; Socket.IO's is `/socket.io/` |
    /// | `ping_interval` | 25 s | below the 30 s after which some proxies drop a silent connection |
    /// | `ping_timeout` | 20 s | a mobile network may need that long |
    /// | `upgrade_timeout` | 10 s | |
    /// | `max_payload` | 1,000,000 bytes | what node takes, and tells its clients |
    /// | `max_queued` | 16 MiB | a session that reads too slowly is ended before it takes the memory of the others |
    /// | `max_sessions` | no limit | what the machine can take is not known here |
    /// | `slow_client` | its session ends | what was sent is never missing in silence |
    /// | `transports` | polling and WebSocket, and the upgrade from one to the other | |
    /// | `http_compression` | bodies from 1,024 bytes on | shorter ones hardly shrink |
    /// | `deflate`, `cors`, `cookie` | none | they cost memory, or let strangers' pages in |
    pub fn new() -> Self {
        Self {
            path: "/engine.io/".into(),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            max_payload: 1_000_000,
            max_queued: 16 << 20,
            max_sessions: usize::MAX,
            slow_client: SlowClient::End,
            polling: true,
            websocket: true,
            upgrades: true,
            http_compression: Some(1024),
            deflate: None,
            cors: None,
            cookie: None,
            client_files: None,
            hooks: Hooks::default(),
        }
    }

    /// Sets below which path requests are the server's. One that ends with a slash takes all that begins with it.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets how long after a pong the server asks again whether the client is there.
    #[must_use]
    pub const fn ping_interval(mut self, interval: Duration) -> Self {
        self.ping_interval = interval;
        self
    }

    /// Sets how long the client may take to answer a ping, before its session ends.
    #[must_use]
    pub const fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.ping_timeout = timeout;
        self
    }

    /// Sets how long a client may try a WebSocket before that is closed; its session goes on by polling.
    #[must_use]
    pub const fn upgrade_timeout(mut self, timeout: Duration) -> Self {
        self.upgrade_timeout = timeout;
        self
    }

    /// Sets the largest body of a POST, and the largest message on a WebSocket, in bytes.
    ///
    /// A larger POST gets 413, and its session goes on; a larger message ends the session.
    #[must_use]
    pub const fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// Sets how many bytes may wait for a client that does not fetch them. A session with more is ended, unless
    /// [`slow_client`](Self::slow_client) says otherwise.
    #[must_use]
    pub const fn max_queued(mut self, bytes: usize) -> Self {
        self.max_queued = bytes;
        self
    }

    /// Sets how many sessions there may be, those among them that are in no namespace of Socket.IO yet. Who asks for one more
    /// gets 503, for which clients try again.
    #[must_use]
    pub const fn max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = sessions;
        self
    }

    /// Sets what is done when more than [`max_queued`](Self::max_queued) bytes would wait for a client.
    #[must_use]
    pub const fn slow_client(mut self, policy: SlowClient) -> Self {
        self.slow_client = policy;
        self
    }

    /// Takes WebSockets only: no long-polling.
    #[must_use]
    pub const fn websocket_only(mut self) -> Self {
        (self.polling, self.websocket) = (false, true);
        self
    }

    /// Takes long-polling only.
    #[must_use]
    pub const fn polling_only(mut self) -> Self {
        (self.polling, self.websocket) = (true, false);
        self
    }

    /// Lets sessions stay with the transport that they began with.
    #[must_use]
    pub const fn without_upgrades(mut self) -> Self {
        self.upgrades = false;
        self
    }

    /// Sets from how many bytes on the body of a poll is compressed, or stops it.
    #[must_use]
    pub const fn http_compression(mut self, threshold: Option<usize>) -> Self {
        self.http_compression = threshold;
        self
    }

    /// Compresses WebSockets for clients that offer permessage-deflate.
    #[must_use]
    pub fn deflate(mut self, deflate: DeflateConfig) -> Self {
        self.deflate = Some(deflate);
        self
    }

    /// Lets pages of other origins in.
    #[must_use]
    pub fn cors(mut self, cors: Cors) -> Self {
        self.cors = Some(cors);
        self
    }

    /// Gives each session that begins with long-polling a cookie with its id, for load balancers.
    #[must_use]
    pub fn cookie(mut self, cookie: Cookie) -> Self {
        self.cookie = Some(cookie);
        self
    }

    /// Asks `judge` whether a request may begin a session. Its error is told the client, with 403.
    ///
    /// ```
    /// use sockeye::engineio::Config;
    /// let config = Config::new().allow_request(|handshake| {
    ///     let is_known = handshake.request.bearer_token() == Some("s3cret");
    ///     async move { if is_known { Ok(()) } else { Err("no token") } }
    /// });
    /// ```
    #[must_use]
    pub fn allow_request<F, E>(mut self, judge: impl Fn(&Handshake) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Cow<'static, str>>,
    {
        self.hooks.allow = Some(Arc::new(move |handshake| {
            let judged = judge(handshake);
            Box::pin(async move { judged.await.map_err(Into::into) })
        }));
        self
    }

    /// Has `edit` change the headers of the first response of each session, a WebSocket's 101 included.
    #[must_use]
    pub fn initial_headers(mut self, edit: impl Fn(&Handshake, &mut HeaderMap) + Send + Sync + 'static) -> Self {
        self.hooks.initial_headers = Some(Arc::new(edit));
        self
    }

    /// Has `edit` change the headers of every response.
    #[must_use]
    pub fn headers(mut self, edit: impl Fn(&mut HeaderMap) + Send + Sync + 'static) -> Self {
        self.hooks.headers = Some(Arc::new(edit));
        self
    }

    /// Tells `listener` of each request that is refused, and why.
    #[must_use]
    pub fn on_connection_error(
        mut self,
        listener: impl Fn(&Handshake, &ConnectionError) + Send + Sync + 'static,
    ) -> Self {
        self.hooks.error = Some(Arc::new(listener));
        self
    }

    /// Serves the scripts of a client below the path.
    pub(crate) fn client_files(mut self, files: ClientFiles) -> Self {
        self.client_files = Some(files);
        self
    }

    /// After how long without a word from a client it has gone.
    pub(crate) const fn patience(&self) -> Duration {
        self.ping_interval.saturating_add(self.ping_timeout)
    }

    /// With how many bytes that wait a session ends.
    pub(super) const fn end_queued(&self) -> usize {
        match self.slow_client {
            SlowClient::End => self.max_queued,
            SlowClient::Drop => self.max_queued.saturating_mul(2),
        }
    }

    /// Which transports a session may go on to.
    pub(super) const fn upgrades(&self) -> bool {
        self.polling && self.websocket && self.upgrades
    }
}
