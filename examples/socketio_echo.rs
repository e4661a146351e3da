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
//!
//! With `--impatient` clients have four seconds where they have many otherwise: to answer a ping, to go over to a WebSocket,
//! and to join a namespace. Then, two more events are heard:
//!
//! | event | does |
//! |---|---|
//! | `ask` | emits `ask`, and acknowledges with what that is acknowledged with, if it is within a second |
//! | `sessions` | acknowledges with how many sessions there are |

use std::time::Duration;

use sockeye::socketio::{Ack, Arguments, Config, EmitError, FromArguments, Reply, Server, Socket, ToArguments, Value};

#[path = "support/socketio.rs"]
mod support;

/// Everybody is in it.
const ROOM: &str = "room";

fn main() -> std::io::Result<()> {
    let options = support::options(&["--raw", "--value", "--impatient"]);
    support::runtime()?.block_on(serve(options))
}

async fn serve(options: support::Options) -> std::io::Result<()> {
    let is_impatient = options.has("--impatient");
    let io = Server::with_config(if is_impatient { impatient() } else { Config::new() });
    if options.has("--value") {
        io.on_connect(|socket: Socket| async move { listen::<Value>(&socket) });
    } else {
        io.on_connect(|socket: Socket| async move { listen::<Arguments>(&socket) });
    }
    if is_impatient {
        let server = io.clone();
        io.on_connect(move |socket: Socket| {
            let server = server.clone();
            async move { listen_for_more(&socket, server) }
        });
    }
    io.serve(options.listener().await?).await
}

/// Gives up soon on clients that do not do what they have to.
fn impatient() -> Config {
    const PATIENCE: Duration = Duration::from_secs(4);
    Config::new()
        .connect_timeout(PATIENCE)
        .engine(|engine| engine.ping_interval(PATIENCE).ping_timeout(PATIENCE).upgrade_timeout(PATIENCE))
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

fn listen_for_more(socket: &Socket, server: Server) {
    socket.on_concurrent("ask", |socket: Socket, (): (), ack: Ack| async move {
        let answer = socket.timeout(Duration::from_secs(1)).emit_with_ack::<Arguments>("ask", ()).await;
        // Who does not answer is not answered.
        answer.map_or(Ok::<_, EmitError>(()), |answer| ack.send(answer))
    });
    socket.on("sessions", move |_: Socket| {
        let sessions = server.engine().len();
        async move { Reply(sessions) }
    });
}
