//! How it ends, and what it says then.

use std::time::Duration;

use sockeye::{CloseCode, Error, Server, WebSocket, proto::handshake::Response};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    time::timeout,
};

use super::tool::{command, echo, echo_server, finish, raw_server, run, send, server, soon, start};

async fn closing_server(code: u16, reason: &'static str) -> String {
    server(move |mut ws: WebSocket, _| async move { ws.close(CloseCode::new(code).unwrap(), reason).await }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn close_code_of_the_server_decides() {
    for (code, status) in [(1000, 0), (1001, 0), (1011, 1), (4000, 1)] {
        let url = closing_server(code, "that is all").await;
        let ran = run(&["connect", &url, "-n"], "").await;
        assert_eq!(ran.status, status, "{code}");
        assert!(ran.err.contains(&format!("closed by the server: {code}")), "{}", ran.err);
        assert!(ran.err.contains("that is all"), "{}", ran.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn close_code_that_was_asked_for_is_clean() {
    let url = echo_server().await;
    let options = ["--close-code", "4000", "--close-reason", "bye", "--json", "--wait", "0"];
    let ran = run(&[&["connect", &url][..], &options].concat(), "").await;
    assert_eq!(ran.status, 0, "{}", ran.err);
    let close = ran.json().pop().unwrap();
    assert_eq!((&close["sent"], &close["received"]), (&4000.into(), &4000.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_says_nothing_of_what_went_well() {
    let url = closing_server(1000, "").await;
    assert_eq!(run(&["connect", &url, "-n", "--quiet"], "").await.err, "");
    let url = closing_server(4000, "").await;
    assert_ne!(run(&["connect", &url, "-n", "--quiet"], "").await.err, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_and_count_end_behind_so_many_messages() {
    let url = echo_server().await;
    let input = "a\nb\nc\nd\n";
    let ran = run(&["connect", &url, "-n", "--one"], input).await;
    assert_eq!(ran.status, 0);
    assert!(ran.text().starts_with("a\n"));
    let ran = run(&["connect", &url, "--count", "4"], input).await;
    assert_eq!((ran.status, ran.text()), (0, input));
    let ran = run(&["connect", &url, "--count", "5", "--wait", "0"], input).await;
    assert_eq!((ran.status, ran.text()), (1, input));
    assert!(ran.err.contains("4 of 5 messages came"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn expectations_are_met_one_after_the_other_or_it_is_a_failure() {
    let url = echo_server().await;
    let expect = async |options: &[&str]| run(&[&["connect", &url], options].concat(), "one\ntwo\nthree\n").await;
    assert_eq!(expect(&["-n", "--expect", "two"]).await.status, 0);
    assert_eq!(expect(&["-n", "--expect", "/^t.o$/", "--expect", "hre"]).await.status, 0);
    let missed = expect(&["--expect", "two", "--expect", "one", "--wait", "0"]).await;
    assert_eq!(missed.status, 1);
    assert!(missed.err.contains("no message had \"one\" in it"), "{}", missed.err);
    assert_eq!(expect(&["-n", "--expect", "four", "--timeout", "1"]).await.status, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_expected_is_waited_for_until_the_timeout() {
    let slow = |mut ws: WebSocket, _| async move {
        ws.recv().await?;
        // Longer than it waits without --timeout; Pings are answered meanwhile.
        let _ = timeout(Duration::from_millis(1500), ws.recv()).await;
        ws.send("pong").await
    };
    let url = server(slow).await;
    let expect = ["connect", &url, "-m", "ping", "--expect", "pong"];
    let ran = run(&[&expect[..], &["--timeout", "60"]].concat(), "").await;
    assert_eq!((ran.status, ran.text()), (0, "pong\n"), "{}", ran.err);
    assert_eq!(run(&expect, "").await.status, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_is_2_and_says_what_is_wrong() {
    let url = echo_server().await;
    let cases: [(&[&str], &str); 17] = [
        (&["connect"], "<URL>"),
        (&["connect", "ftp://a"], "scheme \"ftp\""),
        (&["connect", "ws://a b/"], "percent-encoded"),
        (&["connect", &url, "--nonsense"], "--nonsense"),
        (&["connect", &url, "-H", "no colon"], "NAME: VALUE"),
        (&["connect", &url, "-H", "a b: c"], "a b"),
        (&["connect", &url, "-H", "Upgrade: x"], "upgrade"),
        (&["connect", &url, "--close-code", "1006"], "1006 cannot be sent"),
        (&["connect", &url, "--cacert", "/nowhere.pem"], "/nowhere.pem"),
        (&["connect", &url, "--proxy", "ftp://a"], "no URL of a proxy"),
        (&["connect", &url, "--auth", "nobody"], "USER:PASSWORD"),
        (&["connect", &url, "--ping-interval", "0"], "more than 0"),
        (&["connect", &url, "--frames", "-L"], "cannot be used with '--redirects"),
        (&["connect", &url, "--frames", "--reconnect"], "cannot be used with '--reconnect"),
        (&["connect", &url, "--timeout", "1e18"], "more than a century"),
        (&["bench", &url, "--rate", "0"], "more than 0"),
        (&["bench", &url, "--size", "65M"], "more than --max-message"),
    ];
    for (args, complaint) in cases {
        let ran = run(args, "").await;
        assert_eq!((ran.status, ran.out.len()), (2, 0), "{args:?}: {}", ran.err);
        assert!(ran.err.to_lowercase().contains(&complaint.to_lowercase()), "{args:?}: {}", ran.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_is_3_and_shows_status_and_body() {
    let server = Server::bind("127.0.0.1:0").await.unwrap().judge(async |_, _| {
        let mut response = Response::new(401).unwrap();
        response.headers.push("X-Hint", "ask \x1b").unwrap_err();
        response.headers.push("X-Hint", "ask").unwrap();
        response.body = "who are you?\x1b[2J\n".into();
        Err(response)
    });
    let url = start(server, echo);
    let ran = run(&["connect", &url], "").await;
    assert_eq!((ran.status, ran.out.len()), (3, 0));
    assert_eq!(ran.err, "who are you?\\x1b[2J\nsockeye: the server refused with status 401 Unauthorized\n");
    assert!(run(&["connect", &url, "-v"], "").await.err.contains("X-Hint: ask"));
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_followed_if_asked_for() {
    let target = echo_server().await;
    let location = format!("{target}/there");
    let server = Server::bind("127.0.0.1:0").await.unwrap().judge(move |_, _| {
        let mut response = Response::new(302).unwrap();
        response.headers.push("Location", &location).unwrap();
        async { Err(response) }
    });
    let url = start(server, echo);
    let ran = run(&["connect", &url, "-m", "x", "--one"], "").await;
    assert_eq!(ran.status, 3);
    assert!(ran.err.contains(&format!("see {target}/there")), "{}", ran.err);
    let ran = run(&["connect", &url, "-L", "-m", "x", "--one"], "").await;
    assert_eq!((ran.status, ran.text()), (0, "x\n"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn network_is_4() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", free.local_addr().unwrap());
    drop(free);
    let ran = run(&["connect", &url], "").await;
    assert_eq!(ran.status, 4);
    assert!(ran.err.contains("cannot be reached"), "{}", ran.err);
    assert_eq!(run(&["connect", "ws://127.0.0.1:9", "--proxy", &url.replace("ws", "http")], "").await.status, 4);
    // Lost in the middle: the process that serves is gone, without a Close.
    let mut serving = super::tool::Serving::start(&[]).await;
    let mut tool = command(&["connect", &serving.url, "-n"]).spawn().unwrap();
    tool.stdin.as_mut().unwrap().write_all(b"hello\n").await.unwrap();
    let mut out = BufReader::new(tool.stdout.take().unwrap()).lines();
    assert_eq!(out.next_line().await.unwrap().as_deref(), Some("hello"));
    serving.child.kill().await.unwrap();
    let ran = finish(tool, "").await;
    assert_eq!(ran.status, 4, "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn time_limits_are_5() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", silent.local_addr().unwrap());
    let ran = run(&["connect", &url, "--connect-timeout", "0.2"], "").await;
    assert_eq!(ran.status, 5, "{}", ran.err);
    let ran = run(&["connect", &url, "--timeout", "200ms"], "").await;
    assert_eq!(ran.status, 5, "{}", ran.err);
    let url = echo_server().await;
    let ran = run(&["connect", &url, "-n", "--timeout", "200ms"], "hello\n").await;
    assert_eq!((ran.status, ran.text()), (5, "hello\n"), "what came is printed: {}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_breaks_the_protocol_is_1() {
    let url = raw_server(async |mut tcp| {
        // A text of one byte that is no UTF-8.
        tcp.write_all(b"\x81\x01\xff").await.unwrap();
        let mut rest = Vec::new();
        let _ = tcp.read_to_end(&mut rest).await;
    })
    .await;
    let ran = run(&["connect", &url, "-n"], "").await;
    assert_eq!(ran.status, 1, "{}", ran.err);
    assert!(ran.err.contains("the peer broke the protocol"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_ends_without_an_answer_to_a_close_is_4() {
    let url = raw_server(async |mut tcp| {
        // The Ping behind the input's end is answered with what it says.
        let mut ping = [0; 6];
        tcp.read_exact(&mut ping).await.unwrap();
        let mut payload = vec![0; usize::from(ping[1] & 0x7f)];
        tcp.read_exact(&mut payload).await.unwrap();
        for (index, byte) in payload.iter_mut().enumerate() {
            *byte ^= ping[2 + index % 4];
        }
        tcp.write_all(&[&[0x8a, payload.len() as u8], &payload[..]].concat()).await.unwrap();
        let mut close = [0; 8];
        tcp.read_exact(&mut close).await.unwrap();
        assert_eq!(close[0], 0x88);
    })
    .await;
    let ran = run(&["connect", &url, "--wait", "0"], "").await;
    assert_eq!(ran.status, 4, "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_is_silent_is_given_up_if_asked_for() {
    let url = raw_server(async |mut tcp| {
        let mut rest = Vec::new();
        let _ = tcp.read_to_end(&mut rest).await;
    })
    .await;
    let ran = run(&["connect", &url, "-n", "--ping-interval", "0.1", "--ping-timeout", "0.2"], "").await;
    assert_eq!(ran.status, 5, "{}", ran.err);
    assert!(ran.err.contains("not even a Pong"), "{}", ran.err);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn signals_close_and_say_so() {
    let (told, mut tell) = tokio::sync::mpsc::channel(1);
    let url = server(move |mut ws: WebSocket, _| {
        let told = told.clone();
        async move {
            ws.send("ready").await?;
            while ws.recv().await?.is_some() {}
            let code = ws.end().and_then(|end| end.close_frame().map(|frame| frame.code));
            told.send(code).await.unwrap();
            Ok::<_, Error>(())
        }
    })
    .await;
    for (signal, status) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        let mut tool = command(&["connect", &url, "-n"]).spawn().unwrap();
        let mut out = BufReader::new(tool.stdout.take().unwrap()).lines();
        assert_eq!(out.next_line().await.unwrap().as_deref(), Some("ready"));
        send(signal, &tool);
        assert_eq!(soon("the Close", tell.recv()).await, Some(Some(CloseCode::GOING_AWAY)), "{signal}");
        assert_eq!(finish(tool, "").await.status, status, "{signal}");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn output_that_takes_nothing_keeps_it_from_no_end() {
    let url = server(async |mut ws, _| {
        loop {
            ws.send("x".repeat(1000)).await?;
        }
    })
    .await;
    let mut tool = command(&["connect", &url, "-n"]).spawn().unwrap();
    let mut out = BufReader::new(tool.stdout.take().unwrap()).lines();
    assert!(out.next_line().await.unwrap().is_some());
    send("-TERM", &tool);
    assert_eq!(finish(tool, "").await.status, 143);
    let mut tool = command(&["connect", &url, "-n", "--timeout", "1"]).spawn().unwrap();
    let unread = tool.stdout.take().unwrap();
    assert_eq!(finish(tool, "").await.status, 5);
    drop((out, unread));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn signal_ends_it_before_there_is_a_connection() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", silent.local_addr().unwrap());
    let tool = command(&["connect", &url]).spawn().unwrap();
    let _io = silent.accept().await.unwrap();
    send("-TERM", &tool);
    let ran = finish(tool, "").await;
    assert_eq!(ran.status, 143);
    assert!(ran.err.contains("before the connection was open"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn output_that_nobody_reads_ends_it() {
    let url = server(async |mut ws, _| {
        loop {
            ws.send("more").await?;
        }
    })
    .await;
    let mut tool = command(&["connect", &url, "-n"]).spawn().unwrap();
    let mut out = BufReader::new(tool.stdout.take().unwrap()).lines();
    assert_eq!(out.next_line().await.unwrap().as_deref(), Some("more"));
    drop(out);
    assert_eq!(finish(tool, "").await.status, 0);
}
