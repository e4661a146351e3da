//! C's zlib, which knows nothing of the code under test.

use std::{
    mem::MaybeUninit,
    os::raw::{c_int, c_uint},
};

use libz_sys::{
    Z_BUF_ERROR, Z_DEFLATED, Z_FINISH, Z_NO_FLUSH, Z_OK, Z_STREAM_END, Z_SYNC_FLUSH, deflate, deflateEnd,
    deflateInit2_, inflate, inflateEnd, inflateInit2_, inflateSetDictionary, z_stream, zlibVersion,
};

/// What a sync flush ends with, and what is not sent (RFC 7692 §7.2.1).
pub const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

type Stream = Box<MaybeUninit<z_stream>>;

/// A DEFLATE stream that is not one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Invalid;

/// An inflater.
pub struct Inflate(Stream);

impl Inflate {
    /// Starts a raw stream with a window of 2^`bits` bytes.
    pub fn new(bits: u8) -> Self {
        let mut stream = Box::new(MaybeUninit::<z_stream>::zeroed());
        // SAFETY: zlib asks for a zeroed stream, which stays where it is.
        let status = unsafe { inflateInit2_(stream.as_mut_ptr(), -c_int::from(bits), zlibVersion(), SIZE) };
        assert_eq!(status, Z_OK);
        Self(stream)
    }

    /// Takes what is here for what came before.
    pub fn set_dictionary(&mut self, window: &[u8]) {
        // SAFETY: the stream was initialised, and the slice is as long as it says.
        let status = unsafe { inflateSetDictionary(self.0.as_mut_ptr(), window.as_ptr(), window.len() as c_uint) };
        assert_eq!(status, Z_OK);
    }

    /// Inflates `input` to the end of `out`, by at most `room` bytes; says how many bytes of `input` it took, and
    /// whether the stream has ended.
    ///
    /// # Errors
    ///
    /// [`Invalid`]; what came out before the fault is in `out`.
    pub fn inflate(&mut self, input: &[u8], out: &mut Vec<u8>, room: usize) -> Result<(usize, bool), Invalid> {
        let stream = self.0.as_mut_ptr();
        let mut scrap = [0; 4096];
        let (mut taken, limit) = (0, out.len() + room);
        loop {
            let here = scrap.len().min(limit - out.len());
            // SAFETY: the stream was initialised; zlib stays within both slices and changes neither bound upwards.
            let (status, written, left) = unsafe {
                (*stream).next_in = input[taken..].as_ptr().cast_mut();
                (*stream).avail_in = (input.len() - taken) as c_uint;
                (*stream).next_out = scrap.as_mut_ptr();
                (*stream).avail_out = here as c_uint;
                let status = inflate(stream, Z_NO_FLUSH);
                (status, here - (*stream).avail_out as usize, (*stream).avail_in as usize)
            };
            out.extend_from_slice(&scrap[..written]);
            taken = input.len() - left;
            match status {
                Z_STREAM_END => return Ok((taken, true)),
                Z_OK if written == here && out.len() < limit => {}
                Z_OK | Z_BUF_ERROR => return Ok((taken, false)),
                _ => return Err(Invalid),
            }
        }
    }
}

impl Drop for Inflate {
    fn drop(&mut self) {
        // SAFETY: the stream was initialised.
        unsafe { inflateEnd(self.0.as_mut_ptr()) };
    }
}

/// A deflater.
pub struct Deflate(Stream);

/// How to deflate.
#[derive(Clone, Copy, Debug)]
pub struct Class {
    pub level: u8,
    pub bits: u8,
    pub mem_level: u8,
    /// 0 to 4: by default, filtered, Huffman only, runs, fixed codes.
    pub strategy: u8,
}

impl Deflate {
    /// Starts a raw stream.
    pub fn new(class: Class) -> Self {
        let mut stream = Box::new(MaybeUninit::<z_stream>::zeroed());
        // SAFETY: zlib asks for a zeroed stream, which stays where it is.
        let status = unsafe {
            deflateInit2_(
                stream.as_mut_ptr(),
                c_int::from(class.level),
                Z_DEFLATED,
                -c_int::from(class.bits),
                c_int::from(class.mem_level),
                c_int::from(class.strategy),
                zlibVersion(),
                SIZE,
            )
        };
        assert_eq!(status, Z_OK, "{class:?}");
        Self(stream)
    }

    /// Deflates a message up to a sync flush, and leaves its tail out (RFC 7692 §7.2.1).
    pub fn message(&mut self, message: &[u8]) -> Vec<u8> {
        if message.is_empty() {
            return vec![0x00];
        }
        let mut out = self.run(message, Z_SYNC_FLUSH);
        assert!(out.ends_with(&TAIL));
        out.truncate(out.len() - TAIL.len());
        out
    }

    /// Deflates a message whose last block has BFINAL set (RFC 7692 §7.2.3.4).
    pub fn last_message(mut self, message: &[u8]) -> Vec<u8> {
        self.run(message, Z_FINISH)
    }

    fn run(&mut self, input: &[u8], flush: c_int) -> Vec<u8> {
        let stream = self.0.as_mut_ptr();
        let (mut out, mut scrap, mut taken) = (Vec::new(), [0; 4096], 0);
        loop {
            // SAFETY: the stream was initialised, and zlib stays within both slices.
            let (status, written, left) = unsafe {
                (*stream).next_in = input[taken..].as_ptr().cast_mut();
                (*stream).avail_in = (input.len() - taken) as c_uint;
                (*stream).next_out = scrap.as_mut_ptr();
                (*stream).avail_out = scrap.len() as c_uint;
                let status = deflate(stream, flush);
                (status, scrap.len() - (*stream).avail_out as usize, (*stream).avail_in as usize)
            };
            out.extend_from_slice(&scrap[..written]);
            taken = input.len() - left;
            assert!(matches!(status, Z_OK | Z_STREAM_END | Z_BUF_ERROR));
            if written < scrap.len() {
                return out;
            }
        }
    }
}

impl Drop for Deflate {
    fn drop(&mut self) {
        // SAFETY: the stream was initialised.
        unsafe { deflateEnd(self.0.as_mut_ptr()) };
    }
}

const SIZE: c_int = size_of::<z_stream>() as c_int;
