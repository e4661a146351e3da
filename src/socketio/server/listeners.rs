use std::{
    fmt,
    mem::take,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use super::{
    Ack, DisconnectReason, EventError, Socket,
    handler::{Event, Handler, Handling, Wanted},
    lock,
};
use crate::{Utf8Bytes, socketio::packet::Arguments};

/// Is told what is sent.
pub(super) type Outgoing = Arc<dyn Fn(&str, &Arguments) + Send + Sync>;
/// Is told of any event before its handlers, whatever its name, and as a middleware may stop it.
pub(super) type Watcher = Arc<dyn Fn(Event) -> Handling + Send + Sync>;
/// What is done when a socket is disconnected.
pub(super) type Farewell =
    Arc<dyn Fn(Socket, DisconnectReason) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What an application does with the events of one socket.
#[derive(Default)]
pub(super) struct Listeners {
    listed: Mutex<Arc<Listed>>,
    /// How many times that has changed.
    changes: AtomicUsize,
    /// Whether somebody wants to be told what is sent.
    listens_outgoing: AtomicBool,
}

/// The listeners of a socket as its task knows them: it takes a lock when they have changed, and not for each event.
#[derive(Default)]
pub(super) struct Known {
    listed: Option<Arc<Listed>>,
    changes: usize,
}

#[derive(Clone, Default)]
struct Listed {
    events: Vec<Listener>,
    any: Vec<Watcher>,
    middlewares: Vec<Watcher>,
    /// What few sockets have.
    rare: Option<Box<Rare>>,
}

#[derive(Clone)]
struct Listener {
    event: Box<str>,
    is_concurrent: bool,
    handler: Handler,
    /// Whether it has heard what it wanted to, if that is one event.
    is_done: Option<Arc<AtomicBool>>,
}

#[derive(Clone, Default)]
struct Rare {
    outgoing: Vec<Outgoing>,
    disconnecting: Vec<Farewell>,
    disconnect: Vec<Farewell>,
}

/// What is to be done for an event.
pub(super) enum Dispatched {
    /// Nothing: nobody listens.
    Unheard,
    /// This, before the socket's next event.
    InTurn(Handling),
    /// This, beside the socket's next events.
    Concurrent(Handling),
}

impl Listeners {
    /// Changes what is listed. What this gives, and with it what listeners hold, is dropped outside of the lock.
    fn change<T>(&self, change: impl FnOnce(&mut Listed) -> T) -> T {
        let mut listed = lock(&self.listed);
        let changed = change(Arc::make_mut(&mut listed));
        self.changes.fetch_add(1, Ordering::Release);
        changed
    }

    pub(super) fn on(&self, event: &str, handler: Handler, is_concurrent: bool) {
        let listener = Listener { event: event.into(), is_concurrent, handler, is_done: None };
        self.change(|listed| listed.events.push(listener));
    }

    pub(super) fn once(&self, event: &str, handler: Handler) {
        let is_done = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&is_done);
        let handler: Handler = Arc::new(move |socket, arguments, ack| match done.swap(true, Ordering::AcqRel) {
            false => handler(socket, arguments, ack),
            true => Box::pin(std::future::ready(Ok(()))),
        });
        let listener = Listener { event: event.into(), is_concurrent: false, handler, is_done: Some(is_done) };
        let _gone = self.change(|listed| {
            let gone: Vec<_> = listed.events.extract_if(.., |listener| listener.is_done()).collect();
            listed.events.push(listener);
            gone
        });
    }

    pub(super) fn listens_to(&self, event: &str) -> bool {
        lock(&self.listed).events.iter().any(|listener| listener.hears(event))
    }

    /// Forgets the handlers of events, and the farewells.
    pub(super) fn off_all(&self) {
        let _gone = self.change(|listed| {
            let farewells =
                listed.rare.as_mut().map(|rare| (take(&mut rare.disconnecting), take(&mut rare.disconnect)));
            (take(&mut listed.events), farewells)
        });
    }

    pub(super) fn off(&self, event: &str) {
        let _gone: Vec<_> =
            self.change(|listed| listed.events.extract_if(.., |listener| *listener.event == *event).collect());
    }

    pub(super) fn on_any(&self, watcher: Watcher) {
        self.change(|listed| listed.any.push(watcher));
    }

    pub(super) fn prepend_any(&self, watcher: Watcher) {
        self.change(|listed| listed.any.insert(0, watcher));
    }

    pub(super) fn off_any(&self) {
        let _gone = self.change(|listed| take(&mut listed.any));
    }

    pub(super) fn middleware(&self, middleware: Watcher) {
        self.change(|listed| listed.middlewares.push(middleware));
    }

    pub(super) fn on_any_outgoing(&self, listener: Outgoing) {
        self.change(|listed| listed.rare.get_or_insert_default().outgoing.push(listener));
        self.listens_outgoing.store(true, Ordering::Relaxed);
    }

    pub(super) fn prepend_any_outgoing(&self, listener: Outgoing) {
        self.change(|listed| listed.rare.get_or_insert_default().outgoing.insert(0, listener));
        self.listens_outgoing.store(true, Ordering::Relaxed);
    }

    pub(super) fn off_any_outgoing(&self) {
        let _gone = self.change(|listed| {
            self.listens_outgoing.store(false, Ordering::Relaxed);
            listed.rare.as_mut().map(|rare| take(&mut rare.outgoing))
        });
    }

    pub(super) fn on_disconnecting(&self, farewell: Farewell) {
        self.change(|listed| listed.rare.get_or_insert_default().disconnecting.push(farewell));
    }

    pub(super) fn on_disconnect(&self, farewell: Farewell) {
        self.change(|listed| listed.rare.get_or_insert_default().disconnect.push(farewell));
    }

    /// Lets go of all of them, and of what they hold; gives those that are still to be told of the end, in two steps.
    pub(super) fn end(&self) -> [Vec<Farewell>; 2] {
        let listed = {
            let mut listed = lock(&self.listed);
            self.changes.fetch_add(1, Ordering::Release);
            take(&mut *listed)
        };
        let rare = listed.rare.as_deref();
        rare.map(|rare| [rare.disconnecting.clone(), rare.disconnect.clone()]).unwrap_or_default()
    }

    pub(super) fn listens_outgoing(&self) -> bool {
        self.listens_outgoing.load(Ordering::Relaxed)
    }

    /// Who wants to be told what is sent.
    pub(super) fn outgoing(&self) -> Vec<Outgoing> {
        if !self.listens_outgoing() {
            return Vec::new();
        }
        lock(&self.listed).rare.as_ref().map(|rare| rare.outgoing.clone()).unwrap_or_default()
    }
}

