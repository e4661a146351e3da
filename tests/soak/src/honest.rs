//! A few clients that want nothing but their echo, and how they are served beside all others.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    runtime::Builder,
    time::{Instant, sleep},
};

use crate::{
    chance::Chance,
    deflate::Deflate,
    outcome::{Outcome, Tally, fault},
    peer::Peer,
    wire::{OFFER, RSV1, TEXT},
};

const CLIENTS: usize = 20;
/// How long each of them waits between its messages.
const PAUSE: Duration = Duration::from_millis(20);

/// What they have seen since the last look.
#[derive(Debug, Default)]
pub struct Service {
    round_trips: AtomicU64,
    worst_micros: AtomicU64,
}

impl Service {
    /// How many round trips there were, and how long the longest took.
    pub fn take(&self) -> (u64, Duration) {
        let worst = Duration::from_micros(self.worst_micros.swap(0, Ordering::Relaxed));
        (self.round_trips.swap(0, Ordering::Relaxed), worst)
    }

    fn note(&self, took: Duration) {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        self.worst_micros.fetch_max(took.as_micros() as u64, Ordering::Relaxed);
    }
}

/// Starts them on a thread of their own, so that they do not wait for the load.
pub fn start(server: SocketAddr, end: Instant, tally: &Arc<Tally>) -> (Arc<Service>, JoinHandle<()>) {
    let service = Arc::<Service>::default();
    let (for_clients, tally) = (Arc::clone(&service), Arc::clone(tally));
    let thread = thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be had");
        runtime.block_on(async {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|nth| {
                    let (service, tally) = (Arc::clone(&for_clients), Arc::clone(&tally));
                    tokio::spawn(async move { tally.count("honest", echo(server, nth, end, &service).await) })
                })
                .collect();
            for client in clients {
                client.await.expect("no client panics");
            }
        });
    });
    (service, thread)
}

/// Echoes until the end, every other client compressed.
async fn echo(server: SocketAddr, nth: usize, end: Instant, service: &Service) -> io::Result<Outcome> {
    let offer = (nth % 2 == 1).then_some(OFFER);
    let mut peer = Peer::open(server, nth, offer).await?;
    let (mut deflate, mut chance) = (Deflate::new(), Chance::new(nth as u64));
    while Instant::now() < end {
        let len = 1 + chance.below(2000);
        let payload = chance.text(len);
        let began = Instant::now();
        if offer.is_some() {
            peer.send(TEXT | RSV1, &deflate.deflate(&payload)).await?;
        } else {
            peer.send(TEXT, &payload).await?;
        }
        let reply = match peer.frame().await? {
            Some((TEXT, reply)) => reply,
            Some((first, reply)) if first == TEXT | RSV1 && offer.is_some() => deflate.inflate(&reply, len)?,
            _ => return Err(fault("an echo did not come")),
        };
        if reply != payload {
            return Err(fault("an echo came back as another"));
        }
        service.note(began.elapsed());
        sleep(PAUSE).await;
    }
    peer.close(1000).await
}
