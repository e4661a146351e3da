//! RFC 6455 §5.5.1 and §7: the closing handshake, its codes, its deadline, and every way in which a connection ends.
#![allow(clippy::unwrap_used)] // the twins are tests too

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Pair, Scenario, close_frame, close_payload, other, ping, stream, text};
use sockeye::{
    CloseCode, CloseFrame, Compress, Config, Kind, Limits, Role,
    proto::{
        connection::{End, Event, Initiator, SendError, Timeout},
        frame::{Opcode, ProtocolError},
    },
};

twins![
    closes_and_its_peer_answers,
    closes_at_the_same_time_as_its_peer,
    answers_a_close_with_its_code,
    answers_a_close_without_a_code,
    answers_a_close_behind_what_is_queued,
    accepts_codes_that_may_stand_on_the_wire,
    refuses_codes_that_must_not_stand_on_the_wire,
    refuses_a_close_of_one_byte,
    refuses_a_reason_that_is_not_utf8,
    takes_a_reason_of_123_bytes,
    cuts_its_own_reason_at_123_bytes,
    sends_nothing_behind_its_close,
    sends_one_close_only,
    hears_messages_between_its_close_and_the_answer,
    discards_what_follows_the_peers_close,
    ends_without_an_answer_at_the_deadline,
    keeps_the_deadline_of_its_first_close,
    has_no_deadline_once_it_has_ended,
    is_lost_if_the_transport_ends,
    stays_closed_if_the_transport_ends_behind_the_closing_handshake,
    sends_its_answer_though_the_peer_has_ended_its_side,
    sends_its_reason_though_the_peer_has_ended_its_side,
    fails_behind_its_close_without_another,
    refuses_a_bad_code_behind_its_close,
    says_why_it_fails,
    says_why_it_fails_by_the_code_alone_if_it_is_to,
    drops_owed_pongs_at_its_close,
];

