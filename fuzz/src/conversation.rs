//! A whole connection without I/O: any bytes of the peer in any pieces, any commands and times between.

use std::time::{Duration, Instant};

use sockeye::{
    CloseFrame, Kind, Role,
    proto::{
        connection::{Connection, Delivery, End, Event, Inbox, Initiator, SendError},
        frame::ProtocolError,
    },
};

use crate::{
    cuts, endpoint,
    frames::{PING, PONG, close_payload},
    habits::Habits,
    heap, other,
    output::{Output, Want},
    reference::{Heard, Said, close_code, hear},
    script::{Conversation, Setup},
    set_up,
};

mod out;
mod slow;
mod time;

/// From how many bytes of Pongs on only the newest is owed (ARCHITECTURE.md, Decisions).
const MAX_PONG_BYTES: usize = 4096;
/// More is not sent in one conversation, so that none takes long.
const MAX_SENT: usize = 256 * 1024;
const INBOX: usize = 1024;

/// Holds one.
///
/// # Panics
///
/// When a promise is broken.
pub fn hold(role: Role, conversation: &Conversation<'_>) {
    let bytes = conversation.bytes(other(role));
    let mut talk = Talk::begin(role, conversation.setup, &bytes);
    for (choice, argument) in conversation.script.steps() {
        talk.step(choice, argument);
        talk.check_state();
    }
    while talk.feed(conversation.setup.cut()) {
        talk.check_state();
    }
    talk.end();
}

struct Talk<'a> {
    role: Role,
    setup: Setup,
    habits: Habits,
    bytes: &'a [u8],
    heard: Heard,
    connection: Connection,
    inbox: Inbox,
    now: Instant,
    output: Output,
    /// How many bytes of the peer were taken in, and how many of its sayings have come out.
    fed: usize,
    told: usize,
    /// The message of which chunks have come.
    chunks: Vec<u8>,
    stage: Stage,
    /// Whether the receiving side has stopped.
    deaf: bool,
    /// Whether nothing can be compared any more.
    refused: bool,
    dropped: bool,
    part: Option<Part>,
    sent: usize,
    number: u32,
    pongs: Pongs,
    pings: u32,
    /// When the last unanswered keepalive Ping went out.
    asked: Option<Instant>,
    /// Until when the transport had nothing to take, or took it; and until when nothing was queued.
    taken: Instant,
    emptied: Instant,
    /// When bytes came last, and the Pings of the last second.
    heard_at: Instant,
    heard_pings: Vec<Instant>,
    /// Whether the Close is that of the policy for slow readers, whose words are its own.
    is_too_slow: bool,
    /// How many bytes receiving has left on the heap, and how many were queued at the most.
    retained: isize,
    queued: usize,
}

/// Where the endpoint has to be.
#[derive(Clone, Debug, PartialEq)]
enum Stage {
    Open,
    CloseSent { at: Instant, payload: Vec<u8> },
    Ended(End),
}

struct Part {
    kind: Kind,
    compressed: bool,
    begun: bool,
}

/// The Pongs that wait to be written.
#[derive(Default)]
struct Pongs {
    bytes: usize,
    /// What has been written in all when they are out.
    until: u64,
    owed: Option<Vec<u8>>,
    written: u64,
}

impl<'a> Talk<'a> {
    fn begin(role: Role, setup: Setup, bytes: &'a [u8]) -> Self {
        let deflate = setup.deflate();
        let heard = hear(setup.terms(role, setup.delivery() == Some(Delivery::Whole)), bytes);
        let now = Instant::now();
        Self {
            role,
            setup,
            habits: setup.habits,
            bytes,
            heard,
            connection: endpoint(set_up(role, setup), role, deflate.as_ref(), now),
            inbox: Inbox::with_capacity(INBOX),
            now,
            output: Output::new(role, deflate.as_ref()).of_dropping(setup.habits.may_drop()),
            fed: 0,
            told: 0,
            chunks: Vec::new(),
            stage: Stage::Open,
            deaf: false,
            refused: false,
            dropped: false,
            part: None,
            sent: 0,
            number: 0,
            pongs: Pongs::default(),
            pings: 0,
            asked: None,
            taken: now,
            emptied: now,
            heard_at: now,
            heard_pings: Vec::new(),
            is_too_slow: false,
            retained: 0,
            queued: 0,
        }
    }

    fn step(&mut self, choice: u8, argument: u8) {
        match choice % 16 {
            0 | 1 => {
                self.feed(usize::from(argument) + 1);
            }
            2 => {
                self.feed(cuts::length(argument));
            }
            3 | 4 => self.send(choice, argument),
            5 => self.send_prepared(argument),
            6 => self.control(PING, argument),
            7 => self.control(PONG, argument),
            8 => self.begin_parts(argument),
            9 | 10 => self.send_part(argument),
            11 if argument.is_multiple_of(8) => self.abandon(),
            11 => self.transmit(usize::MAX),
            12 => self.transmit(cuts::length(argument)),
            13 => self.wait(Duration::from_millis(u64::from(argument).pow(2))),
            14 => self.close(argument),
            _ if argument.is_multiple_of(4) => self.eof(),
            _ => self.wait(Duration::ZERO),
        }
    }

