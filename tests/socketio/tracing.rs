//! What `tracing` is told of sessions and sockets, and what it is not.

use std::{
    cell::RefCell,
    fmt::{Debug, Write as _},
    sync::{
        Once,
        atomic::{AtomicU64, Ordering},
    },
};

use sockeye::socketio::{Config, ConnectError, Recovery, Server, Socket};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::Interest,
};

use crate::{
    Peer, answer_sync,
    hub::Hub,
    poll, serve,
    sio::{member, sid, until},
};

/// Hands on what is told on a thread to the test that runs there: one for all tests, as subscribers of single threads have
/// what others are not interested in kept from them.
struct Threads;

thread_local! {
    static TOLD: RefCell<Option<Told>> = const { RefCell::new(None) };
}

/// Everything that is told up to a level, a line for each span and event, with the spans that it is in.
struct Told {
    level: Level,
    lines: Vec<String>,
    names: Vec<(u64, &'static str)>,
    entered: Vec<u64>,
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Told {
    /// The names of the spans that are entered.
    fn place(&self) -> String {
        let name = |id: &u64| self.names.iter().find(|(other, _)| other == id).map(|(_, name)| *name);
        self.entered.iter().filter_map(name).collect::<Vec<_>>().join(">")
    }

    fn count(&self, of: &str) -> usize {
        self.lines.iter().filter(|line| line.contains(of)).count()
    }
}

/// Runs on what this thread's test is told.
fn with<R: Default>(run: impl FnOnce(&mut Told) -> R) -> R {
    TOLD.with_borrow_mut(|told| told.as_mut().map(run).unwrap_or_default())
}

/// What is told while `talk` runs, up to a level; and what must not be.
async fn listen(level: Level) -> (Told, Vec<String>) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Threads).unwrap());
    TOLD.set(Some(Told { level, lines: Vec::new(), names: Vec::new(), entered: Vec::new() }));
    let secrets = talk().await;
    (TOLD.take().unwrap(), secrets)
}

impl Subscriber for Threads {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let is_ours = target.starts_with("sockeye::engineio") || target.starts_with("sockeye::socketio");
        (is_ours || target == "test") && with(|told| *metadata.level() <= told.level)
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        static IDS: AtomicU64 = AtomicU64::new(1);
        let id = IDS.fetch_add(1, Ordering::Relaxed);
        let metadata = span.metadata();
        let mut line = Line(format!("span {} {}", metadata.target(), metadata.name()));
        span.record(&mut line);
        with(|told| {
            told.lines.push(line.0);
            told.names.push((id, metadata.name()));
        });
        Id::from_u64(id)
    }
    fn record(&self, _span: &Id, _values: &Record<'_>) {}
    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!("{} {}", event.metadata().level(), event.metadata().target()));
        event.record(&mut line);
        with(|told| {
            let place = told.place();
            told.lines.push(format!("{} [{place}]", line.0));
        });
    }
    fn enter(&self, span: &Id) {
        with(|told| told.entered.push(span.into_u64()));
    }
    fn exit(&self, span: &Id) {
        with(|told| {
            let place = told.entered.iter().rposition(|id| *id == span.into_u64());
            place.map(|place| told.entered.remove(place));
        });
    }
}

