use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use super::{
    outbox::{Outbox, Outgoing},
    slow_client::Waiting,
};
use crate::{
    CloseCode, Compress, Message,
    engineio::{CloseReason, Handshake, Packet, Sid, log, packet::base64_packet, registry::Registry},
    stream,
};

/// What the holders of a session share: its task, its senders, and the requests that belong to it.
pub(in crate::engineio) struct Shared {
    pub(in crate::engineio) id: Sid,
    pub(in crate::engineio) registry: Arc<Registry>,
    pub(in crate::engineio) handshake: Handshake,
    pub(super) waiting: Waiting,
    /// How many bytes were sent to this client alone since somebody has looked.
    pub(super) sent: AtomicUsize,
    state: Mutex<State>,
}

/// Held for a moment and never across an await.
pub(super) struct State {
    pub(super) link: Link,
    /// The task that receives.
    pub(super) reader: Option<Waker>,
    pub(super) end: Option<CloseReason>,
    pub(super) polling: Polling,
    /// How many messages were dropped, as the client is slow.
    pub(super) dropped: u64,
    /// Whether the client cannot take binary.
    base64: bool,
    pub(super) later: Later,
}

/// By what packets leave.
pub(super) enum Link {
    /// The next poll.
    Polling,
    /// A WebSocket.
    WebSocket(stream::Sender),
    /// Nothing: the session is over, and so is its WebSocket.
    Gone,
}

/// What is there while a session polls.
#[derive(Default)]
pub(super) struct Polling {
    pub(super) outbox: Outbox,
    /// The poll that waits.
    pub(super) poll: Option<Waker>,
    /// Whether the poll that waits is to be answered though there is nothing to tell.
    pub(super) is_released: bool,
    /// Whether it waited when the client's WebSocket was last looked at.
    pub(super) has_waited: bool,
    /// Whether a POST is being read.
    pub(super) is_posting: bool,
    /// What came by POST, and the POST that waits for room.
    pub(super) inbox: VecDeque<Message>,
    pub(super) inbox_bytes: usize,
    pub(super) post: Option<Waker>,
    pub(super) ponged: bool,
    pub(super) heard: bool,
    pub(super) upgrade: Upgrade,
}

/// How far the session has come on its way to a WebSocket.
#[derive(Default)]
pub(super) enum Upgrade {
    /// None is tried.
    #[default]
    None,
    /// One is tried, by this task.
    Probing(Option<Waker>),
    /// The client has gone over to it; the session's task will receive from it.
    Done(stream::Receiver),
}

/// What others are sent as well, and the session's task is to queue when it runs: to whom much is sent has it queued at
/// once, and who sends it to very many need not look at all that belongs to each connection.
#[derive(Default)]
pub(super) struct Later {
    packets: Vec<Arc<[Outgoing]>>,
    bytes: usize,
}

/// The session has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Ended;

