//! The load and its report.

use sockeye::{Server, proto::handshake::Response};

use super::tool::{echo, echo_server, run, server, start};

#[tokio::test(flavor = "multi_thread")]
async fn every_message_that_was_asked_for_is_counted() {
    let url = echo_server().await;
    let options = ["--messages", "2000", "--connections", "7", "--in-flight", "5", "--size", "1k", "--json"];
    for more in [&[][..], &["--binary"], &["--compress"]] {
        let ran = run(&[&["bench", &url], &options[..], more].concat(), "").await;
        assert_eq!(ran.status, 0, "{}", ran.err);
        let report: serde_json::Value = serde_json::from_slice(&ran.out).unwrap();
        for (name, value) in [("messages", 2000), ("connections", 7), ("wrong", 0), ("failed", 0), ("size", 1024)] {
            assert_eq!(report[name], value, "{name}");
        }
        let latency = |name: &str| report["latency_us"][name].as_u64().unwrap();
        let rising = ["min", "p50", "p90", "p99", "p99.9", "max"].map(latency);
        assert!(rising.is_sorted() && rising[0] > 0, "{rising:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn report_has_percentiles_and_a_chart() {
    let url = echo_server().await;
    let ran = run(&["bench", &url, "--messages", "500", "--connections", "2"], "").await;
    assert_eq!(ran.status, 0, "{}", ran.err);
    for part in ["2 connections to ws://", "500 of 32 bytes", "messages/s", "p99.9", "replies that took", "█"] {
        assert!(ran.text().contains(part), "{part} in {}", ran.text());
    }
    assert_eq!(ran.err, "", "progress is for terminals");
}

#[tokio::test(flavor = "multi_thread")]
async fn load_ends_when_its_time_is_over() {
    let url = echo_server().await;
    let ran = run(&["bench", &url, "--duration", "300ms", "--connections", "3", "--json"], "").await;
    let report: serde_json::Value = serde_json::from_slice(&ran.out).unwrap();
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(report["messages"].as_u64().unwrap() >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_of_a_fixed_rate_is_counted() {
    let url = echo_server().await;
    let options = ["--rate", "5000", "--messages", "1000", "--connections", "3", "--json"];
    let ran = run(&[&["bench", &url], &options[..]].concat(), "").await;
    assert_eq!(ran.status, 0, "{}", ran.err);
    let report: serde_json::Value = serde_json::from_slice(&ran.out).unwrap();
    for (name, value) in [("messages", 1000), ("rate", 5000), ("wrong", 0), ("failed", 0)] {
        assert_eq!(report[name], value, "{name}");
    }
    assert_eq!(report["in_flight"], serde_json::Value::Null);
    let ran = run(&["bench", &url, "--rate", "100", "--messages", "10"], "").await;
    assert!(ran.text().contains("due at 100 messages/s"), "{}", ran.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn stall_shows_in_every_message_that_was_due_meanwhile() {
    // It stalls once, for half a second: the messages of that time are late, by half of it on the average.
    let url = server(async |mut ws, _| {
        let mut count = 0;
        while let Some(message) = ws.recv().await? {
            count += 1;
            if count == 100 {
                tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            }
            ws.send(message).await?;
        }
        Ok(())
    })
    .await;
    let options = ["--rate", "1000", "--messages", "1000", "--connections", "1", "--json"];
    let ran = run(&[&["bench", &url], &options[..]].concat(), "").await;
    assert_eq!(ran.status, 0, "{}", ran.err);
    let report: serde_json::Value = serde_json::from_slice(&ran.out).unwrap();
    // Half of all messages were due in the stall. A busy machine makes this larger, and nothing smaller.
    assert!(report["latency_us"]["mean"].as_f64().unwrap() > 100_000.0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_replies_and_refusals_are_failures() {
    let url = server(async |mut ws, _| {
        while ws.recv().await?.is_some() {
            ws.send("no").await?;
        }
        Ok(())
    })
    .await;
    let ran = run(&["bench", &url, "--messages", "10", "--connections", "2"], "").await;
    assert_eq!(ran.status, 1);
    assert!(ran.text().contains("10 replies were not what was sent"), "{}", ran.text());
    let refusing = Server::bind("127.0.0.1:0").await.unwrap().judge(async |_, _| Err(Response::new(403).unwrap()));
    let ran = run(&["bench", &start(refusing, echo), "--messages", "10"], "").await;
    assert_eq!((ran.status, ran.out.len()), (3, 0));
    assert!(ran.err.contains("403"), "{}", ran.err);
    assert_eq!(run(&["bench", "ftp://a"], "").await.status, 2);
}
