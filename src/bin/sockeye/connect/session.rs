//! What happens between the opening and the end.

use std::{
    collections::VecDeque,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use sockeye::{
    CloseCode, Error, Message, WebSocket,
    client::{Loss, Reconnecting},
    proto::connection::{End, Event as Received},
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, Sleep, interval_at, sleep_until, timeout},
};

use super::{
    NEVER,
    frames::Frames,
    input::{EndOfInput, Source},
    link::{Link, News},
    pings::Pings,
    sending::{Sender, Sending, Told, ping},
};
use crate::{
    args::{ConnectArgs, Expectation},
    connection,
    ending::Ending,
    exit::Status,
    output::{Event, Gone, Printer, Way, words},
};

/// How long the server has to answer the Ping behind the input's end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long somebody who leaves at once waits for the Close to be written.
const LEAVING: Duration = Duration::from_secs(1);
/// The payload of the Ping behind the input's end.
const BEHIND_ALL: &[u8] = b"end of input";

pub(super) struct Session<'a> {
    args: &'a ConnectArgs,
    link: Link,
    /// The sender of the connection, while there is one.
    sender: watch::Sender<Option<Sender>>,
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

/// What a session has come to.
pub(super) struct Concluded {
    pub(super) status: Status,
    pub(super) printer: Printer,
    /// What is said behind everything else.
    pub(super) last: Vec<Event>,
    /// Why there was no connection at its end.
    pub(super) unopened: Option<Error>,
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
    Came(News),
    Frame(Event),
    Told(Told),
    PingDue,
    Quiet,
    NobodyReads,
}

/// Whether it goes on.
enum Next {
    Continue,
    /// The connection has ended, and there is no other one.
    Ended(Loss),
    /// We leave without waiting for it.
    Leave(Status),
}

impl<'a> Session<'a> {
    /// A session on one connection.
    pub(super) fn once(
        args: &'a ConnectArgs,
        ws: WebSocket,
        frames: Option<Frames>,
        printer: Printer,
        ending: Ending,
    ) -> Self {
        let (sender, receiver) = ws.split();
        Self { frames, ..Self::new(args, Link::Once(receiver), Some(sender), printer, ending) }
    }

    /// A session on one connection after the other.
    pub(super) fn again(args: &'a ConnectArgs, connections: Reconnecting, printer: Printer, ending: Ending) -> Self {
        Self::new(args, Link::again(connections), None, printer, ending)
    }

    fn new(args: &'a ConnectArgs, link: Link, sender: Option<Sender>, printer: Printer, ending: Ending) -> Self {
        Self {
            args,
            link,
            sender: watch::Sender::new(sender),
            frames: None,
            printer,
            pings: Arc::default(),
            ending,
            phase: Phase::Open,
            received: 0,
            expected: args.ending.expect.iter().cloned().collect(),
            status: None,
            last: Vec::new(),
        }
    }

