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
    let word = u32::from_ne_bytes(key.0);
    let wide = u64::from(word) << 32 | u64::from(word);
    // Four words a turn, so that the compiler makes whole vectors of them.
    let (blocks, rest) = payload.as_chunks_mut::<32>();
    for block in blocks {
        let (words, _) = block.as_chunks_mut::<8>();
        for bytes in words {
            *bytes = (u64::from_ne_bytes(*bytes) ^ wide).to_ne_bytes();
        }
    }
    let (words, tail) = rest.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ wide).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(wide.to_ne_bytes()) {
        *byte ^= key;
    }
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
