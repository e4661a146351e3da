//! A round: everybody comes, stays for a time, and goes.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant as Clock},
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout_at},
};

use crate::{
    chance::Chance,
    honest,
    outcome::{Outcome, Tally, fault},
    server::{Holding, Server},
    visit::{Site, Visit, kind},
};

/// How many times in a round it is looked what the server holds.
const INTERVALS: u32 = 5;
/// How long the server has to let go of everything when everybody is gone.
const AFTERMATH: Duration = Duration::from_secs(60);

/// What was seen in one interval.
#[derive(Clone, Copy, Debug)]
pub struct Interval {
    pub holding: Holding,
    /// Of a core, what the server took.
    pub load: f64,
    pub round_trips: u64,
    pub worst: Duration,
}

/// What a round has shown.
pub struct Round {
    pub intervals: Vec<Interval>,
    /// The most memory that was seen.
    pub peak: u64,
    pub tally: Arc<Tally>,
    /// What the server held when it had let go of everything, and how long that took.
    pub after: Holding,
    pub aftermath: Duration,
}

impl Round {
    pub fn visits(&self) -> u64 {
        self.tally.counts().values().map(|count| count.visits()).sum()
    }

    pub async fn run(server: &Server, fresh: &Holding, connections: usize, time: Duration) -> io::Result<Self> {
        let stay = (time / 20).clamp(Duration::from_millis(200), Duration::from_secs(5));
        let site = Arc::new(Site::new(server.address, stay));
        let tally = Arc::<Tally>::default();
        let (began, end) = (Instant::now(), Instant::now() + time);
        let (service, clients) = honest::start(server.address, end, &tally);
        let mut visitors = JoinSet::new();
        for nth in 0..connections {
            visitors.spawn(visitor(nth, Arc::clone(&site), Arc::clone(&tally), end));
        }
        let (mut intervals, mut peak, mut cpu) = (Vec::new(), 0, server.holding()?.cpu);
        for nth in 1..=INTERVALS {
            let until = began + time * nth / INTERVALS;
            while Instant::now() < until {
                sleep_until(until.min(Instant::now() + Duration::from_millis(250))).await;
                peak = peak.max(server.holding()?.resident);
            }
            let holding = server.holding()?;
            let load = (holding.cpu - cpu).as_secs_f64() / (time / INTERVALS).as_secs_f64();
            cpu = holding.cpu;
            let (round_trips, worst) = service.take();
            intervals.push(Interval { holding, load, round_trips, worst });
        }
        while let Some(visitor) = visitors.join_next().await {
            visitor.map_err(io::Error::other)?;
        }
        let gone = Clock::now();
        // They end by themselves, and the load has nothing else to do.
        clients.join().map_err(|_| fault("an honest client panicked"))?;
        while server.holding()?.files > fresh.files && gone.elapsed() < AFTERMATH {
            sleep(Duration::from_millis(50)).await;
        }
        let aftermath = gone.elapsed();
        sleep(Duration::from_millis(500)).await;
        Ok(Self { intervals, peak, tally, after: server.holding()?, aftermath })
    }
}

/// Comes again and again, always for the same.
async fn visitor(nth: usize, site: Arc<Site>, tally: Arc<Tally>, end: Instant) {
    let (kind, name) = kind(nth);
    let mut chance = Chance::new(nth as u64);
    // Not all at once.
    sleep(chance.about(site.stay)).await;
    while Instant::now() < end {
        let mut visit = Visit { site: &site, nth, chance: &mut chance };
        let outcome = timeout_at(end, visit.run(kind)).await.unwrap_or(Ok(Outcome::CutOff));
        tally.count(name, outcome);
        sleep(chance.about(site.stay / 20)).await;
    }
}
