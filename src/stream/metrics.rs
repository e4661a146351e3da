use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::shared::now;
use crate::proto::connection::End;

/// Is told what connections do, to count it: by [`Server::metrics`](crate::Server::metrics) for all of a server's, by
/// `hyper::WebSocketUpgrade::metrics` behind hyper and axum, or by
/// [`WebSocket::with_metrics`](super::WebSocket::with_metrics).
///
/// Each method is called where it happens, some under a connection's lock: it may add to a counter, and is not to wait. What
/// is not written does nothing. Bytes are counted once a read or a write, so the price is a call for many messages;
/// messages are the handler's to count, which sees each of them.
///
/// The example `metrics` is a text for Prometheus.
pub trait Metrics: Send + Sync + 'static {
    /// A connection is open.
    fn opened(&self) {}

    /// A request was answered with this status, and not with a connection: it was refused, or asked for something else.
    fn answered(&self, status: u16) {
        let _ = status;
    }

    /// Bytes came from a peer, as its frames have them.
    fn received(&self, bytes: usize) {
        let _ = bytes;
    }

    /// Bytes went to a peer.
    fn sent(&self, bytes: usize) {
        let _ = bytes;
    }

    /// A connection has ended, which was open for so long; `None` if it was dropped as it was.
    fn ended(&self, end: Option<&End>, lasted: Duration) {
        let _ = (end, lasted);
    }
}

/// One connection's part in the metrics; its end is told once.
pub(super) struct Meter {
    metrics: Arc<dyn Metrics>,
    since: Instant,
    told: bool,
}

impl Meter {
    pub(super) fn new(metrics: Arc<dyn Metrics>) -> Self {
        metrics.opened();
        Self { metrics, since: now(), told: false }
    }

    pub(super) fn received(&self, bytes: usize) {
        self.metrics.received(bytes);
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.metrics.sent(bytes);
    }

    pub(super) fn ended(&mut self, end: Option<&End>) {
        if !std::mem::replace(&mut self.told, true) {
            self.metrics.ended(end, now().saturating_duration_since(self.since));
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.ended(None);
    }
}
