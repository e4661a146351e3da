//! How a socket leaves its namespace, by whose will ever.

use std::{future::poll_fn, sync::atomic::Ordering};

use super::{AWAY, CONNECTED, CONNECTING, DISCONNECTED, Socket, TOLD_TO_CLOSE, TOLD_TO_LEAVE};
use crate::{
    Compress, Utf8Bytes,
    socketio::{
        packet::{Body, encode},
        server::{DisconnectReason, EventError, client::poll_caught, listeners::Farewell, log},
    },
};

impl Socket {
    /// Leaves the namespace: the client is told, and does not come back by itself.
    pub fn disconnect(&self) {
        if self.moves(CONNECTED, TOLD_TO_LEAVE) {
            self.tell_to_leave();
        }
    }

    /// Leaves the namespace, has the client leave all others that it is in, and ends its connection. It does not connect
    /// again by itself. In a middleware, it ends the connection at once; of a socket that has gone, it does nothing.
    pub fn close_connection(&self) {
        loop {
            match self.shared.state.load(Ordering::Acquire) {
                CONNECTING => return self.shared.engine.close(),
                CONNECTED if self.moves(CONNECTED, TOLD_TO_CLOSE) => return self.tell_to_leave(),
                TOLD_TO_LEAVE if self.moves(TOLD_TO_LEAVE, TOLD_TO_CLOSE) => return self.shared.engine.wake(),
                // It was faster.
                CONNECTED | TOLD_TO_LEAVE => {}
                _ => return,
            }
        }
    }

    fn moves(&self, from: u8, to: u8) -> bool {
        self.shared.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn tell_to_leave(&self) {
        let packet = encode(self.namespace().name(), &Body::Disconnect);
        self.shared.engine.send_all(packet.into_outgoing(Compress::Never));
        self.shared.engine.wake();
    }

    pub(in crate::socketio::server) fn is_told_to_leave(&self) -> bool {
        matches!(self.shared.state.load(Ordering::Acquire), TOLD_TO_LEAVE | TOLD_TO_CLOSE)
    }

    pub(in crate::socketio::server) fn is_told_to_close(&self) -> bool {
        self.shared.state.load(Ordering::Acquire) == TOLD_TO_CLOSE
    }

    /// It is no more in its namespace, and nothing comes to its client.
    pub(in crate::socketio::server) fn gone(&self) {
        self.goes(DISCONNECTED);
    }

    /// As [`gone`](Self::gone), for a reason that its client may come back behind.
    pub(in crate::socketio::server) fn away(&self) {
        self.goes(if self.shared.pid.is_some() { AWAY } else { DISCONNECTED });
    }

    fn goes(&self, state: u8) {
        self.shared.state.store(state, Ordering::Release);
        self.shared.acks.fail(self.id());
    }

    /// Tells all who want to know that it is disconnected, and leaves its rooms.
    pub(in crate::socketio::server) async fn leave_all(self, reason: DisconnectReason) {
        log::left(&self, reason);
        let [disconnecting, disconnect] = self.shared.listeners.end();
        self.tell_end(Utf8Bytes::from_static("disconnecting"), disconnecting, reason).await;
        self.keep(reason);
        self.leave_rooms();
        self.tell_end(Utf8Bytes::from_static("disconnect"), disconnect, reason).await;
    }

    /// Has it remembered for when its client comes back, if it may, once. That may be before its handlers are done: the client
    /// takes its id, under which nothing is to be done any more for this one.
    pub(in crate::socketio::server) fn keep(&self, reason: DisconnectReason) {
        let (Some(memory), Some(pid), true) = (self.namespace().memory(), self.shared.pid, reason.is_recoverable())
        else {
            return;
        };
        let rooms = self.rooms();
        if self.shared.left.set(rooms.clone()).is_ok() {
            self.namespace().rooms().remove(self.id());
            memory.keep(pid, self.id(), rooms, self.data());
        }
    }

    /// Leaves all rooms, unless it has.
    pub(in crate::socketio::server) fn leave_rooms(&self) {
        if self.shared.left.get().is_none() {
            self.namespace().rooms().remove(self.id());
        }
    }

    /// Tells some that it is disconnected, one after the other. A panic of one is reported, and keeps it from none.
    async fn tell_end(&self, event: Utf8Bytes, farewells: Vec<Farewell>, reason: DisconnectReason) {
        for farewell in farewells {
            let socket = self.clone();
            let mut told = Box::pin(async move { farewell(socket, reason).await });
            if poll_fn(|cx| poll_caught(told.as_mut(), cx)).await.is_err() {
                self.namespace().report(self, &event, &EventError::Panicked);
            }
        }
    }
}
