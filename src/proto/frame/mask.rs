use std::fmt;

/// The four bytes that a client's payload is XORed with (RFC 6455 §5.3).
///
/// A key has to be unpredictable and used for one frame only; making keys is left to the caller of the core, the
/// tokio client takes them from the operating system's generator.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct MaskingKey(pub [u8; 4]);

impl MaskingKey {
    /// The key as it applies from byte `offset` of the payload on.
    #[must_use]
    pub const fn at_offset(self, offset: u64) -> Self {
        let [a, b, c, d] = self.0;
        match offset % 4 {
            0 => self,
            1 => Self([b, c, d, a]),
            2 => Self([c, d, a, b]),
            _ => Self([d, a, b, c]),
        }
    }
}

/// The key of a frame in flight is no secret that a log should have.
impl fmt::Debug for MaskingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskingKey(..)")
    }
}

/// Masks or unmasks `payload` in place (RFC 6455 §5.3); the operation is its own inverse.
///
/// `key` applies to the first byte of `payload`: use [`MaskingKey::at_offset`] for a part that does not start at the
/// front of its frame. Any length and alignment goes.
#[inline]
pub fn apply_mask(payload: &mut [u8], key: MaskingKey) {
    if payload.len() < 8 {
        for (byte, key) in payload.iter_mut().zip(key.0.into_iter().cycle()) {
            *byte ^= key;
        }
        return;
    }
    // The last word overlaps the one before, so that no length needs a loop over bytes. It is looked up before the
    // others change what they share with it.
    let at = payload.len() - 8;
    let last = masked(payload.last_chunk().copied().unwrap_or_default(), key.at_offset(at as u64));
    // Four words a turn, so that the compiler makes whole vectors of them.
    let (blocks, rest) = payload.as_chunks_mut::<32>();
    for block in blocks {
        let (words, _) = block.as_chunks_mut::<8>();
        words.iter_mut().for_each(|word| *word = masked(*word, key));
    }
    let (words, _) = rest.as_chunks_mut::<8>();
    words.iter_mut().for_each(|word| *word = masked(*word, key));
    payload[at..].copy_from_slice(&last);
}

/// Copies `from` to `to`, which is as long, and masks or unmasks the copy.
#[inline]
pub(crate) fn copy_masked(to: &mut [u8], from: &[u8], key: MaskingKey) {
    debug_assert_eq!(to.len(), from.len());
    let Some(last) = from.last_chunk() else {
        for ((to, from), key) in to.iter_mut().zip(from).zip(key.0.into_iter().cycle()) {
            *to = from ^ key;
        }
        return;
    };
    let at = from.len() - 8;
    let last = masked(*last, key.at_offset(at as u64));
    for (to, from) in to.as_chunks_mut().0.iter_mut().zip(from.as_chunks().0) {
        *to = masked(*from, key);
    }
    to[at..].copy_from_slice(&last);
}

#[inline]
fn masked(word: [u8; 8], MaskingKey([a, b, c, d]): MaskingKey) -> [u8; 8] {
    (u64::from_ne_bytes(word) ^ u64::from_ne_bytes([a, b, c, d, a, b, c, d])).to_ne_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_offset_and_alignment_matches_the_definition() {
        let key = MaskingKey([0x37, 0xfa, 0x21, 0x3d]);
        let source: Vec<u8> = (0..200u16).map(|i| (i * 7) as u8).collect();
        for start in 0..16 {
            for len in 0..150 {
                for offset in 0..8u64 {
                    let mut masked = source.clone();
                    apply_mask(&mut masked[start..start + len], key.at_offset(offset));
                    for (i, byte) in masked.iter().enumerate() {
                        let inside = (start..start + len).contains(&i);
                        let key = if inside { key.0[(i - start + offset as usize) % 4] } else { 0 };
                        assert_eq!(*byte, source[i] ^ key, "start {start}, len {len}, offset {offset}, byte {i}");
                    }
                }
            }
        }
    }
}
