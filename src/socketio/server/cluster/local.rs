use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use crate::socketio::{
    adapter::{ClusterMessage, ClusterResponse, RequestId, ServerId},
    server::{Namespace, log, namespace::WeakNamespace},
};

/// The sockets of a namespace on this server: where an [`Adapter`](crate::socketio::adapter::Adapter) delivers what comes
/// from others. It is cheap to clone, and keeps nothing alive.
#[derive(Clone)]
pub struct Local {
    server: ServerId,
    name: Arc<str>,
    namespace: WeakNamespace,
}

impl Local {
    pub(in crate::socketio::server) const fn new(server: ServerId, name: Arc<str>, namespace: WeakNamespace) -> Self {
        Self { server, name, namespace }
    }

    /// This server, by an id that it has chosen at random.
    pub const fn server(&self) -> &ServerId {
        &self.server
    }

    /// The namespace's name, with its slash in front.
    pub fn namespace(&self) -> &str {
        &self.name
    }

    /// Does what another server wants; one's own message is ignored. What is asked for is answered by
    /// [`Link::respond`](crate::socketio::adapter::Link::respond), now or later.
    ///
    /// It is to be called in the order in which messages came, within a tokio runtime: outside of one, what takes time
    /// (acknowledgements, listeners of servers) is not done, and that goes to the log.
    pub fn receive(&self, from: &ServerId, message: ClusterMessage) {
        if let Some(namespace) = self.get().filter(|_| *from != self.server) {
            // Listeners of what is sent may panic, which is not to be the end of the adapter's task.
            if catch_unwind(AssertUnwindSafe(|| namespace.serve(from, message))).is_err() {
                log::panicked("a listener of what another server has sent");
            }
        }
    }

    /// Hands over what another server answers to a request of this one; `from` is `None` if the adapter's messages do not
    /// say whose they are. What nobody waits for is ignored.
    pub fn receive_response(&self, from: Option<&ServerId>, request: &RequestId, response: ClusterResponse) {
        if let Some(cluster) = self.get().as_ref().and_then(Namespace::cluster) {
            cluster.pending.answer(request, from, response);
        }
    }

    /// Tells that a server has gone, so that nobody waits for it any more. It is for adapters whose
    /// [`Servers`](crate::socketio::adapter::Servers) are `Known`.
    pub fn server_left(&self, server: &ServerId) {
        if let Some(cluster) = self.get().as_ref().and_then(Namespace::cluster) {
            cluster.pending.left(server);
        }
    }

    /// Whether a socket of this server is in a room: what is for others need not be decoded.
    pub fn has_room(&self, room: &str) -> bool {
        self.get().is_some_and(|namespace| namespace.rooms().has(room))
    }

    /// The rooms that sockets of this server have joined; the sockets' own are not among them.
    pub fn rooms(&self) -> Vec<Arc<str>> {
        self.get().map(|namespace| namespace.rooms().names()).unwrap_or_default()
    }

    /// The ids of the sockets of this server.
    pub fn sockets(&self) -> Vec<crate::engineio::Sid> {
        let sockets = self.get().map(|namespace| namespace.sockets()).unwrap_or_default();
        sockets.iter().map(crate::socketio::Socket::id).collect()
    }

    fn get(&self) -> Option<Namespace> {
        self.namespace.upgrade()
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("server", &self.server).field("namespace", &self.name).finish_non_exhaustive()
    }
}
