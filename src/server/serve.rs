use std::{fmt, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream, ToSocketAddrs},
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    Budget, Options, Peer,
    answer::Unopened,
    door::Door,
    judge::Judge,
    log,
    request::receive,
    tracker::{Place, Tracker},
};
#[cfg(any(feature = "rustls", feature = "native-tls"))]
use crate::tls::ServerTls;
use crate::{
    CloseCode, Config, DeflateConfig, Error, Limits, Transport, WebSocket,
    proto::{
        connection::Timeout,
        handshake::{Accept, Origin, Request, Response},
    },
    stream::{MemoryBudget, Metrics, after},
};

/// Answers a request that is not for a WebSocket.
type Fallback = dyn Fn(&Request) -> Response + Send + Sync;

/// A server: accepts connections, and runs a handler on each, in a task of its own.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let server = sockeye::Server::bind("127.0.0.1:9001").await?;
/// println!("listening on ws://{}", server.local_addr()?);
/// server
///     .serve(|mut ws, _request| async move {
///         while let Some(message) = ws.recv().await? {
///             ws.send(message).await?;
///         }
///         Ok::<_, sockeye::Error>(())
///     })
///     .await?;
/// # Ok(()) }
/// ```
///
/// When a handler returns, its connection is closed with 1000, or with 1011 if it returns an error while the
/// connection is open. Replies that a handler sends leave in one write when it waits for anything.
pub struct Server {
    listener: TcpListener,
    options: Options,
    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    tls: Option<ServerTls>,
    budget: Budget,
    drain_timeout: Duration,
    metrics: Option<Arc<dyn Metrics>>,
    judge: Option<Judge>,
    fallback: Option<Arc<Fallback>>,
}

