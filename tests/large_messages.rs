//! The stream floor: large messages, whose frames are read straight into the message, cut wherever a transport may cut.
#![cfg(feature = "stream")]

mod io;

use std::pin::pin;

use io::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, Wire, close_payload, frame, open, opposite, parse, pattern,
    poll_now,
};
use sockeye::{
    CloseCode, Config, Error, Kind, Message, Role, WebSocket,
    proto::{connection::Event, frame::ProtocolError},
};

const ROLES: [Role; 2] = [Role::Client, Role::Server];

fn limited(wire: &Wire, role: Role, max_message: usize) -> WebSocket<Wire> {
    open(wire.clone(), role, Config::new(role).max_message(max_message), None)
}

fn endpoint(wire: &Wire, role: Role) -> WebSocket<Wire> {
    limited(wire, role, 64 << 20)
}

/// Text with characters of one to four bytes, so that nearly every cut is inside of one.
fn text(len: usize) -> String {
    let mut text: String = "a€é𝄞ß字".chars().cycle().take(len / 3).collect();
    while text.len() > len {
        text.pop();
    }
    text
}

/// How far a header of a frame with so long a payload goes.
fn header_len(bytes: &[u8], payload: usize) -> usize {
    bytes.len() - payload
}

/// Receives the next message; the bytes come in reads that end at `cuts`.
fn receive_cut(ws: &mut WebSocket<Wire>, wire: &Wire, bytes: &[u8], cuts: &[usize]) -> Message {
    let mut from = 0;
    for cut in cuts.iter().copied().filter(|cut| *cut < bytes.len()) {
        wire.push(&bytes[from..cut]);
        from = cut;
        assert!(poll_now(pin!(ws.recv())).is_pending(), "cut at {cut}");
    }
    wire.push(&bytes[from..]);
    match poll_now(pin!(ws.recv())) {
        std::task::Poll::Ready(message) => message.expect("no failure").expect("a message comes"),
        std::task::Poll::Pending => panic!("the message is here, cut at {cuts:?}"),
    }
}

#[tokio::test]
async fn large_messages_come_whole_at_every_size_of_read() {
    const K: usize = 1024;
    for role in ROLES {
        for step in [1021, 32 * K, 64 * K - 1, 64 * K, 64 * K + 1, usize::MAX] {
            let wire = Wire::new();
            wire.state().step = step;
            let mut ws = endpoint(&wire, role);
            for len in [32 * K - 1, 32 * K, 32 * K + 1, 64 * K, 96 * K, 96 * K + 15, 128 * K + 1, 1500 * K] {
                let (bytes, text) = (pattern(len), text(len));
                wire.push(&frame(opposite(role), BINARY, &bytes));
                wire.push(&frame(opposite(role), TEXT, text.as_bytes()));
                wire.push(&frame(opposite(role), TEXT, b"small"));
                assert!(ws.recv().await.unwrap() == Some(bytes.into()), "{len} bytes in reads of {step}");
                assert!(ws.recv().await.unwrap() == Some(text.into()), "{len} bytes of text in reads of {step}");
                assert_eq!(ws.recv().await.unwrap(), Some("small".into()));
            }
        }
    }
}

#[tokio::test]
async fn large_text_comes_whole_whichever_bytes_come_one_by_one() {
    let len = 200_001;
    for role in ROLES {
        let text = text(len);
        let bytes = frame(opposite(role), TEXT, text.as_bytes());
        let wire = Wire::new();
        let mut ws = endpoint(&wire, role);
        // Byte by byte around the places where the room changes.
        for middle in [0, 1024, 32_768, 65_536, 65_550, 131_072, 131_086, len - 32_768, bytes.len()] {
            let cuts: Vec<_> = (middle.saturating_sub(30)..middle + 30).filter(|cut| *cut > 0).collect();
            let message = receive_cut(&mut ws, &wire, &bytes, &cuts);
            assert!(message.as_text() == Some(&text), "around {middle}");
        }
        let mut small_then_huge = vec![header_len(&bytes, text.len()) + 1];
        assert!(receive_cut(&mut ws, &wire, &bytes, &small_then_huge).as_text() == Some(&text));
        small_then_huge.extend((1..200).map(|n| n * 997));
        assert!(receive_cut(&mut ws, &wire, &bytes, &small_then_huge).as_text() == Some(&text));
    }
}

