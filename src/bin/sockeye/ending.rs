//! Who asks the tool to end: Ctrl-C, a signal, or a time that is over.

use std::{process::exit, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use crate::{exit::Status, prompt};

/// Tells everybody that an end is asked for. However stuck they are, the process ends a bound behind that, and at once if it
/// is asked for again: a terminal, a pipe or a peer may take nothing.
#[derive(Clone)]
pub(crate) struct Ending(Arc<watch::Sender<Option<Status>>>);

impl Ending {
    /// Listens for signals from now on: none of them ends the process by itself any more.
    pub(crate) fn listen(bound: Duration) -> Self {
        let ending = Self(Arc::new(watch::Sender::new(None)));
        signals::start(&ending);
        let last = ending.clone();
        tokio::spawn(async move {
            let status = last.asked_for().await;
            sleep(bound).await;
            end_now(status)
        });
        ending
    }

    /// Asks for an end at a time.
    pub(crate) fn ask_at(&self, deadline: Instant, status: Status) {
        let ending = self.clone();
        tokio::spawn(async move {
            sleep_until(deadline).await;
            // It may be ending already.
            ending.0.send_if_modified(|asked| asked.is_none() && asked.replace(status).is_none());
        });
    }

    /// Asks for an end; asked again, it is over.
    pub(crate) fn ask(&self, status: Status) {
        if let Some(before) = self.0.send_replace(Some(status)) {
            end_now(before);
        }
    }

    /// The status of the end that is asked for.
    pub(crate) fn asked(&self) -> Option<Status> {
        *self.0.borrow()
    }

    /// Waits until an end is asked for, and says with what status.
    pub(crate) async fn asked_for(&self) -> Status {
        let mut asked = self.0.subscribe();
        let status = asked.wait_for(Option::is_some).await.ok().and_then(|status| *status);
        status.expect("the sender is here, and waits for there to be one")
    }
}

fn end_now(status: Status) -> ! {
    prompt::restore();
    exit(status as i32)
}

#[cfg(unix)]
mod signals {
    use tokio::signal::unix::{SignalKind, signal};

    use super::{Ending, Status};

    pub(super) fn start(ending: &Ending) {
        for (kind, status) in [
            (SignalKind::interrupt(), Status::Interrupted),
            (SignalKind::terminate(), Status::Terminated),
            (SignalKind::hangup(), Status::HungUp),
        ] {
            // Where a signal cannot be listened for, it does what it does to any process.
            let Ok(mut signal) = signal(kind) else { continue };
            let ending = ending.clone();
            tokio::spawn(async move {
                while signal.recv().await.is_some() {
                    ending.ask(status);
                }
            });
        }
    }
}

#[cfg(not(unix))]
mod signals {
    use super::{Ending, Status};

    pub(super) fn start(ending: &Ending) {
        let ending = ending.clone();
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                ending.ask(Status::Interrupted);
            }
        });
    }
}
