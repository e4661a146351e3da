//! The Rust echo servers: `echo PEER [--deflate LEVEL]`, on one thread.
//!
//! Each one stands as its own documentation has it. Where a peer can queue a message without writing it, there is a
//! second form, `PEER-batched`, which queues the answers to everything that is there and writes them at once.

use std::{error, future::Future, io};

use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use tokio::net::{TcpListener, TcpStream};

mod fastwebsockets;
mod raw;
mod sockudo;
mod tokio_websockets;
mod tungstenite;
mod yawc;

type Done = Result<(), Box<dyn error::Error + Send + Sync>>;

/// The largest message that any case sends, with room to spare.
const MAX_MESSAGE: usize = 4 << 20;

/// So many messages at most are answered by one write, as otherwise a flood would never be answered.
const BATCH: usize = 128;

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let peer = args.first().map_or("", String::as_str);
    let level = args.iter().position(|arg| arg == "--deflate").map(|at| args[at + 1].parse().expect("a level, 0 to 9"));
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on ws://{}", listener.local_addr()?);
        match peer {
            "raw" => serve(listener, raw::echo).await,
            "tokio-tungstenite" => serve(listener, tungstenite::echo).await,
            "tokio-tungstenite-batched" => serve(listener, tungstenite::echo_batched).await,
            "fastwebsockets" => serve(listener, |io| fastwebsockets::echo(io, true)).await,
            "fastwebsockets-copying" => serve(listener, |io| fastwebsockets::echo(io, false)).await,
            "tokio-websockets" => serve(listener, tokio_websockets::echo).await,
            "tokio-websockets-batched" => serve(listener, tokio_websockets::echo_batched).await,
            "yawc" => serve(listener, move |io| yawc::echo(io, level)).await,
            "yawc-batched" => serve(listener, yawc::echo_batched).await,
            "sockudo-ws" => match level {
                None => serve(listener, sockudo::echo).await,
                Some(level) => serve(listener, move |io| sockudo::echo_deflated(io, level)).await,
            },
            "sockudo-ws-batched" => serve(listener, sockudo::echo_batched).await,
            _ => Err(io::Error::other(format!("{peer:?} is no peer"))),
        }
    })
}

async fn serve<F>(listener: TcpListener, echo: impl Fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = Done> + Send + 'static,
{
    loop {
        let (io, _) = listener.accept().await?;
        io.set_nodelay(true)?;
        tokio::spawn(echo(io));
    }
}

/// The plain loop.
async fn answer_each<W, M, E>(mut ws: W, is_data: impl Fn(&M) -> bool) -> Done
where
    W: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    E: error::Error + Send + Sync + 'static,
{
    while let Some(message) = ws.next().await {
        let message = message?;
        if is_data(&message) {
            ws.send(message).await?;
        }
    }
    Ok(())
}

/// The loop that answers what is there with one write.
async fn answer_batches<W, M, E>(mut ws: W, is_data: impl Fn(&M) -> bool) -> Done
where
    W: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    E: error::Error + Send + Sync + 'static,
{
    let mut next = ws.next().await;
    while next.is_some() {
        let mut fed = 0;
        while let Some(message) = next.take() {
            let message = message?;
            if is_data(&message) {
                ws.feed(message).await?;
            }
            fed += 1;
            if fed < BATCH {
                next = ws.next().now_or_never().flatten();
            }
        }
        ws.flush().await?;
        next = ws.next().await;
    }
    Ok(())
}