#[tokio::test]
async fn fragments_of_odd_sizes_come_whole_with_control_frames_between() {
    let lens = [1, 40_000, 0, 32_767, 32_768, 3, 70_001, 131_073, 0, 200_003, 65_536];
    for role in ROLES {
        for step in [10_007, 65_536, usize::MAX] {
            let wire = Wire::new();
            wire.state().step = step;
            let mut ws = endpoint(&wire, role);
            for as_text in [false, true] {
                let all = text(lens.iter().sum()).into_bytes();
                let (mut rest, mut first) = (&all[..], if as_text { TEXT } else { BINARY } & !FIN);
                for len in lens {
                    let (payload, behind) = rest.split_at(len.min(rest.len()));
                    wire.push(&frame(opposite(role), first, payload));
                    wire.push(&frame(opposite(role), PING, b"between"));
                    wire.push(&frame(opposite(role), PONG, b"nobody asked"));
                    (rest, first) = (behind, CONTINUATION & !FIN);
                }
                wire.push(&frame(opposite(role), CONTINUATION, rest));
                let message = ws.recv().await.unwrap().unwrap();
                assert!(message.as_bytes() == all, "in reads of {step}");
                assert_eq!(message.kind(), if as_text { Kind::Text } else { Kind::Binary });
            }
            assert!(poll_now(pin!(ws.recv())).is_pending());
            assert_eq!(parse(&wire.take_output()), vec![(PONG, b"between".to_vec()); 2 * lens.len()]);
        }
    }
}

/// Everything in front of the fault and the fault itself come, and of the rest nothing.
#[tokio::test]
async fn invalid_text_deep_inside_fails_as_soon_as_it_is_here() {
    for role in ROLES {
        for (at, fault) in [(100_000, &b"\xff"[..]), (150_001, b"\xed\xa0"), (65_535, b"\xf4\x90"), (300_000, b"\xc0")]
        {
            for step in [65_536, 4099, usize::MAX] {
                let mut payload = vec![b'a'; 1_000_000];
                payload[at..at + fault.len()].copy_from_slice(fault);
                let bytes = frame(opposite(role), TEXT, &payload);
                let wire = Wire::new();
                wire.state().step = step;
                let mut ws = endpoint(&wire, role);
                let until = header_len(&bytes, payload.len()) + at;
                wire.push(&bytes[..until]);
                assert!(poll_now(pin!(ws.recv())).is_pending());
                assert_eq!(parse(&wire.take_output()), []);
                wire.push(&bytes[until..until + fault.len()]);
                let _ = poll_now(pin!(ws.recv()));
                let frames = parse(&wire.take_output());
                assert_eq!(frames.len(), 1, "at {at} in reads of {step}");
                assert_eq!((frames[0].0, &frames[0].1[..2]), (CLOSE, &1007_u16.to_be_bytes()[..]));
                wire.end();
                let received = ws.recv().await;
                assert!(matches!(received, Err(Error::Protocol(ProtocolError::InvalidUtf8))), "{received:?}");
                assert!(matches!(ws.recv().await, Err(Error::Closed)));
            }
        }
    }
}

#[tokio::test]
async fn large_text_that_ends_inside_a_character_fails() {
    for role in ROLES {
        let mut payload = vec![b'a'; 199_999];
        payload.push(0xc3);
        let wire = Wire::new();
        let mut ws = endpoint(&wire, role);
        wire.push(&frame(opposite(role), TEXT, &payload));
        wire.end();
        let received = ws.recv().await;
        assert!(matches!(received, Err(Error::Protocol(ProtocolError::InvalidUtf8))), "{received:?}");
    }
}

/// Bytes of a frame are here as far as `here`; a recv waits for the rest and is cancelled.
fn cancelled_inside(role: Role, bytes: &[u8], here: usize) -> (Wire, WebSocket<Wire>) {
    let wire = Wire::new();
    let mut ws = endpoint(&wire, role);
    let mut from = 0;
    // In several reads, so that some go straight into the message.
    for until in [here / 3, here / 2, here] {
        wire.push(&bytes[from..until]);
        assert!(poll_now(pin!(ws.recv())).is_pending());
        from = until;
    }
    (wire, ws)
}

const LEN: usize = 500_000;
const HERE: [usize; 5] = [100_000, 131_072, 300_001, 467_000, LEN];

