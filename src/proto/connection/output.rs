use std::{collections::VecDeque, io::IoSlice};

use bytes::Bytes;

/// A payload of at least this many bytes is shared instead of copied, where a vectored write can take it.
const SHARE_FROM: usize = 16 * 1024;

/// What has been written is cut off once it is this much, and half of the buffer.
const COMPACT_FROM: usize = 4096;

/// Bytes on their way to the peer: one contiguous buffer with headers and small payloads, and between them large
/// payloads that are shared with the caller.
#[derive(Debug, Default)]
pub(crate) struct Output {
    buffer: Vec<u8>,
    /// How much of `buffer` has been written.
    start: usize,
    /// Where each shared chunk belongs: in front of `buffer[at..]`.
    shared: VecDeque<Shared>,
    shared_len: usize,
    /// How many bytes have been written in all.
    written: u64,
    /// Whether writes cannot be vectored, so that sharing would cost more writes.
    contiguous: bool,
}

#[derive(Debug)]
struct Shared {
    at: usize,
    bytes: Bytes,
}

impl Output {
    /// How many bytes have been written in all.
    pub(crate) const fn written(&self) -> u64 {
        self.written
    }

    /// How many bytes wait.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.buffer.len() - self.start + self.shared_len
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where bytes that are to be copied are appended.
    #[inline]
    pub(crate) const fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Appends a payload: a copy of a small one, a share in a large one.
    #[inline]
    pub(crate) fn append(&mut self, payload: &Bytes) {
        if payload.len() < SHARE_FROM || self.contiguous {
            self.buffer.extend_from_slice(payload);
        } else {
            self.shared_len += payload.len();
            self.shared.push_back(Shared { at: self.buffer.len(), bytes: payload.clone() });
        }
    }

    /// Fills `slices` from the front; says how many.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let ends = self.shared.iter().map(|shared| shared.at).chain([self.buffer.len()]);
        let starts = [self.start].into_iter().chain(self.shared.iter().map(|shared| shared.at));
        let copied = starts.zip(ends).map(|(start, end)| &self.buffer[start..end]);
        let shared = self.shared.iter().map(|shared| &shared.bytes[..]).chain([&[][..]]);
        let chunks = copied.zip(shared).flat_map(|(copied, shared)| [copied, shared]);
        let mut filled = 0;
        for (slice, chunk) in slices.iter_mut().zip(chunks.filter(|chunk| !chunk.is_empty())) {
            *slice = IoSlice::new(chunk);
            filled += 1;
        }
        filled
    }

    /// Lets go of the first `len` bytes, which have been written.
    pub(crate) fn advance(&mut self, mut len: usize) {
        self.written += len as u64;
        while len > 0 {
            let until = self.shared.front().map_or(self.buffer.len(), |shared| shared.at);
            let copied = len.min(until - self.start);
            self.start += copied;
            len -= copied;
            if len == 0 {
                break;
            }
            let Some(front) = self.shared.front_mut() else {
                debug_assert!(false, "more was written than there was");
                break;
            };
            let shared = len.min(front.bytes.len());
            bytes::Buf::advance(&mut front.bytes, shared);
            self.shared_len -= shared;
            len -= shared;
            if front.bytes.is_empty() {
                self.shared.pop_front();
            }
        }
        self.tidy();
    }

    /// Drops everything, for a connection that is over; says whether there was anything.
    pub(crate) fn clear(&mut self) -> bool {
        let (lost, contiguous) = (!self.is_empty(), self.contiguous);
        *self = Self { contiguous, ..Self::default() };
        lost
    }

    fn tidy(&mut self) {
        if self.is_empty() {
            self.buffer.clear();
            self.start = 0;
            self.shared.shrink_to(4);
        } else if self.start >= COMPACT_FROM && self.start >= self.buffer.len() / 2 {
            // A slow reader must not make us keep what it has already taken.
            self.buffer.drain(..self.start);
            for shared in &mut self.shared {
                shared.at -= self.start;
            }
            self.start = 0;
        }
    }
}

/// What only a transport on this side of the core needs.
#[cfg(feature = "stream")]
impl Output {
    pub(crate) const fn set_contiguous(&mut self, contiguous: bool) {
        self.contiguous = contiguous;
    }

    /// Takes the empty buffer away, so that an idle connection owns none.
    pub(crate) fn reclaim(&mut self) -> Option<Vec<u8>> {
        (self.is_empty() && self.buffer.capacity() > 0).then(|| std::mem::take(&mut self.buffer))
    }

    #[inline]
    pub(crate) const fn has_no_buffer(&self) -> bool {
        self.buffer.capacity() == 0
    }

    /// Lends a buffer to a connection that has none.
    pub(crate) fn lend(&mut self, buffer: Vec<u8>) {
        if self.buffer.capacity() == 0 {
            debug_assert!(buffer.is_empty());
            self.buffer = buffer;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partial_write_keeps_the_order() {
        let large = Bytes::from(vec![b'L'; SHARE_FROM]);
        for step in [1, 7, 4096, SHARE_FROM, SHARE_FROM + 1, usize::MAX] {
            let mut output = Output::default();
            let mut want = Vec::new();
            for part in [&b"head"[..], b"second head", b""] {
                output.buffer().extend_from_slice(part);
                output.append(&large);
                want.extend_from_slice(part);
                want.extend_from_slice(&large);
            }
            output.buffer().extend_from_slice(b"tail");
            want.extend_from_slice(b"tail");
            let mut got = Vec::new();
            while !output.is_empty() {
                assert_eq!(output.len(), want.len() - got.len());
                let mut slices = [IoSlice::new(&[]); 3];
                let filled = output.slices(&mut slices);
                let waiting = slices[..filled].iter().flat_map(|slice| slice.iter().copied());
                let before = got.len();
                got.extend(waiting.take(step));
                let written = got.len() - before;
                output.advance(written);
            }
            assert_eq!(got, want);
        }
    }
}
