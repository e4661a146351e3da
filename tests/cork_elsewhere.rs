//! The stream floor: what a served handler has sent waits in its thread's cork, while another thread, or another
//! connection's handler inside its poll, has the connection's halves.
#![cfg(feature = "stream")]

mod io;

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
    thread,
    time::Duration,
};

use io::{
    CLOSE, TEXT, Wire, close_payload, endpoint, frame, poll_now,
    served::{close, echo, forever, output, server, text, wire_with},
    unhung,
};
use sockeye::{
    CloseCode, Error, Kind, PreparedMessage, Role, WebSocket,
    stream::{Receiver, Sender, serve_connection},
};
type Slot<T> = Arc<Mutex<Option<T>>>;

/// Runs in another thread, with a clock, while this one stands still where it is.
fn elsewhere<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let _clock = runtime.enter();
        run()
    });
    thread.join().expect("it does not panic")
}

fn slot<T>() -> Slot<T> {
    Arc::new(Mutex::new(None))
}

fn put<T>(slot: &Slot<T>, value: T) {
    assert!(slot.lock().expect("no panic under the lock").replace(value).is_none());
}

fn take<T>(slot: &Slot<T>) -> T {
    slot.lock().expect("no panic under the lock").take().expect("it was put there")
}

// ── a connection inside another's poll ──

#[tokio::test]
async fn connections_served_inside_anothers_poll_get_their_own_bytes_only() {
    let (outer, inner) = (wire_with(&["o1", "o2"]), wire_with(&["i1"]));
    let inner_end = inner.clone();
    let handler = async |mut ws: WebSocket<Wire>| {
        let first = ws.recv().await?.unwrap();
        ws.send(first).await?;
        // All of this happens inside one poll of the outer connection, with "o1" in its cork.
        let nested = async |mut ws: WebSocket<Wire>| {
            let first = ws.recv().await?.unwrap();
            ws.send(first).await?;
            ws.send("i1 again").await
        };
        inner.push(&frame(Role::Client, CLOSE, &close_payload(CloseCode::NORMAL, "")));
        serve_connection(server(&inner), nested).await?;
        ws.send("o1 again").await?;
        let second = ws.recv().await?.unwrap();
        ws.send(second).await?;
        forever().await
    };
    let mut served = pin!(serve_connection(server(&outer), handler));
    assert!(poll_now(served.as_mut()).is_pending());
    assert_eq!(output(&outer), [text("o1"), text("o1 again"), text("o2")]);
    assert_eq!(output(&inner_end), [text("i1"), text("i1 again"), close(CloseCode::NORMAL)]);
}

#[tokio::test]
async fn nested_handler_that_sends_to_both_connections_mixes_and_loses_nothing() {
    let (outer, inner) = (wire_with(&["o"]), wire_with(&["i"]));
    let inner_end = inner.clone();
    let handler = async |mut ws: WebSocket<Wire>| {
        ws.recv().await?;
        ws.send("outer 0").await?;
        serve_connection(server(&inner), async |mut other: WebSocket<Wire>| {
            other.recv().await?;
            for n in 1..10 {
                other.send(format!("inner {n}")).await?;
                ws.send(format!("outer {n}")).await?;
            }
            forever().await
        })
        .await
    };
    let mut served = pin!(serve_connection(server(&outer), handler));
    for _ in 0..30 {
        assert!(poll_now(served.as_mut()).is_pending());
    }
    let all = |name: &str, from| (from..10).map(|n| text(&format!("{name} {n}"))).collect::<Vec<_>>();
    assert_eq!(output(&outer), all("outer", 0));
    assert_eq!(output(&inner_end), all("inner", 1));
}

#[tokio::test]
async fn nested_handler_that_panics_leaves_the_outer_connection_as_it_was() {
    let (outer, inner) = (wire_with(&["o"]), wire_with(&["i"]));
    let handler = async |mut ws: WebSocket<Wire>| {
        ws.recv().await?;
        ws.send("one").await?;
        let mut nested = Box::pin(serve_connection(server(&inner), async |mut other: WebSocket<Wire>| {
            other.recv().await?;
            other.send("foreign").await?;
            panic!("on purpose");
            #[expect(unreachable_code, reason = "it says what the handler returns")]
            Ok::<(), Error>(())
        }));
        assert!(catch_unwind(AssertUnwindSafe(|| poll_now(nested.as_mut()))).is_err());
        ws.send("two").await?;
        forever().await
    };
    let mut served = pin!(serve_connection(server(&outer), handler));
    assert!(poll_now(served.as_mut()).is_pending());
    assert_eq!(output(&outer), [text("one"), text("two")]);
}

