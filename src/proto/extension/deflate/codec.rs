//! Compressed messages (RFC 7692 §7.2): zlib's streams, bounded and kept in step with the peer's.

use flate2::{Decompress, FlushDecompress, Status};
use zlib_rs::{Deflate, DeflateFlush};

use super::{DeflateAgreed, DeflateClass, DeflateConfig, Inflated, pool::Pool};
use crate::proto::frame::ProtocolError;

/// What a sync flush ends with, and what is not sent (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// An empty message: one stored block without content, less the tail (RFC 7692 §7.2.3.6).
const EMPTY: &[u8] = &[0x00];

/// What an inflater's state takes: a window of 32 KiB, whatever was agreed, and tables.
const INFLATER_BYTES: usize = 47 * 1024;

/// What a deflater's state takes besides its window and its output: hashes of 16 bits, whatever the settings.
const DEFLATER_BYTES: usize = 131 * 1024;

/// The least that the inflated message grows by.
const GROWTH: usize = 256;

/// The most that is inflated at a time.
const MAX_ROOM: usize = 32 * 1024;

/// How many final blocks a message may have besides one for each so many bytes, compressed and inflated: behind each a
/// stream is begun anew, which costs as much as inflating a page.
const FINAL_BLOCKS: u64 = 64;

thread_local! {
    static INFLATERS: Pool<u8, Decompress> = const { Pool::new() };
    static DEFLATERS: Pool<DeflateClass, Deflate> = const { Pool::new() };
}

/// One direction's inflater.
pub(crate) struct Inflater {
    window_bits: u8,
    context_takeover: bool,
    /// Taken for the first message, or for each where there is no context takeover.
    stream: Option<Box<Decompress>>,
    /// Whether this message has a block that is not closed yet.
    open_block: bool,
    /// How many bytes of the tail this message's end has been given.
    tail_fed: usize,
    /// How many bytes this message has had so far, compressed and inflated, and how many final blocks.
    moved: u64,
    final_blocks: u64,
}

impl Inflater {
    /// zlib cannot inflate with a window of 2⁸ bytes, but one of 2⁹ reads the same streams.
    pub(crate) fn new(window_bits: u8, context_takeover: bool) -> Self {
        Self {
            window_bits: window_bits.max(9),
            context_takeover,
            stream: None,
            open_block: false,
            tail_fed: 0,
            moved: 0,
            final_blocks: 0,
        }
    }

    /// How many bytes its state takes at the moment.
    pub(crate) fn retained(&self) -> usize {
        self.stream.as_ref().map_or(0, |_| INFLATER_BYTES)
    }

    /// Inflates `input` to the end of `out`, which is to have no more than `limit` bytes then.
    ///
    /// Says how many bytes of `input` were taken: on [`Inflated::Full`] the rest is to be given again.
    pub(crate) fn inflate(
        &mut self,
        mut input: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(usize, Inflated), ProtocolError> {
        let len = input.len();
        // Whatever is given to zlib is cleared before: no more than the input may need, so that small pieces cost little.
        let mut room = input.len().saturating_mul(4).clamp(GROWTH, MAX_ROOM);
        loop {
            if out.len() >= limit {
                return Ok((len - input.len(), Inflated::Full));
            }
            grow(out, input.len(), limit);
            let stream = self.stream.get_or_insert_with(|| take_inflater(self.window_bits));
            let (before, had) = ((stream.total_in(), stream.total_out()), out.len());
            let end = out.capacity().min(limit).min(had + room);
            out.resize(end, 0);
            let status = stream.decompress(input, &mut out[had..], FlushDecompress::None);
            let taken = (stream.total_in() - before.0) as usize;
            let made = (stream.total_out() - before.1) as usize;
            out.truncate(had + made);
            let status = status.map_err(|_| ProtocolError::InvalidDeflate)?;
            input = &input[taken..];
            self.open_block |= taken > 0;
            self.moved += (taken + made) as u64;
            match status {
                Status::StreamEnd => self.restart(out)?,
                // Output that was not filled up means that nothing is held back in the stream.
                _ if input.is_empty() && had + made < end => return Ok((len, Inflated::All)),
                _ if taken == 0 && made == 0 => return Err(ProtocolError::InvalidDeflate),
                _ if had + made == end => room = room.saturating_mul(2).min(MAX_ROOM),
                _ => {}
            }
        }
    }

    /// Ends the message, by giving the stream the tail that is not sent (RFC 7692 §7.2.2).
    ///
    /// To be called until it answers [`Inflated::All`].
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>, limit: usize) -> Result<Inflated, ProtocolError> {
        // A payload without a byte, or one that ended with a final block, has no open block for the tail to close.
        if self.open_block {
            let (taken, inflated) = self.inflate(&TAIL[self.tail_fed..], out, limit)?;
            self.tail_fed += taken;
            if inflated == Inflated::Full {
                return Ok(Inflated::Full);
            }
        }
        (self.open_block, self.tail_fed) = (false, 0);
        (self.moved, self.final_blocks) = (0, 0);
        if !self.context_takeover
            && let Some(stream) = self.stream.take()
        {
            give_inflater(self.window_bits, stream);
        }
        Ok(Inflated::All)
    }

    /// Goes on behind a block with BFINAL set, which is legal (RFC 7692 §7.2.3.4): the next one starts a new stream
    /// that may refer back to what this message has had so far, as far as it is at hand. zlib forgets its window with the
    /// stream, so what refers back further fails as invalid: see ARCHITECTURE.md.
    fn restart(&mut self, out: &[u8]) -> Result<(), ProtocolError> {
        self.final_blocks += 1;
        if self.final_blocks > FINAL_BLOCKS + self.moved / FINAL_BLOCKS {
            return Err(ProtocolError::TooManyFinalBlocks);
        }
        let mut stream = take_inflater(self.window_bits);
        let window = 1 << self.window_bits;
        // Whoever starts afresh behind a final block, as zlib does, never looks into it.
        let _ = stream.set_dictionary(&out[out.len().saturating_sub(window)..]);
        if let Some(ended) = self.stream.replace(stream) {
            give_inflater(self.window_bits, ended);
        }
        self.open_block = false;
        Ok(())
    }
}

