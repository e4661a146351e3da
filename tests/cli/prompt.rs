//! The prompt, on a pseudoterminal that `script` (of util-linux) makes.

use std::process::Stdio;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
};

use super::tool::{echo_server, server};

/// A person in front of a terminal.
struct Person {
    script: Child,
    seen: String,
}

impl Person {
    fn runs(arguments: &str) -> Self {
        let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_sockeye"));
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).env("NO_COLOR", "1").env("TERM", "xterm");
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        Self { script: script.spawn().expect("script is there, of util-linux"), seen: String::new() }
    }

    async fn types(&mut self, keys: &str) {
        self.script.stdin.as_mut().unwrap().write_all(keys.as_bytes()).await.unwrap();
    }

    /// Waits until this is on the terminal, behind what was waited for before.
    async fn sees(&mut self, text: &str) {
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            let mut more = [0; 1024];
            let read = self.script.stdout.as_mut().unwrap().read(&mut more).await.unwrap();
            assert!(read > 0, "{text:?} is not in {:?}", self.seen);
            self.seen += &String::from_utf8_lossy(&more[..read]);
        }
    }

    async fn ends(mut self) -> i32 {
        let mut rest = Vec::new();
        self.script.stdout.take().unwrap().read_to_end(&mut rest).await.unwrap();
        self.script.wait().await.unwrap().code().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "waits for ever now and then on a busy machine, and why is not known"]
async fn lines_come_in_above_the_line_that_is_typed() {
    let url = server(async |mut ws, _| {
        while let Some(message) = ws.recv().await? {
            assert_eq!(message.as_text(), Some("go"));
            ws.send("\x1b]0;owned\x07\u{9b}31m").await?;
        }
        Ok(())
    })
    .await;
    let mut person = Person::runs(&format!("connect {url} --no-history"));
    person.sees("connected to ws://").await;
    person.types("go\rhalf").await;
    person.sees("> go\r\n").await;
    person.sees("< \\x1b]0;owned\\x07\\x9b31m\r\n").await;
    person.sees("> half").await;
    person.types("\x15/close 4001 bye\r").await;
    person.sees("closed: 4001: bye").await;
    assert_eq!(person.ends().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "waits for ever now and then on a busy machine, and why is not known"]
async fn keys_edit_complete_and_end() {
    let url = echo_server().await;
    let mut person = Person::runs(&format!("connect {url} --no-history"));
    person.sees("connected to ws://").await;
    person.types("wrng\x1b[D\x1b[Do\r").await;
    person.sees("< wrong").await;
    person.types("\x1b[A!\r").await;
    person.sees("< wrong!").await;
    person.types("/pi\there\r").await;
    person.sees("pong in here after ").await;
    person.types("\x04").await;
    person.sees("closed: 1000 (normal)").await;
    assert_eq!(person.ends().await, 0);
    let mut person = Person::runs(&format!("connect {url} --no-history"));
    person.sees("connected to ws://").await;
    person.types("\x03").await;
    assert_eq!(person.ends().await, 130);
}
