//! The sockets of all servers of a cluster.

use std::{fmt, sync::Arc, time::UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{AckError, Broadcast, BroadcastAckError, ClusterError, EmitError, Namespace, Socket};
use crate::{
    socketio::{
        FromArguments, ToArguments,
        adapter::{ClusterMessage, ClusterResponse, HandshakeDetails, SocketDetails},
    },
    stream::after,
};

/// A socket of this server or another one, as it was when it was [fetched](Broadcast::fetch_sockets). What is sent here goes
/// to it, wherever it is.
#[derive(Clone)]
pub struct RemoteSocket {
    namespace: Namespace,
    details: Arc<SocketDetails>,
}

impl Broadcast {
    /// The sockets that are meant, those of other servers among them, unless it is [`local`](Self::local). Other servers are
    /// waited for as long as [`Config::cluster_timeout`](super::Config::cluster_timeout) says.
    ///
    /// ```
    /// # use sockeye::socketio::{ClusterError, RemoteSocket, Server};
    /// # async fn example(io: Server) -> Result<(), ClusterError<RemoteSocket>> {
    /// for socket in io.in_("lobby").fetch_sockets().await? {
    ///     println!("{} {:?}", socket.id(), socket.get::<String>("name"));
    ///     socket.join("game");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ClusterError`], with the sockets that are known, if a server has not answered in time. A server that is alone has
    /// none.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped, the answers are ignored.
    pub async fn fetch_sockets(&self) -> Result<Vec<RemoteSocket>, ClusterError<RemoteSocket>> {
        let namespace = self.namespace();
        let remote = |details| RemoteSocket { namespace: namespace.clone(), details: Arc::new(details) };
        let local = || self.sockets().iter().map(Socket::details).map(remote).collect::<Vec<_>>();
        let Some(cluster) = self.cluster() else { return Ok(local()) };
        let deadline = after(cluster.timeout());
        let make = |request| ClusterMessage::FetchSockets { targets: self.targets(), request };
        let asking = cluster.ask(deadline, make).await.map_err(ClusterError::Adapter)?;
        let mut responses = local();
        let missing = asking.gather(deadline, |response| {
            if let ClusterResponse::Sockets(sockets) = response {
                responses.extend(sockets.into_iter().map(remote));
            }
        });
        match missing.await.servers {
            0 => Ok(responses),
            missing => Err(ClusterError::Missing { responses, missing, fault: None }),
        }
    }
}

impl RemoteSocket {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.details.id
    }

    /// The namespace that it is in.
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// How its client has come.
    pub fn handshake(&self) -> &HandshakeDetails {
        &self.details.handshake
    }

    /// The rooms that it was in, its own among them.
    pub fn rooms(&self) -> &[String] {
        &self.details.rooms
    }

    /// Everything that was noted of it: an object, on servers of this library.
    pub fn data(&self) -> &Value {
        &self.details.data
    }

    /// What was noted of it under a name, if it is a `T`.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        T::deserialize(self.data().get(name)?).ok()
    }

    /// To it alone, in a way of its own.
    pub fn broadcast(&self) -> Broadcast {
        self.namespace.to(self.id())
    }

    /// Sends it an event.
    ///
    /// # Errors
    ///
    /// [`EmitError`]: the caller's fault, and nothing was sent.
    pub fn emit(&self, event: &str, arguments: impl ToArguments) -> Result<(), EmitError> {
        self.broadcast().emit(event, arguments)
    }

    /// Sends it an event, and waits for its acknowledgement: 5 s, unless its [`broadcast`](Self::broadcast) says otherwise.
    ///
    /// # Errors
    ///
    /// [`AckError`]. One that has gone from another server is noticed when the time is up.
    ///
    /// # Cancel safety
    ///
    /// As for [`Broadcast::emit_with_ack`].
    pub async fn emit_with_ack<T: FromArguments>(
        &self,
        event: &str,
        arguments: impl ToArguments,
    ) -> Result<T, AckError> {
        match self.broadcast().emit_with_ack(event, arguments).await {
            Ok(answers) => answers.into_iter().next().ok_or(AckError::Disconnected),
            Err(BroadcastAckError::Emit(error)) => Err(error.into()),
            Err(BroadcastAckError::Adapter(error)) => Err(AckError::Adapter(error)),
            Err(BroadcastAckError::Missing { mut responses, fault, .. }) => match (responses.pop(), fault) {
                (Some(response), _) => Ok(response),
                (None, Some(fault)) => Err(fault.into()),
                (None, None) => Err(AckError::TimedOut),
            },
        }
    }

    /// Has it join a room.
    pub fn join(&self, room: impl AsRef<str>) {
        self.broadcast().sockets_join(room);
    }

    /// Has it leave a room.
    pub fn leave(&self, room: impl AsRef<str>) {
        self.broadcast().sockets_leave(room);
    }

    /// Has it leave the namespace.
    pub fn disconnect(&self) {
        self.broadcast().disconnect_sockets();
    }

    /// Ends its client's connection.
    pub fn close_connection(&self) {
        self.broadcast().close_connections();
    }
}

