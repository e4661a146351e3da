use bytes::{Bytes, BytesMut};

use super::{HeadError, Headers, grammar};
use crate::proto::Limits;

/// Collects one head from input that comes in pieces.
///
/// Each byte is looked at once when it comes, and the head is parsed once when it is whole. Bytes behind the head are
/// not taken. It is stricter than RFC 9112 asks: a bare LF is no line end (§2.2 would allow it), and a folded line is
/// refused (§5.2), as two readers that differ in these are how requests are smuggled. Empty lines in front of
/// a request are passed over (§2.2); they count as bytes of the head.
#[derive(Debug)]
pub struct HeadReader {
    limits: Limits,
    head: BytesMut,
    /// Bytes taken, those of empty lines in front of the head too.
    taken: usize,
    headers: usize,
    target: Target,
    at: At,
}

/// Where in the head the next byte stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum At {
    /// In front of the first line.
    Front,
    /// Behind the CR of an empty line in front of the first line.
    FrontCr,
    StartLine,
    HeaderLine,
    /// Behind the CR of a line.
    LineCr,
    LineStart,
    /// Behind the CR of the empty line.
    EndCr,
    End,
}

/// How far the request target has come.
#[derive(Clone, Copy, Debug)]
enum Target {
    /// A response has none.
    None,
    /// The method is being read.
    Ahead,
    Inside {
        len: usize,
    },
    Behind,
}

impl HeadReader {
    /// Reads a request's head.
    pub fn request(limits: Limits) -> Self {
        Self::new(limits, Target::Ahead)
    }

    /// Reads a response's head.
    pub fn response(limits: Limits) -> Self {
        Self::new(limits, Target::None)
    }

    fn new(limits: Limits, target: Target) -> Self {
        Self { limits, head: BytesMut::new(), taken: 0, headers: 0, target, at: At::Front }
    }

    /// Takes in the next bytes; says how many belong to the head, and gives the head once it is whole.
    ///
    /// Behind the head, and behind an error, nothing more is taken.
    ///
    /// # Errors
    ///
    /// [`HeadError`] at the first byte that breaks a limit, the line structure or the start line's alphabet; the rest
    /// shows when the head is [parsed](RequestHead::parse).
    pub fn receive(&mut self, input: &[u8]) -> Result<(usize, Option<Bytes>), HeadError> {
        if self.at == At::End {
            return Ok((0, None));
        }
        let (mut kept_from, mut index) = (0, 0);
        loop {
            if self.at == At::HeaderLine {
                index += self.pass_over(&input[index..]);
            }
            let Some(&byte) = input.get(index) else { break };
            let next = match self.judge(byte) {
                Ok(next) => next,
                Err(error) => {
                    self.at = At::End;
                    return Err(error);
                }
            };
            self.taken += 1;
            if next == At::Front {
                kept_from = index + 1;
            }
            self.at = next;
            if next == At::End {
                self.head.extend_from_slice(&input[kept_from..=index]);
                return Ok((index + 1, Some(self.head.split().freeze())));
            }
            index += 1;
        }
        if !matches!(self.at, At::Front | At::FrontCr) {
            self.head.extend_from_slice(&input[kept_from..]);
        }
        Ok((input.len(), None))
    }

    /// How many bytes of a head have come.
    pub fn received(&self) -> usize {
        self.taken
    }

    /// Takes the bytes that only go on with a header line; says how many.
    fn pass_over(&mut self, rest: &[u8]) -> usize {
        let room = self.limits.max_head.saturating_sub(self.taken);
        let rest = &rest[..rest.len().min(room)];
        let len = rest.iter().position(|&byte| !grammar::is_field_byte(byte)).unwrap_or(rest.len());
        self.taken += len;
        len
    }

    /// Judges the next byte and says what it leads to.
    fn judge(&mut self, byte: u8) -> Result<At, HeadError> {
        if self.taken >= self.limits.max_head {
            return Err(HeadError::TooLarge { limit: self.limits.max_head });
        }
        match (self.at, byte) {
            (At::Front, b'\r') => Ok(At::FrontCr),
            (At::FrontCr, b'\n') => Ok(At::Front),
            // "GET /" of HTTP/0.9, or no request at all: nobody waits for its headers.
            (At::StartLine, b'\r') if matches!(self.target, Target::Ahead | Target::Inside { .. }) => {
                Err(HeadError::StartLine)
            }
            (At::StartLine | At::HeaderLine, b'\r') => Ok(At::LineCr),
            (At::LineCr, b'\n') => Ok(At::LineStart),
            (At::LineStart, b'\r') => Ok(At::EndCr),
            (At::EndCr, b'\n') => Ok(At::End),
            (_, b'\r' | b'\n') | (At::FrontCr | At::LineCr | At::EndCr, _) => Err(HeadError::LineEnd),
            (At::LineStart, b' ' | b'\t') => Err(HeadError::FoldedLine),
            (_, byte) if !grammar::is_field_byte(byte) => Err(HeadError::ForbiddenByte { byte }),
            (At::Front | At::StartLine, byte) => self.start_line(byte),
            (At::LineStart, _) => {
                if self.headers >= self.limits.max_headers {
                    return Err(HeadError::TooManyHeaders { limit: self.limits.max_headers });
                }
                self.headers += 1;
                Ok(At::HeaderLine)
            }
            (At::HeaderLine | At::End, _) => Ok(self.at),
        }
    }

