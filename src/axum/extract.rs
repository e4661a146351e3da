use axum_core::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::request::Parts;

use super::{Rejection, WebSocketUpgrade};
use crate::proto::handshake::Refusal;

impl<S: Send + Sync> FromRequestParts<S> for WebSocketUpgrade {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Rejection> {
        Self::from_parts(parts)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for WebSocketUpgrade {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Rejection> {
        match Self::from_parts(parts) {
            Ok(upgrade) => Ok(Some(upgrade)),
            Err(Rejection::Refused {
                refusal: Refusal::MissingUpgrade | Refusal::HttpVersion | Refusal::NotConnect,
                ..
            }) => Ok(None),
            Err(rejection) => Err(rejection),
        }
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        Self::into_response(self)
    }
}
