//! What connections tell their metrics, in words.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use sockeye::{proto::connection::End, stream::Metrics};

#[derive(Default)]
pub(crate) struct Log {
    lines: Mutex<Vec<String>>,
    received: AtomicUsize,
    sent: AtomicUsize,
}

impl Log {
    fn tell(&self, line: String) {
        self.lines.lock().expect("nobody panics with it").push(line);
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.lock().expect("nobody panics with it").len()
    }

    /// The line of this number, from 1 on; waits for it.
    pub(crate) async fn line(&self, number: usize) -> String {
        while self.len() < number {
            tokio::task::yield_now().await;
        }
        self.lines.lock().expect("nobody panics with it")[number - 1].clone()
    }

    /// How many bytes came, and how many went.
    pub(crate) fn bytes(&self) -> [usize; 2] {
        [&self.received, &self.sent].map(|bytes| bytes.load(Relaxed))
    }
}

impl Metrics for Log {
    fn opened(&self) {
        self.tell("opened".into());
    }
    fn answered(&self, status: u16) {
        self.tell(format!("answered {status}"));
    }
    fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes, Relaxed);
    }
    fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes, Relaxed);
    }
    fn ended(&self, end: Option<&End>, _lasted: Duration) {
        self.tell(end.map_or("dropped".into(), ToString::to_string));
    }
}
