use bytes::{BufMut, Bytes};

use super::{MAX_CONTROL_PAYLOAD, ProtocolError};
use crate::proto::Utf8Bytes;

/// Why a connection is closed (RFC 6455 §7.4): a code that may stand in a Close frame.
///
/// 1005, 1006 and 1015 say that *no* such code came; they are no `CloseCode`s, see
/// [`End`](crate::proto::connection::End) instead.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the endpoint goes away: a server shuts down, a browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: the peer sent a kind of data that is not accepted here.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1007: a message does not hold what its type says, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: a message breaks the endpoint's policy, and no other code fits.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message is too big.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: the client needs an extension that the server did not agree to.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: the server met with a condition that it did not expect.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: the service is overloaded, try again later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got an invalid answer from upstream.
    pub const BAD_GATEWAY: Self = Self(1014);

    /// Takes a code that may stand on the wire: 1000–1003, 1007–1014, 3000–3999 (registered) and 4000–4999 (private).
    ///
    /// `None` for all others (RFC 6455 §7.4.2 and the IANA registry).
    ///
    /// ```
    /// use sockeye::CloseCode;
    /// assert_eq!(CloseCode::new(1000), Some(CloseCode::NORMAL));
    /// assert_eq!(CloseCode::new(1006), None);
    /// ```
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl std::fmt::Display for CloseCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a Close frame says (RFC 6455 §5.5.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CloseFrame {
    /// The code.
    pub code: CloseCode,
    /// Words for a log, of at most 123 bytes; not meant for people.
    pub reason: Utf8Bytes,
}

impl CloseFrame {
    /// The most bytes that a reason may have: a control frame's 125 less two of the code.
    pub const MAX_REASON: usize = MAX_CONTROL_PAYLOAD - 2;

    /// Joins a code and a reason; a reason over 123 bytes is cut at the last character that fits.
    pub fn new(code: CloseCode, reason: impl Into<Utf8Bytes>) -> Self {
        let mut reason = reason.into();
        reason.truncate_to(Self::MAX_REASON);
        Self { code, reason }
    }

    /// Parses the payload of a Close frame; `None` if it is empty, which says nothing (1005).
    ///
    /// # Errors
    ///
    /// A payload of one byte, a code that may not stand on the wire, a reason that is not UTF-8.
    pub fn parse(payload: &Bytes) -> Result<Option<Self>, ProtocolError> {
        match **payload {
            [] => Ok(None),
            [_] => Err(ProtocolError::CloseOfOneByte),
            [high, low, ..] => {
                let number = u16::from_be_bytes([high, low]);
                let code = CloseCode::new(number).ok_or(ProtocolError::InvalidCloseCode { code: number })?;
                let reason = Utf8Bytes::try_from(payload.slice(2..)).map_err(|_| ProtocolError::InvalidUtf8)?;
                Ok(Some(Self { code, reason }))
            }
        }
    }

    /// Appends the payload of a Close frame to `out`.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_u16(self.code.0);
        out.put_slice(self.reason.as_bytes());
    }
}
