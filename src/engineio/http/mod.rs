//! The requests of Engine.IO, as hyper has read them.

mod body;
mod client_files;
mod compression;
mod cookie;
mod cors;
mod query;
mod respond;

pub(crate) use self::client_files::ClientFiles;
pub use self::{
    cookie::{Cookie, SameSite},
    cors::Cors,
};
