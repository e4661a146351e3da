use std::{fmt, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{
    AdapterError, EmitError, Namespace, Socket,
    asked::Asked,
    cluster::{Asking, Cluster, Missing},
    emit::Event,
    rooms::Targets,
};
use crate::{
    Compress,
    socketio::{
        ArgumentsError, FromArguments, ToArguments,
        adapter::{self, ClusterEvent, ClusterMessage, ClusterResponse, Flags, RequestId},
    },
    stream::after,
};

/// For how long acknowledgements of many clients are waited for, unless it is said otherwise.
pub(super) const ACK_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends to many sockets of a namespace: to all, or those in some rooms, but for those in others. It is cheap to clone, and
/// each of its methods gives another one.
///
/// ```
/// # use sockeye::socketio::{EmitError, Server};
/// # fn example(io: &Server) -> Result<(), EmitError> {
/// io.to("news").to("sports").except("muted").emit("headline", "somebody has won")?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "it does nothing before it emits"]
pub struct Broadcast {
    namespace: Namespace,
    targets: Targets,
    volatile: bool,
    compress: Compress,
    timeout: Duration,
    is_local: bool,
}

impl Broadcast {
    pub(super) fn new(namespace: &Namespace) -> Self {
        Self {
            namespace: namespace.clone(),
            targets: Targets::default(),
            volatile: false,
            compress: Compress::Auto,
            timeout: ACK_TIMEOUT,
            is_local: false,
        }
    }

    pub(super) const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Whom it is for, as other servers are told.
    pub(super) fn targets(&self) -> adapter::Targets {
        (&self.targets).into()
    }

    /// The other servers, if they are meant.
    pub(super) fn cluster(&self) -> Option<&Cluster> {
        self.namespace.cluster().filter(|_| !self.is_local)
    }

    /// Tells the other servers something, if they are meant.
    fn tell(&self, make: impl FnOnce(adapter::Targets) -> ClusterMessage) {
        if let Some(cluster) = self.cluster() {
            cluster.tell(make(self.targets()));
        }
    }

    /// What other servers are to send.
    fn message(&self, event: Event<'_>, timeout: Option<Duration>, request: Option<RequestId>) -> ClusterMessage {
        ClusterMessage::Broadcast {
            event: ClusterEvent { name: event.name.into(), arguments: event.arguments },
            targets: self.targets(),
            flags: Flags { volatile: self.volatile, compress: self.compress, timeout },
            request,
        }
    }

    /// To all but this socket.
    pub(super) fn but(mut self, socket: &Socket) -> Self {
        self.targets.not = Some(socket.id());
        self
    }

    /// Adds a room: who is in one of those that were added is meant, once. A socket's id is the name of its own room.
    pub fn to(mut self, room: impl AsRef<str>) -> Self {
        self.targets.rooms.push(Arc::from(room.as_ref()));
        self
    }

    /// As [`to`](Self::to).
    pub fn in_(self, room: impl AsRef<str>) -> Self {
        self.to(room)
    }

    /// Leaves out who is in this room.
    pub fn except(mut self, room: impl AsRef<str>) -> Self {
        self.targets.except.push(Arc::from(room.as_ref()));
        self
    }

    /// To the sockets of this server only, and not those of others in a cluster; a server that is alone has no others.
    pub const fn local(mut self) -> Self {
        self.is_local = true;
        self
    }

    /// Drops events for clients that cannot take them now: what comes later is worth more.
    pub const fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// Sets whether events are compressed, where that was agreed on.
    pub const fn compress(mut self, compress: Compress) -> Self {
        self.compress = compress;
        self
    }

    /// Sets for how long acknowledgements are waited for (default: 5 s).
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends an event. It is encoded once for all, on each server.
    ///
    /// # Errors
    ///
    /// [`EmitError`]: the caller's fault, and nothing was sent.
    pub fn emit(&self, event: &str, arguments: impl ToArguments) -> Result<(), EmitError> {
        let event = Event::new(&self.namespace, event, arguments)?;
        event.publish(&self.namespace, &self.targets, self.volatile, self.compress);
        if let Some(cluster) = self.cluster() {
            cluster.tell(self.message(event, None, None));
        }
        Ok(())
    }

    /// Sends an event, and waits for the acknowledgements of all who got it, on all servers. A client that goes from another
    /// server without an answer is waited for until the time is up.
    ///
    /// # Errors
    ///
    /// [`BroadcastAckError`] with those that have come, if some have not in time, or their clients have gone, or one is not
    /// what is wanted.
    ///
    /// # Cancel safety
    ///
    /// The event is sent when it is first polled, or in a cluster, when it is known which servers there are; dropped, the
    /// answers are ignored.
    pub async fn emit_with_ack<T: FromArguments>(
        &self,
        event: &str,
        arguments: impl ToArguments,
    ) -> Result<Vec<T>, BroadcastAckError<T>> {
        let event = Event::new(&self.namespace, event, arguments).map_err(BroadcastAckError::Emit)?;
        let deadline: Instant = after(self.timeout);
        let mut asking = None;
        if let Some(cluster) = self.cluster() {
            let event = Event { name: event.name, arguments: event.arguments.clone() };
            let make = |request| self.message(event, Some(self.timeout), Some(request));
            asking = Some(cluster.ask(deadline, make).await.map_err(BroadcastAckError::Adapter)?);
        }
        let asked = Asked::ask(&self.namespace, &event, &self.targets, self.volatile, self.compress);
        gather(asked, asking, deadline).await
    }

    /// The sockets that are meant, of this server; [`fetch_sockets`](Self::fetch_sockets) has those of others as well.
    pub fn sockets(&self) -> Vec<Socket> {
        self.namespace.rooms().sockets(&self.targets)
    }

    /// Has them join a room.
    pub fn sockets_join(&self, room: impl AsRef<str>) {
        for socket in self.sockets() {
            socket.join(room.as_ref());
        }
        self.tell(|targets| ClusterMessage::SocketsJoin { targets, rooms: vec![room.as_ref().into()] });
    }

    /// Has them leave a room.
    pub fn sockets_leave(&self, room: impl AsRef<str>) {
        for socket in self.sockets() {
            socket.leave(room.as_ref());
        }
        self.tell(|targets| ClusterMessage::SocketsLeave { targets, rooms: vec![room.as_ref().into()] });
    }

    /// Has them leave the namespace.
    pub fn disconnect_sockets(&self) {
        for socket in self.sockets() {
            socket.disconnect();
        }
        self.tell(|targets| ClusterMessage::DisconnectSockets { targets, close: false });
    }

    /// Ends the connections of their clients.
    pub fn close_connections(&self) {
        for socket in self.sockets() {
            socket.close_connection();
        }
        self.tell(|targets| ClusterMessage::DisconnectSockets { targets, close: true });
    }
}

/// Takes the acknowledgements of clients of this server and of others, until all are there or it is late.
async fn gather<T: FromArguments>(
    mut asked: Asked,
    mut asking: Option<Asking<'_>>,
    deadline: Instant,
) -> Result<Vec<T>, BroadcastAckError<T>> {
    let (mut responses, mut fault, mut own) = (Vec::new(), None, 0);
    let mut faults = 0;
    loop {
        let is_complete = asking.as_ref().is_none_or(Asking::is_complete);
        if asked.outstanding() == 0 && is_complete {
            break;
        }
        let answer = tokio::select! {
            answer = asked.next(), if asked.outstanding() > 0 => {
                let answer = answer.flatten();
                own += usize::from(answer.is_some());
                answer
            }
            response = next(asking.as_mut()), if !is_complete => match response {
                Ok(Some(ClusterResponse::Acknowledgement(answer))) => Some(answer),
                Ok(_) => None,
                Err(()) => break,
            },
            () = sleep_until(deadline) => break,
        };
        match answer.map(|answer| T::from_arguments(&answer)) {
            Some(Ok(response)) => responses.push(response),
            Some(Err(error)) => (fault, faults) = (Some(error), faults + 1),
            // One has gone.
            None => {}
        }
    }
    let Missing { servers, clients } = asking.map(|asking| asking.missing()).unwrap_or_default();
    let missing = (asked.len() - own + faults).saturating_add(clients);
    if missing == 0 && servers == 0 {
        Ok(responses)
    } else {
        Err(BroadcastAckError::Missing { responses, missing, servers, fault })
    }
}

/// The next answer of other servers; there is none if nobody was asked.
async fn next(asking: Option<&mut Asking<'_>>) -> Result<Option<ClusterResponse>, ()> {
    match asking {
        Some(asking) => asking.next().await,
        None => Err(()),
    }
}

impl fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.namespace.name();
        f.debug_struct("Broadcast").field("namespace", &name).field("targets", &self.targets).finish_non_exhaustive()
    }
}

/// Why not all acknowledgements are there.
#[derive(Debug, thiserror::Error)]
pub enum BroadcastAckError<T> {
    /// The event could not be sent.
    #[error(transparent)]
    Emit(EmitError),
    /// Other servers could not be asked, and nothing was sent.
    #[error(transparent)]
    Adapter(AdapterError),
    /// Some clients have not acknowledged in time, or have gone; or servers have not said how many clients they have.
    #[error("{missing} acknowledgements are missing, and {servers} servers have not answered")]
    Missing {
        /// What has come.
        responses: Vec<T>,
        /// How many have not, as far as it is known.
        missing: usize,
        /// How many other servers have not said how many clients they have.
        servers: usize,
        /// The last one that was not what is wanted, if one was.
        fault: Option<ArgumentsError>,
    },
}
