use std::{
    convert::Infallible,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use http::{Request, Response, StatusCode};
use hyper::body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::Engine;

/// A layer that takes the requests of Engine.IO out of a `tower` stack, and lets all others pass.
///
/// ```
/// use axum::{Router, routing::get};
/// use sockeye::engineio::{Config, Engine};
/// let engine = Engine::new(Config::new(), |mut session| async move { while session.recv().await.is_some() {} });
/// let app: Router = Router::new().route("/", get(|| async { "a page" })).layer(engine.layer());
/// ```
#[derive(Clone, Debug)]
pub struct EngineLayer(Engine);

/// What [`EngineLayer`] puts around a service.
#[derive(Clone, Debug)]
pub struct EngineService<S> {
    engine: Engine,
    inner: S,
}

/// A service that finds nothing: 404.
#[derive(Debug)]
pub struct NotFound<B>(PhantomData<fn() -> B>);

impl Engine {
    /// A layer for applications that have other requests as well.
    pub fn layer(&self) -> EngineLayer {
        EngineLayer(self.clone())
    }

    /// A service for Engine.IO and nothing else.
    pub fn into_service<B>(self) -> EngineService<NotFound<B>> {
        EngineService { engine: self, inner: NotFound(PhantomData) }
    }
}

impl<S> Layer<S> for EngineLayer {
    type Service = EngineService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        EngineService { engine: self.0.clone(), inner }
    }
}

impl<S, R, B> Service<Request<R>> for EngineService<S>
where
    S: Service<Request<R>, Response = Response<B>, Future: Send + 'static, Error: Send + 'static>,
    R: Body<Data: Buf + Send> + Send + 'static,
    B: From<Bytes> + Send + 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        if !self.engine.takes(request.uri().path()) {
            return Box::pin(self.inner.call(request));
        }
        let engine = self.engine.clone();
        Box::pin(async move { Ok(engine.respond(request).await) })
    }
}

impl<R, B: From<Bytes>> Service<Request<R>> for NotFound<B> {
    type Response = Response<B>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<B>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: Request<R>) -> Self::Future {
        let mut response = Response::new(B::from(Bytes::new()));
        *response.status_mut() = StatusCode::NOT_FOUND;
        std::future::ready(Ok(response))
    }
}

impl<B> Clone for NotFound<B> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}
