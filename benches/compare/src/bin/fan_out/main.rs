//! The Rust servers that send each message to all connections: `fan_out PEER [--deflate]`, on one thread.
//!
//! Each one keeps the sending halves of its connections in a list, which only grows, and sends to one behind the other.

use std::{error, future::Future, io, sync::Arc};

use futures_util::{Sink, SinkExt, Stream, StreamExt, stream::SplitSink};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Mutex,
};

mod raw;
mod sockeye;
mod sockudo;

type Done = Result<(), Box<dyn error::Error + Send + Sync>>;

/// The sending halves of all connections.
type List<W> = Arc<Mutex<Vec<W>>>;

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let peer = args.first().map_or("", String::as_str);
    let deflate = args.iter().any(|arg| arg == "--deflate");
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on ws://{}", listener.local_addr()?);
        match peer {
            "raw" => serve(listener, raw::fan_out).await,
            "sockeye" => sockeye::serve(listener, deflate).await,
            "tokio-tungstenite" => serve(listener, tungstenite).await,
            "tokio-websockets" => serve(listener, tokio_websockets).await,
            "sockudo-ws" => serve(listener, sockudo::fan_out).await,
            _ => Err(io::Error::other(format!("{peer:?} is no peer"))),
        }
    })
}

async fn serve<W, F>(listener: TcpListener, fan_out: impl Fn(TcpStream, List<W>) -> F) -> io::Result<()>
where
    F: Future<Output = Done> + Send + 'static,
{
    let list = List::default();
    loop {
        let (io, _) = listener.accept().await?;
        io.set_nodelay(true)?;
        tokio::spawn(fan_out(io, Arc::clone(&list)));
    }
}

async fn tungstenite(
    io: TcpStream,
    list: List<SplitSink<tokio_tungstenite::WebSocketStream<TcpStream>, tokio_tungstenite::tungstenite::Message>>,
) -> Done {
    let ws = tokio_tungstenite::accept_async(io).await?;
    send_each(ws, list, |message| message.is_text() || message.is_binary()).await
}

async fn tokio_websockets(
    io: TcpStream,
    list: List<SplitSink<tokio_websockets::WebSocketStream<TcpStream>, tokio_websockets::Message>>,
) -> Done {
    // As in its example: a message is never sent in fragments.
    let config = tokio_websockets::Config::default().frame_size(usize::MAX);
    let (_, ws) = tokio_websockets::ServerBuilder::new().config(config).accept(io).await?;
    send_each(ws, list, |message| message.is_text() || message.is_binary()).await
}

/// The plain loop; a clone of a message shares its payload.
async fn send_each<W, M, E>(ws: W, list: List<SplitSink<W, M>>, is_data: impl Fn(&M) -> bool) -> Done
where
    W: Stream<Item = Result<M, E>> + Sink<M, Error = E>,
    M: Clone,
    E: error::Error + Send + Sync + 'static,
{
    let (writer, mut reader) = ws.split();
    list.lock().await.push(writer);
    while let Some(message) = reader.next().await {
        let message = message?;
        if is_data(&message) {
            for writer in list.lock().await.iter_mut() {
                writer.send(message.clone()).await?;
            }
        }
    }
    Ok(())
}
