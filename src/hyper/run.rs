use std::fmt;

use super::Opening;
use crate::{
    CloseCode, Error, WebSocket,
    proto::handshake::Request,
    server::{Place, log},
};

/// What a handler may return: nothing, or a result whose error closes the connection with 1011.
///
/// ```
/// use sockeye::hyper::Outcome;
/// assert!(().fault().is_none());
/// assert!(Err::<(), _>("no such room").fault().is_some());
/// ```
pub trait Outcome {
    /// What went wrong.
    fn fault(&self) -> Option<&dyn fmt::Display>;
}

impl Outcome for () {
    fn fault(&self) -> Option<&dyn fmt::Display> {
        None
    }
}

impl<E: fmt::Display> Outcome for Result<(), E> {
    fn fault(&self) -> Option<&dyn fmt::Display> {
        self.as_ref().err().map(|error| error as &dyn fmt::Display)
    }
}

/// Runs a handler as [`Server`](crate::Server) does: its replies leave in one write when it waits, and a connection that
/// it leaves open is closed with 1000, or with 1011 behind an error.
pub(super) async fn run<H, F>(
    request: Request,
    opening: Opening,
    place: Option<Place>,
    handler: H,
    failed: Option<Failed>,
) where
    H: FnOnce(WebSocket) -> F,
    F: Future<Output: Outcome>,
{
    let ws = match opening.await {
        Ok(ws) => ws,
        Err(error) => {
            log::failed("upgrade", &error);
            if let Some(failed) = failed {
                failed(error);
            }
            return;
        }
    };
    let sender = ws.sender();
    if let Some(place) = &place {
        place.opened(&sender);
    }
    log::opened(&request, &ws);
    drop(request);
    // Boxed, so that the futures around it hold a pointer and not a copy each.
    let mut handler = Box::pin(handler(ws));
    let code = closing_code(&sender.serve(handler.as_mut()).await);
    drop(handler);
    sender.close_if_left(code).await;
    log::ended(sender.end().as_ref());
}

fn closing_code(outcome: &impl Outcome) -> CloseCode {
    match outcome.fault() {
        None => CloseCode::NORMAL,
        Some(error) => {
            log::failed("handler", &error);
            CloseCode::INTERNAL_ERROR
        }
    }
}

/// Is told why there is no WebSocket.
pub(super) type Failed = Box<dyn FnOnce(Error) + Send>;
