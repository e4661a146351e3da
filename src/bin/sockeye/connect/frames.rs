//! Looks on while frames pass, and sees their headers.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use sockeye::{
    Transport,
    proto::frame::{Header, Parsed},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::mpsc,
};

use crate::output::{Event, Way};

/// The frames that were seen, in order.
pub(super) type Frames = mpsc::UnboundedReceiver<Event>;

/// A transport that tells of the frames which pass through it.
pub(super) struct Tap {
    io: Transport,
    seen: mpsc::UnboundedSender<Event>,
    incoming: Watch,
    outgoing: Watch,
}

impl Tap {
    pub(super) fn new(io: Transport, seen: mpsc::UnboundedSender<Event>) -> Self {
        Self { io, seen, incoming: Watch::default(), outgoing: Watch::default() }
    }
}

impl AsyncRead for Tap {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        this.incoming.pass(&buf.filled()[before..], |header| {
            // Once nobody looks any more, nothing is told.
            let _ = this.seen.send(Event::Frame { way: Way::In, header });
        });
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, buf))?;
        this.outgoing.pass(&buf[..written], |header| {
            let _ = this.seen.send(Event::Frame { way: Way::Out, header });
        });
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = ready!(Pin::new(&mut this.io).poll_write_vectored(cx, bufs))?;
        let mut rest = written;
        for buf in bufs {
            let taken = rest.min(buf.len());
            rest -= taken;
            this.outgoing.pass(&buf[..taken], |header| {
                let _ = this.seen.send(Event::Frame { way: Way::Out, header });
            });
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Where a stream of bytes in one direction stands.
#[derive(Debug)]
enum Watch {
    /// In the head of a request or response, of which so much of the empty line at its end has come. An interim
    /// response has a head of its own, so what stands first in it is kept.
    Head { line: Vec<u8>, ended: usize },
    /// In the header of a frame.
    Header(Vec<u8>),
    /// In a payload, with so many bytes to come.
    Payload(u64),
    /// What came is no frame, or never becomes one: the connection says what is wrong.
    Lost,
}

impl Default for Watch {
    fn default() -> Self {
        Self::Head { line: Vec::new(), ended: 0 }
    }
}

impl Watch {
    /// Takes the next bytes; tells of each header that is complete with them.
    fn pass(&mut self, mut bytes: &[u8], mut seen: impl FnMut(Header)) {
        while !bytes.is_empty() {
            let mut used = 1;
            let next = match self {
                Self::Head { line, ended } => head(line, ended, bytes[0]),
                Self::Header(begun) => {
                    begun.push(bytes[0]);
                    header(begun, &mut seen)
                }
                Self::Payload(left) => {
                    used = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= used as u64;
                    (*left == 0).then(|| Self::Header(Vec::new()))
                }
                Self::Lost => return,
            };
            if let Some(next) = next {
                *self = next;
            }
            bytes = &bytes[used..];
        }
    }
}

/// Takes a byte of a head; what comes behind its end.
fn head(line: &mut Vec<u8>, ended: &mut usize, byte: u8) -> Option<Watch> {
    const END: &[u8] = b"\r\n\r\n";
    if line.len() < "HTTP/1.1 101".len() {
        line.push(byte);
    }
    *ended = if END[*ended] == byte { *ended + 1 } else { usize::from(byte == END[0]) };
    let is_interim = line.starts_with(b"HTTP/1.1 1") && !line.ends_with(b" 101");
    let next = || if is_interim { Watch::default() } else { Watch::Header(Vec::new()) };
    (*ended == END.len()).then(next)
}

/// Looks at what has come of a header; what comes behind it.
fn header(begun: &[u8], seen: &mut impl FnMut(Header)) -> Option<Watch> {
    match Header::parse(begun) {
        Ok(Parsed::Partial { .. }) => None,
        Ok(Parsed::Complete { header, .. }) => {
            seen(header);
            Some(match header.payload_len {
                0 => Watch::Header(Vec::new()),
                len => Watch::Payload(len),
            })
        }
        Err(_) => Some(Watch::Lost),
    }
}

#[cfg(test)]
mod tests {
    use super::Watch;

    #[test]
    fn headers_are_seen_however_the_bytes_are_cut() {
        let stream = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nX: y\r\n\r\n\x81\x05Hello\x89\x00\x02\x02ab\x80\x00";
        for size in 1..stream.len() {
            let (mut watch, mut seen) = (Watch::default(), Vec::new());
            for bytes in stream.chunks(size) {
                watch.pass(bytes, |header| seen.push((header.opcode.bits(), header.fin, header.payload_len)));
            }
            assert_eq!(seen, [(1, true, 5), (9, true, 0), (2, false, 2), (0, true, 0)], "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_no_frame_ends_the_watch() {
        let (mut watch, mut seen) = (Watch::default(), 0);
        watch.pass(b"GET / HTTP/1.1\r\n\r\n\xff\x05Hello\x81\x00", |_| seen += 1);
        assert!(matches!(watch, Watch::Lost) && seen == 0);
    }
}
