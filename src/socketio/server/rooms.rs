use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use super::{Socket, namespace::Hooks};
use crate::{
    engineio::{Sid, SidHasher},
    socketio::adapter::Link,
};

/// The sockets of a namespace, and the rooms that they are in. Each is in a room of its own as well, whose name is its id.
pub(super) struct Rooms {
    state: RwLock<State>,
    /// Who wants to be told.
    hooks: Arc<Hooks>,
    link: Option<Arc<dyn Link>>,
}

/// What has become of a room on this server.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RoomEvent {
    /// It has come into being, as somebody joins it.
    Created(Arc<str>),
    /// Nobody is in it any more.
    Deleted(Arc<str>),
    /// A socket has joined it.
    Joined(Arc<str>, Sid),
    /// A socket has left it.
    Left(Arc<str>, Sid),
}

#[derive(Default)]
struct State {
    sockets: HashMap<Sid, Member, SidHasher>,
    /// Those in each room, so that whoever sends to all of them finds them one behind the other.
    rooms: HashMap<Arc<str>, HashMap<Sid, Socket, SidHasher>>,
}

struct Member {
    socket: Socket,
    /// The rooms that it has joined, but for its own.
    rooms: Vec<Arc<str>>,
}

/// A room that a socket has joined, which is new if it is the first one there.
pub(super) struct Entered {
    room: Arc<str>,
    is_new: bool,
}

/// Whom a broadcast is for: everybody, or who is in one of the rooms; but not who is in one of the exceptions.
#[derive(Clone, Debug, Default)]
pub(super) struct Targets {
    pub(super) rooms: Vec<Arc<str>>,
    pub(super) except: Vec<Arc<str>>,
    /// Whose socket it comes from.
    pub(super) not: Option<Sid>,
}

impl Rooms {
    pub(super) fn new(hooks: &Arc<Hooks>, link: Option<Arc<dyn Link>>) -> Self {
        Self { state: RwLock::default(), hooks: Arc::clone(hooks), link }
    }

    /// Tells, outside of all locks, that a socket has joined a room.
    pub(super) fn tell_joined(&self, id: Sid, Entered { room, is_new }: &Entered) {
        if let Some(link) = self.link.as_ref().filter(|_| *is_new) {
            link.room_changed(room);
        }
        if self.hooks.watches_rooms() {
            if *is_new {
                self.hooks.tell_room(&RoomEvent::Created(Arc::clone(room)));
            }
            self.hooks.tell_room(&RoomEvent::Joined(Arc::clone(room), id));
        }
    }

    /// Tells, outside of the lock, that a socket has left a room, which is gone if it was the last one there.
    fn tell_left(&self, room: &Arc<str>, id: Sid, is_gone: bool) {
        if self.hooks.watches_rooms() {
            self.hooks.tell_room(&RoomEvent::Left(Arc::clone(room), id));
            if is_gone {
                self.hooks.tell_room(&RoomEvent::Deleted(Arc::clone(room)));
            }
        }
        if let Some(link) = self.link.as_ref().filter(|_| is_gone) {
            link.room_changed(room);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn insert(&self, socket: &Socket) {
        self.write().sockets.insert(socket.id(), Member { socket: socket.clone(), rooms: Vec::new() });
    }

    /// Removes a socket, from all rooms as well.
    pub(super) fn remove(&self, id: Sid) {
        let (member, are_gone) = {
            let mut state = self.write();
            let Some(member) = state.sockets.remove(&id) else { return };
            let are_gone: Vec<_> = member.rooms.iter().map(|room| state.leave(id, room)).collect();
            (member, are_gone)
        };
        // What it holds is dropped outside of the lock.
        for (room, is_gone) in member.rooms.iter().zip(are_gone) {
            self.tell_left(room, id, is_gone);
        }
    }

    /// Has a socket that is there, be it let in or not yet, join a room.
    pub(super) fn join(&self, id: Sid, room: &str) {
        if let Some(entered) = self.enter(id, room) {
            self.tell_joined(id, &entered);
        }
    }

    /// As [`join`](Self::join), where nobody may be told yet; nothing, if it is in the room already.
    pub(super) fn enter(&self, id: Sid, room: &str) -> Option<Entered> {
        let mut guard = self.write();
        let state = &mut *guard;
        let member = state.sockets.get_mut(&id)?;
        // Looked up where that takes no longer for a client that is in very many.
        if state.rooms.get(room).is_some_and(|members| members.contains_key(&id)) || id.as_str() == room {
            return None;
        }
        let name = match state.rooms.get_key_value(room) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(room),
        };
        member.rooms.push(Arc::clone(&name));
        let members = state.rooms.entry(Arc::clone(&name)).or_default();
        let is_new = members.is_empty();
        members.insert(id, member.socket.clone());
        Some(Entered { room: name, is_new })
    }

    pub(super) fn leave(&self, id: Sid, room: &str) {
        let mut state = self.write();
        let Some(member) = state.sockets.get_mut(&id) else { return };
        let Some(place) = member.rooms.iter().position(|joined| **joined == *room) else { return };
        let name = member.rooms.remove(place);
        let is_gone = state.leave(id, &name);
        drop(state);
        self.tell_left(&name, id, is_gone);
    }

    /// The rooms of a socket, its own in front; none if it is not there.
    pub(super) fn of(&self, id: Sid) -> Vec<Arc<str>> {
        let state = self.read();
        let member = state.sockets.get(&id);
        let own = member.map(|_| Arc::from(id.as_str()));
        own.into_iter().chain(member.iter().flat_map(|member| member.rooms.iter().cloned())).collect()
    }

    /// Whether somebody is in a room.
    pub(super) fn has(&self, room: &str) -> bool {
        self.read().members(room).next().is_some()
    }

    /// Whether somebody may be meant: whether somebody is in one of the rooms, if some are named.
    pub(super) fn has_any(&self, targets: &Targets) -> bool {
        let state = self.read();
        targets.rooms.is_empty() || targets.rooms.iter().any(|room| state.members(room).next().is_some())
    }

    /// The rooms, but for the sockets' own.
    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.read().rooms.keys().cloned().collect()
    }

