use std::borrow::Cow;

use http::StatusCode;

/// Why a request was refused: what the client is told, and what [`on_connection_error`](super::Config::on_connection_error)
/// hands over.
///
/// A client sees the code and the message; `Display` says more, for a log.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConnectionError {
    /// 0: `transport` is missing, unknown or not allowed here.
    #[error("the transport {0:?} is unknown, or not allowed here")]
    UnknownTransport(String),
    /// 1: there is no such session: it has ended, or another server has it.
    #[error("there is no such session; if there are several servers, a client has to come to the same one")]
    UnknownSid,
    /// 2: a session begins with a GET.
    #[error("a session begins with a GET")]
    BadHandshakeMethod,
    /// 3: anything else that is wrong with it.
    #[error("{0}")]
    BadRequest(&'static str),
    /// 4: [`allow_request`](super::Config::allow_request) has refused it, for the reason that the client is told.
    #[error("it was not allowed: {0}")]
    Forbidden(Cow<'static, str>),
    /// 5: `EIO` is not 4.
    #[error("the client speaks version {0:?} of Engine.IO and not 4")]
    UnsupportedVersion(String),
}

impl ConnectionError {
    /// The code of the error's body.
    pub const fn code(&self) -> u8 {
        match self {
            Self::UnknownTransport(_) => 0,
            Self::UnknownSid => 1,
            Self::BadHandshakeMethod => 2,
            Self::BadRequest(_) => 3,
            Self::Forbidden(_) => 4,
            Self::UnsupportedVersion(_) => 5,
        }
    }

    /// The message of the error's body.
    pub fn message(&self) -> &str {
        match self {
            Self::UnknownTransport(_) => "Transport unknown",
            Self::UnknownSid => "Session ID unknown",
            Self::BadHandshakeMethod => "Bad handshake method",
            Self::BadRequest(_) => "Bad request",
            Self::Forbidden(message) => message,
            Self::UnsupportedVersion(_) => "Unsupported protocol version",
        }
    }

    /// The status of the response.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The body of the response.
    pub(super) fn body(&self) -> String {
        #[derive(serde::Serialize)]
        struct Body<'a> {
            code: u8,
            message: &'a str,
        }
        serde_json::to_string(&Body { code: self.code(), message: self.message() }).expect("a number and a text")
    }
}

/// How a session ended, in the words that node gives to `disconnect`.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CloseReason {
    /// The client has ended it, or its connection has.
    TransportClose,
    /// A transport failed: a poll that was given up, two polls at once, a message over the limit.
    TransportError,
    /// The server has ended it.
    ForcedClose,
    /// The client did not answer a ping in time.
    PingTimeout,
    /// The client sent what is no packet.
    ParseError,
}

impl CloseReason {
    /// node's words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::ForcedClose => "forced close",
            Self::PingTimeout => "ping timeout",
            Self::ParseError => "parse error",
        }
    }
}

impl std::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_the_code_as_a_number() {
        assert_eq!(ConnectionError::UnknownSid.body(), r#"{"code":1,"message":"Session ID unknown"}"#);
        let told = ConnectionError::Forbidden("say \"please\"".into());
        assert_eq!(told.body(), r#"{"code":4,"message":"say \"please\""}"#);
        assert_eq!(told.status(), StatusCode::FORBIDDEN);
    }
}
