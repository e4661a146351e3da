//! A header is read as RFC 6455 §5.2 says and by no byte more; what it says encodes to the same bytes; and a fault shows
//! at the same byte, whatever is behind it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sockeye::{
    Role,
    proto::frame::{Header, MAX_HEADER_LEN, Parsed, ProtocolError},
};
use sockeye_fuzz::{
    frames,
    reference::{Terms, header_len, hear},
};

fuzz_target!(|input: &[u8]| {
    let parsed = Header::parse(input);
    // At each length: what a header is does not depend on what comes later.
    for have in 0..input.len().min(MAX_HEADER_LEN + 1) {
        match Header::parse(&input[..have]) {
            Ok(Parsed::Partial { needed }) => assert!((1..=MAX_HEADER_LEN - have).contains(&needed)),
            complete_or_fault => assert_eq!(complete_or_fault, parsed),
        }
    }
    match parsed {
        Ok(Parsed::Complete { header, consumed }) => {
            assert!(consumed <= input.len() && consumed <= MAX_HEADER_LEN);
            let mut encoded = Vec::new();
            header.encode(&mut encoded);
            assert_eq!(encoded, input[..consumed]);
            let mut by_hand = Vec::new();
            frames::header(input[0], header.payload_len, header.masking_key.map(|key| key.0), &mut by_hand);
            assert_eq!(by_hand, input[..consumed]);
            assert!(!header.opcode.is_control() || header.fin && !header.rsv1 && header.payload_len <= 125);
            assert_eq!(by_rfc(input), None);
        }
        Ok(Parsed::Partial { needed }) => {
            assert!(input.len() + needed <= MAX_HEADER_LEN);
            assert_eq!(by_rfc(input), None);
        }
        Err(fault) => assert_eq!(by_rfc(input), Some(fault)),
    }
});

/// What the reference finds wrong with the header alone.
fn by_rfc(input: &[u8]) -> Option<ProtocolError> {
    let header = &input[..input.len().min(MAX_HEADER_LEN)];
    let role = if input.get(1).is_some_and(|second| second & 0x80 != 0) { Role::Server } else { Role::Client };
    let terms = Terms::new(role, None, Some((15, true)));
    let (at, fault) = hear(terms, header).fault?;
    // What is behind the header, and what only a connection knows, is for others.
    let is_of_header = at <= header_len(input) && fault != ProtocolError::UnexpectedContinuation;
    is_of_header.then_some(fault)
}
