//! What ARCHITECTURE.md promises in numbers, counted and not timed: allocations, reads, writes, and the bytes that an
//! idle connection owns.
#![cfg(feature = "stream")]

mod io;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    pin::{Pin, pin},
};

use io::{BINARY, CLOSE, PING, PONG, TEXT, Wire, close_payload, endpoint, frame, opposite, parse, pattern, poll_now};
use sockeye::{CloseCode, Error, Role, WebSocket, stream::serve_connection};

const ROLES: [Role; 2] = [Role::Client, Role::Server];

thread_local! {
    /// How many allocations this thread has made, and how many bytes it has more than it gave back.
    static COUNTS: Cell<(usize, isize)> = const { Cell::new((0, 0)) };
}

struct Counting;

fn count(allocations: usize, bytes: isize) {
    // A thread that ends allocates without being counted.
    let _ = COUNTS.try_with(|counts| {
        let (all, net) = counts.get();
        counts.set((all + allocations, net + bytes));
    });
}

// SAFETY: every call is handed to the system's allocator as it came; counting allocates nothing.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as isize);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, -(layout.size() as isize));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(block, layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(1, new_size as isize - layout.size() as isize);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(block, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> usize {
    COUNTS.get().0
}

fn owned_bytes() -> isize {
    COUNTS.get().1
}

/// The loop that everybody writes.
async fn echo(mut ws: WebSocket<Wire>) -> Result<(), Error> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

/// So many small messages of a peer of `role`, text and binary in turn.
fn small_messages(role: Role, count: usize) -> (Vec<u8>, Vec<io::Frame>) {
    let frames: Vec<_> =
        (0..count).map(|n| if n % 2 == 0 { (TEXT, b"Hello".to_vec()) } else { (BINARY, pattern(n % 100)) }).collect();
    (frames.iter().flat_map(|(first, payload)| frame(role, *first, payload)).collect(), frames)
}

#[tokio::test]
async fn served_echo_of_small_messages_allocates_nothing_and_writes_once_per_read() {
    for role in ROLES {
        let wire = Wire::with_capacity(1 << 20);
        let mut served = pin!(serve_connection(endpoint(wire.clone(), role), echo));
        let (bytes, frames) = small_messages(opposite(role), 500);
        assert!(bytes.len() < 64 * 1024, "one read takes them all");
        for round in 0..10 {
            {
                let mut state = wire.state();
                (state.reads, state.writes) = (0, 0);
                state.output.clear();
            }
            wire.push(&bytes);
            let before = allocations();
            assert!(poll_now(served.as_mut()).is_pending());
            let allocated = allocations() - before;
            assert!(round < 2 || allocated == 0, "{role:?}: {allocated} allocations for 500 messages in round {round}");
            let state = wire.state();
            assert_eq!((state.reads, state.writes), (1, 1), "{role:?}: reads and writes in round {round}");
            assert_eq!(parse(&state.output), frames);
        }
    }
}

#[tokio::test]
async fn served_pongs_leave_with_the_replies_in_one_write() {
    let wire = Wire::new();
    let mut served = pin!(serve_connection(endpoint(wire.clone(), Role::Server), echo));
    wire.push(&frame(Role::Client, TEXT, b"one"));
    wire.push(&frame(Role::Client, PING, b"ping"));
    wire.push(&frame(Role::Client, TEXT, b"two"));
    wire.push(&frame(Role::Client, CLOSE, &close_payload(CloseCode::NORMAL, "")));
    assert!(poll_now(served.as_mut()).is_ready());
    assert_eq!(wire.state().writes, 1);
    let frames = [
        (TEXT, b"one".to_vec()),
        (PONG, b"ping".to_vec()),
        (TEXT, b"two".to_vec()),
        (CLOSE, close_payload(CloseCode::NORMAL, "")),
    ];
    assert_eq!(parse(&wire.take_output()), frames);
}

