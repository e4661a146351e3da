//! The task of one client: what its session brings, and the sockets that it has in the namespaces.

use std::{
    collections::VecDeque,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::time::{Sleep, sleep_until};

use super::{
    ConnectError, DisconnectReason, EventError, Namespace, Shared, Socket,
    handler::{Handling, Wanted},
    holding::{Arrived, Waiting},
    listeners::{Dispatched, Known},
    log, recover,
};
use crate::{
    Compress, Message, Utf8Bytes,
    engineio::{self, CloseReason, Session, TransportKind},
    socketio::packet::{Body, Decoder, Packet, encode},
    stream::after,
};

/// The handlers of connections, where they are named as those of events are.
const CONNECTION: Utf8Bytes = Utf8Bytes::from_static("connection");

/// A future that gives `()`, as it is to be awaited no more.
type Step = Pin<Box<dyn Future<Output = ()> + Send>>;
/// Whether the middlewares let a socket in, some time.
type Admission = Pin<Box<dyn Future<Output = Result<(), ConnectError>> + Send>>;

/// What one client is to the server.
pub(super) struct Client {
    server: Arc<Shared>,
    session: Session,
    engine: engineio::Sender,
    decoder: Decoder,
    members: Vec<Membership>,
    /// When the client has to be in a namespace at the latest; there until it is.
    deadline: Option<Pin<Box<Sleep>>>,
    waiting: Waiting,
    /// There while nothing is read from it.
    stalled: Option<Pin<Box<Sleep>>>,
    is_over: bool,
}

/// A socket of the client in one namespace, and what is done for it.
struct Membership {
    socket: Socket,
    known: Known,
    doing: Doing,
    /// The events that wait for that.
    queue: VecDeque<Arrived>,
    /// Why it has to go, when everything in front of that is done.
    leaving: Option<DisconnectReason>,
    /// Whether the client's connection is to end with it.
    closes: bool,
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

impl Client {
    pub(super) fn new(server: Arc<Shared>, session: Session) -> Self {
        let deadline = Box::pin(sleep_until(after(server.config.connect_timeout)));
        Self {
            decoder: Decoder::new().max_attachments(server.config.max_attachments),
            engine: session.sender(),
            session,
            members: Vec::new(),
            deadline: Some(deadline),
            waiting: Waiting::new(server.config.max_waiting),
            stalled: None,
            is_over: false,
            server,
        }
    }

    /// Does everything that can be done now, and writes what that has sent. Ready when the client has gone, and everything
    /// that it has asked for is done.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.session.begin_turn();
            self.poll_members(cx);
            self.take_in(cx);
            self.poll_stalled(cx);
            // By its own handler, which wakes nobody, or since it was looked.
            while self.members.iter().any(Membership::has_to_leave) {
                self.poll_members(cx);
            }
            if !self.is_over && self.members.iter().any(|member| member.closes) {
                self.close(cx);
            }
            self.session.end_turn(cx);
            // It may have taken all answers at once.
            if !self.waiting.poll_fetched(cx) {
                break;
            }
        }
        self.members.retain(|member| !matches!(member.doing, Doing::Gone));
        if self.is_over && self.members.is_empty() {
            return Poll::Ready(());
        }
        self.poll_deadline(cx);
        Poll::Pending
    }

    /// Takes what the client has sent, as long as its handlers have not enough to do, and it fetches its answers.
    fn take_in(&mut self, cx: &mut Context<'_>) {
        while !self.is_over && self.is_read() {
            let Poll::Ready(received) = self.session.poll_recv(cx) else { break };
            match received {
                Some(message) => self.receive(message, cx),
                None => self.end(cx),
            }
        }
    }

    /// Whether the client is read. What it has posted before its session ended is taken in any case.
    fn is_read(&self) -> bool {
        !self.waiting.is_too_much() || self.session.has_last_posts()
    }

    /// While nothing is read from the client, it does not show whether it is there. It is asked nothing either, so that it
    /// gives up after as long as it would take the server.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) {
        if self.is_over || self.is_read() {
            self.stalled = None;
            return;
        }
        // A WebSocket that takes none of its answers ends by itself.
        if self.waiting.is_too_much() || self.engine.transport() == TransportKind::Polling {
            let limit = self.engine.patience();
            let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep_until(after(limit))));
            if stalled.as_mut().poll(cx).is_ready() {
                self.engine.give_up();
            }
        }
        self.session.wait_for_change(cx);
        // An event that is handled beside others may have been done before it was waited for.
        if self.is_read() {
            cx.waker().wake_by_ref();
        }
        if self.engine.reason().is_some() && !self.session.has_last_posts() {
            self.end(cx);
        }
    }

    /// A client that is in no namespace in time has to go.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) {
        if self.members.iter().any(|member| member.socket.is_connected()) {
            self.deadline = None;
        }
        if self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready()) {
            self.deadline = None;
            self.engine.close();
            // The end shows in the session.
            cx.waker().wake_by_ref();
        }
    }

    fn poll_members(&mut self, cx: &mut Context<'_>) {
        for member in &mut self.members {
            member.poll(cx, &mut self.waiting);
        }
    }

    /// The server wants the client to leave every namespace, and the connection to end.
    fn close(&mut self, cx: &mut Context<'_>) {
        for member in &mut self.members {
            member.socket.disconnect();
            member.notice_leave();
        }
        self.engine.close();
        self.end(cx);
    }

    /// The session has ended: so have all sockets, behind what they have to do.
    fn end(&mut self, cx: &mut Context<'_>) {
        self.is_over = true;
        let reason = match self.engine.reason() {
            Some(CloseReason::ForcedClose) | None if self.server.is_closing() => DisconnectReason::ServerShuttingDown,
            reason => reason.map_or(DisconnectReason::TransportClose, DisconnectReason::from),
        };
        for member in &mut self.members {
            member.leave(reason);
        }
        self.poll_members(cx);
    }

    fn receive(&mut self, message: Message, cx: &mut Context<'_>) {
        match self.decoder.decode(message) {
            Ok(Some(packet)) => self.handle(packet, cx),
            Ok(None) => {}
            Err(error) => self.violated(&error, cx),
        }
    }

    /// The client is not to be understood, so that its session ends here, whatever else it has sent.
    fn violated(&mut self, what: &dyn std::fmt::Display, cx: &mut Context<'_>) {
        log::violation(&self.engine, what);
        self.engine.close();
        self.end(cx);
    }

    fn handle(&mut self, packet: Packet, cx: &mut Context<'_>) {
        log::received(&packet);
        let Packet { namespace, body } = packet;
        let waiting = &mut self.waiting;
        let mut is_known = false;
        let mut found = None;
        for member in self.members.iter_mut().filter(|member| *member.socket.namespace().name() == *namespace) {
            is_known = true;
            member.notice_leave();
            // A client may come back before everybody knows that it has gone.
            if member.is_staying() {
                found = Some(member);
            }
        }
        match (body, found) {
            (Body::Connect(auth), None) => self.connect(&namespace, auth.as_ref(), cx),
            (Body::Event { id, name, arguments }, Some(member)) => {
                member.receive(Arrived { id, name, arguments }, cx, waiting);
            }
            (Body::Ack { id, arguments }, Some(member)) => {
                if let Some(id) = id {
                    member.socket.shared.acks.resolve(member.socket.id(), id, arguments);
                }
            }
            (Body::Disconnect, Some(member)) => {
                member.leave(DisconnectReason::ClientNamespaceDisconnect);
                member.poll(cx, waiting);
            }
            // What it has sent before it heard that it had to leave.
            (Body::Event { .. } | Body::Ack { .. } | Body::Disconnect, None) if is_known => {}
            (Body::Event { .. } | Body::Ack { .. } | Body::Disconnect, None) => {
                self.violated(&"a packet for a namespace that the client is not in", cx);
            }
            (Body::Connect(_), Some(_)) => self.violated(&"a second connection to a namespace", cx),
            (Body::ConnectError(_), _) => self.violated(&"a connection error of a client", cx),
        }
    }

    fn connect(&mut self, name: &str, auth: Option<&Utf8Bytes>, cx: &mut Context<'_>) {
        let limit = self.server.config.max_namespaces;
        if self.members.len() >= limit {
            self.members.retain(|member| !matches!(member.doing, Doing::Gone));
        }
        if self.members.len() >= limit {
            return self.refuse(name, "Too many namespaces");
        }
        let Some(socket) = self.server.enter(name, auth, &self.engine) else {
            log::invalid_namespace(&self.engine, name);
            return self.refuse(name, "Invalid namespace");
        };
        socket.namespace().entered();
        let mut member = Membership {
            socket: socket.clone(),
            known: Known::default(),
            doing: Doing::Nothing,
            queue: VecDeque::new(),
            leaving: None,
            closes: false,
        };
        if socket.is_recovered() || socket.namespace().admits_all() {
            member.admitted(Ok(()), &mut self.waiting);
        } else {
            member.doing = Doing::Admitting(Box::pin(Namespace::admit(socket)));
        }
        member.poll(cx, &mut self.waiting);
        self.members.push(member);
    }

    fn refuse(&self, name: &str, why: &str) {
        let error = Body::ConnectError(ConnectError::new(why).payload());
        self.engine.send_all(encode(name, &error).into_outgoing(Compress::Never));
    }
}

