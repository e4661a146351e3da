use std::{borrow::Cow, fmt, pin::Pin, sync::Arc};

use http::HeaderMap;

use super::{ConnectionError, Handshake};

/// Whether a request may begin a session, some time later.
pub(super) type Allowed = Pin<Box<dyn Future<Output = Result<(), Cow<'static, str>>> + Send>>;
type Allow = Arc<dyn Fn(&Handshake) -> Allowed + Send + Sync>;
type EditInitial = Arc<dyn Fn(&Handshake, &mut HeaderMap) + Send + Sync>;
type Edit = Arc<dyn Fn(&mut HeaderMap) + Send + Sync>;
type OnError = Arc<dyn Fn(&Handshake, &ConnectionError) + Send + Sync>;

/// What the application wants to know of requests, and to say to them.
#[derive(Clone, Default)]
pub(super) struct Hooks {
    pub(super) allow: Option<Allow>,
    pub(super) initial_headers: Option<EditInitial>,
    pub(super) headers: Option<Edit>,
    pub(super) error: Option<OnError>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").finish_non_exhaustive()
    }
}