#[tokio::test]
async fn served_handler_that_waits_for_something_else_holds_nothing_back() {
    let wire = Wire::new();
    let handler = |mut ws: WebSocket<Wire>| async move {
        ws.send("one").await?;
        ws.send("two").await?;
        std::future::pending::<Result<(), Error>>().await
    };
    let mut served = pin!(serve_connection(endpoint(wire.clone(), Role::Server), handler));
    assert!(poll_now(served.as_mut()).is_pending());
    assert_eq!(wire.state().writes, 1);
    assert_eq!(parse(&wire.take_output()), [(TEXT, b"one".to_vec()), (TEXT, b"two".to_vec())]);
}

#[tokio::test]
async fn served_handler_that_feeds_behind_a_recv_that_waits_holds_nothing_back() {
    let wire = Wire::new();
    let mut served = pin!(serve_connection(endpoint(wire.clone(), Role::Server), |mut ws| async move {
        assert!(poll_now(pin!(ws.recv())).is_pending());
        ws.feed("fed").await.unwrap();
        std::future::pending::<()>().await;
    }));
    assert!(poll_now(served.as_mut()).is_pending());
    assert_eq!(parse(&wire.take_output()), [(TEXT, b"fed".to_vec())]);
}

#[tokio::test]
async fn served_handler_queues_no_more_than_a_bound_for_a_peer_that_does_not_read() {
    let wire = Wire::new();
    wire.set_room(0);
    let most = Cell::new(0);
    let handler = |mut ws: WebSocket<Wire>| {
        let most = &most;
        async move {
            loop {
                ws.send(pattern(1000)).await?;
                most.set(ws.queued().max(most.get()));
            }
            #[expect(unreachable_code, reason = "it says what the handler returns")]
            Ok::<(), Error>(())
        }
    };
    let mut served = pin!(serve_connection(endpoint(wire.clone(), Role::Server), handler));
    assert!(poll_now(served.as_mut()).is_pending());
    assert!((32 * 1024..66 * 1024).contains(&most.get()), "{} bytes are queued", most.get());
}

#[tokio::test]
async fn websocket_that_nobody_serves_writes_at_each_send() {
    for role in ROLES {
        let wire = Wire::new();
        let mut ws = endpoint(wire.clone(), role);
        for n in 1..=10 {
            ws.send("message").await.unwrap();
            assert_eq!(wire.state().writes, n);
        }
    }
}

#[tokio::test]
async fn fed_messages_leave_in_one_write() {
    for role in ROLES {
        let wire = Wire::new();
        let mut ws = endpoint(wire.clone(), role);
        for _ in 0..100 {
            ws.feed("message").await.unwrap();
        }
        assert_eq!(wire.state().writes, 0);
        ws.flush().await.unwrap();
        assert_eq!(wire.state().writes, 1);
    }
}

#[tokio::test]
async fn message_that_is_announced_large_costs_only_what_arrives() {
    let wire = Wire::with_capacity(1024);
    let mut ws = endpoint(wire.clone(), Role::Client);
    wire.push(&frame(Role::Server, TEXT, b"warms up"));
    ws.recv().await.unwrap();
    assert!(poll_now(pin!(ws.recv())).is_pending());
    wire.push(b"\x82\x7f\x00\x00\x00\x00\x03\xff\xff\xff"); // 64 MiB less a byte are announced
    wire.push(&[0; 100]);
    let before = owned_bytes();
    assert!(poll_now(pin!(ws.recv())).is_pending());
    let grown = owned_bytes() - before;
    assert!(grown < 1024, "{grown} bytes for 100 that arrived");
}

type Served = Pin<Box<dyn Future<Output = Result<(), Error>>>>;

/// What a connection owns on average that has had traffic and waits for more.
fn idle_bytes(messages: &[u8], rounds: usize) -> isize {
    const CONNECTIONS: usize = 1000;
    let wires: Vec<_> = (0..CONNECTIONS).map(|_| Wire::with_capacity(messages.len())).collect();
    let mut served: Vec<Served> = Vec::with_capacity(CONNECTIONS);
    let before = owned_bytes();
    for wire in &wires {
        served.push(Box::pin(serve_connection(endpoint(wire.clone(), Role::Server), echo)));
    }
    for _ in 0..rounds {
        for (wire, served) in wires.iter().zip(&mut served) {
            wire.push(messages);
            assert!(poll_now(served.as_mut()).is_pending());
            let mut state = wire.state();
            assert!(!state.output.is_empty());
            state.output.clear();
        }
    }
    (owned_bytes() - before) / CONNECTIONS as isize
}

