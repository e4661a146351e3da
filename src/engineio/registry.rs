use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::sleep;

use super::{Config, Sid, session::Shared, sid::SidHasher};

/// Over how many locks the sessions are spread.
const SHARDS: usize = 16;

/// The sessions of a server, by their ids.
pub(super) struct Registry {
    pub(super) config: Config,
    shards: [Mutex<HashMap<Sid, Arc<Shared>, SidHasher>>; SHARDS],
    is_closed: AtomicBool,
}

impl Registry {
    pub(super) fn new(config: Config) -> Self {
        Self { config, shards: Default::default(), is_closed: AtomicBool::new(false) }
    }

    fn shard(&self, id: Sid) -> MutexGuard<'_, HashMap<Sid, Arc<Shared>, SidHasher>> {
        // The last character is as random as the others.
        let shard = usize::from(id.as_str().as_bytes()[Sid::LEN - 1]) % SHARDS;
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, id: Sid) -> Option<Arc<Shared>> {
        self.shard(id).get(&id).cloned()
    }

    pub(super) fn insert(&self, session: &Arc<Shared>) {
        self.shard(session.id).insert(session.id, Arc::clone(session));
    }

    pub(super) fn remove(&self, id: Sid) {
        // What it holds is dropped outside of the lock.
        let _session = self.shard(id).remove(&id);
    }

    /// Removes a session after a time, in which a client may fetch the rest.
    pub(super) fn remove_after(self: &Arc<Self>, id: Sid, time: Duration) {
        let registry = Arc::downgrade(self);
        tokio::spawn(async move {
            sleep(time).await;
            if let Some(registry) = registry.upgrade() {
                registry.remove(id);
            }
        });
    }

    /// Takes no new sessions from now on.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<Shared>> {
        let shards = self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner));
        shards.flat_map(|shard| shard.values().cloned().collect::<Vec<_>>()).collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        let shards = self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner));
        shards.map(|shard| shard.len()).sum()
    }
}
