//! One connection at a fixed rate.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use sockeye::{
    CloseCode, Error, Message, WebSocket,
    stream::{Receiver, Sender},
};
use tokio::{sync::Notify, time::timeout_at};

use super::{
    load::{Load, Outcome, PATIENCE, unanswered},
    pace::Due,
};
use crate::exit::Failure;

/// The messages that are under way: when each was due.
///
/// A latency counts from there and not from the sending, so that a server that stalls, and keeps us from sending, does not
/// hide that from all messages but one.
#[derive(Default)]
struct UnderWay {
    messages: Mutex<Messages>,
    /// Told of each change by who sends.
    changed: Notify,
}

#[derive(Default)]
struct Messages {
    due: VecDeque<Instant>,
    /// No more are sent.
    over: bool,
}

/// Sends messages when they are due, and waits for the last replies.
pub(super) async fn talk(
    load: &Load,
    ws: WebSocket,
    index: usize,
    due: Due,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let (sender, mut receiver) = ws.split();
    let under_way = UnderWay::default();
    tokio::try_join!(
        send(load.message(), &sender, due, &under_way),
        receive(load, &mut receiver, index, &under_way, outcome)
    )?;
    let (closed, ()) = tokio::join!(sender.close(CloseCode::NORMAL, ""), async {
        // Its Close is all that can come.
        while let Ok(Some(_)) = receiver.recv().await {}
    });
    Ok(closed?)
}

async fn send(message: &Message, sender: &Sender, mut due: Due, under_way: &UnderWay) -> Result<(), Failure> {
    while let Some(at) = due.recv().await {
        under_way.lock().due.push_back(at);
        under_way.changed.notify_one();
        sender.feed(message.clone()).await?;
        if due.is_empty() {
            sender.flush().await?;
        }
    }
    under_way.lock().over = true;
    under_way.changed.notify_one();
    Ok(())
}

async fn receive(
    load: &Load,
    receiver: &mut Receiver,
    index: usize,
    under_way: &UnderWay,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    loop {
        let reply = match under_way.first() {
            (Some(due), _) => {
                let reply = timeout_at((due + PATIENCE).into(), receiver.recv()).await;
                reply.map_err(|_| unanswered())?
            }
            (None, true) => return Ok(()),
            (None, false) => tokio::select! {
                () = under_way.changed.notified() => continue,
                reply = receiver.recv() => reply,
            },
        };
        let reply = reply?.ok_or(Error::Closed)?;
        let due = under_way.lock().due.pop_front();
        match due {
            Some(due) => load.count(index, due, &reply, outcome),
            // Nothing was asked.
            None => outcome.wrong += 1,
        }
    }
}

impl UnderWay {
    /// The first that has no reply, and whether there will be more.
    fn first(&self) -> (Option<Instant>, bool) {
        let messages = self.lock();
        (messages.due.front().copied(), messages.over)
    }

    fn lock(&self) -> MutexGuard<'_, Messages> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
