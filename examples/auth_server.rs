//! Lets in only those who show that they may come: by a session cookie, a bearer token, or a name and a password.
//!
//! ```text
//! cargo run --example auth_server
//! echo hello | cargo run --example echo_client -- ws://127.0.0.1:9002/        # 401
//! echo hello | cargo run --example echo_client -- ws://127.0.0.1:9002/ --header 'Authorization: Bearer s3cret'
//! ```
//!
//! | who | shows | because |
//! |---|---|---|
//! | a browser | the cookie `session` | it sends cookies by itself, and lets no page set a header |
//! | a program | `Authorization: Bearer` | the usual way |
//! | a person with a tool | `Authorization: Basic` | `curl -u` and the like know it |
//!
//! A cookie comes with whatever page connects, so the server lets in pages of its own host only, which is the default.

use sockeye::{
    Error, Server,
    proto::handshake::{Accept, Request, Response, same_secret},
};

/// Where a real server would ask its database.
const SESSIONS: [(&str, &str); 1] = [("0f9d3e6b", "ann")];
const TOKEN: &str = "s3cret";
const PASSWORDS: [(&str, &str); 1] = [("ann", "open sesame")];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::bind("127.0.0.1:9002").await?.judge(|request, peer| async move {
        match user_of(&request) {
            Some(user) => {
                println!("{} is {user}", peer.address);
                Ok(Accept::default())
            }
            None => Err(Response::unauthorized("Basic realm=\"echo\", Bearer").expect("a valid header")),
        }
    });
    println!("listening on ws://{}", server.local_addr()?);
    server
        .serve(|mut ws, request| async move {
            let user = user_of(&request).unwrap_or("somebody");
            while let Some(message) = ws.recv().await? {
                ws.send(format!("{user}: {}", message.as_text().unwrap_or("bytes"))).await?;
            }
            Ok::<_, Error>(())
        })
        .await?;
    Ok(())
}

/// Whose request it is. Every secret is compared in a time that tells nothing about it, and each entry is looked at.
fn user_of(request: &Request) -> Option<&'static str> {
    if let Some(session) = request.cookie("session") {
        return find(&SESSIONS, |(id, _)| same_secret(session, id)).map(|(_, user)| *user);
    }
    if let Some(token) = request.bearer_token() {
        return same_secret(token, TOKEN).then_some("a program");
    }
    let given = request.basic_auth()?;
    find(&PASSWORDS, |(user, password)| same_secret(&given.user, user) & same_secret(&given.password, password))
        .map(|(user, _)| *user)
}

/// The last entry that fits, without stopping at it.
fn find<T>(entries: &'static [T], fits: impl Fn(&T) -> bool) -> Option<&'static T> {
    entries.iter().fold(None, |found, entry| if fits(entry) { Some(entry) } else { found })
}
