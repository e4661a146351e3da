use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    DisconnectReason, EventError, Socket,
    handler::{Event, Handler, Handling, Wanted},
    lock,
};
use crate::socketio::packet::Arguments;

/// Is told what is sent.
pub(super) type Outgoing = Arc<dyn Fn(&str, &Arguments) + Send + Sync>;
/// Is told of an event before its handlers, and may stop it.
pub(super) type EventMiddleware = Arc<dyn Fn(Event) -> Handling + Send + Sync>;
/// What is done when a socket is disconnected.
pub(super) type Farewell =
    Arc<dyn Fn(Socket, DisconnectReason) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What an application does with the events of one socket.
#[derive(Default)]
pub(super) struct Listeners {
    listed: Mutex<Listed>,
    /// Whether somebody wants to be told what is sent.
    listens_outgoing: AtomicBool,
}

#[derive(Default)]
struct Listed {
    events: Vec<Listener>,
    any: Vec<Handler>,
    middlewares: Vec<EventMiddleware>,
    /// What few sockets have.
    rare: Option<Box<Rare>>,
}

struct Listener {
    event: Box<str>,
    is_concurrent: bool,
    handler: Handler,
    /// Whether it has heard what it wanted to, if that is one event.
    is_done: Option<Arc<AtomicBool>>,
}

#[derive(Default)]
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
    pub(super) fn on(&self, event: &str, handler: Handler, is_concurrent: bool) {
        lock(&self.listed).events.push(Listener { event: event.into(), is_concurrent, handler, is_done: None });
    }

    pub(super) fn once(&self, event: &str, handler: Handler) {
        let is_done = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&is_done);
        let handler: Handler = Arc::new(move |event| match done.swap(true, Ordering::AcqRel) {
            false => handler(event),
            true => Box::pin(std::future::ready(Ok(()))),
        });
        let events = &mut lock(&self.listed).events;
        events.retain(|listener| !listener.is_done());
        events.push(Listener { event: event.into(), is_concurrent: false, handler, is_done: Some(is_done) });
    }

    pub(super) fn listens_to(&self, event: &str) -> bool {
        lock(&self.listed).events.iter().any(|listener| listener.hears(event))
    }

    /// Forgets the handlers of events, and the farewells.
    pub(super) fn off_all(&self) {
        let mut listed = lock(&self.listed);
        let events = std::mem::take(&mut listed.events);
        let farewells = listed
            .rare
            .as_mut()
            .map(|rare| (std::mem::take(&mut rare.disconnecting), std::mem::take(&mut rare.disconnect)));
        // What they hold is dropped outside of the lock.
        drop(listed);
        drop((events, farewells));
    }

    pub(super) fn off(&self, event: &str) {
        let mut listed = lock(&self.listed);
        let (gone, stay) =
            std::mem::take(&mut listed.events).into_iter().partition(|listener| *listener.event == *event);
        listed.events = stay;
        drop(listed);
        // What they hold is dropped outside of the lock.
        drop::<Vec<_>>(gone);
    }

    pub(super) fn on_any(&self, handler: Handler) {
        lock(&self.listed).any.push(handler);
    }

    pub(super) fn prepend_any(&self, handler: Handler) {
        lock(&self.listed).any.insert(0, handler);
    }

    pub(super) fn off_any(&self) {
        let gone = std::mem::take(&mut lock(&self.listed).any);
        drop(gone);
    }

    pub(super) fn middleware(&self, middleware: EventMiddleware) {
        lock(&self.listed).middlewares.push(middleware);
    }

    pub(super) fn on_any_outgoing(&self, listener: Outgoing) {
        let mut listed = lock(&self.listed);
        listed.rare.get_or_insert_default().outgoing.push(listener);
        self.listens_outgoing.store(true, Ordering::Relaxed);
    }

    pub(super) fn prepend_any_outgoing(&self, listener: Outgoing) {
        let mut listed = lock(&self.listed);
        listed.rare.get_or_insert_default().outgoing.insert(0, listener);
        self.listens_outgoing.store(true, Ordering::Relaxed);
    }

    pub(super) fn off_any_outgoing(&self) {
        let mut listed = lock(&self.listed);
        let gone = listed.rare.as_mut().map(|rare| std::mem::take(&mut rare.outgoing));
        self.listens_outgoing.store(false, Ordering::Relaxed);
        drop(listed);
        drop(gone);
    }

    pub(super) fn on_disconnecting(&self, farewell: Farewell) {
        lock(&self.listed).rare.get_or_insert_default().disconnecting.push(farewell);
    }

    pub(super) fn on_disconnect(&self, farewell: Farewell) {
        lock(&self.listed).rare.get_or_insert_default().disconnect.push(farewell);
    }

    /// Lets go of all of them, and of what they hold; gives those that are still to be told of the end, in two steps.
    pub(super) fn end(&self) -> [Vec<Farewell>; 2] {
        let listed = std::mem::take(&mut *lock(&self.listed));
        listed.rare.map(|rare| [rare.disconnecting, rare.disconnect]).unwrap_or_default()
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

    /// What is to be done for an event.
    pub(super) fn dispatch(&self, event: Event) -> Dispatched {
        let listed = lock(&self.listed);
        let mut heard = listed.events.iter().filter(|listener| listener.hears(&event.name));
        let first = heard.next();
        let is_plain = listed.any.is_empty() && listed.middlewares.is_empty() && heard.next().is_none();
        if is_plain {
            let Some(Listener { handler, is_concurrent, .. }) = first else { return Dispatched::Unheard };
            let (handler, is_concurrent) = (Arc::clone(handler), *is_concurrent);
            drop(listed);
            let handling = handler(event);
            return if is_concurrent { Dispatched::Concurrent(handling) } else { Dispatched::InTurn(handling) };
        }
        let heard: Vec<_> = listed.events.iter().filter(|listener| listener.hears(&event.name)).collect();
        let is_concurrent = !heard.is_empty() && heard.iter().all(|listener| listener.is_concurrent);
        let handlers = heard.into_iter().map(|listener| Arc::clone(&listener.handler)).collect();
        let handling = Box::pin(handle(event, listed.middlewares.clone(), listed.any.clone(), handlers));
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

/// Asks the middlewares, and has all who listen handle the event, one after the other; tells the first error, behind all.
async fn handle(
    mut event: Event,
    middlewares: Vec<EventMiddleware>,
    any: Vec<Handler>,
    handlers: Vec<Handler>,
) -> Result<(), EventError> {
    for middleware in middlewares {
        middleware(event.clone()).await?;
    }
    let wanted = event.ack.take();
    let mut outcome = Ok(());
    for handler in any {
        outcome = outcome.and(handler(event.clone()).await);
    }
    event.ack = if handlers.len() > 1 { wanted.map(Wanted::shared) } else { wanted };
    for handler in handlers {
        outcome = outcome.and(handler(event.clone()).await);
    }
    outcome
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners").finish_non_exhaustive()
    }
}
