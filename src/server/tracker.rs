use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
};

use super::{Budget, budget::household};
use crate::{CloseCode, Transport, stream::Sender};

/// The connections of a server: how many there may be, and how to reach them when it shuts down.
pub(super) struct Tracker {
    places: Arc<Semaphore>,
    max: u32,
    max_per_address: Option<u32>,
    register: Mutex<Register>,
}

/// Why there is no place for a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Full {
    /// The server has so many connections.
    Server(u32),
    /// The client's address has so many.
    Address(u32),
}

impl Full {
    pub(super) const fn status(self) -> u16 {
        match self {
            Self::Server(_) => 503,
            Self::Address(_) => 429,
        }
    }
}

#[derive(Default)]
struct Register {
    next: u64,
    draining: bool,
    entries: HashMap<u64, Entry>,
    /// Counted only if there is a limit.
    households: HashMap<IpAddr, u32>,
}

#[derive(Default)]
struct Entry {
    task: Option<AbortHandle>,
    /// There once the handshake is done.
    sender: Option<Sender<Transport>>,
}

/// A connection's place among those that the server allows; dropping it frees it.
pub(super) struct Place {
    tracker: Arc<Tracker>,
    key: u64,
    household: Option<IpAddr>,
    _permit: OwnedSemaphorePermit,
}

impl Tracker {
    pub(super) fn new(budget: &Budget) -> Arc<Self> {
        let most = u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX);
        let max = budget.max_connections.clamp(1, most);
        let places = Arc::new(Semaphore::new(max as usize));
        Arc::new(Self {
            places,
            max,
            max_per_address: budget.max_per_address.map(|max| max.max(1)),
            register: Mutex::default(),
        })
    }

    /// Takes a place for a connection from an address.
    pub(super) fn place(self: &Arc<Self>, address: IpAddr) -> Result<Place, Full> {
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Full::Server(self.max))?;
        let mut register = self.lock();
        let household = self.max_per_address.map(|max| (household(address), max));
        if let Some((household, max)) = household {
            let count = register.households.entry(household).or_default();
            if *count >= max {
                return Err(Full::Address(max));
            }
            *count += 1;
        }
        let key = register.next;
        register.next += 1;
        register.entries.insert(key, Entry::default());
        let household = household.map(|(household, _)| household);
        Ok(Place { tracker: Arc::clone(self), key, household, _permit: permit })
    }

    /// Notes the task that has a place, unless it has left already.
    pub(super) fn started(&self, key: u64, task: AbortHandle) {
        if let Some(entry) = self.lock().entries.get_mut(&key) {
            entry.task = Some(task);
        }
    }

    /// Closes all connections with 1001, drops those in their handshake, and is ready when they have left.
    pub(super) async fn drain(&self) {
        let (open, opening): (Vec<_>, Vec<_>) = {
            let mut register = self.lock();
            register.draining = true;
            let entries = register.entries.values();
            entries.map(|entry| (entry.sender.clone(), entry.task.clone())).partition(|(sender, _)| sender.is_some())
        };
        opening.into_iter().filter_map(|(_, task)| task).for_each(|task| task.abort());
        open.into_iter().filter_map(|(sender, _)| sender).for_each(|sender| go_away(&sender));
        let _ = self.places.acquire_many(self.max).await;
    }

    /// Drops those that are still there.
    pub(super) fn abort(&self) {
        let entries = std::mem::take(&mut self.lock().entries);
        entries.into_values().filter_map(|entry| entry.task).for_each(|task| task.abort());
    }

    fn lock(&self) -> MutexGuard<'_, Register> {
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    pub(super) const fn key(&self) -> u64 {
        self.key
    }

    /// Notes the connection that is open now.
    pub(super) fn opened(&self, sender: &Sender<Transport>) {
        let mut register = self.tracker.lock();
        if let Some(entry) = register.entries.get_mut(&self.key) {
            entry.sender = Some(sender.clone());
        }
        let too_late = register.draining;
        drop(register);
        if too_late {
            go_away(sender);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut register = self.tracker.lock();
        register.entries.remove(&self.key);
        if let Some(household) = self.household
            && let Some(count) = register.households.get_mut(&household)
        {
            *count -= 1;
            if *count == 0 {
                register.households.remove(&household);
            }
        }
    }
}

fn go_away(sender: &Sender<Transport>) {
    sender.start_close(CloseCode::GOING_AWAY, "the server shuts down");
    // Its handler may be busy with something else than the connection.
    sender.write_now();
}