#[tokio::test]
async fn reader_behind_a_cancelled_recv_gets_the_whole_message() {
    for (role, here) in ROLES.into_iter().flat_map(|role| HERE.map(move |here| (role, here))) {
        let bytes = frame(opposite(role), BINARY, &pattern(LEN));
        let (wire, mut ws) = cancelled_inside(role, &bytes, here);
        wire.push(&bytes[here..]);
        wire.push(&frame(opposite(role), TEXT, b"next"));
        let mut reader = ws.recv_reader().await.unwrap().unwrap();
        let mut got = Vec::new();
        while let Some(chunk) = reader.next().await.unwrap() {
            assert!(chunk.len() <= 64 * 1024);
            got.extend_from_slice(&chunk);
        }
        drop(reader);
        assert!(got == pattern(LEN), "cancelled at {here}");
        assert_eq!(ws.recv().await.unwrap(), Some("next".into()));
    }
}

#[tokio::test]
async fn message_that_a_reader_left_in_the_middle_is_skipped() {
    for (role, here) in ROLES.into_iter().flat_map(|role| HERE.map(move |here| (role, here))) {
        let bytes = frame(opposite(role), BINARY, &pattern(LEN));
        let (wire, mut ws) = cancelled_inside(role, &bytes, here);
        wire.push(&bytes[here..here + 1]);
        assert_eq!(ws.recv_reader().await.unwrap().unwrap().kind(), Kind::Binary);
        assert!(poll_now(pin!(ws.recv())).is_pending());
        wire.push(&bytes[here + 1..]);
        wire.push(&frame(opposite(role), TEXT, b"next"));
        assert_eq!(ws.recv().await.unwrap(), Some("next".into()));
    }
}

#[tokio::test]
async fn close_behind_a_cancelled_recv_discards_the_rest_of_the_message() {
    for (role, here) in ROLES.into_iter().flat_map(|role| HERE.map(move |here| (role, here))) {
        let bytes = frame(opposite(role), BINARY, &pattern(LEN));
        let (wire, mut ws) = cancelled_inside(role, &bytes, here);
        wire.push(&bytes[here..]);
        wire.push(&frame(opposite(role), CLOSE, &close_payload(CloseCode::NORMAL, "")));
        wire.end();
        ws.close(CloseCode::NORMAL, "").await.unwrap();
        assert_eq!(parse(&wire.take_output()), [(CLOSE, close_payload(CloseCode::NORMAL, ""))]);
    }
}

#[tokio::test]
async fn parts_in_the_middle_of_a_message_keep_every_byte() {
    for (role, here) in ROLES.into_iter().flat_map(|role| HERE.map(move |here| (role, here))) {
        let text = text(LEN);
        let bytes = frame(opposite(role), TEXT, text.as_bytes());
        let here = here.min(text.len());
        let (_, ws) = cancelled_inside(role, &bytes, here);
        let parts = ws.into_parts().expect("nobody serves it");
        let wire = parts.io.expect("the connection is open");
        let mut ws = WebSocket::new(wire.clone(), parts.connection, parts.inbox);
        wire.push(&bytes[here..]);
        wire.push(&frame(opposite(role), TEXT, b"next"));
        assert!(ws.recv().await.unwrap() == Some(text.into()), "taken apart at {here}");
        assert_eq!(ws.recv().await.unwrap(), Some("next".into()));
    }
}

/// Who goes on without I/O gets the message that the transport had put in place already.
#[tokio::test]
async fn connection_taken_out_of_its_parts_goes_on_in_the_middle_of_a_message() {
    for (role, here) in ROLES.into_iter().flat_map(|role| HERE.map(move |here| (role, here))) {
        let bytes = frame(opposite(role), BINARY, &pattern(LEN));
        let (_, ws) = cancelled_inside(role, &bytes, here);
        let mut parts = ws.into_parts().expect("nobody serves it");
        parts.inbox.extend(&bytes[here..]);
        let event = parts.connection.receive(&mut parts.inbox, std::time::Instant::now()).unwrap();
        assert!(event == Some(Event::Message(pattern(LEN).into())), "taken apart at {here}");
    }
}

#[tokio::test]
async fn end_in_the_middle_of_a_large_message_is_a_loss() {
    for (role, here) in ROLES.into_iter().flat_map(|role| HERE.map(move |here| (role, here))) {
        let bytes = frame(opposite(role), BINARY, &pattern(LEN));
        let (wire, mut ws) = cancelled_inside(role, &bytes, here);
        wire.end();
        assert!(matches!(ws.recv().await, Err(Error::Lost)), "ended at {here}");
        assert!(matches!(ws.recv().await, Err(Error::Closed)));
    }
}

