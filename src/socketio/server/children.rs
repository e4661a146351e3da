//! The namespaces that patterns have made, and when they go.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, task::AbortHandle, time::sleep_until};

use super::{
    Namespace, Shared, log,
    recovery::{Memory, Shares},
    write,
};
use crate::stream::after;

/// How many of them stay, though nobody is in them, for what they remember of who was.
const MAX_KEPT: usize = 1000;
/// How long behind the end of what a namespace remembers it is looked at.
const BEHIND: Duration = Duration::from_millis(1);

/// What they share.
#[derive(Default)]
pub(super) struct Children {
    /// The limit of what they remember.
    pub(super) shares: Arc<Shares>,
    /// How many stay though nobody is in them.
    kept: Arc<AtomicUsize>,
}

/// The place of one that stays; dropped, another one may.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The task that looks at one that stays when what it remembers is over; dropped, as it goes before that, there is none.
pub(super) struct Watch(AbortHandle);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Children {
    fn take_place(&self) -> Option<Place> {
        let one_more = |kept: usize| (kept < MAX_KEPT).then_some(kept + 1);
        let taken = self.kept.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        taken.is_ok().then(|| Place(Arc::clone(&self.kept)))
    }
}

impl Shared {
    /// Forgets a namespace that nobody is in and that remembers nobody.
    pub(super) fn forget_if_empty(self: &Arc<Self>, namespace: &Namespace) {
        if !self.is_closing() && namespace.rooms().is_empty() && self.keeps(namespace) {
            return;
        }
        let mut namespaces = write(&self.namespaces);
        let is_it = namespaces.get(namespace.name()).is_some_and(|there| there.is(namespace));
        if is_it && namespace.rooms().is_empty() {
            let gone = namespaces.remove(namespace.name());
            drop(namespaces);
            log::forgotten(namespace);
            gone.iter().for_each(Namespace::close);
        }
    }

    /// Whether a namespace stays for somebody whom it remembers. It is looked at again when that is over.
    fn keeps(self: &Arc<Self>, namespace: &Namespace) -> bool {
        let Some(time) = namespace.memory().and_then(Memory::remembers_for) else { return false };
        let mut watch = namespace.watch();
        if watch.is_some() {
            return true;
        }
        let (Ok(runtime), Some(place)) = (Handle::try_current(), self.children.take_place()) else { return false };
        let (server, weak) = (Arc::downgrade(self), namespace.downgrade());
        let task = runtime.spawn(async move {
            sleep_until(after(time.saturating_add(BEHIND))).await;
            drop(place);
            if let (Some(server), Some(namespace)) = (server.upgrade(), weak.upgrade()) {
                // It aborts this task, which waits for nothing more.
                drop(namespace.watch().take());
                // Otherwise the last one who leaves does it.
                if !namespace.has_members() {
                    server.forget_if_empty(&namespace);
                }
            }
        });
        *watch = Some(Watch(task.abort_handle()));
        true
    }
}
