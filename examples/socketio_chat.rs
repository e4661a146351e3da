//! A chat with a page: rooms with their last words, who is typing, private words, and limits for what strangers send.
//!
//! ```text
//! npm ci --prefix tests/interop    # the client for the page; or name one with --client DIR
//! cargo run --features socketio --example socketio_chat -- --port 3000
//! ```
//!
//! Open <http://127.0.0.1:3000/> in two windows.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use axum::Router;
use serde::{Deserialize, Serialize};
use sockeye::{
    engineio::Sid,
    socketio::{ConnectError, EmitError, Namespace, Reply, Server, Socket},
};

#[path = "support/socketio.rs"]
mod support;

/// The rooms that there are: what strangers name is not to take memory.
const ROOMS: [&str; 3] = ["lobby", "river", "open sea"];
/// How much of what was said in a room is shown to those who come later.
const HISTORY: usize = 50;
/// How long names and texts may be, in characters.
const LONGEST_NAME: usize = 20;
const LONGEST_TEXT: usize = 500;
/// How many events a guest may send at once, and how soon one more.
const BURST: u32 = 20;
const REFILL: Duration = Duration::from_millis(250);
/// How often a room is told who is there, if that has changed: each time, all are told of all.
const ROLL_CALL: Duration = Duration::from_millis(250);

/// What a handler tells its client, as `{ Ok: … }` or `{ Err: … }`.
type Answer<T> = Reply<Result<T, &'static str>>;

/// Who a socket is; attached to it when it connects.
#[derive(Clone)]
struct Name(String);

/// Where a socket is.
#[derive(Clone, Copy)]
struct Room(&'static str);

#[derive(Clone, Serialize)]
struct Said {
    id: String,
    name: String,
    text: String,
    at: u64,
}

#[derive(Serialize)]
struct Guest {
    id: String,
    name: String,
}

/// What was said last, by room.
#[derive(Clone, Default)]
struct Histories(Arc<Mutex<HashMap<&'static str, VecDeque<Said>>>>);

/// How many events guests may still send, and since when: by their sessions, as a guest may come and go in one.
#[derive(Clone, Default)]
struct Allowances(Arc<Mutex<HashMap<Sid, (u32, Instant)>>>);

/// In which rooms guests have come or gone since they were told.
#[derive(Clone, Default)]
struct Changes(Arc<[AtomicBool; ROOMS.len()]>);

/// What the handlers share.
#[derive(Clone, Default)]
struct Chat {
    histories: Histories,
    allowances: Allowances,
    changes: Changes,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let options = support::options(&[]);
    let io = Server::with_config(options.config());
    let chat = Chat::default();
    let allowances = chat.allowances.clone();
    io.middleware(move |socket: Socket| {
        let let_in = if allowances.take(&socket) { introduce(&socket) } else { Err(ConnectError::new("Slow down.")) };
        async move { let_in }
    });
    tokio::spawn(call_rolls((*io).clone(), chat.changes.clone()));
    io.on_connect(move |socket: Socket| {
        let chat = chat.clone();
        async move {
            limit_rate(&socket, chat.allowances.clone());
            listen(&socket, &chat);
        }
    });
    options.serve(include_str!("support/socketio_chat.html"), Router::new(), io).await
}

/// Lets in whoever has a name.
fn introduce(socket: &Socket) -> Result<(), ConnectError> {
    #[derive(Deserialize)]
    struct Auth {
        name: String,
    }
    let said = socket.auth::<Auth>().map_err(|_| ConnectError::new("Say who you are."))?;
    let name = checked(&said.name, LONGEST_NAME).map_err(ConnectError::new)?;
    socket.insert(Name(name));
    Ok(())
}

/// Drops the events of a guest who sends too many.
fn limit_rate(socket: &Socket, allowances: Allowances) {
    socket.middleware(move |event| {
        let may_pass = allowances.take(&event.socket);
        async move {
            if may_pass {
                return Ok(());
            }
            event.socket.volatile().emit("slow down", ()).map_err(|error| error.to_string())?;
            Err("too many events".to_owned())
        }
    });
}

fn listen(socket: &Socket, chat: &Chat) {
    let asked = chat.clone();
    socket.on("join", move |socket: Socket, room: String| {
        let chat = asked.clone();
        async move { Reply(join(&socket, &room, &chat)) }
    });
    let histories = chat.histories.clone();
    socket.on("say", move |socket: Socket, text: String| {
        let histories = histories.clone();
        async move { say(&socket, &text, &histories) }
    });
    socket.on("whisper", |socket: Socket, (to, text): (String, String)| async move { whisper(&socket, &to, &text) });
    socket.on("typing", |socket: Socket, is_typing: bool| async move {
        match (socket.extension::<Room>(), socket.extension::<Name>()) {
            // Nobody misses one that is lost.
            (Some(Room(room)), Some(Name(name))) => {
                socket.to(room).volatile().emit("typing", (socket.id().as_str(), name, is_typing))
            }
            _ => Ok(()),
        }
    });
    let changes = chat.changes.clone();
    socket.on_disconnect(move |socket, _reason| {
        if let Some(Room(room)) = socket.extension() {
            changes.note(room);
        }
        async {}
    });
}

/// Leaves the room that the socket is in for another one, of which it is told what was said there.
fn join(socket: &Socket, room: &str, chat: &Chat) -> Result<Vec<Said>, &'static str> {
    let &room = ROOMS.iter().find(|known| **known == room).ok_or("There is no such room.")?;
    let left = socket.insert(Room(room)).map(|Room(left)| left);
    if left != Some(room) {
        if let Some(left) = left {
            socket.leave(left);
            chat.changes.note(left);
        }
        socket.join(room);
        chat.changes.note(room);
    }
    Ok(chat.histories.of(room))
}

fn say(socket: &Socket, text: &str, histories: &Histories) -> Result<Answer<()>, EmitError> {
    let Some(Room(room)) = socket.extension() else { return Ok(Reply(Err("Join a room first."))) };
    let said = match said(socket, text) {
        Ok(said) => said,
        Err(why) => return Ok(Reply(Err(why))),
    };
    histories.note(room, said.clone());
    socket.namespace().to(room).emit("said", said)?;
    Ok(Reply(Ok(())))
}

/// Says something to one guest, wherever that is.
fn whisper(socket: &Socket, to: &str, text: &str) -> Result<Answer<Said>, EmitError> {
    // A text that is no id could be the name of a room.
    let Some(to) = Sid::parse(to).and_then(|id| socket.namespace().socket(id)) else {
        return Ok(Reply(Err("This guest has left.")));
    };
    Ok(Reply(match said(socket, text) {
        Ok(said) => {
            to.emit("whispered", &said)?;
            Ok(said)
        }
        Err(why) => Err(why),
    }))
}

/// What a guest says, if it is fit to be heard.
fn said(socket: &Socket, text: &str) -> Result<Said, &'static str> {
    let text = checked(text, LONGEST_TEXT)?;
    let Some(Name(name)) = socket.extension() else { return Err("Say who you are.") };
    let at = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
    Ok(Said { id: socket.id().to_string(), name, text, at: u64::try_from(at).unwrap_or(u64::MAX) })
}

