use std::collections::HashSet;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{Namespace, Socket, ack::Waiting, emit::Event, rooms::Targets};
use crate::{Compress, engineio::Sid, socketio::packet::Arguments};

/// Clients of this server that have been asked to acknowledge an event. Dropped, nobody waits for their answers.
pub(super) struct Asked {
    id: u64,
    sockets: Vec<Socket>,
    answers: UnboundedReceiver<(Sid, Option<Arguments>)>,
    outstanding: HashSet<Sid>,
}

impl Asked {
    /// Sends an event to all who are meant.
    pub(super) fn ask(
        namespace: &Namespace,
        event: &Event<'_>,
        targets: &Targets,
        volatile: bool,
        compress: Compress,
    ) -> Self {
        let id = namespace.next_ack();
        let packet = event.shared(namespace, Some(id), compress, None);
        let (sender, answers) = unbounded_channel();
        let mut sockets = Vec::new();
        namespace.rooms().for_each(targets, |socket| {
            socket.shared.acks.wait(id, Waiting::Many(sender.clone()));
            // One that has gone before it was waited for will not say so.
            if socket.is_reachable() && socket.deliver(&packet, volatile) {
                sockets.push(socket.clone());
            } else {
                socket.shared.acks.forget(id);
            }
        });
        sockets.iter().for_each(|socket| socket.tell_outgoing(event));
        let outstanding = sockets.iter().map(Socket::id).collect();
        Self { id, sockets, answers, outstanding }
    }

    /// How many were asked.
    pub(super) fn len(&self) -> usize {
        self.sockets.len()
    }

    /// How many may still answer.
    pub(super) fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// Waits for the next one to answer, or to go, which is `Some(None)`; `None` if nobody will.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing that came is lost.
    pub(super) async fn next(&mut self) -> Option<Option<Arguments>> {
        loop {
            let (socket, answer) = self.answers.recv().await?;
            // One that was going while it was asked may say so though it does not count.
            if self.outstanding.remove(&socket) {
                return Some(answer);
            }
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        for socket in &self.sockets {
            socket.shared.acks.forget(self.id);
        }
    }
}
