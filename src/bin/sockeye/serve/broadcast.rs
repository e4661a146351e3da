use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use sockeye::{CloseCode, Error, PreparedMessage, WebSocket};
use tokio::sync::mpsc::{self, error::TrySendError};

/// How many messages may wait for one member; who is slower than that is let go.
const WAITING: usize = 1024;

/// Those who are connected: each message goes to all others.
#[derive(Default)]
pub(super) struct Room(Mutex<Members>);

#[derive(Default)]
struct Members {
    count: u64,
    by_number: HashMap<u64, mpsc::Sender<PreparedMessage>>,
}

impl Room {
    /// Passes messages on until the member leaves.
    pub(super) async fn join(&self, ws: &mut WebSocket) -> Result<(), Error> {
        let (sender, mut messages) = mpsc::channel(WAITING);
        let place = self.enter(sender);
        loop {
            tokio::select! {
                received = ws.recv() => match received? {
                    Some(message) => self.pass_on(place.number, &PreparedMessage::new(message)),
                    None => return Ok(()),
                },
                message = messages.recv() => match message {
                    Some(message) => ws.send_prepared(&message).await?,
                    None => return ws.close(CloseCode::TRY_AGAIN_LATER, "too slow for this room").await,
                },
            }
        }
    }

    fn enter(&self, sender: mpsc::Sender<PreparedMessage>) -> Place<'_> {
        let mut members = self.members();
        members.count += 1;
        let number = members.count;
        members.by_number.insert(number, sender);
        Place { room: self, number }
    }

    /// Gives a message to all but its sender; those who are too slow lose their place.
    fn pass_on(&self, from: u64, message: &PreparedMessage) {
        self.members().by_number.retain(|&number, member| {
            number == from || !matches!(member.try_send(message.clone()), Err(TrySendError::Full(_)))
        });
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
