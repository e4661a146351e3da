use sockudo_ws::{Config, Message, Role, SplitWriter, WebSocketStream, handshake::server_handshake};
use tokio::net::TcpStream;

use crate::{Done, List};

/// With the halves of its own.
pub(crate) async fn fan_out(mut io: TcpStream, list: List<SplitWriter<TcpStream>>) -> Done {
    let leftover = server_handshake(&mut io).await?.leftover;
    let ws = WebSocketStream::from_raw_with_leftover(io, Role::Server, Config::default(), leftover);
    let (mut reader, writer) = ws.split();
    list.lock().await.push(writer);
    while let Some(message) = reader.next().await {
        let message = message?;
        if matches!(message, Message::Text(_) | Message::Binary(_)) {
            for writer in list.lock().await.iter_mut() {
                writer.send(message.clone()).await?;
            }
        }
    }
    Ok(())
}
