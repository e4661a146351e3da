//! Socket.IO beside a REST API on axum: who has logged in there gets a token, and with it is let in here; what is changed
//! there is told everybody here.
//!
//! ```text
//! npm ci --prefix tests/interop    # the client for the page; or name one with --client DIR
//! cargo run --features socketio --example socketio_axum -- --port 3000
//! ```
//!
//! Open <http://127.0.0.1:3000/> and log in as `ada` with `analytical`, in another window as `grace` with `nanosecond`. Or:
//!
//! ```text
//! curl -d '{"name":"ada","password":"analytical"}' -H 'Content-Type: application/json' http://127.0.0.1:3000/api/login
//! curl -d '{"text":"from afar"}' -H 'Content-Type: application/json' -H 'Authorization: Bearer TOKEN' \
//!     http://127.0.0.1:3000/api/notes
//! ```

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    extract::{FromRequestParts, State},
    http::{StatusCode, header::AUTHORIZATION, request::Parts},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sockeye::{
    engineio::Sid,
    proto::handshake::same_secret,
    socketio::{ConnectError, Namespace, Reply, Server, Socket},
};

#[path = "support/socketio.rs"]
mod support;

/// Who may log in. A real application has hashes of passwords, and not here.
const USERS: [(&str, &str); 2] = [("ada", "analytical"), ("grace", "nanosecond")];
/// How many notes are kept, and how long one may be, in characters.
const MAX_NOTES: usize = 100;
const LONGEST_NOTE: usize = 200;

/// Somebody who has logged in.
#[derive(Clone, Copy)]
struct User(&'static str);

#[derive(Clone, Serialize)]
struct Note {
    id: u64,
    by: &'static str,
    text: String,
    done: bool,
}

/// What the routes and the handlers of events share.
#[derive(Clone)]
struct App {
    /// The server is one of the things that routes may use.
    io: Server,
    sessions: Sessions,
    notes: Notes,
}

/// The token of each user: there is one at a time.
#[derive(Clone, Default)]
struct Sessions(Arc<Mutex<HashMap<&'static str, Sid>>>);

#[derive(Clone, Default)]
struct Notes(Arc<Mutex<VecDeque<Note>>>);

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let options = support::options(&[]);
    let app = App { io: Server::with_config(options.config()), sessions: Sessions::default(), notes: Notes::default() };
    let sessions = app.sessions.clone();
    app.io.middleware(move |socket: Socket| {
        let admitted = admit(&socket, &sessions);
        async move { admitted }
    });
    let notes = app.notes.clone();
    app.io.on_connect(move |socket: Socket| {
        listen(&socket, &notes);
        async move { tell_who_is_there(socket.namespace()) }
    });
    let routes = Router::new()
        .route("/api/login", post(log_in).delete(log_out))
        .route("/api/notes", get(notes_so_far).post(add_note))
        .with_state(app.clone());
    options.serve(include_str!("support/socketio_axum.html"), routes, app.io).await
}

// ── events ──

/// Lets in whoever has a token.
fn admit(socket: &Socket, sessions: &Sessions) -> Result<(), ConnectError> {
    #[derive(Deserialize)]
    struct Auth {
        token: String,
    }
    let user = socket.auth::<Auth>().ok().and_then(|auth| sessions.user(&auth.token));
    let user = user.ok_or_else(|| ConnectError::new("not logged in").data(json!({ "status": 401 })))?;
    socket.insert(user);
    Ok(())
}

fn listen(socket: &Socket, notes: &Notes) {
    if let Some(User(name)) = socket.extension() {
        // So that all windows of a user are found.
        socket.join(name);
    }
    let notes = notes.clone();
    socket.on("done", move |socket: Socket, (id, done): (u64, bool)| {
        let changed = notes.set_done(id, done);
        async move {
            let is_known = changed.is_some();
            if let Some(note) = changed {
                socket.namespace().emit("note", note)?;
            }
            Ok::<_, sockeye::socketio::EmitError>(Reply(is_known))
        }
    });
    socket.on_disconnect(|socket, _reason| async move {
        // Its arguments are ours, so that they can be sent.
        let _ = tell_who_is_there(socket.namespace());
    });
}

fn tell_who_is_there(namespace: &Namespace) -> Result<(), sockeye::socketio::EmitError> {
    let users = namespace.sockets().into_iter().filter_map(|socket| socket.extension::<User>());
    let mut names: Vec<_> = users.map(|User(name)| name).collect();
    names.sort_unstable();
    names.dedup();
    namespace.emit("users", names)
}

// ── routes ──

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
}

async fn log_in(
    State(app): State<App>,
    Json(said): Json<Credentials>,
) -> Result<Json<serde_json::Value>, (StatusCode, &'static str)> {
    let is_meant = |(name, password): &&(&str, &str)| *name == said.name && same_secret(password, &said.password);
    let Some(&(name, _)) = USERS.iter().find(is_meant) else {
        return Err((StatusCode::UNAUTHORIZED, "This is not a name and its password."));
    };
    let token = app.sessions.begin(name);
    Ok(Json(json!({ "name": name, "token": token.as_str() })))
}

/// Forgets the token, and has all windows of the user disconnected.
async fn log_out(State(app): State<App>, User(name): User) -> StatusCode {
    app.sessions.end(name);
    app.io.to(name).disconnect_sockets();
    StatusCode::NO_CONTENT
}

async fn notes_so_far(State(app): State<App>, _user: User) -> Json<Vec<Note>> {
    Json(app.notes.lock().iter().cloned().collect())
}

#[derive(Deserialize)]
struct NewNote {
    text: String,
}

async fn add_note(
    State(app): State<App>,
    User(name): User,
    Json(new): Json<NewNote>,
) -> Result<(StatusCode, Json<Note>), (StatusCode, &'static str)> {
    let text = new.text.trim();
    if text.is_empty() || text.chars().count() > LONGEST_NOTE {
        return Err((StatusCode::UNPROCESSABLE_ENTITY, "A note has 1 to 200 characters."));
    }
    let note = app.notes.add(name, text);
    app.io.emit("note", &note).map_err(|_| (StatusCode::INTERNAL_SERVER_ERROR, "It cannot be sent."))?;
    Ok((StatusCode::CREATED, Json(note)))
}

/// A route that takes a `User` is for those who have logged in.
impl FromRequestParts<App> for User {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let user = header.and_then(|value| value.strip_prefix("Bearer ")).and_then(|token| app.sessions.user(token));
        user.ok_or((StatusCode::UNAUTHORIZED, "Log in first."))
    }
}

// ── state ──

impl Sessions {
    fn begin(&self, name: &'static str) -> Sid {
        let token = Sid::random();
        self.lock().insert(name, token);
        token
    }

    fn end(&self, name: &str) {
        self.lock().remove(name);
    }

    fn user(&self, token: &str) -> Option<User> {
        self.lock().iter().find_map(|(name, known)| same_secret(known.as_str(), token).then_some(User(name)))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<&'static str, Sid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    fn add(&self, by: &'static str, text: &str) -> Note {
        let mut notes = self.lock();
        let id = notes.back().map_or(1, |last| last.id + 1);
        let note = Note { id, by, text: text.to_owned(), done: false };
        notes.push_back(note.clone());
        if notes.len() > MAX_NOTES {
            notes.pop_front();
        }
        note
    }

    fn set_done(&self, id: u64, done: bool) -> Option<Note> {
        let mut notes = self.lock();
        let note = notes.iter_mut().find(|note| note.id == id)?;
        note.done = done;
        Some(note.clone())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Note>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
