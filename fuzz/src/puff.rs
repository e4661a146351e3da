//! A walk over DEFLATE's symbols (RFC 1951), for what no zlib tells: how far back a stream refers.

/// The largest distance in `stream`, up to where it ends or breaks. Behind a final block another stream begins at the
/// next byte.
pub fn farthest(stream: &[u8]) -> usize {
    let mut walk = Walk { input: stream, at: 0, farthest: 0 };
    while walk.block().is_some() {}
    walk.farthest
}

struct Walk<'a> {
    input: &'a [u8],
    /// The next bit.
    at: usize,
    farthest: usize,
}

impl Walk<'_> {
    fn bits(&mut self, count: usize) -> Option<usize> {
        let mut value = 0;
        for bit in 0..count {
            let byte = *self.input.get(self.at / 8)?;
            value |= usize::from(byte >> (self.at % 8) & 1) << bit;
            self.at += 1;
        }
        Some(value)
    }

    fn block(&mut self) -> Option<()> {
        let is_final = self.bits(1)? == 1;
        match self.bits(2)? {
            0 => self.stored()?,
            1 => {
                let lengths: Vec<usize> = [(144, 8), (112, 9), (24, 7), (8, 8)]
                    .into_iter()
                    .flat_map(|(count, len)| std::iter::repeat_n(len, count))
                    .collect();
                self.compressed(&Code::new(&lengths), &Code::new(&[5; 30]))?;
            }
            2 => {
                let (literals, distances) = self.codes()?;
                self.compressed(&literals, &distances)?;
            }
            _ => return None,
        }
        if is_final {
            self.at = self.at.next_multiple_of(8);
        }
        Some(())
    }

    fn stored(&mut self) -> Option<()> {
        self.at = self.at.next_multiple_of(8);
        let len = self.bits(16)?;
        (self.bits(16)? == len ^ 0xffff).then_some(())?;
        self.at += len * 8;
        Some(())
    }

    fn compressed(&mut self, literals: &Code, distances: &Code) -> Option<()> {
        loop {
            match literals.symbol(self)? {
                0..=255 => continue,
                256 => return Some(()),
                257..=264 | 285 => {}
                symbol @ 265..=284 => {
                    self.bits((symbol - 261) / 4)?;
                }
                _ => return None,
            }
            let distance = match distances.symbol(self)? {
                symbol @ 0..=3 => symbol + 1,
                symbol @ 4..=29 => {
                    let extra = symbol / 2 - 1;
                    ((symbol % 2 + 2) << extra) + 1 + self.bits(extra)?
                }
                _ => return None,
            };
            self.farthest = self.farthest.max(distance);
        }
    }

    fn codes(&mut self) -> Option<(Code, Code)> {
        const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let (literals, distances, codes) = (self.bits(5)? + 257, self.bits(5)? + 1, self.bits(4)? + 4);
        let mut lengths = [0; 19];
        for &symbol in &ORDER[..codes] {
            lengths[symbol] = self.bits(3)?;
        }
        let code = Code::new(&lengths);
        let mut lengths = Vec::new();
        while lengths.len() < literals + distances {
            let (length, count) = match code.symbol(self)? {
                16 => (*lengths.last()?, self.bits(2)? + 3),
                17 => (0, self.bits(3)? + 3),
                18 => (0, self.bits(7)? + 11),
                length => (length, 1),
            };
            lengths.resize(lengths.len() + count, length);
        }
        Some((Code::new(&lengths[..literals]), Code::new(lengths.get(literals..literals + distances)?)))
    }
}

/// A Huffman code (RFC 1951 §3.2.2): how many codes there are of each length, and the symbols in their order.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[usize]) -> Self {
        let mut counts = [0; 16];
        lengths.iter().for_each(|len| counts[*len] += 1);
        let of_length = |len| (0..lengths.len()).filter(move |symbol| lengths[*symbol] == len);
        Self { counts, symbols: (1..16).flat_map(of_length).collect() }
    }

    fn symbol(&self, walk: &mut Walk<'_>) -> Option<usize> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= walk.bits(1)?;
            if code < first + count {
                return self.symbols.get((index + code).checked_sub(first)?).copied();
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }
}
