use futures_util::StreamExt;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task};
use yawc::{CompressionLevel, Frame, HttpStream, OpCode, Options, WebSocket, WebSocketError};

pub(crate) async fn echo(io: TcpStream, level: Option<u32>) -> crate::Done {
    let options = match level {
        None => options(),
        Some(level) => options().with_compression_level(CompressionLevel::new(level)),
    };
    serve(io, options, |ws| crate::answer_each(ws.map(Ok), is_data)).await
}

/// With the buffers that its own benchmark has for this.
pub(crate) async fn echo_batched(io: TcpStream) -> crate::Done {
    let options = options().with_read_buffer_capacity(128 * 1024).with_backpressure_boundary(64 * 1024);
    serve(io, options, |ws| crate::answer_batches(ws.map(Ok), is_data)).await
}

/// Its default takes text on trust, which none of the others do.
fn options() -> Options {
    Options::default().with_utf8().with_max_payload_read(crate::MAX_MESSAGE)
}

async fn serve<F>(io: TcpStream, options: Options, answer: fn(WebSocket<HttpStream>) -> F) -> crate::Done
where
    F: Future<Output = crate::Done> + Send + 'static,
{
    let upgrade = service_fn(|mut request| {
        let upgraded = WebSocket::upgrade_with_options(&mut request, options.clone());
        async move {
            let (response, ws) = upgraded?;
            task::spawn(async move { answer(ws.await?).await });
            Ok::<_, WebSocketError>(response)
        }
    });
    Ok(http1::Builder::new().serve_connection(TokioIo::new(io), upgrade).with_upgrades().await?)
}

fn is_data(frame: &Frame) -> bool {
    matches!(frame.opcode(), OpCode::Text | OpCode::Binary)
}
