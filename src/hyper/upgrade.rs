use std::{fmt, marker::PhantomData, sync::Arc};

use bytes::Bytes;
use http::{Extensions, request::Parts};
use hyper::upgrade::OnUpgrade;

use super::{
    Opening, Outcome, Rejection, Sockets,
    request::Head,
    response::sent,
    run::{Failed, run},
};
use crate::{
    DeflateConfig, Error, Keepalive, Limits, WebSocket,
    proto::{
        connection::DeflateSettings,
        handshake::{Accept, Origin, Refusal, Request},
        http::{InvalidHeader, Version},
    },
    server::{Options, Place},
    stream::Metrics,
};

/// A request for a WebSocket that waits for its answer: a response, whose body is a `B`, and a handler.
///
/// What it says by default is what a [`Server`](crate::Server) says: pages of the same host only, the limits of
/// [`Limits::internet`], keepalive, and no compression. [`Options`], [`Sockets`] and an `Arc<dyn Metrics>` in the request's
/// extensions take the place of that.
///
/// ```
/// # use sockeye::{DeflateConfig, hyper::WebSocketUpgrade};
/// # fn example(upgrade: WebSocketUpgrade<bytes::Bytes>) -> http::Response<bytes::Bytes> {
/// upgrade.protocols(["chat.v2", "chat.v1"]).deflate(DeflateConfig::default()).on_upgrade(|mut ws| async move {
///     while let Some(message) = ws.recv().await? {
///         ws.send(message).await?;
///     }
///     Ok::<_, sockeye::Error>(())
/// })
/// # }
/// ```
#[must_use = "the client waits for a response"]
pub struct WebSocketUpgrade<B> {
    request: Request,
    on_upgrade: OnUpgrade,
    options: Options,
    accept: Accept,
    sockets: Option<Sockets>,
    metrics: Option<Arc<dyn Metrics>>,
    failed: Option<Failed>,
    body: PhantomData<fn() -> B>,
}

impl<B> WebSocketUpgrade<B> {
    /// Takes the request for a WebSocket out of a request that hyper has read.
    ///
    /// # Errors
    ///
    /// [`Rejection`] if it is no proper request for a WebSocket (RFC 6455 §4.2.1, RFC 8441 §5), or cannot be upgraded.
    pub fn from_request<R>(request: &mut http::Request<R>) -> Result<Self, Rejection> {
        let head = Head::from(&*request);
        Self::take(head.read(), head.version(), request.extensions_mut())
    }

    /// As [`from_request`](Self::from_request), of a request without its body.
    ///
    /// # Errors
    ///
    /// As for [`from_request`](Self::from_request).
    pub fn from_parts(parts: &mut Parts) -> Result<Self, Rejection> {
        let head = Head::from(&*parts);
        Self::take(head.read(), head.version(), &mut parts.extensions)
    }

    /// As [`from_parts`](Self::from_parts), of a request that was read before.
    #[cfg(feature = "socketio")]
    pub(crate) fn from_read(request: Result<Request, Refusal>, parts: &mut Parts) -> Result<Self, Rejection> {
        let version = Head::from(&*parts).version();
        Self::take(request, version, &mut parts.extensions)
    }

    fn take(
        request: Result<Request, Refusal>,
        version: Option<Version>,
        extensions: &mut Extensions,
    ) -> Result<Self, Rejection> {
        let version = version.unwrap_or(Version::Http11);
        let request = request.and_then(|request| request.check_upgrade().map(|()| request));
        let request = request.map_err(|refusal| Rejection::Refused { refusal, version })?;
        let on_upgrade = extensions.remove().ok_or(Rejection::NotUpgradable { version })?;
        Ok(Self {
            request,
            on_upgrade,
            options: extensions.get().cloned().unwrap_or_default(),
            accept: Accept::default(),
            sockets: extensions.get().cloned(),
            metrics: extensions.get().cloned(),
            failed: None,
            body: PhantomData,
        })
    }

    /// What the client asks for.
    pub const fn request(&self) -> &Request {
        &self.request
    }

    /// Chooses the first of these subprotocols that the client offers, what is liked best first; none if it offers none
    /// of them.
    pub fn protocols<I>(mut self, preferences: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut preferences = preferences.into_iter();
        self.accept.subprotocol = preferences.find_map(|preferred| {
            let preferred = preferred.as_ref();
            self.request.choose_subprotocol([preferred]).map(String::from)
        });
        self
    }

    /// The subprotocol that [`protocols`](Self::protocols) has chosen.
    pub fn selected_protocol(&self) -> Option<&str> {
        self.accept.subprotocol.as_deref()
    }