    // ── in ──

    /// Feeds the next bytes; `false` if there are none.
    fn feed(&mut self, len: usize) -> bool {
        let piece = &self.bytes[self.fed..][..len.min(self.bytes.len() - self.fed)];
        if piece.is_empty() || self.refused || self.stage == Stage::Ended(End::Lost) {
            return false;
        }
        let ((), _, grown) = heap::measured(|| self.inbox.extend(piece));
        self.retained += grown;
        self.fed += piece.len();
        if !self.deaf {
            self.asked = None;
            self.heard_at = self.now;
        }
        while let Some(event) = self.receive() {
            self.hear(&event);
            let ((), _, freed) = heap::measured(|| drop(event));
            self.retained += freed;
        }
        assert!(self.inbox.is_empty(), "bytes were left in the inbox");
        if !self.deaf && !self.refused {
            let (told, fault) = (self.heard.said_within(self.fed), self.heard.fault_within(self.fed));
            assert_eq!(fault, None, "a fault that does not show in time");
            if self.setup.delivery() == Some(Delivery::Discard) {
                self.skip_messages();
            }
            assert_eq!(self.told, told, "what is said shows as soon as it is said");
        }
        self.check_memory();
        true
    }

    fn delivery(&self) -> Delivery {
        let at = self.fed + self.told;
        self.setup.delivery().unwrap_or(if at.is_multiple_of(3) { Delivery::Chunks } else { Delivery::Whole })
    }

    fn receive(&mut self) -> Option<Event> {
        let delivery = self.delivery();
        let encoded = self.encoded();
        let (received, peak, grown) =
            heap::measured(|| self.connection.receive_as(&mut self.inbox, delivery, self.now));
        self.retained += grown;
        assert!(peak <= self.memory_bound(), "{peak} bytes at once for {} that came", self.fed);
        match received {
            Ok(event) => {
                if let Some(Event::Ping(payload)) = &event {
                    self.answer(payload, encoded);
                }
                event
            }
            Err(fault) => {
                self.fault(fault);
                None
            }
        }
    }

    fn hear(&mut self, event: &Event) {
        assert!(!self.deaf, "{event:?} behind the end");
        if self.setup.delivery() == Some(Delivery::Discard) {
            assert!(!matches!(event, Event::Message(_) | Event::Chunk(_)), "{event:?} that was to be discarded");
            self.skip_messages();
        }
        let said = self.heard.said.get(self.told);
        if let Event::Chunk(chunk) = event {
            assert!(self.setup.delivery().is_none_or(|delivery| delivery == Delivery::Chunks));
            assert!(chunk.fin || !chunk.bytes.is_empty(), "an empty chunk that is not the last");
            self.chunks.extend_from_slice(&chunk.bytes);
            if !chunk.fin {
                assert!(self.open_message().starts_with(&self.chunks), "chunks that nobody sent");
                return;
            }
            let bytes = std::mem::take(&mut self.chunks);
            let is_text = chunk.kind == Kind::Text;
            assert_eq!(said.map(|(_, said)| said), Some(&Said::Message { is_text, bytes }));
        } else {
            assert!(said.is_some_and(|(_, said)| said == event), "{event:?}, not {said:?}");
        }
        let at = said.map_or(0, |(at, _)| *at);
        assert!(at <= self.fed, "{event:?} {} bytes too early", at - self.fed);
        self.told += 1;
        if let Event::Close(theirs) = event {
            self.closed(theirs.clone());
        }
    }

    /// The message that is said next, or the one that is open at the end.
    fn open_message(&self) -> &[u8] {
        let messages = self.heard.said[self.told..].iter();
        messages
            .filter_map(|(_, said)| match said {
                Said::Message { bytes, .. } => Some(&bytes[..]),
                _ => None,
            })
            .next()
            .unwrap_or(&self.heard.open)
    }

    fn skip_messages(&mut self) {
        let until = self.heard.said_within(self.fed);
        while self.told < until && self.heard.said[self.told].1.is_message() {
            self.told += 1;
        }
    }

    fn closed(&mut self, theirs: Option<CloseFrame>) {
        self.deaf = true;
        let payload = theirs.as_ref().map_or_else(Vec::new, frame_payload);
        match std::mem::replace(&mut self.stage, Stage::Open) {
            Stage::Open => {
                self.output.want(Want::Close { payload });
                self.pongs.owed = None;
                self.stage = Stage::Ended(End::Closed { by: Initiator::Peer, ours: theirs.clone(), theirs });
            }
            Stage::CloseSent { payload, .. } => {
                let ours = match self.connection.end() {
                    Some(End::Closed { ours, .. }) if self.is_too_slow => {
                        assert_eq!(ours.as_ref().map(|ours| ours.code.get()), self.habits.policy_code());
                        ours.clone()
                    }
                    _ => CloseFrame::parse(&payload.into()).expect("what was sent is valid"),
                };
                self.stage = Stage::Ended(End::Closed { by: Initiator::Us, ours, theirs });
            }
            ended @ Stage::Ended(_) => self.stage = ended,
        }
    }

