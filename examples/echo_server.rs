//! An echo server: every message comes back as it is. A browser that opens its address gets a page that talks to it.
//!
//! ```text
//! cargo run --release --example echo_server -- --listen 127.0.0.1:9001
//! ```

use sockeye::{Config, Error, Role, Server, proto::handshake::Response};

#[path = "support/options.rs"]
mod options;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = options::server("echo_server");
    let runtime = options.runtime()?;
    runtime.block_on(async {
        let mut server = Server::bind(&options.listen)
            .await
            .unwrap_or_else(|error| options.cannot_listen(&error))
            .fallback(|request| match request.path() {
                "/" => page(include_str!("support/echo.html")),
                _ => Response::new(404).expect("404 is a status"),
            });
        server = server.config(Config::new(Role::Server).max_message(options.max_message));
        server = server.max_connections(options.max_connections).origin(options.origin.clone());
        if let Some(deflate) = options.deflate.clone() {
            server = server.deflate(deflate);
        }
        println!("listening on ws://{}", server.local_addr()?);
        server
            .serve(|mut ws, _request| async move {
                while let Some(message) = ws.recv().await? {
                    ws.send(message).await?;
                }
                Ok::<_, Error>(())
            })
            .await?;
        Ok(())
    })
}

fn page(html: &'static str) -> Response {
    let mut page = Response::new(200).expect("200 is a status");
    page.headers.push("Content-Type", "text/html; charset=utf-8").expect("a valid header");
    page.body = html.into();
    page
}
