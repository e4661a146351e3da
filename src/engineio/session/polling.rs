//! Polls and POSTs of a session.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::{
    heartbeat::Heartbeat,
    shared::{Link, Polling, Shared, State, Upgrade},
};
use crate::{
    Message, Utf8Bytes,
    engineio::{CloseReason, ConnectionError, Packet, Payload, log},
};

/// How many bytes that came by POST may wait for the session's task, before the next POST has to.
const MAX_INBOX: usize = 1 << 20;
/// What a message takes beside its bytes.
const OVERHEAD: usize = 64;
/// How many packets a body may hold, or one for each eight bytes that it may have: more are no client's, whose shortest event
/// has as many, but somebody's who wants three bytes to cost a hundred.
const MAX_PACKETS: usize = 65_536;
/// For how many messages the memory is kept when they are taken.
const KEPT: usize = 64;

impl Polling {
    /// Wakes the poll that waits.
    pub(super) fn wake(&mut self) {
        if let Some(poll) = &self.poll {
            poll.wake_by_ref();
        }
    }

    /// Has the poll that waits answered.
    pub(super) fn release(&mut self) {
        self.is_released = true;
        self.wake();
    }
}

impl Shared {
    /// Waits until there is something to tell the client, and gives it as the body of a response.
    ///
    /// # Errors
    ///
    /// If another poll waits, which ends the session.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it ends the session: the client has given up its poll.
    pub(in crate::engineio) async fn poll(self: &Arc<Self>) -> Result<String, ConnectionError> {
        {
            let mut state = self.lock();
            state.check_polls()?;
            if state.polling.poll.is_some() {
                drop(state);
                self.end(CloseReason::TransportError);
                return Err(ConnectionError::BadRequest("two polls at once"));
            }
            // A release was meant for the poll before.
            state.polling.is_released &= state.end.is_some();
            state.polling.poll = Some(Waker::noop().clone());
        }
        let mut parked = Parked { shared: self, is_answered: false };
        let payload = poll_fn(|cx| self.poll_payload(cx)).await;
        parked.is_answered = true;
        Ok(payload)
    }

    fn poll_payload(&self, cx: &Context<'_>) -> Poll<String> {
        let mut state = self.lock();
        let end = state.end;
        let polling = &mut state.polling;
        let (payload, is_last) = if !polling.outbox.is_empty() {
            // The end is told by itself, as node does: its client is deaf to what stands in front of it, such as that it is
            // to stay away.
            (polling.outbox.take_payload(), false)
        } else if let Some(reason) = end {
            // A client that has ended the session knows; the poll that it has sent is answered all the same.
            let last = if reason == CloseReason::TransportClose { Packet::Noop } else { Packet::Close };
            (last.to_text(), true)
        } else if polling.is_released {
            (Packet::Noop.to_text(), false)
        } else {
            polling.poll = Some(cx.waker().clone());
            return Poll::Pending;
        };
        (polling.poll, polling.is_released, polling.has_waited) = (None, false, false);
        drop(state);
        self.waiting.wake();
        log::polled(self.id, "a poll is answered", payload.len());
        if is_last {
            self.registry.remove(self.id);
        }
        Poll::Ready(payload)
    }

    /// Has the poll answered that waited the last time already.
    pub(super) fn release_poll(&self) {
        let polling = &mut self.lock().polling;
        if polling.poll.is_some() && std::mem::replace(&mut polling.has_waited, true) {
            polling.release();
        }
    }

    /// Begins to read a POST.
    ///
    /// # Errors
    ///
    /// If another one is being read, which ends the session.
    pub(in crate::engineio) fn begin_post(self: &Arc<Self>) -> Result<Post, ConnectionError> {
        let mut state = self.lock();
        state.check_polls()?;
        // A client that the server has told to go, and that has not heard it yet, is to hear that and nothing else.
        if state.end.is_some_and(|reason| reason != CloseReason::ForcedClose) {
            return Err(ConnectionError::UnknownSid);
        }
        if state.polling.is_posting {
            drop(state);
            self.end(CloseReason::TransportError);
            return Err(ConnectionError::BadRequest("two POSTs at once"));
        }
        state.polling.is_posting = true;
        Ok(Post(Arc::clone(self)))
    }
}

