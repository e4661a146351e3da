//! What a client goes through on the way: redirects, proxies, Unix sockets, credentials, and connecting again.
#![cfg(all(feature = "client", feature = "server"))]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod io;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use io::{
    tcp::{bind, echo, serve},
    unhung,
};
use sockeye::{
    CloseCode, Error, WebSocket,
    client::{Happening, Loss, reconnecting},
    connect,
    proto::{
        connection::Timeout,
        handshake::{Accept, HandshakeError, Request, Response},
    },
};
use tokio::net::TcpListener;

/// A server that redirects by path, and one that says with what it was asked.
fn redirecting(to: String) -> impl Fn(Request, sockeye::server::Peer) -> std::future::Ready<Result<Accept, Response>> {
    move |request, _peer| {
        let mut redirect = Response::new(match request.path() {
            "/moved" => 301,
            "/here" => 307,
            "/loop" => 302,
            _ => return std::future::ready(Ok(Accept::default())),
        })
        .unwrap();
        let location = match request.path() {
            "/here" => "there?again".into(),
            "/loop" => "/loop".into(),
            _ => to.clone(),
        };
        redirect.headers.push("Location", location).unwrap();
        std::future::ready(Err(redirect))
    }
}

/// Tells its client the path and the credentials that it came with.
async fn tell(mut ws: WebSocket, request: Request) -> Result<(), Error> {
    let authorization = request.header("Authorization").unwrap_or("none");
    ws.send(format!("{} {authorization} {}", request.target(), request.header("X-Kept").unwrap_or("none"))).await?;
    ws.close(CloseCode::NORMAL, "").await
}

async fn told(connecting: sockeye::Connect) -> String {
    let mut ws = unhung(connecting.into_future()).await.expect("it is let in");
    let message = ws.recv().await.unwrap().expect("a message comes first");
    message.as_text().expect("text").to_owned()
}

#[tokio::test]
async fn client_follows_as_many_redirects_as_it_is_told_to() {
    let elsewhere = serve(bind().await, tell);
    let target = format!("http://{}/elsewhere", elsewhere.address);
    let server = serve(bind().await.judge(redirecting(target)), tell);
    let url = |path: &str| format!("ws://ann:secret@{}{path}", server.address);
    let kept = |connect: sockeye::Connect| connect.header("X-Kept", "kept");
    assert_eq!(told(kept(connect(url("/here"))).redirects(1)).await, "/there?again Basic YW5uOnNlY3JldA== kept");
    // Another port is another origin.
    assert_eq!(told(kept(connect(url("/moved"))).redirects(1)).await, "/elsewhere none kept");
    let with_header = connect(url("/moved")).header("Authorization", "Bearer x").header("Cookie", "a=b");
    assert_eq!(told(with_header.redirects(1)).await, "/elsewhere none none");
    for (path, redirects, status) in [("/here", 0, 307), ("/loop", 5, 302)] {
        let error = unhung(connect(url(path)).redirects(redirects).into_future()).await.unwrap_err();
        let Error::Handshake(refused) = &error else { panic!("{error:?}") };
        assert!(matches!(&**refused, HandshakeError::Refused(response) if response.status() == status), "{error:?}");
    }
}

#[tokio::test]
async fn user_and_password_of_the_url_become_basic_authentication() {
    let server = serve(bind().await, tell);
    assert_eq!(told(connect(format!("ws://ann:p%40ss@{}/", server.address))).await, "/ Basic YW5uOnBAc3M= none");
    let own = connect(format!("ws://ann:secret@{}/", server.address)).header("Authorization", "Bearer x");
    assert_eq!(told(own).await, "/ Bearer x none");
}

