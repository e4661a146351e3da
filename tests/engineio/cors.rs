//! Pages of other origins, and cookies.

use std::time::Duration;

use sockeye::{
    connect,
    engineio::{Config, Cookie, Cors, SameSite},
};

use crate::{
    POLLING, WEBSOCKET, error, serve,
    sio::{refused, request, sid, unhung},
};

const APP: [(&str, &str); 1] = [("Origin", "https://app.example")];
const STRANGER: [(&str, &str); 1] = [("Origin", "https://stranger.example")];
const UPGRADE: [(&str, &str); 5] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Origin", "https://app.example"),
];

#[tokio::test]
async fn without_cors_nothing_is_said_of_it() {
    let server = serve(Config::new()).await;
    let response = request(server.address, "GET", POLLING, &APP, b"").await;
    assert_eq!(response.status, 200, "a browser keeps it from the page");
    assert_eq!((response.header("access-control-allow-origin"), response.header("vary")), (None, None));
    let preflight = request(server.address, "OPTIONS", POLLING, &APP, b"").await;
    assert_eq!(preflight.told(), (400, &*error(2, "Bad handshake method")));
}

#[tokio::test]
async fn any_origin_is_a_star() {
    let server = serve(Config::new().cors(Cors::any())).await;
    for headers in [&APP[..], &[]] {
        let response = request(server.address, "GET", POLLING, headers, b"").await;
        assert_eq!(response.header("access-control-allow-origin").unwrap(), "*");
        assert_eq!(response.header("access-control-allow-credentials"), None);
    }
    let response = request(server.address, "GET", WEBSOCKET, &UPGRADE, b"").await;
    assert_eq!((response.status, &*response.header("access-control-allow-origin").unwrap()), (101, "*"));
}

#[tokio::test]
async fn listed_origin_is_named_on_every_response() {
    let cors = Cors::origins(["https://app.example"]).credentials().expose("x-served-by").max_age(600);
    let server = serve(Config::new().cors(cors)).await;
    let bad = "/engine.io/?EIO=4&transport=tobi";
    for (target, headers, status) in
        [(POLLING, &APP[..], 200), (bad, &APP[..], 400), (WEBSOCKET, &UPGRADE[..], 101), (bad, &UPGRADE[..], 400)]
    {
        let response = request(server.address, "GET", target, headers, b"").await;
        assert_eq!(response.status, status);
        assert_eq!(response.header("access-control-allow-origin").unwrap(), "https://app.example", "{target}");
        assert_eq!(response.header("access-control-allow-credentials").unwrap(), "true");
        assert_eq!(response.header("access-control-expose-headers").unwrap(), "x-served-by");
        assert_eq!(response.header("vary").unwrap(), "Origin");
    }
    let response = request(server.address, "GET", POLLING, &STRANGER, b"").await;
    assert_eq!(response.status, 200, "a browser keeps it from the page");
    assert_eq!(response.header("access-control-allow-origin"), None);
    assert_eq!(response.header("vary").unwrap(), "Origin", "caches are not to give it to the app");
}

#[tokio::test]
async fn preflight_is_answered_with_204() {
    let cors = Cors::judge(|origin| origin.ends_with(".example")).credentials().max_age(600);
    let server = serve(Config::new().cors(cors)).await;
    let headers = [APP[0], ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "x-token")];
    let response = request(server.address, "OPTIONS", POLLING, &headers, b"").await;
    assert_eq!(response.told(), (204, ""));
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "GET,HEAD,PUT,PATCH,POST,DELETE"),
        ("access-control-allow-headers", "x-token"),
        ("access-control-max-age", "600"),
        ("vary", "Origin, Access-Control-Request-Headers"),
    ] {
        assert_eq!(response.header(name).as_deref(), Some(value), "{name}");
    }
    assert!(server.engine.is_empty());
}

#[tokio::test]
async fn websocket_of_another_origin_is_refused_unless_it_is_let_in() {
    let closed = serve(Config::new()).await;
    let open = serve(Config::new().cors(Cors::origins(["https://app.example"]))).await;
    let to = |server: &crate::Running, origin: String| {
        unhung(connect(format!("ws://{}{WEBSOCKET}", server.address)).header("Origin", origin).into_future())
    };
    for server in [&closed, &open] {
        let (status, body) = refused(to(server, "https://stranger.example".into()).await);
        assert_eq!((status, &*body), (403, "pages of this origin are not let in"));
        to(server, format!("http://{}", server.address)).await.unwrap();
    }
    assert_eq!(refused(to(&closed, "https://app.example".into()).await).0, 403);
    to(&open, "https://app.example".into()).await.unwrap();
}

#[tokio::test]
async fn cookie_is_set_by_the_first_response_of_a_session_that_polls() {
    let cookie = Cookie::new("lb").path("/app").max_age(Duration::from_secs(60)).secure().same_site(SameSite::None);
    for (cookie, expected) in [
        (Cookie::new("io"), "io={sid}; Path=/; HttpOnly; SameSite=Lax"),
        (cookie, "lb={sid}; Path=/app; Max-Age=60; HttpOnly; Secure; SameSite=None"),
    ] {
        let mut server = serve(Config::new().cookie(cookie)).await;
        let response = request(server.address, "GET", POLLING, &[], b"").await;
        let sid = sid(response.text());
        assert_eq!(response.header("set-cookie").unwrap(), expected.replace("{sid}", &sid));
        let (client, _sender) = {
            let _first = server.begun().await;
            server.open().await
        };
        client.send("4hello").await;
        assert_eq!(client.get().await.header("set-cookie"), None);
        let upgraded = request(server.address, "GET", WEBSOCKET, &UPGRADE[..4], b"").await;
        assert_eq!((upgraded.status, upgraded.header("set-cookie")), (101, None));
    }
}