/// What comes in frames of these lengths is refused at the header of the last.
#[track_caller]
fn assert_refused(role: Role, limit: usize, lens: &[usize]) {
    for step in [4099, usize::MAX] {
        let wire = Wire::new();
        wire.state().step = step;
        let mut ws = limited(&wire, role, limit);
        for (at, len) in lens.iter().enumerate() {
            let first = if at == 0 { BINARY } else { CONTINUATION };
            let is_last = at == lens.len() - 1;
            let bytes = frame(opposite(role), if is_last { first } else { first & !FIN }, &pattern(*len));
            let header = header_len(&bytes, *len);
            wire.push(if is_last { &bytes[..header] } else { &bytes });
            if !is_last {
                assert!(poll_now(pin!(ws.recv())).is_pending());
            }
        }
        let _ = poll_now(pin!(ws.recv()));
        let frames = parse(&wire.take_output());
        assert_eq!(frames.len(), 1, "{lens:?} with {limit} allowed");
        assert_eq!((frames[0].0, &frames[0].1[..2]), (CLOSE, &1009_u16.to_be_bytes()[..]));
    }
}

#[tokio::test]
async fn frame_that_makes_the_message_too_large_is_refused_at_its_header() {
    for role in ROLES {
        assert_refused(role, 100_000, &[100_001]);
        assert_refused(role, 100_000, &[99_999, 2]);
        assert_refused(role, 100_000, &[50_000, 50_000, 1]);
        assert_refused(role, 100_000, &[0, 100_000, 1]);
        let wire = Wire::new();
        let mut ws = limited(&wire, role, 100_000);
        wire.push(&frame(opposite(role), BINARY & !FIN, &pattern(60_000)));
        wire.push(&frame(opposite(role), CONTINUATION, &pattern(40_000)));
        assert!(ws.recv().await.unwrap() == Some([pattern(60_000), pattern(40_000)].concat().into()));
    }
}

/// The header came while chunks were asked for, which may be of any length; the message is asked for whole.
#[tokio::test]
async fn message_whose_header_came_to_a_cancelled_reader_is_refused_if_it_is_too_large() {
    for role in ROLES {
        let bytes = frame(opposite(role), BINARY, &pattern(1_000_000));
        let header = header_len(&bytes, 1_000_000);
        let wire = Wire::new();
        let mut ws = limited(&wire, role, 100_000);
        wire.push(&bytes[..header]);
        assert!(poll_now(pin!(ws.recv_reader())).is_pending());
        wire.push(&bytes[header..]);
        wire.end();
        let received = ws.recv().await.map(|message| message.map(|message| message.len()));
        let too_big = ProtocolError::MessageTooBig { limit: 100_000 };
        assert!(matches!(received, Err(Error::Protocol(fault)) if fault == too_big), "{received:?}");
    }
}

/// The same for a header that came while messages were discarded.
#[tokio::test]
async fn message_whose_header_came_to_a_cancelled_close_is_refused_if_it_is_too_large() {
    for role in ROLES {
        let bytes = frame(opposite(role), BINARY, &pattern(1_000_000));
        let header = header_len(&bytes, 1_000_000);
        let wire = Wire::new();
        let mut ws = limited(&wire, role, 100_000);
        wire.push(&bytes[..header]);
        assert!(poll_now(pin!(ws.close(CloseCode::NORMAL, ""))).is_pending());
        wire.push(&bytes[header..]);
        wire.end();
        let received = ws.recv().await.map(|message| message.map(|message| message.len()));
        assert!(!matches!(received, Ok(Some(_))), "{received:?}");
    }
}

// ── compressed messages, which are not read straight ──

#[cfg(feature = "deflate")]
mod deflate {
    use flate2::{Compress, Compression, FlushCompress};
    use sockeye::{
        DeflateConfig,
        proto::{connection::DeflateSettings, extension::deflate::DeflateAgreed},
    };

    use super::*;

    const RSV1: u8 = 0x40;

    fn deflated(wire: &Wire, role: Role, context_takeover: bool) -> WebSocket<Wire> {
        let agreed = DeflateAgreed {
            server_no_context_takeover: !context_takeover,
            client_no_context_takeover: !context_takeover,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        };
        let settings = DeflateSettings { config: DeflateConfig::default(), agreed };
        open(wire.clone(), role, Config::new(role).max_message(64 << 20), Some(&settings))
    }

    /// A message's payload, less the tail of its sync flush.
    fn deflate(stream: &mut Compress, message: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(message.len() + 1024);
        stream.compress_vec(message, &mut out, FlushCompress::Sync).expect("valid parameters");
        assert!(out.ends_with(b"\x00\x00\xff\xff"));
        out.truncate(out.len() - 4);
        out
    }

