use std::time::Duration;

/// What one connection may cost, from the first byte of its opening handshake to the end of its transport.
///
/// | limit | a peer over it gets | our caller gets |
/// |---|---|---|
/// | `max_head`, `max_headers` | 431 | [`HeadError`](crate::proto::http::HeadError) |
/// | `max_target` | 414 | the same |
/// | `handshake_timeout` | 408; 503 if a server's judge takes too long | [`Timeout::Handshake`](crate::proto::connection::Timeout) |
/// | `max_frame`, `max_message`, `max_inflated`, `max_retained` | Close 1009 | [`ProtocolError`](crate::proto::frame::ProtocolError) |
/// | `max_pings`, `idle_timeout` | Close 1008 | the same |
/// | `max_queued`, `max_queued_age` | what the [`SlowReader`](crate::SlowReader) policy says | the same |
/// | `close_timeout` | the end of the transport | [`Timeout::Close`](crate::proto::connection::Timeout) |
///
/// The response's body and the Close's reason name the limit. Behind either, the transport is shut down and read until
/// the peer ends it too, for `close_timeout` at most, and for 256 KiB behind a refused request, so that no reset overtakes
/// what was said. To a peer that does not read, nothing can be said.
///
/// ```
/// use sockeye::Limits;
/// let limits = Limits::internet().max_message(64 * 1024).max_queued(256 * 1024);
/// assert_eq!(limits.max_message, 64 * 1024);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes of the head of a request or a response, with line ends and empty lines in front of it.
    pub max_head: usize,
    /// Header lines of a head; a repeated name counts each time.
    pub max_headers: usize,
    /// Bytes of the request target.
    pub max_target: usize,
    /// How long the whole opening handshake may take, however its bytes dribble in.
    pub handshake_timeout: Duration,
    /// Bytes of one frame's payload, as its header announces them. A frame is not held as such, so this protects
    /// nothing by itself; it is for those whose peers keep to a frame size.
    pub max_frame: u64,
    /// Bytes of a message that is taken in whole, counted inflated. A message that is read in chunks may be longer. Setting
    /// the field leaves `max_retained` as it is; the method raises it.
    pub max_message: usize,
    /// Bytes that a compressed message may inflate to, where that is less than `max_message`.
    pub max_inflated: usize,
    /// Bytes of memory held for the peer's unfinished message or control frame between two reads, spare room included.
    /// Fragments are joined as they come, so their number costs nothing.
    pub max_retained: usize,
    /// Bytes queued for the peer, with 64 a message for the bookkeeping; from here on it is a slow reader. What a single
    /// message brings over it is not counted.
    pub max_queued: usize,
    /// How long the transport may take nothing of what is queued, or not pass on what it took, or a message may wait in
    /// front of it, until the peer is a slow reader. Without I/O of its own the core counts from the first call that tells
    /// it the time, [`receive`](crate::proto::connection::Connection::receive) or
    /// [`handle_timeout`](crate::proto::connection::Connection::handle_timeout).
    pub max_queued_age: Option<Duration>,
    /// Pings within one second, counted from one Ping on, so that at the turn of two counts there may be twice as many. Their Pongs are bounded without it: 4 KiB wait to be written, of more only the newest is
    /// owed (RFC 6455 §5.5.3), and a peer that does not take them is not read.
    pub max_pings: Option<u32>,
    /// How long the peer may send nothing, not even a Pong, while somebody listens and it has read what was sent.
    pub idle_timeout: Option<Duration>,
    /// How long the peer has to answer our Close, and then to end the transport.
    pub close_timeout: Duration,
}

