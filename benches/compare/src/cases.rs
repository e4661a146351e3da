//! What is measured.

use crate::{load::Dialect, payload::Kind, script::Shape};

/// One table of the report.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name on the command line.
    pub name: &'static str,
    pub what: What,
    /// The goal for the ratio, where there is one.
    pub goal: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
pub enum What {
    Echo(Shape, Dialect),
    /// One message to all connections.
    FanOut(Shape, Dialect),
    Handshakes,
    /// The memory of so many idle connections.
    Idle(usize),
    /// A client's masked messages of so many bytes.
    Sends(usize),
}

const fn echo(
    name: &'static str,
    kind: Kind,
    [connections, in_flight, payload]: [usize; 3],
    goal: Option<f64>,
) -> Case {
    Case { name, what: What::Echo(Shape { connections, in_flight, payload, kind }, Dialect::Plain), goal }
}

const fn deflate(name: &'static str, takeover: bool) -> Case {
    let shape = Shape { connections: 16, in_flight: 1, payload: 1024, kind: Kind::Json };
    Case { name, what: What::Echo(shape, Dialect::Deflate { takeover }), goal: None }
}

const fn fan_out(name: &'static str, dialect: Dialect, goal: Option<f64>) -> Case {
    let shape = Shape { connections: 1000, in_flight: 1, payload: 1024, kind: Kind::Json };
    Case { name, what: What::FanOut(shape, dialect), goal }
}

const fn other(name: &'static str, what: What) -> Case {
    Case { name, what, goal: None }
}

pub const CASES: &[Case] = &[
    echo("64:1:20", Kind::Binary, [64, 1, 20], Some(1.05)),
    echo("16:1:1024", Kind::Binary, [16, 1, 1024], Some(1.05)),
    echo("16:16:20", Kind::Binary, [16, 16, 20], Some(1.2)),
    echo("16:64:20", Kind::Binary, [16, 64, 20], Some(1.7)),
    echo("16:16:1024", Kind::Binary, [16, 16, 1024], Some(1.35)),
    echo("8:1:65536", Kind::Binary, [8, 1, 65_536], Some(1.1)),
    echo("4:1:1048576", Kind::Binary, [4, 1, 1_048_576], Some(1.15)),
    echo("ascii:16:16:20", Kind::Ascii, [16, 16, 20], None),
    echo("ascii:16:16:1024", Kind::Ascii, [16, 16, 1024], None),
    echo("ascii:8:1:65536", Kind::Ascii, [8, 1, 65_536], None),
    echo("mixed:16:16:20", Kind::Mixed, [16, 16, 20], None),
    echo("mixed:16:16:1024", Kind::Mixed, [16, 16, 1024], None),
    echo("mixed:8:1:65536", Kind::Mixed, [8, 1, 65_536], None),
    deflate("deflate:takeover", true),
    deflate("deflate:no-takeover", false),
    fan_out("fanout:plain", Dialect::Plain, Some(1.3)),
    fan_out("fanout:compressed", Dialect::Deflate { takeover: true }, None),
    other("handshakes", What::Handshakes),
    other("idle", What::Idle(5000)),
    other("client:20", What::Sends(20)),
    other("client:1024", What::Sends(1024)),
    other("client:1048576", What::Sends(1_048_576)),
];