const CODES: [u16; 16] =
    [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
const NO_CODES: [u16; 16] =
    [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 5001, 32_768, 65_535];

fn closed(by: Initiator, ours: Option<CloseFrame>, theirs: Option<CloseFrame>) -> End {
    End::Closed { by, ours, theirs }
}

/// Asserts that it has ended so, for good: nothing to send, nothing taken in, nothing due.
#[track_caller]
fn assert_ended(us: &mut Scenario, end: &End) {
    assert_eq!(us.end(), Some(end));
    assert_eq!(end.is_clean(), matches!(end, End::Closed { .. }));
    assert!(us.connection.wants_shutdown() && !us.connection.is_open());
    assert_eq!(us.connection.next_deadline(), None);
    us.connection.close(None, us.now);
    assert_eq!(us.sent(), []);
    assert_eq!(us.receive_frame(0x81, b"late"), []);
    assert_eq!(us.receive(b"\xff\xff\xff"), []);
    us.connection.receive_eof();
    us.wait(Duration::from_secs(1000));
    assert_eq!(us.end(), Some(end));
}

// ── the handshake ──

fn closes_and_its_peer_answers(role: Role) {
    for frame in [None, Some(close_frame(1000, "")), Some(close_frame(4321, "bye, é"))] {
        let mut pair = Pair::new(Config::new(role), None);
        let now = pair.now;
        let us = pair.endpoint(role);
        us.connection.close(frame.clone(), now);
        assert!(!us.connection.is_open() && !us.connection.wants_shutdown());
        assert_eq!(us.end(), None);
        assert_eq!(pair.carry(role, usize::MAX), [Event::Close(frame.clone())]);
        assert_eq!(pair.carry(other(role), 1), [Event::Close(frame.clone())]); // echoed
        assert_ended(pair.endpoint(role), &closed(Initiator::Us, frame.clone(), frame.clone()));
        assert_ended(pair.endpoint(other(role)), &closed(Initiator::Peer, frame.clone(), frame));
    }
}

fn closes_at_the_same_time_as_its_peer(role: Role) {
    let mut us = Scenario::open(role);
    let (ours, theirs) = (Some(close_frame(1000, "ours")), Some(close_frame(1001, "theirs")));
    us.connection.close(ours.clone(), us.now);
    assert_eq!(us.receive_frame(0x88, b"\x03\xe9theirs"), [Event::Close(theirs.clone())]);
    assert_eq!(us.sent(), [(0x88, b"\x03\xe8ours".to_vec())]);
    assert_ended(&mut us, &closed(Initiator::Us, ours, theirs));
}

fn answers_a_close_with_its_code(role: Role) {
    let mut us = Scenario::open(role);
    let theirs = Some(close_frame(1001, "away"));
    assert_eq!(us.receive_frame(0x88, b"\x03\xe9away"), [Event::Close(theirs.clone())]);
    assert_eq!(us.end().and_then(End::close_frame), theirs.as_ref());
    let sent = us.sent();
    assert_eq!((sent.len(), sent[0].0, &sent[0].1[..2]), (1, 0x88, &b"\x03\xe9"[..]));
    assert_ended(&mut us, &closed(Initiator::Peer, theirs.clone(), theirs));
}

fn answers_a_close_without_a_code(role: Role) {
    let mut us = Scenario::open(role);
    assert_eq!(us.receive_frame(0x88, b""), [Event::Close(None)]);
    assert_eq!(us.sent(), [(0x88, vec![])]); // 1005 is never on the wire
    assert_ended(&mut us, &closed(Initiator::Peer, None, None));
}

fn answers_a_close_behind_what_is_queued(role: Role) {
    let mut us = Scenario::open(role);
    us.connection.send(&"first".into()).unwrap();
    us.receive_frame(0x88, b"");
    assert_eq!(us.sent(), [(0x81, b"first".to_vec()), (0x88, vec![])]);
}

// ── codes and reasons, §7.4 ──

fn accepts_codes_that_may_stand_on_the_wire(role: Role) {
    for code in CODES {
        let mut us = Scenario::open(role);
        let theirs = Some(close_frame(code, "why"));
        assert_eq!(us.receive_frame(0x88, &close_payload(code, "why")), [Event::Close(theirs.clone())], "{code}");
        assert_eq!(us.end().and_then(End::close_frame), theirs.as_ref());
        assert_eq!(us.sent(), [(0x88, close_payload(code, "why"))]);
    }
}

fn refuses_codes_that_must_not_stand_on_the_wire(role: Role) {
    for code in NO_CODES {
        for reason in ["", "why"] {
            let mut us = Scenario::open(role);
            assert_eq!(us.receive_frame(0x88, &close_payload(code, reason)), [], "{code}");
            us.assert_failed(ProtocolError::InvalidCloseCode { code }, 1002);
        }
    }
}

#[test]
fn a_close_code_is_what_may_stand_on_the_wire() {
    for code in 0..=u16::MAX {
        let want = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        assert_eq!(CloseCode::new(code).map(CloseCode::get), want.then_some(code));
    }
    assert!(NO_CODES.iter().all(|code| CloseCode::new(*code).is_none()));
}

fn refuses_a_close_of_one_byte(role: Role) {
    for byte in [0x00, 0x03, 0xff] {
        let mut us = Scenario::open(role);
        assert_eq!(us.receive_frame(0x88, &[byte]), []);
        us.assert_failed(ProtocolError::CloseOfOneByte, 1002);
    }
}

fn refuses_a_reason_that_is_not_utf8(role: Role) {
    for reason in [&b"\xff"[..], b"abc\xc3", b"\xed\xa0\x80", b"\xc0\xaf"] {
        let mut us = Scenario::open(role);
        assert_eq!(us.receive_frame(0x88, &[b"\x03\xe8", reason].concat()), []);
        us.assert_failed(ProtocolError::InvalidUtf8, 1007);
    }
}

fn takes_a_reason_of_123_bytes(role: Role) {
    let reason = "r".repeat(123);
    let mut us = Scenario::open(role);
    let theirs = Some(close_frame(1000, &reason));
    assert_eq!(us.receive_frame(0x88, &close_payload(1000, &reason)), [Event::Close(theirs)]);
    assert_eq!(us.sent(), [(0x88, close_payload(1000, &reason))]);
}

fn cuts_its_own_reason_at_123_bytes(role: Role) {
    for (reason, kept) in [("r".repeat(124), 123), ("é".repeat(62), 122), (format!("{}€€", "r".repeat(121)), 121)]
    {
        let mut us = Scenario::open(role);
        us.connection.close(Some(close_frame(1000, &reason)), us.now);
        assert_eq!(us.sent(), [(0x88, close_payload(1000, &reason[..kept]))]);
    }
}

// ── around our Close ──

fn sends_nothing_behind_its_close(role: Role) {
    let mut us = Scenario::open(role);
    us.connection.close(Some(close_frame(1000, "")), us.now);
    assert_eq!(us.connection.send(&"x".into()), Err(SendError::Closed));
    assert_eq!(us.connection.send_with(&"x".into(), Compress::Never), Err(SendError::Closed));
    assert_eq!(us.connection.begin(Kind::Text, Compress::Auto), Err(SendError::Closed));
    assert_eq!(us.connection.ping(&Bytes::new()), Err(SendError::Closed));
    us.receive_frame(0x89, b"x");
    us.connection.abandon();
    assert_eq!(us.sent(), [(0x88, vec![0x03, 0xe8])]);
}

fn sends_one_close_only(role: Role) {
    let mut us = Scenario::open(role);
    us.connection.close(Some(close_frame(1000, "")), us.now);
    us.connection.close(Some(close_frame(1001, "")), us.now);
    us.receive_frame(0x88, b"\x03\xe8");
    us.connection.close(None, us.now);
    assert_eq!(us.sent(), [(0x88, vec![0x03, 0xe8])]);
}

fn hears_messages_between_its_close_and_the_answer(role: Role) {
    let mut us = Scenario::open(role);
    us.connection.close(None, us.now);
    let bytes = stream(other(role), &[(0x81, b"still"), (0x89, b"p"), (0x01, b"a"), (0x80, b"b"), (0x88, b"")]);
    assert_eq!(us.receive(&bytes), [text("still"), ping(b"p"), text("ab"), Event::Close(None)]);
    assert_eq!(us.sent(), [(0x88, vec![])]);
    assert_ended(&mut us, &closed(Initiator::Us, None, None));
}

fn discards_what_follows_the_peers_close(role: Role) {
    let mut us = Scenario::open(role);
    let behind = [stream(other(role), &[(0x88, b""), (0x81, b"x"), (0x89, b"x"), (0x88, b"\x03\xe8")]), vec![0xff; 9]];
    assert_eq!(us.receive(&behind.concat()), [Event::Close(None)]);
    assert_eq!((us.failure(), us.sent()), (None, vec![(0x88, vec![])]));
    assert_ended(&mut us, &closed(Initiator::Peer, None, None));
}

// ── deadlines and transports that end ──

fn ends_without_an_answer_at_the_deadline(role: Role) {
    let timeout = Duration::from_secs(3);
    let mut us = Scenario::new(role, Config::new(role).limits(Limits::trusted().close_timeout(timeout)), None);
    us.wait(Duration::from_secs(100));
    us.connection.close(None, us.now);
    assert_eq!(us.connection.next_deadline(), Some(us.now + timeout));
    us.connection.handle_timeout(us.now + timeout - Duration::from_nanos(1));
    assert_eq!(us.end(), None);
    us.wait(timeout - Duration::from_nanos(1));
    us.receive_frame(0x81, b"no answer");
    us.wait(Duration::from_nanos(1));
    assert_ended(&mut us, &End::TimedOut(Timeout::Close)); // what was not taken by then is dropped
}

fn keeps_the_deadline_of_its_first_close(role: Role) {
    let mut us = Scenario::open(role);
    us.connection.close(None, us.now);
    let deadline = us.connection.next_deadline();
    assert_eq!(deadline, Some(us.now + Duration::from_secs(10)));
    us.wait(Duration::from_secs(9));
    us.connection.close(None, us.now);
    assert_eq!(us.connection.next_deadline(), deadline);
}

fn has_no_deadline_once_it_has_ended(role: Role) {
    let mut us = Scenario::open(role);
    us.connection.close(None, us.now);
    us.receive_frame(0x88, b"");
    us.sent();
    assert_ended(&mut us, &closed(Initiator::Us, None, None));
}

fn is_lost_if_the_transport_ends(role: Role) {
    let inputs: [&[(u8, &[u8])]; 3] = [&[], &[(0x01, b"a")], &[(0x81, b"a")]];
    for input in inputs {
        for closing in [false, true] {
            let mut us = Scenario::open(role);
            us.receive(&stream(other(role), input));
            us.receive(&[0x81]); // and in the middle of a frame
            if closing {
                us.connection.close(None, us.now);
                us.sent();
            }
            us.connection.receive_eof();
            assert_ended(&mut us, &End::Lost); // 1006
        }
    }
}

fn stays_closed_if_the_transport_ends_behind_the_closing_handshake(role: Role) {
    let mut us = Scenario::open(role);
    us.connection.close(None, us.now);
    us.receive_frame(0x88, b"");
    us.connection.receive_eof();
    assert_eq!(us.end(), Some(&closed(Initiator::Us, None, None)));
}

/// A peer may end its side right behind its Close and still read (half-close).
fn sends_its_answer_though_the_peer_has_ended_its_side(role: Role) {
    let mut us = Scenario::open(role);
    us.receive_frame(0x88, b"\x03\xe8");
    us.connection.receive_eof();
    assert_eq!(us.sent(), [(0x88, vec![0x03, 0xe8])]);
}

fn sends_its_reason_though_the_peer_has_ended_its_side(role: Role) {
    let mut us = Scenario::open(role);
    us.receive_frame(0x83, b"");
    us.connection.receive_eof();
    us.assert_failed(ProtocolError::ReservedOpcode { bits: 3 }, 1002);
}

// ── failing ──

fn fails_behind_its_close_without_another(role: Role) {
    let mut us = Scenario::open(role);
    us.connection.close(Some(close_frame(1000, "")), us.now);
    us.receive_frame(0x83, b"");
    let fault = ProtocolError::ReservedOpcode { bits: 3 };
    assert_eq!(us.failure(), Some(fault));
    assert_eq!(us.sent(), [(0x88, vec![0x03, 0xe8])]); // §5.5.1: no frame behind a Close
    assert_ended(&mut us, &End::Failed(fault));
}

fn refuses_a_bad_code_behind_its_close(role: Role) {
    let mut us = Scenario::open(role);
    us.connection.close(None, us.now);
    assert_eq!(us.receive_frame(0x88, &close_payload(1005, "")), []);
    assert_eq!(us.sent(), [(0x88, vec![])]);
    assert_ended(&mut us, &End::Failed(ProtocolError::InvalidCloseCode { code: 1005 }));
}

fn says_why_it_fails_by_the_code_alone_if_it_is_to(role: Role) {
    let mut us = Scenario::new(role, Config::new(role).without_explanations(), None);
    us.receive_frame(0x8b, b"");
    assert_eq!(us.failure(), Some(ProtocolError::ReservedOpcode { bits: 0xb }));
    assert_eq!(us.sent(), [(0x88, close_payload(1002, ""))]);
    let mut us = Scenario::new(role, Config::new(role).without_explanations(), None);
    us.connection.close(Some(close_frame(1000, "bye")), us.now);
    assert_eq!(us.sent(), [(0x88, close_payload(1000, "bye"))]);
}

fn says_why_it_fails(role: Role) {
    let (protocol, payload, size) = (1002, 1007, 1009);
    for (frames, fault, code, reason) in [
        (&[(0x8b, &b""[..])][..], ProtocolError::ReservedOpcode { bits: 0xb }, protocol, "opcode 0xb is reserved"),
        (
            &[(0x80, b"")],
            ProtocolError::UnexpectedContinuation,
            protocol,
            "continuation frame while no message is open",
        ),
        (
            &[(0x01, b""), (0x82, b"")],
            ProtocolError::ExpectedContinuation { opcode: Opcode::Binary },
            protocol,
            "binary frame inside a fragmented message",
        ),
        (&[(0x81, b"\xff")], ProtocolError::InvalidUtf8, payload, "text that is not valid UTF-8"),
        (&[(0x82, &[0; 21])], ProtocolError::MessageTooBig { limit: 20 }, size, "message of more than 20 bytes"),
    ] {
        let mut us = Scenario::limited(role, 20);
        us.receive_frame(0x89, b"answered before");
        us.receive(&stream(other(role), frames));
        assert_eq!(us.failure(), Some(fault));
        let want = [(0x8a, b"answered before".to_vec()), (0x88, close_payload(code, reason))];
        assert_eq!(us.sent(), want);
        assert_ended(&mut us, &End::Failed(fault));
    }
}

fn drops_owed_pongs_at_its_close(role: Role) {
    let mut us = Scenario::open(role);
    (0..100).for_each(|_| drop(us.receive_frame(0x89, &[1; 125])));
    us.connection.close(None, us.now);
    assert_eq!(us.sent().last(), Some(&(0x88, vec![])));
    assert_eq!(us.connection.queued(), 0);
}
