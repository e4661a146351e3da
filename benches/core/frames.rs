//! Masking and headers.

use divan::{Bencher, counter::BytesCount};
use sockeye::proto::frame::{Header, Opcode, apply_mask};

use crate::KEY;

const SIZES: [usize; 6] = [1, 20, 125, 1024, 64 * 1024, 1024 * 1024];

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

#[divan::bench(args = [20, 1024, 70000])]
fn header_parse(bencher: Bencher<'_, '_>, payload_len: u64) {
    let mut bytes = Vec::new();
    Header { fin: true, rsv1: false, opcode: Opcode::Binary, masking_key: Some(KEY), payload_len }.encode(&mut bytes);
    bencher.bench_local(|| Header::parse(divan::black_box(&bytes)));
}
