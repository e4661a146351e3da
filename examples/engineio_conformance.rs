//! The two servers that the public Engine.IO suites want: `echo`, for the suite of the protocol (port 3000), and `client`,
//! for that of node's client (port 3000).
//!
//! `cargo run --features socketio --example engineio_conformance -- echo --port 3000`

use std::{
    collections::HashMap,
    error::Error,
    net::Ipv6Addr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, extract::Request, middleware::map_request};
use http::{HeaderMap, HeaderValue, Method, header::SET_COOKIE};
use sockeye::engineio::{Config, Cors, Engine, Session};
use tokio::net::TcpListener;

/// The headers of the last POST of each session, by its id, as JSON: one of the suites wants to see them.
type Posted = Arc<Mutex<HashMap<String, String>>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let port = match arguments.iter().position(|argument| argument == "--port") {
        Some(place) => arguments.get(place + 1).and_then(|port| port.parse().ok()).ok_or("--port wants a number")?,
        None => 3000,
    };
    // The suites ask `localhost`, which is either address.
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await?;
    println!("listening on port {port}");
    match arguments.first().map(String::as_str) {
        Some("echo") => echo().serve(listener).await?,
        Some("client") => {
            let posted = Posted::default();
            let app = Router::new().layer(client(Arc::clone(&posted)).layer());
            let app = app.layer(map_request(move |request| note(Arc::clone(&posted), request)));
            axum::serve(listener, app).await?;
        }
        _ => return Err("usage: engineio_conformance echo|client [--port N]".into()),
    }
    Ok(())
}

/// Takes note of a POST's headers.
async fn note(posted: Posted, request: Request) -> Request {
    let query = request.uri().query().unwrap_or_default();
    let sid = query.split('&').find_map(|parameter| parameter.strip_prefix("sid="));
    if let (Some(sid), &Method::POST) = (sid, request.method()) {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers: HashMap<_, _> =
            request.headers().iter().map(|(name, value)| (name.as_str(), text(value))).collect();
        let json = serde_json::to_string(&headers).expect("texts");
        posted.lock().expect("nobody panics").insert(sid.into(), json);
    }
    request
}

fn echo() -> Engine {
    let config = Config::new()
        .ping_interval(Duration::from_millis(300))
        .ping_timeout(Duration::from_millis(200))
        .max_payload(1_000_000)
        .cors(Cors::any());
    Engine::new(config, |mut session| async move {
        let sender = session.sender();
        while let Some(message) = session.recv().await {
            sender.send(message);
        }
    })
}

fn client(posted: Posted) -> Engine {
    let config = Config::new()
        .ping_interval(Duration::from_millis(500))
        .max_payload(100)
        .allow_request(|handshake| {
            let is_denied = handshake.parameter("deny").is_some();
            async move { if is_denied { Err("Thou shall not pass") } else { Ok(()) } }
        })
        .initial_headers(|_, headers| set_cookies(headers));
    Engine::new(config, move |session| answer(session, Arc::clone(&posted)))
}

fn set_cookies(headers: &mut HeaderMap) {
    let now = httpdate::fmt_http_date(std::time::SystemTime::now());
    let all = [
        "1=1; Max-Age=86400".into(),
        "2=2; Path=/; HttpOnly; Secure; SameSite=Strict".into(),
        "3=3; Max-Age=0".into(),
        format!("4=4; Expires={now}"),
    ];
    for cookie in all {
        headers.append(SET_COOKIE, HeaderValue::from_str(&cookie).expect("a cookie"));
    }
}

async fn answer(mut session: Session, posted: Posted) {
    let sender = session.sender();
    sender.send("hi");
    while let Some(message) = session.recv().await {
        match message.as_text() {
            Some("give binary") => sender.send(&[0, 1, 2, 3, 4]),
            Some("sendHeaders") => {
                let headers = posted.lock().expect("nobody panics").get(sender.id().as_str()).cloned();
                sender.send(headers.unwrap_or_else(|| "{}".into()));
            }
            Some("give utf8") => sender.send("пойду спать всем спокойной ночи"),
            _ => sender.send(message),
        }
    }
}
