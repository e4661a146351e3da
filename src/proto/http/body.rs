use super::Headers;

/// Collects the body of a response up to a limit (RFC 9112 §6.3).
///
/// What is over the limit is left out, and a body that breaks its own framing ends there: it only serves to show a
/// human what a refusing server had to say.
#[derive(Debug)]
pub(crate) struct BodyReader {
    framing: Framing,
    body: Vec<u8>,
    limit: usize,
    /// How many bytes of chunked framing may still come.
    framing_left: usize,
}

/// How many bytes of chunked framing are read beside a body: sizes, line ends and extensions.
const MAX_FRAMING: usize = 64 * 1024;

#[derive(Clone, Copy, Debug)]
enum Framing {
    UntilEof,
    Length { left: u64 },
    ChunkSize { size: u64 },
    ChunkExtension { size: u64 },
    ChunkData { left: u64 },
    ChunkEnd,
    End,
}

impl BodyReader {
    /// Reads the body behind the head of a response with this `status` and these `headers`.
    pub(crate) fn new(status: u16, headers: &Headers, limit: usize) -> Self {
        let framing = if matches!(status, 204 | 304) {
            Framing::End
        } else if headers.contains_token("Transfer-Encoding", "chunked") {
            Framing::ChunkSize { size: 0 }
        } else {
            match headers.get_str("Content-Length").map(str::parse) {
                Some(Ok(left)) => Framing::Length { left },
                Some(Err(_)) | None => Framing::UntilEof,
            }
        };
        Self { framing, body: Vec::new(), limit, framing_left: MAX_FRAMING }
    }

    /// Takes in the next bytes.
    pub(crate) fn receive(&mut self, mut input: &[u8]) {
        while !self.is_complete() {
            let Some((&byte, rest)) = input.split_first() else { return };
            self.framing = match self.framing {
                Framing::UntilEof => {
                    self.keep(input);
                    return;
                }
                Framing::Length { left } => {
                    self.keep_at_most(left, &mut input);
                    return;
                }
                Framing::ChunkData { left } => {
                    self.keep_at_most(left, &mut input);
                    continue;
                }
                framing if self.framing_left > 0 => {
                    self.framing_left -= 1;
                    input = rest;
                    framing.after(byte)
                }
                _ => Framing::End,
            };
        }
    }

    /// Whether there is nothing more to come, or to keep.
    pub(crate) fn is_complete(&self) -> bool {
        self.body.len() >= self.limit || matches!(self.framing, Framing::End | Framing::Length { left: 0 })
    }

    /// What has come.
    pub(crate) fn into_body(self) -> Vec<u8> {
        self.body
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_sub(self.body.len());
        self.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Takes up to `left` bytes off the front of `input`.
    fn keep_at_most(&mut self, left: u64, input: &mut &[u8]) {
        let len = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        let (data, rest) = input.split_at(len);
        self.keep(data);
        *input = rest;
        let left = left - len as u64;
        self.framing = match self.framing {
            Framing::ChunkData { .. } if left == 0 => Framing::ChunkEnd,
            Framing::ChunkData { .. } => Framing::ChunkData { left },
            _ => Framing::Length { left },
        };
    }
}

impl Framing {
    /// Goes on by one byte of the chunked coding (RFC 9112 §7.1); trailers are not read.
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::ChunkSize { size: 0 } | Self::ChunkExtension { size: 0 }, b'\n') => Self::End,
            (Self::ChunkSize { size: left } | Self::ChunkExtension { size: left }, b'\n') => Self::ChunkData { left },
            (Self::ChunkSize { size }, b';' | b' ' | b'\t' | b'\r') | (Self::ChunkExtension { size }, _) => {
                Self::ChunkExtension { size }
            }
            (Self::ChunkSize { size }, byte) => match (char::from(byte).to_digit(16), size.checked_mul(16)) {
                (Some(digit), Some(size)) => Self::ChunkSize { size: size + u64::from(digit) },
                _ => Self::End,
            },
            (Self::ChunkEnd, b'\r') => Self::ChunkEnd,
            (Self::ChunkEnd, b'\n') => Self::ChunkSize { size: 0 },
            (Self::ChunkEnd | Self::UntilEof | Self::Length { .. } | Self::ChunkData { .. } | Self::End, _) => {
                Self::End
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &str)], pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let mut fields = Headers::new();
        for (name, value) in headers {
            fields.push(name, value).expect("valid");
        }
        let mut reader = BodyReader::new(403, &fields, 10);
        for piece in pieces {
            reader.receive(piece);
        }
        let complete = reader.is_complete();
        (reader.into_body(), complete)
    }

    #[test]
    fn reads_by_length_by_chunks_and_until_the_end() {
        assert_eq!(read(&[("Content-Length", "3")], &[b"a", b"bcd"]), (b"abc".to_vec(), true));
        assert_eq!(read(&[("Content-Length", "0")], &[]), (vec![], true));
        assert_eq!(read(&[], &[b"abc", b"def"]), (b"abcdef".to_vec(), false));
        assert_eq!(read(&[], &[b"0123456789a"]), (b"0123456789".to_vec(), true)); // the limit
        let wire = b"3;x=1\r\nabc\r\n0A\r\ndefghijklm\r\n0\r\n\r\n";
        for at in 0..wire.len() {
            let (one, two) = wire.split_at(at);
            assert_eq!(read(&[("Transfer-Encoding", "chunked")], &[one, two]), (b"abcdefghij".to_vec(), true));
        }
        let chunked = [("Transfer-Encoding", "chunked")];
        assert_eq!(read(&chunked, &[b"1\r\na\r\n0\r\n"]), (b"a".to_vec(), true));
        assert_eq!(read(&chunked, &[b"ffffffffffffffffff\r\na"]), (vec![], true)); // a size that overflows
        let endless = [&b"1;"[..], &[b'x'; MAX_FRAMING - 1]].concat();
        assert_eq!(read(&chunked, &[&endless[..MAX_FRAMING]]), (vec![], false));
        assert_eq!(read(&chunked, &[&endless]), (vec![], true));
    }
}
