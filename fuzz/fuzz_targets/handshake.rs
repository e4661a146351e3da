//! A client and a server of ours, whatever they are set to and however their bytes are cut, either refuse to send what
//! cannot be sent, or agree on the same, with every header of the other side as it was given.
#![no_main]

use libfuzzer_sys::{arbitrary, arbitrary::Arbitrary, fuzz_target};
use sockeye::{
    DeflateConfig,
    proto::{
        handshake::{Accept, AcceptError, Accepted, ClientRequest, Request},
        http::Headers,
    },
};
use sockeye_fuzz::{client_handshake, cuts::Cuts, server_handshake};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    client: [u8; 3],
    server: [u8; 3],
    cuts: Cuts,
    /// Lines, each ended by LF, of a letter and what it stands for: `p` and `P` a subprotocol of the client and the
    /// server's choice, `h` and `H` a header of theirs, `u` the URI.
    lines: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let mut request = ClientRequest::new("ws://example.com/chat".parse().expect("a valid URI"));
    let mut accept = Accept::default();
    for line in input.lines.split(|byte| *byte == b'\n') {
        let (Some((letter, text)), true) = (line.split_first(), line.len() < 300) else { continue };
        let text = String::from_utf8_lossy(text);
        match letter {
            b'p' => request.subprotocols.push(text.into()),
            b'P' => accept.subprotocol = Some(text.into()),
            b'h' => push(&mut request.headers, &text),
            b'H' => push(&mut accept.headers, &text),
            b'u' => {
                if let Ok(uri) = text.parse() {
                    request.uri = uri;
                }
            }
            _ => {}
        }
    }
    request.deflate = config(input.client);
    accept.deflate = config(input.server);
    meet(&request, &accept, input.cuts);
});

fn push(headers: &mut Headers, text: &str) {
    let (name, value) = text.split_once(':').unwrap_or((text, ""));
    let before = headers.len();
    let is_field = |byte: u8| byte == b'\t' || (b' '..0x7f).contains(&byte) || byte >= 0x80;
    match headers.push(name, value) {
        Ok(()) => {
            assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()));
            assert!(value.bytes().all(is_field) && value.trim_matches([' ', '\t']) == value);
            assert_eq!(headers.len(), before + 1);
        }
        Err(_) => assert_eq!(headers.len(), before),
    }
}

fn config([flags, bits, level]: [u8; 3]) -> Option<DeflateConfig> {
    (flags & 4 != 0).then(|| DeflateConfig {
        server_no_context_takeover: flags & 1 != 0,
        client_no_context_takeover: flags & 2 != 0,
        // Some are out of their range.
        server_max_window_bits: 8 + (bits & 15) % 9,
        client_max_window_bits: 8 + (bits >> 4) % 9,
        level: level % 11,
        ..DeflateConfig::default()
    })
}

fn meet(request: &ClientRequest, accept: &Accept, cuts: Cuts) {
    let is_valid = |config: &Option<DeflateConfig>| config.as_ref().is_none_or(|config| config.check().is_ok());
    let (mut client, bytes) = match client_handshake(request, 64) {
        Ok(started) => started,
        Err(error) => {
            let is_plain = request.subprotocols.is_empty() && request.headers.is_empty() && is_valid(&request.deflate);
            assert!(!is_plain, "{error:?}");
            return;
        }
    };
    assert!(is_valid(&request.deflate));
    let mut server = server_handshake();
    let Some(heard) = cuts.pieces(&bytes).find_map(|piece| match server.receive(piece) {
        Ok((_, heard)) => heard.map(Ok),
        Err(refusal) => Some(Err(refusal)),
    }) else {
        panic!("a request that is not whole");
    };
    let heard = match heard {
        Ok(heard) => heard,
        // Over a limit, or a Host or Origin that the caller has set.
        Err(refusal) => {
            let is_plain = bytes.len() < 200 && request.headers.is_empty();
            assert!(!is_plain, "{refusal:?}");
            return;
        }
    };
    check_heard(&heard, request);
    let (response, agreed) = match heard.accept(accept) {
        Ok(accepted) => accepted,
        Err(AcceptError::Build(_)) => return,
        Err(other) => panic!("{other:?} for a request of ours"),
    };
    assert!(is_valid(&accept.deflate));
    let answer = cuts.pieces(&response).find_map(|piece| match client.receive(piece) {
        Ok((_, accepted)) => accepted.map(Ok),
        Err(error) => Some(Err(error)),
    });
    match answer {
        Some(Ok(Accepted { agreed: clients, response: received })) => {
            assert_eq!(clients.subprotocol, agreed.subprotocol);
            assert_eq!(clients.deflate.is_some(), agreed.deflate.is_some());
            assert_eq!(agreed.deflate.is_some(), request.deflate.is_some() && accept.deflate.is_some());
            if let (Some(clients), Some(servers)) = (clients.deflate, agreed.deflate) {
                assert_eq!(clients.server_max_window_bits, servers.server_max_window_bits);
                assert_eq!(clients.server_no_context_takeover, servers.server_no_context_takeover);
                assert!(clients.client_max_window_bits <= servers.client_max_window_bits);
            }
            assert!(holds(&received.headers, &accept.headers));
        }
        Some(Err(error)) => assert!(response.len() > 1000 || accept.headers.len() > 10, "{error:?}"),
        None => panic!("a response that is not whole"),
    }
}

fn check_heard(heard: &Request, request: &ClientRequest) {
    assert_eq!((heard.method(), heard.target()), ("GET", request.uri.resource()));
    assert!(heard.subprotocols().eq(request.subprotocols.iter()));
    assert!(holds(heard.headers(), &request.headers));
    let ours = 5 + usize::from(!request.subprotocols.is_empty()) + usize::from(request.deflate.is_some());
    let hosts = usize::from(request.headers.contains("Host"));
    let credentials = usize::from(request.uri.userinfo().is_some() && !request.headers.contains("Authorization"));
    assert_eq!(heard.headers().len(), ours + credentials + request.headers.len() - hosts);
}

/// Whether all that was given has come, whatever the case of its name.
fn holds(come: &Headers, given: &Headers) -> bool {
    given
        .iter()
        .all(|(name, value)| come.iter().any(|(other, found)| other.eq_ignore_ascii_case(name) && found == value))
}
