//! A plain inflater after RFC 1951, for what zlib-rs does not tell: how far back a stream refers.

/// What a stream inflates to, and its largest distance.
#[derive(Default)]
pub struct Puffed {
    pub bytes: Vec<u8>,
    pub farthest: usize,
}

struct Bits<'a> {
    input: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> usize {
        let bits = (self.at..self.at + count).map(|at| usize::from(self.input[at / 8] >> (at % 8) & 1));
        let value = bits.enumerate().map(|(i, bit)| bit << i).sum();
        self.at += count;
        value
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
        counts[0] = 0;
        let of_length = |len| (0..lengths.len()).filter(move |symbol| lengths[*symbol] == len);
        Self { counts, symbols: (1..16).flat_map(of_length).collect() }
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> usize {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= bits.take(1);
            if code < first + count {
                return self.symbols[index + code - first];
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        panic!("no such code");
    }
}

/// Inflates blocks until the input is used up, behind what `self` holds already.
impl Puffed {
    pub fn puff(&mut self, input: &[u8]) {
        let mut bits = Bits { input, at: 0 };
        while bits.at + 3 <= input.len() * 8 {
            bits.take(1); // BFINAL
            match bits.take(2) {
                0 => self.stored(&mut bits),
                1 => {
                    let lengths: Vec<usize> = (0..288)
                        .map(|symbol| match symbol {
                            0..=143 | 280..=287 => 8,
                            144..=255 => 9,
                            _ => 7,
                        })
                        .collect();
                    self.compressed(&mut bits, &Code::new(&lengths), &Code::new(&[5; 30]));
                }
                2 => {
                    let (literals, distances) = dynamic(&mut bits);
                    self.compressed(&mut bits, &literals, &distances);
                }
                _ => panic!("block type 3"),
            }
        }
    }

    fn stored(&mut self, bits: &mut Bits<'_>) {
        bits.at = bits.at.next_multiple_of(8);
        let len = bits.take(16);
        assert_eq!(bits.take(16), len ^ 0xffff);
        self.bytes.extend_from_slice(&bits.input[bits.at / 8..][..len]);
        bits.at += len * 8;
    }

    fn compressed(&mut self, bits: &mut Bits<'_>, literals: &Code, distances: &Code) {
        loop {
            let len = match literals.symbol(bits) {
                literal @ 0..=255 => {
                    self.bytes.push(literal as u8);
                    continue;
                }
                256 => return,
                symbol @ 257..=264 => symbol - 254,
                285 => 258,
                symbol => {
                    let extra = (symbol - 261) / 4;
                    (((symbol - 265) % 4 + 4) << extra) + 3 + bits.take(extra)
                }
            };
            let distance = match distances.symbol(bits) {
                symbol @ 0..=3 => symbol + 1,
                symbol => {
                    let extra = symbol / 2 - 1;
                    ((symbol % 2 + 2) << extra) + 1 + bits.take(extra)
                }
            };
            self.farthest = self.farthest.max(distance);
            (0..len).for_each(|_| self.bytes.push(self.bytes[self.bytes.len() - distance]));
        }
    }
}

fn dynamic(bits: &mut Bits<'_>) -> (Code, Code) {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let (literals, distances, codes) = (bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4);
    let mut lengths = [0; 19];
    ORDER[..codes].iter().for_each(|symbol| lengths[*symbol] = bits.take(3));
    let code = Code::new(&lengths);
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (length, count) = match code.symbol(bits) {
            16 => (lengths[lengths.len() - 1], bits.take(2) + 3),
            17 => (0, bits.take(3) + 3),
            18 => (0, bits.take(7) + 11),
            length => (length, 1),
        };
        lengths.resize(lengths.len() + count, length);
    }
    (Code::new(&lengths[..literals]), Code::new(&lengths[literals..]))
}
