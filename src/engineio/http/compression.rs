use std::io::Write;

use bytes::Bytes;
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY},
};

/// Compresses a body as the client likes it (RFC 9110 §8.4), unless it is shorter than `threshold` or does not shrink.
pub(super) fn compress(body: String, threshold: usize, request: &HeaderMap, response: &mut HeaderMap) -> Bytes {
    if body.len() < threshold {
        return body.into();
    }
    response.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    let (coding, compressed) = if accepts(request, "gzip") {
        ("gzip", written(GzEncoder::new(Vec::new(), Compression::fast()), &body, GzEncoder::finish))
    } else if accepts(request, "deflate") {
        ("deflate", written(ZlibEncoder::new(Vec::new(), Compression::fast()), &body, ZlibEncoder::finish))
    } else {
        return body.into();
    };
    if compressed.len() >= body.len() {
        return body.into();
    }
    response.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    compressed.into()
}

fn written<W: Write>(mut encoder: W, body: &str, finish: impl Fn(W) -> std::io::Result<Vec<u8>>) -> Vec<u8> {
    encoder.write_all(body.as_bytes()).and_then(|()| finish(encoder)).expect("a Vec takes everything")
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

    fn compressed(accepted: &'static str, body: &str) -> (Bytes, HeaderMap) {
        let request = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(accepted))]);
        let mut response = HeaderMap::new();
        (compress(body.into(), 10, &request, &mut response), response)
    }

    #[test]
    fn a_client_gets_the_coding_that_it_accepts() {
        let body = "a".repeat(100);
        let (bytes, headers) = compressed("deflate;q=0.5, GZIP", &body);
        assert_eq!(headers[CONTENT_ENCODING], "gzip");
        let mut inflated = String::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut inflated).expect("gzip");
        assert_eq!(inflated, body);
        let (bytes, headers) = compressed("gzip;q=0, deflate", &body);
        assert_eq!(headers[CONTENT_ENCODING], "deflate");
        inflated.clear();
        flate2::read::ZlibDecoder::new(&bytes[..]).read_to_string(&mut inflated).expect("zlib");
        assert_eq!(inflated, body);
    }

    #[test]
    fn what_is_short_or_does_not_shrink_or_is_not_accepted_stays() {
        for (accepted, body) in [("gzip", "short"), ("gzip", "0123456789"), ("br", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
        {
            let (bytes, headers) = compressed(accepted, body);
            assert_eq!(bytes, body);
            assert_eq!(headers.get(CONTENT_ENCODING), None);
        }
    }
}
