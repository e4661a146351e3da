use std::{fmt::Write, sync::Arc};

use bytes::Bytes;

use super::{Arguments, Body, MAIN, Packet};
use crate::{Compress, Message, PreparedMessage, engineio::Outgoing};

/// A packet as the messages that a session sends: one text, behind the digit of Engine.IO, and the attachments.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Encoded {
    pub(crate) text: String,
    pub(crate) attachments: Vec<Bytes>,
}

impl Encoded {
    /// The messages, for one client.
    pub(crate) fn into_outgoing(self, compress: Compress) -> impl Iterator<Item = Outgoing> {
        let text = Outgoing::Single(Message::Text(self.text.into()), compress);
        let attachments = self.attachments.into_iter();
        std::iter::once(text).chain(attachments.map(move |bytes| Outgoing::Single(Message::Binary(bytes), compress)))
    }

    /// The messages, for many clients.
    pub(crate) fn into_shared(self) -> Arc<[Outgoing]> {
        let messages =
            std::iter::once(Message::Text(self.text.into())).chain(self.attachments.into_iter().map(Message::Binary));
        messages.map(|message| Outgoing::Shared(PreparedMessage::new(message))).collect()
    }
}

impl Packet {
    /// The packet as messages: a text, and the attachments behind it.
    ///
    /// ```
    /// use sockeye::socketio::packet::{Body, Packet};
    /// let packet = Packet { namespace: "/admin".into(), body: Body::Disconnect };
    /// assert_eq!(packet.encode(), ["1/admin,".into()]);
    /// ```
    pub fn encode(&self) -> Vec<Message> {
        let Encoded { text, attachments } = encode(&self.namespace, &self.body);
        let text = Message::Text(text[1..].into());
        std::iter::once(text).chain(attachments.into_iter().map(Message::Binary)).collect()
    }
}

/// Encodes a packet behind the digit of Engine.IO.
pub(crate) fn encode(namespace: &str, body: &Body) -> Encoded {
    match body {
        Body::Connect(payload) => encode_plain('0', namespace, payload.as_deref().unwrap_or_default()),
        Body::Disconnect => encode_plain('1', namespace, ""),
        Body::Event { id, name, arguments } => encode_event(namespace, *id, name, arguments, None),
        Body::Ack { id, arguments } => {
            let elements = arguments.elements();
            let attachments = arguments.attachments.len();
            let mut text = begin(['3', '6'], namespace, *id, attachments, 1 + elements.len());
            text.push('[');
            text.push_str(elements);
            Encoded { text, attachments: arguments.attachments.clone() }
        }
        Body::ConnectError(payload) => encode_plain('4', namespace, payload),
    }
}

/// Encodes an event; behind its arguments, there may be an offset.
pub(crate) fn encode_event(
    namespace: &str,
    id: Option<u64>,
    name: &str,
    arguments: &Arguments,
    offset: Option<&str>,
) -> Encoded {
    let elements = arguments.elements();
    let comma = if elements == "]" { "" } else { "," };
    let payload = 3 + name.len() + comma.len() + elements.len() + offset.map_or(0, |offset| offset.len() + 3);
    let mut text = begin(['2', '5'], namespace, id, arguments.attachments.len(), payload);
    text.push('[');
    push_json_string(&mut text, name);
    text.push_str(comma);
    match offset {
        None => text.push_str(elements),
        Some(offset) => {
            text.push_str(elements.strip_suffix(']').unwrap_or(elements));
            let _ = write!(text, r#","{offset}"]"#);
        }
    }
    Encoded { text, attachments: arguments.attachments.clone() }
}

fn encode_plain(kind: char, namespace: &str, payload: &str) -> Encoded {
    let mut text = begin([kind; 2], namespace, None, 0, payload.len());
    text.push_str(payload);
    Encoded { text, attachments: Vec::new() }
}

/// What is in front of the payload; of the kinds, the second one has attachments.
/// What is in front of the payload, whose length is known: a text that fills its memory becomes a message as it is.
fn begin([plain, binary]: [char; 2], namespace: &str, id: Option<u64>, attachments: usize, payload: usize) -> String {
    let namespace_len = if namespace == MAIN { 0 } else { namespace.len() + 1 };
    let digits = |number: u64| number.checked_ilog10().unwrap_or_default() as usize + 1;
    let count = if attachments == 0 { 0 } else { digits(attachments as u64) + 1 };
    let mut text = String::with_capacity(2 + count + namespace_len + id.map_or(0, digits) + payload);
    text.push('4');
    if attachments == 0 {
        text.push(plain);
    } else {
        let _ = write!(text, "{binary}{attachments}-");
    }
    if namespace != MAIN {
        text.push_str(namespace);
        text.push(',');
    }
    if let Some(id) = id {
        let _ = write!(text, "{id}");
    }
    text
}

fn push_json_string(text: &mut String, string: &str) {
    if string.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        text.push('"');
        text.push_str(string);
        text.push('"');
    } else {
        text.push_str(&serde_json::to_string(string).expect("a text is JSON"));
    }
}
