use std::time::SystemTime;

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout_at},
};

use crate::{Error, proto::handshake::Response, stream::read_some};

/// What one read takes in at the most.
const READ: usize = 4096;
/// How many bytes behind a refused request are read and discarded, so that no reset overtakes our response.
const MAX_DISCARDED: usize = 256 * 1024;

/// An opening handshake that has come to nothing.
pub(super) struct Unopened<S> {
    /// Why; `None` if the request was not for a WebSocket, or the application refused it.
    pub(super) error: Option<Error>,
    /// There if the client has been told.
    pub(super) answered: Option<Answered<S>>,
}

/// A client that has had its response, and is to end the connection too.
pub(super) struct Answered<S> {
    /// What it was told.
    pub(super) status: u16,
    io: S,
    until: Instant,
}

/// Writes a response, without its body if it answers a `HEAD`, and shuts down.
pub(super) async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    mut io: S,
    response: &Response,
    method: &str,
    until: Instant,
) -> Result<Answered<S>, Error> {
    let response = dated(response);
    let bytes = if method == "HEAD" { response.encode_head() } else { response.encode() };
    let written = async {
        io.write_all(&bytes).await?;
        io.shutdown().await
    };
    match timeout_at(until, written).await {
        Ok(Err(error)) => Err(error.into()),
        // Of a client that takes nothing, nothing more is expected.
        Ok(Ok(())) | Err(_) => Ok(Answered { status: response.status(), io, until }),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Answered<S> {
    /// Reads until the client has ended too, within bounds.
    pub(super) async fn linger(mut self) {
        let reading = async {
            let mut buffer = Vec::with_capacity(READ);
            let mut discarded = 0;
            while discarded < MAX_DISCARDED {
                buffer.clear();
                match read_some(&mut self.io, &mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(read) => discarded += read,
                }
            }
        };
        // A client that does not end has had its response all the same.
        let _ = timeout_at(self.until, reading).await;
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Unopened<S> {
    pub(super) async fn linger(self) -> Option<Error> {
        if let Some(answered) = self.answered {
            answered.linger().await;
        }
        self.error
    }
}

impl<S, E: Into<Error>> From<E> for Unopened<S> {
    /// Nobody is there who could be told.
    fn from(error: E) -> Self {
        Self { error: Some(error.into()), answered: None }
    }
}

/// RFC 9110 §6.6.1: "An origin server with a clock MUST generate a Date header field in all 2xx (Successful), 3xx
/// (Redirection), and 4xx (Client Error) responses".
fn dated(response: &Response) -> Response {
    let mut response = response.clone();
    if !response.headers.contains("Date") {
        let date = httpdate::fmt_http_date(SystemTime::now());
        response.headers.push("Date", date).expect("a date is a header's value");
    }
    response
}
