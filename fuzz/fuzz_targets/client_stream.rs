//! A client's `WebSocket` whose calls are cancelled behind any poll, over a transport that cuts and waits as it likes,
//! loses, doubles and tears nothing, leaves nobody asleep, and ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sockeye::Role;
use sockeye_fuzz::{script::Conversation, stream};

fuzz_target!(|conversation: Conversation<'_>| stream::hold(Role::Client, &conversation));
