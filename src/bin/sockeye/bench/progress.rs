//! What is shown while the load is on.

use std::{
    io::{IsTerminal as _, stderr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::{task::JoinHandle, time::sleep};

use super::load::{Amount, Load};
use crate::{args::BenchArgs, output::words};

/// How often it looks.
const LOOK: Duration = Duration::from_millis(100);

/// Looks on, and shows it on a terminal.
pub(super) struct Progress {
    over: Arc<AtomicBool>,
    task: JoinHandle<Vec<f64>>,
}

impl Progress {
    pub(super) fn start(args: &BenchArgs, load: Arc<Load>) -> Self {
        let bar = if stderr().is_terminal() && !args.quiet { bar(&load) } else { ProgressBar::hidden() };
        let over = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(watch(load, bar, Arc::clone(&over)));
        Self { over, task }
    }

    /// The replies a second, for each time that it looked.
    pub(super) async fn finish(self) -> Vec<f64> {
        self.over.store(true, Ordering::Relaxed);
        self.task.await.unwrap_or_default()
    }
}

fn bar(load: &Load) -> ProgressBar {
    let len = match load.amount() {
        Amount::Until(end) => end.saturating_duration_since(Instant::now()).as_millis() as u64,
        Amount::Messages(messages) => messages,
    };
    let style = ProgressStyle::with_template("{bar:30.cyan/dim} {percent:>3} %  {msg}").expect("a valid template");
    ProgressBar::new(len).with_style(style.progress_chars("━━─"))
}

async fn watch(load: Arc<Load>, bar: ProgressBar, over: Arc<AtomicBool>) -> Vec<f64> {
    let began = Instant::now();
    let (mut rates, mut last, mut replies) = (Vec::new(), began, 0);
    while !over.load(Ordering::Relaxed) {
        sleep(LOOK).await;
        let (now, count) = (Instant::now(), load.replies());
        let rate = (count - replies) as f64 / (now - last).as_secs_f64();
        (last, replies) = (now, count);
        rates.push(rate);
        let position = match load.amount() {
            Amount::Until(_) => (now - began).as_millis() as u64,
            Amount::Messages(_) => count,
        };
        bar.set_position(position.min(bar.length().unwrap_or(position)));
        if !bar.is_hidden() {
            let latency = load.latency();
            let at = |quantile| words::time(Duration::from_micros(latency.value_at_quantile(quantile)));
            bar.set_message(format!("{rate:.0} messages/s  p50 {}  p99 {}", at(0.5), at(0.99)));
        }
    }
    bar.finish_and_clear();
    // The last look is behind the end.
    if rates.len() > 1 {
        rates.pop();
    }
    rates
}