#[cfg(unix)]
#[tokio::test]
async fn client_connects_over_a_unix_socket() {
    let path = std::env::temp_dir().join(format!("sockeye-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let serving = async {
        let (io, _) = listener.accept().await.unwrap();
        let incoming = sockeye::server::receive_request(io, &Default::default()).await.unwrap();
        assert_eq!((incoming.request().target(), incoming.request().host()), ("/x?y", Some("localhost")));
        let mut ws = incoming.accept(Accept::default()).await.unwrap();
        let message = ws.recv().await.unwrap().unwrap();
        ws.send(message).await.unwrap();
        let _ = ws.recv().await;
    };
    let connecting = async {
        let mut ws = connect(format!("ws+unix:{}:/x?y", path.display())).await.unwrap();
        ws.send("hello").await.unwrap();
        assert_eq!(ws.recv().await.unwrap(), Some("hello".into()));
        ws.close(CloseCode::NORMAL, "").await.unwrap();
    };
    unhung(async { tokio::join!(serving, connecting) }).await;
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(connect(format!("ws+unix:{}", path.display())).await, Err(Error::Io(_))));
}

#[tokio::test]
async fn silent_server_is_named_by_the_stage_that_it_let_pass() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let error = unhung(connect(url).timeout(Duration::from_millis(20)).into_future()).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut(Timeout::Handshake)), "{error:?}");
}

// ── connecting again ──

