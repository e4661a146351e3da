//! The task that sends, while another one receives.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use sockeye::{CloseCode, Error, Message, Transport, stream};
use tokio::sync::{
    mpsc::{self, error::TryRecvError},
    watch,
};

use super::{
    command::{self, Command, FileForm},
    input::{EndOfInput, Input},
    pings::Pings,
};
use crate::{
    exit::Failure,
    output::{Event, Share, Way},
};

pub(super) type Sender = stream::Sender<Transport>;

/// What the task that receives has to know.
#[derive(Debug)]
pub(super) enum Told {
    InputEnded(EndOfInput),
    Close { code: Option<CloseCode>, reason: String },
    Failed(Failure),
}

/// Sends what comes in.
pub(super) struct Sending {
    /// The sender of the connection, while there is one.
    pub(super) senders: watch::Receiver<Option<Sender>>,
    pub(super) inputs: mpsc::Receiver<Input>,
    pub(super) told: mpsc::Sender<Told>,
    pub(super) pings: Arc<Mutex<Pings>>,
    pub(super) printer: Share,
    /// Whether what was sent is shown.
    pub(super) shows_sent: bool,
}

/// Why it stops before the input ends; the task that receives knows more.
struct Stop;

impl Sending {
    pub(super) async fn run(mut self) {
        // Either way it is over.
        let (Ok(()) | Err(Stop)) = self.send_all().await;
    }

    async fn send_all(&mut self) -> Result<(), Stop> {
        while let Some(input) = self.next().await {
            match input {
                Input::Command(command) => self.obey(command).await?,
                Input::Misspelt(complaint) => self.show(Event::Fault(complaint)).await?,
                Input::End(end) => {
                    self.flush().await;
                    self.tell(Told::InputEnded(end)).await?;
                }
                Input::Fault(failure) => self.tell(Told::Failed(failure)).await?,
            }
        }
        Ok(())
    }

    /// The next input; while there is none, everything that was sent is written.
    async fn next(&mut self) -> Option<Input> {
        match self.inputs.try_recv() {
            Ok(input) => Some(input),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => {
                self.flush().await;
                self.inputs.recv().await
            }
        }
    }

    async fn flush(&self) {
        let sender = self.senders.borrow().clone();
        if let Some(sender) = sender {
            // If it cannot be written, the task that receives says why.
            let _ = sender.flush().await;
        }
    }

    /// The sender of the connection, once there is one.
    async fn sender(&mut self) -> Result<Sender, Stop> {
        let sender = self.senders.wait_for(Option::is_some).await.map_err(|_| Stop)?;
        Ok(sender.clone().expect("it was waited for"))
    }

    async fn obey(&mut self, command: Command) -> Result<(), Stop> {
        match command {
            Command::Send(message) => self.send(message).await,
            Command::SendFile { path, form } => match read(path, form).await {
                Ok(message) => {
                    self.note(format!("sending {} bytes", message.len())).await?;
                    self.send(message).await
                }
                Err(complaint) => self.show(Event::Fault(complaint)).await,
            },
            Command::Ping(payload) => {
                let payload = if payload.is_empty() { self.pings().fresh() } else { payload };
                match ping(&self.sender().await?, &self.pings, payload.clone()).await {
                    Ok(()) => self.show(Event::Ping { way: Way::Out, payload }).await,
                    Err(_) => self.lost().await,
                }
            }
            Command::Pong(payload) => match self.sender().await?.pong(payload.clone()).await {
                Ok(()) => self.show(Event::Pong { way: Way::Out, payload, rtt: None }).await,
                Err(_) => self.lost().await,
            },
            Command::Close { code, reason } => self.tell(Told::Close { code, reason }).await,
            Command::Help => self.note(command::HELP.into()).await,
        }
    }

    /// Sends a message, by the next connection if this one does not take it any more.
    async fn send(&mut self, message: Message) -> Result<(), Stop> {
        loop {
            match self.sender().await?.feed(message.clone()).await {
                Ok(()) if self.shows_sent => return self.show(Event::Message { way: Way::Out, message }).await,
                Ok(()) => return Ok(()),
                Err(Error::Send(error)) => return self.show(Event::Fault(error.to_string())).await,
                Err(_) => self.lost().await?,
            }
        }
    }

    /// Waits until the task that receives has seen that the connection is lost; if there is no other, it ends this one.
    async fn lost(&mut self) -> Result<(), Stop> {
        self.senders.changed().await.map_err(|_| Stop)
    }

    async fn note(&self, text: String) -> Result<(), Stop> {
        self.show(Event::Note(text)).await
    }

    async fn show(&self, event: Event) -> Result<(), Stop> {
        self.printer.show(event).await.map_err(|_| Stop)
    }

    async fn tell(&self, told: Told) -> Result<(), Stop> {
        self.told.send(told).await.map_err(|_| Stop)
    }

    fn pings(&self) -> std::sync::MutexGuard<'_, Pings> {
        self.pings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends a Ping, and remembers when.
pub(super) async fn ping(sender: &Sender, pings: &Mutex<Pings>, payload: Bytes) -> Result<(), Error> {
    pings.lock().unwrap_or_else(PoisonError::into_inner).sent(payload.clone());
    sender.ping(payload).await
}

async fn read(path: String, form: FileForm) -> Result<Message, String> {
    let read = tokio::task::spawn_blocking(move || {
        let bytes = std::fs::read(&path).map_err(|error| format!("{path}: {error}"))?;
        match form {
            FileForm::Binary => Ok(Message::from(bytes)),
            FileForm::Text => String::from_utf8(bytes)
                .map(Message::from)
                .map_err(|_| format!("{path} is not UTF-8, as text has to be; /file sends any bytes")),
        }
    });
    read.await.unwrap_or_else(|error| Err(error.to_string()))
}
