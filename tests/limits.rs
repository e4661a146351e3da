//! Each of the [`Limits`]: what is within it passes, what is over it fails with the limit in the Close that the peer gets.
//! Those of the opening handshake are in `rfc6455_4_handshake.rs`, those of slow readers in `slow_reader.rs`.
#![allow(clippy::unwrap_used)] // the twins are tests too

mod common;

use std::time::Duration;

use common::{Scenario, binary, frame, header, other, ping, text};
use sockeye::{
    Config, Limits, Role,
    proto::{
        connection::{End, Event, Timeout},
        frame::ProtocolError,
    },
};

const SECOND: Duration = Duration::from_secs(1);

twins![
    takes_a_frame_of_the_largest_size_and_none_larger,
    judges_a_frame_by_its_header_alone,
    holds_a_frame_to_the_limit_where_the_message_may_be_longer,
    holds_no_more_than_may_be_retained_of_an_unfinished_message,
    says_what_it_retains,
    takes_so_many_pings_a_second_and_no_more,
    counts_pings_anew_behind_a_second,
    takes_no_ping_where_none_is_allowed,
    ends_a_connection_that_is_silent_for_too_long,
    is_not_idle_while_anything_comes,
    answers_of_a_live_peer_are_no_silence,
    tells_a_peer_that_answers_no_ping_why_it_ends,
];

fn limited(role: Role, limits: Limits) -> Scenario {
    Scenario::new(role, Config::new(role).limits(limits).keepalive(None), None)
}

fn takes_a_frame_of_the_largest_size_and_none_larger(role: Role) {
    for limit in [0, 1, 125, 126, 65_535, 65_536] {
        let mut us = limited(role, Limits::trusted().max_frame(limit));
        let most = vec![7; limit as usize];
        assert!(us.receive_frame(0x82, &most) == [binary(&most)]);
        assert!(us.receive_bytewise(&frame(us.peer(), 0x82, &most)) == [binary(&most)]);
        us.receive_frame(0x82, &[&most[..], b"x"].concat());
        us.assert_failed(ProtocolError::FrameTooBig { limit }, 1009);
    }
}

fn judges_a_frame_by_its_header_alone(role: Role) {
    for len in [1001, 1 << 32, (1 << 63) - 1] {
        let mut us = limited(role, Limits::internet().max_frame(1000));
        us.receive(&header(other(role), 0x82, len));
        us.assert_failed(ProtocolError::FrameTooBig { limit: 1000 }, 1009);
    }
}

fn holds_a_frame_to_the_limit_where_the_message_may_be_longer(role: Role) {
    let mut us = limited(role, Limits::trusted().max_frame(10));
    assert_eq!(us.receive_frame(0x02, &[1; 10]), []);
    assert_eq!(us.receive_frame(0x00, &[1; 10]), []);
    assert_eq!(us.receive_frame(0x80, &[1; 10]), [binary(&[1; 30])]);
    us.receive_frame(0x02, &[1; 10]);
    us.receive_frame(0x80, &[1; 11]);
    us.assert_failed(ProtocolError::FrameTooBig { limit: 10 }, 1009);
}

fn holds_no_more_than_may_be_retained_of_an_unfinished_message(role: Role) {
    let limits = Limits::trusted().max_retained(10_000);
    // What is complete at once is not retained.
    let mut us = limited(role, limits);
    assert!(us.receive_frame(0x82, &[1; 20_000]) == [binary(&[1; 20_000])]);
    us.receive_frame(0x02, &[1; 8_000]);
    assert_eq!(us.failure(), None);
    us.receive_frame(0x00, &[1; 8_000]);
    us.assert_failed(ProtocolError::RetainedTooMuch { limit: 10_000 }, 1009);
}

fn says_what_it_retains(role: Role) {
    let mut us = limited(role, Limits::trusted());
    assert_eq!(us.connection.retained(), 0);
    us.receive_frame(0x02, &[1; 5_000]);
    let retained = us.connection.retained();
    assert!((5_000..5_500).contains(&retained), "{retained}");
    us.connection.send(&"queued".into()).unwrap();
    assert!(us.connection.retained() >= retained + 8);
    us.receive_frame(0x80, b"");
    us.sent();
    assert_eq!(us.connection.retained(), 0);
}

fn takes_so_many_pings_a_second_and_no_more(role: Role) {
    let mut us = limited(role, Limits::trusted().max_pings(Some(3)));
    for _ in 0..3 {
        assert_eq!(us.receive_frame(0x89, b"?"), [ping(b"?")]);
        // Neither Pongs nor messages are counted.
        assert_eq!(us.receive_frame(0x82, b"x"), [binary(b"x")]);
        us.receive_frame(0x8a, b"");
    }
    us.wait(SECOND - Duration::from_nanos(1));
    assert_eq!(us.receive_frame(0x89, b"one more"), []);
    us.assert_failed(ProtocolError::TooManyPings { limit: 3 }, 1008);
}

fn counts_pings_anew_behind_a_second(role: Role) {
    let mut us = limited(role, Limits::trusted().max_pings(Some(3)));
    for _ in 0..10 {
        for _ in 0..3 {
            assert_eq!(us.receive_frame(0x89, b"?"), [ping(b"?")]);
        }
        us.wait(SECOND);
    }
    assert_eq!(us.sent().len(), 30);
}

fn takes_no_ping_where_none_is_allowed(role: Role) {
    let mut us = limited(role, Limits::trusted().max_pings(Some(0)));
    us.receive_frame(0x89, b"?");
    us.assert_failed(ProtocolError::TooManyPings { limit: 0 }, 1008);
}

