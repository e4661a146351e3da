use bytes::Bytes;

use super::{
    copied::copied,
    event::{Chunk, Delivery, Event, MAX_CHUNK},
    message::{Kind, Message},
};
use crate::proto::{
    Utf8Bytes,
    extension::deflate::{Inflated, Inflater},
    frame::{MaskingKey, ProtocolError, Utf8Validator, apply_mask},
};

/// From how many bytes of a frame on they are read where they belong, without a copy. For fewer, a message's buffer does
/// not grow once more either.
#[cfg(feature = "stream")]
const DIRECT_FROM: usize = 32 * 1024;

/// How much is copied and then unmasked while the first-level cache still has it.
const BLOCK: usize = 4096;

/// A message whose fragments are still coming (RFC 6455 §5.4). They are joined as they come, so a fragment costs its
/// bytes and nothing besides.
pub(super) struct Assembly {
    pub(super) kind: Kind,
    compressed: bool,
    /// What has become of its beginning: the rest is no message by itself.
    floor: Delivery,
    bytes: Vec<u8>,
    utf8: Utf8Validator,
    limits: Held,
}

/// How many bytes a message may come to, one that is compressed, and the memory for an unfinished one.
#[derive(Clone, Copy)]
pub(super) struct Held {
    pub(super) message: usize,
    pub(super) inflated: usize,
    pub(super) retained: usize,
}

/// How far an assembly got with what it was given.
pub(super) struct Assembled {
    /// How many bytes of the payload it took.
    pub(super) taken: usize,
    /// What it has to hand over before it takes more.
    pub(super) event: Option<Event>,
    /// Whether the message is complete.
    pub(super) complete: bool,
}

/// A stretch of a frame's payload as it lies in the inbox.
pub(super) struct Stretch<'a> {
    pub(super) payload: &'a mut [u8],
    pub(super) key: Option<MaskingKey>,
    /// How many bytes of the frame follow behind it.
    pub(super) behind: u64,
    /// Whether the frame is the message's last.
    pub(super) fin: bool,
}

impl Stretch<'_> {
    const fn ends_message(&self) -> bool {
        self.fin && self.behind == 0
    }
}

impl Assembly {
    pub(super) const fn new(kind: Kind, compressed: bool, limits: Held) -> Self {
        Self { kind, compressed, floor: Delivery::Whole, bytes: Vec::new(), utf8: Utf8Validator::new(), limits }
    }

    /// How many bytes of memory it takes.
    pub(super) const fn retained(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity()
    }

    /// Refuses a frame that would make the message too big, before a byte of its payload is kept.
    pub(super) const fn admit(&self, payload_len: u64) -> Result<(), ProtocolError> {
        let limit = self.limits.message;
        // What a compressed payload comes to only shows when it is inflated.
        if !self.compressed && payload_len > (limit.saturating_sub(self.bytes.len())) as u64 {
            return Err(ProtocolError::MessageTooBig { limit });
        }
        Ok(())
    }

    /// How the rest is to be handed over.
    pub(super) fn delivery(&self, asked: Delivery) -> Delivery {
        asked.max(self.floor)
    }

    /// Discards the rest.
    pub(super) const fn skip(&mut self) {
        self.floor = Delivery::Discard;
    }

    /// Takes in a stretch of payload.
    pub(super) fn take(
        &mut self,
        stretch: &mut Stretch<'_>,
        inflater: Option<&mut Inflater>,
        delivery: Delivery,
    ) -> Result<Assembled, ProtocolError> {
        let checked = self.bytes.len();
        let inflated = match inflater {
            Some(inflater) if self.compressed => self.inflate(stretch, inflater, delivery),
            _ => {
                self.reserve(stretch);
                append_masked(&mut self.bytes, stretch.payload, stretch.key);
                Ok((stretch.payload.len(), true))
            }
        };
        // What was inflated before a fault is judged before it, wherever the transport cut the bytes.
        if self.kind == Kind::Text {
            self.utf8.push(&self.bytes[checked..])?;
        }
        if delivery == Delivery::Whole {
            self.check_size()?;
        }
        let (taken, all) = inflated?;
        let fin = all && stretch.ends_message();
        if fin {
            std::mem::take(&mut self.utf8).finish()?;
        }
        let event = match delivery {
            Delivery::Whole if fin => Some(Event::Message(self.message())),
            Delivery::Chunks if fin || !self.bytes.is_empty() => {
                self.floor = Delivery::Chunks;
                let bytes = Bytes::from(std::mem::take(&mut self.bytes));
                Some(Event::Chunk(Chunk { kind: self.kind, bytes, fin }))
            }
            Delivery::Discard => {
                self.skip();
                self.bytes.clear();
                None
            }
            Delivery::Whole | Delivery::Chunks => None,
        };
        if delivery == Delivery::Whole && event.is_none() && self.bytes.capacity() > self.limits.retained {
            return Err(ProtocolError::RetainedTooMuch { limit: self.limits.retained });
        }
        Ok(Assembled { taken, event, complete: fin })
    }

