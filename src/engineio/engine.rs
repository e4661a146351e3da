use std::{fmt, future::Future, pin::Pin, sync::Arc};

use super::{Config, Registry, Session, log};
use crate::engineio::CloseReason;

/// What is done with a session.
type Handler = dyn Fn(Session) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

/// A server of Engine.IO: takes requests, and runs a handler for each session, in a task of its own. Clones are the same
/// server.
///
/// ```no_run
/// use sockeye::engineio::{Config, Engine};
/// # async fn example() -> std::io::Result<()> {
/// let engine = Engine::new(Config::new(), |mut session| async move {
///     let sender = session.sender();
///     while let Some(message) = session.recv().await {
///         sender.send(message);
///     }
/// });
/// engine.listen("127.0.0.1:3000").await
/// # }
/// ```
///
/// [`respond`](Self::respond), [`layer`](Self::layer) and [`into_service`](Self::into_service) are for other HTTP servers.
#[derive(Clone)]
pub struct Engine {
    pub(super) registry: Arc<Registry>,
    handler: Arc<Handler>,
}

impl Engine {
    /// Makes a server that runs `handler` for each session. The session ends when that returns.
    pub fn new<F>(config: Config, handler: impl Fn(Session) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let handler: Arc<Handler> = Arc::new(move |session| Box::pin(handler(session)));
        Self { registry: Arc::new(Registry::new(config)), handler }
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.registry.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends all sessions, and begins no more: who asks for one gets 503, for which clients try again.
    pub fn close(&self) {
        self.registry.close();
        for session in self.registry.all() {
            session.end(CloseReason::ForcedClose);
        }
    }

    /// Runs the handler for a session, and sees its connection to the end.
    pub(super) async fn run(self, session: Session) {
        let sender = session.sender();
        if self.registry.is_closed() {
            // It began while the others were ended.
            sender.close();
        }
        let handler = Arc::clone(&self.handler);
        // What the server holds is not needed for as long as the session lasts.
        drop(self);
        let run = |session| async move {
            let handled = handler(session);
            drop(handler);
            handled.await;
            sender.finish().await;
        };
        log::in_session(session, run).await;
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("sessions", &self.len()).finish_non_exhaustive()
    }
}