/// Has clients connect, talk, fail and go; gives what must not be told.
async fn talk() -> Vec<String> {
    let config = Config::new().recovery(Recovery::new()).adapter(Hub::default());
    let io = Server::with_config(config);
    io.middleware(|socket: Socket| async move {
        match socket.auth::<serde_json::Value>() {
            Ok(auth) if auth["token"] == "refused" => Err(ConnectError::new("not you")),
            _ => Ok(()),
        }
    });
    io.on_connect(|socket: Socket| async move {
        answer_sync(&socket);
        tracing::debug!(target: "test", "in connect");
        socket.on("e", |socket: Socket, _text: String| async move {
            tokio::task::yield_now().await;
            tracing::debug!(target: "test", "in turn");
            socket.emit("answer", "p4yload")
        });
        socket.on_concurrent("beside", |_: Socket| async { tracing::debug!(target: "test", "beside") });
        socket.on("fail", |_: Socket| async { Err::<(), _>("its own words") });
    });
    let address = serve(&io).await;
    let mut secrets: Vec<String> = ["s3cret", "p4yload", "c00kie"].map(String::from).into();
    let mut peer = Peer::open(address).await;
    peer.send(r#"0{"token":"s3cret"}"#).await;
    let connected = peer.recv().await;
    secrets.push(member(&connected, "pid").unwrap());
    for event in [r#"2["e","p4yload"]"#, r#"2["beside"]"#, r#"2["fail"]"#, r#"2["unheard"]"#] {
        peer.send(event).await;
    }
    let answer = peer.recv().await;
    assert!(answer.starts_with(r#"2["answer","p4yload""#), "{answer}");
    peer.expect_nothing().await;
    io.to("room").emit("news", "p4yload").unwrap();
    peer.send("0/nowhere,").await;
    peer.recv().await;

    let target = "/socket.io/?EIO=4&transport=polling&token=s3cret";
    let opened = crate::sio::request(address, "GET", target, &[("Cookie", "c=c00kie")], b"").await;
    let session = sid(opened.text());
    let refused = crate::sio::request(address, "GET", &format!("{target}&sid=none"), &[], b"").await;
    assert_eq!(refused.status, 400);
    secrets.push(session);
    let client = poll(address).await;
    secrets.push(client.sid.clone());
    let mut upgraded = Peer { ws: client.upgrade().await };
    upgraded.expect_nothing().await;
    upgraded.send("garbage").await;
    assert_eq!(upgraded.closed().await, None);

    let mut stranger = Peer::open(address).await;
    stranger.send(r#"0{"token":"refused"}"#).await;
    stranger.expect(r#"4{"message":"not you"}"#).await;
    drop((peer, stranger));
    until(|| io.is_empty()).await;
    // The session that has only begun ends here.
    io.close();
    secrets
}

#[tokio::test]
async fn what_changes_is_told_in_nodes_scopes_and_in_spans() {
    let (told, secrets) = listen(Level::DEBUG).await;
    let lines = &told.lines;
    for (line, count) in [
        ("span sockeye::engineio::socket session sid=Sid(", 4),
        ("DEBUG sockeye::engineio message=a session begins", 4),
        ("span sockeye::socketio::socket socket namespace=\"/\" id=", 3),
        ("DEBUG sockeye::engineio message=a request is refused code=1 error=there is no such session", 1),
        ("DEBUG sockeye::engineio::socket message=goes on by WebSocket sid=Sid(", 1),
        ("DEBUG sockeye::engineio::socket message=ended sid=Sid(", 4),
        ("DEBUG sockeye::socketio::socket message=let in", 2),
        ("DEBUG sockeye::socketio::socket message=refused", 1),
        ("error=not you [session>socket]", 1),
        ("WARN sockeye::socketio::socket message=an event failed", 1),
        ("DEBUG sockeye::socketio::socket message=nobody listens to an event", 1),
        ("DEBUG sockeye::socketio::socket message=disconnected", 2),
        ("DEBUG sockeye::socketio::client message=there is no such namespace", 1),
        ("DEBUG sockeye::socketio::client message=a client is not understood", 1),
        ("DEBUG sockeye::socketio::namespace message=made namespace=\"/\"", 1),
        ("DEBUG test message=in connect [session>socket]", 2),
        ("DEBUG test message=in turn [session>socket]", 1),
        ("DEBUG test message=beside [socket]", 1),
        ("TRACE", 0),
    ] {
        assert_eq!(told.count(line), count, "{line} in {lines:#?}");
    }
    for secret in secrets {
        assert_eq!(told.count(&secret), 0, "{secret} in {lines:#?}");
    }
    assert!(told.entered.is_empty(), "every span is left");
}

#[tokio::test]
async fn packets_are_told_at_trace_without_what_is_in_them() {
    let (told, secrets) = listen(Level::TRACE).await;
    let lines = &told.lines;
    for line in [
        "TRACE sockeye::socketio::client message=received namespace=\"/\" kind=\"event\" event=\"e\" bytes=10",
        "TRACE sockeye::socketio::broadcast message=sent namespace=\"/\" event=\"news\" rooms=[\"room\"] except=[]",
        "TRACE sockeye::socketio::adapter message=published namespace=\"/\" message=\"BROADCAST\"",
        "TRACE sockeye::engineio::polling message=a poll is answered sid=Sid(",
        "TRACE sockeye::engineio::polling message=a POST has come sid=Sid(",
    ] {
        assert!(told.count(line) > 0, "{line} in {lines:#?}");
    }
    for secret in secrets {
        assert_eq!(told.count(&secret), 0, "{secret} in {lines:#?}");
    }
}