impl Shared {
    pub(in crate::engineio) fn new(
        id: Sid,
        registry: Arc<Registry>,
        handshake: Handshake,
        link: Option<stream::Sender>,
        base64: bool,
    ) -> Self {
        let link = link.map_or(Link::Polling, Link::WebSocket);
        let state = State {
            link,
            reader: None,
            end: None,
            polling: Polling::default(),
            dropped: 0,
            base64,
            later: Later::default(),
        };
        Self {
            id,
            registry,
            handshake,
            waiting: Waiting::default(),
            sent: AtomicUsize::new(0),
            state: Mutex::new(state),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what was sent to this client alone, under the lock.
    pub(super) fn count(&self, bytes: usize) {
        self.sent.store(self.sent.load(Ordering::Relaxed).saturating_add(bytes), Ordering::Relaxed);
    }

    /// Sends a packet that is no message.
    pub(super) fn send_packet(&self, packet: &Packet) -> Result<(), Ended> {
        self.send([Outgoing::packet(packet)])
    }

    /// Sends messages that nothing may come between.
    pub(super) fn send(&self, packets: impl IntoIterator<Item = Outgoing>) -> Result<(), Ended> {
        let mut state = self.lock();
        if state.end.is_some() {
            return Err(Ended);
        }
        // One that is too long for any room is taken when nothing waits.
        let waited = state.polling.outbox.bytes();
        let mut bytes = 0;
        for packet in packets {
            bytes += packet.len();
            state.push(packet);
        }
        self.count(bytes);
        let queued = match &state.link {
            Link::Polling if waited > 0 => state.polling.outbox.bytes(),
            // A WebSocket has a limit of its own.
            Link::Polling | Link::WebSocket(_) | Link::Gone => 0,
        };
        if queued > self.registry.config.end_queued() {
            self.end_locked(state, CloseReason::TransportError);
        }
        Ok(())
    }

    /// Sends messages that nothing may come between and that others are sent as well.
    pub(super) fn send_later(&self, packets: &Arc<[Outgoing]>) -> Result<(), Ended> {
        let mut state = self.lock();
        if state.end.is_some() {
            return Err(Ended);
        }
        let bytes = packets.iter().map(Outgoing::len).sum::<usize>();
        if !matches!(state.link, Link::WebSocket(_)) || state.later.bytes + bytes > MAX_LATER {
            drop(state);
            return self.send(packets.iter().cloned());
        }
        state.later.packets.push(Arc::clone(packets));
        state.later.bytes += bytes;
        // It is not there while the task runs, which looks at this before it waits.
        state.wake_reader();
        Ok(())
    }

    /// Ends the session, unless it has ended.
    pub(in crate::engineio) fn end(&self, reason: CloseReason) {
        self.end_locked(self.lock(), reason);
    }

    fn end_locked(&self, mut state: MutexGuard<'_, State>, reason: CloseReason) {
        if state.end.is_some() {
            return;
        }
        state.queue_later();
        state.end = Some(reason);
        let lingers = match &state.link {
            Link::Polling => state.end_polling(reason),
            Link::WebSocket(sender) => {
                sender.start_close_without_code();
                None
            }
            Link::Gone => None,
        };
        state.wake_reader();
        drop(state);
        log::ended(self.id, reason);
        self.waiting.wake();
        match lingers {
            None => self.registry.remove(self.id),
            // Who has not been heard for longer would have gone anyway.
            Some(time) => self.registry.remove_after(self.id, time.min(self.registry.config.patience())),
        }
    }

    /// How it ended, if it has.
    pub(in crate::engineio) fn reason(&self) -> Option<CloseReason> {
        self.lock().end
    }

    /// Lets go of the WebSocket of a session that has ended, if it has one.
    pub(super) fn take_websocket(&self) -> Option<stream::Sender> {
        let mut state = self.lock();
        // The end may have come before it was received from: what still comes is to be read by whoever waits for the end.
        let _never_taken = state.polling.take_receiver();
        match std::mem::replace(&mut state.link, Link::Gone) {
            Link::WebSocket(sender) => Some(sender),
            link => {
                state.link = link;
                None
            }
        }
    }

    /// Ready when the session has ended, for the one who tries a WebSocket.
    pub(super) fn poll_end(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.end.is_some() {
            return Poll::Ready(());
        }
        if let Upgrade::Probing(prober) = &mut state.polling.upgrade {
            *prober = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Goes over to a WebSocket, with everything that waits for a poll. A session that has ended gives it back.
    pub(super) fn go_over(
        &self,
        sender: stream::Sender,
        receiver: stream::Receiver,
        base64: bool,
    ) -> Result<(), (stream::Sender, stream::Receiver)> {
        let mut state = self.lock();
        if state.end.is_some() {
            return Err((sender, receiver));
        }
        state.base64 = base64;
        state.link = Link::WebSocket(sender);
        state.polling.upgrade = Upgrade::Done(receiver);
        for packet in state.polling.outbox.take() {
            state.push(packet);
        }
        state.polling.release();
        state.wake_reader();
        drop(state);
        self.waiting.wake();
        log::upgraded(self.id);
        Ok(())
    }
}

impl State {
    pub(super) fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Queues what is to be queued by the session's task; whether there was anything.
    pub(super) fn queue_later(&mut self) -> bool {
        if self.later.packets.is_empty() {
            return false;
        }
        let mut packets = std::mem::take(&mut self.later).packets;
        for packet in packets.iter().flat_map(|packets| packets.iter()) {
            self.push_now(packet.clone());
        }
        packets.clear();
        if packets.capacity() <= KEPT_LATER {
            self.later.packets = packets;
        }
        true
    }

    pub(super) fn push(&mut self, packet: Outgoing) {
        self.queue_later();
        self.push_now(packet);
    }

    fn push_now(&mut self, packet: Outgoing) {
        match &self.link {
            Link::Polling => {
                self.polling.outbox.push(packet);
                self.polling.wake();
            }
            // A connection that has failed shows where it is received from.
            Link::WebSocket(sender) => drop(match (&packet, packet.message()) {
                (_, Message::Binary(bytes)) if self.base64 => {
                    sender.queue(&Message::Text(base64_packet(bytes).into()), Compress::Auto)
                }
                (Outgoing::Single(message, compress), _) => sender.queue(message, *compress),
                (Outgoing::Shared(prepared), _) => sender.queue_prepared(prepared),
            }),
            Link::Gone => {}
        }
    }

    /// Ends a session that polls: says whether, and for how long, a poll may still fetch what there is.
    fn end_polling(&mut self, reason: CloseReason) -> Option<std::time::Duration> {
        let polling = &mut self.polling;
        let is_parked = polling.poll.is_some();
        if reason != CloseReason::ForcedClose {
            polling.outbox.take();
        }
        polling.wake();
        if let Some(post) = polling.post.take() {
            post.wake();
        }
        if let Upgrade::Probing(prober) = &mut polling.upgrade
            && let Some(prober) = prober.take()
        {
            prober.wake();
        }
        match reason {
            CloseReason::ForcedClose => Some(super::LINGER),
            CloseReason::TransportClose => Some(super::LINGER_BEHIND_CLIENT),
            _ => is_parked.then_some(super::LINGER_BEHIND_CLIENT),
        }
    }

    /// Whether a message would leave now.
    pub(super) fn is_writable(&self) -> bool {
        match &self.link {
            Link::Polling => self.polling.poll.is_some() && self.polling.outbox.is_empty(),
            Link::WebSocket(sender) => sender.queued() + self.later.bytes <= WRITABLE,
            Link::Gone => false,
        }
    }

    pub(super) fn queued(&self) -> usize {
        match &self.link {
            Link::Polling => self.polling.outbox.bytes(),
            Link::WebSocket(sender) => sender.queued() + self.later.bytes,
            Link::Gone => 0,
        }
    }
}

/// How many bytes are left for the session's task to queue.
const MAX_LATER: usize = 16 * 1024;
/// For how many messages of that the memory is kept.
const KEPT_LATER: usize = 16;

/// How much may wait on a WebSocket for it to take a message that may be dropped: what one turn of the task sends.
const WRITABLE: usize = 16 * 1024;

/// What a session that sends too much to a slow client is closed with.
pub(in crate::engineio) const SLOW_READER: CloseCode = CloseCode::TRY_AGAIN_LATER;
