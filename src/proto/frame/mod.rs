//! Frames on the wire (RFC 6455 §5): pure functions between bytes and values.

mod close;
mod error;
mod header;
mod mask;
mod opcode;
mod utf8;

pub use close::{CloseCode, CloseFrame};
pub use error::ProtocolError;
pub(crate) use header::WholeMessage;
pub use header::{Header, MAX_HEADER_LEN, Parsed};
pub(crate) use mask::copy_masked;
pub use mask::{MaskingKey, apply_mask};
pub use opcode::Opcode;
pub use utf8::Utf8Validator;
pub(crate) use utf8::is_utf8;

/// The most payload that a control frame may carry (RFC 6455 §5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;
