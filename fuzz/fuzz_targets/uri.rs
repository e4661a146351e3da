//! A URI that is taken is safe in a request: what a server reads there is what the URI says; and it is the same URI when
//! it is written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sockeye::proto::handshake::{ClientRequest, Scheme, WsUri};
use sockeye_fuzz::{client_handshake, head_limits, server_handshake};

fuzz_target!(|text: &str| {
    let Ok(uri) = text.parse::<WsUri>() else {
        assert!(!is_plain(text), "{text:?} is a plain URI");
        return;
    };
    let scheme = if text.to_ascii_lowercase().starts_with("wss") { Scheme::Wss } else { Scheme::Ws };
    assert_eq!(uri.scheme(), scheme);
    assert!(text.is_ascii() && !text.contains('#'));
    assert!(uri.port() != 0 && !uri.host().is_empty() && uri.resource().starts_with('/'));
    let userinfo = uri.userinfo().map_or(String::new(), |userinfo| format!("{userinfo}@"));
    let again = match uri.socket() {
        Some(_) => uri.to_string(),
        None => format!("{}://{userinfo}{}{}", uri.scheme(), uri.host_header(), uri.resource()),
    };
    assert_eq!(again.parse::<WsUri>().as_ref(), Ok(&uri), "{again:?}");
    assert!(
        !format!("{uri} {uri:?}").contains(&userinfo) || userinfo.len() < 3 || again.matches(&userinfo).count() > 1
    );
    assert_eq!(uri.to_string().parse::<WsUri>().map(|shown| shown.to_string()), Ok(uri.to_string()));
    request(uri);
});

/// Whether it is made of nothing that could be wrong.
fn is_plain(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("ws://") else { return false };
    rest.starts_with(|first: char| first.is_ascii_lowercase())
        && rest.chars().all(|character| matches!(character, 'a'..='z' | '.' | '/' | '?' | '='))
}

/// Has a server read it.
fn request(uri: WsUri) {
    let request = ClientRequest::new(uri);
    let (_, bytes) = client_handshake(&request, 0).expect("nothing but the URI is in it");
    let [max_head, _, max_target] = head_limits();
    let (mut server, uri) = (server_handshake(), request.uri);
    match server.receive(&bytes) {
        Ok((consumed, Some(request))) => {
            assert_eq!(consumed, bytes.len());
            assert_eq!((request.target(), request.header("Host")), (uri.resource(), Some(&*uri.host_header())));
            assert_eq!(request.headers().len(), 5 + usize::from(uri.userinfo().is_some()));
            assert_eq!(request.check_upgrade(), Ok(()));
        }
        other => assert!(bytes.len() > max_head || uri.resource().len() > max_target, "{other:?}"),
    }
}
