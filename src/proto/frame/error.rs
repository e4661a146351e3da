use std::time::Duration;

use super::{CloseCode, Opcode};

/// The peer broke RFC 6455 or RFC 7692, or a limit that we set: the connection is failed (RFC 6455 §7.1.7).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProtocolError {
    /// §5.2: "If an unknown opcode is received, the receiving endpoint MUST fail the WebSocket connection."
    #[error("opcode {bits:#x} is reserved")]
    ReservedOpcode {
        /// The four bits that came.
        bits: u8,
    },
    /// §5.2: RSV bits "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values".
    #[error("{opcode} frame with reserved bits {bits:03b} (RSV1 RSV2 RSV3) that nothing negotiated here allows")]
    ReservedBits {
        /// The frame's opcode.
        opcode: Opcode,
        /// RSV1, RSV2 and RSV3, from the high bit to the low.
        bits: u8,
    },
    /// §5.5: "All control frames … MUST NOT be fragmented."
    #[error("{opcode} frame without FIN, control frames must not be fragmented")]
    FragmentedControlFrame {
        /// The frame's opcode.
        opcode: Opcode,
    },
    /// §5.5: "All control frames MUST have a payload length of 125 bytes or less".
    #[error("{opcode} frame of more than 125 bytes")]
    ControlFrameTooLong {
        /// The frame's opcode.
        opcode: Opcode,
    },
    /// §5.2: "the minimal number of bytes MUST be used to encode the length".
    #[error("payload length {payload_len} is not in its shortest form")]
    LengthNotMinimal {
        /// The length that came.
        payload_len: u64,
    },
    /// §5.2: of a 64-bit length "the most significant bit MUST be 0".
    #[error("the top bit of a 64-bit payload length is set")]
    LengthTopBit,
    /// §5.1: "The server MUST close the connection upon receiving a frame that is not masked."
    #[error("unmasked frame from a client")]
    UnmaskedFrame,
    /// §5.1: "A client MUST close a connection if it detects a masked frame."
    #[error("masked frame from a server")]
    MaskedFrame,
    /// §5.4: a continuation frame continues a message that is open.
    #[error("continuation frame while no message is open")]
    UnexpectedContinuation,
    /// §5.4: "The fragments of one message MUST NOT be interleaved between the fragments of another message".
    #[error("{opcode} frame inside a fragmented message")]
    ExpectedContinuation {
        /// The frame's opcode.
        opcode: Opcode,
    },
    /// §8.1: "the endpoint MUST Fail the WebSocket Connection" when text is not valid UTF-8.
    #[error("text that is not valid UTF-8")]
    InvalidUtf8,
    /// §5.5.1: "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer".
    #[error("close frame with a payload of one byte")]
    CloseOfOneByte,
    /// §7.4: a code that must not be sent in a Close frame.
    #[error("close code {code} must not be sent")]
    InvalidCloseCode {
        /// The code that came.
        code: u16,
    },
    /// The message is larger than [`max_message`](crate::Limits::max_message) allows; inflated bytes count.
    #[error("message of more than {limit} bytes")]
    MessageTooBig {
        /// The limit in bytes.
        limit: usize,
    },
    /// A compressed message inflates to more than `max_inflated` allows.
    #[error("compressed message that inflates to more than {limit} bytes")]
    InflatedTooBig {
        /// The limit in bytes.
        limit: usize,
    },
    /// A header announces more than `max_frame` allows.
    #[error("frame of more than {limit} bytes")]
    FrameTooBig {
        /// The limit in bytes.
        limit: u64,
    },
    /// What has come of an unfinished message takes more memory than `max_retained` allows.
    #[error("unfinished message that takes more than {limit} bytes of memory")]
    RetainedTooMuch {
        /// The limit in bytes.
        limit: usize,
    },
    /// More Pings within a second than `max_pings` allows.
    #[error("more than {limit} pings within a second")]
    TooManyPings {
        /// The limit.
        limit: u32,
    },
    /// The peer sent nothing for `idle_timeout`.
    #[error("nothing came for {limit:?}")]
    Idle {
        /// The limit.
        limit: Duration,
    },
    /// The peer needs more of the memory that all connections share than is left of it.
    #[error("no memory for this: all connections together may hold {limit} bytes, try again later")]
    BudgetSpent {
        /// What all connections together may hold, in bytes.
        limit: usize,
    },
    /// A compressed message of little but blocks with BFINAL set, which are legal (RFC 7692 §7.2.3.4), and dear.
    #[error("compressed message with too many final blocks")]
    TooManyFinalBlocks,
    /// RFC 7692 §7.2.2: the payload is not a DEFLATE stream within the agreed window.
    #[error("compressed message that does not inflate")]
    InvalidDeflate,
}

impl ProtocolError {
    /// The status code that our Close frame carries (RFC 6455 §7.4.1). No `_` arm: a new variant has to choose.
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::ReservedOpcode { .. }
            | Self::ReservedBits { .. }
            | Self::FragmentedControlFrame { .. }
            | Self::ControlFrameTooLong { .. }
            | Self::LengthNotMinimal { .. }
            | Self::LengthTopBit
            | Self::UnmaskedFrame
            | Self::MaskedFrame
            | Self::UnexpectedContinuation
            | Self::ExpectedContinuation { .. }
            | Self::CloseOfOneByte
            | Self::InvalidCloseCode { .. } => CloseCode::PROTOCOL_ERROR,
            Self::InvalidUtf8 | Self::InvalidDeflate => CloseCode::INVALID_PAYLOAD,
            Self::MessageTooBig { .. }
            | Self::InflatedTooBig { .. }
            | Self::FrameTooBig { .. }
            | Self::RetainedTooMuch { .. } => CloseCode::MESSAGE_TOO_BIG,
            Self::TooManyPings { .. } | Self::Idle { .. } | Self::TooManyFinalBlocks => CloseCode::POLICY_VIOLATION,
            Self::BudgetSpent { .. } => CloseCode::TRY_AGAIN_LATER,
        }
    }
}
