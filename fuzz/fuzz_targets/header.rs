//! What parses as a frame header encodes to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sockeye::proto::frame::{Header, Parsed};

fuzz_target!(|input: &[u8]| {
    match Header::parse(input) {
        Ok(Parsed::Complete { header, consumed }) => {
            let mut encoded = Vec::new();
            header.encode(&mut encoded);
            assert_eq!(encoded, input[..consumed]);
        }
        Ok(Parsed::Partial { needed }) => assert!(needed > 0 && input.len() < 14),
        Err(_) => {}
    }
});
