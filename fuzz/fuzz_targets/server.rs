//! A server without I/O hears exactly what a client says, when it says it, however it is cut; what it sends is whole,
//! valid and in order; and what it keeps is bounded by what came.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sockeye::Role;
use sockeye_fuzz::{conversation, script::Conversation};

fuzz_target!(|conversation: Conversation<'_>| conversation::hold(Role::Server, &conversation));
