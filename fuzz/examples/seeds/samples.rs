//! What a peer may say, after the cases of the Autobahn|Testsuite; their numbers are in the names.

use sockeye_fuzz::{
    frames::{BINARY, CLOSE, CONTINUATION, FIN, Frame, PING, PONG, RSV1, TEXT, close_payload},
    zlib::{Class, Deflate},
};

/// A sample: its name, its frames, and whether permessage-deflate was agreed to.
pub type Sample = (String, Vec<Frame>, bool);

const KOSME: &[u8] = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";
const JSON: &[u8] = br#"{"id":17,"user":"alice","text":"hello, hello, hello","tags":["a","b"],"at":1700000000}"#;

fn one(first: u8, payload: impl Into<Vec<u8>>) -> Frame {
    Frame::new(first, payload)
}

fn text(payload: impl Into<Vec<u8>>) -> Frame {
    one(FIN | TEXT, payload)
}

fn close(code: u16, reason: &str) -> Frame {
    one(FIN | CLOSE, close_payload(code, reason))
}

/// One message in as many frames as there are pieces.
fn fragments(first: u8, pieces: &[&[u8]]) -> Vec<Frame> {
    let last = pieces.len() - 1;
    let frames = pieces
        .iter()
        .enumerate()
        .map(|(i, piece)| one(if i == 0 { first } else { CONTINUATION } | if i == last { FIN } else { 0 }, *piece));
    frames.collect()
}

/// All samples; all but the last end with a Close, so that whoever takes the rest well gets to the end.
pub fn all() -> Vec<Sample> {
    let mut all = Vec::new();
    let mut add = |name: &str, frames: Vec<Frame>| {
        let frames = frames.into_iter().chain([close(1000, "")]).collect();
        all.push((name.to_owned(), frames, false));
    };
    framing(&mut add);
    pings(&mut add);
    reserved(&mut add);
    fragmentation(&mut add);
    utf8(&mut add);
    closing(&mut add);
    all.extend(compressed());
    // Behind a Close no Pong is owed; here the newest is.
    for turn in 0..2 {
        let pings = (0..45).map(|number: u8| one(FIN | PING, vec![number; 120])).collect();
        all.push((format!("2-pings-without-close-{turn}"), pings, false));
    }
    all
}

fn framing(add: &mut impl FnMut(&str, Vec<Frame>)) {
    for len in [0, 125, 126, 127, 128, 1000] {
        add(&format!("1.1-text-{len}"), vec![text(vec![b'*'; len])]);
        add(&format!("1.2-binary-{len}"), vec![one(FIN | BINARY, vec![0xfe; len])]);
    }
    for turn in 0..6 {
        add(&format!("10-many-{turn}"), many());
        // Masked, each is of 10 bytes, so that a transport can be cut between them.
        add(&format!("10-even-{turn}"), (0..60_u8).map(|number| text(vec![b'0' + number; 4])).collect());
    }
    add("9-large", vec![one(FIN | BINARY, (0..4000_u32).map(|at| ((at * at) >> 4) as u8).collect::<Vec<u8>>())]);
}

/// Many messages, so that there is always one more to come.
fn many() -> Vec<Frame> {
    let messages = (0..40_u8).flat_map(|number| {
        let payload = vec![b'a' + number % 26; usize::from(number) * 3 % 40];
        let message = one(FIN | if number % 3 == 0 { BINARY } else { TEXT }, payload);
        if number % 7 == 3 { vec![message, one(FIN | PING, [number])] } else { vec![message] }
    });
    messages.collect()
}

fn pings(add: &mut impl FnMut(&str, Vec<Frame>)) {
    add("2.1-ping-empty", vec![one(FIN | PING, [])]);
    add("2.4-ping-125", vec![one(FIN | PING, [0xfe; 125])]);
    add("2.5-ping-126", vec![one(FIN | PING, [0xfe; 126])]);
    add("2.7-pong-unasked", vec![one(FIN | PONG, []), one(FIN | PING, "payload")]);
    add("2.10-pings", (0..10).map(|number: u8| one(FIN | PING, vec![number; 8])).collect());
    add("2-pings-beyond-4096", (0..40).map(|number: u8| one(FIN | PING, vec![number; 120])).collect());
}

fn reserved(add: &mut impl FnMut(&str, Vec<Frame>)) {
    for rsv in 1..8 {
        add(&format!("3.{rsv}-rsv"), vec![text("small"), one(FIN | rsv << 4 | TEXT, "x"), one(FIN | PING, [])]);
    }
    add("3-rsv-ping", vec![one(FIN | RSV1 | PING, "x")]);
    for opcode in [3, 7, 11, 15] {
        add(&format!("4-opcode-{opcode}"), vec![text("small"), one(FIN | opcode, "x"), one(FIN | PING, [])]);
    }
}

