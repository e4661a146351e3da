use super::NAME;
use crate::proto::extension::{Offer, Param};

const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// zlib cannot deflate with a window of 2⁸ bytes, only inflate.
const LEAST_DEFLATE_BITS: u8 = 9;
const MAX_BITS: u8 = 15;

/// How to compress, and what to negotiate for it (RFC 7692 §7.1).
///
/// ```
/// use sockeye::proto::extension::deflate::DeflateConfig;
/// let config = DeflateConfig { server_no_context_takeover: true, ..DeflateConfig::default() };
/// assert!(config.check().is_ok());
/// assert!(DeflateConfig { level: 10, ..config }.check().is_err());
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeflateConfig {
    /// zlib's compression level, 0 (stored) to 9. Default: 1. A WebSocket compresses while its peer waits, mostly small
    /// messages that look like those before them, and level 1 finds those repetitions in the window; the higher levels take
    /// several times the CPU for a few percent less on the wire.
    pub level: u8,
    /// How much memory zlib's deflater spends on its hash table, 1 to 9: about 2^(`mem_level` + 9) bytes a connection.
    /// Default: 8, zlib's own.
    pub mem_level: u8,
    /// Messages of fewer bytes are sent as they are. Default: 128: below it the bytes saved are fewer than the TCP/IP
    /// headers around them, so it would cost CPU at both ends for nothing.
    pub threshold: usize,
    /// Whether the server starts each message without what came before; it saves the memory of a window at both ends and costs
    /// most of the compression of small messages. Default: `false`.
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
    /// Checks the values; the handshake does so before it uses them.
    ///
    /// # Errors
    ///
    /// [`InvalidDeflateConfig`] for a value out of its range, and for any config if the crate is built without its feature
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

/// What both ends agreed on (RFC 7692 §7.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DeflateAgreed {
    /// Whether the server starts each message without what came before.
    pub server_no_context_takeover: bool,
    /// Whether the client does.
    pub client_no_context_takeover: bool,
    /// The base-2 logarithm of the server's window: 8 to 15, at a server at least 9.
    pub server_max_window_bits: u8,
    /// The base-2 logarithm of the client's window: 8 to 15, at a client at least 9.
    pub client_max_window_bits: u8,
}

/// A server's answer to our offer is none that RFC 7692 §7.1 allows: "the client MUST _Fail the WebSocket Connection_".
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidDeflateResponse {
    /// The parameter is none of the four.
    #[error("unknown parameter {name}")]
    UnknownParam {
        /// Its name.
        name: String,
    },
    /// The parameter stands twice.
    #[error("parameter {name} is repeated")]
    RepeatedParam {
        /// Its name.
        name: String,
    },
    /// The parameter has a value that it cannot have, or has none and needs one.
    #[error("parameter {name} with value {}", value.as_deref().unwrap_or("(none)"))]
    ParamValue {
        /// Its name.
        name: String,
        /// The value that came.
        value: Option<String>,
    },
    /// §7.1.1.1 and §7.1.2.1: the server accepts the offer only together with this parameter, which is missing.
    #[error("parameter {name} was asked for and is missing")]
    MissingParam {
        /// Its name.
        name: &'static str,
    },
    /// §7.1.2.1: the server's window is larger than asked.
    #[error("server_max_window_bits={bits}, at most {asked} was asked for")]
    ServerWindow {
        /// The value that came.
        bits: u8,
        /// The value in the offer.
        asked: u8,
    },
    /// We cannot deflate with a window of 2⁸ bytes.
    #[error("client_max_window_bits={bits}, at least 9 is supported")]
    ClientWindow {
        /// The value that came.
        bits: u8,
    },
}

/// A client's offer (RFC 7692 §7.1): with the default config `permessage-deflate; client_max_window_bits`.
pub fn offer(config: &DeflateConfig) -> Offer {
    let below_max = |bits| (bits < MAX_BITS).then_some(bits);
    let mut offer = Offer::new(NAME);
    if config.server_no_context_takeover {
        offer.push(SERVER_NO_CONTEXT_TAKEOVER, None);
    }
    if config.client_no_context_takeover {
        offer.push(CLIENT_NO_CONTEXT_TAKEOVER, None);
    }
    if let Some(bits) = below_max(config.server_max_window_bits) {
        offer.push(SERVER_MAX_WINDOW_BITS, Some(bits));
    }
    // §7.1.2.2: only a client that offers this parameter can be asked for a smaller window.
    offer.push(CLIENT_MAX_WINDOW_BITS, below_max(config.client_max_window_bits));
    offer
}

/// A server's choice among a client's `offers`: the first that it can accept, and the response (RFC 7692 §7.1).
///
/// `None` declines. §5.1: an offer with a parameter that is unknown, repeated, or of a value that it cannot have is declined, and
/// so is one that wants us to deflate with a window of 2⁸ bytes.
pub fn respond(config: &DeflateConfig, offers: &[Offer]) -> Option<(DeflateAgreed, Offer)> {
    offers.iter().filter(|offer| offer.name() == NAME).find_map(|offer| respond_to(config, offer))
}