fn take_inflater(window_bits: u8) -> Box<Decompress> {
    let kept = INFLATERS.try_with(|pool| pool.take(window_bits)).ok().flatten();
    kept.unwrap_or_else(|| Box::new(Decompress::new_with_window_bits(false, window_bits)))
}

fn give_inflater(window_bits: u8, mut stream: Box<Decompress>) {
    stream.reset(false);
    // A thread that ends has no use for it.
    let _ = INFLATERS.try_with(|pool| pool.give(window_bits, stream));
}

fn take_deflater(class: DeflateClass) -> Box<Deflate> {
    let kept = DEFLATERS.try_with(|pool| pool.take(class)).ok().flatten();
    kept.unwrap_or_else(|| {
        Box::new(Deflate::new_with_config(zlib_rs::DeflateConfig {
            level: i32::from(class.level),
            window_bits: -i32::from(class.window_bits),
            mem_level: i32::from(class.mem_level),
            ..zlib_rs::DeflateConfig::default()
        }))
    })
}

fn give_deflater(class: DeflateClass, mut stream: Box<Deflate>) {
    stream.reset();
    let _ = DEFLATERS.try_with(|pool| pool.give(class, stream));
}

/// Makes room for output: four times the input, as text often comes to, or twice what there is; never beyond `limit`.
fn grow(out: &mut Vec<u8>, input: usize, limit: usize) {
    if out.len() == out.capacity() {
        let guess = out.len().max(input.saturating_mul(4)).max(GROWTH);
        out.reserve_exact(guess.min(limit - out.len()));
    }
}

/// One direction's deflater.
pub(crate) struct Deflater {
    class: DeflateClass,
    context_takeover: bool,
    threshold: usize,
    stream: Option<Box<Deflate>>,
}

impl Deflater {
    pub(crate) fn new(config: &DeflateConfig, window_bits: u8, context_takeover: bool) -> Self {
        Self {
            class: DeflateClass { level: config.level, mem_level: config.mem_level, window_bits },
            context_takeover,
            threshold: config.threshold,
            stream: None,
        }
    }

    /// How many bytes its state takes at the moment.
    pub(crate) fn retained(&self) -> usize {
        let DeflateClass { window_bits, mem_level, .. } = self.class;
        self.stream.as_ref().map_or(0, |_| (4 << window_bits) + (7 << (mem_level + 6)) + DEFLATER_BYTES)
    }

    /// The least length in bytes that is worth compressing.
    pub(crate) const fn threshold(&self) -> usize {
        self.threshold
    }

    /// Whether a message that did not shrink may be sent as it is: only if the stream forgets it at once.
    pub(crate) const fn may_discard(&self) -> bool {
        !self.context_takeover
    }

    /// What its messages depend on.
    pub(crate) const fn class(&self) -> DeflateClass {
        self.class
    }

    /// Looks back at no message that it has compressed. The peer need not know.
    pub(crate) fn forget(&mut self) {
        if let Some(stream) = self.stream.take() {
            give_deflater(self.class, stream);
        }
    }

    /// Deflates a message as if it were the first, and stays as it is.
    pub(crate) fn deflate_alone(&self, input: &[u8]) -> Vec<u8> {
        Self { context_takeover: false, stream: None, ..*self }.deflate(input, true)
    }

    /// Deflates one fragment; the last one of a message goes without its tail.
    pub(crate) fn deflate(&mut self, input: &[u8], fin: bool) -> Vec<u8> {
        let mut out = Vec::new();
        if input.is_empty() {
            // A second flush with nothing between would write nothing at all.
            out.extend_from_slice(if fin { EMPTY } else { &[] });
        } else {
            self.sync_flush(input, &mut out);
            if fin {
                debug_assert!(out.ends_with(&TAIL));
                out.truncate(out.len().saturating_sub(TAIL.len()));
            }
        }
        if fin && !self.context_takeover {
            self.forget();
        }
        out
    }

    fn sync_flush(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let class = self.class;
        let stream = self.stream.get_or_insert_with(|| take_deflater(class));
        out.resize(input.len() / 2 + 64, 0);
        let (mut taken, mut written) = (0, 0);
        loop {
            let (before_in, before_out) = (stream.total_in(), stream.total_out());
            stream
                .compress(&input[taken..], &mut out[written..], DeflateFlush::SyncFlush)
                .expect("a deflate stream with valid parameters does not fail");
            taken += (stream.total_in() - before_in) as usize;
            written += (stream.total_out() - before_out) as usize;
            if written < out.len() {
                break;
            }
            out.resize(out.len() * 2, 0);
        }
        out.truncate(written);
    }
}

/// Makes both directions' codecs for one endpoint, by what was agreed.
pub(crate) fn codecs(config: &DeflateConfig, agreed: DeflateAgreed, is_client: bool) -> Option<(Inflater, Deflater)> {
    let client = (agreed.client_max_window_bits, !agreed.client_no_context_takeover);
    let server = (agreed.server_max_window_bits, !agreed.server_no_context_takeover);
    let (theirs, ours) = if is_client { (server, client) } else { (client, server) };
    Some((Inflater::new(theirs.0, theirs.1), Deflater::new(config, ours.0, ours.1)))
}
