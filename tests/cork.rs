//! The stream floor: what a served handler sends between two reads is gathered on its thread. Here handlers try to lose
//! it, to reorder it, and to have it come out at another connection.
#![cfg(feature = "stream")]

mod io;

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Mutex,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use futures_util::SinkExt;
use io::{
    BINARY, CLOSE, CONTINUATION, FIN, Frame, PING, PONG, TEXT, Wire, close_payload, frame, parse, pattern, poll_now,
    served::{Outcome, close, echo, forever, output, server, text, wire_with},
};
use sockeye::{CloseCode, Compress, Error, Kind, Message, PreparedMessage, Role, WebSocket, stream::serve_connection};
use tokio::sync::oneshot;

// ── one poll ──

/// Numbers that look random and are the same in each run (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

/// Sends something in one of all ways there are; says what frames that has to make.
async fn say_something<S>(ws: &mut WebSocket<S>, numbers: &mut Numbers, said: &mut Vec<Frame>) -> Outcome
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let len = match numbers.below(12) {
        0 => 16 * 1024 - 1 + numbers.below(3),
        1 => 64 * 1024 - 10 + numbers.below(20),
        2 => 0,
        3 => 120 + numbers.below(10),
        _ => numbers.below(300),
    };
    let payload = pattern(len + 1 + said.len() % 200)[1 + said.len() % 200..].to_vec();
    let whole = (BINARY, payload.clone());
    match numbers.below(12) {
        0 => ws.feed(payload).await?,
        1 => ws.send_with(payload, Compress::Always).await?,
        2 => ws.send_prepared(&PreparedMessage::new(payload)).await?,
        3 => SinkExt::send(ws, payload.into()).await?,
        4 => SinkExt::feed(ws, payload.into()).await?,
        5 => {
            ws.ping(Bytes::copy_from_slice(&payload[..len.min(100)])).await?;
            said.push((PING, payload[..len.min(100)].to_vec()));
            return Ok(());
        }
        6 => {
            let mut writer = ws.begin(Kind::Binary).await?;
            writer.write(payload.clone()).await?;
            writer.write("part").await?;
            writer.finish().await?;
            said.extend([(BINARY & !FIN, payload), (CONTINUATION & !FIN, b"part".to_vec()), (CONTINUATION, vec![])]);
            return Ok(());
        }
        7 => {
            // Begun and given up before its first part, which is free.
            drop(ws.begin(Kind::Text).await?);
            return Ok(());
        }
        8 => return ws.flush().await,
        _ => ws.send(payload).await?,
    }
    said.push(whole);
    Ok(())
}

/// Echoes nothing, but says several things at each message; writes down what and in which order.
async fn talk<S>(mut ws: WebSocket<S>, seed: u64, said: &Mutex<Vec<Frame>>) -> Outcome
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut numbers = Numbers(seed);
    while let Some(message) = ws.recv().await? {
        let mut now = Vec::new();
        // The peer says by each message how many Pings it sent in front.
        now.extend(message.as_bytes().iter().map(|n| (PONG, vec![*n])));
        for _ in 0..numbers.below(6) {
            say_something(&mut ws, &mut numbers, &mut now).await?;
        }
        said.lock().expect("no panic under the lock").append(&mut now);
    }
    Ok(())
}

/// Messages with Pings between, and a Close.
fn talk_to(numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..60 {
        let pings: Vec<_> = (0..numbers.below(3)).map(|n| n as u8).collect();
        pings.iter().for_each(|n| bytes.extend(frame(Role::Client, PING, &[*n])));
        bytes.extend(frame(Role::Client, BINARY, &pings));
    }
    bytes.extend(frame(Role::Client, CLOSE, &close_payload(CloseCode::NORMAL, "")));
    bytes
}

#[track_caller]
fn assert_same(got: &[Frame], want: &[Frame], what: &str) {
    let first = got.iter().zip(want).position(|(got, want)| got != want);
    assert_eq!(first, None, "{what}: they differ from there");
    assert_eq!(got.len(), want.len(), "{what}: frames");
}

