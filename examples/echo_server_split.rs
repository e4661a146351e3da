//! An echo server whose connections are split: one task receives, another one sends. See `echo_server` for the options.

use sockeye::{Config, DeflateConfig, Error, Role, Server};
use tokio::sync::mpsc;

#[path = "support/options.rs"]
mod options;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = options::server("echo_server_split");
    let runtime = options.runtime()?;
    runtime.block_on(async {
        let mut server = Server::bind(&options.listen).await?;
        server = server.config(Config::new(Role::Server).max_message(options.max_message));
        if options.deflate {
            server = server.deflate(DeflateConfig::default());
        }
        println!("listening on ws://{}", server.local_addr()?);
        server
            .serve(|ws, _request| async move {
                let (sender, mut receiver) = ws.split();
                // The queue is short, so that a peer that does not read is soon not read from.
                let (queue, mut queued) = mpsc::channel(16);
                let sending = tokio::spawn(async move {
                    while let Some(message) = queued.recv().await {
                        sender.send(message).await?;
                    }
                    Ok::<_, Error>(())
                });
                while let Some(message) = receiver.recv().await? {
                    if queue.send(message).await.is_err() {
                        break;
                    }
                }
                drop(queue);
                sending.await.expect("the sending task does not panic")
            })
            .await?;
        Ok(())
    })
}
