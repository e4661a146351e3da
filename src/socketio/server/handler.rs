//! What an application does with events: functions of several shapes, and what they answer.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{Ack, EmitError, Socket};
use crate::{
    Utf8Bytes,
    socketio::{ArgumentsError, FromArguments, ToArguments, packet::Arguments},
};

/// An event that a client has sent.
#[derive(Clone, Debug)]
pub struct Event {
    /// Whose it is.
    pub socket: Socket,
    /// Its name.
    pub name: Utf8Bytes,
    /// Its arguments, undecoded.
    pub arguments: Arguments,
    /// The acknowledgement that the client waits for, if it does.
    pub(super) ack: Option<Wanted>,
}

/// An acknowledgement that a client waits for. Of several handlers the first one gives it.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) id: u64,
    /// Whether it was given, where several may.
    is_given: Option<Arc<AtomicBool>>,
}

impl Wanted {
    pub(super) const fn new(id: u64) -> Self {
        Self { id, is_given: None }
    }

    /// As it is where several handlers may give it.
    pub(super) fn shared(self) -> Self {
        Self { is_given: Some(Arc::default()), ..self }
    }

    /// Whether another handler may give it.
    pub(super) const fn is_shared(&self) -> bool {
        self.is_given.is_some()
    }

    /// Gives it; whether nobody has.
    pub(super) fn give(&self) -> bool {
        self.is_given.as_ref().is_none_or(|is_given| !is_given.swap(true, Ordering::AcqRel))
    }
}

/// Why an event was not handled as it ought to be.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Its arguments are not what the handler takes: the client's fault, or the handler's.
    #[error("what was sent is not what the handler takes: {0}")]
    Arguments(#[from] ArgumentsError),
    /// The acknowledgement that the handler has returned cannot be sent: the handler's fault.
    #[error("an acknowledgement that cannot be sent: {0}")]
    Unsent(EmitError),
    /// The handler, or a middleware, has returned an error.
    #[error("{0}")]
    Failed(Box<dyn std::error::Error + Send + Sync>),
    /// The handler has panicked.
    #[error("the handler panicked")]
    Panicked,
}

/// What is done for an event, some time.
pub(super) type Handling = Pin<Box<dyn Future<Output = Result<(), EventError>> + Send>>;

/// A handler, whatever its shape was. It does not get the event's name, which it knows.
pub(super) type Handler = Arc<dyn Fn(Socket, Arguments, Ack) -> Handling + Send + Sync>;

/// A function that handles events: `async` ones with these arguments, of which `T` is whatever
/// [`FromArguments`] makes of the event's.
///
/// | arguments | and returns |
/// |---|---|
/// | `(Socket)` | [`IntoReply`] |
/// | `(Socket, T)` | [`IntoReply`] |
/// | `(Socket, T, Ack)` | `()`, or a `Result` of it: the acknowledgement is sent by the [`Ack`] |
///
/// A [`Reply`] that it returns acknowledges the event, if the client asked for that.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle events",
    note = "a handler is `|socket: Socket, arguments: T| async move {{ … }}`, or one of `(Socket)` or `(Socket, T, Ack)`; \
            T has to be `Deserialize`, and what it returns `()`, `Reply(…)` or a `Result` of these"
)]
pub trait EventHandler<Shape>: Send + Sync + 'static {
    /// Handles an event.
    fn handle(
        &self,
        socket: Socket,
        arguments: Arguments,
        ack: Ack,
    ) -> Pin<Box<dyn Future<Output = Result<(), EventError>> + Send>>;
}

/// The shape of a handler of sockets alone.
#[derive(Debug)]
pub struct OfSocket;

/// The shape of a handler of sockets and arguments.
#[derive(Debug)]
pub struct OfArguments<T>(T);

/// The shape of a handler that acknowledges by itself.
#[derive(Debug)]
pub struct OfAck<T>(T);

