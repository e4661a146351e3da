//! Masking and headers.

use divan::{Bencher, counter::BytesCount};
use sockeye::proto::frame::{Header, Opcode, apply_mask};

use crate::KEY;

const SIZES: [usize; 6] = [1, 20, 125, 1024, 64 * 1024, 1024 * 1024];

/// The payload starts `OFFSET` bytes behind the start of a cache line.
#[divan::bench(args = SIZES, consts = [0, 1, 2, 3, 4, 5, 6, 7])]
fn mask<const OFFSET: usize>(bencher: Bencher<'_, '_>, size: usize) {
    let mut buffer = vec![7; size + 128];
    let start = buffer.as_ptr().align_offset(64) + OFFSET;
    let payload = &mut buffer[start..start + size];
    bencher.counter(BytesCount::new(size)).bench_local(|| apply_mask(divan::black_box(payload), KEY));
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
