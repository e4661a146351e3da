use std::{io, thread};

use tokio::sync::mpsc;

use super::{Event, Output};

/// How many events may wait to be written; then the connection waits, too.
const WAITING: usize = 256;

/// Nobody reads the standard output any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone;

/// Writes events in a thread of its own, as a pipe or a terminal may make it wait.
pub(crate) struct Printer {
    events: mpsc::Sender<Event>,
    thread: thread::JoinHandle<(Output, io::Result<()>)>,
}

impl Printer {
    pub(crate) fn start(output: Output) -> Self {
        let (events, waiting) = mpsc::channel(WAITING);
        let thread = thread::spawn(move || print_all(output, waiting));
        Self { events, thread }
    }

    /// Another way to it, for another task.
    pub(crate) fn share(&self) -> Share {
        Share(self.events.clone())
    }

    pub(crate) async fn show(&self, event: Event) -> Result<(), Gone> {
        self.events.send(event).await.map_err(|_| Gone)
    }

    /// Waits until nobody reads the standard output any more.
    pub(crate) async fn gone(&self) {
        self.events.closed().await;
    }

    /// Writes everything that waits, and gives the output back; an output that nobody reads is no error.
    pub(crate) async fn finish(self) -> io::Result<Output> {
        let Self { events, thread } = self;
        drop(events);
        let joined = tokio::task::spawn_blocking(|| thread.join()).await.map_err(io::Error::other)?;
        let (mut output, written) = joined.map_err(|_| io::Error::other("the printing thread panicked"))?;
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => output.discard(),
            written => written?,
        }
        Ok(output)
    }
}

/// A share in a [`Printer`]; it has to be dropped before the printer can finish.
#[derive(Clone)]
pub(crate) struct Share(mpsc::Sender<Event>);

impl Share {
    pub(crate) async fn show(&self, event: Event) -> Result<(), Gone> {
        self.0.send(event).await.map_err(|_| Gone)
    }
}

fn print_all(mut output: Output, mut events: mpsc::Receiver<Event>) -> (Output, io::Result<()>) {
    let mut print = || {
        while let Some(event) = events.blocking_recv() {
            output.show(&event)?;
            while let Ok(event) = events.try_recv() {
                output.show(&event)?;
            }
            output.flush()?;
        }
        Ok(())
    };
    let written = print();
    (output, written)
}