    /// Follows the request target, as its limit holds before the line is whole.
    fn start_line(&mut self, byte: u8) -> Result<At, HeadError> {
        self.target = match (self.target, byte) {
            (Target::Ahead, b' ') => Target::Inside { len: 0 },
            (Target::Inside { .. }, b' ') => Target::Behind,
            (Target::Inside { len }, _) if len >= self.limits.max_target => {
                return Err(HeadError::TargetTooLong { limit: self.limits.max_target });
            }
            (Target::Inside { len }, _) => Target::Inside { len: len + 1 },
            // A method is a token: what comes first in a TLS handshake, for one, is not.
            (Target::Ahead, byte) if !grammar::is_tchar(byte) => return Err(HeadError::StartLine),
            (target @ (Target::None | Target::Ahead | Target::Behind), _) => target,
        };
        Ok(At::StartLine)
    }
}

/// The versions of HTTP that carry WebSockets here.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2, whose heads another library reads.
    Http2,
}

impl Version {
    const fn from_minor(minor: u8) -> Self {
        if minor == 0 { Self::Http10 } else { Self::Http11 }
    }
}

/// The head of a request (RFC 9112 §3).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestHead {
    /// The method, in the case in which it came.
    pub method: String,
    /// The request target: visible ASCII without `#`.
    pub target: String,
    /// The version of HTTP.
    pub version: Version,
    /// The header fields.
    pub headers: Headers,
}

impl RequestHead {
    /// Parses a whole head, as [`HeadReader::receive`] gives it.
    ///
    /// # Errors
    ///
    /// [`HeadError`] if it is not a well-formed head of a request.
    pub fn parse(head: &Bytes) -> Result<Self, HeadError> {
        let mut fields = vec![httparse::EMPTY_HEADER; line_count(head)];
        let mut request = httparse::Request::new(&mut fields);
        match request.parse(head) {
            Ok(httparse::Status::Complete(len)) if len == head.len() => {}
            Ok(_) => return Err(HeadError::HeaderLine),
            Err(httparse::Error::Version) => {
                let version = first_line(head).iter().rposition(|&byte| byte == b' ').map_or(0, |space| space + 1);
                return Self::parse(&with_known_version(head, version)?);
            }
            Err(error) => return Err(head_error(error)),
        }
        let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
            return Err(HeadError::StartLine);
        };
        if target.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'#') {
            return Err(HeadError::Target);
        }
        let headers = headers(head, request.headers);
        Ok(Self { method: method.into(), target: target.into(), version: Version::from_minor(minor), headers })
    }
}

/// The head of a response (RFC 9112 §4).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResponseHead {
    /// The version of HTTP.
    pub version: Version,
    /// The status code, from 100 on.
    pub status: u16,
    /// The reason phrase; often empty.
    pub reason: String,
    /// The header fields.
    pub headers: Headers,
}

impl ResponseHead {
    /// Parses a whole head, as [`HeadReader::receive`] gives it.
    ///
    /// # Errors
    ///
    /// [`HeadError`] if it is not a well-formed head of a response.
    pub fn parse(head: &Bytes) -> Result<Self, HeadError> {
        let mut fields = vec![httparse::EMPTY_HEADER; line_count(head)];
        let mut response = httparse::Response::new(&mut fields);
        match response.parse(head) {
            Ok(httparse::Status::Complete(len)) if len == head.len() => {}
            Ok(_) => return Err(HeadError::HeaderLine),
            Err(httparse::Error::Version) => return Self::parse(&with_known_version(head, 0)?),
            Err(error) => return Err(head_error(error)),
        }
        let (Some(minor), Some(status), Some(reason)) = (response.version, response.code, response.reason) else {
            return Err(HeadError::StartLine);
        };
        if status < 100 {
            return Err(HeadError::StartLine);
        }
        let headers = headers(head, response.headers);
        Ok(Self { version: Version::from_minor(minor), status, reason: reason.into(), headers })
    }
}

/// At least as many as there are header lines.
fn line_count(head: &[u8]) -> usize {
    head.iter().filter(|&&byte| byte == b'\n').count()
}

fn first_line(head: &[u8]) -> &[u8] {
    head.split(|&byte| byte == b'\r').next().unwrap_or_default()
}

/// The head with HTTP/1.1 at `version`, where its first line names a later HTTP/1.x.
///
/// RFC 9110 §2.5: a recipient of a higher minor version than it implements "SHOULD process the message as if it was in the
/// highest minor version within that major version to which the recipient is conformant".
#[cold]
fn with_known_version(head: &Bytes, version: usize) -> Result<Bytes, HeadError> {
    let name = first_line(head).get(version..).unwrap_or_default();
    let (&[b'H', b'T', b'T', b'P', b'/', major, b'.', minor], behind) =
        name.split_first_chunk().ok_or(HeadError::StartLine)?
    else {
        return Err(HeadError::StartLine);
    };
    if !major.is_ascii_digit() || !minor.is_ascii_digit() || !matches!(behind, [] | [b' ', ..]) {
        return Err(HeadError::StartLine);
    }
    match (major, minor) {
        // A version that is known is not what keeps the line from being read.
        (b'1', ..b'2') => return Err(HeadError::StartLine),
        (b'1', _) => {}
        _ => return Err(HeadError::Version),
    }
    let mut known = BytesMut::from(&head[..]);
    known[version + name.len() - behind.len() - 1] = b'1';
    Ok(known.freeze())
}

fn headers(head: &Bytes, fields: &[httparse::Header<'_>]) -> Headers {
    let mut headers = Headers::with_capacity(fields.len(), head.len());
    for field in fields {
        headers.push_checked(field.name.as_bytes(), field.value);
    }
    headers
}

const fn head_error(error: httparse::Error) -> HeadError {
    match error {
        httparse::Error::Version => HeadError::Version,
        httparse::Error::HeaderName | httparse::Error::HeaderValue | httparse::Error::TooManyHeaders => {
            HeadError::HeaderLine
        }
        httparse::Error::NewLine => HeadError::LineEnd,
        httparse::Error::Status | httparse::Error::Token => HeadError::StartLine,
    }
}
