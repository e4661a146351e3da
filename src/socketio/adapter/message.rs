use std::{fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Compress, Utf8Bytes, socketio::Arguments};

macro_rules! id {
    ($(#[$doc:meta])+ $name:ident) => {
        $(#[$doc])+
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(Arc<str>);

        impl $name {
            /// One that is written so.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// A server of a cluster: node's `uid`. It may be any text that no other server has.
    ServerId
}

id! {
    /// What is asked of other servers, and answered.
    RequestId
}

/// Whom something is for: all sockets, or those in one of the rooms; but none that is in one of `except`.
///
/// A socket's id is the name of its own room, in both.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Targets {
    /// The rooms; none is all sockets.
    pub rooms: Vec<Arc<str>>,
    /// The rooms that are left out.
    pub except: Vec<Arc<str>>,
}

/// How an event is sent.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Flags {
    /// Whether it is dropped for clients that cannot take it now.
    pub volatile: bool,
    /// Whether it is compressed.
    pub compress: Compress,
    /// For how long acknowledgements are waited for.
    pub timeout: Option<Duration>,
}

/// An event, its arguments undecoded: [`Arguments::values`] decodes them for another format than JSON,
/// [`Arguments::from_values`] encodes them.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterEvent {
    /// Its name.
    pub name: Utf8Bytes,
    /// Its arguments.
    pub arguments: Arguments,
}

/// What one server tells all others of a namespace.
///
/// | node's cluster protocol | node's classic Redis adapter |
/// |---|---|
/// | `BROADCAST` (3) | the message on the channel, or `BROADCAST` (7) if a request is named |
/// | `SOCKETS_JOIN` (4), `SOCKETS_LEAVE` (5), `DISCONNECT_SOCKETS` (6) | `REMOTE_JOIN` (2), `REMOTE_LEAVE` (3), `REMOTE_DISCONNECT` (4) |
/// | `FETCH_SOCKETS` (7) | `REMOTE_FETCH` (5) |
/// | `SERVER_SIDE_EMIT` (9) | `SERVER_SIDE_EMIT` (6) |
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterMessage {
    /// Sends an event to sockets.
    Broadcast {
        /// The event.
        event: ClusterEvent,
        /// Whose.
        targets: Targets,
        /// How.
        flags: Flags,
        /// Asks for acknowledgements: [`ClusterResponse::ClientCount`] once, and a
        /// [`ClusterResponse::Acknowledgement`] for each client.
        request: Option<RequestId>,
    },
    /// Has sockets join rooms.
    SocketsJoin {
        /// Which ones.
        targets: Targets,
        /// The rooms.
        rooms: Vec<Arc<str>>,
    },
    /// Has sockets leave rooms.
    SocketsLeave {
        /// Which ones.
        targets: Targets,
        /// The rooms.
        rooms: Vec<Arc<str>>,
    },
    /// Has sockets leave the namespace.
    DisconnectSockets {
        /// Which ones.
        targets: Targets,
        /// Whether their clients' connections end as well.
        close: bool,
    },
    /// Asks for sockets: [`ClusterResponse::Sockets`].
    FetchSockets {
        /// Which ones.
        targets: Targets,
        /// The request.
        request: RequestId,
    },
    /// Sends an event to servers.
    ServerSideEmit {
        /// The event.
        event: ClusterEvent,
        /// Asks for an answer: [`ClusterResponse::ServerSideEmit`].
        request: Option<RequestId>,
    },
}

/// What one server answers another one.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterResponse {
    /// The sockets that were asked for (8; 5).
    Sockets(Vec<SocketDetails>),
    /// What the listener of an event replied (10; 6). On node's wire, only the first argument travels.
    ServerSideEmit(Arguments),
    /// How many clients were sent a broadcast, and will acknowledge it (11; 8).
    ClientCount(usize),
    /// What one of them acknowledges (12; 9). On node's wire, only the first argument travels.
    Acknowledgement(Arguments),
}

/// Which other servers have the namespace, so that it is known when all have answered.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Servers {
    /// These. Answers of others are ignored, and nobody waits for one that has [left](super::Local::server_left).
    Known(Vec<ServerId>),
    /// So many, as Redis tells. One that vanishes is waited for until the time is up.
    Count(usize),
}

