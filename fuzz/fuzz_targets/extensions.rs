//! `Sec-WebSocket-Extensions` is read as RFC 6455 §9.1 has it, and permessage-deflate is agreed to as RFC 7692 §7.1 has
//! it: what cannot be meant is declined by a server and fails a client, and both ends agree on the same.
#![no_main]

use libfuzzer_sys::{arbitrary, arbitrary::Arbitrary, fuzz_target};
use sockeye::{
    DeflateConfig,
    proto::extension::{
        Offer,
        deflate::{DeflateAgreed, confirm, offer, respond},
    },
};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    ours: [u8; 2],
    theirs: [u8; 2],
    /// The header's lines, each ended by LF.
    lines: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let Input { ours, theirs, lines } = input;
    let (ours, theirs) = (config(ours), config(theirs));
    both_ends(&ours, &theirs);
    let lines: Vec<&[u8]> = lines.split(|byte| *byte == b'\n').collect();
    let parsed = Offer::parse_list(lines.iter().copied());
    assert_eq!(parsed.as_ref().ok().map(|offers| offers.iter().map(pairs).collect()), by_hand(&lines));
    if let Err(malformed) = &parsed {
        assert!(lines.iter().any(|line| malformed.offset <= line.len()));
    }
    let Ok(offers) = parsed else { return };
    let written: Vec<String> = offers.iter().map(Offer::to_string).collect();
    assert_eq!(Offer::parse_list([written.join(", ").as_bytes()]).as_ref(), Ok(&offers));
    assert_eq!(Offer::parse_list(written.iter().map(String::as_bytes)).as_ref(), Ok(&offers));
    check_response(&ours, &offers);
    for response in &offers {
        assert_eq!(confirm(&ours, response).ok(), confirmed(&ours, response), "{response}");
    }
});

fn config([flags, bits]: [u8; 2]) -> DeflateConfig {
    DeflateConfig {
        server_no_context_takeover: flags & 1 != 0,
        client_no_context_takeover: flags & 2 != 0,
        server_max_window_bits: 9 + (bits & 15) % 7,
        client_max_window_bits: 9 + (bits >> 4) % 7,
        ..DeflateConfig::default()
    }
}

/// A client and a server of ours understand each other, whatever they are set to.
fn both_ends(client: &DeflateConfig, server: &DeflateConfig) {
    let offer = offer(client);
    let heard = Offer::parse_list([offer.to_string().as_bytes()]).expect("our own offer");
    let (servers, response) = respond(server, &heard).expect("our own offer can be accepted");
    let heard = Offer::parse_list([response.to_string().as_bytes()]).expect("our own response");
    let clients = confirm(client, &heard[0]).expect("our own response is one");
    assert_eq!(servers.server_no_context_takeover, clients.server_no_context_takeover);
    assert_eq!(servers.server_max_window_bits, clients.server_max_window_bits);
    // What the client does of itself beyond what it was told does no harm to the server.
    assert!(clients.client_no_context_takeover || !servers.client_no_context_takeover);
    assert!(clients.client_max_window_bits <= servers.client_max_window_bits);
    let least = client.server_max_window_bits.min(server.server_max_window_bits);
    assert_eq!(servers.server_max_window_bits, least);
}

/// A name, and the parameters.
type Pairs = (String, Vec<(String, Option<String>)>);

fn pairs(offer: &Offer) -> Pairs {
    let params = offer.params().iter().map(|param| (param.name().into(), param.value().map(str::to_owned)));
    (offer.name().into(), params.collect())
}

/// The list by RFC 6455 §9.1 and RFC 9110 §5.6, read in two passes; `None` if it is malformed.
fn by_hand(lines: &[&[u8]]) -> Option<Vec<Pairs>> {
    let mut offers = Vec::new();
    for line in lines {
        for element in split(line, b',')? {
            if trim(&element).is_empty() {
                continue;
            }
            let mut parts = split(&element, b';')?.into_iter();
            let name = token(&parts.next()?)?;
            let params = parts.map(|part| param(&part)).collect::<Option<Vec<_>>>()?;
            offers.push((name, params));
        }
    }
    (!offers.is_empty()).then_some(offers)
}

/// Splits outside quotes; `None` if a quote is open at the end.
fn split(text: &[u8], at: u8) -> Option<Vec<Vec<u8>>> {
    let (mut parts, mut quoted, mut escaped) = (vec![Vec::new()], false, false);
    for &byte in text {
        if byte == at && !quoted {
            parts.push(Vec::new());
            continue;
        }
        match (quoted, escaped, byte) {
            (_, false, b'"') => quoted = !quoted,
            (true, false, b'\\') => escaped = true,
            _ => escaped = false,
        }
        parts.last_mut()?.push(byte);
    }
    (!quoted).then_some(parts)
}

