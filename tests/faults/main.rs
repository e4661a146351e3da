//! Each thing that a transport is asked for goes wrong once, in every way that it can, and the conversation on it ends
//! as it should.
//!
//! Both ends are ours; one of them has the faulty transport, the other a healthy one. A conversation runs once for each
//! read, write, flush and shutdown that it consists of and for each mishap there, by a clock that passes at once. Then:
//!
//! * a mishap that a transport may have any time (it comes short, or is not ready) changes nothing at all;
//! * a message arrives whole, once and in its order, or not at all;
//! * a message has arrived for certain once a `close` behind it was told a clean end. Before that, `Ok` from `send`
//!   says that the transport has taken it; then it arrives if the peer can read on to the end of what was written;
//! * who has the fault is told what it was, the other that the connection was lost, and nobody that a peer broke the
//!   protocol;
//! * everything ends within its deadlines, and the transport is let go then, even while somebody holds on to the
//!   connection;
//! * no memory stays behind.
#![cfg(all(feature = "client", feature = "server", feature = "deflate"))]

mod conversation;
mod faulty;
#[allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]
#[path = "../common/heap.rs"]
mod heap;

use std::{collections::BTreeMap, io::ErrorKind, time::Duration};

use conversation::{Account, Diary, Part, by_speaker, play};
use faulty::{Fault, Faulty, Mishap, Way};
use sockeye::{Error, Role, proto::handshake::HandshakeError};
use tokio::{io::duplex, time::Instant};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

/// The room in each direction: so little that large messages have to wait.
const ROOM: usize = 2048;
/// The opening handshake, a transport that takes nothing, keepalive at one end and then at the other, the closing
/// handshake and the transport's end.
const DEADLINES: Duration = Duration::from_secs(30 + 60 + 2 * (2 * 25 + 20) + 10 + 10);

/// A conversation.
#[derive(Clone, Copy, Debug)]
struct Scene {
    leader: Role,
    lead: Part,
    answer: Part,
    deflate: bool,
    /// Whose transport is faulty.
    faulty: Role,
}

/// What came of it.
struct Outcome {
    faulty: Account,
    healthy: Account,
    /// How often the faulty transport was asked for what.
    polls: [usize; 4],
    /// How many transports were let go of.
    drops: usize,
    elapsed: Duration,
}

impl Scene {
    const fn part(&self, role: Role) -> Part {
        if role as u8 == self.leader as u8 { self.lead } else { self.answer }
    }

    const fn healthy(&self) -> Role {
        match self.faulty {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        }
    }

    fn run(&self, fault: Option<Fault>) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("there is a clock").block_on(async {
            let start = Instant::now();
            let (io, other_io) = duplex(ROOM);
            let (io, ledger) = Faulty::new(io, fault);
            let (other_io, other_ledger) = Faulty::new(other_io, None);
            let (diary, other_diary) = (Diary::default(), Diary::default());
            let play = |io, ledger: &_, role, diary: &Diary| {
                tokio::spawn(play(io, Clone::clone(ledger), role, self.part(role), self.deflate, diary.clone()))
            };
            let task = play(io, &ledger, self.faulty, &diary);
            let other_task = play(other_io, &other_ledger, self.healthy(), &other_diary);
            task.await.expect("nothing panics");
            other_task.await.expect("nothing panics");
            Outcome {
                faulty: std::mem::take(&mut diary.account()),
                healthy: std::mem::take(&mut other_diary.account()),
                polls: Way::ALL.map(|way| ledger.polls(way)),
                drops: ledger.drops() + other_ledger.drops(),
                elapsed: start.elapsed(),
            }
        })
    }

    /// Has everything go wrong; says how many times that was.
    fn sweep(&self) -> usize {
        // Everything that a thread makes once is there behind two of them.
        (0..2).for_each(|_| drop(self.run(None)));
        let heap = heap::live();
        let clean = self.run(None);
        assert!(clean.faulty.is_clean() && clean.healthy.is_clean(), "{:?} {:?}", clean.faulty, clean.healthy);
        let mut count = 0;
        let mut complaints = BTreeMap::<_, (Vec<_>, String)>::new();
        for (way, polls) in Way::ALL.into_iter().zip(clean.polls) {
            for (nth, &mishap) in (0..polls).flat_map(|nth| Mishap::of(way).iter().map(move |mishap| (nth, mishap))) {
                let fault = Fault { way, nth, mishap };
                let outcome = self.run(Some(fault));
                if let Err(complaint) = self.judge(fault, &outcome, &clean) {
                    let accounts = || format!("faulty: {:?}\nhealthy: {:?}", outcome.faulty, outcome.healthy);
                    let same = complaints.entry(format!("{complaint}: {way:?} {mishap:?}"));
                    same.or_insert_with(|| (vec![], accounts())).0.push(nth);
                }
                count += 1;
            }
        }
        for (complaint, (nths, accounts)) in &complaints {
            println!("{complaint} {nths:?}\n{accounts}\n");
        }
        assert!(complaints.is_empty(), "{self:?}");
        // The thread's buffers are as they were.
        drop((clean, complaints, self.run(None)));
        let grown = heap::live() - heap;
        // Lists of the runtime's grow once, by less than what any connection holds.
        assert!(grown <= 100, "{grown} bytes stay behind {count} conversations: {self:?}");
        count
    }

    fn judge(&self, fault: Fault, outcome: &Outcome, clean: &Outcome) -> Result<(), String> {
        let Outcome { faulty, healthy, .. } = outcome;
        ensure(outcome.polls[fault.way as usize] > fault.nth, "the fault did not happen")?;
        ensure(outcome.drops == 2, "a transport was not let go of")?;
        ensure(!faulty.is_stuck() && !healthy.is_stuck(), "stuck")?;
        let deadlines = if fault.mishap == Mishap::Hangs { DEADLINES } else { Duration::ZERO };
        ensure(outcome.elapsed <= deadlines, &format!("it took {:?}", outcome.elapsed))?;
        ensure(!faulty.kept_transport && !healthy.kept_transport, "a transport outlived its connection")?;
        if fault.mishap.is_benign() {
            ensure(faulty.is_untroubled() && healthy.is_untroubled(), "a benign fault was told")?;
        }
        for (ours, theirs, role) in [(faulty, healthy, self.faulty), (healthy, faulty, self.healthy())] {
            ensure(is_prefix(&theirs.received, &ours.sent), "a message came doubled, cut or out of its order")?;
            let all = if role == self.faulty { &clean.faulty } else { &clean.healthy };
            if ours.is_clean() {
                let (received, all) = (by_speaker(&ours.received), by_speaker(&all.received));
                ensure(received == all, "a clean end, and a message is lost")?;
            }
            let reads_all = role == self.faulty || fault.way != Way::Read || fault.mishap.is_benign();
            let is_at_end = theirs.is_clean() || theirs.errors().all(|error| matches!(error, Error::Lost));
            // What is sent on a connection that is served is not written at once.
            if reads_all && is_at_end && !theirs.is_stuck() && self.part(role) != Part::AnswerServed {
                let is_there = |message| theirs.received.contains(message);
                ensure(ours.taken.iter().all(is_there), "a message that was taken is lost")?;
            }
        }
        if !faulty.is_clean() {
            ensure(faulty.errors().any(|error| is_told(fault, error)), "nobody was told what the fault is")?;
        }
        let is_expected = |error: &Error| is_told(fault, error) || matches!(error, Error::Lost | Error::Closed);
        ensure(faulty.errors().all(is_expected), "somebody was told of another fault")?;
        ensure(healthy.errors().all(|error| is_told_to_peer(fault, error)), "the peer was told of another fault")
    }
}

