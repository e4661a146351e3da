use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::{AckError, Acknowledged, Namespace, Socket, ack::Waiting, log, recovery::Memory, rooms::Targets};
use crate::{
    Compress,
    engineio::Outgoing,
    socketio::{
        ArgumentsError, FromArguments, ToArguments,
        packet::{Arguments, Encoded, encode_event, is_reserved},
    },
};

/// Why an event, or an acknowledgement, was not sent: the caller's fault.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum EmitError {
    /// The libraries use this name for themselves.
    #[error("{0:?} is the name of an event that the libraries use for themselves")]
    ReservedName(String),
    /// It has more attachments than clients take.
    #[error("{count} attachments, at most {limit} are taken by clients")]
    TooManyAttachments {
        /// How many there are.
        count: usize,
        /// [`Config::max_attachments`](super::Config::max_attachments).
        limit: usize,
    },
    /// The arguments cannot be said in JSON.
    #[error(transparent)]
    Arguments(#[from] ArgumentsError),
}

/// Arguments that clients take.
pub(super) fn sendable(namespace: &Namespace, arguments: impl ToArguments) -> Result<Arguments, EmitError> {
    let (arguments, limit) = (arguments.into_arguments()?, namespace.max_attachments());
    match arguments.attachments().len() {
        count if count > limit => Err(EmitError::TooManyAttachments { count, limit }),
        _ => Ok(arguments),
    }
}

/// An event that may be sent.
pub(super) struct Event<'a> {
    pub(super) name: &'a str,
    pub(super) arguments: Arguments,
}

impl<'a> Event<'a> {
    pub(super) fn new(namespace: &Namespace, name: &'a str, arguments: impl ToArguments) -> Result<Self, EmitError> {
        if is_reserved(name) {
            return Err(EmitError::ReservedName(name.into()));
        }
        Ok(Self { name, arguments: sendable(namespace, arguments)? })
    }

    fn encoded(&self, namespace: &Namespace, id: Option<u64>, offset: Option<&str>) -> Encoded {
        encode_event(namespace.name(), id, self.name, &self.arguments, offset)
    }

    /// For many.
    pub(super) fn shared(
        &self,
        namespace: &Namespace,
        id: Option<u64>,
        compress: Compress,
        offset: Option<&str>,
    ) -> Arc<[Outgoing]> {
        let encoded = self.encoded(namespace, id, offset);
        match compress {
            Compress::Auto => encoded.into_shared(),
            _ => encoded.into_outgoing(compress).collect(),
        }
    }

    /// Sends it to many, and has the namespace remember it, if it does.
    pub(super) fn publish(&self, namespace: &Namespace, targets: &Targets, volatile: bool, compress: Compress) {
        log::published(namespace, self.name, targets, &self.arguments);
        let mut memory = namespace.memory().map(Memory::lock);
        let offset = memory.as_mut().and_then(|memory| match volatile {
            false => Some(memory.next_offset()),
            // A client takes the last text of any event for an offset: so this has the one that it knows already.
            true => memory.has_sent().then(|| memory.last_offset()),
        });
        let packet = self.shared(namespace, None, compress, offset.as_deref());
        if let Some(memory) = memory.as_mut().filter(|_| !volatile) {
            memory.note(&packet, targets.clone());
        }
        let listening = self.deliver(namespace, targets, &packet, volatile);
        drop(memory);
        listening.iter().for_each(|socket| socket.tell_outgoing(self));
    }

    /// Sends a packet of its; gives the sockets with listeners that are to be told, which must not run under a lock.
    fn deliver(
        &self,
        namespace: &Namespace,
        targets: &Targets,
        packet: &Arc<[Outgoing]>,
        volatile: bool,
    ) -> Vec<Socket> {
        let mut listening = Vec::new();
        namespace.rooms().for_each(targets, |socket| {
            if socket.deliver(packet, volatile) && socket.listens_outgoing() {
                listening.push(socket.clone());
            }
        });
        listening
    }

    /// Sends it to one.
    pub(super) fn send(&self, socket: &Socket, volatile: bool, compress: Compress) {
        let namespace = socket.namespace();
        // What is sent to one that is away is for when it is back.
        if namespace.memory().is_some() && socket.is_or_may_be_connected() {
            let targets = Targets { rooms: vec![socket.id().as_str().into()], ..Targets::default() };
            return self.publish(namespace, &targets, volatile, compress);
        }
        if !volatile || socket.shared.engine.is_writable() {
            socket.tell_outgoing(self);
            socket.send(self.encoded(namespace, None, None).into_outgoing(compress));
        }
    }
}

/// Sends to one socket, in a way of its own. It is cheap to clone, and each of its methods gives another one.
#[derive(Clone)]
#[must_use = "it does nothing before it emits"]
pub struct Emit {
    socket: Socket,
    volatile: bool,
    compress: Compress,
    timeout: Option<Duration>,
}

impl Emit {
    pub(super) fn new(socket: &Socket) -> Self {
        Self { socket: socket.clone(), volatile: false, compress: Compress::Auto, timeout: None }
    }

    /// Drops events if the client cannot take them now: what comes later is worth more.
    pub const fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// Sets whether events are compressed, where that was agreed on.
    pub const fn compress(mut self, compress: Compress) -> Self {
        self.compress = compress;
        self
    }

    /// Sets for how long an acknowledgement is waited for (default: until the client has gone).
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The socket, whether events may be dropped, and whether they are compressed.
    pub(super) const fn parts(&self) -> (&Socket, bool, Compress) {
        (&self.socket, self.volatile, self.compress)
    }

    /// Sends an event; see [`Socket::emit`].
    ///
    /// # Errors
    ///
    /// [`EmitError`]: the caller's fault, and nothing was sent.
    pub fn emit(&self, event: &str, arguments: impl ToArguments) -> Result<(), EmitError> {
        Event::new(self.socket.namespace(), event, arguments)?.send(&self.socket, self.volatile, self.compress);
        Ok(())
    }

    /// Sends an event, and waits for its acknowledgement; see [`Socket::emit_with_ack`].
    pub fn emit_with_ack<T: FromArguments>(&self, event: &str, arguments: impl ToArguments) -> Acknowledged<T> {
        let namespace = self.socket.namespace();
        let id = namespace.next_ack();
        let sent = Event::new(namespace, event, arguments).map_err(AckError::from).and_then(|event| {
            if self.volatile && !self.socket.shared.engine.is_writable() {
                return Err(if self.socket.is_reachable() { AckError::Dropped } else { AckError::Disconnected });
            }
            let (sender, receiver) = oneshot::channel();
            self.socket.shared.acks.wait(id, Waiting::One(sender));
            if !self.socket.is_reachable() {
                self.socket.shared.acks.forget(id);
                return Err(AckError::Disconnected);
            }
            self.socket.tell_outgoing(&event);
            if !self.socket.send(event.encoded(namespace, Some(id), None).into_outgoing(self.compress)) {
                self.socket.shared.acks.forget(id);
                return Err(if self.socket.is_reachable() { AckError::Dropped } else { AckError::Disconnected });
            }
            Ok(receiver)
        });
        Acknowledged::new(self.socket.clone(), id, sent, self.timeout)
    }
}

impl fmt::Debug for Emit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emit").field("socket", &self.socket).field("volatile", &self.volatile).finish_non_exhaustive()
    }
}
