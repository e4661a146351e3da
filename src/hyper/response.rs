use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE},
};

use crate::proto::{
    handshake::Response,
    http::{Version, is_secret},
};

/// A response as hyper sends it.
pub(super) fn sent<B: From<Bytes>>(response: &Response, body: Bytes) -> http::Response<B> {
    let mut sent = http::Response::new(B::from(body));
    *sent.status_mut() = StatusCode::from_u16(response.status()).expect("it is between 100 and 599");
    for (name, value) in response.headers.iter() {
        let mut value = HeaderValue::from_bytes(value).expect("it has no control characters");
        // RFC 7541 §7.1.3: HTTP/2's tables, which others may share, have no credentials in them.
        value.set_sensitive(is_secret(name));
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name is a token");
        sent.headers_mut().append(name, value);
    }
    sent
}

/// A response that refuses, behind which the connection ends if it is one of HTTP/1.x: what follows the request was
/// meant for a WebSocket, and is not to be parsed.
pub(super) fn refusing<B: From<Bytes>>(response: &Response, version: Version) -> http::Response<B> {
    let mut sent = sent::<B>(response, response.body.clone());
    let headers = sent.headers_mut();
    headers.remove(TRANSFER_ENCODING);
    headers.insert(CONTENT_LENGTH, response.body.len().into());
    if version == Version::Http2 {
        // RFC 9113 §8.6: HTTP/2 has no upgrade that could be required.
        headers.remove(CONNECTION);
        headers.remove(UPGRADE);
        if sent.status() == StatusCode::UPGRADE_REQUIRED {
            *sent.status_mut() = StatusCode::BAD_REQUEST;
        }
    } else {
        // RFC 9110 §7.8: "A sender of Upgrade MUST also send an "Upgrade" connection option".
        let options = if headers.contains_key(UPGRADE) { "close, upgrade" } else { "close" };
        headers.insert(CONNECTION, HeaderValue::from_static(options));
    }
    sent
}
