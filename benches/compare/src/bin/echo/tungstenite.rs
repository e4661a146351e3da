use tokio::net::TcpStream;
use tokio_tungstenite::{accept_async, tungstenite::Message};

pub(crate) async fn echo(io: TcpStream) -> crate::Done {
    crate::answer_each(accept_async(io).await?, is_data).await
}

pub(crate) async fn echo_batched(io: TcpStream) -> crate::Done {
    crate::answer_batches(accept_async(io).await?, is_data).await
}

fn is_data(message: &Message) -> bool {
    message.is_text() || message.is_binary()
}
