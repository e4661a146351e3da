use std::{collections::VecDeque, io::IoSlice};

use bytes::{Buf, Bytes};

use super::{assemble::append_masked, copied::copied};
use crate::proto::frame::MaskingKey;

/// A payload of at least this many bytes is shared instead of copied, where a vectored write can take it.
pub(crate) const SHARE_FROM: usize = 16 * 1024;

/// How much of a larger payload is masked at a time, so that masking it takes no copy as large as itself. Smaller pieces
/// would stay in the cache, but each write wakes the peer: 64 KiB made a client's 1 MiB messages twice as dear.
const STAGE: usize = 1024 * 1024;

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
    shared_len: u64,
    /// How many bytes have been written in all.
    written: u64,
    /// Whether writes cannot be vectored, so that sharing would cost more writes.
    contiguous: bool,
}

#[derive(Debug)]
struct Shared {
    at: usize,
    bytes: Bytes,
    mask: Option<Mask>,
}

/// How a shared chunk is masked, piece by piece, as the caller's bytes cannot be.
#[derive(Debug)]
struct Mask {
    /// As it applies to the chunk's next byte.
    key: MaskingKey,
    /// The piece in front of the chunk's rest, masked.
    staged: Vec<u8>,
    /// How much of the piece has been written.
    written: usize,
}

impl Shared {
    /// What can be written now, and whether that is all.
    fn front(&self) -> (&[u8], bool) {
        match &self.mask {
            None => (&self.bytes, true),
            Some(mask) => (&mask.staged[mask.written..], self.bytes.is_empty()),
        }
    }

    /// Lets go of at most `len` bytes that were written; says of how many.
    fn advance(&mut self, len: usize) -> usize {
        let written = len.min(self.front().0.len());
        match &mut self.mask {
            None => self.bytes.advance(written),
            Some(mask) => mask.written += written,
        }
        written
    }

    /// Masks the next piece if the last one is written.
    fn stage(&mut self) {
        if let Some(mask) = &mut self.mask
            && mask.written == mask.staged.len()
        {
            let piece = self.bytes.split_to(self.bytes.len().min(STAGE));
            mask.staged.clear();
            mask.written = 0;
            append_masked(&mut mask.staged, &piece, Some(mask.key));
            mask.key = mask.key.at_offset(piece.len() as u64);
        }
    }
}

impl Output {
    /// How many bytes have been written in all.
    pub(crate) const fn written(&self) -> u64 {
        self.written
    }

    /// How many bytes wait.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        let copied = self.buffer.len() - self.start;
        // Shares in one payload count each for itself, and may come to more than there is memory.
        copied.saturating_add(usize::try_from(self.shared_len).unwrap_or(usize::MAX))
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
            copied(payload.len());
            self.buffer.extend_from_slice(payload);
        } else {
            self.share(payload.clone(), None);
        }
    }

    /// Appends a payload masked: a large one piece by piece, as it is written.
    #[inline]
    pub(crate) fn append_masked(&mut self, payload: &Bytes, key: MaskingKey) {
        let first = if payload.len() < 2 * STAGE { payload.len() } else { STAGE };
        append_masked(&mut self.buffer, &payload[..first], Some(key));
        if first < payload.len() {
            let key = key.at_offset(first as u64);
            self.share(payload.slice(first..), Some(Mask { key, staged: Vec::new(), written: 0 }));
        }
    }

    fn share(&mut self, bytes: Bytes, mask: Option<Mask>) {
        self.shared_len += bytes.len() as u64;
        self.shared.push_back(Shared { at: self.buffer.len(), bytes, mask });
    }

    /// Fills `slices` from the front; says how many.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let (mut filled, mut start) = (0, self.start);
        let mut put = |chunk| match slices.get_mut(filled) {
            Some(slice) if !<[u8]>::is_empty(chunk) => {
                *slice = IoSlice::new(chunk);
                filled += 1;
            }
            _ => {}
        };
        for shared in &self.shared {
            put(&self.buffer[start..shared.at]);
            start = shared.at;
            let (front, is_all) = shared.front();
            put(front);
            if !is_all {
                return filled;
            }
        }
        put(&self.buffer[start..]);
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
            let shared = front.advance(len);
            self.shared_len -= shared as u64;
            len -= shared;
            front.stage();
            if front.front().0.is_empty() {
                self.shared.pop_front();
            }
        }
        if let Some(front) = self.shared.front_mut()
            && front.at == self.start
        {
            front.stage();
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

    /// All that waits, if it lies in one piece.
    #[inline]
    pub(crate) fn as_contiguous(&self) -> Option<&[u8]> {
        self.shared.is_empty().then(|| &self.buffer[self.start..])
    }

    /// Appends whole frames; gives back what they came in if it is not needed.
    pub(crate) fn append_frames(&mut self, frames: Vec<u8>) -> Option<Vec<u8>> {
        if self.buffer.is_empty() {
            let unused = std::mem::replace(&mut self.buffer, frames);
            return (unused.capacity() > 0).then_some(unused);
        }
        self.buffer.extend_from_slice(&frames);
        Some(frames)
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
        let key = MaskingKey([1, 2, 3, 4]);
        let large = Bytes::from((0..SHARE_FROM).map(|at| at as u8).collect::<Vec<_>>());
        let huge = Bytes::from((0..3 * STAGE + 5).map(|at| (at / 3) as u8).collect::<Vec<_>>());
        for step in [7, 4096, SHARE_FROM, SHARE_FROM + 1, STAGE - 1, STAGE, STAGE + 2, usize::MAX] {
            let mut output = Output::default();
            let mut want = Vec::new();
            for part in [&b"head"[..], b"second head", b""] {
                output.buffer().extend_from_slice(part);
                output.append(&large);
                output.append_masked(&huge, key);
                output.append_masked(&large, key);
                want.extend_from_slice(part);
                want.extend_from_slice(&large);
                append_masked(&mut want, &huge, Some(key));
                append_masked(&mut want, &large, Some(key));
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