    /// Adds a header to the response that accepts.
    ///
    /// # Errors
    ///
    /// [`InvalidHeader`] if it is none. One of the handshake's own shows in the response, a 500.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, InvalidHeader> {
        self.accept.headers.push(name, value)?;
        Ok(self)
    }

    /// Sets all that a connection is allowed.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Sets the limits (default: [`Limits::internet`]).
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.options.config.limits = limits;
        self
    }

    /// Compresses for clients that offer permessage-deflate (default: not).
    pub fn deflate(mut self, deflate: DeflateConfig) -> Self {
        self.options.deflate = Some(deflate);
        self
    }

    /// Sets how clients are asked whether they are still there (default: as a [`Server`](crate::Server) asks), or stops it.
    pub const fn keepalive(mut self, keepalive: Option<Keepalive>) -> Self {
        self.options.config.keepalive = keepalive;
        self
    }

    /// Sets whose pages may connect (default: those of the same host). Others get 403.
    pub fn origin(mut self, origin: Origin) -> Self {
        self.options.origin = origin;
        self
    }

    /// Counts the WebSocket among these, and ends it with them.
    pub fn sockets(mut self, sockets: &Sockets) -> Self {
        self.sockets = Some(sockets.clone());
        self
    }

    /// Has what the WebSocket does counted (default: not), and the status with which [`on_upgrade`](Self::on_upgrade)
    /// refuses. What else the application answers, a [`Rejection`] of the request included, is its own to count.
    ///
    /// ```
    /// # use std::sync::{Arc, atomic::{AtomicUsize, Ordering::Relaxed}};
    /// # use sockeye::{hyper::WebSocketUpgrade, stream::Metrics};
    /// #[derive(Default)]
    /// struct Opened(AtomicUsize);
    /// impl Metrics for Opened {
    ///     fn opened(&self) {
    ///         self.0.fetch_add(1, Relaxed);
    ///     }
    /// }
    /// # fn example(upgrade: WebSocketUpgrade<bytes::Bytes>, opened: Arc<Opened>) -> http::Response<bytes::Bytes> {
    /// upgrade.metrics(opened).on_upgrade(|mut ws| async move { ws.send("counted").await })
    /// # }
    /// ```
    pub fn metrics(mut self, metrics: Arc<dyn Metrics>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Is told why a request that was accepted did not become a WebSocket, such as that the client went away (default:
    /// it goes to the log).
    pub fn on_failed_upgrade(mut self, failed: impl FnOnce(Error) + Send + 'static) -> Self {
        self.failed = Some(Box::new(failed));
        self
    }
}

impl<B: From<Bytes>> WebSocketUpgrade<B> {
    /// Accepts the request, and has a task of its own run the handler once the response is sent.
    ///
    /// What the handler sends leaves in one write when it waits for anything. A connection that it leaves open is closed
    /// with 1000, or with 1011 if it returns an error. If the request cannot be accepted, the response says why, and
    /// there is no WebSocket.
    ///
    /// The response is to be sent as it is: hyper hands the connection over behind another one as well.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn on_upgrade<H, F>(mut self, handler: H) -> http::Response<B>
    where
        H: FnOnce(WebSocket) -> F + Send + 'static,
        F: Future<Output: Outcome> + Send + 'static,
    {
        let (request, sockets, failed) = (self.request.clone(), self.sockets.take(), self.failed.take());
        let metrics = self.metrics.clone();
        let place = sockets.as_ref().map(|sockets| sockets.place(self.request.version())).transpose();
        let accepted = place.and_then(|place| Ok((self.with_memory_of(sockets.as_ref()).accept()?, place)));
        let ((response, opening), place) = match accepted {
            Ok(accepted) => accepted,
            Err(rejection) => return rejection.counted(metrics.as_deref()),
        };
        let key = place.as_ref().map(Place::key);
        let task = run(request, opening, place, handler, failed);
        match sockets.zip(key) {
            Some((sockets, key)) => sockets.spawn(key, task),
            None => drop(tokio::spawn(task)),
        }
        response
    }

    /// Accepts the request: gives the response, and the WebSocket that is open once it is sent.
    ///
    /// This is for those who run connections themselves: [`serve_connection`](crate::stream::serve_connection) is how, and
    /// [`sockets`](Self::sockets) has no effect.
    ///
    /// # Errors
    ///
    /// [`Rejection`] if the page's origin is not let in, or what the options say cannot be sent.
    pub fn accept(mut self) -> Result<(http::Response<B>, Opening), Rejection> {
        let version = self.request.version();
        self.accept.deflate = self.options.deflate.take();
        let accepted = self.request.acceptance(&self.accept).and_then(|accepted| {
            self.options.origin.check(&self.request)?;
            Ok(accepted)
        });
        let (response, agreed) = accepted.map_err(|error| Rejection::of(error, version))?;
        let deflate =
            self.accept.deflate.zip(agreed.deflate).map(|(config, agreed)| DeflateSettings { config, agreed });
        let opening = Opening::new(self.on_upgrade, version, self.options, agreed, deflate, self.metrics);
        Ok((sent(&response, Bytes::new()), opening))
    }

    fn with_memory_of(mut self, sockets: Option<&Sockets>) -> Self {
        if let Some(sockets) = sockets {
            self.options.budget.get_or_insert_with(|| sockets.memory().clone());
        }
        self
    }
}

impl<B> fmt::Debug for WebSocketUpgrade<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketUpgrade").field("request", &self.request).finish_non_exhaustive()
    }
}
