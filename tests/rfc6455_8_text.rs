//! RFC 6455 §8.1: text is UTF-8, over all fragments, and what is not fails the connection at the byte that shows it.

mod common;

use common::{Scenario, binary, joined, other, text};
use sockeye::{
    Role,
    proto::{
        connection::{Delivery, Event},
        frame::ProtocolError,
    },
};

twins![
    takes_all_of_unicode,
    takes_characters_cut_by_fragments,
    refuses_what_is_not_utf8,
    refuses_text_that_ends_inside_a_character,
    refuses_a_character_cut_by_the_end_of_a_message,
    fails_at_the_offending_byte_of_an_incomplete_frame,
    fails_at_the_offending_byte_of_a_later_fragment,
    fails_at_the_offending_byte_in_chunks,
    takes_any_bytes_as_binary,
    takes_any_bytes_in_pings_between_fragments_of_text,
    starts_each_text_anew,
];

/// Edges of Unicode in UTF-8 (Autobahn 6.5–6.22).
const VALID: [&[u8]; 12] = [
    b"",
    b"\x00",
    b"\x7f",
    b"\xc2\x80",
    b"\xdf\xbf",
    b"\xe0\xa0\x80",
    b"\xed\x9f\xbf", // the last before the surrogates
    b"\xee\x80\x80",
    b"\xef\xbf\xbf", // a noncharacter, valid all the same
    b"\xf0\x90\x80\x80",
    b"\xf4\x8f\xbf\xbf", // U+10FFFF
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
];

/// What no text holds, and how many bytes of it are enough to tell.
const INVALID: [(&[u8], usize); 18] = [
    (b"\x80", 1),
    (b"\xbf\xbf", 1),
    (b"\xc0\xaf", 1), // overlong
    (b"\xc1\xbf", 1), // overlong
    (b"\xc3\x28", 2),
    (b"\xe0\x80\xaf", 2), // overlong
    (b"\xe0\x9f\xbf", 2), // overlong
    (b"\xe2\x28\xa1", 2),
    (b"\xe2\x82\x28", 3),
    (b"\xed\xa0\x80", 2),     // a surrogate
    (b"\xed\xbf\xbf", 2),     // a surrogate
    (b"\xf0\x80\x80\xaf", 2), // overlong
    (b"\xf0\x90\x28\xbc", 3),
    (b"\xf0\x90\x80\x41", 4),
    (b"\xf4\x90\x80\x80", 2), // above U+10FFFF
    (b"\xf5\x80\x80\x80", 1),
    (b"\xfe", 1),
    (b"\xff", 1),
];

/// The beginnings of characters.
const CUT: [&[u8]; 6] = [b"\xc3", b"\xe2", b"\xe2\x82", b"\xf0", b"\xf0\x9f", b"\xf0\x9f\x90"];

/// A frame of `payload` that announces `behind` more bytes.
fn incomplete(role: Role, first: u8, payload: &[u8], behind: usize) -> Vec<u8> {
    let whole = common::frame(other(role), first, &[payload, &vec![b'.'; behind]].concat());
    whole[..whole.len() - behind].to_vec()
}

fn takes_all_of_unicode(role: Role) {
    let mut us = Scenario::open(role);
    for valid in VALID {
        let want = [text(std::str::from_utf8(valid).expect("valid"))];
        assert_eq!(us.receive_frame(0x81, valid), want);
        assert_eq!(us.receive_bytewise(&common::frame(other(role), 0x81, valid)), want);
    }
    let all: String = ('\0'..=char::MAX).collect(); // 4.4 MB
    let mut us = Scenario::limited(role, all.len());
    for read in [all.len(), 4093] {
        let bytes = common::frame(other(role), 0x81, all.as_bytes());
        let events: Vec<Event> = bytes.chunks(read).flat_map(|read| us.receive(read)).collect();
        assert!(events == [text(&all)], "read in {read}");
    }
}

fn takes_characters_cut_by_fragments(role: Role) {
    let words = "é€🐟z";
    let bytes = words.as_bytes();
    for a in 0..=bytes.len() {
        for b in a..=bytes.len() {
            let mut us = Scenario::open(role);
            assert_eq!(us.receive_frame(0x01, &bytes[..a]), []);
            assert_eq!(us.receive_frame(0x00, &bytes[a..b]), []);
            assert_eq!(us.receive_frame(0x80, &bytes[b..]), [text(words)], "cut at {a} and {b}");
        }
    }
}

fn refuses_what_is_not_utf8(role: Role) {
    for (invalid, _) in INVALID {
        for (before, behind) in [(&b""[..], &b""[..]), ("é".as_bytes(), b"more")] {
            let payload = [before, invalid, behind].concat();
            let mut us = Scenario::open(role);
            assert_eq!(us.receive_frame(0x81, &payload), [], "{payload:x?}");
            us.assert_failed(ProtocolError::InvalidUtf8, 1007);
        }
    }
}

