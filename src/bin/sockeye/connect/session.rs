//! One connection from its opening to its end.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use sockeye::{
    CloseCode, Error, Message, Transport, WebSocket,
    proto::connection::{End, Event as Received},
    stream::Receiver,
};
use tokio::{
    sync::mpsc,
    time::{Instant, Sleep, interval_at, sleep_until, timeout},
};

use super::{
    NEVER,
    frames::Frames,
    input::{EndOfInput, Source},
    pings::Pings,
    sending::{Sender, Sending, Told, ping},
};
use crate::{
    args::{ConnectArgs, Expectation},
    ending::Ending,
    exit::Status,
    output::{Event, Gone, Printer, Way},
};

/// How long the server has to answer the Ping behind the input's end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long somebody who leaves at once waits for the Close to be written.
const LEAVING: Duration = Duration::from_secs(1);
/// The payload of the Ping behind the input's end.
const BEHIND_ALL: &[u8] = b"end of input";

pub(super) struct Session<'a> {
    args: &'a ConnectArgs,
    sender: Sender,
    receiver: Receiver<Transport>,
    frames: Option<Frames>,
    printer: Printer,
    pings: Arc<Mutex<Pings>>,
    ending: Ending,
    phase: Phase,
    received: u64,
    expected: VecDeque<Expectation>,
    /// The status, where it is not the end that says it.
    status: Option<Status>,
    /// What is said behind everything else.
    last: Vec<Event>,
}

/// How far the end is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// More may be sent.
    Open,
    /// The input has ended. Once a Ping is answered that was sent behind it, the server has everything.
    Asked,
    /// The server has everything, and is given time to say something.
    Waiting,
    /// A Close was sent.
    Closing,
}

/// What happens next.
enum Happening {
    Received(Result<Option<Received>, Error>),
    Told(Told),
    PingDue,
    Quiet,
    NobodyReads,
}

/// Whether it goes on.
enum Next {
    Continue,
    /// The connection has ended.
    Ended(Result<(), Error>),
    /// We leave without waiting for it.
    Leave(Status),
}

impl<'a> Session<'a> {
    pub(super) fn new(
        args: &'a ConnectArgs,
        ws: WebSocket,
        frames: Option<Frames>,
        printer: Printer,
        ending: Ending,
    ) -> Self {
        let (sender, receiver) = ws.split();
        let expected = args.ending.expect.iter().cloned().collect();
        Self {
            args,
            sender,
            receiver,
            frames,
            printer,
            pings: Arc::default(),
            ending,
            phase: Phase::Open,
            received: 0,
            expected,
            status: None,
            last: Vec::new(),
        }
    }

    /// Runs to the end: gives the status, the printer, and what is still to be said.
    pub(super) async fn run(mut self, source: Source) -> (Status, Printer, Vec<Event>) {
        let (tell, mut told) = mpsc::channel(8);
        let sending = source.start(&self.args.input).map(|inputs| {
            let sending = Sending {
                sender: self.sender.clone(),
                inputs,
                told: tell,
                pings: Arc::clone(&self.pings),
                printer: self.printer.share(),
                shows_sent: !self.args.is_plain(),
            };
            tokio::spawn(sending.run())
        });
        let ending = self.ending.clone();
        let next = tokio::select! {
            biased;
            // Even while it waits for an output that takes nothing.
            status = ending.asked_for() => Next::Leave(status),
            next = self.receive(&mut told) => next,
        };
        if let Some(sending) = sending {
            sending.abort();
            // It holds a share in the printer.
            let _ = sending.await;
        }
        let status = self.conclude(next).await;
        (status, self.printer, self.last)
    }

