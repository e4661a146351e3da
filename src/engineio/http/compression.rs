use std::io::{self, Write};

use bytes::Bytes;
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY},
};
use tokio::task::spawn_blocking;

/// From how many bytes on a body is compressed elsewhere: here, other clients wait for as long as it takes, which is some tenths
/// of a millisecond for this many.
const MANY: usize = 1 << 16;

/// How a body can be coded (RFC 9110 §8.4.1).
#[derive(Clone, Copy)]
enum Coding {
    Gzip,
    Deflate,
}

/// Compresses a body as the client likes it (RFC 9110 §8.4), unless it is shorter than `threshold` or does not shrink.
pub(super) async fn compress(body: String, threshold: usize, request: &HeaderMap, response: &mut HeaderMap) -> Bytes {
    let body = Bytes::from(body);
    if body.len() < threshold {
        return body;
    }
    response.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    let Some(coding) = [Coding::Gzip, Coding::Deflate].into_iter().find(|coding| accepts(request, coding.name()))
    else {
        return body;
    };
    let compressed = if body.len() < MANY {
        coding.compressed(&body)
    } else {
        let body = body.clone();
        // There is no result where the runtime is about to end.
        spawn_blocking(move || coding.compressed(&body)).await.unwrap_or_default()
    };
    if compressed.is_empty() || compressed.len() >= body.len() {
        return body;
    }
    response.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    compressed.into()
}

impl Coding {
    const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    fn compressed(self, body: &[u8]) -> Vec<u8> {
        let compressed = match self {
            Self::Gzip => written(GzEncoder::new(Vec::new(), Compression::fast()), body, GzEncoder::finish),
            Self::Deflate => written(ZlibEncoder::new(Vec::new(), Compression::fast()), body, ZlibEncoder::finish),
        };
        compressed.expect("a Vec takes everything")
    }
}

fn written<W: Write>(mut encoder: W, body: &[u8], finish: impl Fn(W) -> io::Result<Vec<u8>>) -> io::Result<Vec<u8>> {
    encoder.write_all(body)?;
    finish(encoder)
}

/// Whether a coding is among those that the client names, and not with the weight 0.
fn accepts(request: &HeaderMap, coding: &str) -> bool {
    let values = request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|element| {
        let mut parts = element.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding));
        let weighs_nothing = |part: &str| {
            part.strip_prefix("q=").and_then(|weight| weight.parse().ok()).is_some_and(|weight: f32| weight == 0.0)
        };
        is_named && !parts.any(weighs_nothing)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    async fn compressed(accepted: &'static str, body: &str) -> (Bytes, HeaderMap) {
        let request = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(accepted))]);
        let mut response = HeaderMap::new();
        (compress(body.into(), 10, &request, &mut response).await, response)
    }

    #[tokio::test]
    async fn a_client_gets_the_coding_that_it_accepts() {
        for len in [100, MANY - 1, MANY] {
            let body = "a".repeat(len);
            let (bytes, headers) = compressed("deflate;q=0.5, GZIP", &body).await;
            assert_eq!(headers[CONTENT_ENCODING], "gzip");
            let mut inflated = String::new();
            flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut inflated).expect("gzip");
            assert_eq!(inflated, body);
            let (bytes, headers) = compressed("gzip;q=0, deflate", &body).await;
            assert_eq!(headers[CONTENT_ENCODING], "deflate");
            inflated.clear();
            flate2::read::ZlibDecoder::new(&bytes[..]).read_to_string(&mut inflated).expect("zlib");
            assert_eq!(inflated, body);
        }
    }

    #[tokio::test]
    async fn what_is_short_or_does_not_shrink_or_is_not_accepted_stays() {
        for (accepted, body) in [("gzip", "short"), ("gzip", "0123456789"), ("br", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
        {
            let (bytes, headers) = compressed(accepted, body).await;
            assert_eq!(bytes, body);
            assert_eq!(headers.get(CONTENT_ENCODING), None);
        }
    }
}
