use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_core::Stream;
use tokio::time::{Instant, Sleep, sleep};

use super::{Connect, connect};
use crate::{
    Error, Message, WebSocket,
    proto::{connection::End, frame::CloseCode},
    stream::Sender,
};

/// A connection that is made again whenever it is lost: see [`reconnecting`].
///
/// It is a [`Stream`] of what happens. A message that was sent and is not answered may be lost with its connection: what has
/// to arrive is to be sent again by whoever knows that.
pub struct Reconnecting {
    make: Box<dyn Fn() -> Connect + Send>,
    is_worth_it: Box<dyn Fn(&Loss) -> bool + Send>,
    backoff: Backoff,
    /// How many attempts in a row have come to nothing, or to a connection that did not last.
    failures: u32,
    state: State,
}

/// How long to wait before the next attempt: twice as long each time, and somewhere between a half and the whole of that, so
/// that the clients of a server that was restarted do not all come at once.
#[derive(Clone, Copy, Debug)]
struct Backoff {
    first: Duration,
    max: Duration,
}

type Connecting = Pin<Box<dyn Future<Output = Result<WebSocket, Error>> + Send>>;

enum State {
    /// The first attempt is made at once.
    Fresh,
    Waiting(Pin<Box<Sleep>>),
    Connecting(Connecting),
    Open {
        ws: Box<WebSocket>,
        since: Instant,
    },
    Over,
}

/// What happens to a [`Reconnecting`] connection.
#[non_exhaustive]
#[derive(Debug)]
pub enum Happening {
    /// There is a connection: say who you are, subscribe again.
    Connected,
    /// A message came.
    Message(Message),
    /// There is no connection any more, or not yet.
    Lost {
        /// Why.
        loss: Loss,
        /// When the next attempt is made; `None` if there will be none, and the stream ends.
        retry_in: Option<Duration>,
    },
}

/// Why there is no connection.
#[non_exhaustive]
#[derive(Debug)]
pub enum Loss {
    /// It could not be made.
    NotConnected(Error),
    /// It was closed by both ends: the end says by whom first, with what code and reason.
    Closed(Option<End>),
    /// It failed.
    Failed(Error),
}

/// Opens a connection, and opens it again whenever it is lost.
///
/// ```no_run
/// use sockeye::client::{Happening, reconnecting};
/// # async fn example() -> Result<(), sockeye::Error> {
/// let mut chat = reconnecting("wss://example.com/chat").with(|connect| connect.subprotocols(["chat.v2"]));
/// while let Some(happening) = chat.next().await {
///     match happening {
///         Happening::Connected => chat.send("hello").await?,
///         Happening::Message(message) => println!("{message:?}"),
///         Happening::Lost { loss, retry_in } => eprintln!("{loss}; next attempt: {retry_in:?}"),
///         _ => {}
///     }
/// }
/// # Ok(()) }
/// ```
///
/// It waits half a second before the second attempt, twice as long before each one after it and 30 s at the most, less up to
/// a half by chance. A connection that has lasted for 10 s makes it begin anew.
pub fn reconnecting(url: impl Into<String>) -> Reconnecting {
    let url = url.into();
    Reconnecting {
        make: Box::new(move || connect(&*url)),
        is_worth_it: Box::new(Loss::may_pass),
        backoff: Backoff { first: Duration::from_millis(500), max: Duration::from_secs(30) },
        failures: 0,
        state: State::Fresh,
    }
}

/// A connection that has lasted so long was a good one.
const LASTING: Duration = Duration::from_secs(10);

impl Reconnecting {
    /// Sets the options of every attempt; it is asked before each, for a token that is fresh, say.
    #[must_use]
    pub fn with(mut self, options: impl Fn(Connect) -> Connect + Send + 'static) -> Self {
        let make = self.make;
        self.make = Box::new(move || options(make()));
        self
    }

    /// Sets the first wait and the longest (default: 500 ms, 30 s).
    #[must_use]
    pub const fn backoff(mut self, first: Duration, max: Duration) -> Self {
        self.backoff = Backoff { first, max };
        self
    }

    /// Says which losses another attempt is worth (default: all but what no attempt can mend, such as a URL that is none).
    #[must_use]
    pub fn retry_if(mut self, is_worth_it: impl Fn(&Loss) -> bool + Send + 'static) -> Self {
        self.is_worth_it = Box::new(is_worth_it);
        self
    }