#[tokio::test]
async fn everything_that_one_handler_sends_keeps_its_order() {
    for seed in 1..=60 {
        let mut numbers = Numbers(seed);
        let bytes = talk_to(&mut numbers);
        let wire = match seed % 4 {
            0 => Wire::stuttering(1 + numbers.below(3000)),
            _ => Wire::new(),
        };
        if seed % 4 == 1 {
            wire.state().step = 1 + numbers.below(1000);
        }
        wire.push(&bytes);
        let said = Mutex::default();
        let mut served = pin!(serve_connection(server(&wire), |ws| talk(ws, seed, &said)));
        let ended = (0..1_000_000).any(|_| poll_now(served.as_mut()).is_ready());
        assert!(ended, "{seed} hangs");
        let mut want = std::mem::take(&mut *said.lock().unwrap());
        want.push(close(CloseCode::NORMAL));
        assert_same(&output(&wire), &want, &format!("seed {seed}"));
    }
}

/// A transport that takes vectored writes, as sockets do: large payloads are shared then.
#[cfg(feature = "server")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_one_handler_sends_over_tcp_keeps_its_order() {
    use io::{
        tcp::{bind, serve},
        unhung,
    };
    unhung(async {
        let said = std::sync::Arc::new(Mutex::new(Vec::new()));
        let seed = std::sync::Arc::new(Mutex::new(100));
        let running = serve(bind().await, {
            let (said, seed) = (std::sync::Arc::clone(&said), std::sync::Arc::clone(&seed));
            move |ws, _| {
                let (said, seed) = (std::sync::Arc::clone(&said), *seed.lock().unwrap());
                async move { talk(ws, seed, &said).await }
            }
        });
        for n in 100..120 {
            *seed.lock().unwrap() = n;
            let mut peer = running.peer().await;
            tokio::io::AsyncWriteExt::write_all(&mut peer.io, &talk_to(&mut Numbers(n))).await.unwrap();
            let mut got = Vec::new();
            while let Some(frame) = peer.recv().await {
                got.push(frame);
            }
            let mut want = std::mem::take(&mut *said.lock().unwrap());
            want.push(close(CloseCode::NORMAL));
            assert_same(&got, &want, &format!("seed {n}"));
        }
    })
    .await;
}

// ── a handler that waits for something else ──

#[tokio::test]
async fn handler_that_waits_for_a_oneshot_has_everything_written() {
    let wire = wire_with(&["a"]);
    let (go, gone) = oneshot::channel::<()>();
    let handler = async |mut ws: WebSocket<Wire>| {
        ws.recv().await?;
        ws.send("one").await?;
        gone.await.unwrap();
        ws.send("two").await?;
        forever().await
    };
    let mut served = pin!(serve_connection(server(&wire), handler));
    assert!(poll_now(served.as_mut()).is_pending());
    assert_eq!(output(&wire), [text("one")]);
    go.send(()).unwrap();
    assert!(poll_now(served.as_mut()).is_pending());
    assert_eq!(output(&wire), [text("two")]);
}

