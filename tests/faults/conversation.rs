//! What two endpoints say to each other, and what each of them makes of it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use sockeye::{
    CloseCode, Compress, DeflateConfig, Error, Keepalive, Kind, Limits, Message, PreparedMessage, Role, WebSocket,
    connect,
    proto::connection::End,
    server::{Options, accept_with},
    stream::{Sender, serve_connection},
};
use tokio::{io::DuplexStream, sync::oneshot, task::JoinSet, time::timeout};

use super::faulty::{Faulty, Ledger};

pub(crate) type Transport = Faulty<DuplexStream>;
type Ws = WebSocket<Transport>;

/// More than all deadlines of a connection together.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
/// Who sends at the same time on a connection that is split, and how much.
const SPEAKERS: [char; 3] = ['x', 'y', 'z'];
const SPEECHES: usize = 3;

/// What an endpoint does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    /// Sends in every way that there is, hears everything back, and closes.
    Lead,
    /// The same from several tasks, with the other half in one more.
    LeadSplit,
    /// Sends everything back, in every way that there is.
    Answer,
    /// The same on a connection that is served.
    AnswerServed,
}

/// How a task of an endpoint ended.
#[derive(Debug)]
pub(crate) enum Fate {
    Closed,
    Failed(Error),
    Stuck,
}

/// What an endpoint has seen.
#[derive(Default)]
pub(crate) struct Account {
    /// What it tried to send, in this order.
    pub(crate) sent: Vec<Message>,
    /// That of it which the transport has taken whole.
    pub(crate) taken: Vec<Message>,
    pub(crate) received: Vec<Message>,
    /// Those of its tasks, in any order.
    pub(crate) fates: Vec<Fate>,
    /// How the connection ended, if it was opened.
    pub(crate) end: Option<End>,
    /// What a further call was told behind the end.
    pub(crate) afterwards: Option<Fate>,
    /// Whether the transport was held on to behind the end.
    pub(crate) kept_transport: bool,
}

impl Account {
    pub(crate) fn is_stuck(&self) -> bool {
        self.fates.iter().chain(&self.afterwards).any(|fate| matches!(fate, Fate::Stuck))
    }

    /// Whether the leader has closed, and both ends know.
    pub(crate) fn is_clean(&self) -> bool {
        matches!(&self.end, Some(End::Closed { theirs: Some(theirs), .. }) if theirs.code == CloseCode::NORMAL)
    }

    /// Whether every call did what it was to do.
    pub(crate) fn is_untroubled(&self) -> bool {
        self.is_clean() && self.fates.iter().all(|fate| matches!(fate, Fate::Closed))
    }

    pub(crate) fn errors(&self) -> impl Iterator<Item = &Error> {
        self.fates.iter().filter_map(|fate| match fate {
            Fate::Failed(error) => Some(error),
            Fate::Closed | Fate::Stuck => None,
        })
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [&self.sent, &self.taken, &self.received].map(Vec::len);
        write!(f, "{counts:?} messages sent, taken, received; {:?}: {:?}", self.end, self.fates)?;
        write!(f, ", then {:?}; kept: {}", self.afterwards, self.kept_transport)
    }
}

/// Messages by who says them: only those have an order.
pub(crate) fn by_speaker(messages: &[Message]) -> BTreeMap<Option<u8>, Vec<&Message>> {
    let mut speakers = BTreeMap::<_, Vec<_>>::new();
    messages.iter().for_each(|message| speakers.entry(message.as_bytes().first().copied()).or_default().push(message));
    speakers
}

/// Takes an endpoint's account down, for all of its tasks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Diary(Arc<Mutex<Account>>);

