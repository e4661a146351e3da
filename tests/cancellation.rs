//! The stream floor: a call is cancelled at each of its await points, and nothing is lost, doubled or torn.
//!
//! The transport moves a few bytes at every other poll, so a call has many places to stop at. Each script runs once for
//! every number of polls after which its calls are cancelled.
#![cfg(feature = "stream")]

mod io;

use std::{pin::pin, task::Poll};

use io::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, Wire, close_payload, endpoint, frame, opposite, parse, pattern,
    poll_now,
};
use sockeye::{
    CloseCode, CloseFrame, Error, Kind, Message, Role,
    proto::connection::{End, Event},
};

const ROLES: [Role; 2] = [Role::Client, Role::Server];
/// After how many polls calls are cancelled. More than any of them needs for one step of its script.
const POLLS: std::ops::RangeInclusive<usize> = 1..=40;
/// A call that has not ended after so many attempts never will.
const ATTEMPTS: usize = 100_000;

/// Polls so many times and cancels then.
fn cancelled<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    (0..polls).find_map(|_| match poll_now(future.as_mut()) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

/// Calls again and again, each time cancelled behind `polls` polls, until a call is ready.
macro_rules! insist {
    ($polls:expr, $call:expr) => {
        (0..ATTEMPTS).find_map(|_| cancelled($call, $polls)).expect("a call that is repeated gets there")
    };
}

/// A conversation, and what it consists of.
fn script(role: Role) -> (Wire, Vec<Message>) {
    let peer = opposite(role);
    let frames = [
        frame(peer, TEXT, b"Hello"),
        frame(peer, PING, b"one"),
        frame(peer, BINARY & !FIN, &pattern(200)),
        frame(peer, PING, b"two"),
        frame(peer, CONTINUATION & !FIN, b""),
        frame(peer, CONTINUATION, &pattern(30)),
        frame(peer, TEXT, b""),
        frame(peer, TEXT & !FIN, b"\xc3"), // é, in two frames
        frame(peer, CONTINUATION, b"\xa9"),
        frame(peer, BINARY, b"end"),
        frame(peer, CLOSE, &close_payload(CloseCode::NORMAL, "bye")),
    ];
    let messages =
        vec!["Hello".into(), [pattern(200), pattern(30)].concat().into(), "".into(), "é".into(), b"end".into()];
    let wire = Wire::stuttering(3);
    wire.push(&frames.concat());
    wire.end();
    (wire, messages)
}

/// What answers the script, whoever reads it and how.
#[track_caller]
fn assert_answered(wire: &Wire, polls: usize) {
    let frames = [(PONG, b"one".to_vec()), (PONG, b"two".to_vec()), (CLOSE, close_payload(CloseCode::NORMAL, "bye"))];
    assert_eq!(parse(&wire.take_output()), frames, "cancelled behind {polls} polls");
}

#[tokio::test]
async fn cancelled_recv_loses_no_message() {
    for (role, polls) in ROLES.into_iter().flat_map(|role| POLLS.map(move |polls| (role, polls))) {
        let (wire, messages) = script(role);
        let mut ws = endpoint(wire.clone(), role);
        for message in &messages {
            assert_eq!(insist!(polls, ws.recv()).unwrap().as_ref(), Some(message), "cancelled behind {polls} polls");
        }
        assert_eq!(insist!(polls, ws.recv()).unwrap(), None);
        assert_answered(&wire, polls);
    }
}

#[tokio::test]
async fn cancelled_recv_event_loses_no_event() {
    for (role, polls) in ROLES.into_iter().flat_map(|role| POLLS.map(move |polls| (role, polls))) {
        let (wire, messages) = script(role);
        let mut ws = endpoint(wire.clone(), role);
        let mut events: Vec<_> = messages.into_iter().map(Event::Message).collect();
        events.insert(1, Event::Ping("one".into()));
        events.insert(2, Event::Ping("two".into()));
        events.push(Event::Close(Some(CloseFrame::new(CloseCode::NORMAL, "bye"))));
        for event in &events {
            assert_eq!(insist!(polls, ws.recv_event()).unwrap().as_ref(), Some(event), "cancelled behind {polls}");
        }
        assert_eq!(insist!(polls, ws.recv_event()).unwrap(), None);
        assert_answered(&wire, polls);
    }
}

#[tokio::test]
async fn cancelled_recv_reader_and_its_next_lose_no_chunk() {
    for (role, polls) in ROLES.into_iter().flat_map(|role| POLLS.map(move |polls| (role, polls))) {
        let (wire, messages) = script(role);
        let mut ws = endpoint(wire.clone(), role);
        for message in &messages {
            let mut reader = loop {
                if let Some(reader) = cancelled(ws.recv_reader(), polls) {
                    break reader.unwrap().expect("a message comes");
                }
            };
            assert_eq!(reader.kind(), message.kind());
            let mut whole = Vec::new();
            while let Some(chunk) = insist!(polls, reader.next()).unwrap() {
                whole.extend_from_slice(&chunk);
            }
            assert_eq!(whole, message.as_bytes(), "cancelled behind {polls} polls");
        }
        assert!(insist!(polls, async { ws.recv_reader().await.map(|reader| reader.is_none()) }).unwrap());
        assert_answered(&wire, polls);
    }
}

#[tokio::test]
async fn recv_in_turns_with_a_cancelled_reader_gives_whole_messages_only() {
    for (role, polls) in ROLES.into_iter().flat_map(|role| POLLS.map(move |polls| (role, polls))) {
        let (wire, messages) = script(role);
        let mut ws = endpoint(wire.clone(), role);
        let mut received = Vec::new();
        loop {
            // Takes at most one chunk, and skips the rest of its message.
            let read = cancelled(
                async {
                    let Some(mut reader) = ws.recv_reader().await? else { return Ok(None) };
                    reader.next().await.map(Some)
                },
                polls,
            );
            if let Some(Ok(None)) = read {
                break;
            }
            match insist!(polls, ws.recv()).unwrap() {
                Some(message) => received.push(message),
                None => break,
            }
        }
        let mut all = messages.iter();
        for message in &received {
            assert!(all.any(|sent| sent == message), "{message:?} is torn, doubled or late: {polls} polls");
        }
        assert_answered(&wire, polls);
    }
}

/// What a sender says: small messages, and two of them together over what may be queued.
fn speech() -> [Message; 6] {
    [b"one".into(), pattern(70_000).into(), "".into(), "three".into(), pattern(66_000).into(), b"five".into()]
}

fn binary_or_text(message: &Message) -> io::Frame {
    let first = if message.as_text().is_some() { TEXT } else { BINARY };
    (first, message.as_bytes().to_vec())
}

#[tokio::test]
async fn cancelled_send_sends_its_message_whole_or_not_at_all() {
    for (role, polls) in ROLES.into_iter().flat_map(|role| POLLS.map(move |polls| (role, polls))) {
        let wire = Wire::stuttering(5000);
        let mut ws = endpoint(wire.clone(), role);
        let sent = speech().map(|message| (cancelled(ws.send(message.clone()), polls).is_some(), message));
        insist!(1, ws.flush()).unwrap();
        let mut frames = parse(&wire.take_output()).into_iter().peekable();
        for (at, (is_sent, message)) in sent.iter().enumerate() {
            let is_there = frames.next_if(|frame| *frame == binary_or_text(message)).is_some();
            assert!(is_there || !is_sent, "message {at} was sent and is not there: {polls} polls");
            // Up to the first large one, nobody has to wait for a turn: it is queued at the first poll.
            assert!(is_there || at > 1, "message {at} was queued and is not there: {polls} polls");
        }
        assert_eq!(frames.next(), None, "torn, doubled or out of order: {polls} polls");
    }
}

#[tokio::test]
async fn cancelled_feed_queues_its_message_whole_or_not_at_all() {
    for (role, polls) in ROLES.into_iter().flat_map(|role| POLLS.map(move |polls| (role, polls))) {
        let wire = Wire::stuttering(5000);
        let mut ws = endpoint(wire.clone(), role);
        let fed = speech().map(|message| (cancelled(ws.feed(message.clone()), polls).is_some(), message));
        insist!(1, ws.flush()).unwrap();
        let all = parse(&wire.take_output());
        let want: Vec<_> =
            fed.iter().filter(|(is_fed, _)| *is_fed).map(|(_, message)| binary_or_text(message)).collect();
        assert!(all == want, "{} of {} fed messages came: {polls} polls", all.len(), want.len());
    }
}

#[tokio::test]
async fn cancelled_flush_goes_on_where_it_was() {
    for (role, polls) in ROLES.into_iter().flat_map(|role| POLLS.map(move |polls| (role, polls))) {
        let wire = Wire::stuttering(7);
        let mut ws = endpoint(wire.clone(), role);
        ws.feed("one").await.unwrap();
        ws.feed(pattern(500)).await.unwrap();
        insist!(polls, ws.flush()).unwrap();
        assert_eq!(parse(&wire.take_output()), [(TEXT, b"one".to_vec()), (BINARY, pattern(500))], "{polls} polls");
    }
}

#[tokio::test]
async fn cancelled_write_queues_its_part_whole() {
    for (role, polls) in ROLES.into_iter().flat_map(|role| POLLS.map(move |polls| (role, polls))) {
        let wire = Wire::stuttering(3);
        let mut ws = endpoint(wire.clone(), role);
        let mut writer = ws.begin(Kind::Binary).await.unwrap();
        let _ = cancelled(writer.write(pattern(20)), polls);
        let _ = cancelled(writer.write("two"), polls);
        let _ = cancelled(writer.finish(), polls);
        insist!(1, ws.flush()).unwrap();
        let frames = [(BINARY & !FIN, pattern(20)), (CONTINUATION & !FIN, b"two".to_vec()), (CONTINUATION, vec![])];
        assert_eq!(parse(&wire.take_output()), frames, "{polls} polls");
    }
}

#[tokio::test]
async fn cancelled_close_sends_one_close_and_goes_on_waiting() {
    for (role, polls) in ROLES.into_iter().flat_map(|role| POLLS.map(move |polls| (role, polls))) {
        let (wire, _) = script(role);
        let mut ws = endpoint(wire.clone(), role);
        insist!(polls, ws.close(CloseCode::GOING_AWAY, "we go")).unwrap();
        assert!(matches!(ws.end(), Some(End::Closed { .. })), "{:?}", ws.end());
        let frames = parse(&wire.take_output());
        assert_eq!(frames, [(CLOSE, close_payload(CloseCode::GOING_AWAY, "we go"))], "{polls} polls");
        assert!(matches!(ws.send("late").await, Err(Error::Closed)));
    }
}

#[tokio::test]
async fn recv_behind_a_cancelled_close_gives_whole_messages_and_the_end() {
    for (role, polls) in ROLES.into_iter().flat_map(|role| POLLS.map(move |polls| (role, polls))) {
        let (wire, messages) = script(role);
        let mut ws = endpoint(wire.clone(), role);
        // Discards what comes until it is cancelled, which may be inside a message.
        if cancelled(ws.close(CloseCode::GOING_AWAY, ""), polls).is_none() {
            let mut all = messages.iter();
            while let Some(message) = insist!(polls, ws.recv()).unwrap() {
                assert!(all.any(|sent| *sent == message), "{message:?} is torn, doubled or late: {polls} polls");
            }
        }
        assert_eq!(ws.recv().await.unwrap(), None);
        assert_eq!(parse(&wire.take_output()).len(), 1, "{polls} polls");
    }
}
