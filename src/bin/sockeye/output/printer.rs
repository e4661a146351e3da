use std::{io, sync::Arc, thread};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{Event, Output};

/// How many events may wait to be written; then the connection waits, too.
const WAITING: usize = 256;
/// How many KiB of messages may wait beside the first; a larger one waits alone.
const WAITING_KIB: usize = 4096;

/// Nobody reads the standard output any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone;

/// Writes events in a thread of its own, as a pipe or a terminal may make it wait.
pub(crate) struct Printer {
    events: Share,
    thread: thread::JoinHandle<(Output, io::Result<()>)>,
}

impl Printer {
    pub(crate) fn start(output: Output) -> Self {
        let (events, waiting) = mpsc::channel(WAITING);
        let thread = thread::spawn(move || print_all(output, waiting));
        Self { events: Share { events, room: Arc::new(Semaphore::new(WAITING_KIB)) }, thread }
    }

    /// Another way to it, for another task.
    pub(crate) fn share(&self) -> Share {
        self.events.clone()
    }

    pub(crate) async fn show(&self, event: Event) -> Result<(), Gone> {
        self.events.show(event).await
    }

    /// Waits until nobody reads the standard output any more.
    pub(crate) async fn gone(&self) {
        self.events.events.closed().await;
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
pub(crate) struct Share {
    events: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
}

/// An event, and the room that it takes until it is written.
type Waiting = (Event, OwnedSemaphorePermit);

impl Share {
    pub(crate) async fn show(&self, event: Event) -> Result<(), Gone> {
        let kib = (event.len() / 1024).min(WAITING_KIB);
        let kib = u32::try_from(kib).expect("it is no more than there is room for");
        let room = Arc::clone(&self.room).acquire_many_owned(kib);
        let room = tokio::select! {
            room = room => room.expect("nobody closes it"),
            () = self.events.closed() => return Err(Gone),
        };
        self.events.send((event, room)).await.map_err(|_| Gone)
    }
}

fn print_all(mut output: Output, mut events: mpsc::Receiver<Waiting>) -> (Output, io::Result<()>) {
    let mut print = || {
        while let Some((event, _room)) = events.blocking_recv() {
            output.show(&event)?;
            while let Ok((event, _room)) = events.try_recv() {
                output.show(&event)?;
            }
            output.flush()?;
        }
        Ok(())
    };
    let written = print();
    (output, written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Way;

    #[tokio::test]
    async fn no_more_waits_than_there_is_room_for() {
        let (events, mut waiting) = mpsc::channel(WAITING);
        let share = Share { events, room: Arc::new(Semaphore::new(WAITING_KIB)) };
        let message = || Event::Message { way: Way::In, message: vec![0; WAITING_KIB * 1024 + 1].into() };
        share.show(message()).await.expect("there is room");
        tokio::select! {
            biased;
            _ = share.show(message()) => panic!("there is no room"),
            () = tokio::task::yield_now() => {}
        }
        drop(waiting.recv().await.expect("it waits"));
        share.show(message()).await.expect("there is room again");
        drop(waiting);
        assert!(share.show(message()).await.is_err(), "nobody prints any more");
    }
}