impl State {
    /// Whether the session still polls.
    fn check_polls(&self) -> Result<(), ConnectionError> {
        match self.link {
            Link::Polling => Ok(()),
            Link::WebSocket(_) | Link::Gone => Err(ConnectionError::BadRequest("the session goes on by WebSocket")),
        }
    }

    /// What a packet that came by POST, in a body of this length, means.
    fn receive(&mut self, packet: Packet, body: usize) -> Result<(), CloseReason> {
        let polling = &mut self.polling;
        match packet {
            Packet::Message(message) => {
                // A part of a body keeps all of it, for as long as a handler has it.
                let message = match message {
                    Message::Text(text) if text.len() < body / 2 => Message::Text(text.as_str().into()),
                    message => message,
                };
                polling.inbox_bytes += message.len() + OVERHEAD;
                polling.inbox.push_back(message);
                polling.heard = true;
            }
            Packet::Pong(_) => polling.ponged = true,
            Packet::Close => return Err(CloseReason::TransportClose),
            // From a client of version 3.
            Packet::Ping(_) => return Err(CloseReason::TransportError),
            // Of no meaning here, and node does not mind.
            Packet::Open(_) | Packet::Upgrade | Packet::Noop => polling.heard = true,
        }
        Ok(())
    }
}

/// A poll that waits. Dropped before it is answered, its client has gone.
struct Parked<'a> {
    shared: &'a Shared,
    is_answered: bool,
}

impl Drop for Parked<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.shared.lock().polling.poll = None;
            self.shared.end(CloseReason::TransportError);
        }
    }
}

/// A POST that is being read. Dropped before its packets came, the session goes on without them.
pub(in crate::engineio) struct Post(Arc<Shared>);

impl Post {
    /// Waits until there is room, takes the packets of a body, and waits until there is room for more.
    ///
    /// # Errors
    ///
    /// At the first packet that is none, and if there are too many, which ends the session. Those in front of it have come.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: all packets are taken, or none.
    pub(in crate::engineio) async fn receive(self, body: Utf8Bytes) -> Result<(), CloseReason> {
        log::polled(self.0.id, "a POST has come", body.len());
        // Who gave the last one up has not made room by that.
        self.room().await;
        let received = self.receive_now(body);
        self.0.lock().wake_reader();
        if let Err(reason) = received {
            self.0.end(reason);
            if reason == CloseReason::ParseError {
                return Err(reason);
            }
        }
        self.room().await;
        Ok(())
    }

    /// Waits until there is room for a body, or the session has ended.
    async fn room(&self) {
        poll_fn(|cx| {
            let mut state = self.0.lock();
            if state.polling.inbox_bytes <= MAX_INBOX || state.end.is_some() {
                return Poll::Ready(());
            }
            state.polling.post = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn receive_now(&self, body: Utf8Bytes) -> Result<(), CloseReason> {
        let (mut state, len) = (self.0.lock(), body.len());
        let max = MAX_PACKETS.max(self.0.registry.config.max_payload / 8);
        for (number, packet) in Payload::parse(body).enumerate() {
            if state.end.is_some() {
                break;
            }
            if number == max {
                return Err(CloseReason::ParseError);
            }
            state.receive(packet.map_err(|_| CloseReason::ParseError)?, len)?;
        }
        Ok(())
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        self.0.lock().polling.is_posting = false;
    }
}

impl Polling {
    /// Tells the heartbeat what has come of the client since it was told last.
    pub(super) fn tell(&mut self, heartbeat: &mut Heartbeat) {
        if std::mem::take(&mut self.ponged) {
            heartbeat.pong();
        }
        if std::mem::take(&mut self.heard) {
            heartbeat.heard();
        }
    }

    /// The next message that came by POST.
    pub(super) fn take_message(&mut self) -> Option<Message> {
        let message = self.inbox.pop_front()?;
        if self.inbox.is_empty() && self.inbox.capacity() > KEPT {
            self.inbox = VecDeque::new();
        }
        self.inbox_bytes -= message.len() + OVERHEAD;
        if self.inbox_bytes <= MAX_INBOX
            && let Some(post) = self.post.take()
        {
            post.wake();
        }
        Some(message)
    }

    /// The WebSocket that the client has gone over to, if it just has.
    pub(super) fn take_receiver(&mut self) -> Option<crate::stream::Receiver> {
        match std::mem::take(&mut self.upgrade) {
            Upgrade::Done(receiver) => Some(receiver),
            other => {
                self.upgrade = other;
                None
            }
        }
    }
}
