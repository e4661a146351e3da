use std::{net::SocketAddr, pin::Pin, sync::Arc};

use crate::proto::handshake::{Accept, Request, Response};

/// Where a request comes from.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Peer {
    /// The other end of the TCP connection: a proxy's address, if one stands in front of the server.
    pub address: SocketAddr,
}

type Judged = Pin<Box<dyn Future<Output = Result<Accept, Response>> + Send>>;

/// Judges a request: what to accept it with, or the response that refuses it.
#[derive(Clone)]
pub(super) struct Judge(Arc<dyn Fn(Request, Peer) -> Judged + Send + Sync>);

impl Judge {
    pub(super) fn new<J, F>(judge: J) -> Self
    where
        J: Fn(Request, Peer) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Accept, Response>> + Send + 'static,
    {
        Self(Arc::new(move |request, peer| Box::pin(judge(request, peer))))
    }

    pub(super) fn judge(&self, request: Request, peer: Peer) -> Judged {
        (self.0)(request, peer)
    }
}
