//! The server that the official client of Socket.IO is tried against by `tests/interop/run socketio`.
//!
//! `cargo run --features socketio --example socketio_interop -- --port 3000 [--recovery] [--deflate]`

use std::{error::Error, net::Ipv4Addr, time::Duration};

use bytes::Bytes;
use serde_json::json;
use sockeye::{
    DeflateConfig,
    socketio::{AckError, Arguments, Config, ConnectError, EmitError, Recovery, Reply, Server, Socket, Value},
};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (mut port, mut config) = (0, Config::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--port" => port = arguments.next().ok_or("--port wants a number")?.parse()?,
            "--recovery" => config = config.recovery(Recovery::new().max_disconnection(Duration::from_secs(30))),
            "--deflate" => config = config.engine(|engine| engine.deflate(DeflateConfig::default())),
            _ => return Err("usage: socketio_interop [--port N] [--recovery] [--deflate]".into()),
        }
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let io = server(config);
    println!("listening on http://{}", listener.local_addr()?);
    Ok(io.serve(listener).await?)
}

fn server(config: Config) -> Server {
    let io = Server::with_config(config);
    io.on_connect(|socket: Socket| async move {
        socket.emit("hello", (socket.is_recovered(), socket.transport().as_str()))?;
        listen(&socket);
        Ok::<_, EmitError>(())
    });
    let guarded = io.of("/guarded");
    guarded.middleware(|socket: Socket| async move {
        match socket.auth::<Value>() {
            Ok(auth) if auth["token"].as_str() == Some("s3cret") => Ok(()),
            _ => Err(ConnectError::new("not authorized").data(json!({ "code": 401 }))),
        }
    });
    guarded.on_connect(|socket: Socket| async move {
        socket.on("where", |socket: Socket| async move { Reply(socket.namespace().name().to_owned()) });
    });
    io
}

fn listen(socket: &Socket) {
    socket.on("echo", |socket: Socket, arguments: Arguments| async move { socket.emit("echo", arguments) });
    socket.on("reply", |_: Socket, arguments: Arguments| async move { Reply(arguments) });
    // Asks the client, and says what it has answered.
    socket.on("ask me", |socket: Socket, question: Value| async move {
        let answer: Arguments = socket.timeout(Duration::from_secs(10)).emit_with_ack("question", question).await?;
        Ok::<_, AckError>(Reply(answer))
    });
    socket.on("transport", |socket: Socket| async move { Reply(socket.transport().as_str()) });
    socket.on("join", |socket: Socket, room: String| async move {
        socket.join(room);
        Reply(socket.rooms().len())
    });
    socket.on("to", |socket: Socket, (room, text): (String, String)| async move {
        socket.to(room).emit("said", text)?;
        Ok::<_, EmitError>(Reply(()))
    });
    socket.on("all", |socket: Socket, text: String| async move { socket.namespace().emit("said", text) });
    socket.on("poll all", |socket: Socket, question: String| async move {
        let all = socket.namespace().emit_with_ack::<u32>("poll", question).await;
        Ok::<_, Box<dyn Error + Send + Sync>>(Reply(all.map_err(|error| error.to_string())?))
    });
    socket.on("bytes", |_: Socket, sizes: Vec<usize>| async move {
        Reply(sizes.into_iter().map(|size| Bytes::from(vec![7; size])).collect::<Vec<_>>())
    });
    // Soon, so that what the client does meanwhile is missed.
    socket.on("later", |socket: Socket, (millis, text): (u64, String)| async move {
        let namespace = socket.namespace().clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            namespace.emit("said", text)
        });
    });
    socket.on("leave me", |socket: Socket| async move { socket.disconnect() });
    socket.on("close me", |socket: Socket| async move { socket.close_connection() });
}
