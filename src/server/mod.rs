//! The server: one connection by hand ([`accept`], [`receive_request`]), or all of them ([`Server`]).

mod accept;
mod request;
mod serve;
mod tracker;

pub use self::{
    accept::{Options, accept, accept_with},
    request::{Incoming, receive_request},
    serve::Server,
};
