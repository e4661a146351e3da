//! A response gets one verdict however it is cut; what is behind it is not taken; what is kept of a refusal's body is
//! bounded; and what is accepted was asked for (RFC 6455 §4.1).
#![no_main]

use libfuzzer_sys::{arbitrary, arbitrary::Arbitrary, fuzz_target};
use sockeye::{
    DeflateConfig,
    proto::handshake::{Accepted, ClientRequest, HandshakeError},
};
use sockeye_fuzz::{client_handshake, cuts::Cuts, head_limits, heap};

const MAX_BODY: usize = 256;
/// What answers the key of RFC 6455 §1.3.
const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    /// Bit 0: asks for subprotocols; 1: for permessage-deflate; 2 and 3: with less than the most.
    asks: u8,
    cuts: Cuts,
    bytes: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let Input { asks, cuts, bytes } = input;
    let request = request(asks);
    let whole = read(&request, [bytes].into_iter());
    assert_eq!(read(&request, cuts.pieces(bytes)), whole);
    assert_eq!(read(&request, bytes.chunks(1)), whole);
    match whole {
        (consumed, Ok(accepted)) => check_accepted(&bytes[..consumed], &accepted, &request),
        (_, Err(HandshakeError::Refused(response))) => {
            assert!(response.status() >= 200 && response.body.len() <= MAX_BODY);
        }
        (_, Err(_)) => {}
    }
});

fn request(asks: u8) -> ClientRequest {
    let mut request = ClientRequest::new("ws://example.com/chat".parse().expect("a valid URI"));
    if asks & 1 != 0 {
        request.subprotocols = vec!["chat".into(), "v1".into()];
    }
    if asks & 2 != 0 {
        request.deflate = Some(DeflateConfig {
            server_no_context_takeover: asks & 4 != 0,
            server_max_window_bits: if asks & 8 != 0 { 12 } else { 15 },
            client_max_window_bits: if asks & 16 != 0 { 10 } else { 15 },
            ..DeflateConfig::default()
        });
    }
    request
}

/// How many bytes an acceptance took, and the verdict.
fn read<'a>(
    request: &ClientRequest,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (usize, Result<Accepted, HandshakeError>) {
    let (mut handshake, _) = client_handshake(request, MAX_BODY).expect("a valid request");
    let mut taken = 0;
    for piece in pieces {
        let (received, peak, _) = heap::measured(|| handshake.receive(piece));
        let [max_head, max_headers, _] = head_limits();
        // Several heads may be in one piece, but one is held at a time.
        assert!(peak <= 6 * max_head + 64 * max_headers + 2 * MAX_BODY, "{peak} bytes for a response");
        match received {
            Ok((consumed, None)) => {
                assert_eq!(consumed, piece.len(), "what is not accepted is taken");
                taken += consumed;
            }
            Ok((consumed, Some(accepted))) => {
                assert!(matches!(handshake.receive(b"HTTP"), Ok((0, None))), "taken behind an acceptance");
                return (taken + consumed, Ok(accepted));
            }
            Err(error) => return (0, Err(error)),
        }
    }
    (0, Err(handshake.receive_eof()))
}

/// §4.1, by hand.
fn check_accepted(bytes: &[u8], accepted: &Accepted, request: &ClientRequest) {
    assert!(bytes.ends_with(b"\r\n\r\n"));
    let Accepted { agreed, response } = accepted;
    assert_eq!(response.status(), 101);
    let lines = |name: &str| {
        let fields = response.headers.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        fields.map(|(_, value)| value.to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(lines("sec-websocket-accept"), [ACCEPT]);
    assert!(lines("upgrade").len() == 1 && lines("upgrade")[0].eq_ignore_ascii_case(b"websocket"));
    assert!(lines("connection").iter().any(|line| line.to_ascii_lowercase().windows(7).any(|word| word == b"upgrade")));
    let chosen = lines("sec-websocket-protocol");
    assert_eq!(chosen, agreed.subprotocol.iter().map(|chosen| chosen.as_bytes().to_vec()).collect::<Vec<_>>());
    assert!(agreed.subprotocol.iter().all(|chosen| request.subprotocols.contains(chosen)));
    match (&agreed.deflate, &request.deflate) {
        (None, _) => {}
        (Some(_), None) => panic!("compression that nobody asked for"),
        (Some(agreed), Some(asked)) => {
            assert!(agreed.server_no_context_takeover || !asked.server_no_context_takeover);
            assert!((8..=asked.server_max_window_bits).contains(&agreed.server_max_window_bits));
            assert!((9..=asked.client_max_window_bits).contains(&agreed.client_max_window_bits));
        }
    }
}
