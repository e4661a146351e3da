//! The peer's side of RFC 7692 over plain zlib: what our codec is measured against.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use sockeye::proto::{
    connection::DeflateSettings,
    extension::deflate::{DeflateAgreed, DeflateConfig},
};

use super::Frame;

const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// Settings with a window of so many bits in both directions, and no threshold.
pub fn settings(bits: u8, context_takeover: bool) -> DeflateSettings {
    DeflateSettings {
        config: DeflateConfig { threshold: 0, ..DeflateConfig::default() },
        agreed: DeflateAgreed {
            server_no_context_takeover: !context_takeover,
            client_no_context_takeover: !context_takeover,
            server_max_window_bits: bits,
            client_max_window_bits: bits,
        },
    }
}

/// A peer that has plain zlib in both directions.
pub struct Peer {
    context_takeover: bool,
    bits: u8,
    deflater: Compress,
    inflater: Decompress,
}

impl Peer {
    pub fn new(bits: u8, context_takeover: bool) -> Self {
        Self { context_takeover, bits, deflater: deflater(bits), inflater: inflater(bits) }
    }

    pub fn deflate(&mut self, message: &[u8]) -> Vec<u8> {
        let payload = if message.is_empty() { vec![0x00] } else { deflate(&mut self.deflater, message) };
        if !self.context_takeover {
            self.deflater.reset();
        }
        payload
    }

    /// Takes apart the one message that an endpoint has sent: whether it was compressed, and its bytes.
    #[track_caller]
    pub fn inflate(&mut self, frames: &[Frame]) -> (bool, Vec<u8>) {
        let (first, last) = (frames[0].0, frames.len() - 1);
        let payload: Vec<u8> = frames.iter().flat_map(|(_, payload)| payload.iter().copied()).collect();
        for (i, (byte, _)) in frames.iter().enumerate() {
            assert_eq!(byte & 0x80 != 0, i == last, "FIN stands on the last frame only");
            assert_eq!(byte & 0x7f == 0, i > 0, "RSV1 and the opcode stand on the first frame only");
        }
        if first & 0x40 == 0 {
            return (false, payload);
        }
        let message = inflate(&mut self.inflater, &payload);
        if !self.context_takeover {
            self.inflater = inflater(self.bits);
        }
        (true, message)
    }
}

/// A deflater of the peer, at zlib's default level.
pub fn deflater(bits: u8) -> Compress {
    Compress::new_with_window_bits(Compression::default(), false, bits)
}

fn inflater(bits: u8) -> Decompress {
    Decompress::new_with_window_bits(false, bits)
}

/// §7.2.1: deflates up to a sync flush, and keeps its tail.
pub fn flush(stream: &mut Compress, input: &[u8]) -> Vec<u8> {
    let mut out = vec![0; input.len() + input.len() / 8 + 64]; // more than stored blocks take
    let (taken, written) = (stream.total_in(), stream.total_out());
    stream.compress(input, &mut out, FlushCompress::Sync).expect("valid parameters");
    assert_eq!((stream.total_in() - taken) as usize, input.len());
    out.truncate((stream.total_out() - written) as usize);
    out
}

/// §7.2.1: deflates a message, which goes without the tail; it must not be empty.
pub fn deflate(stream: &mut Compress, message: &[u8]) -> Vec<u8> {
    let mut out = flush(stream, message);
    assert!(out.ends_with(&TAIL));
    out.truncate(out.len() - TAIL.len());
    out
}

/// Deflates a message with its last block marked as final (§7.2.3.4), by a stream that is not used again.
pub fn deflate_final(mut stream: Compress, message: &[u8]) -> Vec<u8> {
    let mut out = vec![0; message.len() * 2 + 64];
    stream.compress(message, &mut out, FlushCompress::Finish).expect("valid parameters");
    out.truncate(stream.total_out() as usize);
    out
}

/// §7.2.2: inflates a message, with the tail appended.
fn inflate(stream: &mut Decompress, payload: &[u8]) -> Vec<u8> {
    let input = [payload, &TAIL].concat();
    let (mut taken, mut out) = (0, Vec::with_capacity(4096));
    loop {
        let before = stream.total_in();
        stream.decompress_vec(&input[taken..], &mut out, FlushDecompress::None).expect("inflates");
        taken += (stream.total_in() - before) as usize;
        if out.len() < out.capacity() {
            assert_eq!(taken, input.len(), "the stream does not end in the middle");
            return out;
        }
        out.reserve(out.len());
    }
}
