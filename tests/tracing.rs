//! What `tracing` is told: spans and events of connections, and no secret and no payload in them.
#![cfg(all(feature = "tracing", feature = "client", feature = "server"))]
#![allow(clippy::unwrap_used)] // what fails here fails the test

mod io;

use std::{
    fmt::{Debug, Write as _},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use io::unhung;
use sockeye::{CloseCode, Server, connect};
use tokio::sync::oneshot;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// Everything that is told, a line for each span and event.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>, Arc<AtomicU64>);

impl Told {
    fn tell(&self, kind: &str, metadata: &Metadata<'_>, record: impl FnOnce(&mut Line)) {
        assert!(*metadata.level() >= Level::DEBUG, "what every connection does is for debugging");
        let mut line = Line(format!("{kind} {}", metadata.target()));
        if kind == "span" {
            write!(line.0, " {}", metadata.name()).unwrap();
        }
        record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    async fn until(&self, beginning: &str) {
        unhung(async {
            while !self.lines().iter().any(|line| line.contains(beginning)) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Told {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("sockeye")
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.tell("span", span.metadata(), |line| span.record(line));
        Id::from_u64(self.1.fetch_add(1, Ordering::Relaxed) + 1)
    }
    fn record(&self, _span: &Id, _values: &Record<'_>) {}
    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}
    fn event(&self, event: &Event<'_>) {
        self.tell("event", event.metadata(), |line| event.record(line));
    }
    fn enter(&self, _span: &Id) {}
    fn exit(&self, _span: &Id) {}
}

#[tokio::test]
async fn connections_are_told_of_without_payloads_queries_and_credentials() {
    let told = Told::default();
    tracing::subscriber::set_global_default(told.clone()).unwrap();
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve_until(
        |mut ws, _request| async move {
            while let Some(message) = ws.recv().await.map_err(|error| error.to_string())? {
                if message.as_text() == Some("fail") {
                    return Err("no such room".to_owned());
                }
                ws.send(message).await.map_err(|error| error.to_string())?;
            }
            Ok(())
        },
        async { drop(stopped.await) },
    ));
    let url = format!("ws://ann:password@{address}/room?token=s3cret");
    let connecting = || connect(&*url).header("Cookie", "session=c00kie").into_future();

    let mut ws = unhung(connecting()).await.unwrap();
    ws.send("payload").await.unwrap();
    assert!(unhung(ws.recv()).await.unwrap().is_some());
    unhung(ws.close(CloseCode::NORMAL, "bye")).await.unwrap();
    told.until("ended").await;

    let mut ws = unhung(connecting()).await.unwrap();
    ws.send("fail").await.unwrap();
    assert_eq!(unhung(ws.recv()).await.unwrap(), None);
    drop(ws);
    told.until("handler failed").await;
    let elsewhere = connect(format!("ws://{address}/")).header("Origin", "http://elsewhere.example");
    assert!(unhung(elsewhere.into_future()).await.is_err());
    told.until("handshake failed").await;
    stop.send(()).unwrap();
    unhung(serving).await.unwrap().unwrap();

    let lines = told.lines();
    let count = |of: &str| lines.iter().filter(|line| line.contains(of)).count();
    assert_eq!(count("span sockeye::server connection peer=127.0.0.1:"), 3, "{lines:#?}");
    assert_eq!(count("event sockeye::server message=opened path=\"/room\""), 2, "{lines:#?}");
    assert_eq!(count("event sockeye::server message=ended end=closed"), 2, "{lines:#?}");
    assert_eq!(count("message=handler failed error=no such room"), 1, "{lines:#?}");
    assert_eq!(count(&format!("event sockeye::client message=connected server=\"{address}\"")), 3, "{lines:#?}");
    for secret in ["payload", "s3cret", "password", "c00kie", "YW5u"] {
        assert_eq!(count(secret), 0, "{secret} in {lines:#?}");
    }
}
