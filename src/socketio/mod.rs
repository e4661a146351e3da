//! Socket.IO, revision 5 of its protocol (feature `socketio`): events with acknowledgements, in rooms and namespaces, for the
//! clients of node's library and others.
//!
//! ```
//! use std::time::Duration;
//! use sockeye::socketio::{ConnectError, Reply, Server, Socket};
//!
//! let io = Server::new();
//! // Who is let into the main namespace; others have middlewares of their own.
//! io.middleware(|socket: Socket| async move {
//!     let said = socket.auth::<serde_json::Value>().unwrap_or_default();
//!     if said["token"] == "s3cret" { Ok(()) } else { Err(ConnectError::new("no token")) }
//! });
//! io.on_connect(|socket: Socket| async move {
//!     socket.join("lobby");
//!     // To all others in the room.
//!     socket.on("say", |socket: Socket, text: String| async move { socket.to("lobby").emit("said", text) });
//!     // A tuple is several arguments, and a `Reply` acknowledges.
//!     socket.on("add", |_: Socket, (a, b): (i64, i64)| async move { Reply(a + b) });
//!     // What the client acknowledges may be awaited in a handler: its other events wait, the answer does not.
//!     socket.on("start", |socket: Socket| async move {
//!         let is_sure: bool = socket.timeout(Duration::from_secs(5)).emit_with_ack("sure?", ()).await?;
//!         if is_sure { socket.emit("started", ())? }
//!         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
//!     });
//! });
//! // From anywhere, at any time.
//! io.to("lobby").emit("news", "somebody has won")?;
//! # Ok::<_, sockeye::socketio::EmitError>(())
//! ```
//!
//! With the feature `tracing`, what happens is told in the scopes that node's `DEBUG` has: `sockeye::engineio` with `socket` and
//! `polling`, `sockeye::socketio` with `namespace`, `client`, `socket`, `broadcast` and `adapter`, at `debug` what changes and at
//! `trace` each packet, without what is in it. A socket's handlers run in its span, inside of that of its session. Some of it is told under
//! locks: a subscriber that sends what it is told by the server itself has to leave these out.
//!
//! [`Server::listen`] serves it by itself, [`Server::layer`] beside the routes of axum and others.

pub mod adapter;
mod args;
pub mod packet;
mod server;

pub use self::{
    args::{ArgumentsError, FromArguments, ToArguments, Value},
    packet::Arguments,
    server::{
        Ack, AckError, Acknowledged, Broadcast, BroadcastAckError, ClusterError, Config, ConnectError,
        DisconnectReason, Emit, EmitAsyncError, EmitError, Event, EventError, EventHandler, IntoOutcome, IntoReply,
        Namespace, Namespaces, OfAck, OfArguments, OfSocket, Recovery, RemoteSocket, Reply, RoomEvent, Server, Socket,
    },
};
