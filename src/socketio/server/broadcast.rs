use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{EmitError, Namespace, Socket, ack::Waiting, emit::Event, rooms::Targets};
use crate::{
    Compress,
    socketio::{ArgumentsError, FromArguments, ToArguments},
    stream::after,
};

/// For how long acknowledgements of many clients are waited for, unless it is said otherwise.
const ACK_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends to many sockets of a namespace: to all, or those in some rooms, but for those in others. It is cheap to clone, and
/// each of its methods gives another one.
///
/// ```
/// # use sockeye::socketio::{EmitError, Server};
/// # fn example(io: &Server) -> Result<(), EmitError> {
/// io.to("news").to("sports").except("muted").emit("headline", "somebody has won")?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "it does nothing before it emits"]
pub struct Broadcast {
    namespace: Namespace,
    targets: Targets,
    volatile: bool,
    compress: Compress,
    timeout: Duration,
}

impl Broadcast {
    pub(super) fn new(namespace: &Namespace) -> Self {
        Self {
            namespace: namespace.clone(),
            targets: Targets::default(),
            volatile: false,
            compress: Compress::Auto,
            timeout: ACK_TIMEOUT,
        }
    }

    /// To all but this socket.
    pub(super) fn but(mut self, socket: &Socket) -> Self {
        self.targets.not = Some(socket.id());
        self
    }

    /// Adds a room: who is in one of those that were added is meant, once. A socket's id is the name of its own room.
    pub fn to(mut self, room: impl AsRef<str>) -> Self {
        self.targets.rooms.push(Arc::from(room.as_ref()));
        self
    }

    /// As [`to`](Self::to).
    pub fn in_(self, room: impl AsRef<str>) -> Self {
        self.to(room)
    }

    /// Leaves out who is in this room.
    pub fn except(mut self, room: impl AsRef<str>) -> Self {
        self.targets.except.push(Arc::from(room.as_ref()));
        self
    }

    /// To the sockets of this server only, and not those of others in a cluster; a server that is alone has no others.
    pub const fn local(self) -> Self {
        self
    }

    /// Drops events for clients that cannot take them now: what comes later is worth more.
    pub const fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// Sets whether events are compressed, where that was agreed on.
    pub const fn compress(mut self, compress: Compress) -> Self {
        self.compress = compress;
        self
    }

    /// Sets for how long acknowledgements are waited for (default: 5 s).
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends an event. It is encoded once for all.
    ///
    /// # Errors
    ///
    /// [`EmitError`]: the caller's fault, and nothing was sent.
    pub fn emit(&self, event: &str, arguments: impl ToArguments) -> Result<(), EmitError> {
        let event = Event::new(&self.namespace, event, arguments)?;
        event.publish(&self.namespace, &self.targets, self.volatile, self.compress);
        Ok(())
    }

    /// Sends an event, and waits for the acknowledgements of all who got it.
    ///
    /// # Errors
    ///
    /// [`BroadcastAckError`] with those that have come, if some have not in time, or their clients have gone, or one is not
    /// what is wanted.
    ///
    /// # Cancel safety
    ///
    /// The event is sent when it is first polled; dropped, the answers are ignored.
    pub async fn emit_with_ack<T: FromArguments>(
        &self,
        event: &str,
        arguments: impl ToArguments,
    ) -> Result<Vec<T>, BroadcastAckError<T>> {
        let event = Event::new(&self.namespace, event, arguments).map_err(BroadcastAckError::Emit)?;
        let id = self.namespace.next_ack();
        let packet = event.shared(&self.namespace, Some(id), self.compress, None);
        let deadline: Instant = after(self.timeout);
        let (sender, mut answers) = mpsc::unbounded_channel();
        let mut asked = Vec::new();
        self.namespace.rooms().for_each(&self.targets, |socket| {
            socket.shared.acks.wait(id, Waiting::Many(sender.clone()));
            // One that has gone before it was waited for will not say so.
            if socket.is_reachable() && socket.deliver(&packet, self.volatile) {
                asked.push(socket.clone());
            } else {
                socket.shared.acks.forget(id);
            }
        });
        drop(sender);
        asked.iter().for_each(|socket| socket.tell_outgoing(&event));
        let asked = Asked { id, sockets: asked };
        let mut responses = Vec::new();
        let mut fault = None;
        for _ in 0..asked.sockets.len() {
            match timeout_at(deadline, answers.recv()).await {
                Ok(Some((_, Some(answer)))) => match T::from_arguments(&answer) {
                    Ok(response) => responses.push(response),
                    Err(error) => fault = Some(error),
                },
                // One has gone.
                Ok(Some((_, None))) => {}
                Ok(None) | Err(_) => break,
            }
        }
        let missing = asked.sockets.len() - responses.len();
        if missing == 0 { Ok(responses) } else { Err(BroadcastAckError::Missing { responses, missing, fault }) }
    }

    /// The sockets that are meant.
    pub fn sockets(&self) -> Vec<Socket> {
        self.namespace.rooms().sockets(&self.targets)
    }

    /// Has them join a room.
    pub fn sockets_join(&self, room: impl AsRef<str>) {
        for socket in self.sockets() {
            socket.join(room.as_ref());
        }
    }

    /// Has them leave a room.
    pub fn sockets_leave(&self, room: impl AsRef<str>) {
        for socket in self.sockets() {
            socket.leave(room.as_ref());
        }
    }

    /// Has them leave the namespace.
    pub fn disconnect_sockets(&self) {
        for socket in self.sockets() {
            socket.disconnect();
        }
    }

    /// Ends the connections of their clients.
    pub fn close_connections(&self) {
        for socket in self.sockets() {
            socket.close_connection();
        }
    }
}

/// Who has been asked; behind it, nobody waits for answers.
struct Asked {
    id: u64,
    sockets: Vec<Socket>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        for socket in &self.sockets {
            socket.shared.acks.forget(self.id);
        }
    }
}

impl fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.namespace.name();
        f.debug_struct("Broadcast").field("namespace", &name).field("targets", &self.targets).finish_non_exhaustive()
    }
}

/// Why not all acknowledgements are there.
#[derive(Debug, thiserror::Error)]
pub enum BroadcastAckError<T> {
    /// The event could not be sent.
    #[error(transparent)]
    Emit(EmitError),
    /// Some clients have not acknowledged in time, or have gone.
    #[error("{missing} acknowledgements are missing")]
    Missing {
        /// What has come.
        responses: Vec<T>,
        /// How many have not.
        missing: usize,
        /// The last one that was not what is wanted, if one was.
        fault: Option<ArgumentsError>,
    },
}
