//! RFC 7692 §7.1: negotiation of permessage-deflate, its four parameters in both roles.
#![cfg(feature = "deflate")]

use sockeye::proto::extension::{
    Offer,
    deflate::{
        DeflateAgreed, DeflateConfig, InvalidDeflateConfig, InvalidDeflateResponse as Invalid, confirm, offer, respond,
    },
};

const ALL: DeflateAgreed = DeflateAgreed {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

fn config() -> DeflateConfig {
    DeflateConfig::default()
}

fn parse(header: &str) -> Vec<Offer> {
    Offer::parse_list([header.as_bytes()]).expect("well-formed")
}

/// A server's answer to an offer with these parameters.
fn server(config: &DeflateConfig, params: &str) -> Option<(DeflateAgreed, String)> {
    let header = if params.is_empty() { "permessage-deflate".into() } else { format!("permessage-deflate; {params}") };
    respond(config, &parse(&header)).map(|(agreed, response)| {
        let response = response.to_string();
        let params = response.strip_prefix("permessage-deflate").expect("the extension's name");
        (agreed, params.strip_prefix("; ").unwrap_or(params).to_owned())
    })
}

/// A client's verdict on a response with these parameters.
fn client(config: &DeflateConfig, params: &str) -> Result<DeflateAgreed, Invalid> {
    let header = if params.is_empty() { "permessage-deflate".into() } else { format!("permessage-deflate; {params}") };
    confirm(config, &parse(&header)[0])
}

fn agreed(agreed: DeflateAgreed, response: &str) -> Option<(DeflateAgreed, String)> {
    Some((agreed, response.to_owned()))
}

#[test]
fn client_offers_what_its_config_says() {
    assert_eq!(offer(&config()).to_string(), "permessage-deflate; client_max_window_bits");
    let all = DeflateConfig {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        server_max_window_bits: 9,
        client_max_window_bits: 10,
        ..config()
    };
    assert_eq!(
        offer(&all).to_string(),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; \
         client_max_window_bits=10"
    );
}

#[test]
fn server_answers_each_parameter() {
    let c = &config();
    assert_eq!(server(c, ""), agreed(ALL, ""));
    assert_eq!(server(c, "client_max_window_bits"), agreed(ALL, ""));
    let reset = DeflateAgreed { server_no_context_takeover: true, ..ALL };
    assert_eq!(server(c, "server_no_context_takeover"), agreed(reset, "server_no_context_takeover"));
    let reset = DeflateAgreed { client_no_context_takeover: true, ..ALL };
    assert_eq!(server(c, "client_no_context_takeover"), agreed(reset, "client_no_context_takeover"));
    for bits in 9..=15 {
        let small = DeflateAgreed { server_max_window_bits: bits, ..ALL };
        let param = format!("server_max_window_bits={bits}");
        assert_eq!(server(c, &param), agreed(small, &param));
    }
    for bits in 8..=14 {
        let small = DeflateAgreed { client_max_window_bits: bits, ..ALL };
        let param = format!("client_max_window_bits={bits}");
        assert_eq!(server(c, &param), agreed(small, &param));
    }
    assert_eq!(server(c, "client_max_window_bits=15"), agreed(ALL, ""));
}

#[test]
fn server_asks_for_what_its_config_says() {
    let small = &DeflateConfig { server_max_window_bits: 10, client_max_window_bits: 11, ..config() };
    let server_small = DeflateAgreed { server_max_window_bits: 10, ..ALL };
    let both_small = DeflateAgreed { client_max_window_bits: 11, ..server_small };
    // §7.1.2.2: without the parameter in the offer the client's window cannot be asked for.
    assert_eq!(server(small, ""), agreed(server_small, "server_max_window_bits=10"));
    let both = "server_max_window_bits=10; client_max_window_bits=11";
    assert_eq!(server(small, "client_max_window_bits"), agreed(both_small, both));
    assert_eq!(server(small, "client_max_window_bits=12; server_max_window_bits=12"), agreed(both_small, both));
    let smaller = DeflateAgreed { server_max_window_bits: 9, client_max_window_bits: 9, ..ALL };
    assert_eq!(
        server(small, "client_max_window_bits=9; server_max_window_bits=9"),
        agreed(smaller, "server_max_window_bits=9; client_max_window_bits=9")
    );
    let reset = &DeflateConfig { server_no_context_takeover: true, client_no_context_takeover: true, ..config() };
    let both = DeflateAgreed { server_no_context_takeover: true, client_no_context_takeover: true, ..ALL };
    assert_eq!(server(reset, ""), agreed(both, "server_no_context_takeover; client_no_context_takeover"));
}

#[test]
fn server_declines_window_of_8_for_itself_and_takes_it_for_the_client() {
    assert_eq!(server(&config(), "server_max_window_bits=8"), None);
    let small = DeflateAgreed { client_max_window_bits: 8, ..ALL };
    assert_eq!(server(&config(), "client_max_window_bits=8"), agreed(small, "client_max_window_bits=8"));
}

#[test]
fn server_declines_parameters_out_of_range_repeated_or_unknown() {
    // T15
    for params in [
        "client_max_window_bits=abc",
        "client_max_window_bits=0",
        "client_max_window_bits=1",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=99",
        "client_max_window_bits=1000",
        "client_max_window_bits=08",
        "client_max_window_bits=010",
        "client_max_window_bits=+10",
        "client_max_window_bits=-10",
        "client_max_window_bits=1e1",
        "client_max_window_bits=99999999999999999999",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=010",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits=10; client_max_window_bits=10",
        "server_max_window_bits=10; server_max_window_bits=10",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "client_max_window_bits_",
        "client_max_window",
        "Client_Max_Window_Bits",
        "mem_level=1",
        "__proto__",
    ] {
        assert_eq!(server(&config(), params), None, "{params}");
    }
}

#[test]
fn quoted_value_means_the_same() {
    let ten = DeflateAgreed { client_max_window_bits: 10, ..ALL };
    assert_eq!(server(&config(), r#"client_max_window_bits="10""#), agreed(ten, "client_max_window_bits=10"));
    assert_eq!(server(&config(), r#"client_max_window_bits="1\0""#), agreed(ten, "client_max_window_bits=10"));
    assert_eq!(client(&config(), r#"client_max_window_bits="10""#), Ok(ten));
    assert!(Offer::parse_list([&br#"permessage-deflate; client_max_window_bits="""#[..]]).is_err());
}

#[test]
fn server_takes_the_first_offer_that_it_can_accept() {
    let choose = |header: &str| respond(&config(), &parse(header)).map(|(_, response)| response.to_string());
    assert_eq!(
        choose(
            "x-webkit-deflate-frame, permessage-deflate; server_max_window_bits=8, \
             permessage-deflate; server_max_window_bits=10, permessage-deflate"
        ),
        Some("permessage-deflate; server_max_window_bits=10".into())
    );
    assert_eq!(
        choose("permessage-bzip2, permessage-deflate; foo, permessage-deflate"),
        Some("permessage-deflate".into())
    );
    assert_eq!(choose("Permessage-Deflate"), None);
    assert_eq!(choose("x-webkit-deflate-frame"), None);
}

#[test]
fn client_takes_each_parameter() {
    let c = &config();
    assert_eq!(client(c, ""), Ok(ALL));
    assert_eq!(
        client(c, "server_no_context_takeover; client_no_context_takeover"),
        Ok(DeflateAgreed { server_no_context_takeover: true, client_no_context_takeover: true, ..ALL })
    );
    for bits in 8..=15 {
        let agreed = DeflateAgreed { server_max_window_bits: bits, ..ALL };
        assert_eq!(client(c, &format!("server_max_window_bits={bits}")), Ok(agreed));
    }
    for bits in 9..=15 {
        let agreed = DeflateAgreed { client_max_window_bits: bits, ..ALL };
        assert_eq!(client(c, &format!("client_max_window_bits={bits}")), Ok(agreed));
    }
}

#[test]
fn client_keeps_to_what_its_offer_announced() {
    let small = &DeflateConfig { client_max_window_bits: 10, client_no_context_takeover: true, ..config() };
    let agreed = DeflateAgreed { client_max_window_bits: 10, client_no_context_takeover: true, ..ALL };
    assert_eq!(client(small, ""), Ok(agreed));
    assert_eq!(client(small, "client_max_window_bits=12"), Ok(agreed));
    assert_eq!(client(small, "client_max_window_bits=9"), Ok(DeflateAgreed { client_max_window_bits: 9, ..agreed }));
}

#[test]
fn client_fails_on_parameters_out_of_range_repeated_or_unknown() {
    // T14
    for value in ["0", "7", "16", "1000", "abc", "08", "010", "-9", "99999999999999999999"] {
        for name in ["server_max_window_bits", "client_max_window_bits"] {
            let error = Invalid::ParamValue { name: name.into(), value: Some(value.into()) };
            assert_eq!(client(&config(), &format!("{name}={value}")), Err(error));
        }
    }
    for name in ["server_max_window_bits", "client_max_window_bits"] {
        let error = Invalid::ParamValue { name: name.into(), value: None };
        assert_eq!(client(&config(), name), Err(error));
        let error = Invalid::RepeatedParam { name: name.into() };
        assert_eq!(client(&config(), &format!("{name}=10; {name}=10")), Err(error));
    }
    for name in ["server_no_context_takeover", "client_no_context_takeover"] {
        let error = Invalid::ParamValue { name: name.into(), value: Some("1".into()) };
        assert_eq!(client(&config(), &format!("{name}=1")), Err(error));
        let error = Invalid::RepeatedParam { name: name.into() };
        assert_eq!(client(&config(), &format!("{name}; {name}")), Err(error));
    }
    assert_eq!(client(&config(), "foo=1"), Err(Invalid::UnknownParam { name: "foo".into() }));
    assert_eq!(client(&config(), "client_max_window_bits=8"), Err(Invalid::ClientWindow { bits: 8 }));
}

#[test]
fn client_fails_where_the_server_ignores_what_was_asked() {
    let asks = DeflateConfig { server_no_context_takeover: true, ..config() };
    let missing = |name| Err(Invalid::MissingParam { name });
    assert_eq!(client(&asks, ""), missing("server_no_context_takeover"));
    let asks = DeflateConfig { server_max_window_bits: 10, ..config() };
    assert_eq!(client(&asks, ""), missing("server_max_window_bits"));
    assert_eq!(client(&asks, "server_max_window_bits=11"), Err(Invalid::ServerWindow { bits: 11, asked: 10 }));
    for bits in 8..=10 {
        let agreed = DeflateAgreed { server_max_window_bits: bits, ..ALL };
        assert_eq!(client(&asks, &format!("server_max_window_bits={bits}")), Ok(agreed));
    }
}

#[test]
fn every_pair_of_configs_agrees_on_both_ends() {
    let mut configs = Vec::new();
    for (server_no_context_takeover, client_no_context_takeover) in
        [(false, false), (false, true), (true, false), (true, true)]
    {
        for server_max_window_bits in 9..=15 {
            for client_max_window_bits in 9..=15 {
                configs.push(DeflateConfig {
                    server_no_context_takeover,
                    client_no_context_takeover,
                    server_max_window_bits,
                    client_max_window_bits,
                    ..config()
                });
            }
        }
    }
    for ours in &configs {
        for theirs in &configs {
            let (at_server, response) = respond(theirs, &parse(&offer(ours).to_string())).expect("accepted");
            let at_client = confirm(ours, &parse(&response.to_string())[0]).expect("confirmed");
            assert_eq!(at_server, at_client, "{ours:?} {theirs:?}");
        }
    }
}

#[test]
fn config_out_of_range_is_the_callers_fault() {
    assert_eq!(config().check(), Ok(()));
    let check = |config: DeflateConfig| config.check();
    assert_eq!(check(DeflateConfig { level: 10, ..config() }), Err(InvalidDeflateConfig::Level { level: 10 }));
    for mem_level in [0, 10] {
        let error = InvalidDeflateConfig::MemLevel { mem_level };
        assert_eq!(check(DeflateConfig { mem_level, ..config() }), Err(error));
    }
    for bits in [0, 8, 16, 255] {
        let error = |param| Err(InvalidDeflateConfig::WindowBits { param, bits });
        assert_eq!(check(DeflateConfig { server_max_window_bits: bits, ..config() }), error("server_max_window_bits"));
        assert_eq!(check(DeflateConfig { client_max_window_bits: bits, ..config() }), error("client_max_window_bits"));
    }
}
