//! permessage-deflate with context takeover (RFC 7692), on flate2.

use std::{io, iter};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use crate::outcome::fault;

/// What a sync flush ends with, and what is left away (§7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

pub struct Deflate {
    compress: Compress,
    decompress: Decompress,
}

impl Deflate {
    pub fn new() -> Self {
        Self { compress: Compress::new(Compression::fast(), false), decompress: Decompress::new(false) }
    }

    pub fn deflate(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(payload.len() / 2 + 64);
        let start = self.compress.total_in();
        loop {
            let rest = &payload[(self.compress.total_in() - start) as usize..];
            self.compress.compress_vec(rest, &mut out, FlushCompress::Sync).expect("a flush is always possible");
            if out.len() < out.capacity() {
                break;
            }
            out.reserve(out.capacity());
        }
        out.truncate(out.len() - TAIL.len());
        out
    }

    /// Inflates a message of at most `limit` bytes.
    pub fn inflate(&mut self, payload: &[u8], limit: usize) -> io::Result<Vec<u8>> {
        let input: Vec<_> = payload.iter().chain(&TAIL).copied().collect();
        let mut out = Vec::with_capacity(limit + 1);
        let start = self.decompress.total_in();
        while ((self.decompress.total_in() - start) as usize) < input.len() {
            if out.len() > limit {
                return Err(fault("a message is longer than what was sent"));
            }
            let before = (self.decompress.total_in(), out.len());
            let rest = &input[(before.0 - start) as usize..];
            let inflated = self.decompress.decompress_vec(rest, &mut out, FlushDecompress::Sync);
            inflated.map_err(|error| fault(format!("what cannot be inflated: {error}")))?;
            if before == (self.decompress.total_in(), out.len()) {
                return Err(fault("a compressed message that goes on behind its end"));
            }
        }
        Ok(out)
    }
}

/// Some 64 KiB that inflate to 64 MiB.
pub fn bomb() -> Vec<u8> {
    let mut deflate = Deflate::new();
    let zeros = vec![0; 1 << 20];
    let mut bomb: Vec<_> = iter::repeat_with(|| [deflate.deflate(&zeros), TAIL.to_vec()].concat()).take(64).collect();
    bomb.pop().into_iter().for_each(|last| bomb.push(last[..last.len() - TAIL.len()].to_vec()));
    bomb.concat()
}
