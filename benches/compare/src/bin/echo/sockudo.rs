use sockudo_ws::{
    Config, DeflateConfig, Message, Result, Role, WebSocketStream,
    deflate::negotiate_server_deflate,
    handshake::{build_response, generate_accept_key, parse_request, server_handshake},
    stream::CompressedWebSocketStream,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub(crate) async fn echo(io: TcpStream) -> crate::Done {
    crate::answer_each(accept(io).await?, is_data).await
}

pub(crate) async fn echo_batched(io: TcpStream) -> crate::Done {
    crate::answer_batches(accept(io).await?, is_data).await
}

/// Its server agrees on compression under axum only; this is what that does.
pub(crate) async fn echo_deflated(mut io: TcpStream, compression_level: u32) -> crate::Done {
    let policy = DeflateConfig { compression_level, ..DeflateConfig::default() };
    let mut head = bytes::BytesMut::with_capacity(4096);
    let agreed = loop {
        if io.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
        if let Some((request, _)) = parse_request(&head)? {
            let agreed = request.extensions.and_then(|offers| negotiate_server_deflate(offers, &policy));
            let agreed = agreed.ok_or("compression was not offered")?;
            let extensions = agreed.to_response_header();
            io.write_all(&build_response(&generate_accept_key(request.key), None, Some(&extensions))).await?;
            break agreed.config;
        }
    };
    crate::answer_each(CompressedWebSocketStream::server(io, Config::default(), agreed), is_data).await
}

async fn accept(mut io: TcpStream) -> Result<WebSocketStream<TcpStream>> {
    let leftover = server_handshake(&mut io).await?.leftover;
    Ok(WebSocketStream::from_raw_with_leftover(io, Role::Server, Config::default(), leftover))
}

fn is_data(message: &Message) -> bool {
    matches!(message, Message::Text(_) | Message::Binary(_))
}