impl Membership {
    /// Whether it has neither gone nor is about to.
    const fn is_staying(&self) -> bool {
        self.leaving.is_none() && !matches!(self.doing, Doing::Gone)
    }

    /// Goes on with what is to be done, as far as it goes.
    fn poll(&mut self, cx: &mut Context<'_>, waiting: &mut Waiting) {
        self.notice_leave();
        self.known.forget_changed(&self.socket.shared.listeners);
        let _span = log::enter(&self.socket);
        loop {
            match &mut self.doing {
                Doing::Gone => return,
                Doing::Nothing if waiting.is_unfetched() && !self.queue.is_empty() => return,
                Doing::Nothing => match self.queue.pop_front() {
                    Some(event) => {
                        waiting.queued -= event.cost();
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
                        self.known.forget_changed(&self.socket.shared.listeners);
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
    fn receive(&mut self, event: Arrived, cx: &mut Context<'_>, waiting: &mut Waiting) {
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
        self.socket = recovered;
    }

    /// It was not let in, or has gone before it was.
    fn refused(&mut self, waiting: &mut Waiting) {
        waiting.queued -= self.queue.drain(..).map(|event| event.cost()).sum::<usize>();
        self.socket.gone();
        self.socket.namespace().rooms().remove(self.socket.id());
        self.doing = Doing::Gone;
    }

    /// Whether the server wants it to go, and that was not seen yet.
    fn has_to_leave(&self) -> bool {
        self.leaving.is_none() && self.socket.is_told_to_leave()
    }

    /// Sees whether the server wants it to go.
    fn notice_leave(&mut self) {
        if self.has_to_leave() {
            self.leave(DisconnectReason::ServerNamespaceDisconnect);
        }
    }

    /// It has to go.
    fn leave(&mut self, reason: DisconnectReason) {
        if self.leaving.is_none() {
            let is_told = self.socket.is_told_to_leave();
            self.closes = self.socket.is_told_to_close();
            let reason = if is_told { DisconnectReason::ServerNamespaceDisconnect } else { reason };
            self.leaving = Some(reason);
            let was_in = self.socket.is_connected();
            self.socket.gone();
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

/// Polls what an application has written; a panic of it is its end, and nobody else's.
pub(super) fn poll_caught<T>(
    future: Pin<&mut (dyn Future<Output = T> + Send)>,
    cx: &mut Context<'_>,
) -> Poll<Result<T, ()>> {
    match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_panic) => Poll::Ready(Err(())),
    }
}
