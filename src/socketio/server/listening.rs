//! Listeners that come first, hear once, or go again.

use std::sync::Arc;

use super::{Event, EventHandler, IntoOutcome, Socket};
use crate::socketio::packet::Arguments;

impl Socket {
    /// As [`on`](Self::on), for one event: behind it, the handler is let go of. An event that a middleware stops does not
    /// count.
    pub fn once<S>(&self, event: &str, handler: impl EventHandler<S>) {
        self.shared
            .listeners
            .once(event, Arc::new(move |socket, arguments, ack| handler.handle(socket, arguments, ack)));
    }

    /// Whether somebody handles events of this name.
    pub fn listens_to(&self, event: &str) -> bool {
        self.shared.listeners.listens_to(event)
    }

    /// Lets go of all handlers of events, whatever their names, and of what is to be done when it is disconnected.
    /// Middlewares and those who are told of all events stay.
    pub fn off_all(&self) {
        self.shared.listeners.off_all();
        self.let_go();
    }

    /// As [`on_any`](Self::on_any), in front of those that there are.
    pub fn prepend_any<F>(&self, listener: impl Fn(Event) -> F + Send + Sync + 'static)
    where
        F: Future<Output: IntoOutcome> + Send + 'static,
    {
        self.shared.listeners.prepend_any(Arc::new(move |event| {
            let handling = listener(event);
            Box::pin(async move { handling.await.outcome() })
        }));
    }

    /// Lets go of all who are told of all events.
    pub fn off_any(&self) {
        self.shared.listeners.off_any();
        self.let_go();
    }

    /// As [`on_any_outgoing`](Self::on_any_outgoing), in front of those that there are.
    pub fn prepend_any_outgoing(&self, listener: impl Fn(&str, &Arguments) + Send + Sync + 'static) {
        self.shared.listeners.prepend_any_outgoing(Arc::new(listener));
    }

    /// Lets go of all who are told what is sent.
    pub fn off_any_outgoing(&self) {
        self.shared.listeners.off_any_outgoing();
        self.let_go();
    }
}
