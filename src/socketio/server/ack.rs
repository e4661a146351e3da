use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::Mutex,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Sleep, sleep},
};

use super::{EmitError, Socket, handler::Wanted};
use crate::{
    Utf8Bytes,
    engineio::Sid,
    socketio::{ArgumentsError, FromArguments, ToArguments, packet::Arguments, server::lock},
};

/// The acknowledgement that a client waits for, or does not. Sent at any time, once; dropped, the client waits for its own
/// time limit.
#[derive(Debug)]
#[must_use = "the client may wait for it"]
pub struct Ack(Option<(Socket, Wanted)>);

impl Ack {
    pub(super) fn new(socket: &Socket, wanted: Option<Wanted>) -> Self {
        Self(wanted.map(|wanted| (socket.clone(), wanted)))
    }

    /// Whether the client waits for it.
    pub const fn is_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Sends it. One that nobody waits for, or that another handler has given, is not sent.
    ///
    /// # Errors
    ///
    /// If the arguments cannot be said in JSON, or have more attachments than clients take.
    pub fn send(mut self, arguments: impl ToArguments) -> Result<(), EmitError> {
        if let Some((socket, wanted)) = &self.0 {
            socket.acknowledge(wanted, arguments)?;
            self.0 = None;
        }
        Ok(())
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        if let Some((socket, wanted)) = &self.0
            && !wanted.is_shared()
        {
            super::log::unsent_ack(socket);
        }
    }
}

/// Why there is no acknowledgement.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum AckError {
    /// The event could not be sent: its name or its arguments are at fault.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// The event was dropped, as too much waits for the client and
    /// [`SlowClient::Drop`](crate::engineio::SlowClient::Drop) wants it; or as it was volatile, and anything waits.
    #[error("too much waits for the client, and the event was dropped")]
    Dropped,
    /// The client has not sent it in time.
    #[error("the client has not acknowledged in time")]
    TimedOut,
    /// The client has gone.
    #[error("the client has gone")]
    Disconnected,
    /// Other servers could not be asked.
    #[error(transparent)]
    Adapter(#[from] super::AdapterError),
    /// What the client sent is not what is wanted.
    #[error("an acknowledgement that is not what is wanted: {0}")]
    Arguments(#[from] ArgumentsError),
}

/// Where an acknowledgement goes.
pub(super) enum Waiting {
    /// To the one who waits for it.
    One(oneshot::Sender<Arguments>),
    /// To the one who waits for those of many clients; nothing, if the client has gone.
    Many(mpsc::UnboundedSender<(Sid, Option<Arguments>)>),
}

/// The acknowledgements that are waited for from a client. There may be many: whether they come is up to it.
#[derive(Default)]
pub(super) struct Acks(Mutex<BTreeMap<u64, Waiting>>);

impl Acks {
    pub(super) fn wait(&self, id: u64, waiting: Waiting) {
        lock(&self.0).insert(id, waiting);
    }

    /// Hands one over. One that nobody waits for, or no more, is ignored.
    pub(super) fn resolve(&self, socket: Sid, id: u64, arguments: Arguments) {
        let waiting = lock(&self.0).remove(&id);
        match waiting {
            // Whoever waited may have given up.
            Some(Waiting::One(one)) => drop(one.send(arguments)),
            Some(Waiting::Many(many)) => drop(many.send((socket, Some(arguments)))),
            None => {}
        }
    }

    /// Nobody waits any more.
    pub(super) fn forget(&self, id: u64) {
        lock(&self.0).remove(&id);
    }

    /// The client has gone.
    pub(super) fn fail(&self, socket: Sid) {
        let all = std::mem::take(&mut *lock(&self.0));
        for waiting in all.into_values() {
            if let Waiting::Many(many) = waiting {
                let _ = many.send((socket, None));
            }
        }
    }
}

/// Waits for an acknowledgement, and decodes it.
///
/// # Errors
///
/// [`AckError`], awaited.
///
/// # Cancel safety
///
/// The event is sent when this is made; dropped, what the client answers is ignored.
#[must_use = "it does nothing but wait"]
pub struct Acknowledged<T> {
    socket: Socket,
    id: u64,
    state: Result<oneshot::Receiver<Arguments>, Option<AckError>>,
    limit: Option<Pin<Box<Sleep>>>,
    wanted: std::marker::PhantomData<fn() -> T>,
}

impl<T: FromArguments> Acknowledged<T> {
    pub(super) fn new(
        socket: Socket,
        id: u64,
        state: Result<oneshot::Receiver<Arguments>, AckError>,
        limit: Option<Duration>,
    ) -> Self {
        let limit = limit.map(|limit| Box::pin(sleep(limit)));
        Self { socket, id, state: state.map_err(Some), limit, wanted: std::marker::PhantomData }
    }
}

impl<T: FromArguments> Future for Acknowledged<T> {
    type Output = Result<T, AckError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let receiver = match &mut this.state {
            Ok(receiver) => receiver,
            Err(error) => return Poll::Ready(Err(error.take().expect("it is polled until it is ready"))),
        };
        if let Poll::Ready(received) = Pin::new(receiver).poll(cx) {
            let arguments = received.map_err(|_| AckError::Disconnected)?;
            return Poll::Ready(Ok(T::from_arguments(&arguments)?));
        }
        let Some(limit) = &mut this.limit else { return Poll::Pending };
        ready!(limit.as_mut().poll(cx));
        Poll::Ready(Err(AckError::TimedOut))
    }
}

impl<T> Drop for Acknowledged<T> {
    fn drop(&mut self) {
        if self.state.is_ok() {
            self.socket.shared.acks.forget(self.id);
        }
    }
}

impl<T> std::fmt::Debug for Acknowledged<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acknowledged").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// What a middleware tells a client that it does not let in.
///
/// ```
/// use sockeye::socketio::ConnectError;
/// let error = ConnectError::new("not authorized").data(serde_json::json!({ "code": 401 }));
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ConnectError {
    message: String,
    data: Option<serde_json::Value>,
}

impl ConnectError {
    /// With the message that the client's `connect_error` has.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), data: None }
    }

    /// Adds what the client finds in the error's `data`.
    #[must_use]
    pub fn data(mut self, data: serde_json::Value) -> Self {
        self.data = Some(data);
        self
    }

    /// The payload of a packet.
    pub(super) fn payload(&self) -> Utf8Bytes {
        #[derive(serde::Serialize)]
        struct Payload<'a> {
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            data: Option<&'a serde_json::Value>,
        }
        let payload = Payload { message: &self.message, data: self.data.as_ref() };
        serde_json::to_string(&payload).expect("its keys are texts").into()
    }
}
