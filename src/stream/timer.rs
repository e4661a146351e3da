use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use tokio::{runtime::Handle, time::Sleep};

/// A timer that is made when it is first waited for. Without a runtime there is none, and no deadline is kept: whoever
/// polls a connection outside of one has asked for no more.
#[derive(Default)]
pub(super) struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Ready when `deadline` has passed.
    pub(super) fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let deadline = tokio::time::Instant::from_std(deadline);
        let sleep = match &mut self.0 {
            Some(sleep) => sleep,
            None if Handle::try_current().is_err() => return Poll::Pending,
            none => none.insert(Box::pin(tokio::time::sleep_until(deadline))),
        };
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(cx)
    }

    /// Lets go of it.
    pub(super) fn stop(&mut self) {
        self.0 = None;
    }
}

/// When so much time will have passed; a duration beyond what a clock can say never does.
#[cfg(any(feature = "client", feature = "server"))]
pub(crate) fn after(duration: std::time::Duration) -> tokio::time::Instant {
    tokio::time::Instant::from_std(crate::proto::connection::later(tokio::time::Instant::now().into_std(), duration))
}
