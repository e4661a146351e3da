//! The server: one connection by hand ([`accept`], [`receive_request`]), or all of them ([`Server`]).
//!
//! # Who comes in
//!
//! A request passes these, in this order; what stops it is answered with the status, and nothing behind it is parsed:
//!
//! | | stops | with |
//! |---|---|---|
//! | [`Budget`] | one connection too many, in all or from its address | 503, 429 |
//! | [`Limits`](crate::Limits) | a head that is too large, or does not come in time | 431, 414, 408 |
//! | RFC 6455 §4.2.1 | what is no proper request to upgrade | 400, 405, 426, 505 |
//! | [`Origin`](crate::proto::handshake::Origin) | browsers on pages of other hosts | 403 |
//! | [`Server::judge`] | whom you do not know | what you answer |
//!
//! The judge sees the whole request and may wait. A recipe for three ways to know somebody:
//!
//! ```
//! use sockeye::proto::handshake::{Accept, Request, Response, same_secret};
//!
//! fn judge(request: &Request) -> Result<Accept, Response> {
//!     let known = if let Some(session) = request.cookie("session") {
//!         same_secret(session, "0f9d3e6b") // what a browser sends by itself: keep to origins that you know
//!     } else if let Some(token) = request.bearer_token() {
//!         same_secret(token, "s3cret")
//!     } else if let Some(given) = request.basic_auth() {
//!         same_secret(&given.user, "ann") & same_secret(&given.password, "open sesame")
//!     } else {
//!         false
//!     };
//!     if known { Ok(Accept::default()) } else { Err(Response::unauthorized("Bearer").expect("a valid header")) }
//! }
//! ```
//!
//! [`same_secret`](crate::proto::handshake::same_secret) takes as long for a wrong guess as for a nearly right one. The
//! example `auth_server` is the whole of it. None of this is worth much without TLS.

mod accept;
mod answer;
mod budget;
mod door;
mod judge;
mod log;
mod request;
mod serve;
mod tracker;

pub use self::{
    accept::{Options, accept, accept_with},
    budget::Budget,
    judge::Peer,
    request::{Incoming, receive_request},
    serve::Server,
};
