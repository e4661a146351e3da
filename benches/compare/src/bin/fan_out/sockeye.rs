use std::{io, sync::Arc};

use sockeye::{DeflateConfig, Error, PreparedMessage, Server, Transport, stream::Sender};
use tokio::net::TcpListener;

use crate::List;

/// Each message is encoded, and compressed, once.
pub(crate) async fn serve(listener: TcpListener, deflate: bool) -> io::Result<()> {
    let mut server = Server::from_listener(listener);
    if deflate {
        server = server.deflate(DeflateConfig::default());
    }
    let list: List<Sender<Transport>> = List::default();
    server
        .serve(move |ws, _request| {
            let list = Arc::clone(&list);
            async move {
                let (sender, mut receiver) = ws.split();
                list.lock().await.push(sender);
                while let Some(message) = receiver.recv().await? {
                    let prepared = PreparedMessage::new(message);
                    for sender in list.lock().await.iter() {
                        sender.send_prepared(&prepared).await?;
                    }
                }
                Ok::<_, Error>(())
            }
        })
        .await
}