    fn messages() -> [Vec<u8>; 4] {
        [text(300_000).into_bytes(), vec![0; 3 << 20], text(40_000).repeat(30).into_bytes(), pattern(1_000_001)]
    }

    #[tokio::test]
    async fn large_compressed_messages_come_whole_at_every_size_of_read() {
        for (role, takeover) in ROLES.into_iter().flat_map(|role| [(role, true), (role, false)]) {
            for step in [1021, 65_536, usize::MAX] {
                let wire = Wire::new();
                wire.state().step = step;
                let mut ws = deflated(&wire, role, takeover);
                let mut stream = Compress::new(Compression::default(), false);
                for message in messages() {
                    let payload = deflate(&mut stream, &message);
                    if !takeover {
                        stream.reset();
                    }
                    let cut = payload.len() / 3;
                    wire.push(&frame(opposite(role), (BINARY | RSV1) & !FIN, &payload[..cut]));
                    wire.push(&frame(opposite(role), CONTINUATION & !FIN, b""));
                    wire.push(&frame(opposite(role), CONTINUATION, &payload[cut..]));
                    wire.push(&frame(opposite(role), BINARY, &message));
                    assert!(ws.recv().await.unwrap() == Some(message.clone().into()), "in reads of {step}");
                    assert!(ws.recv().await.unwrap() == Some(message.into()), "not compressed, in reads of {step}");
                }
            }
        }
    }

    /// The last byte is here, and most of what it inflates to is still in the inflater; the peer sends nothing more.
    #[tokio::test]
    async fn reader_gets_everything_that_the_inflater_holds_and_then_the_next_message() {
        for (role, takeover) in ROLES.into_iter().flat_map(|role| [(role, true), (role, false)]) {
            for (step, next_is_here) in [(usize::MAX, true), (usize::MAX, false), (100, false), (100, true)] {
                let wire = Wire::new();
                wire.state().step = step;
                let mut ws = deflated(&wire, role, takeover);
                for len in [3 << 20, 65_536, 65_535, 65_537, 131_072, (3 << 20) + 5] {
                    let payload = deflate(&mut Compress::new(Compression::default(), false), &vec![0; len]);
                    let next = frame(opposite(role), TEXT, b"next");
                    wire.push(&frame(opposite(role), BINARY | RSV1, &payload));
                    if next_is_here {
                        wire.push(&next);
                    }
                    let mut reader = ws.recv_reader().await.unwrap().unwrap();
                    let mut total = 0;
                    loop {
                        let std::task::Poll::Ready(chunk) = poll_now(pin!(reader.next())) else {
                            panic!("waits behind {total} of {len} bytes for what is here already");
                        };
                        let Some(chunk) = chunk.unwrap() else { break };
                        assert!(chunk.len() <= 64 * 1024 && chunk.iter().all(|byte| *byte == 0));
                        total += chunk.len();
                    }
                    assert_eq!(total, len);
                    drop(reader);
                    if !next_is_here {
                        assert!(poll_now(pin!(ws.recv())).is_pending());
                        wire.push(&next);
                    }
                    assert_eq!(ws.recv().await.unwrap(), Some("next".into()));
                }
            }
        }
    }

    #[tokio::test]
    async fn reader_that_leaves_while_the_inflater_holds_output_leaves_the_next_message_whole() {
        for (role, takeover) in ROLES.into_iter().flat_map(|role| [(role, true), (role, false)]) {
            let wire = Wire::new();
            let mut ws = deflated(&wire, role, takeover);
            let mut stream = Compress::new(Compression::default(), false);
            let body = text(5000);
            for _ in 0..3 {
                wire.push(&frame(opposite(role), BINARY | RSV1, &deflate(&mut stream, &vec![0; 3 << 20])));
                let mut reader = ws.recv_reader().await.unwrap().unwrap();
                assert_eq!(reader.next().await.unwrap().unwrap().len(), 64 * 1024);
                drop(reader);
                assert!(poll_now(pin!(ws.recv())).is_pending());
                if !takeover {
                    stream.reset();
                }
                // With context takeover it refers back to what was skipped.
                wire.push(&frame(opposite(role), TEXT | RSV1, &deflate(&mut stream, body.as_bytes())));
                assert!(ws.recv().await.unwrap() == Some(body.as_str().into()));
                if !takeover {
                    stream.reset();
                }
            }
        }
    }
}
