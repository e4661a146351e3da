//! A connection on the tokio floor: calls that are cancelled behind any poll, over a transport that takes and gives as
//! it likes. Nothing is lost, doubled or torn, whoever waits is woken, and the connection ends.

use std::{pin::pin, task::Poll, time::Duration};

use crate::{
    cuts, endpoint, other,
    reference::{Heard, hear},
    script::{Conversation, Setup},
    set_up,
    transport::{Task, Wire},
};
use sockeye::{
    Kind, Role, WebSocket,
    proto::connection::{End, Event, Inbox},
    stream::{Parts, Receiver, Sender},
};

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

mod ending;
mod pot;
mod receiving;
mod sending;
mod sent;
mod world;

pub(crate) use pot::Pot;
use sent::Sent;
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
            talk.check_held();
        }
        talk.end().await;
    });
}

struct Talk<'a> {
    setup: Setup,
    world: World<'a>,
    /// The memory that it may hold together with others.
    pot: Option<Pot>,
    heard: Heard,
    /// The same where messages are discarded, if a limit of those that are held makes a difference.
    discarded: Option<Heard>,
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
        let heard = hear(setup.terms(role, !setup.has(Setup::UNLIMITED)), bytes);
        let is_limited = heard.fault.is_some_and(|(_, fault)| receiving::is_too_big(fault));
        let discarded = is_limited.then(|| hear(setup.terms(role, false), bytes));
        let (deflate, now) = (setup.deflate(), tokio::time::Instant::now().into_std());
        let connection = endpoint(set_up(role, setup), role, deflate.as_ref(), now);
        let (world, pot) = (World::new(setup, bytes), Pot::new(setup.habits));
        let mut ws = WebSocket::new(world.wire.clone(), connection, Inbox::new());
        if let Some(pot) = &pot {
            ws = pot.share(ws);
        }
        let ends = if setup.way() & 1 == 0 {
            Ends::Whole(ws)
        } else {
            let (sender, receiver) = ws.split();
            Ends::Split(sender, Some(receiver))
        };
        Self {
            setup,
            world,
            pot,
            heard,
            discarded,
            ends,
            told: 0,
            may_have_passed: false,
            sent: Sent::new(role, setup),
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
            8 if argument >= 0x80 => self.drained(argument),
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
                let ws = WebSocket::new(io, connection, inbox);
                self.ends = Ends::Whole(match &self.pot {
                    Some(pot) => pot.share(ws),
                    None => ws,
                });
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

    /// What is held keeps to the limits. With permessage-deflate, the state of the codecs counts, which no limit is for.
    fn check_held(&self) {
        if let Some(pot) = &self.pot {
            pot.held();
        }
        let (Ends::Whole(ws), Some(limit)) = (&self.ends, self.setup.habits.max_retained()) else { return };
        let held = ws.retained().checked_sub(ws.queued()).expect("what is queued is held");
        let is_read = self.setup.has(Setup::UNLIMITED) || self.setup.has(Setup::DEFLATE);
        // Beside the message, a control frame may be unfinished.
        assert!(is_read || self.closing || held <= limit + 400, "{held} bytes are held of what came");
    }

    fn drop_receiver(&mut self) {
        if let Ends::Split(_, receiver) = &mut self.ends {
            *receiver = None;
            // Nobody hears the rest.
            self.told = self.heard.said.len();
            self.refused = true;
        }
    }
}

/// How a message of a kind begins.
pub(crate) const fn first_opcode(kind: Kind) -> u8 {
    match kind {
        Kind::Text => crate::frames::TEXT,
        Kind::Binary => crate::frames::BINARY,
    }
}
