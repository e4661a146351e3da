use std::io::{self, Write};

use bytes::Bytes;
use serde::Serialize;
use serde_json::ser::Formatter;

use crate::{
    Utf8Bytes,
    socketio::packet::{Arguments, PLACEHOLDER},
};

/// Serializes arguments, their bytes as attachments.
pub(super) fn encode<T: Serialize + ?Sized>(value: &T, is_tuple: bool) -> serde_json::Result<Arguments> {
    let (mut json, mut attachments) = (Vec::with_capacity(64), Vec::new());
    if !is_tuple {
        json.push(b'[');
    }
    let attaching = Attaching { attachments: &mut attachments };
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut json, attaching))?;
    if !is_tuple {
        json.push(b']');
    } else if json == b"null" {
        // `()` is no array.
        json = b"[]".to_vec();
    }
    let array = Utf8Bytes::from(String::from_utf8(json).expect("JSON is UTF-8"));
    Ok(Arguments { array, name_end: None, attachments })
}

/// Writes bytes as placeholders, and keeps them.
struct Attaching<'a> {
    attachments: &'a mut Vec<Bytes>,
}

impl Formatter for Attaching<'_> {
    fn write_byte_array<W: Write + ?Sized>(&mut self, writer: &mut W, value: &[u8]) -> io::Result<()> {
        write!(writer, r#"{{"{PLACEHOLDER}":true,"num":{}}}"#, self.attachments.len())?;
        self.attachments.push(Bytes::copy_from_slice(value));
        Ok(())
    }
}