/// A socket, as one server describes it to others. It serializes as node does.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct SocketDetails {
    /// Its id.
    pub id: String,
    /// How its client has come.
    pub handshake: HandshakeDetails,
    /// The rooms that it is in, its own among them.
    pub rooms: Vec<String>,
    /// What was noted of it: an object, on servers of this library.
    #[serde(default)]
    pub data: Value,
}

/// How a client has come: node's `handshake`, with its nine members. What it does not know is empty.
///
/// It holds what may be secrets: cookies, tokens in the query and in `auth`. Its `Debug` form shows none of them.
#[derive(Clone, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct HandshakeDetails {
    /// The headers of the request, by names in lower case: texts, or arrays of texts.
    pub headers: Map<String, Value>,
    /// When it came, as JavaScript writes a date.
    pub time: String,
    /// The client's address.
    pub address: String,
    /// Whether it came from a page of another origin.
    pub xdomain: bool,
    /// Whether it came over TLS.
    pub secure: bool,
    /// When it came, in milliseconds since 1970.
    pub issued: u64,
    /// The target of the request.
    pub url: String,
    /// What stands behind its `?`: texts, or arrays of texts.
    pub query: Map<String, Value>,
    /// What the client has said of itself.
    pub auth: Value,
}

impl fmt::Debug for HandshakeDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandshakeDetails").field("address", &self.address).finish_non_exhaustive()
    }
}

impl ClusterMessage {
    /// As node calls it.
    #[cfg(feature = "tracing")]
    pub(in crate::socketio) const fn kind(&self) -> &'static str {
        match self {
            Self::Broadcast { .. } => "BROADCAST",
            Self::SocketsJoin { .. } => "SOCKETS_JOIN",
            Self::SocketsLeave { .. } => "SOCKETS_LEAVE",
            Self::DisconnectSockets { .. } => "DISCONNECT_SOCKETS",
            Self::FetchSockets { .. } => "FETCH_SOCKETS",
            Self::ServerSideEmit { .. } => "SERVER_SIDE_EMIT",
        }
    }
}

/// What a message takes beside its bytes.
const OVERHEAD: usize = 200;

impl ClusterResponse {
    /// Some number of bytes that it takes at least.
    pub(in crate::socketio) fn cost(&self) -> usize {
        OVERHEAD
            + match self {
                Self::Sockets(sockets) => sockets.iter().map(SocketDetails::cost).sum(),
                Self::ServerSideEmit(arguments) | Self::Acknowledgement(arguments) => arguments.len(),
                Self::ClientCount(_) => 0,
            }
    }
}

impl SocketDetails {
    fn cost(&self) -> usize {
        let HandshakeDetails { headers, query, auth, url, .. } = &self.handshake;
        let members = headers.iter().chain(query).map(|(name, value)| OVERHEAD + name.len() + cost_of(value));
        let rooms: usize = self.rooms.iter().map(|room| room.len() + 32).sum();
        OVERHEAD + members.sum::<usize>() + rooms + url.len() + cost_of(auth) + cost_of(&self.data)
    }
}

/// About how many bytes a value takes.
fn cost_of(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 32,
        Value::String(text) => 32 + text.len(),
        Value::Array(elements) => 32 + elements.iter().map(cost_of).sum::<usize>(),
        Value::Object(members) => {
            32 + members.iter().map(|(name, value)| 64 + name.len() + cost_of(value)).sum::<usize>()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_written_with_nodes_names_and_read_without_what_is_missing() {
        let details = SocketDetails {
            id: "an id".into(),
            handshake: HandshakeDetails { secure: true, ..HandshakeDetails::default() },
            rooms: vec!["an id".into(), "room".into()],
            data: serde_json::json!({ "name": "fish" }),
        };
        let json = serde_json::to_value(&details).expect("it is JSON");
        let mut names: Vec<_> = json["handshake"].as_object().expect("an object").keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["address", "auth", "headers", "issued", "query", "secure", "time", "url", "xdomain"]);
        assert_eq!(serde_json::from_value::<SocketDetails>(json).expect("what was written"), details);
        let least = serde_json::json!({ "id": "a", "handshake": {}, "rooms": [] });
        assert_eq!(serde_json::from_value::<SocketDetails>(least).expect("enough").data, Value::Null);
    }

    #[test]
    fn a_handshake_shows_no_secret() {
        let auth = serde_json::json!({ "token": "s3cret" });
        let handshake = HandshakeDetails { auth, url: "/?token=s3cret".into(), ..HandshakeDetails::default() };
        assert!(!format!("{handshake:?}").contains("s3cret"));
    }
}
