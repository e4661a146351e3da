//! Connections that are made again.

use std::{
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::Value;
use sockeye::{CloseCode, Server, WebSocket, proto::handshake::Response};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
};

use super::tool::{command, echo, run, server, soon, start};

/// The tool with `--reconnect --json`, event by event.
struct Listening {
    tool: Child,
    input: Option<ChildStdin>,
    events: Lines<BufReader<ChildStdout>>,
}

impl Listening {
    fn to(url: &str, options: &[&str]) -> Self {
        let args = [&["connect", url, "--reconnect", "--json"], options].concat();
        let mut tool = command(&args).stderr(Stdio::null()).spawn().unwrap();
        let input = tool.stdin.take();
        let events = BufReader::new(tool.stdout.take().unwrap()).lines();
        Self { tool, input, events }
    }

    /// The next event of this name.
    async fn sees(&mut self, name: &str) -> Value {
        loop {
            let line = soon("the next event", self.events.next_line())
                .await
                .unwrap()
                .unwrap_or_else(|| panic!("{name} does not come any more"));
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["event"] == name {
                return event;
            }
        }
    }

    async fn writes(&mut self, line: &str) {
        self.input.as_mut().unwrap().write_all(line.as_bytes()).await.unwrap();
    }

    async fn ends(mut self) -> i32 {
        while soon("the next event", self.events.next_line()).await.unwrap().is_some() {}
        soon("the end", self.tool.wait()).await.unwrap().code().unwrap()
    }
}

/// A server that restarts behind its first words, dies in the middle of its second visit, and stays at the third.
async fn restless_server() -> String {
    let visits = AtomicU32::new(0);
    server(move |mut ws: WebSocket, request| {
        let visit = visits.fetch_add(1, Ordering::Relaxed) + 1;
        async move {
            ws.send(format!("visit {visit}")).await?;
            match visit {
                1 => ws.close(CloseCode::SERVICE_RESTART, "back soon").await,
                2 => {
                    let _ = ws.recv().await?;
                    panic!("as it was asked to")
                }
                _ => echo(ws, request).await,
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_that_is_lost_is_made_again_and_both_are_told() {
    let mut tool = Listening::to(&restless_server().await, &[]);
    for visit in 1..=3 {
        assert_eq!(tool.sees("open").await["subprotocol"], Value::Null);
        let message = tool.sees("message").await;
        assert_eq!(message["text"], format!("visit {visit}"));
        if visit == 2 {
            tool.writes("die\n").await;
        }
        if visit < 3 {
            let lost = tool.sees("lost").await;
            assert!(lost["retry_in"].is_f64(), "{lost}");
            assert_eq!(lost["text"].as_str().unwrap().contains("1012"), visit == 1, "{lost}");
        }
    }
    tool.writes("hello\n").await;
    loop {
        let message = tool.sees("message").await;
        if message["way"] == "in" {
            assert_eq!(message["text"], "hello");
            break;
        }
    }
    drop(tool.input.take());
    assert_eq!(tool.sees("close").await["code"], 1000);
    assert_eq!(tool.ends().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_without_a_connection_is_sent_by_the_next() {
    let visits = AtomicU32::new(0);
    // Refused for a while, as by a proxy whose server starts.
    let server = Server::bind("127.0.0.1:0").await.unwrap().judge(move |_, _| {
        let visit = visits.fetch_add(1, Ordering::Relaxed);
        async move { if visit < 2 { Err(Response::new(503).unwrap()) } else { Ok(Default::default()) } }
    });
    let url = start(server, echo);
    let ran = run(&["connect", &url, "--reconnect", "--wait", "0"], "one\ntwo\n").await;
    assert_eq!((ran.status, ran.text()), (0, "one\ntwo\n"), "{}", ran.err);
    assert_eq!(ran.err.matches("no connection: ").count(), 2, "{}", ran.err);
    assert!(ran.err.contains("503") && ran.err.contains("connected to ws://"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_attempt_is_made_where_none_is_worth_it() {
    let url = server(async |mut ws, _| ws.close(CloseCode::NORMAL, "that is all").await).await;
    let ran = run(&["connect", &url, "--reconnect", "-n"], "").await;
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.err.contains("that is all"), "{}", ran.err);
    let refusing = Server::bind("127.0.0.1:0").await.unwrap().judge(async |_, _| {
        let mut response = Response::new(403).unwrap();
        response.body = "not you".into();
        Err(response)
    });
    let ran = run(&["connect", &start(refusing, echo), "--reconnect", "-n"], "").await;
    assert_eq!(ran.status, 3);
    assert_eq!(ran.err, "not you\nsockeye: the server refused with status 403 Forbidden\n");
    assert_eq!(run(&["connect", "ftp://a", "--reconnect"], "").await.status, 2);
    let ran = run(&["connect", "ws://127.0.0.1:9", "--reconnect", "-n", "--timeout", "0.1"], "").await;
    assert_eq!(ran.status, 5, "{}", ran.err);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn person_sees_losses_and_leaves_without_a_connection() {
    let url = server(async |mut ws, _| ws.close(CloseCode::SERVICE_RESTART, "\x1b[2J").await).await;
    let mut person = super::person::Person::runs(&["connect", &url, "--reconnect", "--no-history"]);
    for _ in 0..2 {
        person.sees("connected to ws://");
        person.sees("closed by the server: 1012 (service restart): \\x1b[2J; the next attempt is in ");
    }
    person.types("\x04");
    assert!([1, 4].contains(&person.ends().await));
    assert!(person.has_terminal_as_it_was());
}
