use std::{borrow::Cow, fmt, future::Future, pin::Pin, sync::Arc};

use http::HeaderMap;

use super::{ConnectionError, Handshake};

/// Whether a request may begin a session, some time later.
pub(super) type Allowed = Pin<Box<dyn Future<Output = Result<(), Cow<'static, str>>> + Send>>;

/// What the application wants to know of requests, and to say to them.
#[derive(Clone, Default)]
pub(super) struct Hooks {
    pub(super) allow: Option<Arc<dyn Fn(&Handshake) -> Allowed + Send + Sync>>,
    pub(super) initial_headers: Option<Arc<dyn Fn(&Handshake, &mut HeaderMap) + Send + Sync>>,
    pub(super) headers: Option<Arc<dyn Fn(&mut HeaderMap) + Send + Sync>>,
    pub(super) error: Option<Arc<dyn Fn(&Handshake, &ConnectionError) + Send + Sync>>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").finish_non_exhaustive()
    }
}
