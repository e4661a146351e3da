//! The tool `sockeye` as a person or a script runs it: the built binary, against our own servers.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used)]

#[path = "cli/again.rs"]
mod again;
#[path = "cli/bench.rs"]
mod bench;
#[path = "cli/connect.rs"]
mod connect;
#[path = "cli/endings.rs"]
mod endings;
#[path = "cli/handshake.rs"]
mod handshake;
#[path = "cli/manual.rs"]
mod manual;
#[cfg(target_os = "linux")]
#[path = "cli/person.rs"]
mod person;
#[cfg(target_os = "linux")]
#[path = "cli/prompt.rs"]
mod prompt;
#[path = "cli/serve.rs"]
mod serve;
#[path = "cli/tool.rs"]
mod tool;
