//! The requests of Engine.IO, as hyper has read them.

mod body;
mod compression;
mod cookie;
mod cors;
mod query;
mod respond;

pub use self::{
    cookie::{Cookie, SameSite},
    cors::Cors,
};
