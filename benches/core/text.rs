//! Text: the check of its UTF-8, and messages that hold it.

use std::time::Instant;

use bytes::Bytes;
use divan::{Bencher, counter::BytesCount};
use sockeye::{
    Config, Role, Utf8Bytes,
    proto::{
        connection::{Connection, Inbox},
        frame::{Opcode, Utf8Validator},
    },
};

use crate::masked;

const TEXTS: [(&str, usize); 8] = [
    ("ascii", 20),
    ("mixed", 20),
    ("ascii", 60),
    ("mixed", 60),
    ("ascii", 1024),
    ("mixed", 1024),
    ("ascii", 65536),
    ("mixed", 65536),
];

fn text(kind: &str, size: usize) -> String {
    let unit = if kind == "ascii" { "The quick brown fox. " } else { "Łódź, 東京, naïve — ok. " };
    unit.repeat(size / unit.len() + 1)
        .chars()
        .scan(0, |len, c| {
            *len += c.len_utf8();
            (*len <= size).then_some(c)
        })
        .collect()
}

#[divan::bench(args = TEXTS)]
fn utf8_validator(bencher: Bencher<'_, '_>, (kind, size): (&str, usize)) {
    let text = text(kind, size);
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        let mut validator = Utf8Validator::new();
        validator.push(divan::black_box(text.as_bytes())).and_then(|()| validator.finish())
    });
}

/// What the validator would cost with the standard library's check.
#[divan::bench(args = TEXTS)]
fn utf8_std(bencher: Bencher<'_, '_>, (kind, size): (&str, usize)) {
    let text = text(kind, size);
    bencher
        .counter(BytesCount::new(size))
        .bench_local(|| std::str::from_utf8(divan::black_box(text.as_bytes())).is_ok());
}

/// What it would cost if it did not say where a text goes wrong.
#[divan::bench(args = TEXTS)]
fn utf8_simdutf8_basic(bencher: Bencher<'_, '_>, (kind, size): (&str, usize)) {
    let text = text(kind, size);
    bencher
        .counter(BytesCount::new(size))
        .bench_local(|| simdutf8::basic::from_utf8(divan::black_box(text.as_bytes())).is_ok());
}

/// What each look at a text would cost if `Utf8Bytes` checked it again instead of trusting its first check.
#[divan::bench(args = TEXTS)]
fn utf8_checked_at_each_look(bencher: Bencher<'_, '_>, (kind, size): (&str, usize)) {
    let text = Bytes::from(text(kind, size));
    bencher
        .counter(BytesCount::new(size))
        .bench_local(|| simdutf8::compat::from_utf8(divan::black_box(&text)).map(str::len));
}

/// What it does cost.
#[divan::bench(args = [("mixed", 1024), ("mixed", 65536)])]
fn utf8_bytes_as_str(bencher: Bencher<'_, '_>, (kind, size): (&str, usize)) {
    let text = Utf8Bytes::from(text(kind, size));
    bencher.counter(BytesCount::new(size)).bench_local(|| divan::black_box(&text).as_str().len());
}

#[divan::bench(args = TEXTS, sample_size = 64)]
fn receive_text(bencher: Bencher<'_, '_>, (kind, size): (&str, usize)) {
    receive(bencher, Opcode::Text, &text(kind, size));
}

/// The same without the check.
#[divan::bench(args = TEXTS, sample_size = 64)]
fn receive_binary(bencher: Bencher<'_, '_>, (kind, size): (&str, usize)) {
    receive(bencher, Opcode::Binary, &text(kind, size));
}

/// A whole message that has come in one read.
fn receive(bencher: Bencher<'_, '_>, opcode: Opcode, text: &str) {
    let now = Instant::now();
    let mut server = Connection::server(Config::new(Role::Server), None, now);
    let (mut inbox, frame) = (Inbox::new(), masked(opcode, text.as_bytes()));
    bencher.counter(BytesCount::new(text.len())).bench_local(|| {
        inbox.extend(divan::black_box(&frame));
        // What is returned would be kept for a whole sample.
        divan::black_box_drop(server.receive(&mut inbox, now).expect("the frame is right").expect("it is whole"));
    });
}