impl Diary {
    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        self.0.lock().expect("nobody panics under the lock")
    }

    /// Sends a message by `call`, behind which the transport has taken it.
    async fn say(&self, message: Message, call: impl Future<Output = Result<(), Error>>) -> Result<(), Fate> {
        self.account().sent.push(message.clone());
        patient(call).await?;
        self.account().taken.push(message);
        Ok(())
    }

    fn hear(&self, message: Message) -> usize {
        let mut account = self.account();
        account.received.push(message);
        account.received.len()
    }

    fn end(&self, outcome: Result<(), Fate>) {
        self.account().fates.push(outcome.err().unwrap_or(Fate::Closed));
    }

    /// Looks at what is left of a connection that has ended, to which whoever calls this holds on.
    async fn inspect(&self, ws: &mut Ws, ledger: &Ledger) {
        let again = patient(ws.recv()).await;
        let mut account = self.account();
        account.end = ws.end();
        account.afterwards = again.err();
        account.kept_transport = ledger.drops() == 0;
    }
}

/// Plays a part from the opening handshake on.
pub(crate) async fn play(io: Transport, ledger: Ledger, role: Role, part: Part, deflate: bool, diary: Diary) {
    let opened = timeout(PATIENCE, open(io, role, deflate)).await.expect("an opening handshake ends by itself");
    let mut ws = match opened {
        Ok(ws) => ws,
        Err(error) => return diary.end(Err(Fate::Failed(error))),
    };
    match part {
        Part::Lead => {
            diary.end(lead(&mut ws, &diary).await);
            diary.inspect(&mut ws, &ledger).await;
        }
        Part::LeadSplit => lead_split(ws, &diary, &ledger).await,
        Part::Answer => {
            diary.end(answer(&mut ws, &diary).await);
            diary.inspect(&mut ws, &ledger).await;
        }
        Part::AnswerServed => {
            let served = serve_connection(ws, |mut ws| {
                let diary = diary.clone();
                async move {
                    diary.end(answer(&mut ws, &diary).await);
                    diary.inspect(&mut ws, &ledger).await;
                }
            });
            if timeout(3 * PATIENCE, served).await.is_err() {
                diary.end(Err(Fate::Stuck));
            }
        }
    }
}

async fn open(io: Transport, role: Role, deflate: bool) -> Result<Ws, Error> {
    let deflate = deflate.then(DeflateConfig::default);
    match role {
        Role::Client => {
            let mut connect = connect("ws://localhost/").limits(Limits::internet()).keepalive(Keepalive::default());
            if let Some(deflate) = deflate {
                connect = connect.deflate(deflate);
            }
            Ok(connect.over(io).await?.0)
        }
        Role::Server => {
            let mut options = Options::default();
            options.deflate = deflate;
            accept_with(io, &options).await
        }
    }
}

/// Waits for a call that should end by itself.
async fn patient<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Fate> {
    match timeout(PATIENCE, call).await {
        Ok(result) => result.map_err(Fate::Failed),
        Err(_) => Err(Fate::Stuck),
    }
}

/// Bytes that do not compress, of which the first says who speaks.
fn noise(speaker: char, len: usize) -> Message {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut bytes = vec![speaker as u8];
    bytes.extend((1..len).map(|_| next()));
    bytes.into()
}

/// A text that compresses well.
fn refrain(speaker: char, nth: usize) -> Message {
    format!("{speaker}{nth}: {}", "über alle Maßen ".repeat(20 * (nth + 1))).into()
}

async fn lead(ws: &mut Ws, diary: &Diary) -> Result<(), Fate> {
    let message = Message::from("a");
    diary.say(message.clone(), ws.send(message)).await?;
    hear(ws, diary, 1).await?;

    diary.say("".into(), ws.send("")).await?;
    let message = noise('b', 20_000);
    diary.say(message.clone(), ws.send_with(message, Compress::Never)).await?;
    hear(ws, diary, 2).await?;

    let fed = ["c", "d", "e"].map(Message::from);
    for message in &fed {
        diary.account().sent.push(message.clone());
        patient(ws.feed(message.clone())).await?;
    }
    patient(ws.flush()).await?;
    diary.account().taken.extend(fed);
    hear(ws, diary, 3).await?;

    patient(ws.ping("ping")).await?;
    let message = refrain('f', 1);
    diary.say(message.clone(), send_in_parts(ws, &message)).await?;
    hear(ws, diary, 1).await?;

    let message = refrain('g', 2);
    let prepared = PreparedMessage::new(message.clone());
    diary.say(message, ws.send_prepared(&prepared)).await?;
    let message = refrain('h', 9);
    diary.say(message.clone(), ws.send(message)).await?;
    hear(ws, diary, 2).await?;

    patient(ws.close(CloseCode::NORMAL, "bye")).await
}