/// What a proxy does: it serves the connection behind it from inside the handler of the one in front.
#[tokio::test]
async fn nested_handler_that_receives_from_the_outer_connection_loses_nothing() {
    let (outer, inner) = (wire_with(&["o"]), Wire::new());
    let handler = async |mut ws: WebSocket<Wire>| {
        ws.recv().await?;
        ws.send("welcome").await?;
        serve_connection(server(&inner), async |_other: WebSocket<Wire>| ws.recv().await.map(drop)).await
    };
    let mut served = pin!(serve_connection(server(&outer), handler));
    assert!(poll_now(served.as_mut()).is_pending());
    assert_eq!(output(&outer), [text("welcome")]);
}

#[tokio::test]
async fn nested_handler_that_closes_the_outer_connection_does_so_behind_what_was_sent() {
    let (outer, inner) = (wire_with(&["o"]), Wire::new());
    let handler = async |mut ws: WebSocket<Wire>| {
        ws.recv().await?;
        ws.send("welcome").await?;
        let nested = async |_other: WebSocket<Wire>| ws.close(CloseCode::GOING_AWAY, "").await;
        serve_connection(server(&inner), nested).await
    };
    let mut served = pin!(serve_connection(server(&outer), handler));
    assert!(poll_now(served.as_mut()).is_pending());
    assert_eq!(output(&outer), [text("welcome"), close(CloseCode::GOING_AWAY)]);
}

/// A library's wrapper may serve what its caller serves already.
#[tokio::test]
async fn connection_that_is_served_twice_keeps_its_order() {
    let wire = wire_with(&["a", "b"]);
    wire.state().step = frame(Role::Client, TEXT, b"a").len();
    let handler = async |mut ws: WebSocket<Wire>| {
        ws.recv().await?;
        ws.send("one").await?;
        let inner = async |mut ws: WebSocket<Wire>| {
            ws.recv().await?;
            ws.send("two").await?;
            forever().await
        };
        serve_connection(ws, inner).await
    };
    let mut served = pin!(serve_connection(server(&wire), handler));
    for _ in 0..3 {
        assert!(poll_now(served.as_mut()).is_pending());
    }
    assert_eq!(output(&wire), [text("one"), text("two")]);
}

#[tokio::test]
async fn connection_that_is_served_twice_loses_nothing_when_it_waits() {
    let wire = wire_with(&["a"]);
    let handler = async |mut ws: WebSocket<Wire>| {
        ws.recv().await?;
        ws.send("one").await?;
        serve_connection(ws, echo).await
    };
    let mut served = pin!(serve_connection(server(&wire), handler));
    assert!(poll_now(served.as_mut()).is_pending());
    assert_eq!(output(&wire), [text("one")]);
}

// ── another thread in the middle of a poll ──

#[tokio::test]
async fn websocket_that_moves_to_another_thread_sends_behind_what_it_sent_here() {
    for split in [false, true] {
        let wire = wire_with(&["a"]);
        let moved = slot();
        let handler = async |mut ws: WebSocket<Wire>| {
            ws.recv().await?;
            ws.send("one").await?;
            ws.send("two").await?;
            let moved = Arc::clone(&moved);
            elsewhere(move || {
                let (sender, receiver) = ws.split();
                let sender = if split { sender.clone() } else { sender };
                // It would overtake what is in the cork of the thread that it came from.
                let overtakes = [poll_now(pin!(sender.send("three"))), poll_now(pin!(sender.feed("three")))];
                assert!(overtakes.iter().all(Poll::is_pending));
                assert!(poll_now(pin!(sender.send_prepared(&PreparedMessage::new("three")))).is_pending());
                assert!(poll_now(pin!(sender.begin(Kind::Text))).is_pending());
                put(&moved, (sender, receiver));
            });
            forever().await
        };
        let mut served = pin!(serve_connection(server(&wire), handler));
        assert!(poll_now(served.as_mut()).is_pending());
        let (sender, receiver): (Sender<_>, Receiver<_>) = take(&moved);
        elsewhere(move || {
            assert!(poll_now(pin!(sender.send("three"))).is_ready());
            drop(receiver);
        });
        assert_eq!(output(&wire), [text("one"), text("two"), text("three")]);
    }
}

