use std::io;

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout_at},
};

use super::{connect::Options, dial::dial, keys::next_key};
use crate::{
    Error, WebSocket,
    proto::{
        connection::{Connection, DeflateSettings, Inbox, Timeout},
        handshake::{Accepted, ClientHandshake, ClientRequest, Response},
    },
    stream::read_some,
};

/// What one read of a response takes in at the most.
const READ: usize = 4096;

/// Connects to where the request goes, and makes the opening handshake.
pub(super) async fn dial_and_open(
    request: &ClientRequest,
    options: &Options,
    deadline: Instant,
) -> Result<(WebSocket, Response), Error> {
    #[cfg(feature = "http2")]
    if options.http2
        && let Some(opened) = super::http2::dial_and_open(request, options, deadline).await?
    {
        return Ok(opened);
    }
    let io = dial(&request.uri, options, deadline).await?;
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "sockeye::client", server = request.uri.host_header(), "connected");
    open(io, request, options, deadline).await
}

/// Makes the opening handshake over `io`.
pub(super) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    mut io: S,
    request: &ClientRequest,
    options: &Options,
    deadline: Instant,
) -> Result<(WebSocket<S>, Response), Error> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(io::Error::other)?;
    let Options { config, max_refusal_body, .. } = *options;
    let (mut handshake, bytes) = ClientHandshake::new(request, nonce, config.limits, max_refusal_body)?;
    let written = async {
        io.write_all(&bytes).await?;
        io.flush().await
    };
    timeout_at(deadline, written).await.map_err(|_| Timeout::Handshake)??;
    let mut buffer = Vec::with_capacity(READ);
    let (Accepted { agreed, response, .. }, consumed) = loop {
        buffer.clear();
        let Ok(read) = timeout_at(deadline, read_some(&mut io, &mut buffer)).await else {
            // A refusal that does not end says enough.
            return Err(handshake.refusal().map_or_else(|| Timeout::Handshake.into(), Error::from));
        };
        if read? == 0 {
            return Err(handshake.receive_eof().into());
        }
        if let (consumed, Some(accepted)) = handshake.receive(&buffer)? {
            break (accepted, consumed);
        }
    };
    let deflate =
        request.deflate.clone().zip(agreed.deflate).map(|(config, agreed)| DeflateSettings { config, agreed });
    let now = Instant::now().into_std();
    let connection = Connection::client(config, deflate.as_ref(), Box::new(next_key), now);
    let mut inbox = Inbox::new();
    if consumed < buffer.len() {
        inbox.extend(&buffer[consumed..]);
    }
    Ok((WebSocket::new(io, connection, inbox).with_subprotocol(agreed.subprotocol.as_deref()), response))
}
