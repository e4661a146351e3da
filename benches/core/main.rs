//! Parts of the core by themselves: `cargo bench --bench core`.

mod echo;

use bytes::Bytes;
use divan::{Bencher, counter::BytesCount};
use sockeye::{
    Utf8Bytes,
    proto::frame::{Header, MaskingKey, Opcode, Utf8Validator, apply_mask},
};

fn main() {
    divan::main();
}

const SIZES: [usize; 6] = [1, 20, 125, 1024, 64 * 1024, 1024 * 1024];
const KEY: MaskingKey = MaskingKey([0x37, 0xfa, 0x21, 0x3d]);

#[divan::bench(args = SIZES)]
fn mask(bencher: Bencher<'_, '_>, size: usize) {
    let mut payload = vec![7; size];
    bencher.counter(BytesCount::new(size)).bench_local(|| apply_mask(divan::black_box(&mut payload), KEY));
}

/// What masking is measured against.
#[divan::bench(args = SIZES)]
fn memcpy(bencher: Bencher<'_, '_>, size: usize) {
    let (from, mut to) = (vec![7u8; size], vec![0u8; size]);
    bencher
        .counter(BytesCount::new(size))
        .bench_local(|| divan::black_box(&mut to).copy_from_slice(divan::black_box(&from)));
}

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

#[divan::bench(args = [20, 1024, 70000])]
fn header_parse(bencher: Bencher<'_, '_>, payload_len: u64) {
    let mut bytes = Vec::new();
    Header { fin: true, rsv1: false, opcode: Opcode::Binary, masking_key: Some(KEY), payload_len }.encode(&mut bytes);
    bencher.bench_local(|| Header::parse(divan::black_box(&bytes)));
}
