//! An echo server that tells Prometheus what its connections do, at `/metrics` of its own port.
//!
//! ```text
//! cargo run --release --example metrics -- 127.0.0.1:9001
//! curl http://127.0.0.1:9001/metrics
//! ```

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use sockeye::{
    Error, Server,
    proto::{connection::End, handshake::Response},
    stream::Metrics,
};

#[derive(Default)]
struct Counters {
    opened: AtomicU64,
    /// Those that ended, by how they did.
    closed: AtomicU64,
    failed: AtomicU64,
    lost: AtomicU64,
    timed_out: AtomicU64,
    dropped: AtomicU64,
    refused: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    lasted_ms: AtomicU64,
}

impl Metrics for Counters {
    fn opened(&self) {
        self.opened.fetch_add(1, Relaxed);
    }

    fn answered(&self, status: u16) {
        if status >= 400 {
            self.refused.fetch_add(1, Relaxed);
        }
    }

    fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Relaxed);
    }

    fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Relaxed);
    }

    fn ended(&self, end: Option<&End>, lasted: Duration) {
        let counter = match end {
            Some(End::Closed { .. }) => &self.closed,
            Some(End::Failed(_)) => &self.failed,
            Some(End::TimedOut(_)) => &self.timed_out,
            Some(End::Lost) => &self.lost,
            _ => &self.dropped,
        };
        counter.fetch_add(1, Relaxed);
        self.lasted_ms.fetch_add(u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }
}

impl Counters {
    /// The text format of Prometheus, version 0.0.4.
    fn text(&self) -> String {
        let ends =
            [&self.closed, &self.failed, &self.lost, &self.timed_out, &self.dropped].map(|end| end.load(Relaxed));
        let opened = self.opened.load(Relaxed);
        let mut text = String::new();
        let mut metric = |name: &str, kind: &str, help: &str, samples: &[(&str, f64)]| {
            let _ = writeln!(text, "# HELP sockeye_{name} {help}\n# TYPE sockeye_{name} {kind}");
            for (labels, value) in samples {
                let _ = writeln!(text, "sockeye_{name}{labels} {value}");
            }
        };
        let open = opened.saturating_sub(ends.iter().sum());
        metric("connections", "gauge", "Connections that are open.", &[("", open as f64)]);
        metric("connections_total", "counter", "Connections that were opened.", &[("", opened as f64)]);
        let refused = self.refused.load(Relaxed) as f64;
        metric("refused_total", "counter", "Requests that got no connection.", &[("", refused)]);
        let labels = ["closed", "failed", "lost", "timed_out", "dropped"].map(|end| format!("{{end=\"{end}\"}}"));
        let samples: Vec<_> = labels.iter().map(String::as_str).zip(ends.map(|end| end as f64)).collect();
        metric("ended_total", "counter", "Connections that ended, by how.", &samples);
        let (received, sent) = (self.received.load(Relaxed) as f64, self.sent.load(Relaxed) as f64);
        metric("received_bytes_total", "counter", "Bytes of frames that came.", &[("", received)]);
        metric("sent_bytes_total", "counter", "Bytes of frames that went.", &[("", sent)]);
        let lasted = self.lasted_ms.load(Relaxed) as f64 / 1000.0;
        metric("lasted_seconds_total", "counter", "How long connections were open that ended.", &[("", lasted)]);
        text
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".into());
    let counters = Arc::new(Counters::default());
    let shown = Arc::clone(&counters);
    let server = Server::bind(address).await?.metrics(counters).fallback(move |request| {
        let is_found = request.path() == "/metrics";
        let mut response = Response::new(if is_found { 200 } else { 404 }).expect("a status");
        response.headers.push("Content-Type", "text/plain; version=0.0.4").expect("a header");
        response.body = if is_found { shown.text().into() } else { "look at /metrics\n".into() };
        response
    });
    println!("listening on ws://{0}, counting at http://{0}/metrics", server.local_addr()?);
    let echo = server.serve(|mut ws, _request| async move {
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?;
        }
        Ok::<_, Error>(())
    });
    Ok(echo.await?)
}