fn trim(text: &[u8]) -> &[u8] {
    let is_ows = |byte: &u8| matches!(byte, b' ' | b'\t');
    let from = text.iter().position(|byte| !is_ows(byte)).unwrap_or(text.len());
    let until = text.iter().rposition(|byte| !is_ows(byte)).map_or(from, |last| last + 1);
    &text[from..until]
}

fn token(text: &[u8]) -> Option<String> {
    const OTHERS: &[u8] = b"!#$%&'*+-.^_`|~";
    let text = trim(text);
    let is_token = text.iter().all(|byte| byte.is_ascii_alphanumeric() || OTHERS.contains(byte));
    (is_token && !text.is_empty()).then(|| text.iter().copied().map(char::from).collect())
}

fn param(text: &[u8]) -> Option<(String, Option<String>)> {
    let Some(equals) = text.iter().position(|byte| *byte == b'=') else { return Some((token(text)?, None)) };
    let (name, value) = (token(&text[..equals])?, trim(&text[equals + 1..]));
    let Some(value) = value.strip_prefix(b"\"") else { return Some((name, Some(token(value)?))) };
    let value = value.strip_suffix(b"\"")?;
    let mut unquoted = Vec::new();
    let mut bytes = value.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'"' => return None,
            b'\\' => unquoted.push(*bytes.next()?),
            _ => unquoted.push(byte),
        }
    }
    // White space at the ends is inside the quotes, and no part of a token.
    let is_padded = trim(&unquoted).len() != unquoted.len();
    token(&unquoted).filter(|_| !is_padded).map(|value| (name, Some(value)))
}

/// The parameters of permessage-deflate in a list; `None` if one is unknown, repeated or of a value it cannot have.
fn known(offer: &Offer) -> Option<[Option<Option<u8>>; 4]> {
    const NAMES: [&str; 4] = [
        "server_no_context_takeover",
        "client_no_context_takeover",
        "server_max_window_bits",
        "client_max_window_bits",
    ];
    let mut found = [None; 4];
    for (name, value) in pairs(offer).1 {
        let which = NAMES.iter().position(|known| *known == name)?;
        let bits = match &value {
            None => None,
            Some(value) => Some((8..=15).find(|bits: &u8| bits.to_string() == *value)?),
        };
        // The first two have no value, the third needs one.
        if found[which].replace(bits).is_some() || bits.is_some() && which < 2 || bits.is_none() && which == 2 {
            return None;
        }
    }
    Some(found)
}

fn check_response(config: &DeflateConfig, offers: &[Offer]) {
    let acceptable = offers.iter().filter(|offer| offer.name() == "permessage-deflate").find_map(|offer| {
        // zlib cannot deflate with a window of 2⁸ bytes.
        known(offer).filter(|[_, _, server_bits, _]| *server_bits != Some(Some(8)))
    });
    let Some([no_server_context, no_client_context, server_bits, client_bits]) = acceptable else {
        assert_eq!(respond(config, offers), None);
        return;
    };
    let (agreed, response) = respond(config, offers).expect("an offer can be accepted");
    let answered = known(&response).expect("our own response is one");
    let asked = server_bits.flatten().unwrap_or(15);
    let expected = DeflateAgreed {
        server_no_context_takeover: no_server_context.is_some() || config.server_no_context_takeover,
        client_no_context_takeover: no_client_context.is_some() || config.client_no_context_takeover,
        server_max_window_bits: asked.min(config.server_max_window_bits),
        client_max_window_bits: match client_bits {
            None => 15,
            Some(hint) => hint.unwrap_or(15).min(config.client_max_window_bits),
        },
    };
    assert_eq!(agreed, expected);
    // §7.1: the response says what was agreed, and what was asked for has to be in it.
    assert_eq!(answered[0].is_some(), agreed.server_no_context_takeover);
    assert_eq!(answered[1].is_some(), agreed.client_no_context_takeover);
    assert_eq!(answered[2].flatten().unwrap_or(15), agreed.server_max_window_bits);
    assert!(answered[2].is_some() || server_bits.is_none());
    assert_eq!(answered[3].flatten().unwrap_or(15), agreed.client_max_window_bits);
    assert!(answered[3].is_none() || client_bits.is_some(), "client_max_window_bits was not offered");
}

/// What a client makes of a response to its own offer.
fn confirmed(config: &DeflateConfig, response: &Offer) -> Option<DeflateAgreed> {
    let [no_server_context, no_client_context, server_bits, client_bits] = known(response)?;
    let server_bits = server_bits.flatten();
    let asked = config.server_max_window_bits;
    if config.server_no_context_takeover && no_server_context.is_none()
        || server_bits.unwrap_or(15) > asked
        || matches!(client_bits, Some(None | Some(8)))
    {
        return None;
    }
    Some(DeflateAgreed {
        server_no_context_takeover: no_server_context.is_some(),
        client_no_context_takeover: no_client_context.is_some() || config.client_no_context_takeover,
        server_max_window_bits: server_bits.unwrap_or(15),
        client_max_window_bits: client_bits.flatten().unwrap_or(15).min(config.client_max_window_bits),
    })
}
