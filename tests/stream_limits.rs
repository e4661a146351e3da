//! The stream floor: peers that do not read, are silent, or need more memory than is left, with a clock of the test's own.
#![cfg(feature = "stream")]

mod io;

use std::{
    cell::Cell,
    pin::pin,
    task::{Context, Waker},
    time::Duration,
};

use io::{
    BINARY, CLOSE, FIN, PING, PONG, TEXT, Wire, close_payload, frame, open, opposite, parse, pattern, poll_now, unhung,
};
use sockeye::{
    CloseCode, Config, Error, Keepalive, Limits, Role, SlowReader, WebSocket,
    proto::{
        connection::{End, Event, Timeout},
        frame::ProtocolError,
    },
    stream::{MemoryBudget, serve_connection},
};
use tokio::time::{Instant, advance, sleep};

const ROLES: [Role; 2] = [Role::Client, Role::Server];
const SECOND: Duration = Duration::from_secs(1);

fn limits() -> Limits {
    Limits::trusted().max_queued(64 * 1024).max_queued_age(Some(60 * SECOND))
}

fn slow(wire: &Wire, role: Role, policy: SlowReader) -> WebSocket<Wire> {
    open(wire.clone(), role, Config::new(role).limits(limits()).keepalive(None).slow_reader(policy), None)
}

/// The first bytes of the messages on the wire, which are numbers.
fn numbers(wire: &Wire) -> Vec<u8> {
    parse(&wire.take_output()).iter().map(|(_, payload)| payload[0]).collect()
}

