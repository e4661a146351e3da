//! What the fuzz targets share: a peer, a transport, and references that owe nothing to the code under test.
//!
//! This file alone knows how an endpoint is configured.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sockeye::{
    Config, DeflateConfig, Limits, Role,
    proto::{
        connection::{Connection, DeflateSettings, MaskingKeys},
        extension::deflate::DeflateAgreed,
        frame::MaskingKey,
        handshake::{BuildError, ClientHandshake, ClientRequest, ServerHandshake},
    },
};

use script::Setup;

pub mod conversation;
pub mod cuts;
pub mod echo;
pub mod frames;
pub mod habits;
pub mod heap;
pub mod output;
pub mod puff;
pub mod reference;
pub mod script;
pub mod stream;
pub mod transport;
pub mod zlib;

/// The limits of every head here.
const HEAD_LIMITS: Limits = Limits::internet().max_head(2048).max_headers(20).max_target(256);

/// How long every endpoint here waits for the answer to its Close.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// An endpoint that takes messages of at most so many bytes, without keepalive.
pub const fn config(role: Role, max_message: usize) -> Config {
    let limits = Limits::trusted().max_message(max_message).close_timeout(CLOSE_TIMEOUT);
    Config::new(role).limits(limits).keepalive(None)
}

/// An endpoint as an input sets it up.
pub fn set_up(role: Role, setup: Setup) -> Config {
    setup.habits.apply(config(role, setup.max_message()).keepalive(setup.keepalive()))
}

/// How many bytes, header lines and bytes of a target a head may have.
pub const fn head_limits() -> [usize; 3] {
    [HEAD_LIMITS.max_head, HEAD_LIMITS.max_headers, HEAD_LIMITS.max_target]
}

/// A server that waits for a request.
pub fn server_handshake() -> ServerHandshake {
    ServerHandshake::new(HEAD_LIMITS)
}

/// A client that has sent its request, and the request.
///
/// # Errors
///
/// As for [`ClientHandshake::new`].
pub fn client_handshake(request: &ClientRequest, max_body: usize) -> Result<(ClientHandshake, Bytes), BuildError> {
    ClientHandshake::new(request, *b"the sample nonce", HEAD_LIMITS, max_body)
}

/// Settings with these windows, the server's and the client's, and no threshold.
pub fn deflate_settings(bits: [u8; 2], context_takeover: [bool; 2]) -> DeflateSettings {
    DeflateSettings {
        config: DeflateConfig { threshold: 0, ..DeflateConfig::default() },
        agreed: DeflateAgreed {
            server_no_context_takeover: !context_takeover[0],
            client_no_context_takeover: !context_takeover[1],
            server_max_window_bits: bits[0],
            client_max_window_bits: bits[1],
        },
    }
}

/// An endpoint behind its handshake. A client's masking keys are those of [`key`].
pub fn endpoint(config: Config, role: Role, deflate: Option<&DeflateSettings>, now: Instant) -> Connection {
    match role {
        Role::Server => Connection::server(config, deflate, now),
        Role::Client => Connection::client(config, deflate, keys(), now),
    }
}

/// The other end.
pub const fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

/// The masking key of a client's frame, counted from 0: no two are alike.
pub const fn key(frame: u32) -> [u8; 4] {
    frame.wrapping_mul(0x9e37_79b1).wrapping_add(0x3d21_fa37).to_le_bytes()
}

fn keys() -> MaskingKeys {
    let mut frame = 0;
    Box::new(move || {
        frame += 1;
        MaskingKey(key(frame - 1))
    })
}
