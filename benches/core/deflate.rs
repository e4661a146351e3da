//! permessage-deflate: messages of JSON, each with another content than those before it.

use std::time::Instant;

use divan::{
    Bencher,
    counter::{BytesCount, ItemsCount},
};
use sockeye::{
    Compress, Config, DeflateConfig, Message, Role,
    proto::{
        connection::{Connection, DeflateSettings, Event, Inbox},
        extension::deflate::DeflateAgreed,
        frame::MaskingKey,
    },
};

use crate::KEY;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Context {
    Kept,
    Dropped,
}

const MESSAGES: [(usize, Context); 4] =
    [(200, Context::Kept), (200, Context::Dropped), (1024, Context::Kept), (1024, Context::Dropped)];

fn settings(context: Context) -> DeflateSettings {
    let agreed = DeflateAgreed {
        server_no_context_takeover: context == Context::Dropped,
        client_no_context_takeover: context == Context::Dropped,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    };
    DeflateSettings { config: DeflateConfig::default(), agreed }
}

/// So many messages that together they are longer than the window, which then is the same behind each pass of them.
fn messages(size: usize) -> Vec<Message> {
    let mut seed = 1u32;
    let mut draw = move |below: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) % below
    };
    let mut message = || {
        let mut text = String::new();
        while text.len() < size {
            let (id, price, side) = (draw(100_000), draw(10_000_000), ["buy", "sell"][draw(2) as usize]);
            text +=
                &format!(r#"{{"id":{id},"symbol":"EUR/USD","side":"{side}","price":{price},"size":{}}},"#, draw(500));
        }
        text.truncate(size);
        Message::from(text)
    };
    (0..40 * 1024 / size).map(|_| message()).collect()
}

#[divan::bench(args = MESSAGES, sample_size = 8)]
fn deflate(bencher: Bencher<'_, '_>, (size, context): (usize, Context)) {
    let mut server = Connection::server(Config::new(Role::Server), Some(&settings(context)), Instant::now());
    let messages = messages(size);
    let mut next = messages.iter().cycle();
    bencher.counter(ItemsCount::new(1usize)).counter(BytesCount::new(size)).bench_local(|| {
        let message = next.next().expect("there is always a next one");
        server.send_with(message, Compress::Always).expect("it is open");
        divan::black_box_drop(server.take_output());
    });
}

/// What a client has compressed and masked.
#[divan::bench(args = MESSAGES, sample_size = 8)]
fn inflate(bencher: Bencher<'_, '_>, (size, context): (usize, Context)) {
    let now = Instant::now();
    let settings = settings(context);
    let keys = || -> MaskingKey { KEY };
    let mut client = Connection::client(Config::new(Role::Client), Some(&settings), Box::new(keys), now);
    let mut server = Connection::server(Config::new(Role::Server), Some(&settings), now);
    let mut inbox = Inbox::new();
    let messages = messages(size);
    let mut pass = || -> Vec<Vec<u8>> {
        let mut compressed = |message| {
            client.send_with(message, Compress::Always).expect("it is open");
            client.take_output()
        };
        messages.iter().map(&mut compressed).collect()
    };
    let (first, again) = (pass(), pass());
    let mut receive = |frame: &[u8]| {
        inbox.extend(frame);
        server.receive(&mut inbox, now).expect("the frame is right").expect("it is whole")
    };
    // The second pass looks back at the end of the first, or of itself.
    for (frame, message) in first.iter().chain(&again).chain(&again).zip(messages.iter().cycle()) {
        assert!(matches!(receive(frame), Event::Message(received) if received == *message));
    }
    let mut next = again.iter().cycle();
    bencher
        .counter(ItemsCount::new(1usize))
        .counter(BytesCount::new(size))
        .bench_local(|| divan::black_box_drop(receive(next.next().expect("there is always a next one"))));
}