impl fmt::Debug for RemoteSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.namespace.name();
        f.debug_struct("RemoteSocket").field("id", &self.id()).field("namespace", &name).finish_non_exhaustive()
    }
}

impl Socket {
    /// As other servers are told of it.
    pub(super) fn details(&self) -> SocketDetails {
        SocketDetails {
            id: self.id().to_string(),
            handshake: self.handshake_details(),
            rooms: self.rooms().iter().map(|room| room.to_string()).collect(),
            data: Value::Object(self.data()),
        }
    }

    fn handshake_details(&self) -> HandshakeDetails {
        let handshake = self.handshake();
        let request = &handshake.request;
        let mut headers = Map::new();
        for (name, value) in request.headers().iter() {
            // As node does: several lines of a name are one, with commas between them.
            add(
                &mut headers,
                name.to_ascii_lowercase(),
                String::from_utf8_lossy(value).into_owned(),
                |before, more| {
                    *before = format!("{}, {more}", before.as_str().unwrap_or_default()).into();
                },
            );
        }
        let mut query = Map::new();
        for (name, value) in handshake.query() {
            add(&mut query, name, value, |before, more| match before {
                Value::Array(values) => values.push(more.into()),
                one => *one = Value::Array(vec![one.take(), more.into()]),
            });
        }
        let issued = handshake.issued.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        HandshakeDetails {
            headers,
            time: date(handshake.issued),
            address: handshake.peer.map(|peer| peer.ip().to_string()).unwrap_or_default(),
            xdomain: request.headers().contains("origin"),
            secure: handshake.secure,
            issued: u64::try_from(issued).unwrap_or(u64::MAX),
            url: request.target().into(),
            query,
            auth: self.auth().unwrap_or_default(),
        }
    }
}

fn add(members: &mut Map<String, Value>, name: String, value: String, again: impl FnOnce(&mut Value, String)) {
    match members.get_mut(&name) {
        Some(before) => again(before, value),
        None => drop(members.insert(name, value.into())),
    }
}

/// As JavaScript writes a date, in UTC: `Sun Nov 06 1994 08:49:37 GMT+0000 (Coordinated Universal Time)`.
fn date(time: std::time::SystemTime) -> String {
    let written = httpdate::fmt_http_date(time);
    let parts: Vec<_> = written.split([',', ' ']).filter(|part| !part.is_empty()).collect();
    match parts[..] {
        [weekday, day, month, year, clock, "GMT"] => {
            format!("{weekday} {month} {day} {year} {clock} GMT+0000 (Coordinated Universal Time)")
        }
        _ => written,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_written_as_in_javascript() {
        let time = UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(date(time), "Sun Nov 06 1994 08:49:37 GMT+0000 (Coordinated Universal Time)");
    }
}
