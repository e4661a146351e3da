//! Messages for many receivers (`PreparedMessage`): what each of them gets is what plain zlib reads, whatever else goes
//! over the same connection.
#![allow(clippy::unwrap_used)] // the twins are tests too

mod common;

use bytes::Bytes;
use common::{Numbers, Scenario, close_frame};
use sockeye::{Kind, PreparedMessage, Role, proto::connection::SendError};

twins![goes_as_it_is_where_nothing_was_agreed_to, waits_for_no_message_in_parts, is_refused_behind_a_close,];

/// A JSON message as many get it.
fn news() -> Vec<u8> {
    (0..100).flat_map(|n| format!("{{\"id\":{n},\"price\":{}}}", n * 37 % 101).into_bytes()).collect()
}

fn goes_as_it_is_where_nothing_was_agreed_to(role: Role) {
    for payload in [vec![], b"x".to_vec(), news(), Numbers(1).bytes(70_000)] {
        let prepared = PreparedMessage::new(payload.clone());
        let mut us = Scenario::open(role);
        for _ in 0..3 {
            us.connection.send_prepared(&prepared).unwrap();
            us.connection.send_prepared(&prepared.clone()).unwrap();
            assert!(us.sent() == [(0x82, payload.clone()), (0x82, payload.clone())]);
        }
        assert_eq!(prepared.message().as_bytes(), payload);
    }
    let prepared: PreparedMessage = "text".into();
    let mut us = Scenario::open(role);
    us.connection.send_prepared(&prepared).unwrap();
    assert_eq!(us.sent(), [(0x81, b"text".to_vec())]);
}

fn waits_for_no_message_in_parts(role: Role) {
    let prepared = PreparedMessage::new(news());
    let mut us = Scenario::open(role);
    us.connection.begin(Kind::Text, sockeye::Compress::Auto).unwrap();
    assert_eq!(us.connection.send_prepared(&prepared), Err(SendError::MessageOpen));
    us.connection.part(&Bytes::from_static(b"part"), false).unwrap();
    assert_eq!(us.connection.send_prepared(&prepared), Err(SendError::MessageOpen));
    us.connection.part(&Bytes::new(), true).unwrap();
    us.connection.send_prepared(&prepared).unwrap();
    assert_eq!(us.sent(), [(0x01, b"part".to_vec()), (0x80, vec![]), (0x82, news())]);
}

fn is_refused_behind_a_close(role: Role) {
    let prepared = PreparedMessage::new(news());
    let mut us = Scenario::open(role);
    us.connection.close(Some(close_frame(1000, "")), us.now);
    us.sent();
    assert_eq!(us.connection.send_prepared(&prepared), Err(SendError::Closed));
    let mut us = Scenario::open(role);
    us.connection.receive_eof();
    assert_eq!(us.connection.send_prepared(&prepared), Err(SendError::Closed));
    assert_eq!(us.sent(), []);
}

/// A client masks each of them with a key of its own.
#[test]
fn client_masks_the_same_message_with_different_keys() {
    let prepared = PreparedMessage::new(news());
    let mut us = Scenario::open(Role::Client);
    let sent = [(); 3].map(|()| {
        us.connection.send_prepared(&prepared).unwrap();
        us.connection.take_output()
    });
    assert!(sent[0] != sent[1] && sent[1] != sent[2] && sent[0] != sent[2]);
    for bytes in sent {
        assert!(common::frames(Role::Client, &bytes) == [(0x82, news())]);
    }
}

#[cfg(feature = "deflate")]
mod deflate {
    use std::thread;

    use common::{heap, puff::Puffed, zlib};
    use sockeye::{Compress, Message, proto::connection::DeflateSettings};

    use super::*;

    #[global_allocator]
    static HEAP: heap::Counting = heap::Counting;

    fn settings(level: u8, mem_level: u8, bits: u8, context_takeover: bool, threshold: usize) -> DeflateSettings {
        let mut settings = zlib::settings(bits, context_takeover);
        settings.config.level = level;
        settings.config.mem_level = mem_level;
        settings.config.threshold = threshold;
        settings
    }

    fn send(us: &mut Scenario, prepared: &PreparedMessage) -> Vec<common::Frame> {
        us.connection.send_prepared(prepared).unwrap();
        us.sent()
    }

    #[test]
    fn one_message_is_right_for_connections_that_compress_in_many_ways() {
        for payload in [vec![], b"x".to_vec(), news(), vec![0; 40_000], Numbers(1).bytes(3000)] {
            for text in [false, true] {
                let Ok(prepared) = (match (text, String::from_utf8(payload.clone())) {
                    (true, text) => text.map(PreparedMessage::new),
                    (false, _) => Ok(PreparedMessage::new(payload.clone())),
                }) else {
                    continue;
                };
                let opcode = if text { 1 } else { 2 };
                for role in [Role::Client, Role::Server] {
                    for (level, mem_level) in [(0, 8), (1, 8), (6, 1), (9, 9)] {
                        for (bits, takeover) in [(9, true), (9, false), (15, true), (15, false), (12, true)] {
                            for threshold in [0, payload.len(), payload.len() + 1] {
                                let settings = settings(level, mem_level, bits, takeover, threshold);
                                let mut us = Scenario::deflate(role, &settings);
                                let mut peer = zlib::Peer::new(bits, takeover);
                                let frames = send(&mut us, &prepared);
                                assert_eq!(frames[0].0 & 0x0f, opcode);
                                let (compressed, got) = peer.inflate(&frames);
                                assert!(got == payload, "{settings:?}");
                                assert!(!compressed || payload.len() >= threshold);
                                assert!(frames[0].1.len() <= payload.len(), "it does not grow");
                            }
                        }
                    }
                }
            }
        }
    }

