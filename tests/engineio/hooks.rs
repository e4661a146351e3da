//! What the application wants to know of requests, and to say to them.

use std::sync::{Arc, Mutex};

use http::HeaderValue;
use sockeye::{
    connect,
    engineio::{Config, ConnectionError, Cors},
};

use crate::{
    PATH, POLLING, WEBSOCKET, error, serve,
    sio::{refused, request, unhung},
};

const UPGRADE: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

#[tokio::test]
async fn request_that_is_not_allowed_gets_403_and_the_reason() {
    let config = Config::new().allow_request(|handshake| {
        let is_known = handshake.request.bearer_token() == Some("s3cret") && handshake.peer.is_some();
        let room = handshake.parameter("room");
        async move {
            tokio::task::yield_now().await;
            match room {
                Some(room) if is_known => Err(format!("{room} is \"closed\"")),
                _ if is_known => Ok(()),
                _ => Err("no token".into()),
            }
        }
    });
    let server = serve(config).await;
    let token = [("Authorization", "Bearer s3cret")];
    let response = request(server.address, "GET", POLLING, &[], b"").await;
    assert_eq!(response.told(), (403, &*error(4, "no token")));
    let response = request(server.address, "GET", &format!("{POLLING}&room=a%20b"), &token, b"").await;
    assert_eq!(response.told(), (403, r#"{"code":4,"message":"a b is \"closed\""}"#));
    let url = format!("ws://{}{WEBSOCKET}", server.address);
    assert_eq!(refused(unhung(connect(&url[..]).into_future()).await), (403, "no token".into()));
    assert!(server.engine.is_empty());
    assert_eq!(request(server.address, "GET", POLLING, &token, b"").await.status, 200);
    unhung(connect(url).header("Authorization", "Bearer s3cret").into_future()).await.unwrap();
}

#[tokio::test]
async fn requests_of_a_session_are_not_judged_again() {
    let asked = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&asked);
    let config = Config::new().allow_request(move |_| {
        *counted.lock().unwrap() += 1;
        async { Ok::<_, &str>(()) }
    });
    let mut server = serve(config).await;
    let (client, _sender) = server.open().await;
    client.send("4hello").await;
    client.get().await;
    client.upgrade().await;
    assert_eq!(*asked.lock().unwrap(), 1);
}

#[tokio::test]
async fn headers_are_added_to_all_responses_or_to_the_first_ones() {
    let config = Config::new()
        .cors(Cors::any())
        .initial_headers(|handshake, headers| {
            let path = HeaderValue::from_str(handshake.request.path()).unwrap();
            headers.insert("x-initial", path);
        })
        .headers(|headers| {
            headers.insert("x-all", HeaderValue::from_static("yes"));
        });
    let mut server = serve(config).await;
    let (client, _sender) = server.open().await;
    client.send("4hello").await;
    for (method, target, headers, status, initial) in [
        ("GET", POLLING, &[][..], 200, Some(PATH)),
        ("GET", WEBSOCKET, &UPGRADE, 101, Some(PATH)),
        ("GET", &client.target("polling"), &[], 200, None),
        ("GET", &client.target("websocket"), &UPGRADE, 101, None),
        ("GET", "/engine.io/", &[], 400, None),
        ("OPTIONS", POLLING, &[], 204, None),
    ] {
        let response = request(server.address, method, target, headers, b"").await;
        assert_eq!(response.status, status, "{method} {target}");
        assert_eq!(response.header("x-all").as_deref(), Some("yes"), "{method} {target}");
        assert_eq!(response.header("x-initial").as_deref(), initial, "{method} {target}");
    }
}

#[tokio::test]
async fn listener_is_told_why_a_request_was_refused() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let config = Config::new().allow_request(|_| async { Err::<(), _>("not today") }).on_connection_error(
        move |handshake, error| {
            listener.lock().unwrap().push((handshake.request.path().to_owned(), error.code(), error.clone()));
        },
    );
    let server = serve(config).await;
    request(server.address, "GET", "/engine.io/a?EIO=4&transport=tobi", &[], b"").await;
    request(server.address, "GET", "/engine.io/b?EIO=4&transport=polling&sid=x", &[], b"").await;
    request(server.address, "GET", WEBSOCKET, &UPGRADE, b"").await;
    request(server.address, "GET", WEBSOCKET, &[], b"").await;
    let told = told.lock().unwrap();
    let codes: Vec<_> = told.iter().map(|(path, code, _)| (&**path, *code)).collect();
    assert_eq!(codes, [("/engine.io/a", 0), ("/engine.io/b", 1), (PATH, 4), (PATH, 3)]);
    assert_eq!(told[0].2, ConnectionError::UnknownTransport("tobi".into()));
    assert_eq!(told[2].2, ConnectionError::Forbidden("not today".into()));
}
