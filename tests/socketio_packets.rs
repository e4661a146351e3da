//! Socket.IO packets: what node's decoder says to each input, and what its encoder writes.
#![cfg(feature = "socketio")]

use bytes::Bytes;
use sockeye::{
    Message,
    socketio::{
        ToArguments, Value,
        packet::{Arguments, Body, Decoder, Packet, PacketError},
    },
};

/// What one text is, if it is a whole packet.
fn decode(text: &str) -> Result<Option<Packet>, PacketError> {
    Decoder::new().decode(text.into())
}

fn packet(text: &str) -> Packet {
    decode(text).unwrap_or_else(|error| panic!("{text}: {error}")).unwrap_or_else(|| panic!("{text} is not whole"))
}

fn error(text: &str) -> PacketError {
    match decode(text) {
        Err(error) => error,
        Ok(packet) => panic!("{text} is {packet:?}"),
    }
}

/// Namespace, id, name and arguments of an event.
fn event(text: &str) -> (String, Option<u64>, String, String) {
    let Packet { namespace, body } = packet(text);
    let Body::Event { id, name, arguments } = body else { panic!("{text} is no event") };
    (namespace.to_string(), id, name.to_string(), arguments.json())
}

fn main_event(id: Option<u64>, name: &str, arguments: &str) -> (String, Option<u64>, String, String) {
    ("/".into(), id, name.into(), arguments.into())
}