/// A text without blanks around it, unless it is too short, too long, or has what nobody can see.
fn checked(text: &str, longest: usize) -> Result<String, &'static str> {
    let text = text.trim();
    if text.chars().all(|character| character.is_whitespace() || joins(character)) {
        Err("There is nothing in it.")
    } else if text.chars().count() > longest {
        Err("It is too long.")
    } else if text.chars().any(is_unseen) {
        Err("It has characters that nobody can see.")
    } else {
        Ok(text.to_owned())
    }
}

/// Whether a character joins others, as in some scripts and in emoji, and is nothing by itself.
const fn joins(character: char) -> bool {
    matches!(character, '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}')
}

/// Whether nobody can see a character, but for what it does to others: it may turn them around.
fn is_unseen(character: char) -> bool {
    let unseen = matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}');
    character.is_control() || unseen && !joins(character)
}

/// Tells everybody in a room who is there, now and then, where that has changed.
async fn call_rolls(everybody: Namespace, changes: Changes) {
    let mut rounds = tokio::time::interval(ROLL_CALL);
    loop {
        rounds.tick().await;
        for room in changes.take() {
            let sockets = everybody.to(room).sockets().into_iter();
            let guest =
                |socket: Socket| Some(Guest { id: socket.id().to_string(), name: socket.extension::<Name>()?.0 });
            let guests: Vec<Guest> = sockets.filter_map(guest).collect();
            // Names can be sent.
            let _ = everybody.to(room).emit("guests", guests);
        }
    }
}

impl Changes {
    fn note(&self, room: &str) {
        let changed = ROOMS.iter().zip(&*self.0).filter(|(known, _)| **known == room);
        changed.for_each(|(_, has_changed)| has_changed.store(true, Ordering::Release));
    }

    /// The rooms that have changed since this was asked.
    fn take(&self) -> impl Iterator<Item = &'static str> {
        let changed = ROOMS.into_iter().zip(&*self.0);
        changed.filter(|(_, has_changed)| has_changed.swap(false, Ordering::AcqRel)).map(|(room, _)| room)
    }
}

impl Allowances {
    /// Whether a guest may do one thing more now.
    fn take(&self, socket: &Socket) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let session = socket.session().id();
        if all.len() > 1000 && !all.contains_key(&session) {
            // Who has been silent for so long has as many as a newcomer.
            all.retain(|_, (_, since)| since.elapsed() < REFILL * BURST);
        }
        let (left, since) = all.entry(session).or_insert_with(|| (BURST, Instant::now()));
        let earned = since.elapsed().as_millis() / REFILL.as_millis();
        if earned > 0 {
            (*left, *since) = (BURST.min(left.saturating_add(u32::try_from(earned).unwrap_or(BURST))), Instant::now());
        }
        let may_pass = *left > 0;
        *left = left.saturating_sub(1);
        may_pass
    }
}

impl Histories {
    fn note(&self, room: &'static str, said: Said) {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let history = rooms.entry(room).or_default();
        history.push_back(said);
        if history.len() > HISTORY {
            history.pop_front();
        }
    }

    fn of(&self, room: &str) -> Vec<Said> {
        let rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.get(room).into_iter().flatten().cloned().collect()
    }
}
