use super::{DeflateConfig, NAME};
use crate::proto::extension::{Offer, Param};

const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
pub(super) const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
pub(super) const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// zlib cannot deflate with a window of 2⁸ bytes, only inflate.
pub(super) const LEAST_DEFLATE_BITS: u8 = 9;
pub(super) const MAX_BITS: u8 = 15;

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
/// `None` declines. §7.1: an offer with a parameter that is unknown, repeated, or of a value that it cannot have has
/// to be declined, and so has one that wants us to deflate with a window of 2⁸ bytes, as zlib is not able to.
pub fn respond(config: &DeflateConfig, offers: &[Offer]) -> Option<(DeflateAgreed, Offer)> {
    offers.iter().filter(|offer| offer.name() == NAME).find_map(|offer| respond_to(config, offer))
}

fn respond_to(config: &DeflateConfig, offer: &Offer) -> Option<(DeflateAgreed, Offer)> {
    let offered = Params::parse(offer).ok()?;
    let server_bits = offered.server_bits.unwrap_or(MAX_BITS).min(config.server_max_window_bits);
    if server_bits < LEAST_DEFLATE_BITS {
        return None;
    }
    // §7.1.2.2: without the parameter in the offer it must not be in the response, and the window is the largest.
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
