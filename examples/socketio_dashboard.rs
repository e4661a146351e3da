//! A dashboard: what this server does, each second, as charts, and notices to all who look on. A page that was away for a
//! short time gets the notices that it has missed (connection state recovery); samples are volatile, as the next one is
//! worth more.
//!
//! ```text
//! npm ci --prefix tests/interop    # the client for the page; or name one with --client DIR
//! cargo run --features socketio --example socketio_dashboard -- --port 3000
//! curl -d '{"level":"warning","text":"The disk is nearly full."}' -H 'Content-Type: application/json' \
//!     http://127.0.0.1:3000/notices
//! ```
//!
//! Open <http://127.0.0.1:3000/>.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use serde::{Deserialize, Serialize};
use sockeye::socketio::{EmitError, Recovery, Reply, Server, Socket};
use tokio::time::{MissedTickBehavior, interval};

#[path = "support/socketio.rs"]
mod support;

/// How many samples and notices are kept for those who come later.
const SAMPLES: usize = 60;
const NOTICES: usize = 20;
/// How long a notice may be, in characters.
const LONGEST_NOTICE: usize = 200;

#[derive(Clone, Copy, Serialize)]
struct Sample {
    at: u64,
    clients: usize,
    /// Events that came from clients in a second.
    events: f64,
    /// In MiB, and in per cent of one core; where the operating system is asked that way.
    memory: Option<f64>,
    cpu: Option<f64>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Info,
    Warning,
    Problem,
}

#[derive(Deserialize)]
struct NewNotice {
    level: Level,
    text: String,
}

#[derive(Clone, Serialize)]
struct Notice {
    at: u64,
    level: Level,
    text: String,
}

#[derive(Clone)]
struct Dashboard {
    io: Server,
    kept: Arc<Kept>,
}

#[derive(Default)]
struct Kept {
    samples: Mutex<VecDeque<Sample>>,
    notices: Mutex<VecDeque<Notice>>,
    events: AtomicU64,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let options = support::options(&[]);
    let io = Server::with_config(options.config().recovery(Recovery::new()));
    let dashboard = Dashboard { io: io.clone(), kept: Arc::default() };
    let kept = Arc::clone(&dashboard.kept);
    io.on_connect(move |socket: Socket| {
        let welcomed = welcome(&socket, &kept);
        async move { welcomed }
    });
    tokio::spawn(dashboard.clone().sample());
    let routes = Router::new().route("/notices", post(add_notice)).with_state(dashboard);
    options.serve(include_str!("support/socketio_dashboard.html"), routes, io).await
}

fn welcome(socket: &Socket, kept: &Arc<Kept>) -> Result<(), EmitError> {
    let counted = Arc::clone(kept);
    socket.on_any(move |_event| {
        counted.events.fetch_add(1, Ordering::Relaxed);
        async {}
    });
    // By which the page sees how long the way is.
    socket.on("pulse", |_: Socket| async { Reply(()) });
    let notices = Arc::clone(kept);
    socket.on("notify", move |socket: Socket, new: NewNotice| {
        let noted = notices.note(new);
        async move {
            let said = noted.as_ref().map(|_| ()).map_err(|why| *why);
            if let Ok(notice) = noted {
                socket.namespace().emit("notice", notice)?;
            }
            Ok::<_, EmitError>(Reply(said))
        }
    });
    // One that has come back has had these, and has just been told what it has missed.
    if !socket.is_recovered() {
        socket.emit("history", (copied(&kept.samples), copied(&kept.notices)))?;
    }
    Ok(())
}

async fn add_notice(
    State(dashboard): State<Dashboard>,
    Json(new): Json<NewNotice>,
) -> Result<StatusCode, (StatusCode, &'static str)> {
    let notice = dashboard.kept.note(new).map_err(|why| (StatusCode::UNPROCESSABLE_ENTITY, why))?;
    dashboard.io.emit("notice", notice).map_err(|_| (StatusCode::INTERNAL_SERVER_ERROR, "It cannot be sent."))?;
    Ok(StatusCode::NO_CONTENT)
}

impl Dashboard {
    /// Looks each second at what the server does.
    async fn sample(self) {
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut since, mut cpu) = (Instant::now(), cpu_seconds());
        loop {
            ticks.tick().await;
            let elapsed = since.elapsed().as_secs_f64().max(0.001);
            since = Instant::now();
            let used = cpu_seconds();
            #[allow(clippy::cast_precision_loss, reason = "it is for a chart")]
            let events = self.kept.events.swap(0, Ordering::Relaxed) as f64 / elapsed;
            let sample = Sample {
                at: millis(),
                clients: self.io.len(),
                events,
                memory: memory_mib(),
                cpu: used.zip(cpu).map(|(used, before)| (used - before) / elapsed * 100.0),
            };
            cpu = used;
            keep(&self.kept.samples, sample, SAMPLES);
            // Numbers can be sent.
            let _ = self.io.volatile().emit("sample", sample);
        }
    }
}

impl Kept {
    fn note(&self, new: NewNotice) -> Result<Notice, &'static str> {
        let text = new.text.trim();
        if text.is_empty() || text.chars().count() > LONGEST_NOTICE || text.chars().any(char::is_control) {
            return Err("A notice has 1 to 200 characters, all of which can be seen.");
        }
        let notice = Notice { at: millis(), level: new.level, text: text.to_owned() };
        keep(&self.notices, notice.clone(), NOTICES);
        Ok(notice)
    }
}

fn keep<T>(all: &Mutex<VecDeque<T>>, one: T, most: usize) {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    all.push_back(one);
    if all.len() > most {
        all.pop_front();
    }
}

fn copied<T: Clone>(all: &Mutex<VecDeque<T>>) -> Vec<T> {
    all.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
}

fn millis() -> u64 {
    u64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// How much memory the process has, as Linux tells it.
fn memory_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?;
    kib.parse().ok().map(|kib: f64| kib / 1024.0)
}

/// How long the process has computed, as Linux tells it: in hundredths of a second, behind its name.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11).map(str::parse::<f64>);
    Some((fields.next()?.ok()? + fields.next()?.ok()?) / 100.0)
}