fn refuses_text_that_ends_inside_a_character(role: Role) {
    for cut in CUT {
        let mut us = Scenario::open(role);
        assert_eq!(us.receive_frame(0x81, &[b"abc", cut].concat()), []);
        us.assert_failed(ProtocolError::InvalidUtf8, 1007);
        let mut us = Scenario::open(role);
        assert_eq!(us.receive_bytewise(&common::frame(other(role), 0x81, cut)), []);
        us.assert_failed(ProtocolError::InvalidUtf8, 1007);
    }
}

fn refuses_a_character_cut_by_the_end_of_a_message(role: Role) {
    for cut in CUT {
        let mut us = Scenario::open(role);
        assert_eq!(us.receive_frame(0x01, cut), []);
        assert_eq!(us.failure(), None);
        assert_eq!(us.receive_frame(0x80, b""), []);
        us.assert_failed(ProtocolError::InvalidUtf8, 1007);
    }
}

/// Feeds all but the offending byte, then that one, of a frame that announces more; each way of cutting.
fn fails_at_the_offending_byte_of_an_incomplete_frame(role: Role) {
    for (invalid, enough) in INVALID {
        for bytewise in [false, true] {
            let bytes = incomplete(role, 0x81, &[b"abc", &invalid[..enough]].concat(), 10);
            let (offending, before) = bytes.split_last().expect("not empty");
            let mut us = Scenario::open(role);
            assert_eq!(if bytewise { us.receive_bytewise(before) } else { us.receive(before) }, []);
            assert_eq!(us.failure(), None, "{invalid:x?}");
            assert_eq!(us.receive(&[*offending]), []);
            us.assert_failed(ProtocolError::InvalidUtf8, 1007);
        }
    }
}

fn fails_at_the_offending_byte_of_a_later_fragment(role: Role) {
    for (invalid, enough) in INVALID {
        for cut in 0..enough {
            let mut us = Scenario::open(role);
            assert_eq!(us.receive_frame(0x01, &[b"abc", &invalid[..cut]].concat()), []);
            let bytes = incomplete(role, 0x00, &invalid[cut..enough], 10);
            assert_eq!(us.receive(&bytes[..bytes.len() - 1]), []);
            assert_eq!(us.failure(), None, "{invalid:x?} cut at {cut}");
            assert_eq!(us.receive(&bytes[bytes.len() - 1..]), []);
            us.assert_failed(ProtocolError::InvalidUtf8, 1007);
        }
    }
}

fn fails_at_the_offending_byte_in_chunks(role: Role) {
    for (invalid, enough) in INVALID {
        let bytes = incomplete(role, 0x81, &invalid[..enough], 10);
        let mut us = Scenario::chunked(role);
        let events = us.receive_bytewise(&bytes[..bytes.len() - 1]);
        assert_eq!(joined(&events), (invalid[..enough - 1].to_vec(), 0));
        assert_eq!(us.failure(), None, "{invalid:x?}");
        assert_eq!(us.receive(&bytes[bytes.len() - 1..]), []);
        us.assert_failed(ProtocolError::InvalidUtf8, 1007);
    }
    for cut in CUT {
        let mut us = Scenario::chunked(role);
        assert_eq!(us.receive_frame(0x01, cut).len(), 1);
        assert_eq!(us.receive_frame(0x80, b""), []);
        us.assert_failed(ProtocolError::InvalidUtf8, 1007);
    }
}

fn takes_any_bytes_as_binary(role: Role) {
    for delivery in [Delivery::Whole, Delivery::Chunks, Delivery::Discard] {
        let mut us = Scenario::open(role);
        us.delivery = delivery;
        for (invalid, _) in INVALID {
            let events = us.receive_frame(0x82, invalid);
            match delivery {
                Delivery::Whole => assert_eq!(events, [binary(invalid)]),
                Delivery::Chunks => assert_eq!(joined(&events), (invalid.to_vec(), 1)),
                Delivery::Discard => assert_eq!(events, []),
            }
        }
        assert_eq!(us.failure(), None);
    }
}

fn takes_any_bytes_in_pings_between_fragments_of_text(role: Role) {
    let mut us = Scenario::open(role);
    assert_eq!(us.receive_frame(0x01, b"\xe2\x82"), []);
    assert_eq!(us.receive_frame(0x89, b"\xff"), [common::ping(b"\xff")]);
    assert_eq!(us.receive_frame(0x80, b"\xac"), [text("€")]);
}

fn starts_each_text_anew(role: Role) {
    let mut us = Scenario::open(role);
    assert_eq!(us.receive_frame(0x01, b"\xc3"), []);
    assert_eq!(us.receive_frame(0x80, b"\xa9"), [text("é")]);
    assert_eq!(us.receive_frame(0x81, "é".as_bytes()), [text("é")]);
    us.receive_frame(0x81, b"\xa9");
    us.assert_failed(ProtocolError::InvalidUtf8, 1007);
}
