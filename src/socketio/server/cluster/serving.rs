//! What other servers want of this one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, time::timeout_at};

use super::Cluster;
use crate::{
    socketio::{
        adapter::{ClusterEvent, ClusterMessage, ClusterResponse, Flags, RequestId, ServerId, Targets},
        server::{Namespace, asked::Asked, broadcast::ACK_TIMEOUT, emit::Event, log, rooms, server_side::Job},
    },
    stream::after,
};

/// How many broadcasts of other servers may wait for acknowledgements of clients here at a time.
const MAX_SERVING: usize = 1024;
/// For how long another server may have them waited for.
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);

impl Namespace {
    /// Does what another server wants.
    pub(super) fn serve(&self, from: &ServerId, message: ClusterMessage) {
        let Some(cluster) = self.cluster() else { return };
        log::told(&cluster.local, "received", &message);
        match message {
            ClusterMessage::Broadcast { event, targets, flags, request } => {
                let event = match Event::new(self, &event.name, event.arguments) {
                    Ok(event) => event,
                    Err(error) => return log::cluster(&cluster.local, &error),
                };
                let targets = rooms::Targets::from(targets);
                // Who remembers clients that have gone notes it all the same.
                if request.is_none() && self.memory().is_none() && !self.rooms().has_any(&targets) {
                    return;
                }
                match request {
                    None => event.publish(self, &targets, flags.volatile, flags.compress),
                    Some(request) => self.serve_asking(cluster, from, &event, &targets, flags, request),
                }
            }
            ClusterMessage::SocketsJoin { targets, rooms } => {
                for socket in self.rooms().sockets(&targets.into()) {
                    rooms.iter().for_each(|room| socket.join(room));
                }
            }
            ClusterMessage::SocketsLeave { targets, rooms } => {
                for socket in self.rooms().sockets(&targets.into()) {
                    rooms.iter().for_each(|room| socket.leave(room));
                }
            }
            ClusterMessage::DisconnectSockets { targets, close } => {
                for socket in self.rooms().sockets(&targets.into()) {
                    if close { socket.close_connection() } else { socket.disconnect() }
                }
            }
            ClusterMessage::FetchSockets { targets, request } => {
                let sockets = self.rooms().sockets(&targets.into());
                let sockets = sockets.iter().map(crate::socketio::Socket::details).collect();
                cluster.respond(from, &request, ClusterResponse::Sockets(sockets));
            }
            ClusterMessage::ServerSideEmit { event: ClusterEvent { name, arguments }, request } => {
                let answer = request.map(|request| (from.clone(), request));
                if !self.hear_server(Job { name, arguments, answer }) {
                    log::cluster(&cluster.local, &"too many events of servers wait for their listeners");
                }
            }
        }
    }

    /// Sends an event of another server's whose clients are to acknowledge it.
    fn serve_asking(
        &self,
        cluster: &Cluster,
        from: &ServerId,
        event: &Event<'_>,
        targets: &rooms::Targets,
        flags: Flags,
        request: RequestId,
    ) {
        let Ok(runtime) = Handle::try_current() else {
            return log::cluster(&cluster.local, &"acknowledgements are waited for within a tokio runtime only");
        };
        let Some(place) = Place::take(&cluster.serving) else {
            return log::cluster(&cluster.local, &"too many broadcasts of other servers wait for acknowledgements");
        };
        let deadline = after(flags.timeout.unwrap_or(ACK_TIMEOUT).min(MAX_TIMEOUT));
        let mut asked = Asked::ask(self, event, targets, flags.volatile, flags.compress);
        cluster.respond(from, &request, ClusterResponse::ClientCount(asked.outstanding()));
        if asked.outstanding() == 0 {
            return;
        }
        let (namespace, from) = (self.downgrade(), from.clone());
        runtime.spawn(async move {
            let _place = place;
            while asked.outstanding() > 0 {
                let Ok(Some(answer)) = timeout_at(deadline, asked.next()).await else { break };
                let Some(namespace) = namespace.upgrade() else { break };
                if let (Some(arguments), Some(cluster)) = (answer, namespace.cluster()) {
                    cluster.respond(&from, &request, ClusterResponse::Acknowledgement(arguments));
                }
            }
        });
    }

    /// Answers another server that has sent an event to servers.
    pub(in crate::socketio::server) fn answer_server(
        &self,
        (to, request): &(ServerId, RequestId),
        arguments: crate::socketio::Arguments,
    ) {
        if let Some(cluster) = self.cluster() {
            cluster.respond(to, request, ClusterResponse::ServerSideEmit(arguments));
        }
    }
}

/// The right to wait for clients on behalf of another server.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(taken: &Arc<AtomicUsize>) -> Option<Self> {
        let more = |count: usize| (count < MAX_SERVING).then_some(count + 1);
        taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Self(Arc::clone(taken)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl From<Targets> for rooms::Targets {
    fn from(Targets { rooms, except }: Targets) -> Self {
        Self { rooms, except, not: None }
    }
}

impl From<&rooms::Targets> for Targets {
    /// The socket that it comes from is left out by its own room.
    fn from(rooms::Targets { rooms, except, not }: &rooms::Targets) -> Self {
        let own = not.as_ref().map(|id| Arc::from(id.as_str()));
        Self { rooms: rooms.clone(), except: except.iter().cloned().chain(own).collect() }
    }
}