fn ends_a_connection_that_is_silent_for_too_long(role: Role) {
    let mut us = limited(role, Limits::trusted().idle_timeout(Some(90 * SECOND)));
    us.wait(90 * SECOND - Duration::from_nanos(1));
    assert_eq!((us.end(), us.connection.queued()), (None, 0));
    us.wait(Duration::from_nanos(1));
    let idle = ProtocolError::Idle { limit: 90 * SECOND };
    assert_eq!(us.end(), Some(&End::Failed(idle)));
    assert_eq!(us.sent(), [(0x88, common::close_payload(1008, "nothing came for 90s"))]);
    assert!(us.connection.wants_shutdown());
    assert_eq!(us.receive_frame(0x82, b"too late"), []);
}

fn is_not_idle_while_anything_comes(role: Role) {
    let mut us = limited(role, Limits::trusted().idle_timeout(Some(90 * SECOND)));
    // A frame that dribbles in is no silence.
    for byte in frame(us.peer(), 0x81, b"abc") {
        us.wait(89 * SECOND);
        assert_eq!(us.end(), None);
        us.receive(&[byte]);
    }
    us.wait(89 * SECOND);
    assert_eq!(us.receive_frame(0x81, b"later"), [text("later")]);
}

fn answers_of_a_live_peer_are_no_silence(role: Role) {
    let config = Config::new(Role::Server).limits(Limits::internet());
    let mut us = Scenario::new(role, config, None);
    for _ in 0..100 {
        us.wait(25 * SECOND);
        let [(0x89, payload)] = &us.sent()[..] else { panic!("no ping") };
        us.wait(SECOND);
        us.receive_frame(0x8a, payload);
    }
    assert_eq!(us.end(), None);
}

fn tells_a_peer_that_answers_no_ping_why_it_ends(role: Role) {
    let mut us = Scenario::new(role, Config::new(Role::Server), None);
    us.wait(25 * SECOND);
    assert!(matches!(us.sent()[..], [(0x89, _)]));
    us.wait(20 * SECOND);
    assert_eq!(us.end(), Some(&End::TimedOut(Timeout::Keepalive)));
    assert_eq!(us.sent(), [(0x88, common::close_payload(1008, "nothing came for 20s after a ping"))]);
}

#[test]
fn profiles_are_the_defaults_of_their_roles() {
    assert_eq!(Config::new(Role::Server).limits, Limits::internet());
    assert_eq!(Config::new(Role::Client).limits, Limits::trusted());
    let larger = Limits::internet().max_message(100 << 20);
    assert!(larger.max_retained >= 100 << 20, "the message that is allowed can be held");
    assert!(Limits::internet().max_message(10).max_retained >= 10);
}

#[cfg(feature = "deflate")]
mod inflated {
    use super::*;
    use common::{heap, zlib};

    #[global_allocator]
    static HEAP: heap::Counting = heap::Counting;

    twins![
        takes_a_compressed_message_that_inflates_to_the_limit_and_no_byte_more,
        retains_the_state_of_its_codecs_and_says_so,
        holds_only_compressed_messages_to_it
    ];

    fn deflating(role: Role, limits: Limits) -> Scenario {
        Scenario::new(role, Config::new(role).limits(limits), Some(&zlib::settings(15, true)))
    }

    fn takes_a_compressed_message_that_inflates_to_the_limit_and_no_byte_more(role: Role) {
        let mut us = deflating(role, Limits::trusted().max_inflated(1000));
        let mut peer = zlib::Peer::new(15, true);
        assert_eq!(us.receive_frame(0xc2, &peer.deflate(&[0; 1000])), [binary(&[0; 1000])]);
        us.receive_frame(0xc2, &peer.deflate(&[0; 1001]));
        us.assert_failed(ProtocolError::InflatedTooBig { limit: 1000 }, 1009);
    }

    fn retains_the_state_of_its_codecs_and_says_so(role: Role) {
        for (mem_level, bits) in [(8, 15), (5, 12), (1, 9), (9, 15)] {
            let mut settings = zlib::settings(bits, true);
            settings.config.mem_level = mem_level;
            let mut us = Scenario::new(role, Config::new(role), Some(&settings));
            us.receive(b""); // the inbox is not the connection's
            let mut peer = zlib::Peer::new(bits, true);
            assert_eq!(us.connection.retained(), 0);
            let payload = peer.deflate(&[7; 1000]);
            let ((), held) = heap::held(|| {
                us.receive_frame(0xc2, &payload);
                us.connection.send(&vec![7; 1000].into()).unwrap();
                us.sent();
            });
            let told = us.connection.retained() as f64;
            assert!((0.95..1.05).contains(&(told / held as f64)), "{told} told, {held} held");
        }
    }

    fn holds_only_compressed_messages_to_it(role: Role) {
        let mut us = deflating(role, Limits::trusted().max_inflated(1000).max_message(2000));
        assert_eq!(us.receive_frame(0x82, &[0; 2000]), [binary(&[0; 2000])]);
        let events: Vec<Event> = us.receive_frame(0x02, &[0; 1500]);
        assert_eq!(events, []);
        assert_eq!(us.receive_frame(0x80, &[0; 500]), [binary(&[0; 2000])]);
        us.receive_frame(0x82, &[0; 2001]);
        us.assert_failed(ProtocolError::MessageTooBig { limit: 2000 }, 1009);
    }
}
