//! The upgrade: a WebSocket that a client tries beside its polls, and goes over to.

use std::{future::poll_fn, sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval, timeout_at};

use super::shared::{Link, Shared, Upgrade};
use crate::{
    Message, WebSocket,
    engineio::Packet,
    stream::{Receiver, Sender, after},
};

/// A poll that waits while the client tries a WebSocket is answered between one and two of these after it came, as the
/// client goes over only behind its answer.
///
/// Not at once: a client may go over at the same moment, and its poll is to be refused then.
const RELEASE: Duration = Duration::from_millis(30);

/// The right to try a WebSocket; one at a time has it.
pub(in crate::engineio) struct Probe {
    shared: Arc<Shared>,
}

impl Shared {
    /// Begins to try a WebSocket; `None` if the session has one, or tries another, or has ended.
    pub(in crate::engineio) fn begin_probe(self: &Arc<Self>) -> Option<Probe> {
        let mut state = self.lock();
        let is_free = matches!((&state.link, &state.polling.upgrade), (Link::Polling, Upgrade::None));
        if !is_free || state.end.is_some() {
            return None;
        }
        state.polling.upgrade = Upgrade::Probing(None);
        Some(Probe { shared: Arc::clone(self) })
    }
}

impl Probe {
    /// Sees the client over to the WebSocket. If it does not come, the WebSocket is closed, and the session goes on; if
    /// that ends, so does the WebSocket.
    pub(in crate::engineio) async fn run(self, ws: WebSocket, base64: bool) {
        let deadline = after(self.shared.registry.config.upgrade_timeout);
        let (mut sender, mut receiver) = ws.split();
        let comes_over = tokio::select! {
            comes_over = timeout_at(deadline, self.comes_over(&sender, &mut receiver)) => comes_over == Ok(true),
            () = poll_fn(|cx| self.shared.poll_end(cx)) => false,
        };
        if comes_over {
            match self.shared.go_over(sender, receiver, base64) {
                Ok(()) => return,
                Err(given_back) => (sender, receiver) = given_back,
            }
        }
        drop(self);
        close(sender, receiver).await;
    }

    /// Whether the client says what it has to.
    async fn comes_over(&self, sender: &Sender, receiver: &mut Receiver) -> bool {
        if !matches!(next(receiver).await, Some(Packet::Ping(payload)) if &*payload == "probe") {
            return false;
        }
        if sender.send(Packet::Pong("probe".into()).to_text()).await.is_err() {
            return false;
        }
        let mut release = interval(RELEASE);
        release.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                packet = next(receiver) => return packet == Some(Packet::Upgrade),
                _ = release.tick() => self.shared.release_poll(),
            }
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let upgrade = &mut self.shared.lock().polling.upgrade;
        if matches!(upgrade, Upgrade::Probing(_)) {
            *upgrade = Upgrade::None;
        }
    }
}

/// Closes a WebSocket that no session has, as node does: without a code.
pub(in crate::engineio) async fn close(sender: Sender, receiver: Receiver) {
    // From here on, what still comes is read by whoever waits for the end.
    drop(receiver);
    sender.start_close_without_code();
    // How the client takes it is of no interest.
    let _ = sender.closed().await;
}

async fn next(receiver: &mut Receiver) -> Option<Packet> {
    match receiver.recv().await {
        Ok(Some(Message::Text(text))) => Packet::parse(text).ok(),
        Ok(Some(Message::Binary(_)) | None) | Err(_) => None,
    }
}
