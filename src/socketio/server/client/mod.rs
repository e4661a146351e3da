//! The task of one client: what its session brings, and the sockets that it has in the namespaces.

mod membership;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::time::{Sleep, sleep_until};

use self::membership::Membership;
use super::{
    ConnectError, DisconnectReason, Shared,
    holding::{Arrived, Waiting},
    log,
};
use crate::{
    Compress, Message, Utf8Bytes,
    engineio::{self, CloseReason, Session, TransportKind},
    socketio::packet::{Body, Decoder, Packet, encode},
    stream::after,
};

/// How many bytes the names may have of namespaces that a client was sent away from.
const MAX_LEFT: usize = 16 * 1024;

/// What one client is to the server.
pub(super) struct Client {
    server: Arc<Shared>,
    session: Session,
    engine: engineio::Sender,
    decoder: Decoder,
    members: Vec<Membership>,
    /// The namespaces that the server has had it leave: it may have sent more before it heard that.
    left: Vec<Box<str>>,
    /// When the client has to be in a namespace at the latest; there until it is.
    deadline: Option<Pin<Box<Sleep>>>,
    waiting: Waiting,
    /// There while nothing is read from it.
    stalled: Option<Pin<Box<Sleep>>>,
    is_over: bool,
}

impl Client {
    pub(super) fn new(server: Arc<Shared>, session: Session) -> Self {
        let deadline = Box::pin(sleep_until(after(server.config.connect_timeout)));
        Self {
            decoder: Decoder::new().max_attachments(server.config.max_attachments),
            engine: session.sender(),
            session,
            members: Vec::new(),
            left: Vec::new(),
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
            // Whoever has taken one away woke this task, unless it ran.
            self.members.iter_mut().for_each(Membership::forget_changed);
            self.session.end_turn(cx);
            // It may have taken all answers at once.
            if !self.waiting.poll_fetched(cx) {
                break;
            }
        }
        self.forget_gone();
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

    fn forget_gone(&mut self) {
        let (left, limit) = (&mut self.left, self.server.config.max_namespaces);
        self.members.retain(|member| {
            let is_gone = member.is_gone();
            if is_gone && member.leaving == Some(DisconnectReason::ServerNamespaceDisconnect) {
                let name = member.socket.namespace().name();
                if left.len() < limit && left.iter().map(|left| left.len()).sum::<usize>() + name.len() <= MAX_LEFT {
                    left.push(name.into());
                }
            }
            !is_gone
        });
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
        is_known |= found.is_none() && self.left.iter().any(|left| **left == *namespace);
        match (body, found) {
            (Body::Connect(auth), None) => self.connect(&namespace, auth.as_ref(), cx),
            // It has given that up without a word, as node's client does.
            (Body::Connect(auth), Some(member)) if member.is_asking() => {
                member.refused(waiting);
                self.connect(&namespace, auth.as_ref(), cx);
            }
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
            self.forget_gone();
        }
        if self.members.len() >= limit {
            return self.refuse(name, "Too many namespaces");
        }
        self.left.retain(|left| **left != *name);
        let Some(socket) = self.server.enter(name, auth, &self.engine) else {
            log::invalid_namespace(&self.engine, name);
            return self.refuse(name, "Invalid namespace");
        };
        socket.namespace().entered();
        let mut member = Membership::begin(socket, &mut self.waiting);
        member.poll(cx, &mut self.waiting);
        self.members.push(member);
    }

    fn refuse(&self, name: &str, why: &str) {
        let error = Body::ConnectError(ConnectError::new(why).payload());
        self.engine.send_all(encode(name, &error).into_outgoing(Compress::Never));
    }
}

/// Polls what an application has written; a panic of it is its end, and nobody else's.
pub(in crate::socketio::server) fn poll_caught<T>(
    future: Pin<&mut (dyn Future<Output = T> + Send)>,
    cx: &mut Context<'_>,
) -> Poll<Result<T, ()>> {
    match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_panic) => Poll::Ready(Err(())),
    }
}
