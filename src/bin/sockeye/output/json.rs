//! Events as lines of JSON.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use sockeye::{
    CloseFrame, Message,
    proto::{
        connection::{End, Initiator},
        handshake::Response,
    },
};

use super::{Event, escape::escaped_as_json, words};

/// One event as a line: `time` in seconds since 1970, `event`, and what belongs to it.
pub(crate) fn line(event: &Event) -> String {
    // JSON leaves more as it is than a terminal should see: C1, and what turns text around.
    escaped_as_json(value(event).to_string())
}

fn value(event: &Event) -> Value {
    let mut value = of_event(event);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        fields.insert("time".into(), json!(now.as_secs_f64()));
    }
    value
}

fn of_event(event: &Event) -> Value {
    match event {
        Event::Opened { url, response, subprotocol, compressed } => {
            let mut fields = Map::new();
            if let Some(response) = response {
                fields.insert("status".into(), json!(response.status()));
                fields.insert("headers".into(), headers(response));
            }
            fields.insert("event".into(), json!("open"));
            fields.insert("url".into(), json!(url));
            fields.insert("subprotocol".into(), json!(subprotocol));
            fields.insert("compressed".into(), json!(compressed));
            fields.into()
        }
        Event::Message { way, message } => {
            let mut fields = of_payload(message.as_bytes(), message.as_text());
            fields.insert("event".into(), json!("message"));
            fields.insert("way".into(), json!(way.as_str()));
            fields.insert("type".into(), json!(if matches!(message, Message::Text(_)) { "text" } else { "binary" }));
            fields.into()
        }
        Event::Ping { way, payload } => {
            let mut fields = of_payload(payload, std::str::from_utf8(payload).ok());
            fields.insert("event".into(), json!("ping"));
            fields.insert("way".into(), json!(way.as_str()));
            fields.into()
        }
        Event::Pong { way, payload, rtt } => {
            let mut fields = of_payload(payload, std::str::from_utf8(payload).ok());
            fields.insert("event".into(), json!("pong"));
            fields.insert("way".into(), json!(way.as_str()));
            fields.insert("rtt_ms".into(), json!(rtt.map(|rtt| rtt.as_secs_f64() * 1e3)));
            fields.into()
        }
        Event::Frame { way, header } => json!({
            "event": "frame", "way": way.as_str(), "opcode": words::opcode(header.opcode), "fin": header.fin,
            "rsv1": header.rsv1, "masked": header.masking_key.is_some(), "length": header.payload_len,
        }),
        Event::Lost { loss, retry_in } => {
            json!({ "event": "lost", "text": loss, "retry_in": retry_in.as_secs_f64() })
        }
        Event::Closed(end) => closed(end),
        Event::Note(text) => json!({ "event": "note", "text": text }),
        Event::Fault(text) => json!({ "event": "error", "text": text }),
    }
}

/// Each name in small letters, with all its values.
fn headers(response: &Response) -> Value {
    let mut headers = Map::new();
    for (name, value) in response.headers.iter() {
        let value = String::from_utf8_lossy(value);
        let entry = headers.entry(name.to_ascii_lowercase()).or_insert_with(|| Value::Array(Vec::new()));
        entry.as_array_mut().expect("each entry is an array").push(json!(value));
    }
    headers.into()
}

/// `text` where it is text, `base64` otherwise.
fn of_payload(bytes: &[u8], text: Option<&str>) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("length".into(), json!(bytes.len()));
    match text {
        Some(text) => fields.insert("text".into(), json!(text)),
        None => fields.insert("base64".into(), json!(STANDARD.encode(bytes))),
    };
    fields
}

fn closed(end: &End) -> Value {
    let code = |frame: &Option<CloseFrame>| frame.as_ref().map(|frame| frame.code.get());
    match end {
        End::Closed { by, ours, theirs } => {
            let (by, said) = match by {
                Initiator::Us => ("client", theirs.as_ref().or(ours.as_ref())),
                Initiator::Peer => ("server", theirs.as_ref()),
            };
            json!({
                "event": "close", "by": by, "code": said.map(|frame| frame.code.get()),
                "reason": said.map_or("", |frame| frame.reason.as_str()), "sent": code(ours), "received": code(theirs),
            })
        }
        other => json!({ "event": "error", "text": words::closed(other) }),
    }
}