    /// What happens next; `None` once it was closed, or there is no further attempt.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing that happens is lost, and an attempt that is under way goes on with the next call.
    pub async fn next(&mut self) -> Option<Happening> {
        poll_fn(|cx| self.poll_happening(cx)).await
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] while there is no connection; otherwise as for [`WebSocket::send`].
    ///
    /// # Cancel safety
    ///
    /// As for [`WebSocket::send`].
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        match self.connection() {
            Some(ws) => ws.send(message).await,
            None => Err(Error::Closed),
        }
    }

    /// The connection, while there is one.
    pub fn connection(&mut self) -> Option<&mut WebSocket> {
        match &mut self.state {
            State::Open { ws, .. } => Some(ws),
            State::Fresh | State::Waiting(_) | State::Connecting(_) | State::Over => None,
        }
    }

    /// A sender of the connection, while there is one: for another task, that sends while this one waits.
    ///
    /// It stays with its connection; behind [`Happening::Connected`], there is another one to ask for.
    pub fn sender(&self) -> Option<Sender> {
        match &self.state {
            State::Open { ws, .. } => Some(ws.sender().shared_with_others()),
            State::Fresh | State::Waiting(_) | State::Connecting(_) | State::Over => None,
        }
    }

    /// Closes the connection, if there is one, and makes no other.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::close`].
    ///
    /// # Cancel safety
    ///
    /// Cancelled, the connection is dropped; no other is made in any case.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Open { mut ws, .. } => ws.close(code, reason).await,
            State::Fresh | State::Waiting(_) | State::Connecting(_) | State::Over => Ok(()),
        }
    }

    fn poll_happening(&mut self, cx: &mut Context<'_>) -> Poll<Option<Happening>> {
        loop {
            match &mut self.state {
                State::Fresh => self.state = State::Connecting((self.make)().into_future()),
                State::Waiting(sleep) => {
                    ready!(sleep.as_mut().poll(cx));
                    self.state = State::Fresh;
                }
                State::Connecting(connecting) => {
                    return Poll::Ready(Some(match ready!(connecting.as_mut().poll(cx)) {
                        Ok(ws) => {
                            self.state = State::Open { ws: Box::new(ws), since: Instant::now() };
                            Happening::Connected
                        }
                        Err(error) => self.lose(Loss::NotConnected(error)),
                    }));
                }
                State::Open { ws, since } => {
                    let loss = match ready!(Pin::new(&mut **ws).poll_next(cx)) {
                        Some(Ok(message)) => return Poll::Ready(Some(Happening::Message(message))),
                        Some(Err(error)) => Loss::Failed(error),
                        None => Loss::Closed(ws.end()),
                    };
                    if since.elapsed() >= LASTING {
                        self.failures = 0;
                    }
                    return Poll::Ready(Some(self.lose(loss)));
                }
                State::Over => return Poll::Ready(None),
            }
        }
    }

    fn lose(&mut self, loss: Loss) -> Happening {
        if !(self.is_worth_it)(&loss) {
            self.state = State::Over;
            return Happening::Lost { loss, retry_in: None };
        }
        let wait = self.backoff.wait(self.failures);
        self.failures = self.failures.saturating_add(1);
        self.state = State::Waiting(Box::pin(sleep(wait)));
        Happening::Lost { loss, retry_in: Some(wait) }
    }
}

impl Stream for Reconnecting {
    type Item = Happening;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Happening>> {
        self.poll_happening(cx)
    }
}

impl Backoff {
    fn wait(self, failures: u32) -> Duration {
        let whole = self.first.saturating_mul(2u32.saturating_pow(failures)).min(self.max);
        // Without chance, all clients come at once, which is bad and no reason to fail.
        let chance = getrandom::u32().unwrap_or_default();
        whole / 2 + (whole / 2).mul_f64(f64::from(chance) / f64::from(u32::MAX))
    }
}

impl Loss {
    /// Whether another attempt may end otherwise.
    fn may_pass(&self) -> bool {
        !matches!(self, Self::NotConnected(Error::Uri(_) | Error::Build(_) | Error::NoTls))
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected(error) => write!(f, "no connection: {error}"),
            Self::Closed(Some(end)) => match end.close_frame() {
                Some(frame) => write!(f, "closed with {}: {}", frame.code, frame.reason),
                None => write!(f, "closed without a code"),
            },
            Self::Closed(None) => write!(f, "closed"),
            Self::Failed(error) => write!(f, "{error}"),
        }
    }
}

impl fmt::Debug for Reconnecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnecting").field("failures", &self.failures).finish_non_exhaustive()
    }
}
