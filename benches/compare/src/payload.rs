//! What the messages say.

/// What kind of message is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Binary,
    Ascii,
    /// Text with characters of one to four bytes.
    Mixed,
    Json,
}

impl Kind {
    pub fn is_text(self) -> bool {
        self != Self::Binary
    }

    /// The `nth` payload of exactly `len` bytes.
    pub fn payload(self, len: usize, nth: usize) -> Vec<u8> {
        let mut random = Random(nth as u64 + 1);
        match self {
            Self::Binary => (0..len).map(|_| random.draw() as u8).collect(),
            Self::Ascii => text(len, || char::from(b' ' + (random.draw() % 95) as u8).into()),
            Self::Mixed => text(len, || ["a", "e", " ", "ł", "é", "東", "—", "🐟"][random.draw() as usize % 8].into()),
            Self::Json => text(len, || {
                let (id, price, size) = (random.draw() % 100_000, random.draw() % 10_000_000, random.draw() % 500);
                let side = ["buy", "sell"][id as usize % 2];
                format!("{{\"id\":{id},\"symbol\":\"EUR/USD\",\"side\":\"{side}\",\"price\":{price},\"size\":{size}}},")
            }),
        }
    }
}

/// Text of exactly `len` bytes, the last of them ASCII where a character would be cut.
fn text(len: usize, mut next: impl FnMut() -> String) -> Vec<u8> {
    let mut text = String::new();
    while text.len() < len {
        text += &next();
    }
    while text.len() > len {
        text.pop();
    }
    text.extend(std::iter::repeat_n('.', len - text.len()));
    text.into_bytes()
}

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
