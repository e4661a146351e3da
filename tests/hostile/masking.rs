//! Masking keys, and the one mistake that each role must not let pass (T28 is among the refused streams of `lengths`).

use std::collections::HashSet;

use sockeye::{Message, WebSocket, connect};
use tokio::{
    io::{AsyncReadExt, DuplexStream, duplex},
    task::spawn_local,
};

use crate::{
    io::Peer,
    network::{answer_over, run},
};

const FRAMES: usize = 100_000;

/// A client of `connect` over memory, and its peer.
async fn client() -> (WebSocket<DuplexStream>, Peer<DuplexStream>) {
    let (ours, theirs) = duplex(1 << 16);
    let mut peer = Peer::new(theirs, sockeye::Role::Server);
    let (client, _) = tokio::join!(connect("ws://example.com/").over(ours), answer_over(&mut peer, ""));
    (client.expect("a proper answer").0, peer)
}

/// The keys of so many frames that a client sends: messages, and Pings between them.
async fn keys_of(count: usize) -> Vec<[u8; 4]> {
    let (mut ws, mut peer) = client().await;
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let reading = spawn_local(async move {
                // Each frame is a header, a key and one byte.
                let mut bytes = Vec::new();
                peer.io.read_to_end(&mut bytes).await.expect("memory does not fail");
                bytes
            });
            for n in 0..count {
                match n % 8 {
                    7 => ws.ping(vec![0]).await.unwrap(),
                    _ => ws.feed(Message::from(vec![0])).await.unwrap(),
                }
            }
            ws.flush().await.unwrap();
            drop(ws);
            let bytes = reading.await.unwrap();
            assert_eq!(bytes.len(), count * 7);
            let key = |frame: &[u8]| {
                assert_eq!(frame[1], 0x81);
                assert_eq!(frame[6], frame[2], "a zero is masked with the key's first byte");
                [frame[2], frame[3], frame[4], frame[5]]
            };
            bytes.chunks(7).map(key).collect()
        })
        .await
}

/// How far the count of ones at each of 32 places may be from the half of 10⁵.
///
/// By Hoeffding's inequality a fair coin is farther off with a probability of less than 2·exp(−2·1900²/10⁵) < 10⁻³⁰.
const OFF: i64 = 1900;

fn assert_balanced(words: impl Iterator<Item = u32>, what: &str) {
    let mut ones = [0_i64; 32];
    let mut count = 0;
    for word in words {
        count += 1;
        (0..32).for_each(|bit| ones[bit] += i64::from(word >> bit & 1));
    }
    for (bit, ones) in ones.into_iter().enumerate() {
        assert!((ones - count / 2).abs() <= OFF, "{ones} of {count} {what} have bit {bit}");
    }
}

/// T27: 10⁵ frames of a client. Of 10⁵ random keys 1.2 pairs are equal on average, and more than 50 with a probability of
/// less than 10⁻⁶⁰; one is zero with 2·10⁻⁵, and more than three are with less than 10⁻¹⁹.
#[test]
fn client_masks_each_frame_with_a_key_that_looks_random() {
    let keys: Vec<u32> = run(keys_of(FRAMES)).into_iter().map(u32::from_be_bytes).collect();
    assert_eq!(keys.len(), FRAMES);
    let distinct: HashSet<u32> = keys.iter().copied().collect();
    assert!(distinct.len() >= FRAMES - 50, "{} distinct keys", distinct.len());
    assert!(keys.iter().filter(|key| **key == 0).count() <= 3, "keys that are zero");
    assert_balanced(keys.iter().copied(), "keys");
    // A counter, and a generator that only moves its bits, are balanced too, but their steps are not.
    assert_balanced(keys.windows(2).map(|pair| pair[0] ^ pair[1]), "steps");
    assert_balanced(keys.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])), "differences");
    assert_balanced(keys.windows(2).map(|pair| pair[0].rotate_left(1) ^ pair[1]), "rotated steps");
    // The 4·10⁵ bytes by their value: χ² with 255 degrees of freedom is above 800 with a probability of less than 10⁻⁴⁵
    // (Laurent and Massart).
    let mut counts = [0_f64; 256];
    keys.iter().flat_map(|key| key.to_be_bytes()).for_each(|byte| counts[usize::from(byte)] += 1.0);
    let expected = 4.0 * FRAMES as f64 / 256.0;
    let chi_square: f64 = counts.iter().map(|count| (count - expected).powi(2) / expected).sum();
    assert!(chi_square < 800.0, "χ² is {chi_square}");
}

/// T27: no two connections, on one thread or on several, get the same keys: of 4·10³ random ones 2·10⁻³ pairs are equal on
/// average, and more than 5 with a probability of less than 10⁻¹⁸.
#[test]
fn no_two_clients_share_their_keys() {
    let of_threads: Vec<_> = (0..4)
        .map(|_| std::thread::spawn(|| [run(keys_of(500)), run(keys_of(500))].concat()))
        .collect::<Vec<_>>()
        .into_iter()
        .flat_map(|thread| thread.join().expect("no panic"))
        .collect();
    let distinct: HashSet<_> = of_threads.iter().collect();
    assert!(distinct.len() >= of_threads.len() - 5, "{} of {} keys are distinct", distinct.len(), of_threads.len());
}

/// T27: so is the nonce of the handshake, of 128 bits.
#[test]
fn client_asks_with_a_new_nonce_each_time() {
    let nonces: HashSet<String> = (0..1000)
        .map(|_| {
            run(async {
                let (ours, theirs) = duplex(1 << 16);
                let mut peer = Peer::new(theirs, sockeye::Role::Server);
                let (client, head) = tokio::join!(connect("ws://a/").over(ours), answer_over(&mut peer, ""));
                client.expect("a proper answer");
                head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key").to_owned()
            })
        })
        .collect();
    assert_eq!(nonces.len(), 1000);
}
