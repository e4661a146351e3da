//! What is done for a client that does not fetch what it is sent.

use std::sync::{Arc, OnceLock, atomic::Ordering};

use tokio::sync::{Mutex, MutexGuard, Notify};

use super::{
    Sender,
    outbox::Outgoing,
    shared::{Link, Shared},
};
use crate::engineio::{CloseReason, log};

/// What is done when [`max_queued`](crate::engineio::Config::max_queued) bytes wait for a client and more is sent.
///
/// Who would rather wait than have either done emits by
/// [`emit_async`](crate::socketio::Socket::emit_async), or waits for [`Sender::drained`] before it sends.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SlowClient {
    /// Its session ends: what was sent is never missing in silence.
    #[default]
    End,
    /// The new message, or event with all of its attachments, is dropped, and [counted](Sender::dropped).
    ///
    /// Acknowledgements and what the protocols need are not: a session in which they come to twice as many bytes ends.
    Drop,
}

/// The tasks that wait for a client. Few sessions have any.
#[derive(Default)]
pub(super) struct Waiting(OnceLock<Box<Waiters>>);

#[derive(Default)]
struct Waiters {
    /// Those that wait for a poll, while the session polls.
    drained: Notify,
    /// Whose turn it is to send what it has waited for, so that not all who have waited send at once.
    turn: Mutex<()>,
}

/// What a message takes beside its bytes.
const OVERHEAD: usize = 64;

impl Waiting {
    fn get(&self) -> &Waiters {
        self.0.get_or_init(Box::default)
    }

    /// Less waits for a poll than before, or none is waited for any more.
    pub(super) fn wake(&self) {
        if let Some(waiters) = self.0.get() {
            waiters.drained.notify_waiters();
        }
    }
}

impl Shared {
    /// Sends messages that nothing may come between, or drops them, as the policy says; whether they were sent.
    pub(super) fn offer(&self, packets: impl IntoIterator<Item = Outgoing>) -> bool {
        let config = &self.registry.config;
        if config.slow_client == SlowClient::End {
            return self.send(packets).is_ok();
        }
        let packets: Vec<_> = packets.into_iter().collect();
        let bytes: usize = packets.iter().map(|packet| packet.len() + OVERHEAD).sum();
        let mut state = self.lock();
        if state.end.is_some() {
            return false;
        }
        let queued = state.queued();
        // One that is too long for any room is taken when nothing waits.
        if queued > 0 && queued.saturating_add(bytes) > config.max_queued {
            state.dropped += 1;
            drop(state);
            log::dropped(self.id, bytes);
            return false;
        }
        packets.into_iter().for_each(|packet| state.push(packet));
        self.count(bytes);
        true
    }
}

impl Sender {
    /// Sends messages that nothing may come between and that [`SlowClient`] may have dropped; whether they were sent.
    pub(crate) fn offer(&self, messages: impl IntoIterator<Item = Outgoing>) -> bool {
        self.shared.offer(messages)
    }

    /// As [`offer`](Self::offer), of what others are sent as well.
    pub(crate) fn offer_later(&self, messages: &Arc<[Outgoing]>) -> bool {
        match self.shared.registry.config.slow_client {
            SlowClient::End => self.shared.send_later(messages).is_ok(),
            SlowClient::Drop => self.shared.offer(messages.iter().cloned()),
        }
    }

    /// For how long a client may be silent.
    pub(crate) fn patience(&self) -> std::time::Duration {
        self.shared.registry.config.patience()
    }

    /// Whether so much was sent to this client alone since this was said last that it is worth a look at its queue, which takes
    /// two locks.
    pub(crate) fn is_worth_a_look(&self) -> bool {
        let is_much = self.shared.sent.load(Ordering::Relaxed) > self.shared.registry.config.max_queued / 16;
        if is_much {
            self.shared.sent.store(0, Ordering::Relaxed);
        }
        is_much
    }

    /// How many bytes may be queued while the client is asked what more it wants: enough less than what it is ended with, or
    /// loses events by, and more than what others send it is ever behind by, if it reads at all.
    pub(crate) fn max_unfetched(&self) -> usize {
        let config = &self.shared.registry.config;
        match config.slow_client {
            SlowClient::End => config.max_queued / 2,
            SlowClient::Drop => config.max_queued.saturating_add(config.max_queued / 2),
        }
    }

    /// How many bytes may be queued.
    pub(crate) fn max_queued(&self) -> usize {
        self.shared.registry.config.max_queued
    }

    /// How many messages, or events, [`SlowClient::Drop`] has dropped.
    pub fn dropped(&self) -> u64 {
        self.shared.lock().dropped
    }

    /// Waits until at most so many bytes are [`queued`](Self::queued): for those who would rather make no message than have
    /// it wait, or be dropped.
    ///
    /// # Errors
    ///
    /// How the session has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn drained(&self, bytes: usize) -> Result<(), CloseReason> {
        loop {
            // It hears what happens from here on.
            let drained = self.shared.waiting.get().drained.notified();
            let websocket = {
                let mut state = self.shared.lock();
                if let Some(reason) = state.end {
                    return Err(reason);
                }
                // A WebSocket knows nothing of it.
                state.queue_later();
                if state.queued() <= bytes {
                    return Ok(());
                }
                match &state.link {
                    Link::WebSocket(sender) => Some(sender.clone()),
                    Link::Polling | Link::Gone => None,
                }
            };
            match websocket {
                None => drained.await,
                // Its end shows in the session when that is looked at, which may be later.
                Some(websocket) if websocket.drained(bytes).await.is_err() => {
                    return Err(self.reason().unwrap_or(CloseReason::TransportClose));
                }
                Some(_) => {}
            }
        }
    }

    /// Waits for one's turn, and until there is room for so many bytes; for as long as one has the turn, nobody else who has
    /// waited sends. A message that is too long for any room has it when nothing waits.
    ///
    /// # Errors
    ///
    /// How the session has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped, it is the next one's turn.
    pub(crate) async fn room(&self, bytes: usize) -> Result<MutexGuard<'_, ()>, CloseReason> {
        let turn = self.shared.waiting.get().turn.lock().await;
        let limit = self.shared.registry.config.max_queued;
        self.drained(limit.saturating_sub(bytes.saturating_add(OVERHEAD))).await?;
        Ok(turn)
    }
}
