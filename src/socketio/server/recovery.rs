//! Connection state recovery: a client that was away for a short time gets its id, its rooms and what it has missed.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, TryLockError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

use super::{lock, rooms::Targets};
use crate::engineio::{Outgoing, Sid};

/// For how long, and at what price, a server remembers clients that have gone, so that they can go on when they come back.
///
/// It is off by default, as it costs memory: every event that is sent is remembered for as long as a client may be away.
/// Then, events have one more argument, a text that says how far the client has come; node's clients know what it is for,
/// and hand it on to handlers that look at all arguments.
///
/// What was attached to a socket by [`set`](super::Socket::set) is remembered, what was by
/// [`insert`](super::Socket::insert) is not: who attaches it in a middleware wants
/// [`with_middlewares`](Self::with_middlewares).
///
/// A client can go on only if it has got at least one event, which is worth sending when it connects, and has missed no more
/// than may be [queued](crate::engineio::Config::max_queued) for it.
///
/// A namespace that a [pattern](super::Server::of_those) has made stays for as long as it remembers somebody, though nobody
/// is in it; 1,000 of them at the most, behind which what they remember goes with the last client.
///
/// ```
/// use std::time::Duration;
/// use sockeye::socketio::{Config, Recovery};
/// let config = Config::new().recovery(Recovery::new().max_disconnection(Duration::from_secs(30)));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Recovery {
    max_disconnection: Duration,
    max_log_bytes: usize,
    skips_middlewares: bool,
}

impl Default for Recovery {
    fn default() -> Self {
        Self::new()
    }
}

impl Recovery {
    /// Two minutes and 64 MiB for each namespace; middlewares are not asked again.
    pub const fn new() -> Self {
        Self { max_disconnection: Duration::from_secs(120), max_log_bytes: 64 << 20, skips_middlewares: true }
    }

    /// Sets for how long a client may be away (default: 2 minutes).
    #[must_use]
    pub const fn max_disconnection(mut self, duration: Duration) -> Self {
        self.max_disconnection = duration;
        self
    }

    /// Sets how many bytes each namespace may remember, of events and of clients, and all that patterns have made together
    /// (default: 64 MiB). The oldest are forgotten first, of those who remember more than an equal share; and a client that has
    /// missed one of those begins anew.
    #[must_use]
    pub const fn max_log_bytes(mut self, bytes: usize) -> Self {
        self.max_log_bytes = bytes;
        self
    }

    /// Asks the middlewares of clients that come back as well.
    #[must_use]
    pub const fn with_middlewares(mut self) -> Self {
        self.skips_middlewares = false;
        self
    }

    pub(super) const fn skips_middlewares(&self) -> bool {
        self.skips_middlewares
    }
}

/// What a namespace remembers.
pub(super) struct Memory {
    recovery: Recovery,
    /// What a client takes beside what is known of it.
    overhead: usize,
    state: Arc<Mutex<State>>,
}

/// What memories that share a limit know of each other.
#[derive(Default)]
pub(super) struct Shares {
    /// How many bytes they remember together.
    bytes: AtomicUsize,
    /// How many they are.
    count: AtomicUsize,
    all: Mutex<Vec<Weak<Mutex<State>>>>,
}

/// Locked from when an event is noted until it is sent to all, so that nobody is sent a later one in front of it; and until
/// a client that has come back is told what it has missed, so that nothing is between that and what comes.
pub(super) struct State {
    recovery: Recovery,
    events: VecDeque<Noted>,
    sessions: HashMap<Sid, Gone>,
    /// The clients in the order in which they went.
    order: VecDeque<(Instant, Sid)>,
    /// How many bytes are remembered here.
    bytes: usize,
    shares: Arc<Shares>,
    last: Offset,
}

/// Which event it was: when it was sent, and which one of the same millisecond. Redis writes the ids of its streams so.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
struct Offset {
    millis: u64,
    number: u64,
}

struct Noted {
    offset: Offset,
    at: Instant,
    packet: Arc<[Outgoing]>,
    targets: Targets,
    bytes: usize,
}

/// A client that has gone.
pub(super) struct Gone {
    pub(super) id: Sid,
    pub(super) rooms: Vec<Arc<str>>,
    pub(super) data: serde_json::Map<String, serde_json::Value>,
    at: Instant,
    bytes: usize,
}

/// One that has come back.
pub(super) struct Recovered {
    pub(super) session: Gone,
    /// What it has missed, in order.
    pub(super) missed: Vec<Arc<[Outgoing]>>,
}

/// What a session or an event takes beside its bytes.
const OVERHEAD: usize = 400;

