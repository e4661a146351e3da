//! What joins servers to a cluster: an [`Adapter`] carries what concerns the sockets of other servers, by Redis or anything
//! else that passes messages.
//!
//! A server sends to its own sockets by itself. It asks its adapter only to tell the others ([`Link::publish`]), to answer
//! one of them ([`Link::respond`]), and how many there are ([`Link::servers`]); the adapter hands what comes from them to a
//! [`Local`]. Requests, the waiting for answers, its limits and its end are the server's: an adapter encodes, decodes and
//! carries.
//!
//! An adapter that carries JSON between two servers, in outline:
//!
//! ```
//! use std::{future::{Future, ready}, pin::Pin, sync::Arc};
//! use sockeye::socketio::{
//!     Config, Server,
//!     adapter::{Adapter, AdapterError, ClusterMessage, ClusterResponse, Link, Local, RequestId, ServerId, Servers},
//! };
//!
//! struct Wire;
//!
//! struct WireLink {
//!     local: Local,
//! }
//!
//! impl Adapter for Wire {
//!     fn open(&self, local: Local) -> Arc<dyn Link> {
//!         // Here, a task begins that reads the wire: `local.receive(&from, message)` for each message of another server.
//!         Arc::new(WireLink { local })
//!     }
//! }
//!
//! impl Link for WireLink {
//!     fn publish(&self, message: ClusterMessage) -> Result<(), AdapterError> {
//!         if let ClusterMessage::Broadcast { event, targets, .. } = message {
//!             let (server, namespace) = (self.local.server(), self.local.namespace());
//!             println!("{server} {namespace} {} {} {:?}", event.name, event.arguments.json(), targets.rooms);
//!         }
//!         Ok(())
//!     }
//!     fn respond(&self, _to: &ServerId, _request: &RequestId, _response: ClusterResponse) -> Result<(), AdapterError> {
//!         Ok(())
//!     }
//!     fn servers(&self) -> Pin<Box<dyn Future<Output = Result<Servers, AdapterError>> + Send + '_>> {
//!         Box::pin(ready(Ok(Servers::Count(0))))
//!     }
//!     fn close(&self) {}
//! }
//!
//! let io = Server::with_config(Config::new().adapter(Wire));
//! ```

mod message;

use std::{error::Error, pin::Pin, sync::Arc};

pub use self::message::{
    ClusterEvent, ClusterMessage, ClusterResponse, Flags, HandshakeDetails, RequestId, ServerId, Servers,
    SocketDetails, Targets,
};
pub use super::server::Local;

/// Joins the namespaces of a server to those of others: what [`Config::adapter`](super::Config::adapter) takes.
pub trait Adapter: Send + Sync + 'static {
    /// Joins a namespace. It is called when that is made, which may be on any thread, and is not to wait.
    ///
    /// Two threads may make a namespace at the same time; then, both open a link, of which one is closed before anything
    /// was published on it. `local` may be kept for as long as one likes: it does not keep the namespace.
    fn open(&self, local: Local) -> Arc<dyn Link>;
}

/// What joins one namespace to those of its name on other servers. It is called from any thread.
pub trait Link: Send + Sync {
    /// Tells all other servers something, not this one. It is not to wait: what cannot leave now is queued, up to a limit of
    /// the adapter's.
    ///
    /// # Errors
    ///
    /// If it will not leave. Local sockets have got what concerns them all the same; the error goes to the log, or to the one
    /// who asked for an answer.
    fn publish(&self, message: ClusterMessage) -> Result<(), AdapterError>;

    /// Answers one server, as [`publish`](Self::publish) tells all.
    ///
    /// # Errors
    ///
    /// If it will not leave, which goes to the log.
    fn respond(&self, to: &ServerId, request: &RequestId, response: ClusterResponse) -> Result<(), AdapterError>;

    /// Says which other servers have the namespace now: so many answers are waited for.
    fn servers(&self) -> Pin<Box<dyn Future<Output = Result<Servers, AdapterError>> + Send + '_>>;

    /// A room of this server has come into being or gone: [`Local::has_room`] says which, as of two threads' changes the
    /// later one may be told first. It is for adapters that subscribe to rooms; the others do nothing. Sockets' own rooms are
    /// not told of.
    fn room_changed(&self, room: &str) {
        let _ = room;
    }

    /// The namespace has gone, or the server closes: nothing is published any more, and nobody listens. It is called once.
    fn close(&self);
}

/// Why an adapter could not do what it was asked for: its own error, boxed.
#[derive(Debug, thiserror::Error)]
#[error("the adapter failed: {0}")]
pub struct AdapterError(#[source] Box<dyn Error + Send + Sync>);

impl AdapterError {
    /// With the adapter's own error, or a text.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into())
    }

    /// The adapter's own error.
    pub fn into_inner(self) -> Box<dyn Error + Send + Sync> {
        self.0
    }
}
