use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sockeye::{CloseCode, Error, Message, PreparedMessage, WebSocket};
use tokio::sync::{
    OwnedSemaphorePermit, Semaphore,
    mpsc::{self, error::TrySendError},
};

/// How many messages may wait for one member, and how many bytes beside the first; who is slower than that is let go.
const WAITING: usize = 1024;
const WAITING_BYTES: usize = 4 << 20;

/// Those who are connected: each message goes to all others.
#[derive(Default)]
pub(super) struct Room(Mutex<Members>);

#[derive(Default)]
struct Members {
    count: u64,
    by_number: HashMap<u64, Member>,
}

struct Member {
    messages: mpsc::Sender<Waiting>,
    /// As many permits as bytes may wait.
    room: Arc<Semaphore>,
}

/// A message, and the room that it takes until it is sent.
type Waiting = (PreparedMessage, OwnedSemaphorePermit);

impl Member {
    /// Whether there was room for a message.
    fn takes(&self, message: &PreparedMessage, len: usize) -> bool {
        let bytes = u32::try_from(len.min(WAITING_BYTES)).expect("it is no more than there is room for");
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(bytes) else { return false };
        // One that is leaving is no slow one.
        !matches!(self.messages.try_send((message.clone(), room)), Err(TrySendError::Full(_)))
    }
}

impl Room {
    /// Passes messages on until the member leaves.
    pub(super) async fn join(&self, ws: &mut WebSocket) -> Result<(), Error> {
        let (sender, mut messages) = mpsc::channel(WAITING);
        let place = self.enter(sender);
        loop {
            tokio::select! {
                received = ws.recv() => match received? {
                    Some(message) => self.pass_on(place.number, message),
                    None => return Ok(()),
                },
                message = messages.recv() => match message {
                    Some((message, _room)) => ws.send_prepared(&message).await?,
                    None => return ws.close(CloseCode::TRY_AGAIN_LATER, "too slow for this room").await,
                },
            }
        }
    }

    fn enter(&self, messages: mpsc::Sender<Waiting>) -> Place<'_> {
        let mut members = self.members();
        members.count += 1;
        let number = members.count;
        members.by_number.insert(number, Member { messages, room: Arc::new(Semaphore::new(WAITING_BYTES)) });
        Place { room: self, number }
    }

    /// Gives a message to all but its sender; those who are too slow lose their place.
    fn pass_on(&self, from: u64, message: Message) {
        let len = message.len();
        let message = PreparedMessage::new(message);
        self.members().by_number.retain(|&number, member| number == from || member.takes(&message, len));
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in a room; it is free again when this is dropped.
struct Place<'a> {
    room: &'a Room,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.room.members().by_number.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_have_room_for_so_many_bytes() {
        let (messages, mut waiting) = mpsc::channel(WAITING);
        let member = Member { messages, room: Arc::new(Semaphore::new(WAITING_BYTES)) };
        let message = PreparedMessage::new("x");
        assert!(member.takes(&message, 2 * WAITING_BYTES), "a larger one waits alone");
        assert!(!member.takes(&message, 1));
        drop(waiting.try_recv().expect("it waits"));
        assert!(member.takes(&message, WAITING_BYTES / 2) && member.takes(&message, WAITING_BYTES / 2));
        assert!(!member.takes(&message, 1));
    }
}
