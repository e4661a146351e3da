use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::message::Message;
use crate::proto::extension::deflate::{DeflateClass, Deflater};

/// A message for many receivers, which is compressed once and not once for each; cheap to clone.
///
/// Connections that compress alike, by level, memory level and window, share one compressed form, which is made when
/// the first of them sends it. It looks back at no other message; so a connection with context takeover forgets its
/// context when it sends one, and compresses its own next messages a little less.
///
/// ```
/// use sockeye::{PreparedMessage, proto::connection::{Config, Connection, Role}};
/// let mut connections = [(); 3].map(|()| Connection::server(Config::new(Role::Server), None, std::time::Instant::now()));
/// let news = PreparedMessage::new("to all");
/// for connection in &mut connections {
///     connection.send_prepared(&news)?;
///     assert_eq!(connection.take_output(), b"\x81\x06to all");
/// }
/// # Ok::<(), sockeye::proto::connection::SendError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PreparedMessage {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    message: Message,
    /// One for each way of compressing; `None` where it does not shrink the message.
    deflated: Mutex<Vec<(DeflateClass, Option<Bytes>)>>,
}

impl PreparedMessage {
    /// Takes the message.
    pub fn new(message: impl Into<Message>) -> Self {
        Self { shared: Arc::new(Shared { message: message.into(), deflated: Mutex::default() }) }
    }

    /// The message itself.
    pub fn message(&self) -> &Message {
        &self.shared.message
    }

    /// The payload as `deflater` would compress it; `None` if that would not make it shorter.
    pub(super) fn deflated(&self, deflater: &Deflater) -> Option<Bytes> {
        let class = deflater.class();
        let mut forms = self.shared.deflated.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, form)) = forms.iter().find(|(other, _)| *other == class) {
            return form.clone();
        }
        let payload = self.shared.message.payload();
        let form = Bytes::from(deflater.deflate_alone(payload));
        let form = (form.len() < payload.len()).then_some(form);
        forms.push((class, form.clone()));
        form
    }
}

impl<M: Into<Message>> From<M> for PreparedMessage {
    fn from(message: M) -> Self {
        Self::new(message)
    }
}
