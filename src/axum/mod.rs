//! An extractor for axum 0.8 (feature `axum`): [`WebSocketUpgrade`], over HTTP/1.1 and HTTP/2 alike.
//!
//! ```
//! use axum::{Router, response::Response, routing::any};
//! use sockeye::{DeflateConfig, Error, axum::WebSocketUpgrade};
//!
//! async fn chat(ws: WebSocketUpgrade) -> Response {
//!     ws.protocols(["chat"]).deflate(DeflateConfig::default()).on_upgrade(|mut ws| async move {
//!         while let Some(message) = ws.recv().await? {
//!             ws.send(message).await?;
//!         }
//!         Ok::<_, Error>(())
//!     })
//! }
//!
//! // `any`, as HTTP/1.1 asks by GET, and HTTP/2 by CONNECT.
//! let app: Router = Router::new().route("/chat", any(chat));
//! ```
//!
//! Over HTTP/2 it needs axum's feature `http2`. The windows of `axum::serve` are hyper's own, so that a WebSocket which its
//! handler does not read can stop the others of the same client, and with 2,100 small messages unread end them;
//! [`hyper`](crate::hyper) says how a server is made that has larger ones.
//!
//! What the whole application has in common goes into the request's extensions, by axum's own `Extension`:
//!
//! ```
//! # use std::sync::Arc;
//! # use sockeye::{hyper::Sockets, proto::handshake::Origin, server::Options, stream::Metrics};
//! # struct Counters;
//! # impl Metrics for Counters {}
//! # fn example(app: axum::Router) -> Result<axum::Router, sockeye::proto::handshake::InvalidOrigin> {
//! let mut options = Options::default();
//! options.origin = Origin::same_host().allow(["https://app.example.com"])?;
//! let sockets = Sockets::new(); // `sockets.shut_down(…)` ends them all
//! let metrics: Arc<dyn Metrics> = Arc::new(Counters);
//! let app = app.layer(axum::Extension(options)).layer(axum::Extension(sockets)).layer(axum::Extension(metrics));
//! # Ok(app) }
//! ```

mod extract;

use axum_core::body::Body;

pub use crate::hyper::{Outcome, Rejection, Sockets};

/// The extractor: see [`hyper::WebSocketUpgrade`](crate::hyper::WebSocketUpgrade) for what it can do.
///
/// As an argument of a handler it is the request for a WebSocket, or the handler is not called and the client told why
/// not: [`Rejection`]. An `Option` of it is `None` for a request that is not for a WebSocket, such as a browser's for a
/// page at the same path.
pub type WebSocketUpgrade = crate::hyper::WebSocketUpgrade<Body>;
