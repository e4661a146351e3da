//! A cluster in one process: an adapter that joins servers by channels.

use std::{
    future::{Future, ready},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
};

use sockeye::socketio::{
    Config, Server, Socket,
    adapter::{Adapter, AdapterError, ClusterMessage, ClusterResponse, Link, Local, RequestId, ServerId, Servers},
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{Peer, answer_sync, serve, sio::unhung};

/// What joins the servers.
#[derive(Clone, Default)]
pub(crate) struct Hub(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    members: Vec<Member>,
    /// Whether servers are known by their ids, or only counted, and answers do not say whose they are.
    is_anonymous: bool,
    fails: bool,
    /// Everything that was done, in order.
    log: Vec<String>,
    published: Option<ClusterMessage>,
}

struct Member {
    local: Local,
    wire: UnboundedSender<Wire>,
    /// Nothing comes to it, nor from it.
    is_dead: bool,
}

enum Wire {
    Message(ServerId, ClusterMessage),
    Response(Option<ServerId>, RequestId, ClusterResponse),
    Left(ServerId),
}

/// One namespace of one server.
struct HubLink {
    hub: Hub,
    local: Local,
}

impl Hub {
    /// Servers are only counted, as by Redis.
    pub(crate) fn anonymous() -> Self {
        let hub = Self::default();
        hub.0.lock().unwrap().is_anonymous = true;
        hub
    }

    /// Has the adapter fail from now on.
    pub(crate) fn fail(&self) {
        self.0.lock().unwrap().fails = true;
    }

    /// Cuts a server off: it is waited for in vain.
    pub(crate) fn cut(&self, server: &ServerId) {
        for member in &mut self.0.lock().unwrap().members {
            member.is_dead |= member.local.server() == server;
        }
    }

    /// Tells that a server has left.
    pub(crate) fn tell_left(&self, server: &ServerId) {
        for member in &self.0.lock().unwrap().members {
            let _ = member.wire.send(Wire::Left(server.clone()));
        }
    }

    /// What was published last.
    pub(crate) fn published(&self) -> ClusterMessage {
        self.0.lock().unwrap().published.clone().expect("something was published")
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.0.lock().unwrap().log.clone()
    }

    /// Where a server's namespace is delivered to.
    pub(crate) fn local(&self, server: &Server, namespace: &str) -> Local {
        let state = self.0.lock().unwrap();
        let mut locals = state.members.iter().map(|member| &member.local);
        let is_it = |local: &&Local| local.server() == server.id() && local.namespace() == namespace;
        locals.find(is_it).expect("it was opened").clone()
    }
}

impl Adapter for Hub {
    fn open(&self, local: Local) -> Arc<dyn Link> {
        let (wire, received) = unbounded_channel();
        tokio::spawn(deliver(local.clone(), received));
        let mut state = self.0.lock().unwrap();
        state.log.push(format!("open {}", local.namespace()));
        state.members.push(Member { local: local.clone(), wire, is_dead: false });
        drop(state);
        Arc::new(HubLink { hub: self.clone(), local })
    }
}

async fn deliver(local: Local, mut received: UnboundedReceiver<Wire>) {
    while let Some(wire) = received.recv().await {
        match wire {
            Wire::Message(from, message) => local.receive(&from, message),
            Wire::Response(from, request, response) => local.receive_response(from.as_ref(), &request, response),
            Wire::Left(server) => local.server_left(&server),
        }
    }
}

impl State {
    /// The other members of a namespace, unless this one is cut off.
    fn others<'a>(&'a self, local: &'a Local) -> impl Iterator<Item = &'a Member> {
        let is_same = move |member: &&Member| member.local.namespace() == local.namespace();
        let is_dead = |member: &Member| member.is_dead && member.local.server() == local.server();
        let is_cut = self.members.iter().any(is_dead);
        self.members.iter().filter(is_same).filter(move |member| member.local.server() != local.server() && !is_cut)
    }
}

impl Link for HubLink {
    fn publish(&self, message: ClusterMessage) -> Result<(), AdapterError> {
        let state = &mut *self.hub.0.lock().unwrap();
        if state.fails {
            return Err(AdapterError::new("the wire is cut"));
        }
        state.log.push(format!("publish {}", self.local.namespace()));
        state.published = Some(message.clone());
        for other in state.others(&self.local).filter(|other| !other.is_dead) {
            let _ = other.wire.send(Wire::Message(self.local.server().clone(), message.clone()));
        }
        Ok(())
    }

    fn respond(&self, to: &ServerId, request: &RequestId, response: ClusterResponse) -> Result<(), AdapterError> {
        let state = self.hub.0.lock().unwrap();
        let from = (!state.is_anonymous).then(|| self.local.server().clone());
        for other in state.others(&self.local).filter(|other| other.local.server() == to) {
            let _ = other.wire.send(Wire::Response(from.clone(), request.clone(), response.clone()));
        }
        Ok(())
    }

    fn servers(&self) -> Pin<Box<dyn Future<Output = Result<Servers, AdapterError>> + Send + '_>> {
        let state = self.hub.0.lock().unwrap();
        let others: Vec<_> = state.others(&self.local).map(|other| other.local.server().clone()).collect();
        let servers = if state.is_anonymous { Servers::Count(others.len()) } else { Servers::Known(others) };
        Box::pin(ready(Ok(servers)))
    }

    fn room_changed(&self, room: &str) {
        let verb = if self.local.has_room(room) { "subscribe" } else { "unsubscribe" };
        self.hub.0.lock().unwrap().log.push(format!("{verb} {room}"));
    }

    fn close(&self) {
        let mut state = self.hub.0.lock().unwrap();
        state.log.push(format!("close {}", self.local.namespace()));
        let is_this =
            |other: &Local| other.server() == self.local.server() && other.namespace() == self.local.namespace();
        if let Some(place) = state.members.iter().position(|member| is_this(&member.local)) {
            state.members.remove(place);
        }
    }
}

/// A server of a cluster.
pub(crate) struct Node {
    pub(crate) io: Server,
    pub(crate) address: SocketAddr,
    told: UnboundedReceiver<Socket>,
}

impl Node {
    pub(crate) async fn new(hub: &Hub, config: Config) -> Self {
        let io = Server::with_config(config.adapter(hub.clone()));
        let (tell, told) = unbounded_channel();
        io.on_connect(move |socket: Socket| {
            answer_sync(&socket);
            for room in socket.auth::<Rooms>().map(|rooms| rooms.rooms).unwrap_or_default() {
                socket.join(room);
            }
            let _ = tell.send(socket);
            async {}
        });
        let address = serve(&io).await;
        Self { io, address, told }
    }

    /// A client that is in these rooms: a JSON array.
    pub(crate) async fn connect(&mut self, rooms: &str) -> (Peer, Socket) {
        let mut peer = Peer::open(self.address).await;
        peer.join(&format!(r#"0{{"rooms":{rooms}}}"#)).await;
        (peer, unhung(self.told.recv()).await.unwrap())
    }
}

#[derive(serde::Deserialize)]
struct Rooms {
    rooms: Vec<String>,
}

/// So many servers.
pub(crate) async fn nodes<const COUNT: usize>(hub: &Hub) -> [Node; COUNT] {
    let mut nodes = Vec::new();
    for _ in 0..COUNT {
        nodes.push(Node::new(hub, Config::new()).await);
    }
    nodes.try_into().unwrap_or_else(|_| unreachable!())
}
