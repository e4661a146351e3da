//! The check of UTF-8.

use bytes::Bytes;
use divan::{Bencher, counter::BytesCount};
use sockeye::{Utf8Bytes, proto::frame::Utf8Validator};

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

#[divan::bench(args = [("ascii", 1024), ("mixed", 1024), ("ascii", 65536), ("mixed", 65536)])]
fn utf8_validator(bencher: Bencher<'_, '_>, (kind, size): (&str, usize)) {
    let text = text(kind, size);
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        let mut validator = Utf8Validator::new();
        validator.push(divan::black_box(text.as_bytes())).and_then(|()| validator.finish())
    });
}

/// What the validator would cost with the standard library's check.
#[divan::bench(args = [("ascii", 1024), ("mixed", 1024), ("ascii", 65536), ("mixed", 65536)])]
fn utf8_std(bencher: Bencher<'_, '_>, (kind, size): (&str, usize)) {
    let text = text(kind, size);
    bencher
        .counter(BytesCount::new(size))
        .bench_local(|| std::str::from_utf8(divan::black_box(text.as_bytes())).is_ok());
}

/// What each look at a text would cost if `Utf8Bytes` checked it again instead of trusting its first check.
#[divan::bench(args = [("ascii", 1024), ("mixed", 1024), ("ascii", 65536), ("mixed", 65536)])]
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
