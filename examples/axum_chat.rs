//! A chat with a page, on axum: rooms, names, compression, and an orderly end.
//!
//! ```text
//! cargo run --features axum,deflate --example axum_chat -- 127.0.0.1:3000
//! ```
//!
//! Open <http://127.0.0.1:3000/> in two windows. With Ctrl-C everybody is told that the server goes away, and their pages
//! say so; axum's own graceful shutdown would not wait for them.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    extract::State,
    response::{Html, Response},
    routing::{any, get},
};
use sockeye::{
    CloseCode, DeflateConfig, Error, PreparedMessage, WebSocket,
    axum::{Sockets, WebSocketUpgrade},
};
use tokio::{net::TcpListener, sync::broadcast};

/// How far a client may fall behind the others, in messages.
const BACKLOG: usize = 256;
/// The longest name, in characters.
const LONGEST_NAME: usize = 20;

/// Everything that is said: each message is encoded and compressed once, for all who hear it.
type Room = broadcast::Sender<Arc<PreparedMessage>>;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let sockets = Sockets::new();
    let app = Router::new()
        .route("/", get(|| async { Html(include_str!("support/chat.html")) }))
        .route("/chat", any(chat))
        .with_state(Room::new(BACKLOG))
        .layer(Extension(sockets.clone()));
    let listener = TcpListener::bind(address).await?;
    println!("chatting on http://{}", listener.local_addr()?);
    axum::serve(listener, app).with_graceful_shutdown(shut_down(sockets)).await
}

async fn shut_down(sockets: Sockets) {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await; // without signals, nobody can end it this way
    }
    println!("telling {} guests", sockets.len());
    sockets.shut_down(Duration::from_secs(10)).await;
}

async fn chat(ws: WebSocketUpgrade, State(room): State<Room>) -> Response {
    ws.protocols(["chat"]).deflate(DeflateConfig::shared()).on_upgrade(|ws| talk(ws, room))
}

/// The first message is the guest's name, and all others are what the guest says.
async fn talk(mut ws: WebSocket, room: Room) -> Result<(), Error> {
    let Some(first) = ws.recv().await? else { return Ok(()) };
    let name: String =
        first.as_text().unwrap_or_default().chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    let mut heard = room.subscribe();
    say(&room, "", &format!("{name} is here"));
    let outcome = listen(&mut ws, &room, &mut heard, &name).await;
    say(&room, "", &format!("{name} has left"));
    outcome
}

async fn listen(
    ws: &mut WebSocket,
    room: &Room,
    heard: &mut broadcast::Receiver<Arc<PreparedMessage>>,
    name: &str,
) -> Result<(), Error> {
    loop {
        tokio::select! {
            said = ws.recv() => match said? {
                Some(said) => say(room, name, said.as_text().unwrap_or("(bytes)")),
                None => return Ok(()),
            },
            message = heard.recv() => match message {
                Ok(message) => ws.send_prepared(&message).await?,
                Err(_) => return ws.close(CloseCode::TRY_AGAIN_LATER, "you have fallen too far behind").await,
            },
        }
    }
}

/// Says something to everybody in the room: a name, or nobody's, a line break, and what is said.
fn say(room: &Room, name: &str, what: &str) {
    // With nobody there, nobody hears it.
    let _ = room.send(Arc::new(PreparedMessage::new(format!("{name}\n{what}"))));
}