#[tokio::test]
async fn sender_that_waits_in_another_thread_is_woken_by_the_end_of_the_poll() {
    for unsplit in [false, true] {
        let wire = wire_with(&["a"]);
        let thread = Cell::new(None);
        let handler = async |mut ws: WebSocket<Wire>| {
            ws.recv().await?;
            ws.send("one").await?;
            let (tell, told) = std::sync::mpsc::channel();
            thread.set(Some(thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                runtime.block_on(unhung(async {
                    let mut ws = ws;
                    assert!(poll_now(pin!(ws.send("two"))).is_pending());
                    tell.send(()).unwrap();
                    if unsplit {
                        ws.send("two").await.unwrap();
                    } else {
                        ws.split().0.send("two").await.unwrap();
                    }
                }));
            })));
            told.recv().unwrap();
            forever().await
        };
        let mut served = pin!(serve_connection(server(&wire), handler));
        assert!(poll_now(served.as_mut()).is_pending());
        thread.take().unwrap().join().unwrap();
        assert_eq!(output(&wire), [text("one"), text("two")]);
    }
}

#[tokio::test]
async fn ping_from_another_thread_does_not_overtake_what_was_sent_here() {
    let wire = wire_with(&["a"]);
    let handler = async |mut ws: WebSocket<Wire>| {
        ws.recv().await?;
        ws.send("one").await?;
        let kept = elsewhere(move || {
            let _ = poll_now(pin!(ws.ping("behind one")));
            ws
        });
        forever().await?;
        drop(kept);
        Ok::<_, Error>(())
    };
    let mut served = pin!(serve_connection(server(&wire), handler));
    for _ in 0..3 {
        assert!(poll_now(served.as_mut()).is_pending());
    }
    let frames = output(&wire);
    assert_eq!(frames[0], text("one"), "{frames:?}");
}

#[tokio::test]
async fn websocket_that_waits_in_another_thread_loses_nothing_that_was_sent_here() {
    let wire = wire_with(&["a"]);
    let handler = async |mut ws: WebSocket<Wire>| {
        ws.recv().await?;
        ws.send("one").await?;
        let kept = elsewhere(move || {
            assert!(poll_now(pin!(ws.recv())).is_pending());
            ws
        });
        forever().await?;
        drop(kept);
        Ok::<_, Error>(())
    };
    let mut served = pin!(serve_connection(server(&wire), handler));
    assert!(poll_now(served.as_mut()).is_pending());
    assert_eq!(output(&wire), [text("one")]);
}

#[tokio::test]
async fn receiver_that_waits_in_another_thread_loses_nothing_that_was_sent_before_the_split() {
    let wire = wire_with(&["a"]);
    let handler = async |mut ws: WebSocket<Wire>| {
        ws.recv().await?;
        ws.send("one").await?;
        let (sender, mut receiver) = ws.split();
        let receiver = elsewhere(move || {
            assert!(poll_now(pin!(receiver.recv())).is_pending());
            receiver
        });
        // It must not wait for ever for what is lost, either.
        sender.send("two").await?;
        forever().await?;
        drop(receiver);
        Ok::<_, Error>(())
    };
    let mut served = pin!(serve_connection(server(&wire), handler));
    assert!(poll_now(served.as_mut()).is_pending());
    assert_eq!(output(&wire), [text("one"), text("two")]);
}

