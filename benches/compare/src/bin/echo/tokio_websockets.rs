use tokio::net::TcpStream;
use tokio_websockets::{Config, Error, Message, ServerBuilder, WebSocketStream};

pub(crate) async fn echo(io: TcpStream) -> crate::Done {
    tokio::task::unconstrained(crate::answer_each(accept(io).await?, is_data)).await
}

pub(crate) async fn echo_batched(io: TcpStream) -> crate::Done {
    tokio::task::unconstrained(crate::answer_batches(accept(io).await?, is_data)).await
}

async fn accept(io: TcpStream) -> Result<WebSocketStream<TcpStream>, Error> {
    // As in its example: a message is never sent in fragments.
    let server = ServerBuilder::new().config(Config::default().frame_size(usize::MAX));
    Ok(server.accept(io).await?.1)
}

fn is_data(message: &Message) -> bool {
    message.is_text() || message.is_binary()
}