impl Memory {
    /// One that shares its limit with all that have the same shares.
    pub(super) fn new(namespace: &str, recovery: Recovery, shares: &Arc<Shares>) -> Self {
        let state = Arc::new(Mutex::new(State {
            recovery,
            events: VecDeque::new(),
            sessions: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            shares: Arc::clone(shares),
            last: Offset::default(),
        }));
        shares.add(&state);
        // Its namespace may stay for it, and a client has chosen its name.
        Self { recovery, overhead: OVERHEAD + 2 * namespace.len(), state }
    }

    pub(super) const fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// For how long it remembers somebody, if it does.
    pub(super) fn remembers_for(&self) -> Option<Duration> {
        let mut state = self.lock();
        state.forget();
        let (last, _) = state.order.back().filter(|_| !state.sessions.is_empty())?;
        Some(self.recovery.max_disconnection.saturating_sub(last.elapsed()))
    }

    /// Remembers a client that has gone, under the secret that it has.
    pub(super) fn keep(
        &self,
        pid: Sid,
        id: Sid,
        rooms: Vec<Arc<str>>,
        data: serde_json::Map<String, serde_json::Value>,
    ) {
        let known = rooms.iter().map(|room| room.len() + 16).sum::<usize>()
            + data.iter().map(|(name, value)| name.len() + value.to_string().len() + OVERHEAD).sum::<usize>();
        let (at, bytes) = (Instant::now(), known + self.overhead);
        let mut state = self.lock();
        state.remember(bytes);
        state.order.push_back((at, pid));
        state.sessions.insert(pid, Gone { id, rooms, data, at, bytes });
        state.forget();
    }
}

impl State {
    /// Whether a client may get its session back.
    pub(super) fn remembers(&mut self, pid: Sid) -> bool {
        self.forget();
        self.sessions.contains_key(&pid)
    }

    /// Gives the session back to a client that has come back, with what it has missed since the offset that it names. It
    /// can be had once. One that has missed more bytes than may be queued for it begins anew: it could never fetch them.
    pub(super) fn restore(&mut self, pid: &str, offset: &str, max_queued: usize) -> Option<Recovered> {
        self.forget();
        let pid = Sid::parse(pid)?;
        let since = Offset::parse(offset)?;
        // Of an event that is no more known it is not known which ones came behind it.
        let place = self.events.binary_search_by_key(&since, |noted| noted.offset).ok()?;
        let session = self.sessions.remove(&pid)?;
        self.release(session.bytes);
        // It may be in as many as it likes, and there may be very many events.
        let rooms: HashSet<&str> = session.rooms.iter().map(|room| &**room).chain([session.id.as_str()]).collect();
        let is_in = |room: &Arc<str>| rooms.contains(&**room);
        let missed = self.events.range(place + 1..).filter(|noted| {
            let Targets { rooms, except, not } = &noted.targets;
            (rooms.is_empty() || rooms.iter().any(is_in)) && !except.iter().any(is_in) && *not != Some(session.id)
        });
        let mut bytes = 0;
        let missed = missed.map(|noted| {
            bytes += noted.bytes;
            (bytes <= max_queued).then(|| Arc::clone(&noted.packet))
        });
        let missed = missed.collect::<Option<_>>()?;
        Some(Recovered { session, missed })
    }

    /// The offset of the event that is about to be sent.
    pub(super) fn next_offset(&mut self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
        let millis = u64::try_from(now).unwrap_or(u64::MAX);
        let Offset { millis: last, number } = self.last;
        // A clock that is set back does not matter.
        self.last =
            if millis > last { Offset { millis, number: 0 } } else { Offset { millis: last, number: number + 1 } };
        self.last_offset()
    }

    /// That of the last one.
    pub(super) fn last_offset(&self) -> String {
        format!("{}-{}", self.last.millis, self.last.number)
    }

    /// Whether there was one.
    pub(super) fn has_sent(&self) -> bool {
        self.last != Offset::default()
    }

    /// Notes the event that the last offset is for.
    pub(super) fn note(&mut self, packet: &Arc<[Outgoing]>, targets: Targets) {
        let rooms = targets.rooms.iter().chain(&targets.except).map(|room| room.len() + 16).sum::<usize>();
        let bytes = packet.iter().map(Outgoing::len).sum::<usize>() + rooms + OVERHEAD;
        self.remember(bytes);
        let (offset, at) = (self.last, Instant::now());
        self.events.push_back(Noted { offset, at, packet: Arc::clone(packet), targets, bytes });
        self.forget();
    }