fn ensure(holds: bool, complaint: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(complaint.into()) }
}

/// Whether each speaker's messages of `some` are the first ones of those of `all`.
fn is_prefix(some: &[sockeye::Message], all: &[sockeye::Message]) -> bool {
    let all = by_speaker(all);
    by_speaker(some).iter().all(|(speaker, some)| all.get(speaker).is_some_and(|all| all.starts_with(some)))
}

/// Whether an error says what is wrong with the transport.
fn is_told(Fault { way, mishap, .. }: Fault, error: &Error) -> bool {
    match (mishap, error) {
        (Mishap::Fails(kind), Error::Io(error)) => error.kind() == kind,
        (Mishap::Ends, Error::Io(error)) => way == Way::Write && error.kind() == ErrorKind::WriteZero,
        (Mishap::Ends, Error::Lost) => way == Way::Read,
        (Mishap::Ends, Error::Handshake(error)) => way == Way::Read && is_end(error),
        (Mishap::Hangs, Error::TimedOut(_)) => true,
        // The peer has lost its patience first.
        (Mishap::Hangs, Error::Io(error)) => error.kind() == ErrorKind::BrokenPipe,
        _ => false,
    }
}

/// Whether an error says what a peer can see of it.
fn is_told_to_peer(Fault { mishap, .. }: Fault, error: &Error) -> bool {
    match error {
        Error::Lost | Error::Closed => true,
        Error::Io(error) => error.kind() == ErrorKind::BrokenPipe,
        Error::TimedOut(_) => mishap == Mishap::Hangs,
        Error::Handshake(error) => match &**error {
            // The server has waited for the request in vain.
            HandshakeError::Refused(response) => mishap == Mishap::Hangs && response.status() == 408,
            error => is_end(error),
        },
        _ => false,
    }
}

const fn is_end(error: &HandshakeError) -> bool {
    matches!(error, HandshakeError::Ended { .. })
}

fn sweep(faulty: Role, leader: Role, lead: Part, answer: Part, deflate: bool) {
    let count = Scene { leader, lead, answer, deflate, faulty }.sweep();
    println!("{count} conversations");
    assert!(count > 200, "{count} are fewer than a conversation has");
}

/// Makes two tests of each scene, of which each has the fault at another end.
macro_rules! scenes {
    ($($name:ident: $leader:ident $lead:ident, $answer:ident, $deflate:expr;)+) => {
        mod client {
            $(#[test] fn $name() {
                use super::{Part, Role};
                super::sweep(Role::Client, Role::$leader, Part::$lead, Part::$answer, $deflate);
            })+
        }
        mod server {
            $(#[test] fn $name() {
                use super::{Part, Role};
                super::sweep(Role::Server, Role::$leader, Part::$lead, Part::$answer, $deflate);
            })+
        }
    };
}

scenes! {
    survives_faults_while_the_client_leads: Client Lead, Answer, true;
    survives_faults_while_the_server_leads: Server Lead, Answer, true;
    survives_faults_while_the_client_leads_by_halves: Client LeadSplit, Answer, true;
    survives_faults_while_the_server_leads_by_halves: Server LeadSplit, Answer, true;
    survives_faults_of_a_served_connection: Client Lead, AnswerServed, false;
    survives_faults_of_a_served_connection_that_compresses: Client LeadSplit, AnswerServed, true;
}
