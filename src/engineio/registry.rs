use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
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
    shards: [Mutex<Sessions>; SHARDS],
    /// How many there are, and how many are about to be.
    taken: AtomicUsize,
    is_closed: AtomicBool,
}

type Sessions = HashMap<Sid, (Arc<Shared>, Place), SidHasher>;

/// The place of a session that there may be; dropped, there may be another one.
pub(super) struct Place(Arc<Registry>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Registry {
    pub(super) fn new(config: Config) -> Self {
        Self { config, shards: Default::default(), taken: AtomicUsize::new(0), is_closed: AtomicBool::new(false) }
    }

    fn shard(&self, id: Sid) -> MutexGuard<'_, Sessions> {
        // The last character is as random as the others.
        let shard = usize::from(id.as_str().as_bytes()[Sid::LEN - 1]) % SHARDS;
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, id: Sid) -> Option<Arc<Shared>> {
        self.shard(id).get(&id).map(|(session, _)| Arc::clone(session))
    }

    /// A place for one more, if there may be one.
    pub(super) fn take_place(self: &Arc<Self>) -> Option<Place> {
        let max = self.config.max_sessions;
        let one_more = |taken: usize| (taken < max && !self.is_closed()).then(|| taken + 1);
        let taken = self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        taken.is_ok().then(|| Place(Arc::clone(self)))
    }

    pub(super) fn insert(&self, session: &Arc<Shared>, place: Place) {
        self.shard(session.id).insert(session.id, (Arc::clone(session), place));
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
        shards.flat_map(|shard| shard.values().map(|(session, _)| Arc::clone(session)).collect::<Vec<_>>()).collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        let shards = self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner));
        shards.map(|shard| shard.len()).sum()
    }
}
