//! The prompt, as a person sees it.

use sockeye::{CloseCode, Error, WebSocket};
use tokio::sync::mpsc;

use super::{
    person::Person,
    tool::{echo_server, server, soon},
};

#[tokio::test(flavor = "multi_thread")]
async fn lines_come_in_above_the_line_that_is_typed() {
    let url = server(async |mut ws, _| {
        while let Some(message) = ws.recv().await? {
            assert_eq!(message.as_text(), Some("go"));
            ws.send("\x1b]0;owned\x07\u{9b}31m").await?;
        }
        Ok(())
    })
    .await;
    let mut person = Person::runs(&["connect", &url, "--no-history"]);
    person.sees("connected to ws://");
    person.types("go\rhalf");
    person.sees("> go\r\n");
    person.sees("< \\x1b]0;owned\\x07\\x9b31m\r\n");
    person.sees("> half");
    person.types("\x15/close 4001 bye\r");
    person.sees("closed: 4001: bye");
    assert_eq!(person.ends().await, 0);
    assert!(person.has_terminal_as_it_was());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_edit_complete_and_end() {
    let url = echo_server().await;
    let mut person = Person::runs(&["connect", &url, "--no-history"]);
    person.sees("> ");
    person.types("wrng\x1b[D\x1b[Do\r");
    person.sees("< wrong");
    person.types("\x1b[A!\r");
    person.sees("< wrong!");
    person.types("/pi\there\r");
    person.sees("pong in here after ");
    person.types("\x04");
    person.sees("closed: 1000 (normal)");
    assert_eq!(person.ends().await, 0);
    let mut person = Person::runs(&["connect", &url, "--no-history"]);
    person.sees("> ");
    person.types("\x03");
    assert_eq!(person.ends().await, 130);
    assert!(person.has_terminal_as_it_was());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_typed_before_there_is_a_prompt_are_not_lost() {
    let url = echo_server().await;
    let mut person = Person::runs(&["connect", &url, "--no-history"]);
    person.types("wrng\x1b[D\x1b[Do\rhalf");
    person.sees("< wrong");
    person.sees("> half");
    person.types("\r");
    person.sees("< half");
    person.types("\x04");
    assert_eq!(person.ends().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_come_all_at_once_are_not_lost() {
    let url = echo_server().await;
    let mut person = Person::runs(&["connect", &url, "--no-history"]);
    person.sees("> ");
    // More than a read of them takes, and less than what a terminal holds.
    let lines: Vec<_> = (0..30).map(|number| format!("{number} {}", "x".repeat(96))).collect();
    person.types(&(lines.join("\r") + "\r"));
    for line in &lines {
        person.sees(&format!("< {line}"));
    }
    person.types("\x04");
    assert_eq!(person.ends().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_a_key_stops_nothing() {
    let url = server(async |mut ws, _| {
        ws.recv().await?;
        ws.send("one").await?;
        ws.recv().await?;
        Ok(())
    })
    .await;
    let mut person = Person::runs(&["connect", &url, "--no-history"]);
    person.sees("> ");
    person.types("go\r\x1b[");
    person.sees("< one");
    // The rest of it makes it a key: to the left.
    person.types("Dgo\r\x1b[");
    person.sees("closed by the server: 1000");
    assert_eq!(person.ends().await, 0);
    assert!(person.has_terminal_as_it_was());
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_does_not_wait_behind_what_nobody_takes() {
    // The handler of a server that reads nothing.
    let url = server(async |ws, _| {
        std::future::pending::<()>().await;
        drop(ws);
        Ok(())
    })
    .await;
    let folder = super::tool::Folder::new("stuck");
    let file = folder.write("large", vec![0; 30 << 20]);
    let mut person = Person::runs(&["connect", &url, "--no-history"]);
    person.sees("> ");
    for _ in 0..3 {
        person.types(&format!("/file {file}\r"));
    }
    for number in 0..200 {
        person.types(&format!("{number}\r"));
    }
    // The rest waits, and Ctrl-C does not wait behind it.
    person.sees("> 60");
    person.types("\x03");
    assert_eq!(person.ends().await, 130);
    assert!(person.has_terminal_as_it_was());
}

/// A server that tells what its clients have closed with.
async fn asking_server() -> (String, mpsc::Receiver<Option<CloseCode>>) {
    let (told, tell) = mpsc::channel(8);
    let url = server(move |mut ws: WebSocket, _| {
        let told = told.clone();
        async move {
            while ws.recv().await?.is_some() {}
            let code = ws.end().and_then(|end| end.close_frame().map(|frame| frame.code));
            told.send(code).await.unwrap();
            Ok::<_, Error>(())
        }
    })
    .await;
    (url, tell)
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_close_and_leave_the_terminal_as_it_was() {
    let (url, mut codes) = asking_server().await;
    for (signal, status) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        let mut person = Person::runs(&["connect", &url, "--no-history"]);
        person.sees("> ");
        assert!(!person.has_terminal_as_it_was());
        person.signals(signal);
        assert_eq!(soon("the Close", codes.recv()).await, Some(Some(CloseCode::GOING_AWAY)), "{signal}");
        assert_eq!(person.ends().await, status, "{signal}");
        assert!(person.has_terminal_as_it_was(), "{signal}");
    }
}