impl Server {
    /// Listens on an address.
    ///
    /// # Errors
    ///
    /// If the operating system refuses it.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, it does not listen.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Ok(Self::from_listener(TcpListener::bind(address).await?))
    }

    /// Takes a listener that was made elsewhere.
    pub fn from_listener(listener: TcpListener) -> Self {
        Self {
            listener,
            options: Options::default(),
            #[cfg(any(feature = "rustls", feature = "native-tls"))]
            tls: None,
            budget: Budget::default(),
            drain_timeout: Duration::from_secs(10),
            metrics: None,
            judge: None,
            fallback: None,
        }
    }

    /// The address that it listens on.
    ///
    /// # Errors
    ///
    /// If the operating system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Sets limits and habits of the connections.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.options.config = config;
        self
    }

    /// Agrees to permessage-deflate with clients that offer it (default: not).
    #[must_use]
    pub fn deflate(mut self, deflate: DeflateConfig) -> Self {
        self.options.deflate = Some(deflate);
        self
    }

    /// Encrypts: clients connect by `wss://`. The TLS handshake is part of what has
    /// [`handshake_timeout`](Limits::handshake_timeout).
    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    #[must_use]
    pub fn tls(mut self, tls: impl Into<ServerTls>) -> Self {
        self.tls = Some(tls.into());
        self
    }

    /// Sets the limits of each connection (default: [`Limits::internet`]).
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.options.config.limits = limits;
        self
    }

    /// Sets what all connections together may cost.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Sets how many connections there may be at once: [`Budget::max_connections`].
    #[must_use]
    pub fn max_connections(self, connections: u32) -> Self {
        let budget = self.budget.max_connections(connections);
        self.budget(budget)
    }

    /// Sets whose pages may connect (default: those of the same host).
    #[must_use]
    pub fn origin(mut self, origin: Origin) -> Self {
        self.options.origin = origin;
        self
    }

    /// Sets how long connections have to end at a shutdown before they are dropped (default: 10 s).
    #[must_use]
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Has what its connections do counted.
    #[must_use]
    pub fn metrics(mut self, metrics: Arc<dyn Metrics>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Looks at each request for a WebSocket before it is accepted, at everything in it and at where it comes from, and
    /// says what it is accepted with or the response that refuses it. It may wait for a database, say: until
    /// [`handshake_timeout`](Limits::handshake_timeout), behind which the client gets 503.
    ///
    /// It sees only proper requests from origins that are let in. Where it says nothing of permessage-deflate, what the
    /// server [does](Self::deflate) holds. The handler gets the request as well, for what it has to know again.
    ///
    /// ```no_run
    /// use sockeye::{Server, proto::handshake::{Accept, Response, same_secret}};
    /// # async fn example(server: Server, token: &'static str) -> Result<(), Box<dyn std::error::Error>> {
    /// let server = server.judge(move |request, _peer| async move {
    ///     match request.bearer_token() {
    ///         Some(given) if same_secret(given, token) => Ok(Accept::default()),
    ///         _ => Err(Response::unauthorized("Bearer").expect("a valid header")),
    ///     }
    /// });
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn judge<J, F>(mut self, judge: J) -> Self
    where
        J: Fn(Request, Peer) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Accept, Response>> + Send + 'static,
    {
        self.judge = Some(Judge::new(judge));
        self
    }

    /// Answers requests that are not for a WebSocket, such as a browser's for a page (default: 426).
    #[must_use]
    pub fn fallback(mut self, fallback: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        self.fallback = Some(Arc::new(fallback));
        self
    }

    /// Serves connections for ever.
    ///
    /// # Errors
    ///
    /// None so far: a connection that cannot be accepted is the next one's chance.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, it stops listening; the connections go on.
    pub async fn serve<H, F, E>(self, handler: H) -> io::Result<()>
    where
        H: Fn(WebSocket, Request) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display + Send + 'static,
    {
        self.serve_until(handler, std::future::pending()).await
    }

    /// Serves connections until `shutdown` is ready; then closes them with 1001, and returns when they have ended or the
    /// drain timeout has passed, behind which their tasks are aborted. Those in their handshake are dropped at once.
    ///
    /// # Errors
    ///
    /// None so far.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, it stops listening; the connections go on.
    pub async fn serve_until<H, F, E>(self, handler: H, shutdown: impl Future<Output = ()>) -> io::Result<()>
    where
        H: Fn(WebSocket, Request) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display + Send + 'static,
    {
        let tracker = Tracker::new(&self.budget);
        let door = Arc::new(Door::new(self.metrics.clone()));
        let (listener, drain_timeout) = (&self.listener, self.drain_timeout);
        let mut options = self.options;
        options.budget.get_or_insert_with(|| MemoryBudget::new(self.budget.max_bytes));
        let site = Arc::new(Site {
            options,
            #[cfg(any(feature = "rustls", feature = "native-tls"))]
            tls: self.tls,
            metrics: self.metrics,
            judge: self.judge,
            fallback: self.fallback,
            door: Arc::clone(&door),
            handler,
        });
        let accept = async {
            loop {
                let (tcp, address) = accept_tcp(listener).await;
                match tracker.place(address.ip()) {
                    Ok(place) => {
                        let key = place.key();
                        // Boxed, so that its memory is given back before the handler runs.
                        let handshake = Box::pin(Arc::clone(&site).handshake(tcp, address));
                        let connection = Arc::clone(&site).connection(handshake, place);
                        #[cfg(feature = "tracing")]
                        let connection = tracing::Instrument::instrument(
                            connection,
                            tracing::debug_span!(target: "sockeye::server", "connection", peer = %address),
                        );
                        let task = tokio::spawn(connection);
                        tracker.started(key, task.abort_handle());
                    }
                    Err(full) => {
                        let (site, until) = (Arc::clone(&site), after(site.options.config.limits.close_timeout));
                        door.turn_away(async move { site.secure(tcp, until).await }, full, until);
                    }
                }
            }
        };
        tokio::select! {
            never = accept => never,
            () = shutdown => {}
        }
        let drained = async { tokio::join!(tracker.drain(), door.drain()) };
        let _ = timeout(drain_timeout, drained).await;
        tracker.abort();
        door.shut();
        Ok(())
    }
}

