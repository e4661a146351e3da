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
    sync::{Arc, Mutex, PoisonError},
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

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let options = support::options(&[]);
    let io = Server::with_config(options.config());
    io.middleware(|socket: Socket| async move { introduce(&socket) });
    let histories = Histories::default();
    io.on_connect(move |socket: Socket| {
        let histories = histories.clone();
        async move {
            limit_rate(&socket);
            listen(&socket, histories);
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
fn limit_rate(socket: &Socket) {
    let state = Mutex::new((BURST, Instant::now()));
    socket.middleware(move |event| {
        let (left, since) = &mut *state.lock().unwrap_or_else(PoisonError::into_inner);
        let earned = since.elapsed().as_millis() / REFILL.as_millis();
        if earned > 0 {
            (*left, *since) = (BURST.min(left.saturating_add(u32::try_from(earned).unwrap_or(BURST))), Instant::now());
        }
        let may_pass = *left > 0;
        *left = left.saturating_sub(1);
        async move {
            if may_pass {
                return Ok(());
            }
            event.socket.volatile().emit("slow down", ()).map_err(|error| error.to_string())?;
            Err("too many events".to_owned())
        }
    });
}

fn listen(socket: &Socket, histories: Histories) {
    let (told, asked) = (histories.clone(), histories);
    socket.on("join", move |socket: Socket, room: String| {
        let histories = asked.clone();
        async move { join(&socket, &room, &histories) }
    });
    socket.on("say", move |socket: Socket, text: String| {
        let histories = told.clone();
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
    socket.on_disconnect(|socket, _reason| async move {
        if let Some(Room(room)) = socket.extension() {
            // Its arguments are ours, so that they can be sent.
            let _ = tell_guests(socket.namespace(), room);
        }
    });
}

/// Leaves the room that the socket is in for another one, of which it is told what was said there.
fn join(socket: &Socket, room: &str, histories: &Histories) -> Result<Answer<Vec<Said>>, EmitError> {
    let Some(&room) = ROOMS.iter().find(|known| **known == room) else {
        return Ok(Reply(Err("There is no such room.")));
    };
    let left = socket.insert(Room(room));
    if let Some(Room(left)) = left {
        socket.leave(left);
        tell_guests(socket.namespace(), left)?;
    }
    socket.join(room);
    tell_guests(socket.namespace(), room)?;
    Ok(Reply(Ok(histories.of(room))))
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
    match text.trim() {
        "" => Err("There is nothing in it."),
        text if text.chars().count() > longest => Err("It is too long."),
        text if text.chars().any(char::is_control) => Err("It has characters that nobody can see."),
        text => Ok(text.to_owned()),
    }
}

/// Tells everybody in a room who is there.
fn tell_guests(namespace: &Namespace, room: &str) -> Result<(), EmitError> {
    let sockets = namespace.to(room).sockets().into_iter();
    let guests =
        sockets.filter_map(|socket| Some(Guest { id: socket.id().to_string(), name: socket.extension::<Name>()?.0 }));
    let guests: Vec<Guest> = guests.collect();
    namespace.to(room).emit("guests", guests)
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