/// The receiver waits elsewhere, and the handler waits for something else right behind the split.
#[tokio::test]
async fn receiver_that_waits_in_another_thread_loses_nothing_of_a_handler_that_waits_for_something_else() {
    let wire = wire_with(&["a"]);
    let handler = async |mut ws: WebSocket<Wire>| {
        ws.recv().await?;
        ws.send("one").await?;
        let (sender, mut receiver) = ws.split();
        let receiver = elsewhere(move || {
            assert!(poll_now(pin!(receiver.recv())).is_pending());
            receiver
        });
        forever().await?;
        drop((sender, receiver));
        Ok::<_, Error>(())
    };
    let mut served = pin!(serve_connection(server(&wire), handler));
    assert!(poll_now(served.as_mut()).is_pending());
    assert_eq!(output(&wire), [text("one")]);
}

#[tokio::test]
async fn close_from_another_thread_goes_out_behind_what_was_sent_here() {
    for (half, by) in [(false, "WebSocket"), (true, "Sender")] {
        let wire = wire_with(&["a"]);
        let handler = async |mut ws: WebSocket<Wire>| {
            ws.recv().await?;
            ws.send("one").await?;
            if half {
                let (sender, receiver) = ws.split();
                let other = sender.clone();
                elsewhere(move || assert!(poll_now(pin!(other.close(CloseCode::GOING_AWAY, ""))).is_pending()));
                forever().await?;
                drop((sender, receiver));
            } else {
                let ws = elsewhere(move || {
                    assert!(poll_now(pin!(ws.close(CloseCode::GOING_AWAY, ""))).is_pending());
                    ws
                });
                forever().await?;
                drop(ws);
            }
            Ok::<_, Error>(())
        };
        let mut served = pin!(serve_connection(server(&wire), handler));
        assert!(poll_now(served.as_mut()).is_pending());
        assert_eq!(output(&wire), [text("one"), close(CloseCode::GOING_AWAY)], "closed by the {by}");
    }
}

#[tokio::test]
async fn nothing_goes_out_behind_a_close_from_another_thread() {
    let wire = wire_with(&["a", "b"]);
    let handler = async |mut ws: WebSocket<Wire>| {
        ws.recv().await?;
        ws.send("one").await?;
        let (sender, mut receiver) = ws.split();
        let other = sender.clone();
        elsewhere(move || assert!(poll_now(pin!(other.close(CloseCode::GOING_AWAY, ""))).is_pending()));
        // The handler's own messages of this poll may still go out in front.
        let _ = poll_now(pin!(sender.send("two")));
        assert_eq!(receiver.recv().await?, Some("b".into()));
        assert!(poll_now(pin!(receiver.recv())).is_pending());
        assert!(matches!(sender.send("late").await, Err(Error::Closed)));
        forever().await
    };
    let mut served = pin!(serve_connection(server(&wire), handler));
    assert!(poll_now(served.as_mut()).is_pending());
    let mut frames = output(&wire);
    assert_eq!(frames.pop(), Some(close(CloseCode::GOING_AWAY)));
    assert!(frames == [text("one")] || frames == [text("one"), text("two")], "{frames:?}");
}

#[tokio::test]
async fn sender_that_has_closed_in_another_thread_cannot_send_there() {
    let wire = wire_with(&["a"]);
    let handler = async |mut ws: WebSocket<Wire>| {
        ws.recv().await?;
        let (sender, receiver) = ws.split();
        let other = sender.clone();
        elsewhere(move || {
            assert!(poll_now(pin!(other.close(CloseCode::GOING_AWAY, ""))).is_pending());
            let sent = poll_now(pin!(other.send("behind")));
            assert!(matches!(sent, Poll::Ready(Err(Error::Closed))), "{sent:?}");
        });
        forever().await?;
        drop((sender, receiver));
        Ok::<_, Error>(())
    };
    let mut served = pin!(serve_connection(server(&wire), handler));
    assert!(poll_now(served.as_mut()).is_pending());
    assert_eq!(output(&wire), [close(CloseCode::GOING_AWAY)]);
}