    fn remember(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.shares.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn release(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.shares.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Forgets what is too old, or too much; has the others do so, if it is they who remember too much.
    fn forget(&mut self) {
        let max = self.recovery.max_log_bytes;
        self.forget_beyond(max);
        if self.shares.bytes.load(Ordering::Relaxed) > max {
            // Enough for a while: there may be many.
            self.shares.forget_beyond(max - max / 16);
        }
    }

    /// Forgets what is too old; and of what is more than its share, the oldest, as long as all remember more than this.
    fn forget_beyond(&mut self, max: usize) {
        let (now, limit) = (Instant::now(), self.recovery.max_disconnection);
        let share = max / self.shares.count.load(Ordering::Relaxed).max(1);
        let is_due = |state: &Self, at: Instant| {
            now.duration_since(at) > limit || state.bytes > share && state.shares.bytes.load(Ordering::Relaxed) > max
        };
        while self.events.front().is_some_and(|noted| is_due(self, noted.at)) {
            let bytes = self.events.pop_front().map_or(0, |noted| noted.bytes);
            self.release(bytes);
        }
        while self.order.front().is_some_and(|(at, _)| is_due(self, *at)) {
            let Some((at, pid)) = self.order.pop_front() else { break };
            // One that has come back and gone once more is further behind.
            if self.sessions.get(&pid).is_some_and(|session| session.at == at) {
                let bytes = self.sessions.remove(&pid).map_or(0, |session| session.bytes);
                self.release(bytes);
            }
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.release(self.bytes);
        self.shares.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shares {
    fn add(&self, state: &Arc<Mutex<State>>) {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mut all = lock(&self.all);
        // Those that have gone are as many as those that are there, at the most.
        if all.len() > 2 * count {
            all.retain(|state| state.strong_count() > 0);
        }
        all.push(Arc::downgrade(state));
    }

    /// Has all forget that are not looked at by somebody else now, as the one who asks is.
    fn forget_beyond(&self, max: usize) {
        let all = lock(&self.all).clone();
        for state in all.iter().filter_map(Weak::upgrade) {
            match state.try_lock() {
                Ok(mut state) => state.forget_beyond(max),
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().forget_beyond(max),
                Err(TryLockError::WouldBlock) => {}
            }
        }
    }
}

impl Offset {
    fn parse(text: &str) -> Option<Self> {
        let (millis, number) = text.split_once('-')?;
        Some(Self { millis: millis.parse().ok()?, number: number.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Compress, Message};

    const MAX: usize = 1 << 20;

    fn memory(recovery: Recovery) -> Memory {
        Memory::new("/", recovery, &Arc::default())
    }

    fn packet(text: &str) -> [Outgoing; 1] {
        [Outgoing::Single(Message::from(text), Compress::Auto)]
    }

    fn to(room: &str) -> Targets {
        Targets { rooms: vec![room.into()], ..Targets::default() }
    }

    /// Notes an event; gives its offset.
    fn send(memory: &Memory, text: &str, targets: Targets) -> String {
        let mut state = memory.lock();
        let offset = state.next_offset();
        state.note(&packet(text).into(), targets);
        offset
    }

    fn keep(memory: &Memory, rooms: &[&str]) -> (Sid, Sid) {
        let (pid, id) = (Sid::random(), Sid::random());
        memory.keep(pid, id, rooms.iter().map(|room| Arc::from(*room)).collect(), serde_json::Map::new());
        (pid, id)
    }

    fn texts(recovered: &Recovered) -> Vec<&str> {
        recovered.missed.iter().flat_map(|packet| packet.iter()).filter_map(|message| message.as_text()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_gets_what_it_has_missed_and_nothing_else() {
        let memory = memory(Recovery::new());
        let offset = send(&memory, "known", Targets::default());
        let (pid, id) = keep(&memory, &["room"]);
        send(&memory, "to all", Targets::default());
        send(&memory, "to its room", to("room"));
        send(&memory, "to another room", to("other"));
        send(&memory, "to itself", to(id.as_str()));
        send(&memory, "not to its room", Targets { except: vec!["room".into()], ..Targets::default() });
        send(&memory, "its own", Targets { not: Some(id), ..Targets::default() });
        let recovered = memory.lock().restore(pid.as_str(), &offset, MAX).expect("it has come back");
        assert_eq!(texts(&recovered), ["to all", "to its room", "to itself"]);
        assert_eq!(recovered.session.id, id);
        assert!(memory.lock().restore(pid.as_str(), &offset, MAX).is_none(), "a session can be had once");
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_away_for_too_long_begins_anew() {
        let memory = memory(Recovery::new().max_disconnection(Duration::from_secs(10)));
        let offset = send(&memory, "known", Targets::default());
        let (pid, _) = keep(&memory, &[]);
        tokio::time::advance(Duration::from_secs(9)).await;
        let recent = send(&memory, "recent", Targets::default());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(memory.lock().restore(pid.as_str(), &recent, MAX).is_none());
        assert!(memory.lock().restore(pid.as_str(), &offset, MAX).is_none());
        assert_eq!(memory.lock().sessions.len(), 0);
        assert_eq!(memory.lock().events.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_it_remembers_is_bounded() {
        let memory = memory(Recovery::new().max_log_bytes(10_000));
        let offset = send(&memory, "known", Targets::default());
        let (pid, _) = keep(&memory, &[]);
        for _ in 0..1000 {
            send(&memory, "more", Targets::default());
            assert!(memory.lock().bytes <= 10_000);
        }
        assert!(memory.lock().restore(pid.as_str(), &offset, MAX).is_none(), "the event is forgotten");
        for _ in 0..1000 {
            keep(&memory, &["a room"]);
            assert!(memory.lock().bytes <= 10_000);
        }
        assert!(memory.lock().sessions.len() < 30);
        for _ in 0..1000 {
            send(&memory, "to a room whose name a client has chosen", to(&"x".repeat(3000)));
        }
        assert!(memory.lock().events.len() <= 3);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_share_a_limit_remember_no_more_together() {
        let shares = Arc::<Shares>::default();
        let share = || Memory::new("/", Recovery::new().max_log_bytes(10_000), &shares);
        let remembered = || shares.bytes.load(Ordering::Relaxed);
        let (first, second) = (share(), share());
        for _ in 0..100 {
            send(&first, "more", Targets::default());
            send(&second, "more", Targets::default());
            assert!(remembered() <= 10_000);
        }
        drop(first);
        assert_eq!(remembered(), second.lock().bytes);
        drop(second);
        assert_eq!((remembered(), shares.count.load(Ordering::Relaxed)), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_remembers_much_leaves_the_others_their_share() {
        let shares = Arc::<Shares>::default();
        let recovery = Recovery::new().max_log_bytes(10_000);
        let share = || Memory::new("/", recovery, &shares);
        let (greedy, modest) = (share(), share());
        (0..100).for_each(|_| drop(send(&greedy, "much", Targets::default())));
        assert!(greedy.lock().bytes > 9_000);
        let offset = send(&modest, "known", Targets::default());
        let (pid, _) = keep(&modest, &[]);
        send(&modest, "missed", Targets::default());
        assert!(shares.bytes.load(Ordering::Relaxed) <= 10_000);
        assert_eq!(texts(&modest.lock().restore(pid.as_str(), &offset, MAX).expect("it has come back")), ["missed"]);
        // What is overdue goes though its own namespace is silent.
        (0..100).for_each(|_| drop(send(&greedy, "much", Targets::default())));
        tokio::time::advance(recovery.max_disconnection + Duration::from_secs(1)).await;
        for _ in 0..24 {
            send(&modest, "more", Targets::default());
        }
        assert!(shares.bytes.load(Ordering::Relaxed) <= 10_000);
        assert_eq!(modest.lock().events.len(), 24, "the other one remembers nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_known_for_how_long_somebody_is_remembered() {
        let memory = memory(Recovery::new());
        assert_eq!(memory.remembers_for(), None);
        let (pid, _) = keep(&memory, &[]);
        assert_eq!(memory.remembers_for(), Some(Duration::from_secs(120)));
        let offset = send(&memory, "known", Targets::default());
        assert!(memory.lock().restore(pid.as_str(), &offset, MAX).is_some());
        assert_eq!(memory.remembers_for(), None);
        keep(&memory, &[]);
        tokio::time::advance(Duration::from_secs(121)).await;
        assert_eq!(memory.remembers_for(), None);
    }

    #[tokio::test]
    async fn who_has_missed_more_than_may_be_queued_begins_anew() {
        for (count, fits) in [(4, true), (5, false)] {
            let memory = memory(Recovery::new());
            let offset = send(&memory, "known", Targets::default());
            let (pid, _) = keep(&memory, &[]);
            for _ in 0..count {
                send(&memory, &"x".repeat(MAX / 4 - OVERHEAD), Targets::default());
                send(&memory, &"x".repeat(MAX), to("another room"));
            }
            assert_eq!(memory.lock().restore(pid.as_str(), &offset, MAX).is_some(), fits, "{count}");
        }
    }

    #[tokio::test]
    async fn what_nobody_has_said_restores_nothing() {
        let memory = memory(Recovery::new());
        let (pid, _) = keep(&memory, &[]);
        for (pid, offset) in [("", ""), (pid.as_str(), ""), (pid.as_str(), "1-1"), ("x", "0-0"), (pid.as_str(), "-")] {
            assert!(memory.lock().restore(pid, offset, MAX).is_none());
        }
    }
}
