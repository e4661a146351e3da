use std::fmt;

use bytes::{Bytes, BytesMut};

use super::{assemble::append_masked, copied::copied};
use crate::proto::{
    Utf8Bytes,
    frame::{MaskingKey, copy_masked, is_utf8},
};

/// Payloads up to this length are cut from the shared chunk.
const SMALL: usize = 1024;
/// The length of a chunk that small payloads are cut from: as much as one small message can pin.
const CHUNK: usize = 4096;

/// Where bytes from the peer wait to be taken apart, and the memory that small messages are cut from.
///
/// A connection takes every byte out of it, so when [`Connection::receive`](super::Connection::receive) answers `None`
/// the inbox is empty and may serve another connection. It allocates at the first use.
///
/// ```
/// use sockeye::proto::connection::Inbox;
/// let mut inbox = Inbox::new();
/// let spare = inbox.spare(); // read into it ...
/// spare[..2].copy_from_slice(b"\x89\x00");
/// inbox.filled(2); // ... and say how much came
/// assert_eq!(inbox.as_bytes(), b"\x89\x00");
/// ```
pub struct Inbox {
    /// Initialised once and over its whole length, so that no read has to clear it again.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    capacity: usize,
    chunk: BytesMut,
}

impl Inbox {
    /// The default capacity in bytes: what one read takes in at the most.
    pub const DEFAULT_CAPACITY: usize = 64 * 1024;

    /// An inbox that takes [`DEFAULT_CAPACITY`](Self::DEFAULT_CAPACITY) bytes.
    pub fn new() -> Self {
        Self::with_capacity(Self::DEFAULT_CAPACITY)
    }

    /// An inbox that takes `capacity` bytes, at least 1.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, end: 0, capacity: capacity.max(1), chunk: BytesMut::new() }
    }

    /// How many bytes it takes in, if it does not have to grow.
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// The bytes that wait.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    #[inline]
    pub(crate) fn as_mut_bytes(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.end]
    }

    /// Whether no byte waits.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The room to read into; it is empty only if the inbox is full.
    pub fn spare(&mut self) -> &mut [u8] {
        if self.buffer.is_empty() {
            self.buffer = vec![0; self.capacity];
        }
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.buffer[self.end..]
    }

    /// Takes in the first `len` bytes of what [`spare`](Self::spare) gave.
    ///
    /// # Panics
    ///
    /// If `len` is more than the room there was.
    pub fn filled(&mut self, len: usize) {
        assert!(len <= self.buffer.len() - self.end, "more bytes than there was room for");
        self.end += len;
    }

    /// Appends bytes that were read elsewhere, such as those behind a handshake. Grows if it has to.
    pub fn extend(&mut self, bytes: &[u8]) {
        while self.spare().len() < bytes.len() {
            let more = bytes.len().max(self.buffer.len());
            self.buffer.resize(self.buffer.len() + more, 0);
        }
        self.spare()[..bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Takes everything out.
    pub(crate) fn clear(&mut self) {
        self.start = self.end;
    }

    #[inline]
    pub(crate) fn advance(&mut self, len: usize) {
        self.start += len;
        debug_assert!(self.start <= self.end);
    }

    /// Takes `skip` bytes out, and `len` bytes behind them as a message's payload.
    #[inline(always)]
    pub(crate) fn take(&mut self, skip: usize, len: usize, key: Option<MaskingKey>) -> Bytes {
        let payload = self.copy(skip, len, key);
        self.advance(skip + len);
        payload
    }

    /// As [`take`](Self::take), for text: leaves everything where it is if that is not UTF-8.
    #[inline]
    pub(crate) fn take_text(&mut self, skip: usize, len: usize, key: Option<MaskingKey>) -> Option<Utf8Bytes> {
        let text = self.copy(skip, len, key);
        is_utf8(&text).then(|| {
            self.advance(skip + len);
            Utf8Bytes::from_validated(text)
        })
    }

    /// Copies `len` bytes behind the first `skip`, unmasked.
    #[inline(always)]
    fn copy(&mut self, skip: usize, len: usize, key: Option<MaskingKey>) -> Bytes {
        let payload = &self.buffer[self.start..self.end][skip..skip + len];
        if len > SMALL {
            let mut own = Vec::with_capacity(len);
            append_masked(&mut own, payload, key);
            return Bytes::from(own);
        }
        if len == 0 {
            return Bytes::new();
        }
        if self.chunk.len() < len {
            // Gets the same memory back if all messages that were cut from it are gone.
            self.chunk.clear();
            self.chunk.reserve(CHUNK);
            self.chunk.resize(CHUNK, 0);
        }
        copied(len);
        let mut own = self.chunk.split_to(len);
        match key {
            Some(key) => copy_masked(&mut own, payload, key),
            None => own.copy_from_slice(payload),
        }
        own.freeze()
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("len", &self.as_bytes().len()).finish_non_exhaustive()
    }
}