    /// Receives until the end.
    async fn receive(&mut self, told: &mut mpsc::Receiver<Told>) -> Next {
        let interval = self.args.output.ping_interval.map_or(NEVER, |interval| interval.0);
        let mut ticks = interval_at(Instant::now() + interval, interval);
        let mut quiet = pin!(sleep_until(Instant::now() + NEVER));
        loop {
            let happening = tokio::select! {
                biased;
                () = self.printer.gone() => Happening::NobodyReads,
                Some(told) = told.recv() => Happening::Told(told),
                _ = ticks.tick() => Happening::PingDue,
                received = self.receiver.recv_event() => Happening::Received(received),
                () = &mut quiet => Happening::Quiet,
            };
            match self.handle(happening, quiet.as_mut()).await {
                Ok(Next::Continue) => {}
                Ok(over) => return over,
                Err(Gone) => return Next::Leave(Status::Clean),
            }
        }
    }

    async fn handle(&mut self, happening: Happening, mut quiet: std::pin::Pin<&mut Sleep>) -> Result<Next, Gone> {
        self.show_frames().await?;
        let wait = self.args.ending.wait.0;
        match happening {
            Happening::Received(Ok(Some(received))) => {
                let is_answer = matches!(&received, Received::Pong(payload) if *payload == BEHIND_ALL);
                let is_message = matches!(&received, Received::Message(_));
                if is_answer && self.phase == Phase::Asked {
                    self.phase = Phase::Waiting;
                }
                if is_answer || is_message && self.phase == Phase::Waiting {
                    quiet.as_mut().reset(Instant::now() + wait);
                }
                self.received(received).await?;
            }
            Happening::Received(Ok(None)) => return Ok(Next::Ended(Ok(()))),
            Happening::Received(Err(error)) => return Ok(Next::Ended(Err(error))),
            Happening::Told(Told::InputEnded(EndOfInput::Read)) => {
                if !self.args.ending.no_close && self.phase == Phase::Open {
                    self.phase = Phase::Asked;
                    quiet.as_mut().reset(Instant::now() + wait + PATIENCE);
                    // If it cannot be sent, the connection has ended, which is seen next.
                    let payload = Bytes::from_static(BEHIND_ALL);
                    if self.sender.ping(payload.clone()).await.is_ok() {
                        self.printer.show(Event::Ping { way: Way::Out, payload }).await?;
                    }
                }
            }
            Happening::Told(Told::InputEnded(EndOfInput::Done)) if self.phase == Phase::Closing => {
                return Ok(Next::Leave(Status::Interrupted));
            }
            Happening::Told(Told::InputEnded(EndOfInput::Done)) | Happening::Quiet => {
                // A quiet time is over once.
                quiet.as_mut().reset(Instant::now() + NEVER);
                self.close(None, None);
            }
            Happening::Told(Told::Close { code, reason }) => self.close(code, Some(reason)),
            Happening::Told(Told::Failed(failure)) => {
                self.status = Some(failure.status);
                self.last.push(Event::Fault(format!("sockeye: {failure}")));
                self.close(None, None);
            }
            Happening::PingDue => {
                let payload = self.pings().fresh();
                if ping(&self.sender, &self.pings, payload.clone()).await.is_ok() {
                    self.printer.show(Event::Ping { way: Way::Out, payload }).await?;
                }
            }
            Happening::NobodyReads => return Err(Gone),
        }
        Ok(Next::Continue)
    }

    async fn received(&mut self, received: Received) -> Result<(), Gone> {
        let event = match received {
            Received::Message(message) => {
                self.note(&message);
                let event = Event::Message { way: Way::In, message: message.clone() };
                self.printer.show(event).await?;
                if self.args.input.echo && self.sender.send(message.clone()).await.is_ok() && !self.args.is_plain() {
                    self.printer.show(Event::Message { way: Way::Out, message }).await?;
                }
                return Ok(());
            }
            Received::Ping(payload) => Event::Ping { way: Way::In, payload },
            Received::Pong(payload) => {
                let rtt = self.pings().answered(&payload);
                Event::Pong { way: Way::In, payload, rtt }
            }
            // Its end says the same.
            Received::Close(_) | Received::Chunk(_) => return Ok(()),
        };
        self.printer.show(event).await
    }

