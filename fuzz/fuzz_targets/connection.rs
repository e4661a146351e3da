//! What an endpoint makes of a stream of bytes does not depend on how they are cut.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use sockeye::{
    Config, DeflateConfig, Role,
    proto::{
        connection::{Connection, DeflateSettings, Event, Inbox},
        extension::deflate::DeflateAgreed,
        frame::MaskingKey,
    },
};

fuzz_target!(|input: (bool, bool, u8, Vec<u8>)| {
    let (server, deflate, cut, bytes) = input;
    let role = if server { Role::Server } else { Role::Client };
    let whole = run(role, deflate, &bytes, bytes.len().max(1));
    let cut = run(role, deflate, &bytes, usize::from(cut).max(1));
    assert_eq!(whole, cut);
});

/// The events, and the end as far as it is known.
fn run(role: Role, deflate: bool, bytes: &[u8], cut: usize) -> (Vec<Event>, String) {
    let now = Instant::now();
    let agreed = DeflateAgreed {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    };
    let settings = DeflateSettings { config: DeflateConfig::default(), agreed };
    let settings = deflate.then_some(&settings);
    let config = Config::new(role).max_message(64 * 1024);
    let mut connection = match role {
        Role::Server => Connection::server(config, settings, now),
        Role::Client => Connection::client(config, settings, Box::new(|| MaskingKey([1, 2, 3, 4])), now),
    };
    let mut inbox = Inbox::with_capacity(1024);
    let mut events = Vec::new();
    for piece in bytes.chunks(cut) {
        inbox.extend(piece);
        while let Ok(Some(event)) = connection.receive(&mut inbox, now) {
            if let Event::Message(message) = &event {
                let _ = connection.send(message);
            }
            events.push(event);
        }
        connection.take_output();
        assert!(inbox.is_empty());
    }
    connection.receive_eof();
    (events, format!("{:?}", connection.end()))
}
