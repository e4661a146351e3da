//! A client in one namespace.

use std::{
    collections::VecDeque,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use super::poll_caught;
use crate::{
    Compress, Utf8Bytes,
    socketio::{
        packet::{Body, encode},
        server::{
            ConnectError, DisconnectReason, EventError, Namespace, Socket,
            handler::{Handling, Wanted},
            holding::{Arrived, Waiting},
            listeners::{Dispatched, Known},
            log, recover,
        },
    },
};

/// The handlers of connections, where they are named as those of events are.
const CONNECTION: Utf8Bytes = Utf8Bytes::from_static("connection");

/// For how many events the memory is kept when none waits.
const KEPT: usize = 64;

/// A future that gives `()`, as it is to be awaited no more.
type Step = Pin<Box<dyn Future<Output = ()> + Send>>;
/// Whether the middlewares let a socket in, some time.
type Admission = Pin<Box<dyn Future<Output = Result<(), ConnectError>> + Send>>;

/// A socket of the client in one namespace, and what is done for it.
pub(super) struct Membership {
    pub(super) socket: Socket,
    known: Known,
    doing: Doing,
    /// The events that wait for that.
    queue: VecDeque<Arrived>,
    /// Why it has to go, when everything in front of that is done.
    pub(super) leaving: Option<DisconnectReason>,
    /// Whether the client's connection is to end with it.
    pub(super) closes: bool,
}

enum Doing {
    /// Nothing: an event is handled at once.
    Nothing,
    /// The middlewares are asked.
    Admitting(Admission),
    /// What its last event, or its connection, asked for.
    Handling(Utf8Bytes, Handling),
    /// All who want to know are told that it goes.
    Leaving(Step),
    /// It has gone.
    Gone,
}

impl Membership {
    /// Lets a socket in, or asks the middlewares whether it may.
    pub(super) fn begin(socket: Socket, waiting: &mut Waiting) -> Self {
        let mut member = Self {
            socket,
            known: Known::default(),
            doing: Doing::Nothing,
            queue: VecDeque::new(),
            leaving: None,
            closes: false,
        };
        if member.socket.is_recovered() || member.socket.namespace().admits_all() {
            member.admitted(Ok(()), waiting);
        } else {
            member.doing = Doing::Admitting(Box::pin(Namespace::admit(member.socket.clone())));
        }
        member
    }

    /// Lets go of listeners that are gone.
    pub(super) fn forget_changed(&mut self) {
        self.known.forget_changed(&self.socket.shared.listeners);
    }

    /// Whether everything that it had to do is done.
    pub(super) const fn is_gone(&self) -> bool {
        matches!(self.doing, Doing::Gone)
    }

    /// Whether the middlewares have not answered yet.
    pub(super) const fn is_asking(&self) -> bool {
        matches!(self.doing, Doing::Admitting(_))
    }

    /// Whether it has neither gone nor is about to.
    pub(super) const fn is_staying(&self) -> bool {
        self.leaving.is_none() && !matches!(self.doing, Doing::Gone)
    }

    /// Goes on with what is to be done, as far as it goes.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, waiting: &mut Waiting) {
        self.notice_leave();
        let _span = log::enter(&self.socket);
        loop {
            match &mut self.doing {
                Doing::Gone => return,
                Doing::Nothing if waiting.is_unfetched() && !self.queue.is_empty() => return,
                Doing::Nothing => match self.queue.pop_front() {
                    Some(event) => {
                        waiting.queued -= event.cost();
                        if self.queue.is_empty() && self.queue.capacity() > KEPT {
                            self.queue = VecDeque::new();
                        }
                        self.start(event, waiting);
                    }
                    None => match self.leaving {
                        Some(reason) => self.doing = Doing::Leaving(Box::pin(self.socket.clone().leave_all(reason))),
                        None => return,
                    },
                },
                Doing::Admitting(admission) => match poll_caught(admission.as_mut(), cx) {
                    Poll::Pending if self.leaving.is_some() => return self.refused(waiting),
                    Poll::Pending => return,
                    Poll::Ready(Ok(admitted)) => self.admitted(admitted, waiting),
                    Poll::Ready(Err(_)) => {
                        self.socket.namespace().report(&self.socket, &CONNECTION, &EventError::Panicked);
                        self.admitted(Err(ConnectError::new("Internal server error")), waiting);
                    }
                },
                Doing::Handling(name, handling) => match poll_caught(handling.as_mut(), cx) {
                    Poll::Pending => return,
                    Poll::Ready(outcome) => {
                        if let Err(error) = outcome.unwrap_or(Err(EventError::Panicked)) {
                            self.socket.namespace().report(&self.socket, name, &error);
                        }
                        self.doing = Doing::Nothing;
                        waiting.handled(&self.socket.shared.engine);
                    }
                },
                Doing::Leaving(step) => match poll_caught(step.as_mut(), cx) {
                    Poll::Pending => return,
                    Poll::Ready(_) => self.doing = Doing::Gone,
                },
            }
        }
    }

    /// An event has come.
    pub(super) fn receive(&mut self, event: Arrived, cx: &mut Context<'_>, waiting: &mut Waiting) {
        if matches!(self.doing, Doing::Nothing) && self.queue.is_empty() {
            let _span = log::enter(&self.socket);
            self.start(event, waiting);
        } else {
            waiting.queued += event.cost();
            self.queue.push_back(event);
            return;
        }
        self.poll(cx, waiting);
    }

    fn start(&mut self, event: Arrived, waiting: &mut Waiting) {
        let cost = event.cost();
        let Arrived { id, name, arguments } = event;
        let wanted = id.map(Wanted::new);
        let dispatched = catch_unwind(AssertUnwindSafe(|| self.known.dispatch(&self.socket, &name, arguments, wanted)));
        match dispatched {
            Ok(Dispatched::Unheard) => log::unheard(&self.socket, &name),
            Ok(Dispatched::InTurn(handling)) => self.doing = Doing::Handling(name, handling),
            Ok(Dispatched::Concurrent(mut handling)) => {
                let socket = self.socket.clone();
                let beside = waiting.begin_beside(cost, &socket.shared.engine);
                tokio::spawn(log::instrument(&self.socket, async move {
                    let _beside = beside;
                    let outcome = poll_fn(|cx| poll_caught(handling.as_mut(), cx)).await;
                    if let Err(error) = outcome.unwrap_or(Err(EventError::Panicked)) {
                        socket.namespace().report(&socket, &name, &error);
                    }
                }));
            }
            Err(_panic) => self.socket.namespace().report(&self.socket, &name, &EventError::Panicked),
        }
    }

    /// The middlewares have answered.
    fn admitted(&mut self, admitted: Result<(), ConnectError>, waiting: &mut Waiting) {
        match admitted {
            Ok(()) if self.leaving.is_none() => {
                self.let_in();
                let welcome = Box::pin(Namespace::welcome(self.socket.clone()));
                self.doing = Doing::Handling(CONNECTION, welcome);
            }
            Ok(()) => self.refused(waiting),
            Err(error) => {
                log::refused(&self.socket, &error);
                let packet = encode(self.socket.namespace().name(), &Body::ConnectError(error.payload()));
                self.socket.shared.engine.send_all(packet.into_outgoing(Compress::Never));
                self.refused(waiting);
            }
        }
    }

    /// Lets the socket in, unless that was done when it was recovered, or is to be done now.
    fn let_in(&mut self) {
        if self.socket.is_recovered() {
            return;
        }
        let (socket, engine) = (&self.socket, &self.socket.shared.engine);
        let Some(returned) = socket.auth_json().and_then(|auth| recover(socket.namespace(), engine, auth)) else {
            return socket.let_in();
        };
        let recovered = returned.told();
        recovered.take_extensions(socket);
        socket.gone();
        socket.namespace().rooms().remove(socket.id());
        drop(socket.shared.listeners.end());
        self.socket = recovered;
    }

    /// It was not let in, or has gone before it was.
    pub(super) fn refused(&mut self, waiting: &mut Waiting) {
        waiting.queued -= self.queue.drain(..).map(|event| event.cost()).sum::<usize>();
        self.socket.gone();
        self.socket.namespace().rooms().remove(self.socket.id());
        drop(self.socket.shared.listeners.end());
        self.doing = Doing::Gone;
    }

    /// Whether the server wants it to go, and that was not seen yet.
    pub(super) fn has_to_leave(&self) -> bool {
        self.leaving.is_none() && self.socket.is_told_to_leave()
    }

    /// Sees whether the server wants it to go.
    pub(super) fn notice_leave(&mut self) {
        if self.has_to_leave() {
            self.leave(DisconnectReason::ServerNamespaceDisconnect);
        }
    }

    /// It has to go.
    pub(super) fn leave(&mut self, reason: DisconnectReason) {
        if self.leaving.is_none() {
            let is_told = self.socket.is_told_to_leave();
            self.closes = self.socket.is_told_to_close();
            let reason = if is_told { DisconnectReason::ServerNamespaceDisconnect } else { reason };
            self.leaving = Some(reason);
            let was_in = self.socket.is_connected();
            if was_in && reason.is_recoverable() {
                self.socket.away()
            } else {
                self.socket.gone()
            }
            // Its client may be back before this is done with.
            if was_in && (matches!(self.doing, Doing::Handling(..)) || !self.queue.is_empty()) {
                self.socket.keep(reason);
            }
        }
    }
}

/// A client whose task is dropped, as the runtime ends or its session has panicked, leaves no socket behind.
impl Drop for Membership {
    fn drop(&mut self) {
        if !matches!(self.doing, Doing::Gone) {
            self.socket.gone();
            self.socket.leave_rooms();
        }
        self.socket.namespace().left();
    }
}
