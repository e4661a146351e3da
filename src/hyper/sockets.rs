use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::timeout;

use super::Rejection;
use crate::{
    proto::http::Version,
    server::{Budget, Full, Place, Tracker},
    stream::MemoryBudget,
};

/// The WebSockets of an application: how many there may be, and how to end them all.
///
/// The graceful shutdown of hyper and axum knows nothing of connections that were upgraded: it neither waits for them nor
/// closes them. This does; clones are the same list.
///
/// ```
/// # use std::time::Duration;
/// # async fn example(app: axum::Router, listener: tokio::net::TcpListener) -> std::io::Result<()> {
/// let sockets = sockeye::hyper::Sockets::new();
/// let app = app.layer(axum::Extension(sockets.clone())); // where every upgrade finds it
/// axum::serve(listener, app)
///     .with_graceful_shutdown(async move {
///         tokio::signal::ctrl_c().await.expect("there are signals");
///         sockets.shut_down(Duration::from_secs(10)).await;
///     })
///     .await
/// # }
/// ```
#[derive(Clone)]
pub struct Sockets {
    tracker: Arc<Tracker>,
    memory: MemoryBudget,
    shutting_down: Arc<AtomicBool>,
}

impl Sockets {
    /// Starts with none, and the default [`Budget`].
    pub fn new() -> Self {
        Self::with_budget(Budget::default())
    }

    /// Starts with none. Who is over the budget gets 503 or Close 1013.
    ///
    /// `max_per_address` has no effect: whose address a request comes from is known to the HTTP server alone.
    pub fn with_budget(budget: Budget) -> Self {
        let tracker = Tracker::new(&budget.max_per_address(None));
        Self { tracker, memory: MemoryBudget::new(budget.max_bytes), shutting_down: Arc::default() }
    }

    /// How many WebSockets there are, those in their opening handshake included.
    pub fn len(&self) -> usize {
        self.tracker.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Closes all of them with 1001, and returns when they have ended; those that have not after `limit` are dropped.
    /// Who asks for another one gets 503 from then on.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: they are told as soon as it is polled, and calling it again goes on waiting.
    pub async fn shut_down(&self, limit: Duration) {
        self.shutting_down.store(true, Ordering::Relaxed);
        if timeout(limit, self.tracker.drain()).await.is_err() {
            self.tracker.abort();
        }
    }

    /// A place among them for another one.
    pub(super) fn place(&self, version: Version) -> Result<Place, Rejection> {
        if self.shutting_down.load(Ordering::Relaxed) {
            return Err(Rejection::ShuttingDown { version });
        }
        self.tracker.place(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).map_err(|full| match full {
            Full::Server(max) | Full::Address(max) => Rejection::Full { max, version },
        })
    }

    /// Has a task run that belongs to a place.
    pub(super) fn spawn(&self, key: u64, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.started(key, tokio::spawn(task).abort_handle());
    }

    /// The memory that they share.
    pub(super) const fn memory(&self) -> &MemoryBudget {
        &self.memory
    }
}

impl Default for Sockets {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sockets").field("len", &self.len()).finish_non_exhaustive()
    }
}