#[test]
fn connects_are_decoded() {
    for (text, namespace, payload) in [
        ("0", "/", None),
        ("0{}", "/", Some("{}")),
        ("0/admin", "/admin", None),
        ("0/admin,", "/admin", None),
        ("0/", "/", None),
        ("00", "/", None), // an id of no meaning
        (r#"0/admin?x=1,{"t":1}"#, "/admin?x=1", Some(r#"{"t":1}"#)),
    ] {
        let expected = Packet { namespace: namespace.into(), body: Body::Connect(payload.map(Into::into)) };
        assert_eq!(packet(text), expected, "{text}");
    }
    for text in ["0[]", r#"0"a""#, "0null", "0{", "0{}x"] {
        assert_eq!(error(text), PacketError::InvalidPayload, "{text}");
    }
}

#[test]
fn disconnects_are_decoded() {
    for (text, namespace) in [("1", "/"), ("1/admin", "/admin"), ("1/admin,", "/admin")] {
        assert_eq!(packet(text), Packet { namespace: namespace.into(), body: Body::Disconnect });
    }
    assert_eq!(error("1{}"), PacketError::InvalidPayload);
}

#[test]
fn events_are_decoded() {
    assert_eq!(event(r#"2["a"]"#), main_event(None, "a", "[]"));
    assert_eq!(event(r#"2["a",1,{"b":[]}]"#), main_event(None, "a", r#"[1,{"b":[]}]"#));
    assert_eq!(event(r#"2 ["a"]"#), main_event(None, "a", "[]"));
    assert_eq!(event("2[1]"), main_event(None, "1", "[]"));
    assert_eq!(event(r#"21["a"]"#), main_event(Some(1), "a", "[]"));
    assert_eq!(event(r#"2007["a"]"#), main_event(Some(7), "a", "[]"));
    assert_eq!(event(r#"2/a,1["b"]"#), ("/a".into(), Some(1), "b".into(), "[]".into()));
    assert_eq!(event("2[ \"a\\u0062\" , 1 ]"), main_event(None, "ab", "[1 ]"));
    assert_eq!(event(r#"218446744073709551615["a"]"#), main_event(Some(u64::MAX), "a", "[]"));
    for name in ["connection", "error", "message", "__proto__", ""] {
        assert_eq!(event(&format!(r#"2["{name}"]"#)), main_event(None, name, "[]"));
    }
}

#[test]
fn what_is_no_event_is_refused() {
    for name in ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"] {
        assert_eq!(error(&format!(r#"2["{name}"]"#)), PacketError::ReservedName);
    }
    for text in [
        "2[]",
        "2[null]",
        "2[{}]",
        r#"2{"a":1}"#,
        r#"2-1["a"]"#,
        r#"21e2["a"]"#,
        r#"20x["a"]"#,
        r#"2["a""#,
        r#"2["a"]x"#,
        r#"2["a",]"#,
        // node takes these for what they are not.
        "2",
        r#"2 1["a"]"#,
        // A namespace up to the end, and no payload.
        r#"2/a1["b"]"#,
    ] {
        assert_eq!(error(text), PacketError::InvalidPayload, "{text}");
    }
    assert_eq!(error(r#"2123456789012345678901["a"]"#), PacketError::IdTooLarge);
}

#[test]
fn acknowledgements_are_decoded() {
    for (text, id, arguments) in [
        ("3[]", None, "[]"),
        ("31[]", Some(1), "[]"),
        (r#"31["x"]"#, Some(1), r#"["x"]"#),
        ("3456[1,\"2\",{}]", Some(456), "[1,\"2\",{}]"),
    ] {
        let Body::Ack { id: found, arguments: came } = packet(text).body else { panic!("{text}") };
        assert_eq!((found, &*came.json()), (id, arguments), "{text}");
    }
    assert_eq!(error("31{}"), PacketError::InvalidPayload);
    assert_eq!(error("3"), PacketError::InvalidPayload);
}

#[test]
fn connect_errors_are_decoded() {
    for payload in [r#""err""#, r#"{"message":"x"}"#] {
        let body = Body::ConnectError(payload.into());
        assert_eq!(packet(&format!("4{payload}")), Packet { namespace: "/".into(), body });
    }
    assert_eq!(error("4[]"), PacketError::InvalidPayload);
    assert_eq!(error("4"), PacketError::InvalidPayload);
}

#[test]
fn numbers_of_attachments_are_checked() {
    for text in [r#"5["a"]"#, r#"50-["a"]"#, "5-1-", "51.5-", r#"51["a"]"#, "5", "6-", r#"599999999999999999999-["a"]"#]
    {
        assert_eq!(error(text), PacketError::IllegalAttachments, "{text}");
    }
    assert_eq!(decode(r#"510-["a"]"#), Ok(None));
    assert_eq!(error(r#"511-["a"]"#), PacketError::TooManyAttachments { count: 11, limit: 10 });
    let mut decoder = Decoder::new().max_attachments(11);
    assert_eq!(decoder.decode(r#"511-["a"]"#.into()), Ok(None));
}

#[test]
fn attachments_are_put_into_their_packet() {
    let mut decoder = Decoder::new();
    let text = r#"52-/a,7["e",{"_placeholder":true,"num":1},[{"_placeholder":true,"num":0}]]"#;
    assert_eq!(decoder.decode(text.into()), Ok(None));
    assert_eq!(decoder.decode(b"one".into()), Ok(None));
    let packet = decoder.decode(b"two".into()).expect("a packet").expect("it is whole");
    assert_eq!(packet.namespace, "/a");
    let Body::Event { id: Some(7), name, arguments } = packet.body else { panic!("an event") };
    assert_eq!((&*name, arguments.attachments()), ("e", &[Bytes::from("one"), Bytes::from("two")][..]));
    // The next one stands by itself.
    assert!(decoder.decode("1".into()).is_ok_and(|packet| packet.is_some()));
}

#[test]
fn what_a_client_says_of_itself_does_not_keep_its_message() {
    let message = sockeye::Utf8Bytes::from(r#"0{"token":1}"#.to_owned());
    let packet = Decoder::new().decode(Message::Text(message.clone())).expect("a packet").expect("it is whole");
    let Body::Connect(Some(auth)) = packet.body else { panic!("a connection") };
    assert_eq!((&*auth, &*message), (r#"{"token":1}"#, r#"0{"token":1}"#));
    assert!(auth.into_bytes().is_unique());
}

#[test]
fn an_attachment_that_nothing_refers_to_is_dropped_and_one_may_be_shared() {
    let mut decoder = Decoder::new();
    assert_eq!(decoder.decode(r#"51-["a"]"#.into()), Ok(None));
    assert!(decoder.decode(b"x".into()).is_ok_and(|packet| packet.is_some()));
    let text = r#"51-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#;
    assert_eq!(decoder.decode(text.into()), Ok(None));
    assert!(decoder.decode(b"x".into()).is_ok_and(|packet| packet.is_some()));
}

#[test]
fn an_attachment_that_is_shared_more_often_than_there_may_be_attachments_is_refused() {
    let shared = |placeholder: &str, times| format!(r#"51-["a"{}]"#, format!(",{placeholder}").repeat(times));
    let placeholder = r#"{"_placeholder":true,"num":0}"#;
    assert_eq!(decode(&shared(placeholder, 10)), Ok(None));
    let too_many = PacketError::TooManyAttachments { count: 11, limit: 10 };
    assert_eq!(error(&shared(placeholder, 11)), too_many);
    assert_eq!(error(&shared(placeholder, 11).replace("51-", "61-1")), too_many);
    // What takes itself back was one to whoever reads from the front.
    assert_eq!(error(&shared(r#"{"_placeholder":true,"num":0,"_placeholder":false}"#, 11)), too_many);
    assert_eq!(error(&shared(r#"{"x":{"_placeholder":true,"num":0}}"#, 11)), too_many);
}

#[test]
fn illegal_placeholders_are_refused_and_those_of_no_attachment_are_objects() {
    for num in ["1", "-1", "\"0\"", "0.5", "null", "18446744073709551616"] {
        let text = format!(r#"51-["a",[{{"x":{{"_placeholder":true,"num":{num}}}}}]]"#);
        assert_eq!(error(&text), PacketError::IllegalPlaceholder, "{text}");
    }
    assert_eq!(error(r#"51-["a",{"_placeholder":true}]"#), PacketError::IllegalPlaceholder);
    // What serde_json does not decode may stand beside one, as it may stand in a text.
    for other in [r#""\ud83d""#, "1e999", &format!("{}1{}", "[".repeat(200), "]".repeat(200))] {
        let beside = |times| format!(r#"51-["a",{other}{}]"#, r#",{"_placeholder":true,"num":0}"#.repeat(times));
        assert_eq!(decode(&beside(1)), Ok(None), "{other}");
        assert_eq!(error(&beside(11)), PacketError::IllegalPlaceholder, "{other}");
        assert_eq!(event(&format!(r#"2["a",{other}]"#)), main_event(None, "a", &format!("[{other}]")));
    }
    let arguments = r#"[{"_placeholder":true,"num":7}]"#;
    assert_eq!(event(&format!("2[\"a\",{}", &arguments[1..])), main_event(None, "a", arguments));
}

#[test]
fn what_comes_out_of_order_is_refused() {
    let mut decoder = Decoder::new();
    assert_eq!(decoder.decode(r#"51-["a"]"#.into()), Ok(None));
    assert_eq!(decoder.decode("1".into()), Err(PacketError::UnexpectedText));
    assert_eq!(Decoder::new().decode(b"x".into()), Err(PacketError::UnexpectedBinary));
}

#[test]
fn unknown_types_are_refused() {
    assert_eq!(error("7"), PacketError::UnknownType('7'));
    assert_eq!(error("a"), PacketError::UnknownType('a'));
    assert_eq!(error("ä"), PacketError::UnknownType('ä'));
    assert_eq!(error(""), PacketError::Empty);
}

fn event_of(text: &str) -> Body {
    packet(text).body
}

#[test]
fn packets_are_written_as_node_writes_them() {
    let arguments = |value: &dyn Fn() -> Arguments| value();
    let binary = || Value::Binary(Bytes::from_static(b"x"));
    let nested = || {
        let b: Value = [("b", binary()), ("c", Value::Array(vec![binary()]))].into_iter().collect();
        (b, binary()).to_arguments().expect("it can be sent")
    };
    for (namespace, body, expected) in [
        ("/", Body::Connect(None), "0"),
        ("/a", Body::Connect(Some(r#"{"sid":"x"}"#.into())), r#"0/a,{"sid":"x"}"#),
        ("/a", Body::Disconnect, "1/a,"),
        ("/", Body::Ack { id: Some(0), arguments: Arguments::default() }, "30[]"),
        ("/", Body::Ack { id: None, arguments: Arguments::default() }, "3[]"),
        ("/", Body::ConnectError(r#"{"message":"no"}"#.into()), r#"4{"message":"no"}"#),
        (
            "/a",
            Body::Ack { id: Some(1), arguments: binary().to_arguments().expect("bytes") },
            r#"61-/a,1[{"_placeholder":true,"num":0}]"#,
        ),
        (
            "/",
            Body::Event { id: None, name: "a".into(), arguments: arguments(&nested) },
            concat!(
                r#"53-["a",{"b":{"_placeholder":true,"num":0},"c":[{"_placeholder":true,"num":1}]},"#,
                r#"{"_placeholder":true,"num":2}]"#
            ),
        ),
        ("/", event_of("2[\"a\" , 1 ]\r"), r#"2["a",1 ]"#),
        ("/", event_of("342\n [0]\r"), "342[0]"),
        ("/", event_of("2[6\n\t]\r "), r#"2["6"]"#),
        ("/", Body::Event { id: Some(3), name: "q\"".into(), arguments: Arguments::default() }, r#"23["q\""]"#),
    ] {
        let messages = Packet { namespace: namespace.into(), body }.encode();
        assert_eq!(messages[0].as_text(), Some(expected));
        assert!(messages[1..].iter().all(|message| *message == Message::from(b"x")));
    }
}
