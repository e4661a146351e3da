//! What a served handler sends back leaves in the order in which it came, with Pongs and the Close in their places,
//! however the transport cuts and waits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sockeye_fuzz::{echo, script::Conversation};

fuzz_target!(|conversation: Conversation<'_>| echo::hold(&conversation));
