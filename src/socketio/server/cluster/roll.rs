use std::collections::{HashMap, HashSet};

use crate::socketio::adapter::{ServerId, Servers};

/// Who of the other servers has still to answer, and how many of their clients. No more answers are taken than that.
#[derive(Debug)]
pub(in crate::socketio::server) struct Roll {
    /// Those that have not answered, if they are known.
    known: Option<HashSet<ServerId>>,
    /// How many have not, if they are not.
    unknown: usize,
    /// How many clients of each server that has answered have not acknowledged; those of all, if servers are not known.
    /// Less than none, if an acknowledgement has overtaken its server's answer.
    clients: HashMap<Option<ServerId>, i64>,
    /// How many servers and clients nobody waits for any more.
    lost: Missing,
}

/// How many have not answered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::socketio::server) struct Missing {
    pub(in crate::socketio::server) servers: usize,
    pub(in crate::socketio::server) clients: usize,
}

impl Roll {
    pub(super) fn new(servers: Servers) -> Self {
        let (known, unknown) = match servers {
            Servers::Known(servers) => (Some(servers.into_iter().collect()), 0),
            Servers::Count(count) => (None, count),
        };
        Self { known, unknown, clients: HashMap::new(), lost: Missing::default() }
    }

    /// A server has answered, and so many clients of its will; whether that was waited for.
    pub(in crate::socketio::server) fn answered(&mut self, from: Option<&ServerId>, clients: usize) -> bool {
        let is_due = match &mut self.known {
            Some(known) => from.is_some_and(|from| known.remove(from)),
            None => self.unknown.checked_sub(1).map(|rest| self.unknown = rest).is_some(),
        };
        if is_due {
            let place = self.place(from);
            *self.clients.entry(place).or_default() += i64::try_from(clients).unwrap_or(i64::MAX / 2);
        }
        is_due
    }

    /// A client of a server has acknowledged; whether that was waited for.
    pub(in crate::socketio::server) fn acknowledged(&mut self, from: Option<&ServerId>) -> bool {
        let place = self.place(from);
        let may_overtake = match &self.known {
            Some(known) => from.is_some_and(|from| known.contains(from)),
            None => self.unknown > 0,
        };
        let clients = match (self.clients.get_mut(&place), may_overtake) {
            (Some(clients), true) => clients,
            (Some(clients), false) if *clients > 0 => clients,
            (None, true) => self.clients.entry(place).or_default(),
            _ => return false,
        };
        *clients -= 1;
        true
    }

    /// A server has left: it will not answer, nor will its clients.
    pub(super) fn left(&mut self, server: &ServerId) {
        let Some(known) = &mut self.known else { return };
        let place = Some(server.clone());
        self.lost.servers += usize::from(known.remove(server));
        self.lost.clients += self.clients.remove(&place).map_or(0, positive);
    }

    /// Whether nobody is waited for.
    pub(in crate::socketio::server) fn is_complete(&self) -> bool {
        let Missing { servers, clients } = self.waited_for();
        servers == 0 && clients == 0
    }

    /// How many have not answered, those that have left among them.
    pub(in crate::socketio::server) fn missing(&self) -> Missing {
        let Missing { servers, clients } = self.waited_for();
        Missing { servers: servers + self.lost.servers, clients: clients.saturating_add(self.lost.clients) }
    }

    fn waited_for(&self) -> Missing {
        let servers = self.known.as_ref().map_or(self.unknown, HashSet::len);
        let clients = self.clients.values().fold(0, |sum: usize, clients| sum.saturating_add(positive(*clients)));
        Missing { servers, clients }
    }

    fn place(&self, from: Option<&ServerId>) -> Option<ServerId> {
        self.known.as_ref().and(from).cloned()
    }
}

fn positive(clients: i64) -> usize {
    usize::try_from(clients).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ServerId {
        ServerId::new(text)
    }

    fn known() -> Roll {
        Roll::new(Servers::Known(vec![id("a"), id("b")]))
    }

    #[test]
    fn each_known_server_answers_once_and_no_other() {
        let mut roll = known();
        assert!(roll.answered(Some(&id("a")), 0));
        assert!(!roll.answered(Some(&id("a")), 5), "once more");
        assert!(!roll.answered(Some(&id("c")), 5), "a stranger");
        assert!(!roll.answered(None, 5), "nobody");
        assert_eq!(roll.missing(), Missing { servers: 1, clients: 0 });
        assert!(roll.answered(Some(&id("b")), 0));
        assert!(roll.is_complete());
    }

    #[test]
    fn clients_are_waited_for_by_their_server() {
        let mut roll = known();
        roll.answered(Some(&id("a")), 2);
        roll.answered(Some(&id("b")), 1);
        assert!(roll.acknowledged(Some(&id("b"))));
        assert!(!roll.acknowledged(Some(&id("b"))), "more than it has announced");
        assert!(roll.acknowledged(Some(&id("a"))));
        assert_eq!(roll.missing(), Missing { servers: 0, clients: 1 });
        assert!(roll.acknowledged(Some(&id("a"))));
        assert!(roll.is_complete());
    }

    #[test]
    fn an_acknowledgement_may_overtake_its_servers_answer() {
        for (mut roll, from) in
            [(Roll::new(Servers::Known(vec![id("a")])), Some(id("a"))), (Roll::new(Servers::Count(1)), None)]
        {
            assert!(roll.acknowledged(from.as_ref()));
            assert!(!roll.is_complete());
            assert!(roll.answered(from.as_ref(), 1));
            assert!(roll.is_complete());
            assert!(!roll.acknowledged(from.as_ref()));
        }
    }

    #[test]
    fn nobody_waits_for_who_has_left_but_it_is_missing() {
        let mut roll = known();
        roll.answered(Some(&id("a")), 3);
        roll.acknowledged(Some(&id("a")));
        roll.left(&id("a"));
        roll.left(&id("b"));
        roll.left(&id("b"));
        assert!(roll.is_complete());
        assert_eq!(roll.missing(), Missing { servers: 1, clients: 2 });
        assert!(!roll.answered(Some(&id("b")), 1), "it has left");
    }

    #[test]
    fn servers_that_are_only_counted_answer_in_any_order() {
        let mut roll = Roll::new(Servers::Count(2));
        roll.left(&id("a"));
        assert!(roll.answered(None, 1));
        assert!(roll.answered(Some(&id("a")), 1));
        assert!(!roll.answered(None, 1), "more than there are");
        assert!(roll.acknowledged(None));
        assert!(roll.acknowledged(Some(&id("b"))));
        assert!(roll.is_complete());
    }

    #[test]
    fn numbers_that_nobody_can_mean_do_no_harm() {
        let mut roll = known();
        roll.answered(Some(&id("a")), usize::MAX);
        roll.answered(Some(&id("b")), usize::MAX);
        assert!(!roll.is_complete());
        assert!(roll.missing().clients > 0);
    }
}