/// What happens, in words.
fn word(happening: &Happening) -> String {
    match happening {
        Happening::Connected => "connected".into(),
        Happening::Message(message) => message.as_text().unwrap().to_owned(),
        Happening::Lost { loss, retry_in } => {
            let kind = match loss {
                Loss::NotConnected(_) => "not connected",
                Loss::Closed(_) => "closed",
                Loss::Failed(_) => "failed",
                _ => "else",
            };
            format!("{kind}{}", if retry_in.is_some() { "" } else { " for good" })
        }
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn lost_connections_are_made_again_and_say_why() {
    let visits = Arc::new(Mutex::new(0));
    let server = serve(bind().await, move |mut ws: WebSocket, request: Request| {
        let visit = {
            let mut visits = visits.lock().unwrap();
            *visits += 1;
            *visits
        };
        async move {
            assert_eq!(request.header("X-Visit"), Some("yes"));
            ws.send(format!("visit {visit}")).await?;
            match visit {
                1 => ws.close(CloseCode::SERVICE_RESTART, "back soon").await,
                // A task that dies takes its connection with it, and what it had not yet written.
                2 => panic!("as it was asked to"),
                _ => echo(ws, request).await,
            }
        }
    });
    let mut again = reconnecting(server.url())
        .with(|connect| connect.header("X-Visit", "yes"))
        .backoff(Duration::from_millis(1), Duration::from_millis(2));
    unhung(async {
        let mut happened = Vec::new();
        while happened.len() < 7 {
            // Dropped between its parts, it loses nothing.
            let next = tokio::select! {
                biased;
                next = again.next() => next,
                () = tokio::task::yield_now() => continue,
            };
            happened.push(word(&next.expect("it goes on")));
        }
        let expected = ["connected", "visit 1", "closed", "connected", "failed", "connected", "visit 3"];
        assert_eq!(happened, expected);
        again.send("still there?").await.unwrap();
        assert_eq!(word(&again.next().await.unwrap()), "still there?");
        let sender = again.sender().unwrap();
        let (sent, echoed) = tokio::join!(sender.send("from elsewhere"), again.next());
        assert_eq!((sent.is_ok(), &*word(&echoed.unwrap())), (true, "from elsewhere"));
        again.close(CloseCode::NORMAL, "").await.unwrap();
        assert!(again.next().await.is_none() && again.connection().is_none() && again.sender().is_none());
        assert!(matches!(again.send("gone").await, Err(Error::Closed)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn waits_grow_and_differ_and_end_with_what_cannot_be_mended() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", unused.local_addr().unwrap());
    drop(unused);
    let mut again = reconnecting(url);
    for attempt in 0..10 {
        let Some(Happening::Lost { loss: Loss::NotConnected(Error::Io(_)), retry_in: Some(wait) }) = again.next().await
        else {
            panic!("no connection")
        };
        let whole = Duration::from_millis(500 << attempt).min(Duration::from_secs(30));
        assert!((whole / 2..=whole).contains(&wait), "{wait:?} behind attempt {attempt}");
    }
    let mut hopeless = reconnecting("http://nowhere/");
    assert_eq!(word(&hopeless.next().await.unwrap()), "not connected for good");
    assert!(hopeless.next().await.is_none());
    let mut picky = reconnecting("ws://127.0.0.1:1/").retry_if(|_| false);
    assert_eq!(word(&picky.next().await.unwrap()), "not connected for good");
}

// ── proxies ──

#[cfg(feature = "proxy")]
mod proxies {
    use sockeye::{ProxyError, client::Proxy};
    use tokio::{
        io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
        net::TcpStream,
        task::JoinHandle,
    };

    use super::*;

    /// A proxy that answers every `CONNECT` with this, and connects if it is a 200; it keeps the heads it was sent.
    async fn proxy(answer: &'static str) -> (String, Arc<Mutex<String>>, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heads = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&heads);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut client = BufReader::new(client);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") && client.read_line(&mut head).await.unwrap_or(0) > 0 {}
                let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
                kept.lock().unwrap().push_str(&head);
                client.write_all(answer.as_bytes()).await.unwrap();
                if answer.starts_with("HTTP/1.1 200") {
                    let mut server = TcpStream::connect(target).await.unwrap();
                    tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
                }
            }
        });
        (address, heads, task)
    }

    async fn through(proxy: &str, server: &sockeye::Server) -> Result<WebSocket, Error> {
        let url = format!("ws://{}/", server.local_addr().unwrap());
        unhung(connect(url).proxy(Proxy::new(proxy)?).into_future()).await
    }

    #[tokio::test]
    async fn client_goes_through_a_proxy_with_its_credentials() {
        let (address, heads, _task) = proxy("HTTP/1.1 200 Go on\r\n\r\n").await;
        let server = serve(bind().await, echo);
        let url = format!("ws://{}/", server.address);
        let proxy = Proxy::new(&format!("http://ann:p%40ss@{address}")).unwrap();
        let mut ws = unhung(connect(&*url).proxy(proxy).into_future()).await.unwrap();
        ws.send("through").await.unwrap();
        assert_eq!(ws.recv().await.unwrap(), Some("through".into()));
        let target = server.address;
        let expected =
            format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic YW5uOnBAc3M=\r\n\r\n");
        assert_eq!(*heads.lock().unwrap(), expected);
        // And not, if told so.
        unhung(connect(&*url).proxy(Proxy::none()).into_future()).await.unwrap();
        assert_eq!(heads.lock().unwrap().matches("CONNECT").count(), 1);
    }

    #[tokio::test]
    async fn proxy_that_is_in_the_way_is_named_and_not_its_password() {
        let server = bind().await;
        for (answer, says) in [
            ("HTTP/1.1 407 Who are you\r\n\r\n", "refused to connect with 407 Who are you"),
            ("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 1000\r\n\r\n", "refused to connect with 502 Bad Gateway"),
            ("HTTP/1.1 200 OK\r\n\r\nbytes", "bytes came before any were sent"),
            ("SSH-2.0-x\r\n\r\n", "malformed first line"),
        ] {
            let (address, ..) = proxy(answer).await;
            let error = through(&format!("http://ann:secret@{address}"), &server).await.unwrap_err();
            assert!(matches!(error, Error::Proxy(_)), "{error:?}");
            let words = format!("{error} {error:?}");
            assert!(words.contains(says) && words.contains(&address) && !words.contains("secret"), "{words}");
        }
        let error = through("http://127.0.0.1:1", &server).await.unwrap_err();
        assert!(
            matches!(&error, Error::Proxy(error) if matches!(**error, ProxyError::Unreachable { .. })),
            "{error:?}"
        );
        for url in ["", "ftp://a", "http://", "socks4://a", "://", "http://ann:secret@"] {
            let error = Proxy::new(url).unwrap_err();
            assert!(matches!(error, Error::Proxy(_)) && !error.to_string().contains("secret"), "{error}");
        }
    }

    #[tokio::test]
    async fn proxy_that_says_nothing_is_a_connection_that_was_not_made_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        let server = bind().await;
        let url = format!("ws://{}/", server.local_addr().unwrap());
        let connecting = connect(url).proxy(Proxy::new(&proxy).unwrap()).connect_timeout(Duration::from_millis(20));
        let error = unhung(connecting.into_future()).await.unwrap_err();
        assert!(matches!(error, Error::TimedOut(Timeout::Connect)), "{error:?}");
    }
}
