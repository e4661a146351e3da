use std::{future::poll_fn, pin::pin};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use hyper::body::Body;

/// Why a body was not read.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum BodyError {
    /// It is longer than is allowed.
    TooLarge,
    /// The client has stopped sending it.
    Broken,
}

/// Reads a body of at most `limit` bytes.
pub(super) async fn read(body: impl Body<Data: Buf>, limit: usize) -> Result<Bytes, BodyError> {
    if body.size_hint().lower() > limit as u64 {
        return Err(BodyError::TooLarge);
    }
    let mut body = pin!(body);
    let mut whole = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        if data.remaining() > limit - whole.len() {
            return Err(BodyError::TooLarge);
        }
        whole.put(data);
    }
    Ok(whole.freeze())
}
