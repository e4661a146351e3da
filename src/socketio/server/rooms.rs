use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use super::Socket;
use crate::engineio::Sid;

/// The sockets of a namespace, and the rooms that they are in. Each is in a room of its own as well, whose name is its id.
#[derive(Default)]
pub(super) struct Rooms(RwLock<State>);

#[derive(Default)]
struct State {
    sockets: HashMap<Sid, Member>,
    rooms: HashMap<Arc<str>, HashSet<Sid>>,
}

struct Member {
    socket: Socket,
    /// The rooms that it has joined, but for its own.
    rooms: Vec<Arc<str>>,
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
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn insert(&self, socket: &Socket) {
        self.write().sockets.insert(socket.id(), Member { socket: socket.clone(), rooms: Vec::new() });
    }

    /// Removes a socket, from all rooms as well.
    pub(super) fn remove(&self, id: Sid) {
        let member = {
            let mut state = self.write();
            let member = state.sockets.remove(&id);
            for room in member.iter().flat_map(|member| &member.rooms) {
                state.leave(id, room);
            }
            member
        };
        // What it holds is dropped outside of the lock.
        drop(member);
    }

    /// Has a socket that is there, be it let in or not yet, join a room.
    pub(super) fn join(&self, id: Sid, room: &str) {
        let state = &mut *self.write();
        let Some(member) = state.sockets.get_mut(&id) else { return };
        // Looked up where that takes no longer for a client that is in very many.
        if state.rooms.get(room).is_some_and(|members| members.contains(&id)) || id.as_str() == room {
            return;
        }
        let name = match state.rooms.get_key_value(room) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(room),
        };
        member.rooms.push(Arc::clone(&name));
        state.rooms.entry(name).or_default().insert(id);
    }

    pub(super) fn leave(&self, id: Sid, room: &str) {
        let mut state = self.write();
        if let Some(member) = state.sockets.get_mut(&id) {
            member.rooms.retain(|joined| **joined != *room);
            state.leave(id, room);
        }
    }

    /// The rooms of a socket, its own in front; none if it is not there.
    pub(super) fn of(&self, id: Sid) -> Vec<Arc<str>> {
        let state = self.read();
        let member = state.sockets.get(&id);
        let own = member.map(|_| Arc::from(id.as_str()));
        own.into_iter().chain(member.iter().flat_map(|member| member.rooms.iter().cloned())).collect()
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
        let mut act = |id: Sid, member: &Member| {
            if Some(id) != targets.not
                && member.socket.is_connected()
                && !state.is_excepted(id, member, &targets.except)
            {
                act(&member.socket);
            }
        };
        match &*targets.rooms {
            [] => state.sockets.iter().for_each(|(id, member)| act(*id, member)),
            [room] => state.members(room).for_each(|(id, member)| act(id, member)),
            rooms => {
                let mut seen = HashSet::new();
                for (id, member) in rooms.iter().flat_map(|room| state.members(room)) {
                    if seen.insert(id) {
                        act(id, member);
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
    fn members(&self, room: &str) -> impl Iterator<Item = (Sid, &Member)> {
        let own = Sid::parse(room).and_then(|id| self.sockets.get_key_value(&id));
        let joined = self.rooms.get(room).into_iter().flatten();
        let joined = joined.filter(move |id| own.is_none_or(|(owner, _)| owner != *id));
        own.into_iter().chain(joined.filter_map(|id| self.sockets.get_key_value(id))).map(|(id, member)| (*id, member))
    }

    fn is_excepted(&self, id: Sid, member: &Member, except: &[Arc<str>]) -> bool {
        except.iter().any(|room| **room == *id.as_str() || member.rooms.contains(room))
    }

    fn leave(&mut self, id: Sid, room: &str) {
        if let Some(members) = self.rooms.get_mut(room) {
            members.remove(&id);
            if members.is_empty() {
                self.rooms.remove(room);
            }
        }
    }
}
