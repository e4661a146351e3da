//! Parts of the core by themselves: `cargo bench --bench core`.

mod deflate;
mod echo;
mod frames;
mod handshake;
mod text;

use divan::Divan;
use sockeye::proto::frame::{Header, MaskingKey, Opcode, apply_mask};

fn main() {
    // Divan's own 100 samples of short things are over before the caches are warm. With a least time in place of more
    // samples, it would time single runs; so it may where the first run is slow, and there the benchmark has a size.
    Divan::default().sample_count(2000).config_with_args().main();
}

const KEY: MaskingKey = MaskingKey([0x37, 0xfa, 0x21, 0x3d]);

/// A client's frame, which holds a whole message.
fn masked(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let header = Header { fin: true, rsv1: false, opcode, masking_key: Some(KEY), payload_len: payload.len() as u64 };
    let mut frame = Vec::new();
    header.encode(&mut frame);
    let start = frame.len();
    frame.extend_from_slice(payload);
    apply_mask(&mut frame[start..], KEY);
    frame
}