    /// Prepared and other messages in any order, with the peer's one inflater behind all of them.
    #[test]
    fn peers_window_stays_right_over_mixed_messages() {
        let all: Vec<Vec<u8>> = vec![
            vec![],
            news(),
            [news(), news()].concat(),
            vec![b'.'; 20_000],
            Numbers(5).bytes(1000),
            b"short".to_vec(),
            [Numbers(5).bytes(1000), news()].concat(),
        ];
        let prepared: Vec<_> = all.iter().map(|payload| PreparedMessage::new(payload.clone())).collect();
        for (role, takeover) in [(Role::Client, true), (Role::Server, true), (Role::Server, false)] {
            for (level, bits) in [(0, 15), (1, 15), (1, 9), (6, 12), (9, 9)] {
                let mut numbers = Numbers(u64::from(level) + 40);
                let mut us = Scenario::deflate(role, &settings(level, 8, bits, takeover, 0));
                let mut peer = zlib::Peer::new(bits, takeover);
                // zlib-rs inflates with 15 bits whatever it is asked for: ours says how far back it went.
                let mut puffed = Puffed::default();
                for n in 0..60 {
                    let at = numbers.below(all.len());
                    match numbers.below(4) {
                        0 => {
                            us.connection.begin(Kind::Binary, Compress::Auto).unwrap();
                            let (one, two) = all[at].split_at(all[at].len() / 2);
                            us.connection.part(&Bytes::copy_from_slice(one), false).unwrap();
                            us.connection.part(&Bytes::copy_from_slice(two), true).unwrap();
                        }
                        1 => us.connection.send(&Message::from(all[at].clone())).unwrap(),
                        _ => us.connection.send_prepared(&prepared[at]).unwrap(),
                    }
                    let frames = us.sent();
                    if frames[0].0 & 0x40 != 0 {
                        let payload: Vec<u8> = frames.iter().flat_map(|(_, payload)| payload.clone()).collect();
                        puffed.puff(&[&payload[..], &[0x00, 0x00, 0xff, 0xff]].concat());
                    }
                    assert!(peer.inflate(&frames).1 == all[at], "message {n} at level {level}, {bits} bits");
                }
                assert!(puffed.farthest <= 1 << bits, "{} is beyond {bits} bits", puffed.farthest);
            }
        }
    }

    #[test]
    fn message_is_refused_while_a_compressed_one_in_parts_is_open_and_spoils_nothing() {
        let prepared = PreparedMessage::new(news());
        let mut us = Scenario::deflate(Role::Server, &zlib::settings(15, true));
        let mut peer = zlib::Peer::new(15, true);
        us.connection.begin(Kind::Binary, Compress::Auto).unwrap();
        us.connection.part(&Bytes::from(news()), false).unwrap();
        assert_eq!(us.connection.send_prepared(&prepared), Err(SendError::MessageOpen));
        us.connection.part(&Bytes::from(news()), true).unwrap();
        assert!(peer.inflate(&us.sent()).1 == news().repeat(2));
        assert!(peer.inflate(&send(&mut us, &prepared)).1 == news());
        us.connection.close(None, us.now);
        assert_eq!(us.connection.send_prepared(&prepared), Err(SendError::Closed));
    }

    /// The second sender of the same form gets by with less than a deflater takes.
    #[test]
    fn message_for_a_hundred_connections_is_compressed_once() {
        let payload = news().repeat(50);
        let prepared = PreparedMessage::new(payload);
        let settings = settings(6, 8, 15, false, 0);
        let mut all: Vec<_> = (0..100).map(|_| Scenario::deflate(Role::Server, &settings)).collect();
        let first = send(&mut all[0], &prepared);
        assert!(first[0].0 & 0x40 != 0);
        for us in &mut all[1..] {
            let ((), peak) = heap::peak(|| us.connection.send_prepared(&prepared).unwrap());
            assert!(peak < first[0].1.len() + 1024, "{peak} bytes for a payload of {}", first[0].1.len());
            assert!(us.sent() == first);
        }
        // One that compresses otherwise gets a form of its own, and the others keep theirs.
        let mut other = Scenario::deflate(Role::Server, &zlib::settings(9, false));
        assert!(send(&mut other, &prepared) != first);
        assert!(send(&mut all[0], &prepared) == first);
    }

    #[test]
    fn message_may_be_sent_from_several_threads_at_once() {
        for _ in 0..20 {
            let payload = news().repeat(10);
            let prepared = PreparedMessage::new(payload.clone());
            thread::scope(|scope| {
                for at in 0..6_u8 {
                    let (prepared, payload) = (&prepared, &payload);
                    scope.spawn(move || {
                        let (bits, takeover) = (9 + at % 3 * 3, at % 2 == 0);
                        let mut us = Scenario::deflate(Role::Server, &settings(1 + at % 2, 8, bits, takeover, 0));
                        let mut peer = zlib::Peer::new(bits, takeover);
                        for _ in 0..5 {
                            assert!(peer.inflate(&send(&mut us, prepared)) == (true, payload.clone()));
                        }
                    });
                }
            });
        }
    }
}
