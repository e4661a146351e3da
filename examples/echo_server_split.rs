//! `echo_server` through the split halves: `Sender` is `Clone`, and each half may move to a task of its own.

use sockeye::{Config, Error, Role, Server};

#[path = "support/options.rs"]
mod options;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = options::server("echo_server_split");
    let runtime = options.runtime()?;
    runtime.block_on(async {
        let mut server = Server::bind(&options.listen).await.unwrap_or_else(|error| options.cannot_listen(&error));
        server = server.config(Config::new(Role::Server).max_message(options.max_message));
        server = server.max_connections(options.max_connections).origin(options.origin.clone());
        if let Some(deflate) = options.deflate.clone() {
            server = server.deflate(deflate);
        }
        println!("listening on ws://{}", server.local_addr()?);
        server
            .serve(|ws, _request| async move {
                let (sender, mut receiver) = ws.split();
                while let Some(message) = receiver.recv().await? {
                    sender.send(message).await?;
                }
                Ok::<_, Error>(())
            })
            .await?;
        Ok(())
    })
}
