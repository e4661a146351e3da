//! The client: [`connect`] and its options.

mod connect;
mod keys;
mod open;

pub use self::connect::{Connect, connect};
