//! WebSockets on requests that hyper 1 has read (feature `hyper`): over HTTP/1.1 (RFC 6455) and HTTP/2 (RFC 8441) alike.
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use sockeye::{Error, hyper::WebSocketUpgrade};
//!
//! async fn handle<B>(mut request: Request<B>) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
//!     let upgrade = match WebSocketUpgrade::from_request(&mut request) {
//!         Ok(upgrade) => upgrade,
//!         Err(rejection) => return Ok(rejection.into_response()),
//!     };
//!     Ok(upgrade.protocols(["chat"]).on_upgrade(|mut ws| async move {
//!         while let Some(message) = ws.recv().await? {
//!             ws.send(message).await?;
//!         }
//!         Ok::<_, Error>(())
//!     }))
//! }
//! # let _ = handle::<()>;
//! ```
//!
//! | for | there is |
//! |---|---|
//! | a hyper service, or anything that has a request | [`WebSocketUpgrade`] |
//! | a `tower` stack | [`WebSocketLayer`], which takes the WebSockets out and lets the rest pass |
//! | axum | the same extractor: `sockeye::axum`, with the feature `axum` |
//! | an end of all WebSockets when the server ends | [`Sockets`] |
//!
//! # HTTP/2
//!
//! A client may ask for WebSockets over HTTP/2 only if the server says so; and as one HTTP/2 connection carries many, one
//! that nobody reads must not use up the window that all of them share. So a server that is made of hyper's parts says
//!
//! ```
//! # use hyper_util::{rt::{TokioExecutor, TokioTimer}, server::conn::auto::Builder};
//! let mut server = Builder::new(TokioExecutor::new());
//! server.http2().timer(TokioTimer::new()).enable_connect_protocol();
//! server.http2().initial_stream_window_size(256 * 1024).initial_connection_window_size(64 * 1024 * 1024);
//! // … and serves with server.serve_connection_with_upgrades(io, service)
//! ```
//!
//! The window of the connection is also what hyper goes by when it counts small messages that no handler has read yet: with
//! this one some 130,000 of them may wait, with hyper's own 2,100; with more, hyper ends the connection and all its WebSockets.
//!
//! `axum::serve` with axum's feature `http2` does the first of the two by itself, and has hyper's own windows.

mod opening;
#[cfg(feature = "socketio")]
mod patient;
mod rejection;
mod request;
mod response;
mod run;
mod service;
mod sockets;
mod transport;
mod upgrade;

pub use self::{
    opening::Opening,
    rejection::Rejection,
    run::Outcome,
    service::{Refusing, WebSocketLayer, WebSocketService},
    sockets::Sockets,
    upgrade::WebSocketUpgrade,
};
#[cfg(feature = "socketio")]
pub(crate) use self::{patient::Patient, request::read_head};
