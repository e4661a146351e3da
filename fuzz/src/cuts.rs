//! How a transport cuts bytes.

use arbitrary::Arbitrary;

/// The lengths of pieces, again and again: below 200 as it is, and from there on in steps of 256 bytes.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Cuts(pub [u8; 4]);

impl Cuts {
    /// Cuts `bytes`. There is no empty piece.
    pub fn pieces(self, mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
        let mut lengths = self.0.into_iter().cycle();
        std::iter::from_fn(move || {
            let len = lengths.next().map_or(1, length).min(bytes.len());
            let (piece, rest) = bytes.split_at(len);
            bytes = rest;
            (len > 0).then_some(piece)
        })
    }
}

/// What a byte means as the length of a piece.
pub fn length(byte: u8) -> usize {
    match byte {
        0..200 => usize::from(byte) + 1,
        200.. => (usize::from(byte) - 199) * 256,
    }
}
