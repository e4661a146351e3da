//! The server: one connection by hand ([`accept`], [`receive_request`]), or all of them ([`Server`]).

mod accept;
mod budget;
mod door;
mod judge;
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