#[tokio::test(start_paused = true)]
async fn sender_waits_for_a_transport_that_takes_nothing_and_no_longer_than_is_allowed() {
    for role in ROLES {
        let wire = Wire::new();
        wire.set_room(10);
        let mut ws = slow(&wire, role, SlowReader::Wait);
        let began = Instant::now();
        let error = unhung(ws.send(vec![0; 1000])).await.unwrap_err();
        assert!(matches!(error, Error::TimedOut(Timeout::Write)), "{error:?}");
        assert_eq!(began.elapsed().as_secs(), 60);
        assert_eq!(ws.end(), Some(End::TimedOut(Timeout::Write)));
        let told = ws.recv().await.unwrap_err();
        assert!(matches!(told, Error::TimedOut(Timeout::Write)), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn receiver_and_other_senders_learn_of_a_transport_that_takes_nothing() {
    for role in ROLES {
        let wire = Wire::new();
        wire.set_room(10);
        let (sender, mut receiver) = slow(&wire, role, SlowReader::Wait).split();
        let other = sender.clone();
        let (first, second, received) = unhung(async {
            tokio::join!(sender.send(vec![0; 100_000]), other.send("waits its turn"), receiver.recv())
        })
        .await;
        assert!(matches!(first.unwrap_err(), Error::TimedOut(Timeout::Write)));
        assert!(matches!(second.unwrap_err(), Error::TimedOut(Timeout::Write) | Error::Closed));
        assert!(matches!(received.unwrap_err(), Error::TimedOut(Timeout::Write)));
    }
}

#[tokio::test(start_paused = true)]
async fn transport_that_passes_nothing_on_is_not_waited_for_either() {
    for role in ROLES {
        let wire = Wire::new();
        wire.state().flush_hangs = true;
        let (sender, mut receiver) =
            open(wire.clone(), role, Config::new(role).limits(limits()).keepalive(Some(Keepalive::default())), None)
                .split();
        let (other, third) = (sender.clone(), sender.clone());
        // What comes from the peer does not put the end off.
        let talking = {
            let wire = wire.clone();
            tokio::spawn(async move {
                loop {
                    sleep(7 * SECOND).await;
                    wire.push(&frame(opposite(role), BINARY, b"x"));
                }
            })
        };
        let receiving = async { while receiver.recv().await.is_ok() {} };
        let (sent, second, third, ()) =
            unhung(async { tokio::join!(sender.send("a"), other.send("b"), third.flush(), receiving) }).await;
        for told in [sent, second, third] {
            assert!(matches!(told.unwrap_err(), Error::TimedOut(Timeout::Write)));
        }
        talking.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn sender_goes_on_for_a_transport_that_takes_something_in_time() {
    let wire = Wire::new();
    wire.set_room(10);
    let mut ws = slow(&wire, Role::Server, SlowReader::Wait);
    let trickle = async {
        for _ in 0..9 {
            sleep(59 * SECOND).await;
            wire.set_room(10);
        }
        sleep(59 * SECOND).await;
        wire.set_room(usize::MAX);
    };
    let (sent, ()) = tokio::join!(ws.send(vec![7; 1000]), trickle);
    sent.unwrap();
    assert_eq!(parse(&wire.take_output()), [(BINARY, vec![7; 1000])]);
}

#[tokio::test(start_paused = true)]
async fn handler_that_only_sends_is_freed_of_a_peer_that_does_not_read() {
    let wire = Wire::new();
    wire.set_room(100_000);
    let ws = slow(&wire, Role::Server, SlowReader::Wait);
    let error = unhung(serve_connection(ws, |mut ws| async move {
        loop {
            if let Err(error) = ws.send(vec![0; 10_000]).await {
                return error;
            }
        }
    }))
    .await;
    assert!(matches!(error, Error::TimedOut(Timeout::Write)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn policies_that_drop_never_make_a_sender_wait() {
    for (role, policy) in [(Role::Server, SlowReader::DropNewest), (Role::Client, SlowReader::DropOldest)] {
        let wire = Wire::new();
        wire.set_room(10);
        let limits = limits().max_queued(128 * 1024);
        let config = Config::new(role).limits(limits).keepalive(None).slow_reader(policy);
        let (sender, mut receiver) = open(wire.clone(), role, config, None).split();
        let receiving = tokio::spawn(async move { receiver.recv().await });
        tokio::task::yield_now().await;
        for number in 0..200_u8 {
            // It waits for nothing but its turn with other tasks.
            unhung(sender.send(vec![number; 1024])).await.unwrap();
        }
        assert!(sender.dropped() > 0);
        assert!(sender.queued() < 130 * 1024, "the limit, and one message");
        // The receiver writes what waits as soon as the transport takes it.
        wire.set_room(usize::MAX);
        while sender.queued() > 0 {
            tokio::task::yield_now().await;
        }
        let got = numbers(&wire);
        assert_eq!(got.len() as u64 + sender.dropped(), 200);
        assert!(got.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(got.last() == Some(&199), policy == SlowReader::DropOldest);
        receiving.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn served_handler_that_waits_elsewhere_has_its_messages_written_when_the_peer_reads() {
    let wire = Wire::new();
    wire.set_room(10);
    let ws = slow(&wire, Role::Server, SlowReader::DropOldest);
    let serving = tokio::spawn(serve_connection(ws, |mut ws| async move {
        for number in 0..100_u8 {
            ws.send(vec![number; 1024]).await.unwrap();
        }
        sleep(3600 * SECOND).await;
    }));
    tokio::task::yield_now().await;
    wire.set_room(usize::MAX);
    tokio::task::yield_now().await;
    let got = numbers(&wire);
    assert!(got.contains(&0) && got.contains(&99), "{got:?}");
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn slow_reader_is_closed_with_the_code_that_was_asked_for() {
    for role in ROLES {
        let wire = Wire::new();
        wire.set_room(10);
        let mut ws = slow(&wire, role, SlowReader::Close(CloseCode::TRY_AGAIN_LATER));
        let mut sent = 0;
        while ws.send(vec![0; 1024]).await.is_ok() {
            sent += 1;
        }
        assert!((60..70).contains(&sent), "{sent}");
        wire.set_room(usize::MAX);
        wire.push(&frame(opposite(role), CLOSE, &close_payload(CloseCode::TRY_AGAIN_LATER, "")));
        wire.end();
        assert_eq!(unhung(ws.recv()).await.unwrap(), None);
        let reason = "more than 65536 bytes wait to be read";
        let close = (CLOSE, close_payload(CloseCode::TRY_AGAIN_LATER, reason));
        assert_eq!(parse(&wire.take_output()).last(), Some(&close));
    }
}

#[tokio::test(start_paused = true)]
async fn slow_reader_that_reads_no_close_either_costs_the_close_timeout() {
    let wire = Wire::new();
    wire.set_room(10);
    let mut ws = slow(&wire, Role::Server, SlowReader::Close(CloseCode::TRY_AGAIN_LATER));
    while ws.send(vec![0; 1024]).await.is_ok() {}
    let began = Instant::now();
    let error = unhung(ws.recv()).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut(Timeout::Close)), "{error:?}");
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn queue_can_be_waited_on() {
    for role in ROLES {
        let wire = Wire::new();
        wire.set_room(0);
        let (sender, _receiver) = slow(&wire, role, SlowReader::Wait).split();
        sender.drained(0).await.unwrap();
        for _ in 0..10 {
            sender.feed(vec![0; 1000]).await.unwrap();
        }
        assert!(sender.queued() > 10_000);
        let mut drained = pin!(sender.drained(4_000));
        assert!(poll_now(drained.as_mut()).is_pending());
        wire.set_room(6_000);
        assert!(poll_now(drained.as_mut()).is_pending());
        wire.set_room(200);
        unhung(drained).await.unwrap();
        assert!((3_000..=4_000).contains(&sender.queued()), "{}", sender.queued());
    }
}

#[tokio::test(start_paused = true)]
async fn peer_that_does_not_take_our_pongs_is_not_read() {
    for role in ROLES {
        let wire = Wire::new();
        wire.set_room(0);
        let mut ws = slow(&wire, role, SlowReader::Wait);
        for number in 0..100_000_u32 {
            wire.push(&frame(opposite(role), PING, &number.to_be_bytes()));
        }
        {
            let mut events = pin!(async { while !matches!(ws.recv_event().await, Ok(Some(Event::Message(_)))) {} });
            for _ in 0..1000 {
                assert!(poll_now(events.as_mut()).is_pending());
            }
        }
        let read = wire.state().reads;
        assert_eq!(read, 1, "it is read once, and not again before it has taken a Pong");
        assert!(ws.queued() < 5_000, "{}", ws.queued());
    }
}

#[tokio::test(start_paused = true)]
async fn silent_peer_is_told_that_it_is_and_so_are_we() {
    for role in ROLES {
        let wire = Wire::new();
        let config = Config::new(role).limits(Limits::trusted().idle_timeout(Some(90 * SECOND))).keepalive(None);
        let mut ws = open(wire.clone(), role, config, None);
        let began = Instant::now();
        let ending = async {
            sleep(95 * SECOND).await;
            wire.end();
        };
        let (received, ()) = tokio::join!(ws.recv(), ending);
        let idle = ProtocolError::Idle { limit: 90 * SECOND };
        assert!(matches!(received.unwrap_err(), Error::Protocol(fault) if fault == idle));
        assert_eq!(began.elapsed().as_secs(), 95, "it has said so, and has waited for the peer's end");
        let close = (CLOSE, close_payload(CloseCode::POLICY_VIOLATION, "nothing came for 90s"));
        assert_eq!(parse(&wire.take_output()), [close]);
    }
}

#[tokio::test(start_paused = true)]
async fn peer_is_not_silent_because_nobody_listens() {
    for role in ROLES {
        let wire = Wire::new();
        let mut ws = open(wire.clone(), role, Config::new(Role::Server), None);
        assert!(poll_now(pin!(ws.recv())).is_pending());
        wire.push(&frame(opposite(role), TEXT, b"long unread"));
        advance(3600 * SECOND).await;
        assert_eq!(ws.recv().await.unwrap(), Some("long unread".into()));
        assert!(poll_now(pin!(ws.recv())).is_pending());
        assert_eq!(ws.end(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn keepalive_asks_within_two_intervals_and_is_content_with_any_answer() {
    for role in ROLES {
        let wire = Wire::new();
        let ws = open(wire.clone(), role, Config::new(Role::Server), None);
        let (_sender, mut receiver) = ws.split();
        let receiving = tokio::spawn(async move { receiver.recv().await });
        for _ in 0..20 {
            let began = Instant::now();
            let ping = loop {
                sleep(SECOND).await;
                if let Some(frame) = parse(&wire.take_output()).pop() {
                    break frame;
                }
            };
            assert_eq!(ping.0, PING);
            assert!((24..=51).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
            wire.push(&frame(opposite(role), PONG, &ping.1));
        }
        assert!(!receiving.is_finished());
        // Nothing more comes.
        let received = unhung(receiving).await.unwrap();
        assert!(matches!(received.unwrap_err(), Error::TimedOut(Timeout::Keepalive)));
        let last = parse(&wire.take_output()).pop();
        let close = close_payload(CloseCode::POLICY_VIOLATION, "nothing came for 20s after a ping");
        assert_eq!(last, Some((CLOSE, close)));
    }
}

#[tokio::test(start_paused = true)]
async fn ping_flood_ends_the_connection_and_says_why() {
    for role in ROLES {
        let wire = Wire::new();
        let config = Config::new(role).limits(Limits::trusted().max_pings(Some(10)));
        let mut ws = open(wire.clone(), role, config, None);
        (0..11).for_each(|_| wire.push(&frame(opposite(role), PING, b"?")));
        wire.push(&frame(opposite(role), TEXT, b"behind"));
        wire.end();
        let flood = ProtocolError::TooManyPings { limit: 10 };
        assert!(matches!(unhung(ws.recv()).await.unwrap_err(), Error::Protocol(fault) if fault == flood));
        let output = parse(&wire.take_output());
        assert_eq!(output.len(), 11);
        let reason = "more than 10 pings within a second";
        assert_eq!(output[10], (CLOSE, close_payload(CloseCode::POLICY_VIOLATION, reason)));
    }
}

#[tokio::test(start_paused = true)]
async fn connection_that_needs_more_than_is_left_of_a_budget_is_told_to_come_again() {
    for role in ROLES {
        let budget = MemoryBudget::new(100_000);
        let wires = [Wire::new(), Wire::new()];
        let [mut modest, mut greedy] =
            [0, 1].map(|at| open(wires[at].clone(), role, Config::new(role), None).with_budget(&budget));
        wires[0].push(&frame(opposite(role), BINARY - FIN, &[0; 30_000]));
        assert!(poll_now(pin!(modest.recv())).is_pending());
        assert!((30_000..31_000).contains(&budget.held()), "{}", budget.held());
        assert_eq!(budget.held(), modest.retained());

        wires[1].push(&frame(opposite(role), BINARY - FIN, &[0; 80_000]));
        wires[1].end();
        let spent = ProtocolError::BudgetSpent { limit: 100_000 };
        assert!(matches!(unhung(greedy.recv()).await.unwrap_err(), Error::Protocol(fault) if fault == spent));
        let output = parse(&wires[1].take_output());
        let reason = "no memory for this: all connections together may hold 100000 bytes, try again later";
        assert_eq!(output, [(CLOSE, close_payload(CloseCode::TRY_AGAIN_LATER, reason))]);

        // The other goes on, and gives back what it no longer needs.
        wires[0].push(&frame(opposite(role), FIN, b""));
        assert_eq!(unhung(modest.recv()).await.unwrap(), Some(vec![0; 30_000].into()));
        assert!(poll_now(pin!(modest.recv())).is_pending());
        assert_eq!(budget.held(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_counts_against_a_budget_and_is_given_back_at_the_end() {
    let budget = MemoryBudget::new(1 << 20);
    let wire = Wire::new();
    wire.set_room(0);
    let mut ws = slow(&wire, Role::Server, SlowReader::Wait).with_budget(&budget);
    assert!(poll_now(pin!(ws.send(vec![0; 50_000]))).is_pending());
    assert!((50_000..51_000).contains(&budget.held()), "{}", budget.held());
    drop(ws);
    assert_eq!(budget.held(), 0);
}

/// A peer that sends without end must not keep the other tasks of its thread waiting.
#[tokio::test]
async fn peer_that_never_lets_us_wait_leaves_others_their_turns() {
    const FRAMES: usize = 4096;
    for role in ROLES {
        let wire = Wire::with_capacity(FRAMES * 1100);
        wire.push(&frame(opposite(role), BINARY, &pattern(1000)).repeat(FRAMES));
        let mut ws = open(wire.clone(), role, Config::new(role), None);
        let received = Cell::new(0);
        let mut reading = pin!(async {
            while ws.recv().await?.is_some() {
                received.set(received.get() + 1);
            }
            Ok::<_, Error>(())
        });
        let (mut turns, mut before) = (0, 0);
        while received.get() < FRAMES {
            let polled = reading.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
            let handed_over = (received.get() - before) * 1000;
            assert!(handed_over <= 320 * 1024 + 64 * 1024, "{role:?}: {handed_over} bytes in a turn");
            (turns, before) = (turns + 1, received.get());
        }
        assert!(turns <= 2 * FRAMES * 1000 / (128 * 1024), "{turns} turns");
    }
}

#[tokio::test(start_paused = true)]
async fn room_for_the_rest_of_a_large_frame_counts_against_a_budget_while_it_is_waited_for() {
    for role in ROLES {
        let budget = MemoryBudget::new(10 << 20);
        let wire = Wire::new();
        let mut ws = open(wire.clone(), role, Config::new(role), None).with_budget(&budget);
        let bytes = frame(opposite(role), BINARY, &vec![0; 900_000]);
        for piece in bytes[..800_000].chunks(50_000) {
            wire.push(piece);
            assert!(poll_now(pin!(ws.recv())).is_pending());
            assert_eq!(budget.held(), ws.retained());
        }
    }
}