fn fragmentation(add: &mut impl FnMut(&str, Vec<Frame>)) {
    add("5.1-ping-in-two", vec![one(PING, "a"), one(FIN | CONTINUATION, "b")]);
    add("5.3-text-in-two", fragments(TEXT, &[b"fragment1", b"fragment2"]));
    let mut with_ping = fragments(TEXT, &[b"fragment1", b"fragment2"]);
    with_ping.insert(1, one(FIN | PING, "ping"));
    add("5.6-ping-between", with_ping);
    add("5.9-continuation-alone", vec![one(FIN | CONTINUATION, "x"), text("y")]);
    add("5.15-continuation-behind", [fragments(TEXT, &[b"a", b"b"]), vec![one(CONTINUATION, "c")]].concat());
    add("5.18-text-inside", vec![one(TEXT, "a"), text("b")]);
    add("5.19-pings-between", {
        let mut frames = fragments(TEXT, &[b"fragment1", b"fragment2", b"fragment3", b"", b"fragment5"]);
        frames.insert(2, one(FIN | PING, "one"));
        frames.insert(5, one(FIN | PING, "two"));
        frames
    });
    add("5-empty-fragments", fragments(BINARY, &[b"", b"", b"", b""]));
}

fn utf8(add: &mut impl FnMut(&str, Vec<Frame>)) {
    add("6.1-empty-fragments", fragments(TEXT, &[b"", b"middle", b""]));
    add("6.2-valid", vec![text(KOSME)]);
    add("6.2-bytewise", fragments(TEXT, &KOSME.chunks(1).collect::<Vec<_>>()));
    add("6.3-surrogate", vec![text([KOSME, b"\xed\xa0\x80edited"].concat())]);
    add("6.4-early", fragments(TEXT, &[KOSME, b"\xf4\x90\x80\x80", b"edited"]));
    for (name, bytes) in [
        ("6.6-cut", &KOSME[..KOSME.len() - 1]),
        ("6.8-five-bytes", b"\xf8\x88\x80\x80\x80"),
        ("6.10-above", b"\xf7\xbf\xbf\xbf"),
        ("6.11-boundary", b"\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbd\xf4\x8f\xbf\xbf"),
        ("6.12-continuation", b"\x80\xbf"),
        ("6.14-incomplete", b"\xf0\x90\x80"),
        ("6.18-overlong", b"\xc0\xaf\xe0\x80\xaf\xf0\x80\x80\xaf"),
        ("6.22-noncharacters", b"\xef\xbf\xbe\xf0\x9f\xbf\xbe"),
    ] {
        add(name, vec![text(bytes)]);
    }
}

fn closing(add: &mut impl FnMut(&str, Vec<Frame>)) {
    add("7.1-behind-close", vec![close(1000, ""), text("late"), one(FIN | PING, [])]);
    add("7.1-open-message", vec![one(TEXT, "fragment1"), close(1000, "bye")]);
    add("7.3-empty", vec![one(FIN | CLOSE, [])]);
    add("7.3-one-byte", vec![one(FIN | CLOSE, "a")]);
    add("7.3-reason-123", vec![close(1000, &"*".repeat(123))]);
    add("7.3-reason-124", vec![close(1000, &"*".repeat(124))]);
    add("7.5-reason-no-text", vec![one(FIN | CLOSE, [&[0x03, 0xe8], KOSME, b"\xed\xa0\x80"].concat())]);
    for code in [0, 999, 1004, 1005, 1006, 1011, 1014, 1015, 1016, 2999, 3000, 4999, 5000] {
        add(&format!("7.7-code-{code}"), vec![close(code, "reason")]);
    }
}

fn compressed() -> Vec<Sample> {
    let deflater = |bits, strategy| Deflate::new(Class { level: 6, bits, mem_level: 8, strategy });
    let mut all = Vec::new();
    let mut add = |name: &str, frames: Vec<Frame>| {
        let frames = frames.into_iter().chain([close(1000, "")]).collect();
        all.push((name.to_owned(), frames, true));
    };
    let large = JSON.repeat(40);
    for (name, bits, strategy) in
        [("12-dynamic", 15, 0), ("12-huffman", 15, 2), ("12-runs", 15, 3), ("12-fixed", 15, 4), ("13-window-9", 9, 0)]
    {
        let mut stream = deflater(bits, strategy);
        let messages = [JSON, JSON, &large, b"", KOSME].map(|message| one(FIN | RSV1 | TEXT, stream.message(message)));
        add(name, messages.into());
    }
    let payload = deflater(15, 0).message(&large);
    let pieces: Vec<&[u8]> = payload.chunks(16).collect();
    add("13-fragments", fragments(RSV1 | TEXT, &pieces));
    let mut between = fragments(RSV1 | TEXT, &[&payload[..9], &payload[9..20], &payload[20..]]);
    between.insert(1, one(FIN | PING, "ping"));
    between.push(text("raw"));
    add("13-ping-between", between);
    add("12-stored", vec![one(FIN | RSV1 | BINARY, b"\x00\x05\x00\xfa\xffHello\x00"), one(FIN | RSV1 | BINARY, [])]);
    let last = |message| one(FIN | RSV1 | TEXT, deflater(15, 0).last_message(message));
    add("12-final-block", vec![last(JSON), last(b"Hello"), text("raw")]);
    add("12-rsv1-continuation", {
        let mut frames = fragments(RSV1 | TEXT, &[&payload[..9], &payload[9..]]);
        frames[1].first |= RSV1;
        frames
    });
    add("12-no-stream", vec![one(FIN | RSV1 | BINARY, b"\x07\xff\xff")]);
    add("12-bomb", vec![one(FIN | RSV1 | BINARY, deflater(15, 0).message(&vec![0; 200_000]))]);
    add("12-no-text", vec![one(FIN | RSV1 | TEXT, deflater(15, 0).message(b"text \xff no text"))]);
    all
}
