//! Opens many WebSockets on one HTTP/2 connection to an echo server, and checks what comes back.
//!
//! ```text
//! cargo run --release --features http2,deflate --example http2_echo_client -- ws://127.0.0.1:9443/echo --websockets 100
//! ```
//!
//! With `ws://`, the server is taken to speak HTTP/2; `wss://` needs the feature `rustls` as well.

use std::error::Error;

use sockeye::{CloseCode, DeflateConfig, Message, client::Http2, connect};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (mut url, mut websockets, mut deflate) = ("ws://127.0.0.1:9443/echo".to_owned(), 10, true);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--websockets" => websockets = args.next().ok_or("--websockets needs a number")?.parse()?,
            "--no-deflate" => deflate = false,
            _ => url = arg,
        }
    }
    let http2 = Http2::connect(connect(&url[..])).await?;
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..websockets {
        running.spawn(converse(http2.clone(), url.clone(), deflate));
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    println!("{websockets} WebSockets on one connection: every message came back");
    Ok(())
}

async fn converse(http2: Http2, url: String, deflate: bool) -> Result<(), sockeye::Error> {
    let mut what = connect(url);
    if deflate {
        what = what.deflate(DeflateConfig::default());
    }
    let mut ws = http2.open(what).await?;
    for size in [0, 1, 125, 126, 65_535, 65_536, 1_000_000] {
        let text = "нерка 🐟 ".repeat(size / 16);
        let bytes: Vec<u8> = (0..size).map(|at| ((at * 7) ^ (at >> 8)) as u8).collect();
        for message in [Message::from(text), Message::from(bytes)] {
            ws.send(message.clone()).await?;
            assert!(ws.recv().await? == Some(message), "another message of {size} bytes came back");
        }
    }
    ws.close(CloseCode::NORMAL, "done").await
}