impl<H, F> EventHandler<OfSocket> for H
where
    H: Fn(Socket) -> F + Send + Sync + 'static,
    F: Future<Output: IntoReply> + Send + 'static,
{
    fn handle(&self, socket: Socket, _arguments: Arguments, ack: Ack) -> Handling {
        let handling = self(socket);
        Box::pin(async move { handling.await.reply(ack) })
    }
}

impl<H, F, T> EventHandler<OfArguments<T>> for H
where
    H: Fn(Socket, T) -> F + Send + Sync + 'static,
    F: Future<Output: IntoReply> + Send + 'static,
    T: FromArguments,
{
    fn handle(&self, socket: Socket, arguments: Arguments, ack: Ack) -> Handling {
        match T::take_arguments(arguments) {
            Ok(arguments) => {
                let handling = self(socket, arguments);
                Box::pin(async move { handling.await.reply(ack) })
            }
            Err(error) => Box::pin(std::future::ready(Err(error.into()))),
        }
    }
}

impl<H, F, T, O> EventHandler<OfAck<T>> for H
where
    H: Fn(Socket, T, Ack) -> F + Send + Sync + 'static,
    F: Future<Output = O> + Send + 'static,
    T: FromArguments,
    O: IntoOutcome,
{
    fn handle(&self, socket: Socket, arguments: Arguments, ack: Ack) -> Handling {
        match T::take_arguments(arguments) {
            Ok(arguments) => {
                let handling = self(socket, arguments, ack);
                Box::pin(async move { handling.await.outcome() })
            }
            Err(error) => Box::pin(std::future::ready(Err(error.into()))),
        }
    }
}

/// What acknowledges an event, returned by its handler: the arguments of the acknowledgement.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Reply<T>(pub T);

/// What a handler may return. An error is not told the client, which waits for its own time limit then: return a
/// [`Reply`] that says what the client is to know.
pub trait IntoReply {
    /// Acknowledges the event, if the client asked for that.
    ///
    /// # Errors
    ///
    /// What went wrong.
    fn reply(self, ack: Ack) -> Result<(), EventError>;

    /// What another server is answered, if it is.
    ///
    /// # Errors
    ///
    /// What went wrong.
    fn answer(self) -> Result<Option<Arguments>, EventError>;
}

/// What a handler may return that acknowledges by itself.
pub trait IntoOutcome {
    /// What went wrong, if something did.
    ///
    /// # Errors
    ///
    /// That.
    fn outcome(self) -> Result<(), EventError>;
}

/// Does not acknowledge, as a handler of node's that does not call what it is given; `Reply(())` acknowledges with nothing.
impl IntoReply for () {
    fn reply(self, _ack: Ack) -> Result<(), EventError> {
        Ok(())
    }

    fn answer(self) -> Result<Option<Arguments>, EventError> {
        Ok(None)
    }
}

impl<T: ToArguments> IntoReply for Reply<T> {
    fn reply(self, ack: Ack) -> Result<(), EventError> {
        ack.send(self.0).map_err(EventError::Unsent)
    }

    fn answer(self) -> Result<Option<Arguments>, EventError> {
        Ok(Some(self.0.into_arguments().map_err(|error| EventError::Unsent(error.into()))?))
    }
}

impl<R: IntoReply, E: Into<Box<dyn std::error::Error + Send + Sync>>> IntoReply for Result<R, E> {
    fn reply(self, ack: Ack) -> Result<(), EventError> {
        self.map_err(|error| EventError::Failed(error.into()))?.reply(ack)
    }

    fn answer(self) -> Result<Option<Arguments>, EventError> {
        self.map_err(|error| EventError::Failed(error.into()))?.answer()
    }
}

impl IntoOutcome for () {
    fn outcome(self) -> Result<(), EventError> {
        Ok(())
    }
}

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> IntoOutcome for Result<(), E> {
    fn outcome(self) -> Result<(), EventError> {
        self.map_err(|error| EventError::Failed(error.into()))
    }
}

impl Event {
    /// Whether the client waits for an acknowledgement.
    pub const fn wants_ack(&self) -> bool {
        self.ack.is_some()
    }
}
