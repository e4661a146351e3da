//! A connection on the tokio floor: calls that are cancelled behind any poll, over a transport that takes and gives as
//! it likes. Nothing is lost, doubled or torn, whoever waits is woken, and the connection ends.

use std::{
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use crate::{
    KEEPALIVE, config, cuts, endpoint, other,
    reference::{Heard, Said, Terms, hear},
    script::{Conversation, Setup, payload},
    transport::{Task, Wire},
};
use sockeye::{
    CloseCode, Error, Kind, Message, PreparedMessage, Role, WebSocket,
    proto::{
        connection::{End, Event, Inbox},
        frame::ProtocolError,
    },
    stream::{Parts, Receiver, Sender},
};

mod sent;
mod world;

use sent::Sent;
use world::drive;
pub(crate) use world::{World, block_on};

/// More is not sent in one run, so that none takes long; it is more than twice what makes a sender wait.
const MAX_SENT: usize = 140 * 1024;

/// Holds one.
///
/// # Panics
///
/// When a promise is broken.
pub fn hold(role: Role, conversation: &Conversation<'_>) {
    let bytes = conversation.bytes(other(role));
    block_on(async {
        let mut talk = Talk::begin(role, conversation.setup, &bytes);
        for (choice, argument) in conversation.script.steps() {
            talk.step(choice, argument).await;
        }
        talk.end().await;
    });
}

struct Talk<'a> {
    setup: Setup,
    world: World<'a>,
    heard: Heard,
    ends: Ends,
    told: usize,
    /// Whether a cancelled call may have passed over control frames.
    may_have_passed: bool,
    sent: Sent,
    number: u32,
    len: usize,
    /// Whether our side has closed or given up: messages may be discarded.
    closing: bool,
    /// Whether nothing can be compared any more.
    refused: bool,
    /// What the receiver was told of the end.
    verdict: Option<Verdict>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Clean,
    Error,
}

enum Ends {
    Whole(WebSocket<Wire>),
    Split(Sender<Wire>, Option<Receiver<Wire>>),
    Gone,
}

/// Calls what both kinds of senders have.
macro_rules! sending {
    ($talk:expr, $sender:ident => $call:expr) => {
        match &mut $talk.ends {
            Ends::Whole($sender) => $call,
            Ends::Split($sender, _) => $call,
            Ends::Gone => return,
        }
    };
}

/// Calls what both kinds of receivers have.
macro_rules! receiving {
    ($talk:expr, $receiver:ident => $call:expr) => {
        match &mut $talk.ends {
            Ends::Whole($receiver) => $call,
            Ends::Split(_, Some($receiver)) => $call,
            Ends::Split(_, None) | Ends::Gone => return,
        }
    };
}