async fn hear(ws: &mut Ws, diary: &Diary, count: usize) -> Result<(), Fate> {
    for _ in 0..count {
        match patient(ws.recv()).await? {
            Some(message) => diary.hear(message),
            None => return Ok(()),
        };
    }
    Ok(())
}

/// Three fragments at least, which are cut inside of characters.
async fn send_in_parts(ws: &mut Ws, message: &Message) -> Result<(), Error> {
    let mut writer = ws.begin(message.kind()).await?;
    for part in message.as_bytes().chunks(message.len().div_ceil(3).max(1)) {
        writer.write(part.to_vec()).await?;
    }
    writer.finish().await
}

async fn lead_split(ws: Ws, diary: &Diary, ledger: &Ledger) {
    let (sender, mut receiver) = ws.split();
    let (all_heard, heard) = oneshot::channel();
    let mut tasks = JoinSet::new();
    for speaker in SPEAKERS {
        let (sender, diary) = (sender.clone(), diary.clone());
        tasks.spawn(async move { diary.end(speak(&sender, speaker, &diary).await) });
    }
    tasks.spawn({
        let diary = diary.clone();
        async move {
            let mut all_heard = Some(all_heard);
            let outcome = loop {
                match patient(receiver.recv()).await {
                    Ok(Some(message)) => {
                        if diary.hear(message) == SPEAKERS.len() * SPEECHES
                            && let Some(all_heard) = all_heard.take()
                        {
                            let _ = all_heard.send(());
                        }
                    }
                    Ok(None) => break Ok(()),
                    Err(fate) => break Err(fate),
                }
            };
            diary.end(outcome);
        }
    });
    if heard.await.is_ok() {
        diary.end(patient(sender.close(CloseCode::NORMAL, "bye")).await);
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no task panics");
    }
    let mut account = diary.account();
    account.end = sender.end();
    account.kept_transport = ledger.drops() == 0;
}

async fn speak(sender: &Sender<Transport>, speaker: char, diary: &Diary) -> Result<(), Fate> {
    diary.say(refrain(speaker, 0), sender.send(refrain(speaker, 0))).await?;
    let long = noise(speaker, 6000);
    let in_parts = async {
        let mut writer = sender.begin(Kind::Binary).await?;
        for part in long.as_bytes().chunks(2500) {
            writer.write(part.to_vec()).await?;
        }
        writer.finish().await
    };
    diary.say(long.clone(), in_parts).await?;
    patient(sender.ping("ping")).await?;
    diary.say(refrain(speaker, 2), sender.send(refrain(speaker, 2))).await
}

async fn answer(ws: &mut Ws, diary: &Diary) -> Result<(), Fate> {
    for nth in 0.. {
        let Some(message) = (match nth % 3 {
            2 => patient(read(ws)).await?,
            _ => patient(ws.recv()).await?,
        }) else {
            break;
        };
        diary.hear(message.clone());
        match nth % 3 {
            1 => {
                diary.account().sent.push(message.clone());
                patient(ws.feed(message)).await?;
            }
            2 => diary.say(message.clone(), send_in_parts(ws, &message)).await?,
            _ => diary.say(message.clone(), ws.send(message)).await?,
        }
    }
    Ok(())
}

/// Receives a message in chunks.
async fn read(ws: &mut Ws) -> Result<Option<Message>, Error> {
    let Some(mut reader) = ws.recv_reader().await? else { return Ok(None) };
    let kind = reader.kind();
    let mut whole = Vec::new();
    while let Some(chunk) = reader.next().await? {
        whole.extend_from_slice(&chunk);
    }
    Ok(Some(match kind {
        Kind::Text => String::from_utf8(whole).expect("text was checked").into(),
        Kind::Binary => whole.into(),
    }))
}