impl Known {
    /// Lets go of what has changed, and so of what listeners that are gone hold.
    pub(super) fn forget_changed(&mut self, listeners: &Listeners) {
        if self.changes != listeners.changes.load(Ordering::Acquire) {
            self.listed = None;
        }
    }

    fn look(&mut self, listeners: &Listeners) -> &Listed {
        self.forget_changed(listeners);
        self.listed.get_or_insert_with(|| {
            let listed = lock(&listeners.listed);
            self.changes = listeners.changes.load(Ordering::Relaxed);
            Arc::clone(&listed)
        })
    }

    /// What is to be done for an event.
    pub(super) fn dispatch(
        &mut self,
        socket: &Socket,
        name: &Utf8Bytes,
        arguments: Arguments,
        ack: Option<Wanted>,
    ) -> Dispatched {
        let listed = self.look(&socket.shared.listeners);
        let mut heard = listed.events.iter().filter(|listener| listener.hears(name));
        let first = heard.next();
        let is_plain = listed.any.is_empty() && listed.middlewares.is_empty() && heard.next().is_none();
        if is_plain {
            let Some(Listener { handler, is_concurrent, .. }) = first else { return Dispatched::Unheard };
            let handling = handler(socket.clone(), arguments, Ack::new(socket, ack));
            return if *is_concurrent { Dispatched::Concurrent(handling) } else { Dispatched::InTurn(handling) };
        }
        let heard: Vec<_> = listed.events.iter().filter(|listener| listener.hears(name)).collect();
        let is_concurrent = !heard.is_empty() && heard.iter().all(|listener| listener.is_concurrent);
        let handlers = heard.into_iter().map(|listener| Arc::clone(&listener.handler)).collect();
        let event = Event { socket: socket.clone(), name: name.clone(), arguments, ack };
        let handling = Box::pin(handle(event, listed.any.clone(), listed.middlewares.clone(), handlers));
        if is_concurrent { Dispatched::Concurrent(handling) } else { Dispatched::InTurn(handling) }
    }
}

impl Listener {
    fn hears(&self, event: &str) -> bool {
        *self.event == *event && !self.is_done()
    }

    fn is_done(&self) -> bool {
        self.is_done.as_ref().is_some_and(|is_done| is_done.load(Ordering::Acquire))
    }
}

/// Tells those who are told of all events, asks the middlewares, and has the handlers handle the event, one after the other, as
/// node does; tells the first error, behind all.
async fn handle(
    mut event: Event,
    any: Vec<Watcher>,
    middlewares: Vec<Watcher>,
    handlers: Vec<Handler>,
) -> Result<(), EventError> {
    let wanted = event.ack.take();
    let mut outcome = Ok(());
    for watcher in any {
        outcome = outcome.and(watcher(event.clone()).await);
    }
    event.ack = if handlers.len() > 1 { wanted.map(Wanted::shared) } else { wanted };
    for middleware in middlewares {
        if let Err(error) = middleware(event.clone()).await {
            return outcome.and(Err(error));
        }
    }
    for handler in handlers {
        let ack = Ack::new(&event.socket, event.ack.clone());
        outcome = outcome.and(handler(event.socket.clone(), event.arguments.clone(), ack).await);
    }
    outcome
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners").finish_non_exhaustive()
    }
}
