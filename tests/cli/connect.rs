//! What goes in and what comes out.

use sockeye::Message;

use super::tool::{Folder, echo, echo_server, run, server};

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_lines_come_back_exactly_as_they_went() {
    let url = echo_server().await;
    let lines: String = (0..10_000).map(|i| format!("line {i} héllo\t\r{}\n", "x".repeat(i % 50))).collect();
    let input = format!("\n{lines}\n");
    for wait in ["0", "0.2"] {
        let ran = run(&["connect", &url, "--wait", wait], input.clone()).await;
        assert_eq!(ran.status, 0, "{}", ran.err);
        assert_eq!(ran.out.len(), input.len());
        assert!(ran.text() == input);
        assert_eq!(ran.err, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_mib_of_bytes_come_back_exactly_as_they_went() {
    let url = echo_server().await;
    let mut state = 1u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let input: Vec<u8> = (0..10 << 20).map(|_| byte()).collect();
    for more in [&[][..], &["--chunk", "1000"], &["--compress"]] {
        let ran = run(&[&["connect", &url, "--binary", "--wait", "0"], more].concat(), input.clone()).await;
        assert_eq!((ran.status, ran.out.len()), (0, input.len()), "{}", ran.err);
        assert!(ran.out == input);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_cut_as_asked_for() {
    let url = echo_server().await;
    let cut = async |options: &[&str], input: &str| {
        let ran = run(&[&["connect", &url, "--wait", "0", "--json"], options].concat(), input).await;
        assert_eq!(ran.status, 0, "{}", ran.err);
        let came = ran.json().into_iter().filter(|event| event["event"] == "message" && event["way"] == "in");
        came.map(|event| (event["text"].as_str().map(str::to_owned), event["length"].as_u64().unwrap()))
            .collect::<Vec<_>>()
    };
    let text = |text: &str| (Some(text.to_owned()), text.len() as u64);
    let nothing: Vec<(Option<String>, u64)> = Vec::new();
    assert_eq!(cut(&[], "").await, nothing);
    assert_eq!(cut(&[], "a\n\nb").await, [text("a"), text(""), text("b")]);
    assert_eq!(cut(&["--null"], "a\nb\0c\0").await, [text("a\nb"), text("c")]);
    assert_eq!(cut(&["--whole"], "a\nb\n").await, [text("a\nb\n")]);
    assert_eq!(cut(&["-m", "one", "-m", "two"], "not read").await, [text("one"), text("two")]);
    let ran = run(&["connect", &url, "--null", "--wait", "0"], "a\nb\0c").await;
    assert_eq!(ran.text(), "a\nb\0c\0");
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_messages_among_lines_are_bytes_or_base64() {
    let url = server(async |mut ws, _| {
        ws.send(b"\x00\xff\n").await?;
        ws.send("text").await
    })
    .await;
    assert_eq!(run(&["connect", &url, "-n"], "").await.out, b"\x00\xff\n\ntext\n");
    assert_eq!(run(&["connect", &url, "-n", "--base64"], "").await.out, b"AP8K\ntext\n");
    assert_eq!(run(&["connect", &url, "-n", "--binary"], "").await.out, b"\x00\xff\ntext");
    let events = run(&["connect", &url, "-n", "--json"], "").await.json();
    assert_eq!(events[1]["base64"], "AP8K");
    assert_eq!(events[1]["type"], "binary");
}

#[tokio::test(flavor = "multi_thread")]
async fn input_that_is_no_text_is_the_callers_fault_and_what_was_before_it_is_sent() {
    let url = echo_server().await;
    let ran = run(&["connect", &url], b"good\nb\xffd\nnever\n").await;
    assert_eq!((ran.status, ran.text()), (2, "good\n"));
    assert!(ran.err.contains("message 2 of the input is not UTF-8"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_lines_of_json_whatever_is_in_them() {
    let url = echo_server().await;
    let nasty = "\x1b]0;owned\x07 \u{9b}31m \"quoted\" \\ \u{202e} é";
    let ran = run(&["connect", &url, "--json", "--wait", "0"], nasty).await;
    let is_obeyed = |character: char| character.is_control() && character != '\n' || character == '\u{202e}';
    assert!(!ran.text().contains(is_obeyed), "it may be a terminal that shows it");
    let events = ran.json();
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names.first(), Some(&"open"));
    assert_eq!(names.last(), Some(&"close"));
    assert!(events.iter().all(|event| event["time"].is_f64()));
    let of = |name: &str, way: &str| events.iter().find(|event| event["event"] == name && event["way"] == way).unwrap();
    assert_eq!(of("message", "out")["text"], nasty);
    assert_eq!(of("message", "in")["text"], nasty);
    assert_eq!(of("message", "in")["length"], nasty.len());
    let close = events.last().unwrap();
    assert_eq!((&close["by"], &close["code"]), (&"client".into(), &1000.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn control_characters_of_a_server_do_not_reach_the_standard_error() {
    let url = server(async |mut ws, _| {
        let code = sockeye::CloseCode::new(4000).unwrap();
        ws.close(code, "\x1b[31mred\u{202e}").await
    })
    .await;
    let ran = run(&["connect", &url, "-n"], "").await;
    assert_eq!(ran.err, "closed by the server: 4000: \\x1b[31mred\\u{202e}\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_are_shown_both_ways() {
    let url = echo_server().await;
    let ran = run(&["connect", &url, "--frames", "-m", "hello", "--one"], "").await;
    assert_eq!((ran.status, ran.text()), (0, "hello\n"));
    for line in
        ["-> text FIN masked 5 bytes", "<- text FIN 5 bytes", "-> close FIN masked 2 bytes", "<- close FIN 2 bytes"]
    {
        assert!(ran.err.lines().any(|shown| shown == line), "{line} in {}", ran.err);
    }
    let events = run(&["connect", &url, "--frames", "--json", "-m", "x", "--one"], "").await.json();
    let frame = events.iter().find(|event| event["event"] == "frame" && event["opcode"] == "text").unwrap();
    assert_eq!((&frame["masked"], &frame["fin"], &frame["length"]), (&true.into(), &true.into(), &1.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_frames_have_rsv1() {
    let server = sockeye::Server::bind("127.0.0.1:0").await.unwrap().deflate(sockeye::DeflateConfig::default());
    let url = super::tool::start(server, echo);
    let text = "a".repeat(1000);
    let ran = run(&["connect", &url, "--frames", "--compress", "-m", &text, "--one"], "").await;
    assert_eq!(ran.text().trim_end(), text);
    assert!(ran.err.contains("-> text FIN RSV1 masked"), "{}", ran.err);
    assert!(ran.err.contains("<- text FIN RSV1"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn echo_answers_every_message_with_itself() {
    let url = server(async |mut ws, _| {
        for message in [Message::from("one"), b"\xff".into(), "".into()] {
            ws.send(message.clone()).await?;
            assert_eq!(ws.recv().await?, Some(message));
        }
        Ok(())
    })
    .await;
    let ran = run(&["connect", &url, "--echo"], "not read").await;
    assert_eq!((ran.status, &ran.out[..]), (0, &b"one\n\xff\n\n"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn slash_commands_work_in_a_pipe() {
    let folder = Folder::new("slash");
    let file = folder.write("file", b"\xfe\xff");
    let script = format!("/ping here\n/pong\n//x\n/binary 00 ff\n/file {file}\n/text /y\n/close 4001 bye\n");
    let url = echo_server().await;
    let ran = run(&["connect", &url, "--slash", "--json"], script).await;
    assert_eq!(ran.status, 0, "{}", ran.err);
    let events = ran.json();
    let came: Vec<_> = events.iter().filter(|event| event["way"] == "in").collect();
    let pong = came.iter().find(|event| event["event"] == "pong").unwrap();
    assert_eq!(pong["text"], "here");
    assert!(pong["rtt_ms"].is_f64());
    let messages: Vec<_> = came.iter().filter(|event| event["event"] == "message").collect();
    let content: Vec<_> =
        messages.iter().map(|event| event["text"].as_str().or(event["base64"].as_str()).unwrap()).collect();
    assert_eq!(content, ["/x", "AP8=", "/v8=", "/y"]);
    let close = events.last().unwrap();
    assert_eq!((&close["code"], &close["reason"]), (&4001.into(), &"bye".into()));
    let wrong = run(&["connect", &url, "--slash"], "/nonsense\n").await;
    assert_eq!(wrong.status, 2);
    assert!(wrong.err.contains("there is no command /nonsense"), "{}", wrong.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_are_sent_and_their_pongs_timed() {
    let url = echo_server().await;
    let ran = run(&["connect", &url, "-n", "--ping-interval", "50ms", "--timeout", "2"], "").await;
    assert_eq!(ran.status, 5);
    assert!(ran.err.lines().any(|line| line.starts_with("pong in 1 after ")), "{}", ran.err);
    let events = run(&["connect", &url, "-n", "--ping-interval", "50ms", "--timeout", "2", "--json"], "").await.json();
    assert!(events.iter().any(|event| event["event"] == "pong" && event["rtt_ms"].is_f64()));
}
