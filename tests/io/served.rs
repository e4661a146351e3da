//! A server's end of a [`Wire`], and what is said over it.

use sockeye::{CloseCode, Error, Role, WebSocket};

use super::{CLOSE, Frame, TEXT, Wire, close_payload, endpoint, frame, parse};

pub(crate) type Outcome = Result<(), Error>;

pub(crate) fn server(wire: &Wire) -> WebSocket<Wire> {
    endpoint(wire.clone(), Role::Server)
}

/// A wire on which a client's messages wait.
pub(crate) fn wire_with(messages: &[&str]) -> Wire {
    let wire = Wire::new();
    messages.iter().for_each(|message| wire.push(&frame(Role::Client, TEXT, message.as_bytes())));
    wire
}

pub(crate) fn text(text: &str) -> Frame {
    (TEXT, text.as_bytes().to_vec())
}

pub(crate) fn close(code: CloseCode) -> Frame {
    (CLOSE, close_payload(code, ""))
}

/// What was written since the last look.
pub(crate) fn output(wire: &Wire) -> Vec<Frame> {
    parse(&wire.take_output())
}

/// The loop that everybody writes.
pub(crate) async fn echo(mut ws: WebSocket<Wire>) -> Outcome {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

/// A handler that waits for something else.
pub(crate) async fn forever() -> Outcome {
    std::future::pending().await
}
