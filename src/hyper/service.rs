use std::{
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::{Outcome, Sockets, WebSocketUpgrade, request::Head};
use crate::{WebSocket, proto::handshake, server::Options, stream::Metrics};

/// A layer that takes the requests for WebSockets out of a `tower` stack, and lets all others pass.
///
/// ```
/// use axum::{Router, routing::get};
/// use sockeye::{Error, hyper::WebSocketLayer};
/// let echo = WebSocketLayer::new(|mut ws, _request| async move {
///     while let Some(message) = ws.recv().await? {
///         ws.send(message).await?;
///     }
///     Ok::<_, Error>(())
/// });
/// let app: Router = Router::new().route("/", get(|| async { "a page" })).layer(echo);
/// ```
///
/// [`into_service`](Self::into_service) makes a service of it that answers all other requests with 426.
pub struct WebSocketLayer<H> {
    handler: Arc<H>,
    protocols: Arc<[String]>,
    options: Option<Options>,
    sockets: Option<Sockets>,
    metrics: Option<Arc<dyn Metrics>>,
}

/// What [`WebSocketLayer`] puts around a service.
#[derive(Clone, Debug)]
pub struct WebSocketService<H, S> {
    layer: WebSocketLayer<H>,
    inner: S,
}

/// A service that refuses what is not for a WebSocket.
pub struct Refusing<B>(PhantomData<fn() -> B>);

impl<H> WebSocketLayer<H> {
    /// Has each WebSocket run by `handler`, which is given the request as well.
    pub fn new<F>(handler: H) -> Self
    where
        H: Fn(WebSocket, handshake::Request) -> F,
        F: Future<Output: Outcome>,
    {
        Self { handler: Arc::new(handler), protocols: Arc::default(), options: None, sockets: None, metrics: None }
    }

    /// Chooses the first of these subprotocols that a client offers.
    #[must_use]
    pub fn protocols<I>(mut self, preferences: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.protocols = preferences.into_iter().map(Into::into).collect();
        self
    }

    /// Sets what a connection is allowed (default: those of the request's extensions, or else the default).
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = Some(options);
        self
    }

    /// Counts the WebSockets among these (default: those of the request's extensions).
    #[must_use]
    pub fn sockets(mut self, sockets: &Sockets) -> Self {
        self.sockets = Some(sockets.clone());
        self
    }

    /// Has what the WebSockets do counted (default: by the metrics of the request's extensions), and with what status each
    /// request was refused that is for a WebSocket.
    #[must_use]
    pub fn metrics(mut self, metrics: Arc<dyn Metrics>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// A service for WebSockets and nothing else.
    pub const fn into_service<B>(self) -> WebSocketService<H, Refusing<B>> {
        WebSocketService { layer: self, inner: Refusing(PhantomData) }
    }

    fn answer<B, R, F>(&self, request: &mut Request<R>) -> Response<B>
    where
        B: From<Bytes>,
        H: Fn(WebSocket, handshake::Request) -> F + Send + Sync + 'static,
        F: Future<Output: Outcome> + Send + 'static,
    {
        let metrics = self.metrics.clone().or_else(|| request.extensions().get().cloned());
        let mut upgrade = match WebSocketUpgrade::from_request(request) {
            Ok(upgrade) => upgrade.protocols(self.protocols.iter()),
            Err(rejection) => return rejection.counted(metrics.as_deref()),
        };
        if let Some(metrics) = metrics {
            upgrade = upgrade.metrics(metrics);
        }
        if let Some(options) = &self.options {
            upgrade = upgrade.options(options.clone());
        }
        if let Some(sockets) = &self.sockets {
            upgrade = upgrade.sockets(sockets);
        }
        let (handler, request) = (Arc::clone(&self.handler), upgrade.request().clone());
        upgrade.on_upgrade(move |ws| handler(ws, request))
    }
}

impl<H, S> Layer<S> for WebSocketLayer<H> {
    type Service = WebSocketService<H, S>;

    fn layer(&self, inner: S) -> Self::Service {
        WebSocketService { layer: self.clone(), inner }
    }
}

impl<H, S, F, R, B> Service<Request<R>> for WebSocketService<H, S>
where
    H: Fn(WebSocket, handshake::Request) -> F + Send + Sync + 'static,
    F: Future<Output: Outcome> + Send + 'static,
    S: Service<Request<R>, Response = Response<B>, Future: Send + 'static, Error: Send + 'static>,
    B: From<Bytes> + Send + 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<R>) -> Self::Future {
        let is_ours = Head::from(&request).read().is_ok_and(|request| request.is_upgrade());
        if is_ours { Box::pin(ready(Ok(self.layer.answer(&mut request)))) } else { Box::pin(self.inner.call(request)) }
    }
}

impl<R, B: From<Bytes>> Service<Request<R>> for Refusing<B> {
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Ready<Result<Response<B>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<R>) -> Self::Future {
        ready(Ok(match WebSocketUpgrade::<B>::from_request(&mut request) {
            Ok(_) => unreachable!("a request for a WebSocket does not come here"),
            Err(rejection) => rejection.into_response(),
        }))
    }
}

impl<B> Clone for Refusing<B> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<B> fmt::Debug for Refusing<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusing").finish()
    }
}

impl<H> Clone for WebSocketLayer<H> {
    fn clone(&self) -> Self {
        Self {
            handler: Arc::clone(&self.handler),
            protocols: Arc::clone(&self.protocols),
            options: self.options.clone(),
            sockets: self.sockets.clone(),
            metrics: self.metrics.clone(),
        }
    }
}

impl<H> fmt::Debug for WebSocketLayer<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketLayer").field("protocols", &self.protocols).finish_non_exhaustive()
    }
}
