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
    #[inline]
    pub const fn at_offset(self, offset: u64) -> Self {
        let bits = 8 * (offset % 4) as u32;
        Self(u32::from_le_bytes(self.0).rotate_right(bits).to_le_bytes())
    }

    /// The key twice, for a word of payload.
    #[inline]
    const fn wide(self) -> u64 {
        let key = u32::from_le_bytes(self.0) as u64;
        key << 32 | key
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
    let last = masked(payload.last_chunk().copied().unwrap_or_default(), key.at_offset(at as u64).wide());
    let key = key.wide();
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
    match from.len() {
        0..8 => {
            for ((to, from), key) in to.iter_mut().zip(from).zip(key.0.into_iter().cycle()) {
                *to = from ^ key;
            }
        }
        8..=16 => copy_blocks::<8>(to, from, key),
        17..=32 => copy_blocks::<16>(to, from, key),
        _ => copy_blocks::<32>(to, from, key),
    }
}

/// Goes in blocks of `N` bytes, a multiple of 8, over what is as long as one at least. The last block overlaps the one
/// before, so that no length needs a loop over bytes.
#[inline(always)]
fn copy_blocks<const N: usize>(to: &mut [u8], from: &[u8], key: MaskingKey) {
    for (to, from) in to.as_chunks_mut::<N>().0.iter_mut().zip(from.as_chunks::<N>().0) {
        *to = masked_block(from, key.wide());
    }
    let at = from.len() - N;
    if let (Some(to), Some(from)) = (to.last_chunk_mut::<N>(), from.last_chunk::<N>()) {
        *to = masked_block(from, key.at_offset(at as u64).wide());
    }
}

#[inline(always)]
fn masked_block<const N: usize>(block: &[u8; N], key: u64) -> [u8; N] {
    let mut copy = *block;
    copy.as_chunks_mut().0.iter_mut().for_each(|word| *word = masked(*word, key));
    copy
}

#[inline]
fn masked(word: [u8; 8], key: u64) -> [u8; 8] {
    (u64::from_le_bytes(word) ^ key).to_le_bytes()
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
                    let key_at = key.at_offset(offset);
                    apply_mask(&mut masked[start..start + len], key_at);
                    for (i, byte) in masked.iter().enumerate() {
                        let inside = (start..start + len).contains(&i);
                        let key = if inside { key.0[(i - start + offset as usize) % 4] } else { 0 };
                        assert_eq!(*byte, source[i] ^ key, "start {start}, len {len}, offset {offset}, byte {i}");
                    }
                    let mut copy = vec![0; len];
                    copy_masked(&mut copy, &source[start..start + len], key_at);
                    assert_eq!(copy, masked[start..start + len], "start {start}, len {len}, offset {offset}");
                }
            }
        }
    }
}
