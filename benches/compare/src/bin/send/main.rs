//! The Rust clients: `send PEER HOST:PORT BYTES` sends binary messages of so many zeros until it is ended.
//!
//! `PEER-batched` queues messages up to [`BATCH`] or 64 KiB, whichever comes first, and then writes them.

use std::error;

use bytes::Bytes;
use compare::wire::{self, Opcode};
use fastwebsockets::{Frame, Payload};
use futures_util::{Sink, SinkExt};
use http_body_util::Empty;
use hyper::{
    Request,
    header::{CONNECTION, HOST, UPGRADE},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

type Done = Result<(), Box<dyn error::Error + Send + Sync>>;

const BATCH: usize = 64;

fn main() -> Done {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().ok_or("usage: send PEER HOST:PORT BYTES");
    let (peer, address, len) = (next()?, next()?, next()?.parse()?);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let io = TcpStream::connect(&address).await?;
        io.set_nodelay(true)?;
        let payload = Bytes::from(vec![0; len]);
        let url = format!("ws://{address}/");
        let batch = (64 * 1024 / len).clamp(1, BATCH);
        match peer.as_str() {
            "raw" => raw(io, &address, len).await,
            "sockeye" => sockeye(io, &url, payload, 1).await,
            "sockeye-batched" => sockeye(io, &url, payload, batch).await,
            "tokio-tungstenite" => tungstenite(io, &url, payload, 1).await,
            "tokio-tungstenite-batched" => tungstenite(io, &url, payload, batch).await,
            "fastwebsockets" => fastwebsockets(io, &address, &payload).await,
            "tokio-websockets" => tokio_websockets(io, &url, payload, 1).await,
            "tokio-websockets-batched" => tokio_websockets(io, &url, payload, batch).await,
            "yawc" => yawc(io, &url, payload, 1).await,
            "yawc-batched" => yawc(io, &url, payload, batch).await,
            "sockudo-ws" => sockudo(io, &address, payload, 1).await,
            "sockudo-ws-batched" => sockudo(io, &address, payload, batch).await,
            _ => Err(format!("{peer:?} is no peer").into()),
        }
    })
}

/// The floor: one write for each message, masked before.
async fn raw(mut io: TcpStream, address: &str, len: usize) -> Done {
    let request = wire::request(address.parse()?, None);
    io.write_all(request.as_bytes()).await?;
    let mut head = vec![];
    while wire::head_len(&head).is_none() {
        head.push(io.read_u8().await?);
    }
    let mut frame = vec![];
    wire::put_masked(&mut frame, 0x80, Opcode::Binary, &vec![0; len], [0x37, 0xfa, 0x21, 0x3d]);
    loop {
        io.write_all(&frame).await?;
    }
}

async fn sockeye(io: TcpStream, url: &str, payload: Bytes, batch: usize) -> Done {
    let (mut ws, _) = sockeye::connect(url).over(io).await?;
    loop {
        if batch == 1 {
            ws.send(payload.clone()).await?;
        } else {
            for _ in 0..batch {
                ws.feed(payload.clone()).await?;
            }
            ws.flush().await?;
        }
    }
}

async fn tungstenite(io: TcpStream, url: &str, payload: Bytes, batch: usize) -> Done {
    let (ws, _) = tokio_tungstenite::client_async(url, io).await?;
    send(ws, || tokio_tungstenite::tungstenite::Message::Binary(payload.clone()), batch).await
}

async fn tokio_websockets(io: TcpStream, url: &str, payload: Bytes, batch: usize) -> Done {
    let config = tokio_websockets::Config::default().frame_size(usize::MAX);
    let (ws, _) = tokio_websockets::ClientBuilder::new().uri(url)?.config(config).connect_on(io).await?;
    send(ws, || tokio_websockets::Message::binary(payload.clone()), batch).await
}

async fn yawc(io: TcpStream, url: &str, payload: Bytes, batch: usize) -> Done {
    let ws = yawc::WebSocket::handshake(url.parse()?, io, yawc::Options::default()).await?;
    send(ws, || yawc::Frame::binary(payload.clone()), batch).await
}

async fn sockudo(mut io: TcpStream, address: &str, payload: Bytes, batch: usize) -> Done {
    sockudo_ws::handshake::client_handshake(&mut io, address, "/", None).await?;
    let ws = sockudo_ws::WebSocketStream::client(io, sockudo_ws::Config::default());
    send(ws, || sockudo_ws::Message::Binary(payload.clone()), batch).await
}

async fn fastwebsockets(io: TcpStream, address: &str, payload: &[u8]) -> Done {
    let request = Request::builder()
        .uri(format!("http://{address}/"))
        .header(HOST, address)
        .header(UPGRADE, "websocket")
        .header(CONNECTION, "upgrade")
        .header("Sec-WebSocket-Key", fastwebsockets::handshake::generate_key())
        .header("Sec-WebSocket-Version", "13")
        .body(Empty::<Bytes>::new())?;
    let (mut ws, _) = fastwebsockets::handshake::client(&Executor, request, io).await?;
    loop {
        ws.write_frame(Frame::binary(Payload::Borrowed(payload))).await?;
    }
}

struct Executor;

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Executor {
    fn execute(&self, future: F) {
        tokio::spawn(future);
    }
}

async fn send<M, E>(mut ws: impl Sink<M, Error = E> + Unpin, message: impl Fn() -> M, batch: usize) -> Done
where
    E: error::Error + Send + Sync + 'static,
{
    loop {
        if batch == 1 {
            ws.send(message()).await?;
        } else {
            for _ in 0..batch {
                ws.feed(message()).await?;
            }
            ws.flush().await?;
        }
    }
}
