use bytes::Bytes;
use http::{Response, StatusCode};

use super::response::refusing;
use crate::{
    proto::{
        handshake::{self, AcceptError, BuildError, Refusal},
        http::Version,
    },
    stream::Metrics,
};

/// Why a request was not upgraded.
///
/// [`into_response`](Self::into_response) is what to answer; with axum, it is a response.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Rejection {
    /// The client's fault: the status is [`Refusal::status`], but 400 in HTTP/2 where HTTP/1.1 would have 426.
    #[error("{refusal}")]
    Refused {
        /// What is wrong with the request.
        refusal: Refusal,
        /// The version of HTTP in which it came.
        version: Version,
    },
    /// 500: the server has no upgrades. With hyper it needs `with_upgrades`; a layer in front of this may have lost the
    /// request's extensions.
    #[error("this server's connections cannot be upgraded")]
    NotUpgradable {
        /// The version of HTTP in which it came.
        version: Version,
    },
    /// 500: what the caller wants to answer cannot be sent.
    #[error("the response cannot be made as asked for: {error}")]
    Build {
        /// Why not.
        error: BuildError,
        /// The version of HTTP in which it came.
        version: Version,
    },
    /// 503: there are as many WebSockets as there may be.
    #[error("there are {max} WebSockets, which is the limit")]
    Full {
        /// The limit.
        max: u32,
        /// The version of HTTP in which it came.
        version: Version,
    },
    /// 503: the server shuts down.
    #[error("the server shuts down")]
    ShuttingDown {
        /// The version of HTTP in which it came.
        version: Version,
    },
}

impl Rejection {
    pub(super) fn of(error: AcceptError, version: Version) -> Self {
        match error {
            AcceptError::Refusal(refusal) => Self::Refused { refusal, version },
            AcceptError::Build(error) => Self::Build { error, version },
        }
    }

    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        self.clone().into_response::<Bytes>().status()
    }

    /// What to answer: the status, and the reason as plain text. In HTTP/1.x the connection ends behind it.
    pub fn into_response<B: From<Bytes>>(self) -> Response<B> {
        let (response, version) = match &self {
            Self::Refused { refusal, version } => (handshake::Response::from(refusal), *version),
            // What is wrong with the server is not the client's to know.
            Self::NotUpgradable { version } | Self::Build { version, .. } => {
                (handshake::Response::plain(500, "the server could not answer"), *version)
            }
            Self::Full { version, .. } | Self::ShuttingDown { version } => {
                (handshake::Response::plain(503, &self.to_string()), *version)
            }
        };
        refusing(&response, version)
    }

    /// As [`into_response`](Self::into_response), and has it counted.
    pub(super) fn counted<B: From<Bytes>>(self, metrics: Option<&dyn Metrics>) -> Response<B> {
        let response = self.into_response();
        if let Some(metrics) = metrics {
            metrics.answered(response.status().as_u16());
        }
        response
    }
}