#[tokio::test]
async fn idle_connection_owns_no_buffer() {
    let owned = idle_bytes(&small_messages(Role::Client, 20).0, 3);
    assert!(owned < 2048, "an idle connection owns {owned} bytes");
}

#[tokio::test]
async fn idle_connection_owns_no_buffer_behind_a_large_message() {
    let owned = idle_bytes(&frame(Role::Client, BINARY, &pattern(10_000)), 2);
    assert!(owned < 2048, "an idle connection owns {owned} bytes");
}

#[tokio::test]
async fn idle_connection_owns_no_buffer_inside_a_header() {
    let mut bytes = frame(Role::Client, BINARY, &pattern(200));
    // The header of the next message has all but its last byte.
    bytes.extend_from_slice(&frame(Role::Client, BINARY, &pattern(70_000))[..13]);
    let owned = idle_bytes(&bytes, 1);
    assert!(owned < 2048, "an idle connection owns {owned} bytes");
}

/// The most that a message may cost while so many bytes of it arrive, all behind one header.
fn grown_by(first: u8, arriving: usize, read: usize) -> isize {
    let wire = Wire::with_capacity(1 << 20);
    let config = sockeye::Config::new(Role::Client).max_message(usize::MAX);
    let mut ws = io::open(wire.clone(), Role::Client, config, None);
    wire.push(&frame(Role::Server, TEXT, b"warms up"));
    assert!(poll_now(pin!(ws.recv())).is_ready());
    assert!(poll_now(pin!(ws.recv())).is_pending());
    let before = owned_bytes();
    wire.push(&[first, 127, 0, 0, 0, 0, 0x40, 0, 0, 0]); // 1 GiB is announced
    let bytes = vec![b'a'; read];
    let own = read as isize;
    for _ in 0..arriving / read {
        wire.push(&bytes);
        assert!(poll_now(pin!(ws.recv())).is_pending());
    }
    owned_bytes() - before - own
}

#[tokio::test]
async fn message_of_a_gibibyte_costs_at_most_about_twice_what_arrives() {
    const ARRIVING: usize = 100 * 1024;
    // Text and binary, in the last frame and in one that others follow.
    for first in [0x82, 0x02, 0x81, 0x01] {
        for read in [1, 100, 1000, 4096, 20 * 1024, 50 * 1024, ARRIVING] {
            let grown = grown_by(first, ARRIVING, read);
            assert!(grown <= 2 * ARRIVING as isize + 4096, "{grown} bytes in reads of {read}, {first:#x}");
        }
    }
}

#[tokio::test]
async fn connections_that_are_idle_behind_corked_sends_of_all_sizes_own_no_buffer() {
    let mut bytes = Vec::new();
    for len in [10, 15_000, 10, 17_000, 100, 60_000, 3] {
        bytes.extend(frame(Role::Client, BINARY, &pattern(len)));
    }
    let owned = idle_bytes(&bytes, 2);
    assert!(owned < 2048, "an idle connection owns {owned} bytes");
}

#[tokio::test]
async fn connection_whose_handler_waits_for_something_else_behind_corked_sends_owns_no_buffer() {
    const CONNECTIONS: usize = 500;
    let wires: Vec<_> = (0..CONNECTIONS).map(|_| Wire::with_capacity(1 << 16)).collect();
    let mut served: Vec<Served> = Vec::with_capacity(CONNECTIONS);
    let before = owned_bytes();
    for wire in &wires {
        wire.push(&frame(Role::Client, TEXT, b"hello"));
        let handler = |mut ws: WebSocket<Wire>| async move {
            ws.recv().await?;
            for _ in 0..20 {
                ws.send("message").await?;
            }
            std::future::pending::<Result<(), Error>>().await
        };
        served.push(Box::pin(serve_connection(endpoint(wire.clone(), Role::Server), handler)));
        assert!(poll_now(served.last_mut().unwrap().as_mut()).is_pending());
        assert_eq!(parse(&wire.state().output).len(), 20);
    }
    let owned = (owned_bytes() - before) / CONNECTIONS as isize;
    assert!(owned < 2048, "it owns {owned} bytes");
}
