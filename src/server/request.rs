use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout_at},
};

use super::{
    Options,
    answer::{Answered, Unopened, answer},
};
use crate::{
    Error, WebSocket,
    proto::{
        connection::{Connection, DeflateSettings, Inbox, Timeout},
        handshake::{Accept, AcceptError, Refusal, Request, Response, ServerHandshake},
    },
    stream::{after, read_some},
};

/// What one read of a request takes in at the most.
const READ: usize = 4096;

/// A request that waits for its answer: the first of two steps.
///
/// ```no_run
/// use sockeye::proto::handshake::{Accept, Response};
/// # async fn example(tcp: tokio::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
/// let incoming = sockeye::server::receive_request(tcp, &Default::default()).await?;
/// if incoming.request().path() != "/chat" {
///     incoming.reject(&Response::new(404)?).await?;
///     return Ok(());
/// }
/// let subprotocol = incoming.request().choose_subprotocol(["chat.v2", "chat.v1"]).map(String::from);
/// let mut ws = incoming.accept(Accept { subprotocol, ..Accept::default() }).await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Incoming<S> {
    io: S,
    request: Request,
    behind: Vec<u8>,
    options: Options,
    deadline: Instant,
}

/// Reads a request, be it for a WebSocket or not.
///
/// # Errors
///
/// [`Error::Refused`] if it is not well-formed HTTP or too large, which the client was told; [`Error::TimedOut`] if
/// it did not come in time (the client was sent 408); [`Error::Lost`] if the transport ended; [`Error::Io`].
///
/// # Cancel safety
///
/// Not cancel safe: the transport is dropped with it.
pub async fn receive_request<S: AsyncRead + AsyncWrite + Unpin>(
    io: S,
    options: &Options,
) -> Result<Incoming<S>, Error> {
    match receive(io, options, after(options.config.limits.handshake_timeout)).await {
        Ok(incoming) => Ok(incoming),
        Err(unopened) => Err(unopened.linger().await.unwrap_or(Error::Lost)),
    }
}

/// As [`receive_request`], and leaves it to the caller to linger.
pub(super) async fn receive<S: AsyncRead + AsyncWrite + Unpin>(
    mut io: S,
    options: &Options,
    deadline: Instant,
) -> Result<Incoming<S>, Unopened<S>> {
    let limits = options.config.limits;
    let mut handshake = ServerHandshake::new(limits);
    let mut buffer = Vec::with_capacity(READ);
    loop {
        buffer.clear();
        let Ok(read) = timeout_at(deadline, read_some(&mut io, &mut buffer)).await else {
            let reason = format!("the request did not come within {:?}", limits.handshake_timeout);
            let answered = answer(io, &Response::plain(408, &reason), "", after(limits.close_timeout)).await.ok();
            return Err(Unopened { error: Some(Timeout::Handshake.into()), answered });
        };
        if read? == 0 {
            return Err(Error::Lost.into());
        }
        match handshake.receive(&buffer) {
            Ok((_, None)) => {}
            Ok((consumed, Some(request))) => {
                let behind = buffer.split_off(consumed);
                return Ok(Incoming { io, request, behind, options: options.clone(), deadline });
            }
            Err(refusal) => return Err(refuse(io, refusal, "", after(limits.close_timeout)).await),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Incoming<S> {
    /// When the opening handshake has to be done.
    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What the client asks for.
    pub const fn request(&self) -> &Request {
        &self.request
    }

    /// Accepts it.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if it is no proper request for a WebSocket (RFC 6455 §4.2.1), or from a page that
    /// [`Options::origin`] does not let in, which the client is told;
    /// [`Error::Build`] if `accept` says what cannot be sent (the client is sent 500); [`Error::TimedOut`];
    /// [`Error::Io`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the transport is dropped with it.
    pub async fn accept(self, accept: Accept) -> Result<WebSocket<S>, Error> {
        match self.open(accept).await {
            Ok((ws, _)) => Ok(ws),
            Err(unopened) => Err(unopened.linger().await.unwrap_or(Error::Lost)),
        }
    }

    /// Accepts it, and gives the request back as well; leaves it to the caller to linger.
    pub(super) async fn open(mut self, mut accept: Accept) -> Result<(WebSocket<S>, Request), Unopened<S>> {
        let until = after(self.options.config.limits.close_timeout);
        accept.deflate = accept.deflate.or_else(|| self.options.deflate.clone());
        let accepted = self.request.accept(&accept).and_then(|accepted| {
            self.options.origin.check(&self.request)?;
            Ok(accepted)
        });
        let (response, agreed) = match accepted {
            Ok(accepted) => accepted,
            Err(AcceptError::Refusal(refusal)) => {
                return Err(refuse(self.io, refusal, self.request.method(), until).await);
            }
            Err(AcceptError::Build(error)) => {
                let response = Response::plain(500, "the server could not answer");
                let answered = answer(self.io, &response, self.request.method(), until).await.ok();
                return Err(Unopened { error: Some(error.into()), answered });
            }
        };
        let written = async {
            self.io.write_all(&response).await?;
            self.io.flush().await
        };
        timeout_at(self.deadline, written).await.map_err(|_| Timeout::Handshake)??;
        let deflate = accept.deflate.zip(agreed.deflate).map(|(config, agreed)| DeflateSettings { config, agreed });
        let connection = Connection::server(self.options.config, deflate.as_ref(), Instant::now().into_std());
        let mut inbox = Inbox::new();
        if !self.behind.is_empty() {
            inbox.extend(&self.behind);
        }
        let mut ws = WebSocket::new(self.io, connection, inbox).with_subprotocol(agreed.subprotocol.as_deref());
        if let Some(budget) = &self.options.budget {
            ws = ws.with_budget(budget);
        }
        Ok((ws, self.request))
    }

    /// Answers with a response of the caller's, and ends the transport. What is behind the request is never parsed.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the response could not be written.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the transport is dropped with it.
    pub async fn reject(self, response: &Response) -> Result<(), Error> {
        self.answer(response).await?.linger().await;
        Ok(())
    }

    /// As [`reject`](Self::reject), and leaves it to the caller to linger.
    pub(super) async fn answer(self, response: &Response) -> Result<Answered<S>, Error> {
        answer(self.io, response, self.request.method(), after(self.options.config.limits.close_timeout)).await
    }
}

/// Tells a client why its request is refused.
async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
    io: S,
    refusal: Refusal,
    method: &str,
    until: Instant,
) -> Unopened<S> {
    // The refusal says more than a failure to tell it.
    let answered = answer(io, &Response::from(&refusal), method, until).await.ok();
    Unopened { error: Some(refusal.into()), answered }
}