/// Accepts the next connection. An error concerns that connection, or passes with time: then it waits a little.
async fn accept_tcp(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((tcp, address)) => {
                // Small messages must not wait for each other's acknowledgements; a failure costs only that.
                let _ = tcp.set_nodelay(true);
                return (tcp, address);
            }
            Err(error) if is_of_one_connection(&error) => {}
            // The process is out of descriptors, most likely.
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// What comes of an opening handshake.
type Opened = Result<(WebSocket, Request), Unopened<Transport>>;

/// What all connections of a server have in common.
struct Site<H> {
    options: Options,
    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    tls: Option<ServerTls>,
    metrics: Option<Arc<dyn Metrics>>,
    judge: Option<Judge>,
    fallback: Option<Arc<Fallback>>,
    door: Arc<Door>,
    handler: H,
}

impl<H> Site<H> {
    async fn connection<F, E>(self: Arc<Self>, handshake: Pin<Box<impl Future<Output = Opened>>>, place: Place)
    where
        H: Fn(WebSocket, Request) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display + Send + 'static,
    {
        let (ws, request) = match handshake.await {
            Ok((ws, request)) => (self.metered(ws), request),
            Err(unopened) => {
                // It is answered: its place is for others.
                drop(place);
                // Boxed, as a connection is not to be larger for what most need not.
                return Box::pin(self.door.see_off(unopened)).await;
            }
        };
        let sender = ws.sender();
        place.opened(&sender);
        log::opened(&request, &ws);
        // Boxed, so that the futures around it hold a pointer and not a copy each.
        let mut handler = Box::pin((self.handler)(ws, request));
        drop(self);
        let code = match sender.serve(handler.as_mut()).await {
            Ok(()) => CloseCode::NORMAL,
            Err(error) => {
                log::failed("handler", &error);
                CloseCode::INTERNAL_ERROR
            }
        };
        drop(handler);
        Box::pin(sender.close_if_left(code)).await;
        log::ended(sender.end().as_ref());
    }

    fn metered(&self, ws: WebSocket) -> WebSocket {
        match &self.metrics {
            Some(metrics) => ws.with_metrics(Arc::clone(metrics)),
            None => ws,
        }
    }

    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    async fn secure(&self, tcp: TcpStream, deadline: Instant) -> Result<Transport, Error> {
        match &self.tls {
            Some(tls) => Ok(timeout_at(deadline, tls.accept(tcp.into())).await.map_err(|_| Timeout::Tls)??),
            None => Ok(tcp.into()),
        }
    }

    #[cfg(not(any(feature = "rustls", feature = "native-tls")))]
    async fn secure(&self, tcp: TcpStream, _deadline: Instant) -> Result<Transport, Error> {
        Ok(tcp.into())
    }

    /// Opens the WebSocket, or answers otherwise.
    async fn handshake(self: Arc<Self>, tcp: TcpStream, address: SocketAddr) -> Opened {
        let deadline = after(self.options.config.limits.handshake_timeout);
        let io = self.secure(tcp, deadline).await?;
        let incoming = receive(io, &self.options, deadline).await?;
        let request = incoming.request();
        if let Some(fallback) = &self.fallback
            && !request.is_upgrade()
        {
            let response = fallback(request);
            return Err(Unopened { error: None, answered: Some(incoming.answer(&response).await?) });
        }
        let accept = match &self.judge {
            // What is no proper upgrade is refused for that, before the judge sees it.
            Some(judge) if request.check_upgrade().and_then(|()| self.options.origin.check(request)).is_ok() => {
                let judged = judge.judge(request.clone(), Peer { address });
                let Ok(judged) = timeout_at(incoming.deadline(), judged).await else {
                    let response = Response::plain(503, "the server did not decide in time");
                    let answered = Some(incoming.answer(&response).await?);
                    return Err(Unopened { error: Some(Timeout::Handshake.into()), answered });
                };
                judged
            }
            _ => Ok(Accept::default()),
        };
        match accept {
            Ok(accept) => incoming.open(accept).await,
            Err(response) => Err(Unopened { error: None, answered: Some(incoming.answer(&response).await?) }),
        }
    }
}