impl Limits {
    /// For peers that nobody chose: a server's default.
    ///
    /// | limit | value | because |
    /// |---|---|---|
    /// | `max_head` | 16 KiB | node has the same, and proxies pass on 8 to 32 KiB |
    /// | `max_headers` | 100 | browsers send about 20, proxies add a few |
    /// | `max_target` | 8 KiB | RFC 9110 §4.1 recommends 8000 octets at least |
    /// | `handshake_timeout` | 10 s | a mobile network needs 2 s, and a slowloris holds its place for this and `close_timeout` |
    /// | `max_frame` | none | `max_message` bounds what is held |
    /// | `max_message`, `max_inflated` | 1 MiB | a server holds one such message for each of many strangers |
    /// | `max_retained` | 1 MiB + 64 KiB | the largest message, and one read |
    /// | `max_queued` | 64 KiB | what a write can make use of; more hides that a peer is slow |
    /// | `max_queued_age` | 60 s | TCP itself would go on for a quarter of an hour |
    /// | `max_pings` | 250,000 | a fortieth of a core; no client sends a thousandth of it |
    /// | `idle_timeout` | 90 s | a peer that answers keepalive Pings is not idle |
    /// | `close_timeout` | 10 s | a browser answers at once, a bad network later |
    pub const fn internet() -> Self {
        Self {
            max_head: 16 * 1024,
            max_headers: 100,
            max_target: 8 * 1024,
            handshake_timeout: Duration::from_secs(10),
            max_frame: u64::MAX,
            max_message: 1 << 20,
            max_inflated: usize::MAX,
            max_retained: (1 << 20) + Self::ONE_READ,
            max_queued: 64 * 1024,
            max_queued_age: Some(Duration::from_secs(60)),
            max_pings: Some(250_000),
            idle_timeout: Some(Duration::from_secs(90)),
            close_timeout: Duration::from_secs(10),
        }
    }

    /// For a peer that was chosen, such as a client's server: messages of 64 MiB, 30 s for the handshake, and no limit on
    /// silence, on Pings and on how long it takes to read. The rest is as in [`internet`](Self::internet).
    pub const fn trusted() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(30),
            max_message: 64 << 20,
            max_retained: (64 << 20) + Self::ONE_READ,
            max_queued_age: None,
            max_pings: None,
            idle_timeout: None,
            ..Self::internet()
        }
    }

    const ONE_READ: usize = 64 * 1024;

    /// Sets `max_head`, in bytes.
    #[must_use]
    pub const fn max_head(mut self, bytes: usize) -> Self {
        self.max_head = bytes;
        self
    }

    /// Sets `max_headers`.
    #[must_use]
    pub const fn max_headers(mut self, lines: usize) -> Self {
        self.max_headers = lines;
        self
    }

    /// Sets `max_target`, in bytes.
    #[must_use]
    pub const fn max_target(mut self, bytes: usize) -> Self {
        self.max_target = bytes;
        self
    }

    /// Sets `handshake_timeout`.
    #[must_use]
    pub const fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Sets `max_frame`, in bytes.
    #[must_use]
    pub const fn max_frame(mut self, bytes: u64) -> Self {
        self.max_frame = bytes;
        self
    }

    /// Sets `max_message`, in bytes, and raises `max_retained` to what such a message needs.
    #[must_use]
    pub const fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        let needed = bytes.saturating_add(Self::ONE_READ);
        if self.max_retained < needed {
            self.max_retained = needed;
        }
        self
    }

    /// Sets `max_inflated`, in bytes.
    #[must_use]
    pub const fn max_inflated(mut self, bytes: usize) -> Self {
        self.max_inflated = bytes;
        self
    }

    /// Sets `max_retained`, in bytes.
    #[must_use]
    pub const fn max_retained(mut self, bytes: usize) -> Self {
        self.max_retained = bytes;
        self
    }

    /// Sets `max_queued`, in bytes.
    #[must_use]
    pub const fn max_queued(mut self, bytes: usize) -> Self {
        self.max_queued = bytes;
        self
    }

    /// Sets or unsets `max_queued_age`.
    #[must_use]
    pub const fn max_queued_age(mut self, age: Option<Duration>) -> Self {
        self.max_queued_age = age;
        self
    }

    /// Sets or unsets `max_pings`, per second.
    #[must_use]
    pub const fn max_pings(mut self, pings: Option<u32>) -> Self {
        self.max_pings = pings;
        self
    }

    /// Sets or unsets `idle_timeout`.
    #[must_use]
    pub const fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets `close_timeout`.
    #[must_use]
    pub const fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }
}
