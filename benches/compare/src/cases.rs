//! What is measured.

use crate::{goals::Goal, load::Dialect, payload::Kind, script::Shape, socketio::Event};

/// One table of the report.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name on the command line.
    pub name: &'static str,
    pub what: What,
    pub goal: Goal,
}

#[derive(Clone, Copy, Debug)]
pub enum What {
    Echo(Shape, Dialect),
    /// One message to all connections.
    FanOut(Shape, Dialect),
    Handshakes,
    /// The memory of so many idle connections.
    Idle(usize, Dialect),
    /// A client's masked messages of so many bytes.
    Sends(usize),
    /// Events of Socket.IO over HTTP long-polling.
    Polling(Shape),
    /// Connections of Socket.IO that come and go.
    Storm,
}

const fn echo(name: &'static str, kind: Kind, [connections, in_flight, payload]: [usize; 3], goal: Goal) -> Case {
    Case { name, what: What::Echo(Shape { connections, in_flight, payload, kind }, Dialect::Plain), goal }
}

const fn deflate(name: &'static str, takeover: bool) -> Case {
    let shape = Shape { connections: 16, in_flight: 1, payload: 1024, kind: Kind::Json };
    Case { name, what: What::Echo(shape, Dialect::Deflate { takeover }), goal: Goal::Ahead }
}

const fn fan_out(name: &'static str, dialect: Dialect, goal: Goal) -> Case {
    let shape = Shape { connections: 1000, in_flight: 1, payload: 1024, kind: Kind::Json };
    Case { name, what: What::FanOut(shape, dialect), goal }
}

const fn other(name: &'static str, what: What, goal: Goal) -> Case {
    Case { name, what, goal }
}

const fn event(name: &'static str, event: Event, kind: Kind, shape: [usize; 3], goal: Goal) -> Case {
    let [connections, in_flight, payload] = shape;
    Case { name, what: What::Echo(Shape { connections, in_flight, payload, kind }, Dialect::SocketIo(event)), goal }
}

/// The one in which sockeye, as the others do, decodes the arguments to values, and encodes them again.
pub const VALUE: &str = "socketio:json:16:16:1024";
const BROADCAST: Shape = Shape { connections: 1000, in_flight: 16, payload: 64, kind: Kind::Ascii };
const POLLING: Shape = Shape { connections: 64, in_flight: 1, payload: 20, kind: Kind::Ascii };

pub const CASES: &[Case] = &[
    echo("64:1:20", Kind::Binary, [64, 1, 20], Goal::Ratio(1.05)),
    echo("16:1:1024", Kind::Binary, [16, 1, 1024], Goal::Ratio(1.05)),
    echo("16:16:20", Kind::Binary, [16, 16, 20], Goal::Ratio(1.2)),
    echo("16:64:20", Kind::Binary, [16, 64, 20], Goal::Ratio(1.7)),
    echo("16:16:1024", Kind::Binary, [16, 16, 1024], Goal::Ratio(1.35)),
    echo("8:1:65536", Kind::Binary, [8, 1, 65_536], Goal::Ratio(1.1)),
    echo("4:1:1048576", Kind::Binary, [4, 1, 1_048_576], Goal::Ratio(1.15)),
    echo("ascii:16:16:20", Kind::Ascii, [16, 16, 20], Goal::Times(1.1, "16:16:20")),
    echo("ascii:16:16:1024", Kind::Ascii, [16, 16, 1024], Goal::Times(1.1, "16:16:1024")),
    echo("ascii:8:1:65536", Kind::Ascii, [8, 1, 65_536], Goal::Times(1.1, "8:1:65536")),
    echo("mixed:16:16:20", Kind::Mixed, [16, 16, 20], Goal::Times(1.1, "16:16:20")),
    echo("mixed:16:16:1024", Kind::Mixed, [16, 16, 1024], Goal::Times(1.1, "16:16:1024")),
    echo("mixed:8:1:65536", Kind::Mixed, [8, 1, 65_536], Goal::Times(1.1, "8:1:65536")),
    deflate("deflate:takeover", true),
    deflate("deflate:no-takeover", false),
    fan_out("fanout:plain", Dialect::Plain, Goal::Ratio(1.3)),
    fan_out("fanout:compressed", Dialect::Deflate { takeover: true }, Goal::Times(1.2, "fanout:plain")),
    other("handshakes", What::Handshakes, Goal::Ahead),
    other("idle", What::Idle(5000, Dialect::Plain), Goal::Bytes(2600.0)),
    other("idle:shared-deflate", What::Idle(5000, Dialect::Deflate { takeover: false }), Goal::Bytes(12_000.0)),
    other("client:20", What::Sends(20), Goal::Ahead),
    other("client:1024", What::Sends(1024), Goal::Ahead),
    other("client:1048576", What::Sends(1_048_576), Goal::Ahead),
    event("socketio:64:1:20", Event::Message, Kind::Ascii, [64, 1, 20], Goal::OfBest(0.75)),
    event("socketio:16:16:20", Event::Message, Kind::Ascii, [16, 16, 20], Goal::OfBest(0.4)),
    event(VALUE, Event::Message, Kind::Json, [16, 16, 1024], Goal::OfBest(0.5)),
    event("socketio:json-raw:16:16:1024", Event::Message, Kind::Json, [16, 16, 1024], Goal::OfBest(0.15)),
    event("socketio:ack:16:16:1024", Event::Ack, Kind::Ascii, [16, 16, 1024], Goal::OfBest(0.4)),
    event("socketio:binary:8:1:65536", Event::Binary, Kind::Binary, [8, 1, 65_536], Goal::OfBest(0.8)),
    other("socketio:broadcast", What::FanOut(BROADCAST, Dialect::SocketIo(Event::Broadcast)), Goal::OfBest(0.5)),
    other("socketio:polling:64:1:20", What::Polling(POLLING), Goal::OfBest(0.7)),
    other("socketio:storm", What::Storm, Goal::OfBest(0.7)),
    other("socketio:idle", What::Idle(5000, Dialect::SocketIo(Event::Message)), Goal::Bytes(6000.0)),
];

impl Case {
    /// Whether it is one of Socket.IO.
    pub fn is_socketio(&self) -> bool {
        match self.what {
            What::Polling(_) | What::Storm => true,
            What::Echo(_, dialect) | What::FanOut(_, dialect) | What::Idle(_, dialect) => {
                matches!(dialect, Dialect::SocketIo(_))
            }
            What::Handshakes | What::Sends(_) => false,
        }
    }
}
