//! The other servers of a namespace: what is told and asked of them by the adapter, and what they ask.

mod asking;
mod local;
mod pending;
mod roll;
mod serving;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

pub use self::local::Local;
use self::pending::Pending;
pub(super) use self::{asking::Asking, roll::Missing};
use super::{log, server_side::Queue};
use crate::socketio::adapter::{Adapter, AdapterError, ClusterMessage, ClusterResponse, Link, RequestId, ServerId};

/// What joins a namespace to those of other servers.
pub(super) struct Cluster {
    local: Local,
    link: Arc<dyn Link>,
    pending: Pending,
    /// Events of other servers that wait for their listeners.
    pub(super) heard: Queue,
    timeout: Duration,
    /// How many requests of others wait for clients here.
    serving: Arc<AtomicUsize>,
    is_closed: AtomicBool,
}

impl Cluster {
    pub(super) fn open(adapter: &dyn Adapter, local: Local, timeout: Duration) -> Self {
        Self {
            link: adapter.open(local.clone()),
            local,
            pending: Pending::default(),
            heard: Queue::default(),
            timeout,
            serving: Arc::default(),
            is_closed: AtomicBool::new(false),
        }
    }

    pub(super) fn link(&self) -> Arc<dyn Link> {
        Arc::clone(&self.link)
    }

    /// For how long other servers are waited for.
    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Tells all other servers something. That it does not leave goes to the log.
    pub(super) fn tell(&self, message: ClusterMessage) {
        if let Err(error) = self.publish(message) {
            log::cluster(&self.local, &error);
        }
    }

    fn publish(&self, message: ClusterMessage) -> Result<(), AdapterError> {
        if self.is_closed.load(Ordering::Acquire) {
            return Ok(());
        }
        log::told(&self.local, "published", &message);
        self.link.publish(message)
    }

    /// Asks all other servers something. Nothing is asked if it fails.
    pub(super) async fn ask(
        &self,
        deadline: Instant,
        make: impl FnOnce(RequestId) -> ClusterMessage + Send,
    ) -> Result<Asking<'_>, AdapterError> {
        // Before it is known who there is, so that it is told who leaves.
        let mut asking = Asking::new(self)?;
        let late = |_| Err(AdapterError::new("it has not said in time which servers there are"));
        asking.call(timeout_at(deadline, self.link.servers()).await.unwrap_or_else(late)?);
        self.publish(make(asking.id().clone()))?;
        Ok(asking)
    }

    /// Answers another server.
    fn respond(&self, to: &ServerId, request: &RequestId, response: ClusterResponse) {
        if self.is_closed.load(Ordering::Acquire) {
            return;
        }
        if let Err(error) = self.link.respond(to, request, response) {
            log::cluster(&self.local, &error);
        }
    }

    /// Leaves the other servers.
    pub(super) fn close(&self) {
        if !self.is_closed.swap(true, Ordering::AcqRel) {
            self.link.close();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("local", &self.local).finish_non_exhaustive()
    }
}
