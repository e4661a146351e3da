//! Frames on the wire (RFC 6455 §5): pure functions between bytes and values.

mod close;
mod error;
mod header;
mod mask;
mod opcode;
mod utf8;

pub use close::{CloseCode, CloseFrame};
pub use error::ProtocolError;
pub use header::{Header, MAX_HEADER_LEN, Parsed};
pub use mask::{MaskingKey, apply_mask};
pub use opcode::Opcode;
pub use utf8::Utf8Validator;

/// The most payload that a control frame may carry (RFC 6455 §5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;