#[tokio::test(start_paused = true)]
async fn handler_that_sleeps_has_everything_written_with_or_without_recv_beside() {
    for beside in [false, true] {
        let wire = wire_with(&["a"]);
        let handler = async |mut ws: WebSocket<Wire>| {
            let mut n = 0;
            ws.recv().await?;
            loop {
                n += 1;
                ws.send(format!("{n}a")).await?;
                if beside {
                    tokio::select! {
                        biased;
                        () = tokio::time::sleep(Duration::from_secs(1)) => {}
                        message = ws.recv() => { message?; }
                    }
                } else {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                ws.send(format!("{n}b")).await?;
            }
            #[expect(unreachable_code, reason = "it says what the handler returns")]
            Ok::<(), Error>(())
        };
        let mut served = pin!(serve_connection(server(&wire), handler));
        assert!(poll_now(served.as_mut()).is_pending());
        assert_eq!(output(&wire), [text("1a")]);
        for n in 1..5 {
            wire.push(&frame(Role::Client, TEXT, b"between"));
            if beside {
                assert!(poll_now(served.as_mut()).is_pending());
                let (b, a) = (format!("{}b", 2 * n - 1), format!("{}a", 2 * n));
                assert_eq!(output(&wire), [text(&b), text(&a)], "the message came");
            }
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(poll_now(served.as_mut()).is_pending());
            let at = if beside { 2 * n } else { n };
            assert_eq!(output(&wire), [text(&format!("{at}b")), text(&format!("{}a", at + 1))], "the time came");
        }
    }
}

#[tokio::test]
async fn handler_that_sends_behind_a_cancelled_recv_has_everything_written() {
    let wire = wire_with(&["a"]);
    let handler = async |mut ws: WebSocket<Wire>| {
        ws.recv().await?;
        ws.send("one").await?;
        assert!(poll_now(pin!(ws.recv())).is_pending());
        ws.send("two").await?;
        ws.feed("three").await?;
        assert!(poll_now(pin!(ws.recv())).is_pending());
        ws.feed("four").await?;
        forever().await
    };
    let mut served = pin!(serve_connection(server(&wire), handler));
    assert!(poll_now(served.as_mut()).is_pending());
    // What is fed behind the last recv may wait for it, or leave now.
    assert_eq!(output(&wire)[..3], [text("one"), text("two"), text("three")]);
}

#[tokio::test]
async fn handler_that_returns_right_behind_its_sends_has_them_written_before_the_close() {
    for large in [false, true] {
        let wire = wire_with(&["a"]);
        let second = if large { pattern(100_000) } else { pattern(10) };
        let handler = async |mut ws: WebSocket<Wire>| {
            ws.recv().await?;
            ws.send("one").await?;
            ws.send(second.clone()).await?;
            ws.send("three").await
        };
        let mut served = pin!(serve_connection(server(&wire), handler));
        wire.push(&frame(Role::Client, CLOSE, &close_payload(CloseCode::NORMAL, "")));
        assert!(matches!(poll_now(served.as_mut()), Poll::Ready(Ok(()))));
        assert_eq!(output(&wire), [text("one"), (BINARY, second.clone()), text("three"), close(CloseCode::NORMAL)]);
    }
}

// ── the end of the connection while frames wait in the cork ──

#[tokio::test]
async fn what_was_sent_before_the_close_goes_out_before_it_and_send_behind_it_is_refused() {
    let wire = wire_with(&["a"]);
    let handler = async |mut ws: WebSocket<Wire>| {
        ws.recv().await?;
        ws.send("one").await?;
        ws.send("two").await?;
        assert!(poll_now(pin!(ws.close(CloseCode::GOING_AWAY, ""))).is_pending());
        for _ in 0..3 {
            assert!(matches!(ws.send("late").await, Err(Error::Closed)));
            assert!(matches!(ws.feed("late").await, Err(Error::Closed)));
            assert!(matches!(ws.ping("late").await, Err(Error::Closed)));
            assert!(poll_now(pin!(ws.recv())).is_pending());
        }
        forever().await
    };
    let mut served = pin!(serve_connection(server(&wire), handler));
    assert!(poll_now(served.as_mut()).is_pending());
    assert_eq!(output(&wire), [text("one"), text("two"), close(CloseCode::GOING_AWAY)]);
}

#[tokio::test]
async fn replies_go_out_before_the_answer_to_the_peers_close_and_none_behind_it() {
    let wire = wire_with(&["a", "b"]);
    wire.push(&frame(Role::Client, CLOSE, &close_payload(CloseCode::NORMAL, "")));
    let handler = async |mut ws: WebSocket<Wire>| {
        for _ in 0..2 {
            ws.recv().await?;
            ws.send("reply").await?;
        }
        assert_eq!(ws.recv().await?, None);
        for _ in 0..3 {
            assert!(matches!(ws.send("late").await, Err(Error::Closed)));
            assert_eq!(ws.recv().await?, None);
        }
        Ok::<_, Error>(())
    };
    let mut served = pin!(serve_connection(server(&wire), handler));
    assert!(poll_now(served.as_mut()).is_ready());
    assert_eq!(output(&wire), [text("reply"), text("reply"), close(CloseCode::NORMAL)]);
}

#[tokio::test]
async fn replies_go_out_before_the_close_that_fails_the_connection() {
    let wire = wire_with(&["a"]);
    wire.push(b"\x81\x01x"); // not masked
    let handler = async |mut ws: WebSocket<Wire>| {
        ws.recv().await?;
        ws.send("reply").await?;
        assert!(matches!(ws.recv().await, Err(Error::Protocol(_))));
        assert!(matches!(ws.send("late").await, Err(Error::Closed | Error::Protocol(_))));
        Ok::<_, Error>(())
    };
    let mut served = pin!(serve_connection(server(&wire), handler));
    wire.end();
    assert!(poll_now(served.as_mut()).is_ready());
    let frames = output(&wire);
    assert_eq!(frames[0], text("reply"));
    assert_eq!((frames.len(), frames[1].0), (2, CLOSE));
}

#[tokio::test]
async fn transport_that_fails_while_messages_are_corked_shows_in_the_next_call() {
    let wire = wire_with(&["a"]);
    let handler = async |mut ws: WebSocket<Wire>| {
        ws.recv().await?;
        ws.send("one").await?;
        wire.state().writes_fail = true;
        ws.send("two").await?;
        assert!(matches!(ws.recv().await, Err(Error::Io(_))));
        assert!(ws.send("three").await.is_err());
        assert_eq!(ws.queued(), 0);
        Ok::<_, Error>(())
    };
    let mut served = pin!(serve_connection(server(&wire), handler));
    assert!(matches!(poll_now(served.as_mut()), Poll::Ready(Ok(()))));
    assert_eq!(output(&wire), []);
}

#[tokio::test]
async fn replies_reach_a_peer_that_has_ended_its_side_only() {
    let wire = wire_with(&["a", "b"]);
    wire.end();
    let handler = async |mut ws: WebSocket<Wire>| {
        ws.recv().await?;
        ws.send("one").await?;
        ws.recv().await?;
        ws.send("two").await?;
        assert!(matches!(ws.recv().await, Err(Error::Lost)));
        assert!(ws.send("late").await.is_err());
        Ok::<_, Error>(())
    };
    let mut served = pin!(serve_connection(server(&wire), handler));
    assert!(matches!(poll_now(served.as_mut()), Poll::Ready(Ok(()))));
    assert_eq!(output(&wire), [text("one"), text("two")]);
}

// ── a thread's next connection ──

#[tokio::test]
async fn handler_that_panics_leaves_nothing_to_the_threads_next_connection() {
    for waits_first in [false, true] {
        let wire = wire_with(&["secret"]);
        let handler = async |mut ws: WebSocket<Wire>| {
            let secret = ws.recv().await?.unwrap();
            ws.send(secret.clone()).await?;
            if waits_first {
                assert!(poll_now(pin!(ws.recv())).is_pending());
                ws.send(secret).await?;
            }
            panic!("on purpose");
            #[expect(unreachable_code, reason = "it says what the handler returns")]
            Ok::<(), Error>(())
        };
        let mut served = Box::pin(serve_connection(server(&wire), handler));
        assert!(catch_unwind(AssertUnwindSafe(|| poll_now(served.as_mut()))).is_err());
        for _ in 0..2 {
            let next = wire_with(&["mine"]);
            let mut echoed = pin!(serve_connection(server(&next), echo));
            assert!(poll_now(echoed.as_mut()).is_pending());
            assert_eq!(output(&next), [text("mine")]);
        }
        drop(served);
        let next = wire_with(&["mine"]);
        assert!(poll_now(pin!(serve_connection(server(&next), echo))).is_pending());
        assert_eq!(output(&next), [text("mine")]);
    }
}

#[cfg(feature = "server")]
#[tokio::test]
async fn server_goes_on_cleanly_behind_handlers_that_panic() {
    use io::{
        tcp::{bind, serve},
        unhung,
    };
    unhung(async {
        let running = serve(bind().await, async |mut ws: WebSocket, _| {
            while let Some(message) = ws.recv().await? {
                ws.send(message.clone()).await?;
                assert_ne!(message.as_text(), Some("panic"), "on purpose");
            }
            Ok::<_, Error>(())
        });
        for n in 0..20 {
            let (mut bad, mut good) = (running.peer().await, running.peer().await);
            bad.send(TEXT, b"panic").await;
            let body = format!("good {n}");
            good.send(TEXT, body.as_bytes()).await;
            assert_eq!(good.recv().await, Some(text(&body)));
            good.close(CloseCode::NORMAL, "").await;
            assert_eq!(good.recv().await, Some(close(CloseCode::NORMAL)));
            assert_eq!(good.recv().await, None);
            while let Some(frame) = bad.recv().await {
                assert_eq!(frame, text("panic"));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn handler_that_is_dropped_between_polls_leaves_nothing_to_the_threads_next_connection() {
    for slow in [false, true] {
        let wire = wire_with(&["secret"]);
        if slow {
            wire.set_room(3);
        }
        let mut served = Box::pin(serve_connection(server(&wire), echo));
        assert!(poll_now(served.as_mut()).is_pending());
        drop(served);
        let next = wire_with(&["mine"]);
        assert!(poll_now(pin!(serve_connection(server(&next), echo))).is_pending());
        assert_eq!(output(&next), [text("mine")]);
    }
}

#[tokio::test]
async fn connections_in_turn_on_one_thread_get_their_own_bytes_only() {
    let wires: Vec<_> = (0..20).map(|_| Wire::new()).collect();
    let mut served: Vec<Pin<Box<dyn Future<Output = Outcome>>>> = Vec::new();
    for wire in &wires {
        served.push(Box::pin(serve_connection(server(wire), echo)));
    }
    let mut numbers = Numbers(7);
    for round in 0..500 {
        let at = numbers.below(wires.len());
        let room = if numbers.below(3) == 0 { numbers.below(10) } else { usize::MAX };
        wires[at].set_room(room);
        let body = format!("{at}:{round}");
        wires[at].push(&frame(Role::Client, TEXT, body.as_bytes()));
        assert!(poll_now(served[at].as_mut()).is_pending());
    }
    for (at, wire) in wires.iter().enumerate() {
        wire.set_room(usize::MAX);
        assert!(poll_now(served[at].as_mut()).is_pending());
        let rounds: Vec<u32> = output(wire)
            .into_iter()
            .map(|(_, body)| {
                let body = String::from_utf8(body).unwrap();
                let (whose, round) = body.split_once(':').unwrap();
                assert_eq!(whose, at.to_string());
                round.parse().unwrap()
            })
            .collect();
        assert!(rounds.is_sorted() && rounds.len() > 5, "{rounds:?}");
    }
}

// ── a peer that does not read ──

#[tokio::test]
async fn handler_stops_reading_when_the_peer_takes_no_replies() {
    for payload in [1, 100, 4000] {
        let wire = Wire::new();
        wire.set_room(0);
        let request = frame(Role::Client, BINARY, &pattern(payload));
        wire.push(&request.repeat(8 * 1024 * 1024 / request.len()));
        let (most, replies) = (Cell::new(0), Cell::new(0));
        let handler = async |mut ws: WebSocket<Wire>| {
            while let Some(message) = ws.recv().await? {
                ws.send(message).await?;
                replies.set(replies.get() + 1);
            }
            most.set(1);
            Ok::<_, Error>(())
        };
        let mut served = pin!(serve_connection(server(&wire), handler));
        (0..10).for_each(|_| assert!(poll_now(served.as_mut()).is_pending()));
        let queued = replies.get() * (payload + 2);
        assert!(queued < 256 * 1024, "{queued} bytes are queued for a peer that reads nothing ({payload} a message)");
    }
}

#[tokio::test]
async fn what_waits_for_a_slow_peer_leaves_whole_and_in_order() {
    let wire = Wire::new();
    wire.set_room(0);
    let request = |n: u32| frame(Role::Client, BINARY, &n.to_be_bytes().repeat(50));
    (0..20_000).for_each(|n| wire.push(&request(n)));
    let mut served = pin!(serve_connection(server(&wire), echo));
    let mut bytes = Vec::new();
    for _ in 0..10_000 {
        assert!(poll_now(served.as_mut()).is_pending());
        wire.set_room(999);
        bytes.append(&mut wire.take_output());
    }
    let frames = parse(&bytes);
    assert_eq!(frames.len(), 20_000);
    for (n, (_, payload)) in frames.iter().enumerate() {
        assert_eq!(payload[..4], (n as u32).to_be_bytes(), "reply {n}");
    }
}

/// A message's length that the thread-local cork does not take by itself, and all around it.
#[tokio::test]
async fn messages_of_all_lengths_around_the_bounds_keep_their_order() {
    let lens = [0, 1, 125, 126, 127, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 200_000];
    let wire = wire_with(&["a"]);
    let handler = async |mut ws: WebSocket<Wire>| {
        ws.recv().await?;
        for len in lens {
            ws.send("small").await?;
            ws.send(Message::from(pattern(len))).await?;
        }
        forever().await
    };
    let mut served = pin!(serve_connection(server(&wire), handler));
    assert!(poll_now(served.as_mut()).is_pending());
    let want: Vec<_> = lens.iter().flat_map(|len| [text("small"), (BINARY, pattern(*len))]).collect();
    assert_same(&output(&wire), &want, "lengths");
}
