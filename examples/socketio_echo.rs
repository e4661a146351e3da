//! Says back what clients say, to them or to all; what benchmarks talk to.
//!
//! ```text
//! cargo run --release --features socketio --example socketio_echo -- --port 3000
//! ```
//!
//! | event | does |
//! |---|---|
//! | `msg` | emits `msg` with the same arguments |
//! | `ack` | acknowledges with them |
//! | `bin` | emits `bin` with them |
//! | `bcast` | emits `bcast` to everybody in the room `room`, in which all are, the sender too |
//! | `join` | joins the room of that name |
//!
//! With `--raw`, the default, arguments pass as they came; with `--value` the first one is decoded to a `Value`, and encoded
//! again.

use sockeye::socketio::{Arguments, FromArguments, Reply, Server, Socket, ToArguments, Value};

#[path = "support/socketio.rs"]
mod support;

/// Everybody is in it.
const ROOM: &str = "room";

fn main() -> std::io::Result<()> {
    let options = support::options(&["--raw", "--value"]);
    support::runtime()?.block_on(serve(options))
}

async fn serve(options: support::Options) -> std::io::Result<()> {
    let io = Server::new();
    if options.has("--value") {
        io.on_connect(|socket: Socket| async move { listen::<Value>(&socket) });
    } else {
        io.on_connect(|socket: Socket| async move { listen::<Arguments>(&socket) });
    }
    io.serve(options.listener().await?).await
}

/// Hears events whose arguments are taken as a `T`.
fn listen<T: FromArguments + ToArguments + Send + Sync + 'static>(socket: &Socket) {
    socket.join(ROOM);
    socket.on("msg", |socket: Socket, said: T| async move { socket.emit("msg", said) });
    socket.on("bin", |socket: Socket, bytes: T| async move { socket.emit("bin", bytes) });
    socket.on("ack", |_: Socket, said: T| async move { Reply(said) });
    socket.on("bcast", |socket: Socket, said: T| async move { socket.namespace().to(ROOM).emit("bcast", said) });
    socket.on("join", |socket: Socket, room: String| async move { socket.join(room) });
}