#[tokio::test]
async fn close_of_the_peer_that_another_thread_reads_is_answered_behind_what_was_sent_here() {
    for came_with_the_message in [true, false] {
        let wire = wire_with(&["a"]);
        let close_of_peer = frame(Role::Client, CLOSE, &close_payload(CloseCode::NORMAL, ""));
        if came_with_the_message {
            wire.push(&close_of_peer);
        }
        let moved = slot();
        let handler = async |mut ws: WebSocket<Wire>| {
            ws.recv().await?;
            ws.send("one").await?;
            if !came_with_the_message {
                wire.push(&close_of_peer);
            }
            let moved = Arc::clone(&moved);
            elsewhere(move || {
                // It waits for the end of the turn, with the Close unanswered.
                assert!(poll_now(pin!(ws.recv())).is_pending());
                put(&moved, ws);
            });
            forever().await
        };
        let mut served = pin!(serve_connection(server(&wire), handler));
        assert!(poll_now(served.as_mut()).is_pending());
        let mut ws: WebSocket<Wire> = take(&moved);
        elsewhere(move || assert!(matches!(poll_now(pin!(ws.recv())), Poll::Ready(Ok(None)))));
        assert_eq!(output(&wire), [text("one"), close(CloseCode::NORMAL)]);
    }
}

/// What many servers do: greet, split, and leave the receiver to a task. Any thread may take it up at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn receivers_that_run_away_to_other_workers_lose_no_greeting() {
    unhung(async {
        for n in 0..300 {
            let (ours, theirs) = tokio::io::duplex(4096);
            let mut client = endpoint(theirs, Role::Client);
            client.send("hello").await.unwrap();
            let served = tokio::spawn(serve_connection(
                endpoint(ours, Role::Server),
                async move |mut ws: WebSocket<tokio::io::DuplexStream>| {
                    let hello = ws.recv().await?.unwrap();
                    ws.send(hello).await?;
                    let (sender, mut receiver) = ws.split();
                    let receiving = tokio::spawn(async move { while let Ok(Some(_)) = receiver.recv().await {} });
                    // Makes room for it in the worker's queue, where another worker finds it.
                    tokio::spawn(async {});
                    // A little work, as any handler has.
                    thread::sleep(Duration::from_micros(300));
                    if n % 2 == 0 {
                        sender.send("welcome").await?;
                    }
                    receiving.await.unwrap();
                    Ok::<_, Error>(())
                },
            ));
            assert_eq!(client.recv().await.unwrap(), Some("hello".into()), "connection {n}");
            if n % 2 == 0 {
                assert_eq!(client.recv().await.unwrap(), Some("welcome".into()), "connection {n}");
            }
            client.close(CloseCode::NORMAL, "").await.unwrap();
            served.await.unwrap().unwrap();
        }
    })
    .await;
}

/// A server that is shut down by another thread in the middle of a handler's poll.
#[cfg(feature = "server")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn shutdown_in_the_middle_of_a_poll_closes_behind_what_was_sent() {
    unhung(async {
        let server = io::tcp::bind().await;
        let address = server.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let stop = Arc::new(Mutex::new(Some(stop)));
        let handler = move |mut ws: WebSocket, _| {
            let stop = Arc::clone(&stop);
            async move {
                while let Some(message) = ws.recv().await? {
                    ws.send(message).await?;
                    let stop = stop.lock().unwrap().take();
                    if let Some(stop) = stop {
                        stop.send(()).unwrap();
                        // The handler is busy, while the shutdown reaches its connection.
                        thread::sleep(Duration::from_millis(200));
                    }
                    ws.send("more").await?;
                }
                assert!(matches!(ws.send("late").await, Err(Error::Closed)));
                Ok::<_, Error>(())
            }
        };
        let serving = tokio::spawn(server.serve_until(handler, async { drop(stopped.await) }));
        let mut peer = io::Peer::new(tokio::net::TcpStream::connect(address).await.unwrap(), Role::Client);
        let request = format!("{}\r\n", io::tcp::REQUEST);
        tokio::io::AsyncWriteExt::write_all(&mut peer.io, request.as_bytes()).await.unwrap();
        peer.recv_head().await;
        peer.send(TEXT, b"one").await;
        assert_eq!(peer.recv().await, Some(text("one")));
        assert_eq!(peer.recv().await, Some(text("more")));
        assert_eq!(peer.recv_close().await, 1001);
        peer.close(CloseCode::GOING_AWAY, "").await;
        assert_eq!(peer.recv().await, None);
        serving.await.unwrap().unwrap();
    })
    .await;
}