fn respond_to(config: &DeflateConfig, offer: &Offer) -> Option<(DeflateAgreed, Offer)> {
    let offered = Params::parse(offer).ok()?;
    let server_bits = offered.server_bits.unwrap_or(MAX_BITS).min(config.server_max_window_bits);
    if server_bits < LEAST_DEFLATE_BITS {
        return None;
    }
    // §7.1.2.2: without the parameter in the offer, "the server MUST NOT include it" and the window is the largest.
    let client_bits = match offered.client_bits {
        None => MAX_BITS,
        Some(hint) => hint.unwrap_or(MAX_BITS).min(config.client_max_window_bits),
    };
    let agreed = DeflateAgreed {
        // §7.1.1.1: asked for, it has to be in the response.
        server_no_context_takeover: offered.server_no_context_takeover || config.server_no_context_takeover,
        // §7.1.1.2: in an offer it is a hint that the client will do so anyway; we hold it to that.
        client_no_context_takeover: offered.client_no_context_takeover || config.client_no_context_takeover,
        server_max_window_bits: server_bits,
        client_max_window_bits: client_bits,
    };
    let mut response = Offer::new(NAME);
    if agreed.server_no_context_takeover {
        response.push(SERVER_NO_CONTEXT_TAKEOVER, None);
    }
    if agreed.client_no_context_takeover {
        response.push(CLIENT_NO_CONTEXT_TAKEOVER, None);
    }
    if offered.server_bits.is_some() || server_bits < MAX_BITS {
        response.push(SERVER_MAX_WINDOW_BITS, Some(server_bits));
    }
    if client_bits < MAX_BITS {
        response.push(CLIENT_MAX_WINDOW_BITS, Some(client_bits));
    }
    Some((agreed, response))
}

/// A client's check of the server's `response` to its [`offer`] of the same `config` (RFC 7692 §7.1).
///
/// The agreed client window is the smaller of what the response allows and what the offer announced.
///
/// # Errors
///
/// [`InvalidDeflateResponse`] if the response is none that the offer allows; the handshake has failed.
pub fn confirm(config: &DeflateConfig, response: &Offer) -> Result<DeflateAgreed, InvalidDeflateResponse> {
    let params = Params::parse(response)?;
    if config.server_no_context_takeover && !params.server_no_context_takeover {
        return Err(InvalidDeflateResponse::MissingParam { name: SERVER_NO_CONTEXT_TAKEOVER });
    }
    let asked = config.server_max_window_bits;
    let server_max_window_bits = match params.server_bits {
        Some(bits) if bits > asked => return Err(InvalidDeflateResponse::ServerWindow { bits, asked }),
        Some(bits) => bits,
        None if asked < MAX_BITS => {
            return Err(InvalidDeflateResponse::MissingParam { name: SERVER_MAX_WINDOW_BITS });
        }
        None => MAX_BITS,
    };
    let client_max_window_bits = match params.client_bits {
        None => config.client_max_window_bits,
        Some(Some(bits)) if bits < LEAST_DEFLATE_BITS => return Err(InvalidDeflateResponse::ClientWindow { bits }),
        Some(Some(bits)) => bits.min(config.client_max_window_bits),
        // §7.1.2.2: in a response the parameter has a value.
        Some(None) => {
            return Err(InvalidDeflateResponse::ParamValue { name: CLIENT_MAX_WINDOW_BITS.into(), value: None });
        }
    };
    Ok(DeflateAgreed {
        server_no_context_takeover: params.server_no_context_takeover,
        client_no_context_takeover: params.client_no_context_takeover || config.client_no_context_takeover,
        server_max_window_bits,
        client_max_window_bits,
    })
}

/// The parameters of an offer or a response, each with a value of its own range.
#[derive(Debug, Default)]
struct Params {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_bits: Option<u8>,
    client_bits: Option<Option<u8>>,
}

impl Params {
    fn parse(offer: &Offer) -> Result<Self, InvalidDeflateResponse> {
        let mut params = Self::default();
        for param in offer.params() {
            let bad_value = || InvalidDeflateResponse::ParamValue {
                name: param.name().into(),
                value: param.value().map(str::to_owned),
            };
            let repeated = match param.name() {
                SERVER_NO_CONTEXT_TAKEOVER if param.value().is_none() => {
                    std::mem::replace(&mut params.server_no_context_takeover, true)
                }
                CLIENT_NO_CONTEXT_TAKEOVER if param.value().is_none() => {
                    std::mem::replace(&mut params.client_no_context_takeover, true)
                }
                SERVER_MAX_WINDOW_BITS => {
                    params.server_bits.replace(window_bits(param).ok_or_else(bad_value)?).is_some()
                }
                CLIENT_MAX_WINDOW_BITS if param.value().is_none() => params.client_bits.replace(None).is_some(),
                CLIENT_MAX_WINDOW_BITS => {
                    params.client_bits.replace(Some(window_bits(param).ok_or_else(bad_value)?)).is_some()
                }
                SERVER_NO_CONTEXT_TAKEOVER | CLIENT_NO_CONTEXT_TAKEOVER => return Err(bad_value()),
                name => return Err(InvalidDeflateResponse::UnknownParam { name: name.into() }),
            };
            if repeated {
                return Err(InvalidDeflateResponse::RepeatedParam { name: param.name().into() });
            }
        }
        Ok(params)
    }
}

/// §7.1.2: "a decimal integer value without leading zeroes between 8 to 15, inclusive".
fn window_bits(param: &Param) -> Option<u8> {
    let bits =
        param.value().filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()) && !value.starts_with('0'))?;
    bits.parse().ok().filter(|bits| (8..=MAX_BITS).contains(bits))
}
