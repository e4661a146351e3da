//! `sockeye serve`: whom it lets in, what it does with messages, and which files it gives out.

use std::time::Duration;

use sockeye::{CloseCode, Error, Message, connect, proto::handshake::HandshakeError};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::tool::{Folder, Serving, run, send};

#[tokio::test(flavor = "multi_thread")]
async fn echo_is_the_default_and_connections_are_logged() {
    let mut serving = Serving::start(&["--compress"]).await;
    let mut client = connect(&*serving.url).deflate(sockeye::DeflateConfig::default()).await.unwrap();
    assert!(client.is_compressed());
    for message in [Message::from("text"), b"\xff".into()] {
        client.send(message.clone()).await.unwrap();
        assert_eq!(client.recv().await.unwrap(), Some(message));
    }
    client.close(CloseCode::new(4000).unwrap(), "\x1b[1m").await.unwrap();
    assert_eq!(serving.err.next_line().await.unwrap().as_deref(), Some("#1 connected to /"));
    assert_eq!(serving.err.next_line().await.unwrap().as_deref(), Some("#1 closed by the client: 4000: \\x1b[1m"));
}

#[tokio::test(flavor = "multi_thread")]
async fn broadcast_goes_to_all_others() {
    let serving = Serving::start(&["--broadcast"]).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(connect(&*serving.url).await.unwrap());
    }
    // A client may be told that it is connected before it is in the room, so it says it again until it is heard.
    for number in 1..3 {
        let heard = loop {
            clients[number].send(format!("from {number}")).await.unwrap();
            if let Ok(heard) = timeout(Duration::from_millis(100), clients[0].recv()).await {
                break heard.unwrap();
            }
        };
        assert!(heard.is_some());
    }
    clients[0].send("from 0").await.unwrap();
    let mut seen = Vec::new();
    while let Some(message) = clients[1].recv().await.unwrap() {
        seen.push(message.as_text().unwrap().to_owned());
        if seen.last().is_some_and(|last| last == "from 0") {
            break;
        }
    }
    assert_eq!(seen.last().map(String::as_str), Some("from 0"));
    assert!(!seen.contains(&"from 1".to_owned()), "nobody hears themselves");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn command_gets_messages_as_lines_and_the_other_way_round() {
    let serving = Serving::start(&["--exec", "cat"]).await;
    let input: String = (0..10_000).map(|i| format!("line {i} {}\n", "y".repeat(i % 100))).collect();
    let ran = run(&["connect", &serving.url, "--count", "10000"], input.clone()).await;
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.text() == input);
    let serving = Serving::start(&["--exec", "cat", "--binary"]).await;
    let input = vec![7; 3 << 20];
    let ran = run(&["connect", &serving.url, "--binary"], input.clone()).await;
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.out == input, "{} of {} bytes", ran.out.len(), input.len());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn command_knows_the_request_and_its_status_closes() {
    let script = r#"echo "$PATH_INFO|$QUERY_STRING|$WS_SUBPROTOCOL"; read line; echo "got $line"; exit 3"#;
    let serving = Serving::start(&["--exec", script, "--subprotocol", "v1"]).await;
    let url = format!("{}/a%20b?c=$(id)", serving.url);
    let ran = run(&["connect", &url, "--subprotocol", "v1", "-n"], "hello\n").await;
    assert_eq!((ran.status, ran.text()), (1, "/a%20b|c=$(id)|v1\ngot hello\n"), "{}", ran.err);
    assert!(ran.err.contains("closed by the server: 1011"), "{}", ran.err);
    assert!(ran.err.contains("exit status: 3"), "{}", ran.err);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn command_finds_the_request_in_its_environment() {
    let folder = Folder::new("environment");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) =
        (folder.write("cert.pem", made.cert.pem()), folder.write("key.pem", made.signing_key.serialize_pem()));
    for tls in [&[][..], &["--cert", &cert, "--key", &key]] {
        let serving = Serving::start(&[tls, &["--exec", "env"]].concat()).await;
        let tcp = TcpStream::connect(serving.address()).await.unwrap();
        let ours = tcp.local_addr().unwrap();
        let url = format!("{}/a?b=$(id)", serving.url);
        let asked = connect(&*url)
            .header("X-Two", "1")
            .header("X-Two", "2")
            .header("Cookie", "c='\"$x")
            .header("Proxy", "evil");
        let asked = asked.header("X_Odd", "evil").header("Authorization", "Basic secret");
        let mut seen = Vec::new();
        let collect = async |ws: &mut sockeye::WebSocket| {
            let mut lines = Vec::new();
            while let Some(line) = ws.recv().await.unwrap() {
                lines.push(line.as_text().unwrap().to_owned());
            }
            lines
        };
        if tls.is_empty() {
            let (mut ws, _) = asked.over(sockeye::Transport::from(tcp)).await.unwrap();
            seen.extend(collect(&mut ws).await);
            assert!(seen.contains(&format!("REMOTE_PORT={}", ours.port())), "{seen:?}");
            assert!(!seen.contains(&"HTTPS=on".to_owned()));
        } else {
            let mut ws = asked.tls(sockeye::tls::ClientTls::dangerously_unverified()).await.unwrap();
            seen.extend(collect(&mut ws).await);
            assert!(seen.iter().any(|line| line.starts_with("REMOTE_PORT=")), "{seen:?}");
            assert!(seen.contains(&"HTTPS=on".to_owned()));
        }
        for line in [
            "REQUEST_METHOD=GET",
            "REQUEST_URI=/a?b=$(id)",
            "PATH_INFO=/a",
            "QUERY_STRING=b=$(id)",
            "REMOTE_ADDR=127.0.0.1",
            "HTTP_X_TWO=1, 2",
            "HTTP_COOKIE=c='\"$x",
        ] {
            assert!(seen.iter().any(|seen| seen == line), "{line} in {seen:?}");
        }
        assert!(!seen.iter().any(|line| line.contains("secret") || line.contains("evil")), "{seen:?}");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn command_whose_line_has_no_end_is_stopped() {
    let serving = Serving::start(&["--exec", "cat /dev/zero"]).await;
    let ran = run(&["connect", &serving.url, "-n"], "").await;
    assert_eq!((ran.status, ran.out.len()), (1, 0), "{}", ran.err);
    assert!(ran.err.contains("closed by the server: 1011"), "{}", ran.err);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn command_that_reads_goes_on_to_its_end_when_the_client_leaves() {
    let folder = Folder::new("exec");
    let log = folder.0.join("log");
    let script = format!("cat > {}", log.display());
    let mut serving = Serving::start(&["--exec", &script]).await;
    let ran = run(&["connect", &serving.url, "--wait", "0"], "kept\n").await;
    assert_eq!(ran.status, 0, "{}", ran.err);
    for _ in 0..2 {
        serving.err.next_line().await.unwrap();
    }
    assert_eq!(std::fs::read_to_string(log).unwrap(), "kept\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused() {
    let serving = Serving::start(&["--auth", "me:secret", "--origin", "https://app.example"]).await;
    let of = async |auth: &str, origin: &str| {
        let url = serving.url.replace("://", &format!("://{auth}"));
        match connect(&*url).header("Origin", origin).await {
            Ok(_) => 101,
            Err(Error::Handshake(error)) => match *error {
                HandshakeError::Refused(response) => response.status(),
                error => panic!("{error}"),
            },
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(of("me:secret@", "https://app.example").await, 101);
    assert_eq!(of("me:wrong@", "https://app.example").await, 401);
    assert_eq!(of("", "https://app.example").await, 401);
    assert_eq!(of("me:secret@", "https://evil.example").await, 403);
    assert_eq!(run(&["serve", "nowhere"], "").await.status, 2);
    assert_eq!(run(&["serve", ":0", "--echo", "--broadcast"], "").await.status, 2);
    assert_eq!(run(&["serve", ":0", "--static", "/nowhere"], "").await.status, 2);
    assert_eq!(run(&["serve", ":0", "--origin", "https://a/path"], "").await.status, 2);
    let taken = run(&["serve", serving.address()], "").await;
    assert_eq!(taken.status, 4);
    assert!(taken.err.contains("cannot listen on"), "{}", taken.err);
}

/// Makes a request as it is written; gives the status, the head and the body.
async fn ask(serving: &Serving, method: &str, target: &str) -> (u16, String, Vec<u8>) {
    let mut tcp = TcpStream::connect(serving.address()).await.unwrap();
    let request = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n\r\n", serving.address());
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = head[9..12].parse().unwrap();
    (status, head, answer[end + 4..].to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_served_with_their_type() {
    let folder = Folder::new("files");
    folder.write("index.html", "<p>home</p>");
    folder.write("sub/index.html", "<p>sub</p>");
    folder.write("sub/a b.js", "x");
    folder.write("data", b"\x00");
    let serving = Serving::start(&["--static", folder.0.to_str().unwrap()]).await;
    for (target, kind, body) in [
        ("/", "text/html; charset=utf-8", &b"<p>home</p>"[..]),
        ("/index.html?x", "text/html; charset=utf-8", b"<p>home</p>"),
        ("/sub/", "text/html; charset=utf-8", b"<p>sub</p>"),
        ("/sub/a%20b.js", "text/javascript; charset=utf-8", b"x"),
        ("/data", "application/octet-stream", b"\x00"),
    ] {
        let (status, head, content) = ask(&serving, "GET", target).await;
        assert_eq!((status, &content[..]), (200, body), "{target}");
        assert!(head.contains(&format!("Content-Type: {kind}\r\n")) && head.contains("nosniff"), "{head}");
    }
    let (status, head, body) = ask(&serving, "HEAD", "/").await;
    assert_eq!((status, body.len()), (200, 0));
    assert!(head.contains("Content-Length: 11"), "{head}");
    let (status, head, _) = ask(&serving, "GET", "/sub").await;
    assert!(status == 301 && head.contains("Location: /sub/"), "{head}");
    let (_, head, _) = ask(&serving, "GET", "//sub").await;
    assert!(head.contains("Location: /sub/"), "to no other host: {head}");
    let (status, head, _) = ask(&serving, "POST", "/").await;
    assert!(status == 405 && head.contains("Allow: GET, HEAD"), "{head}");
    let mut client = connect(&*serving.url).await.unwrap();
    client.send("still a WebSocket").await.unwrap();
    assert_eq!(client.recv().await.unwrap(), Some("still a WebSocket".into()));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn nothing_outside_the_folder_is_served() {
    let folder = Folder::new("outside");
    let secret = folder.write("secret", "secret");
    folder.write("www/inside", "inside");
    folder.write("www/.hidden", "secret");
    folder.write("www/sub/x", "x");
    let www = folder.0.join("www");
    std::os::unix::fs::symlink(&secret, www.join("link")).unwrap();
    std::os::unix::fs::symlink(&folder.0, www.join("up")).unwrap();
    std::os::unix::fs::symlink(&secret, www.join("sub/index.html")).unwrap();
    std::os::unix::fs::symlink(www.join("inside"), www.join("alias")).unwrap();
    let serving = Serving::start(&["--static", www.to_str().unwrap()]).await;
    assert_eq!(ask(&serving, "GET", "/alias").await.0, 200, "a link that stays inside");
    for target in [
        "/../secret",
        "/sub/../../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/%2e%2e%2fsecret",
        "/..%5csecret",
        "//../secret",
        "/inside/../../secret",
        "/link",
        "/up/secret",
        "/sub/",
        "/.hidden",
        "/%00",
        "/inside/",
        secret.as_str(),
        "/nothing",
    ] {
        let (status, _, body) = ask(&serving, "GET", target).await;
        assert!((400..500).contains(&status), "{target}: {status}");
        assert!(!body.windows(6).any(|window| window == b"secret"), "{target}");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn signals_end_it_in_order() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let serving = Serving::start(&[]).await;
        let mut client = connect(&*serving.url).await.unwrap();
        client.send("x").await.unwrap();
        assert!(client.recv().await.unwrap().is_some());
        send(signal, &serving.child);
        assert_eq!(client.recv().await.unwrap(), None);
        let code = client.end().and_then(|end| end.close_frame().map(|frame| frame.code));
        assert_eq!(code, Some(CloseCode::GOING_AWAY), "{signal}");
        assert_eq!(serving.ends().await, 0, "{signal}");
    }
}
