//! The echo server on axum: every message comes back as it is, over HTTP/1.1 and HTTP/2.
//!
//! ```text
//! cargo run --release --features axum,deflate --example axum_echo_server -- --listen 127.0.0.1:9001
//! ```
//!
//! Its options are those of `echo_server`, and so is its page. What holds for the whole application is one `Options` and one
//! `Sockets` in the requests' extensions.

use axum::{
    Extension, Router,
    response::{Html, IntoResponse as _, Response},
    routing::any,
    serve::ListenerExt as _,
};
use sockeye::{
    Config, Error, Role, WebSocket,
    axum::{Sockets, WebSocketUpgrade},
    server::{Budget, Options},
};
use tokio::net::TcpListener;

#[path = "support/options.rs"]
mod options;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = options::server("axum_echo_server");
    let runtime = options.runtime()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(&options.listen).await.unwrap_or_else(|error| options.cannot_listen(&error));
        println!("listening on ws://{}", listener.local_addr()?);
        // Small messages must not wait for each other's acknowledgements, and axum leaves that to its user.
        let listener = listener.tap_io(|tcp| {
            if let Err(error) = tcp.set_nodelay(true) {
                eprintln!("connection: {error}");
            }
        });
        let mut connections = Options::default();
        connections.config = Config::new(Role::Server).max_message(options.max_message);
        connections.deflate = options.deflate;
        connections.origin = options.origin;
        let sockets = Sockets::with_budget(Budget::default().max_connections(options.max_connections));
        // `any`, as HTTP/1.1 asks by GET, and HTTP/2 by CONNECT.
        let app = Router::new().route("/", any(page_or_echo));
        let app = app.layer(Extension(connections)).layer(Extension(sockets));
        axum::serve(listener, app).await?;
        Ok(())
    })
}

async fn page_or_echo(upgrade: Option<WebSocketUpgrade>) -> Response {
    match upgrade {
        Some(upgrade) => upgrade.on_upgrade(echo),
        None => Html(include_str!("support/echo.html")).into_response(),
    }
}

async fn echo(mut ws: WebSocket) -> Result<(), Error> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}