    fn fault(&mut self, fault: ProtocolError) {
        assert!(!self.deaf, "{fault:?} behind the end");
        if self.setup.delivery() == Some(Delivery::Discard) {
            self.skip_messages();
        }
        let is_held = self.setup.delivery() == Some(Delivery::Whole);
        let expected = self.heard.fault_within(self.fed);
        let in_order = expected == Some(fault) && self.told == self.heard.said.len();
        // Messages beyond the limit are fine in chunks and not as a whole, and here it changes.
        let is_too_big = matches!(fault, ProtocolError::MessageTooBig { .. } | ProtocolError::InflatedTooBig { .. })
            && self.setup.delivery().is_none();
        if !in_order {
            let is_allowed = fault == ProtocolError::InvalidDeflate && self.heard.may_be_refused(is_held)
                || fault == ProtocolError::TooManyFinalBlocks
                || is_too_big
                || self.habits.may_fail(fault, self.pings_lately() + 1, self.memory_bound(), Duration::ZERO);
            assert!(is_allowed, "{fault:?} behind {} of {:?}", self.told, self.heard);
            self.refused = true;
        }
        self.deaf = true;
        if self.stage == Stage::Open {
            self.output.want(Want::Fault { code: close_code(fault) });
            self.pongs.owed = None;
        }
        self.stage = Stage::Ended(End::Failed(fault));
    }

    fn eof(&mut self) {
        self.connection.receive_eof();
        self.deaf = true;
        if !matches!(self.stage, Stage::Ended(_)) {
            self.stage = Stage::Ended(End::Lost);
        }
        assert!(matches!(self.receive_nothing(), Ok(None)));
    }

    fn receive_nothing(&mut self) -> Result<Option<Event>, ProtocolError> {
        self.connection.receive(&mut self.inbox, self.now)
    }

    // ── checks ──

    fn check_state(&mut self) {
        self.queued = self.queued.max(self.connection.queued());
        assert_eq!(self.connection.is_open(), self.stage == Stage::Open);
        let end = match &self.stage {
            Stage::Ended(end) => Some(end),
            _ => None,
        };
        assert_eq!(self.connection.end(), end);
        assert_eq!(self.connection.wants_shutdown(), end.is_some());
        assert_eq!(self.connection.role(), self.role);
    }

    /// What may be in use for what has come: twice the bytes of a message, an inbox, and a few chunks and frames.
    fn memory_bound(&self) -> usize {
        let longest = match self.setup.has(Setup::DEFLATE) {
            // An inflater, its pool, and what a message inflates to.
            true => 512 * 1024 + self.setup.max_message().min(self.fed * 1032) + 128 * 1024,
            false => self.fed.min(self.setup.max_message().max(64 * 1024)),
        };
        2 * longest
            + 2 * self.inbox.capacity().max(self.fed)
            + 2 * self.queued.max(self.connection.queued())
            + 16 * 1024
    }

    fn check_memory(&self) {
        self.check_retained();
        let bound = self.memory_bound() as isize;
        assert!(self.retained <= bound, "{} bytes kept for {} that came", self.retained, self.fed);
    }

    /// With permessage-deflate, the state of the codecs counts too, which no limit is for.
    fn check_retained(&self) {
        let (retained, queued) = (self.connection.retained(), self.connection.queued());
        assert!(retained >= queued, "{retained} bytes are held, and {queued} are queued");
        let Some(limit) = self.habits.max_retained() else { return };
        if self.setup.delivery() == Some(Delivery::Whole) && !self.setup.has(Setup::DEFLATE) {
            // Beside the message, a control frame may be unfinished.
            assert!(retained - queued <= limit + 400, "{} bytes are held of what came", retained - queued);
        }
    }

    /// How many Pings were taken within the last second.
    fn pings_lately(&mut self) -> usize {
        let now = self.now;
        self.heard_pings.retain(|at| *at + Duration::from_secs(1) > now);
        self.heard_pings.len()
    }

    fn end(mut self) {
        while self.connection.queued() > 0 {
            self.transmit(usize::MAX);
        }
        self.check_state();
        self.output.end(self.dropped, self.connection.dropped());
        assert!(self.pongs.owed.is_none(), "a Pong that is owed for ever");
        self.eof();
        self.check_state();
        assert_eq!(self.connection.queued(), 0, "bytes behind the end");
        let sent = self.connection.send(&"late".into());
        assert_eq!(sent, Err(SendError::Closed));
    }
}

fn frame_payload(frame: &CloseFrame) -> Vec<u8> {
    close_payload(frame.code.get(), &frame.reason)
}