    /// Runs to the end.
    pub(super) async fn run(mut self, source: Source) -> Concluded {
        let (tell, mut told) = mpsc::channel(8);
        let sending = source.start(&self.args.input).map(|inputs| {
            let sending = Sending {
                senders: self.sender.subscribe(),
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
        self.conclude(next).await
    }

    /// Receives until the end.
    async fn receive(&mut self, told: &mut mpsc::Receiver<Told>) -> Next {
        let interval = self.args.output.ping_interval.map_or(NEVER, |interval| interval.0);
        let mut ticks = interval_at(Instant::now() + interval, interval);
        // Behind an output that took nothing, one Ping asks for all that were due.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut quiet = pin!(sleep_until(Instant::now() + NEVER));
        loop {
            let happening = tokio::select! {
                biased;
                () = self.printer.gone() => Happening::NobodyReads,
                // While a message comes, too: one of many fragments may have no end.
                Some(frame) = next_frame(&mut self.frames) => Happening::Frame(frame),
                Some(told) = told.recv() => Happening::Told(told),
                _ = ticks.tick() => Happening::PingDue,
                news = self.link.next() => Happening::Came(news),
                () = &mut quiet => Happening::Quiet,
            };
            match self.handle(happening, quiet.as_mut()).await {
                Ok(Next::Continue) => {}
                Ok(over) => return over,
                Err(Gone) => return Next::Leave(Status::Clean),
            }
        }
    }

    async fn handle(&mut self, happening: Happening, mut quiet: Pin<&mut Sleep>) -> Result<Next, Gone> {
        if !matches!(happening, Happening::Frame(_)) {
            // Those of what happens come before it.
            self.show_frames().await?;
        }
        match happening {
            Happening::Came(News::Received(received)) => {
                if self.goes_on_with(&received) {
                    quiet.as_mut().reset(Instant::now() + self.args.ending.wait());
                }
                self.received(received).await?;
            }
            Happening::Came(News::Connected { sender, subprotocol, compressed }) => {
                self.sender.send_replace(Some(sender));
                let url = connection::shown_url(&self.args.connection.url);
                self.printer.show(Event::Opened { url, response: None, subprotocol, compressed }).await?;
                if self.phase == Phase::Asked {
                    self.ask(quiet).await?;
                }
            }
            Happening::Came(News::Lost { loss, retry_in }) => return self.lost(loss, retry_in).await,
            Happening::Frame(frame) => self.printer.show(frame).await?,
            Happening::Told(told) => return self.told(told, quiet).await,
            Happening::Quiet => {
                // A quiet time is over once.
                quiet.as_mut().reset(Instant::now() + NEVER);
                return Ok(self.close(None, None));
            }
            Happening::PingDue => {
                let payload = self.pings().fresh();
                self.ping(payload).await?;
            }
            Happening::NobodyReads => return Err(Gone),
        }
        Ok(if self.is_done() { self.close(None, None) } else { Next::Continue })
    }

    async fn told(&mut self, told: Told, quiet: Pin<&mut Sleep>) -> Result<Next, Gone> {
        Ok(match told {
            Told::InputEnded(EndOfInput::Read) => {
                if !self.args.ending.no_close && self.phase == Phase::Open {
                    self.phase = Phase::Asked;
                    self.ask(quiet).await?;
                }
                Next::Continue
            }
            Told::InputEnded(EndOfInput::Done) if self.phase == Phase::Closing => Next::Leave(Status::Interrupted),
            Told::InputEnded(EndOfInput::Done) => self.close(None, None),
            Told::Close { code, reason } => self.close(code, Some(reason)),
            Told::Failed(failure) => {
                self.status = Some(failure.status);
                self.last.push(Event::Fault(format!("sockeye: {failure}")));
                self.close(None, None)
            }
        })
    }

    /// Asks the server for a sign that it has everything.
    async fn ask(&mut self, mut quiet: Pin<&mut Sleep>) -> Result<(), Gone> {
        quiet.as_mut().reset(Instant::now() + self.args.ending.wait() + PATIENCE);
        let payload = Bytes::from_static(BEHIND_ALL);
        // If it cannot be sent, the connection has ended, which is seen next.
        if let Some(sender) = self.sender()
            && sender.ping(payload.clone()).await.is_ok()
        {
            self.printer.show(Event::Ping { way: Way::Out, payload }).await?;
        }
        Ok(())
    }

    /// Sends a Ping whose Pong is timed, if there is a connection.
    async fn ping(&mut self, payload: Bytes) -> Result<(), Gone> {
        if let Some(sender) = self.sender()
            && ping(&sender, &self.pings, payload.clone()).await.is_ok()
        {
            self.printer.show(Event::Ping { way: Way::Out, payload }).await?;
        }
        Ok(())
    }

    /// Behind the input's end: whether the quiet time begins with this.
    fn goes_on_with(&mut self, received: &Received) -> bool {
        let is_answer = matches!(received, Received::Pong(payload) if *payload == BEHIND_ALL);
        if is_answer && self.phase == Phase::Asked {
            self.phase = Phase::Waiting;
        }
        self.phase == Phase::Waiting && (is_answer || matches!(received, Received::Message(_)))
    }

    async fn received(&mut self, received: Received) -> Result<(), Gone> {
        let event = match received {
            Received::Message(message) => {
                self.note(&message);
                let event = Event::Message { way: Way::In, message: message.clone() };
                self.printer.show(event).await?;
                return if self.args.input.echo { self.echo(message).await } else { Ok(()) };
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

    async fn echo(&mut self, message: Message) -> Result<(), Gone> {
        if let Some(sender) = self.sender()
            && sender.send(message.clone()).await.is_ok()
            && !self.args.is_plain()
        {
            self.printer.show(Event::Message { way: Way::Out, message }).await?;
        }
        Ok(())
    }

    /// Goes on without a connection, or ends: at a loss that we asked for, or that no attempt can mend, and behind the
    /// input's end, as nobody knows then what the server has of it.
    async fn lost(&mut self, loss: Loss, retry_in: Option<Duration>) -> Result<Next, Gone> {
        match retry_in {
            Some(retry_in) if self.phase == Phase::Open => {
                self.sender.send_replace(None);
                *self.pings() = Pings::default();
                self.printer.show(Event::Lost { loss: words::lost(&loss), retry_in }).await?;
                Ok(Next::Continue)
            }
            _ => Ok(Next::Ended(loss)),
        }
    }

    /// Counts a message, and looks whether it is what was waited for.
    fn note(&mut self, message: &Message) {
        self.received += 1;
        if let Some(expected) = self.expected.front()
            && expected.is_met_by(&String::from_utf8_lossy(message.as_bytes()))
        {
            self.expected.pop_front();
        }
    }

    /// Whether everything has come that was waited for.
    fn is_done(&self) -> bool {
        let has_all_expected = !self.args.ending.expect.is_empty() && self.expected.is_empty();
        has_all_expected || self.args.count().is_some_and(|count| self.received >= count)
    }

    /// Sends a Close, once; what comes until the server's is still shown. Without a connection, it is the end.
    fn close(&mut self, code: Option<CloseCode>, reason: Option<String>) -> Next {
        let Some(sender) = self.sender() else { return Next::Leave(Status::Network) };
        if self.phase == Phase::Closing {
            return Next::Continue;
        }
        self.phase = Phase::Closing;
        let ending = &self.args.ending;
        let reason = reason.filter(|_| code.is_some()).unwrap_or_else(|| ending.close_reason.clone());
        let code = code.unwrap_or(ending.close_code);
        // How it ended is seen by the receiver.
        tokio::spawn(async move { sender.close(code, reason).await });
        Next::Continue
    }

    async fn show_frames(&mut self) -> Result<(), Gone> {
        let Some(frames) = &mut self.frames else { return Ok(()) };
        while let Ok(frame) = frames.try_recv() {
            self.printer.show(frame).await?;
        }
        Ok(())
    }

    /// Says how it ended.
    async fn conclude(mut self, next: Next) -> Concluded {
        let (status, unopened) = match next {
            Next::Continue => unreachable!("then it goes on"),
            Next::Ended(Loss::NotConnected(error)) => (Status::of_error(&error), Some(error)),
            Next::Ended(loss) => (self.ended(loss), None),
            Next::Leave(status) => {
                self.leave().await;
                if status == Status::TimedOut {
                    self.last.push(Event::Fault("sockeye: the time is over".into()));
                }
                (status, None)
            }
        };
        // Those of the end.
        let _ = self.show_frames().await;
        let status = self.status.unwrap_or(status);
        let missed = self.missed();
        let is_missed = missed.is_some();
        self.last.extend(missed.map(|missed| Event::Fault(format!("sockeye: {missed}"))));
        let status = if is_missed && status == Status::Clean { Status::Unclean } else { status };
        Concluded { status, printer: self.printer, last: self.last, unopened }
    }

    fn ended(&mut self, loss: Loss) -> Status {
        match loss {
            Loss::Closed(Some(end @ End::Closed { .. })) => {
                let status = Status::of_end(&end);
                self.last.push(Event::Closed(end));
                status
            }
            Loss::NotConnected(error) | Loss::Failed(error) => {
                self.last.push(Event::Fault(format!("sockeye: {error}")));
                Status::of_error(&error)
            }
            _ => {
                self.last.push(Event::Fault("sockeye: the connection ended without a closing handshake".into()));
                Status::Network
            }
        }
    }

    /// Sends a Close, and does not wait for its answer.
    async fn leave(&mut self) {
        let Some(sender) = self.sender() else { return };
        let mut closing = pin!(sender.close(CloseCode::GOING_AWAY, ""));
        // While nobody receives, this writes what is queued and no more.
        let written = timeout(LEAVING, async {
            tokio::select! {
                biased;
                _ = &mut closing => {}
                _ = sender.flush() => {}
            }
        });
        // A server that takes nothing is left all the same.
        let _ = written.await;
    }

    fn sender(&self) -> Option<Sender> {
        self.sender.borrow().clone()
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

/// The next frame that is seen; never, where none are looked at.
async fn next_frame(frames: &mut Option<Frames>) -> Option<Event> {
    match frames {
        Some(frames) => frames.recv().await,
        None => std::future::pending().await,
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
