//! Who is measured, and how each one is started.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

/// The floor that all others are a ratio to.
pub const FLOOR: &str = "raw";

/// The echo servers.
pub const SERVERS: &[&str] = &[
    FLOOR,
    "sockeye",
    "tokio-tungstenite",
    "tokio-tungstenite-batched",
    "fastwebsockets",
    "fastwebsockets-copying",
    "tokio-websockets",
    "tokio-websockets-batched",
    "yawc",
    "yawc-batched",
    "sockudo-ws",
    "sockudo-ws-batched",
    "bun",
    "ws",
];

/// Those whose way with connections differs: the batched forms are the same there.
pub const CONNECTIONS: &[&str] =
    &[FLOOR, "sockeye", "tokio-tungstenite", "fastwebsockets", "tokio-websockets", "yawc", "sockudo-ws", "bun", "ws"];

/// The echo servers that compress, each at its own default, and at zlib's level 1, which is sockeye's default.
pub const DEFLATING: &[&str] = &[
    FLOOR,
    "sockeye",
    "yawc --deflate 6",
    "yawc --deflate 1",
    "sockudo-ws --deflate 6",
    "sockudo-ws --deflate 1",
    "bun --deflate shared",
    "bun --deflate dedicated",
    "ws --deflate 6",
    "ws --deflate 1",
];

/// The same, each in the way that holds the least memory.
pub const IDLE_DEFLATING: &[&str] = &[
    FLOOR,
    "sockeye --shared-deflate",
    "yawc --deflate 1",
    "sockudo-ws --deflate 1",
    "bun --deflate shared",
    "ws --deflate 1",
];

/// The servers that send each message to all connections.
pub const FAN_OUT: &[&str] = &[FLOOR, "sockeye", "tokio-tungstenite", "tokio-websockets", "sockudo-ws", "bun", "ws"];

/// Those of them that compress; the floor does not, so that both tables have the same one.
pub const FAN_OUT_DEFLATING: &[&str] =
    &[FLOOR, "sockeye", "bun --deflate shared", "bun --deflate dedicated", "ws --deflate 6", "ws --deflate 1"];

/// The clients.
pub const CLIENTS: &[&str] = &[
    FLOOR,
    "sockeye",
    "sockeye-batched",
    "tokio-tungstenite",
    "tokio-tungstenite-batched",
    "fastwebsockets",
    "tokio-websockets",
    "tokio-websockets-batched",
    "yawc",
    "yawc-batched",
    "sockudo-ws",
    "sockudo-ws-batched",
];

/// The servers of Socket.IO.
pub const SOCKETIO: &[&str] = &[FLOOR, "sockeye", "sockeye --value", "socketioxide", "bun", "bun --engine", "node"];

/// Those of them that decode the arguments of events to values, and encode them again.
pub const SOCKETIO_VALUE: &[&str] = &[FLOOR, "sockeye --value", "socketioxide", "bun", "bun --engine", "node"];

/// How to start the echo server of `peer`, which may have options behind its name; `None` where it is not installed.
pub fn server(peer: &str, deflate: bool) -> Option<Command> {
    let mut words = peer.split(' ');
    let name = words.next()?;
    let mut command = match name {
        "sockeye" => {
            let mut command = Command::new(package().join("../../target/release/examples/echo_server"));
            command.args(["--listen", "127.0.0.1:0"]);
            if !deflate {
                command.arg("--no-deflate");
            }
            command
        }
        "bun" => script(&package().join("node_modules/.bin/bun"), "bun.js")?,
        "ws" => script(Path::new("node"), "ws.js").filter(|_| package().join("node_modules/ws").exists())?,
        _ => {
            let mut command = Command::new(package().join("target/release/echo"));
            command.arg(name);
            command
        }
    };
    command.args(words);
    Some(command)
}

/// As [`server`], for a server that sends each message to all connections.
pub fn fan_out(peer: &str, deflate: bool) -> Option<Command> {
    if peer.starts_with("bun") || peer.starts_with("ws") {
        let mut command = server(peer, deflate)?;
        command.arg("--fan-out");
        return Some(command);
    }
    let mut command = Command::new(package().join("target/release/fan_out"));
    command.arg(peer);
    if deflate {
        command.arg("--deflate");
    }
    Some(command)
}

/// As [`server`], for the server of Socket.IO of `peer`.
pub fn socketio(peer: &str, fan_out: bool) -> Option<Command> {
    let mut words = peer.split(' ');
    let mut command = match words.next()? {
        FLOOR if fan_out => return self::fan_out(FLOOR, false),
        FLOOR => return server(FLOOR, false),
        "sockeye" => {
            let mut command = Command::new(package().join("../../target/release/examples/socketio_echo"));
            command.args(["--port", "0"]);
            command
        }
        "bun" => script(&package().join("node_modules/.bin/bun"), "socketio.js")?,
        "node" => script(Path::new("node"), "socketio.js").filter(|_| package().join("node_modules/ws").exists())?,
        _ => Command::new(package().join("target/release/socketio")),
    };
    command.args(words);
    Some(command)
}

/// How to start the client of `peer`.
pub fn client(peer: &str, address: SocketAddr, payload: usize) -> Command {
    let mut command = Command::new(package().join("target/release/send"));
    command.args([peer, &address.to_string(), &payload.to_string()]);
    command
}

fn script(runtime: &Path, name: &str) -> Option<Command> {
    if runtime.is_absolute() && !runtime.exists() {
        return None;
    }
    let mut command = Command::new(runtime);
    command.arg(package().join("servers").join(name));
    Some(command)
}

fn package() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
