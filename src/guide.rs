//! Guides, for reading only.

#[doc = include_str!("../docs/from-tokio-tungstenite.md")]
pub mod from_tokio_tungstenite {}

#[doc = include_str!("../docs/deployment.md")]
pub mod deployment {}

#[doc = include_str!("../docs/debugging.md")]
pub mod debugging {}