    /// Refuses a message that has become too big.
    const fn check_size(&self) -> Result<(), ProtocolError> {
        let Held { message, inflated, .. } = self.limits;
        match self.bytes.len() {
            len if len > message => Err(ProtocolError::MessageTooBig { limit: message }),
            len if self.compressed && len > inflated => Err(ProtocolError::InflatedTooBig { limit: inflated }),
            _ => Ok(()),
        }
    }

    /// Inflates what fits; says how many bytes it took and whether that is all that the stretch makes.
    fn inflate(
        &mut self,
        stretch: &mut Stretch<'_>,
        inflater: &mut Inflater,
        delivery: Delivery,
    ) -> Result<(usize, bool), ProtocolError> {
        let Held { message, inflated, .. } = self.limits;
        // One byte over the limit shows that it is broken.
        let room = match delivery {
            Delivery::Whole => message.min(inflated).saturating_add(1),
            Delivery::Chunks | Delivery::Discard => MAX_CHUNK,
        };
        if let Some(key) = stretch.key {
            apply_mask(stretch.payload, key);
        }
        let (taken, mut inflated) = if stretch.payload.is_empty() {
            (0, Inflated::All)
        } else {
            inflater.inflate(stretch.payload, &mut self.bytes, room)?
        };
        if let Some(key) = stretch.key {
            // What is not taken comes again, as it was.
            apply_mask(&mut stretch.payload[taken..], key.at_offset(taken as u64));
        }
        if inflated == Inflated::All && stretch.ends_message() {
            inflated = inflater.finish(&mut self.bytes, room)?;
        }
        Ok((taken, inflated == Inflated::All))
    }

    /// Makes room for a stretch: at most twice what has arrived, and no more than the message can need.
    fn reserve(&mut self, stretch: &Stretch<'_>) {
        let arrived = self.bytes.len() + stretch.payload.len();
        if arrived > self.bytes.capacity() {
            let double = self.bytes.len().max(arrived / 2).saturating_mul(2);
            // What is read in chunks is not held for long, and may be more than a message.
            let most = self.limits.message.max(arrived);
            let known = if stretch.fin {
                most.min(arrived.saturating_add(usize::try_from(stretch.behind).unwrap_or(usize::MAX)))
            } else {
                most
            };
            copied(self.bytes.len());
            self.bytes.reserve_exact(arrived.max(double.min(known)) - self.bytes.len());
        }
    }

    /// Where so many bytes more may be put, and how many of them; `None` if they are few or have to be inflated.
    #[cfg(feature = "stream")]
    pub(super) fn direct(&mut self, remaining: u64) -> Option<(&mut Vec<u8>, usize)> {
        // As much again as has arrived, and not by what a header announces; but for a small rest.
        let (arrived, remaining) = (self.bytes.len(), usize::try_from(remaining).unwrap_or(usize::MAX));
        let room = if remaining <= arrived.saturating_add(DIRECT_FROM) { remaining } else { arrived };
        if self.compressed || arrived == 0 || remaining < DIRECT_FROM {
            return None;
        }
        if self.bytes.capacity() == self.bytes.len() {
            if arrived.saturating_add(room) > self.limits.retained {
                return None;
            }
            copied(self.bytes.len());
            self.bytes.reserve_exact(room);
        }
        let room = room.min(self.bytes.capacity() - self.bytes.len());
        Some((&mut self.bytes, room))
    }

    /// Takes in the last `len` bytes that were put there.
    #[cfg(feature = "stream")]
    pub(super) fn received_directly(&mut self, len: usize, key: Option<MaskingKey>) -> Result<(), ProtocolError> {
        let from = self.bytes.len() - len;
        if let Some(key) = key {
            apply_mask(&mut self.bytes[from..], key);
        }
        if self.kind == Kind::Text { self.utf8.push(&self.bytes[from..]) } else { Ok(()) }
    }

    fn message(&mut self) -> Message {
        let bytes = Bytes::from(std::mem::take(&mut self.bytes));
        match self.kind {
            Kind::Text => Message::Text(Utf8Bytes::from_validated(bytes)),
            Kind::Binary => Message::Binary(bytes),
        }
    }
}

/// Copies a payload and masks or unmasks the copy, block by block.
#[inline]
pub(super) fn append_masked(out: &mut Vec<u8>, payload: &[u8], key: Option<MaskingKey>) {
    copied(payload.len());
    let Some(key) = key else {
        out.extend_from_slice(payload);
        return;
    };
    out.reserve(payload.len());
    for block in payload.chunks(BLOCK) {
        let from = out.len();
        out.extend_from_slice(block);
        apply_mask(&mut out[from..], key);
    }
}