    pub(super) fn get(&self, id: Sid) -> Option<Socket> {
        let state = self.read();
        state.sockets.get(&id).map(|member| &member.socket).filter(|socket| socket.is_connected()).cloned()
    }

    /// How many sockets were let in.
    pub(super) fn len(&self) -> usize {
        self.read().sockets.values().filter(|member| member.socket.is_connected()).count()
    }

    /// Whether nobody is there, nor waits to be let in.
    pub(super) fn is_empty(&self) -> bool {
        self.read().sockets.is_empty()
    }

    /// Does something for each socket that is meant, once. It must not come back to the rooms.
    pub(super) fn for_each(&self, targets: &Targets, mut act: impl FnMut(&Socket)) {
        let state = self.read();
        let mut act = |id: &Sid, socket: &Socket| {
            if targets.not != Some(*id) && socket.is_connected() && !state.is_excepted(*id, &targets.except) {
                act(socket);
            }
        };
        match &*targets.rooms {
            [] => state.sockets.iter().for_each(|(id, member)| act(id, &member.socket)),
            [room] => state.members(room).for_each(|(id, socket)| act(id, socket)),
            rooms => {
                let mut seen = HashSet::with_hasher(SidHasher);
                for (id, socket) in rooms.iter().flat_map(|room| state.members(room)) {
                    if seen.insert(*id) {
                        act(id, socket);
                    }
                }
            }
        }
    }

    /// The sockets that are meant.
    pub(super) fn sockets(&self, targets: &Targets) -> Vec<Socket> {
        let mut sockets = Vec::new();
        self.for_each(targets, |socket| sockets.push(socket.clone()));
        sockets
    }
}

impl State {
    /// Who is in a room.
    fn members(&self, room: &str) -> impl Iterator<Item = (&Sid, &Socket)> {
        let own = Sid::parse(room).and_then(|id| self.sockets.get_key_value(&id));
        let own = own.map(|(id, member)| (id, &member.socket));
        let joined = self.rooms.get(room).into_iter().flatten();
        own.into_iter().chain(joined.filter(move |(id, _)| own.is_none_or(|(owner, _)| owner != *id)))
    }

    fn is_excepted(&self, id: Sid, except: &[Arc<str>]) -> bool {
        let is_in = |room: &Arc<str>| self.rooms.get(room).is_some_and(|members| members.contains_key(&id));
        except.iter().any(|room| **room == *id.as_str() || is_in(room))
    }

    /// Removes a socket from a room; whether that has gone with it.
    fn leave(&mut self, id: Sid, room: &str) -> bool {
        let Some(members) = self.rooms.get_mut(room) else { return false };
        members.remove(&id);
        members.is_empty() && self.rooms.remove(room).is_some()
    }
}