    /// Counts a message, and closes if it is what was waited for.
    fn note(&mut self, message: &Message) {
        self.received += 1;
        if let Some(expected) = self.expected.front()
            && expected.is_met_by(&String::from_utf8_lossy(message.as_bytes()))
        {
            self.expected.pop_front();
            if self.expected.is_empty() {
                self.close(None, None);
            }
        }
        if self.args.count().is_some_and(|count| self.received >= count) {
            self.close(None, None);
        }
    }

    /// Sends a Close, once; what comes until the server's is still shown.
    fn close(&mut self, code: Option<CloseCode>, reason: Option<String>) {
        if self.phase == Phase::Closing {
            return;
        }
        self.phase = Phase::Closing;
        let ending = &self.args.ending;
        let reason = reason.filter(|_| code.is_some()).unwrap_or_else(|| ending.close_reason.clone());
        let (sender, code) = (self.sender.clone(), code.unwrap_or(ending.close_code));
        // How it ended is seen by the receiver.
        tokio::spawn(async move { sender.close(code, reason).await });
    }

    async fn show_frames(&mut self) -> Result<(), Gone> {
        let Some(frames) = &mut self.frames else { return Ok(()) };
        while let Ok(frame) = frames.try_recv() {
            self.printer.show(frame).await?;
        }
        Ok(())
    }

    /// Says how it ended.
    async fn conclude(&mut self, next: Next) -> Status {
        let status = match next {
            Next::Continue => unreachable!("then it goes on"),
            Next::Ended(result) => self.ended(result),
            Next::Leave(status) => {
                self.leave().await;
                if status == Status::TimedOut {
                    self.last.push(Event::Fault("sockeye: the time is over".into()));
                }
                status
            }
        };
        // Those of the end.
        let _ = self.show_frames().await;
        let status = self.status.unwrap_or(status);
        let missed = self.missed();
        let is_missed = missed.is_some();
        self.last.extend(missed.map(|missed| Event::Fault(format!("sockeye: {missed}"))));
        if is_missed && status == Status::Clean { Status::Unclean } else { status }
    }

    fn ended(&mut self, result: Result<(), Error>) -> Status {
        match (result, self.sender.end()) {
            (Ok(()), Some(end @ End::Closed { .. })) => {
                let status = Status::of_end(&end);
                self.last.push(Event::Closed(end));
                status
            }
            (Err(error), _) => {
                self.last.push(Event::Fault(format!("sockeye: {error}")));
                Status::of_error(&error)
            }
            (Ok(()), _) => Status::Network,
        }
    }

    /// Sends a Close, and does not wait for its answer.
    async fn leave(&mut self) {
        let mut closing = pin!(self.sender.close(CloseCode::GOING_AWAY, ""));
        // While nobody receives, this writes what is queued and no more.
        let written = timeout(LEAVING, async {
            tokio::select! {
                biased;
                _ = &mut closing => {}
                _ = self.sender.flush() => {}
            }
        });
        // A server that takes nothing is left all the same.
        let _ = written.await;
    }

    /// What was waited for, and did not come.
    fn missed(&self) -> Option<String> {
        if let Some(expected) = self.expected.front() {
            return Some(format!("no message had {expected} in it"));
        }
        let count = self.args.count().filter(|&count| self.received < count)?;
        Some(format!("{} of {count} messages came", self.received))
    }

    fn pings(&self) -> std::sync::MutexGuard<'_, Pings> {
        self.pings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectArgs {
    fn count(&self) -> Option<u64> {
        if self.ending.one { Some(1) } else { self.ending.count }
    }

    /// Whether the output is for a program that wants the messages alone.
    fn is_plain(&self) -> bool {
        use std::io::IsTerminal as _;
        !self.output.json && !std::io::stdout().is_terminal()
    }
}