/// Polls at most so many times, woken or not, and cancels then.
fn cancelled<F: Future>(future: F, polls: u8) -> Option<F::Output> {
    let (task, mut future) = (Task::default(), pin!(future));
    (0..polls).find_map(|_| match task.poll(future.as_mut()) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

impl<'a> Talk<'a> {
    fn begin(role: Role, setup: Setup, bytes: &'a [u8]) -> Self {
        let deflate = setup.deflate();
        let theirs = deflate.as_ref().map(|deflate| match role {
            Role::Server => (deflate.agreed.client_max_window_bits, !deflate.agreed.client_no_context_takeover),
            Role::Client => (deflate.agreed.server_max_window_bits, !deflate.agreed.server_no_context_takeover),
        });
        let max_message = (!setup.has(Setup::UNLIMITED)).then_some(setup.max_message());
        let heard = hear(Terms { role, max_message, deflate: theirs }, bytes);
        let config = config(role, setup.max_message(), setup.has(Setup::KEEPALIVE));
        let connection = endpoint(config, role, deflate.as_ref(), tokio::time::Instant::now().into_std());
        let world = World::new(setup, bytes);
        let ws = WebSocket::new(world.wire.clone(), connection, Inbox::new());
        let ends = if setup.way() & 1 == 0 {
            Ends::Whole(ws)
        } else {
            let (sender, receiver) = ws.split();
            Ends::Split(sender, Some(receiver))
        };
        Self {
            setup,
            world,
            heard,
            ends,
            told: 0,
            may_have_passed: false,
            sent: Sent::new(role, deflate.as_ref()),
            number: 0,
            len: 0,
            closing: false,
            refused: false,
            verdict: None,
        }
    }

    async fn step(&mut self, choice: u8, argument: u8) {
        let polls = (argument & 7) + 1;
        match choice % 16 {
            0 => drop(self.world.push(usize::from(argument) + 1)),
            1 => drop(self.world.push(cuts::length(argument))),
            2 | 3 => self.recv(polls),
            4 => self.recv_event(polls),
            // Only without a limit is a message the same, whoever takes it.
            5 if self.setup.has(Setup::UNLIMITED) => self.read(argument),
            5 => self.recv(polls),
            6 => self.send(choice, argument, polls),
            7 => self.feed(argument),
            8 => {
                let flushed = sending!(self, sender => cancelled(sender.flush(), polls));
                self.judge(flushed);
            }
            9 => self.ping(polls),
            10 => self.send_in_parts(argument),
            11 => self.close(argument),
            12 => self.world.set_room(usize::from(argument) * 4),
            13 => self.world.wait(Duration::from_millis(u64::from(argument).pow(2) / 2)).await,
            14 => self.take_apart_or_both(argument),
            _ => match argument {
                0..8 => self.world.end(),
                8..12 => self.world.tear(),
                12..16 => self.drop_receiver(),
                _ => self.send_prepared(argument),
            },
        }
    }

    // ── receiving ──

    fn recv(&mut self, polls: u8) {
        self.may_have_passed = true;
        let received = receiving!(self, receiver => cancelled(receiver.recv(), polls));
        self.received(received.map(|received| received.map(|message| message.map(Event::Message))));
    }

    fn recv_event(&mut self, polls: u8) {
        let received = receiving!(self, receiver => cancelled(receiver.recv_event(), polls));
        if let Some(Ok(Some(event))) = &received
            && !self.closing
            && !self.may_have_passed
        {
            let next = self.heard.said.get(self.told).map(|(_, said)| said);
            assert!(next.is_some_and(|said| said == event), "{event:?}, not {next:?}");
        }
        self.received(received);
    }

    fn received(&mut self, received: Option<Result<Option<Event>, Error>>) {
        match received {
            None => {}
            Some(Ok(Some(event))) => self.hear(&event),
            Some(Ok(None)) => self.clean_end(),
            Some(Err(error)) => self.error(&error),
        }
    }

    /// Whether what came was discarded and not held, so that a limit which the reference has met did not apply.
    fn is_beyond_reference(&self) -> bool {
        self.refused || self.closing && matches!(self.heard.fault, Some((_, ProtocolError::MessageTooBig { .. })))
    }

    /// Compares an event to what is said next. `recv` passes over control frames, and `close` over messages too.
    fn hear(&mut self, event: &Event) {
        assert_eq!(self.verdict, None, "{event:?} behind the end");
        if self.is_beyond_reference() {
            return;
        }
        let is_message = matches!(event, Event::Message(_));
        let rest = self.heard.said[self.told..].iter();
        let next = rest.enumerate().find(|(_, (_, said))| {
            match (self.closing, self.may_have_passed || is_message) {
                (true, _) => said == event,
                // Messages come one after the other, whatever is between.
                (false, true) => said.is_message() || said == event,
                (false, false) => true,
            }
        });
        match next {
            Some((passed, (at, said))) if said == event => {
                assert!(*at <= self.world.fed, "{event:?} too early");
                self.told += passed + 1;
                self.may_have_passed = false;
            }
            other => panic!("{event:?}, not {other:?}"),
        }
    }

    /// Reads a message in chunks, and may leave off in the middle.
    fn read(&mut self, argument: u8) {
        let polls = (argument & 7) + 1;
        self.may_have_passed = true;
        let next = self.heard.said[self.told..].iter().position(|(_, said)| said.is_message());
        let (mut bytes, mut complete, mut failed) = (Vec::new(), false, None);
        let opened = match receiving!(self, receiver => cancelled(receiver.recv_reader(), polls)) {
            None => return,
            Some(Ok(None)) => Ok(false),
            Some(Err(error)) => Err(error),
            Some(Ok(Some(mut reader))) => {
                for _ in 0..argument >> 3 {
                    match cancelled(reader.next(), polls) {
                        None => {}
                        Some(Ok(Some(chunk))) => {
                            assert!((1..=64 * 1024).contains(&chunk.len()), "a chunk of {} bytes", chunk.len());
                            bytes.extend_from_slice(&chunk);
                        }
                        Some(Ok(None)) => {
                            complete = true;
                            break;
                        }
                        Some(Err(error)) => {
                            failed = Some(error);
                            break;
                        }
                    }
                }
                Ok(true)
            }
        };
        match opened {
            Ok(true) => {}
            Ok(false) => return self.clean_end(),
            Err(error) => return self.error(&error),
        }
        if !self.closing {
            self.has_read(next, &bytes, complete);
        }
        match failed {
            // A peer may close in the middle of its message.
            Some(Error::Lost) if matches!(self.heard.said.last(), Some((_, Said::Close(_)))) => {}
            Some(error) => self.error(&error),
            None => {}
        }
    }

    fn has_read(&mut self, next: Option<usize>, bytes: &[u8], complete: bool) {
        let message = next.map(|passed| &self.heard.said[self.told + passed].1);
        let message = match message {
            Some(Said::Message { bytes, .. }) => bytes,
            _ => &self.heard.open,
        };
        if complete {
            assert!(next.is_some() && message == bytes, "{bytes:x?}, not {message:x?}");
        } else {
            assert!(message.starts_with(bytes), "{bytes:x?}, not the beginning of {message:x?}");
        }
        // The rest of it is passed over.
        self.told = next.map_or(self.heard.said.len(), |passed| self.told + passed + 1);
    }

    fn clean_end(&mut self) {
        assert!(self.verdict.is_none_or(|verdict| verdict == Verdict::Clean), "a clean end behind an error");
        self.verdict = Some(Verdict::Clean);
        if self.is_beyond_reference() {
            return;
        }
        let last = self.heard.said_within(self.world.fed);
        assert!(
            last == self.heard.said.len() && matches!(self.heard.said.last(), Some((_, Said::Close(_)))),
            "a clean end without a Close"
        );
        assert!(self.end_of_ours().is_some_and(|end| end.is_clean()));
        self.assert_all_told();
    }

    fn error(&mut self, error: &Error) {
        match error {
            Error::Protocol(fault) => self.fault(*fault),
            Error::Lost => {
                assert!(self.world.ended || self.world.torn, "lost, and nothing has ended");
                if !self.world.torn {
                    self.assert_all_told();
                }
            }
            Error::Io(_) => assert!(self.world.torn, "{error:?}"),
            Error::TimedOut(_) => {
                assert!(self.closing || self.setup.has(Setup::KEEPALIVE), "{error:?}");
                assert!(self.world.waited >= KEEPALIVE.timeout, "{error:?} too early");
            }
            Error::Closed => assert!(self.closing || self.verdict == Some(Verdict::Error), "{error:?}"),
            other => panic!("{other:?}"),
        }
        if !matches!(error, Error::Closed) {
            assert_eq!(self.verdict, None, "told twice: {error:?}");
        }
        self.verdict = Some(Verdict::Error);
    }

    fn fault(&mut self, fault: ProtocolError) {
        let is_held = !self.setup.has(Setup::UNLIMITED);
        if fault == ProtocolError::TooManyFinalBlocks {
            self.refused = true;
            return;
        }
        if fault == ProtocolError::InvalidDeflate
            && self.heard.fault_within(self.world.fed) != Some(fault)
            && self.heard.may_be_refused(is_held)
        {
            self.refused = true;
            return;
        }
        // One that nobody is to hold may announce more than the limit that stands for none.
        if self.setup.has(Setup::UNLIMITED) && matches!(fault, ProtocolError::MessageTooBig { .. }) {
            self.refused = true;
            return;
        }
        if !self.is_beyond_reference() {
            assert_eq!(self.heard.fault_within(self.world.fed), Some(fault));
            self.assert_all_told();
        }
    }

    fn assert_all_told(&self) {
        if !self.closing && !self.refused {
            let rest = &self.heard.said[self.told..self.heard.said_within(self.world.fed).max(self.told)];
            assert!(rest.iter().all(|(_, said)| !said.is_message()), "never told: {rest:?}");
        }
    }

    // ── sending ──

    fn next_message(&mut self, kind: u8, size: u8) -> Option<Message> {
        self.number += 1;
        let bytes = payload(self.number, size);
        self.len += bytes.len();
        (self.len <= MAX_SENT).then(|| match kind % 2 {
            0 => bytes.into(),
            _ => String::from_utf8(bytes).expect("it is ASCII").into(),
        })
    }

    fn send(&mut self, choice: u8, argument: u8, polls: u8) {
        let Some(message) = self.next_message(choice >> 4, argument >> 3) else { return };
        self.sent.begin(self.number, &message);
        let sent = sending!(self, sender => cancelled(sender.send(message), polls));
        self.judge_message(sent);
    }

    fn feed(&mut self, argument: u8) {
        let Some(message) = self.next_message(argument, argument >> 3) else { return };
        self.sent.begin(self.number, &message);
        let sent = sending!(self, sender => cancelled(sender.feed(message), 1));
        self.judge_message(sent);
    }

    fn send_prepared(&mut self, argument: u8) {
        let Some(message) = self.next_message(argument, argument >> 3) else { return };
        self.sent.begin(self.number, &message);
        let prepared = PreparedMessage::new(message);
        let sent = sending!(self, sender => cancelled(sender.send_prepared(&prepared), (argument & 7) + 1));
        self.judge_message(sent);
    }

    fn ping(&mut self, polls: u8) {
        self.number += 1;
        let sent = sending!(self, sender => cancelled(sender.ping(payload(self.number, 0)), polls));
        self.judge(sent);
    }

    /// Sends a message in parts; it may be given up in the middle.
    fn send_in_parts(&mut self, argument: u8) {
        let Some(message) = self.next_message(argument, argument >> 4) else { return };
        let (number, kind) = (self.number, message.kind());
        let polls = (argument >> 1 & 3) + 1;
        let payload = message.clone().into_bytes();
        let half = payload.len() / 2;
        let (mut begun, mut finished, mut failed) = (false, false, None);
        let begin = sending!(self, sender => {
            match cancelled(sender.begin(kind), polls) {
                None => return,
                Some(Ok(mut writer)) => {
                    for part in [payload.slice(..half), payload.slice(half..)] {
                        if let Some(Err(error)) = cancelled(writer.write(part), polls) {
                            failed = Some(error);
                        } else {
                            begun = true;
                        }
                    }
                    if argument & 0x80 == 0 || failed.is_some() {
                        if let Some(Err(error)) = cancelled(writer.finish(), polls) {
                            failed = Some(error);
                        } else {
                            finished = true;
                        }
                    } else {
                        drop(writer);
                    }
                    None
                }
                Some(Err(error)) => Some(error),
            }
        });
        if let Some(error) = begin.or(failed) {
            self.judge(Some(Err(error)));
        }
        if begun {
            self.sent.begin(number, &message);
            if finished {
                self.sent.is_certain();
            } else {
                self.sent.is_given_up();
                self.closing = true;
            }
        }
    }

    fn judge_message(&mut self, sent: Option<Result<(), Error>>) {
        match &sent {
            Some(Ok(())) => self.sent.is_certain(),
            // What is lost with the transport was queued.
            Some(Err(Error::Closed)) if !self.world.torn && self.world.waited.is_zero() => self.sent.is_refused(),
            _ => {}
        }
        self.judge(sent);
    }

    /// Judges what a sender was told.
    fn judge(&self, sent: Option<Result<(), Error>>) {
        let Some(Err(error)) = sent else { return };
        let is_over = self.closing
            || self.verdict.is_some()
            || self.world.ended
            || self.world.torn
            || self.setup.has(Setup::KEEPALIVE)
            || self.refused
            || self.heard.fault_within(self.world.fed).is_some()
            || matches!(self.heard.said.last(), Some((at, Said::Close(_))) if *at <= self.world.fed)
            // Refused by an inflater that may, or a fault of which the receiver has not been told.
            || self.end_of_ours().is_some();
        assert!(is_over, "{error:?} while the connection is open");
        assert!(!matches!(error, Error::Send(_)), "{error:?}");
    }

    fn close(&mut self, argument: u8) {
        let polls = (argument & 7) + 1;
        self.closing = true;
        self.sent.close(3000, "enough");
        let closed = sending!(self, sender => {
            cancelled(sender.close(CloseCode::new(3000).expect("it may be sent"), "enough"), polls)
        });
        if let Some(Ok(())) = closed {
            assert!(self.end_of_ours().is_some_and(|end| end.is_clean()));
        }
    }

    // ── both ──

    fn end_of_ours(&self) -> Option<End> {
        match &self.ends {
            Ends::Whole(ws) => ws.end(),
            Ends::Split(sender, _) => sender.end(),
            Ends::Gone => None,
        }
    }

    /// Takes a connection apart and puts it together, or polls both halves at once.
    fn take_apart_or_both(&mut self, argument: u8) {
        match std::mem::replace(&mut self.ends, Ends::Gone) {
            Ends::Whole(ws) if ws.end().is_none() && self.verdict.is_none() => {
                let Parts { io, connection, inbox, .. } = ws.into_parts().expect("nobody else has a share");
                let Some(io) = io else { panic!("no transport, and no end") };
                self.ends = Ends::Whole(WebSocket::new(io, connection, inbox));
            }
            Ends::Split(sender, Some(mut receiver)) => {
                let Some(message) = self.next_message(argument, argument >> 3) else {
                    self.ends = Ends::Split(sender, Some(receiver));
                    return;
                };
                self.sent.begin(self.number, &message);
                self.may_have_passed = true;
                let (mut received, mut sent) = (None, None);
                {
                    let (mut recv, mut send) = (pin!(receiver.recv()), pin!(sender.send(message)));
                    let (reader, writer) = (Task::default(), Task::default());
                    for _ in 0..=argument & 7 {
                        if sent.is_none()
                            && let Poll::Ready(output) = writer.poll(send.as_mut())
                        {
                            sent = Some(output);
                        }
                        if received.is_none()
                            && let Poll::Ready(output) = reader.poll(recv.as_mut())
                        {
                            received = Some(output);
                        }
                    }
                }
                self.ends = Ends::Split(sender, Some(receiver));
                self.judge_message(sent);
                self.received(received.map(|received| received.map(|message| message.map(Event::Message))));
            }
            ends => self.ends = ends,
        }
    }

    fn drop_receiver(&mut self) {
        if let Ends::Split(_, receiver) = &mut self.ends {
            *receiver = None;
            // Nobody hears the rest.
            self.told = self.heard.said.len();
            self.refused = true;
        }
    }

    // ── the end ──

    /// Has everything come and go. Nobody is polled who was not woken.
    async fn end(mut self) {
        let closes = self.setup.pace[0] & 1 == 1;
        match std::mem::replace(&mut self.ends, Ends::Gone) {
            Ends::Whole(mut ws) => {
                if closes {
                    self.closing = true;
                    self.sent.close(1000, "");
                    let closed = drive(&mut self.world, ws.close(CloseCode::NORMAL, "")).await;
                    assert!(closed.is_err() || ws.end().is_some_and(|end| end.is_clean()));
                } else {
                    let task = Task::default();
                    loop {
                        let received = recv_woken(&task, &mut self.world, &mut ws).await;
                        let goes_on = matches!(received, Ok(Some(_)));
                        let received = received.map(|message| message.map(Event::Message));
                        self.ends = Ends::Whole(ws);
                        self.received(Some(received));
                        let Ends::Whole(back) = std::mem::replace(&mut self.ends, Ends::Gone) else { return };
                        ws = back;
                        if !goes_on {
                            break;
                        }
                    }
                }
                assert!(matches!(cancelled(ws.recv(), 1), Some(Ok(None) | Err(Error::Closed | Error::Io(_)))));
                assert!(matches!(cancelled(ws.send("late"), 1), Some(Err(_))), "sent behind the end");
                let end = ws.end().expect("it has ended");
                self.check_output(&end);
            }
            Ends::Split(sender, receiver) => {
                let end = self.end_halves(sender, receiver).await;
                self.check_output(&end);
            }
            Ends::Gone => unreachable!("they are put back"),
        }
    }

    async fn end_halves(&mut self, sender: Sender<Wire>, receiver: Option<Receiver<Wire>>) -> End {
        self.closing = true;
        self.sent.close(1000, "");
        let last = self.next_message(0, 0);
        if let Some(last) = &last {
            self.sent.begin(self.number, last);
        }
        let (mut messages, mut last_sent, beside) = (Vec::new(), None, sender.clone());
        {
            let send = async {
                if let Some(last) = last {
                    last_sent = Some(beside.send(last).await);
                }
            };
            let close = async { drop(sender.close(CloseCode::NORMAL, "").await) };
            let receive = async {
                let Some(mut receiver) = receiver else { return };
                while let Ok(Some(message)) = receiver.recv().await {
                    messages.push(message);
                }
            };
            let future: [Pin<Box<dyn Future<Output = ()>>>; 3] = [Box::pin(send), Box::pin(close), Box::pin(receive)];
            let all = ["sends", "closes", "receives"].into_iter().zip(future);
            let mut tasks: Vec<_> = all.map(|(what, future)| (what, Task::default(), future)).collect();
            while !tasks.is_empty() {
                tasks.retain_mut(|(_, task, future)| !task.is_woken() || task.poll(future.as_mut()).is_pending());
                if !tasks.is_empty() && tasks.iter().all(|(_, task, _)| !task.is_woken()) {
                    let queued = sender.queued();
                    assert!(!self.world.takes_now() || queued == 0, "{queued} bytes are not written before all wait");
                    let asleep: Vec<&str> = tasks.iter().map(|(what, ..)| *what).collect();
                    assert!(self.world.go_on().await, "nobody wakes what {asleep:?}");
                }
            }
        }
        if let Some(Ok(())) = last_sent {
            self.sent.is_certain();
        }
        messages.into_iter().for_each(|message| self.hear(&Event::Message(message)));
        assert!(matches!(cancelled(sender.send("late"), 1), Some(Err(_))), "sent behind the end");
        sender.end().expect("it has ended")
    }

    fn check_output(&self, end: &End) {
        let output = self.world.wire.take_output();
        let is_whole =
            self.world.takes_everything() && matches!(end, End::Closed { .. } | End::Failed(_) | End::Abandoned);
        let pings =
            self.heard.said[..self.heard.said_within(self.world.fed)].iter().filter_map(|(_, said)| match said {
                Said::Ping(payload) => Some(&payload[..]),
                _ => None,
            });
        let keepalive = self.setup.has(Setup::KEEPALIVE);
        self.sent.check(&output, is_whole, keepalive, end, &pings.collect::<Vec<_>>());
    }
}

/// Receives; what is queued has to be written before it waits. Nobody polls who was not woken.
async fn recv_woken(task: &Task, world: &mut World<'_>, ws: &mut WebSocket<Wire>) -> Result<Option<Message>, Error> {
    task.wake();
    loop {
        while task.is_woken() {
            if let Poll::Ready(received) = task.poll(pin!(ws.recv())) {
                return received;
            }
        }
        assert!(!world.takes_now() || ws.queued() == 0, "{} bytes are not written before it waits", ws.queued());
        assert!(world.go_on().await, "nobody wakes it");
    }
}

/// How a message of a kind begins.
pub(crate) const fn first_opcode(kind: Kind) -> u8 {
    match kind {
        Kind::Text => crate::frames::TEXT,
        Kind::Binary => crate::frames::BINARY,
    }
}
