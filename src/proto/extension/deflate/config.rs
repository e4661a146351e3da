use super::params::{CLIENT_MAX_WINDOW_BITS, LEAST_DEFLATE_BITS, MAX_BITS, SERVER_MAX_WINDOW_BITS};

/// How to compress, and what to negotiate for it (RFC 7692 §7.1).
///
/// ```
/// use sockeye::proto::extension::deflate::DeflateConfig;
/// let config = DeflateConfig { server_no_context_takeover: true, ..DeflateConfig::default() };
/// assert_eq!(config.check().is_ok(), cfg!(feature = "deflate"));
/// assert!(DeflateConfig { level: 10, ..config }.check().is_err());
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeflateConfig {
    /// zlib's compression level, 0 (stored) to 9. Default: 1, as every message is compressed while somebody waits for
    /// it: JSON messages of 200 bytes with context takeover take 0.6 µs each and shrink to 25 % at level 1; at zlib's
    /// own default, 6, it is 5.5 µs and 19 %.
    pub level: u8,
    /// How much memory zlib's deflater spends on its output, 1 to 9: 7 · 2^(`mem_level` + 6) bytes. Default: 8, zlib's
    /// own.
    pub mem_level: u8,
    /// Messages of fewer bytes are sent as they are. Default: 128; what a smaller one could save is little beside the
    /// TCP and IP headers around it, and costs both ends CPU.
    pub threshold: usize,
    /// Whether the server compresses each message without looking back at those before: it saves the memory of a
    /// window at both ends, and costs most of the compression of small messages. Default: `false`.
    pub server_no_context_takeover: bool,
    /// The same for what the client sends.
    pub client_no_context_takeover: bool,
    /// The base-2 logarithm of the window with which the server compresses, 9 to 15. Default: 15.
    pub server_max_window_bits: u8,
    /// The same for what the client sends. A server can have less than 15 only from a client whose offer says that it
    /// is able to (§7.1.2.2); others are accepted with 15.
    pub client_max_window_bits: u8,
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self {
            level: 1,
            mem_level: 8,
            threshold: 128,
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: MAX_BITS,
            client_max_window_bits: MAX_BITS,
        }
    }
}

impl DeflateConfig {
    /// Compresses and inflates each message by itself, with states that all connections of a thread share.
    ///
    /// The tiers of memory, for each connection of a server behind a message of 1 kB of JSON each way:
    ///
    /// | | it holds | behind a keepalive Ping | 1 KiB of JSON shrinks to |
    /// |---|---:|---:|---:|
    /// | [`default`](Self::default): contexts of its own | 340 kB | 22 kB, as its deflater forgets | 27 % |
    /// | `server_no_context_takeover` | 22 kB | 22 kB | 36 % |
    /// | `shared()` | nothing | nothing | 36 % |
    ///
    /// A thread keeps at most four deflaters, of some 300 kB each, and four inflaters for all of its connections.
    pub fn shared() -> Self {
        Self { server_no_context_takeover: true, client_no_context_takeover: true, ..Self::default() }
    }

    /// Checks the values; the handshake does so before it uses them.
    ///
    /// # Errors
    ///
    /// [`InvalidDeflateConfig`] for a value out of its range, and for any config if the crate is built without its
    /// feature
    /// `deflate`.
    pub fn check(&self) -> Result<(), InvalidDeflateConfig> {
        if !cfg!(feature = "deflate") {
            return Err(InvalidDeflateConfig::FeatureOff);
        }
        if self.level > 9 {
            return Err(InvalidDeflateConfig::Level { level: self.level });
        }
        if !(1..=9).contains(&self.mem_level) {
            return Err(InvalidDeflateConfig::MemLevel { mem_level: self.mem_level });
        }
        for (param, bits) in [
            (SERVER_MAX_WINDOW_BITS, self.server_max_window_bits),
            (CLIENT_MAX_WINDOW_BITS, self.client_max_window_bits),
        ] {
            if !(LEAST_DEFLATE_BITS..=MAX_BITS).contains(&bits) {
                return Err(InvalidDeflateConfig::WindowBits { param, bits });
            }
        }
        Ok(())
    }
}

/// The caller's [`DeflateConfig`] cannot be used.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidDeflateConfig {
    /// The level is out of its range.
    #[error("compression level {level}, 0 to 9 are allowed")]
    Level {
        /// The level that was given.
        level: u8,
    },
    /// The memory level is out of its range.
    #[error("memory level {mem_level}, 1 to 9 are allowed")]
    MemLevel {
        /// The memory level that was given.
        mem_level: u8,
    },
    /// A window is out of its range.
    #[error("{param} {bits}, 9 to 15 are allowed")]
    WindowBits {
        /// The parameter.
        param: &'static str,
        /// The value that was given.
        bits: u8,
    },
    /// The crate is built without the codec.
    #[error("permessage-deflate needs the crate's feature `deflate`")]
    FeatureOff,
}
