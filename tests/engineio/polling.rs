//! Payloads, and what polls and POSTs are answered with.

use std::io::Read;

use sockeye::{
    Message,
    engineio::{CloseReason, Config},
};

use crate::{
    PATH, error, serve,
    sio::{Client, Exchange, RS, request, until},
    unknown_sid,
};

#[tokio::test]
async fn messages_go_both_ways_in_order() {
    let mut server = serve(Config::new()).await;
    let (client, sender) = server.open().await;
    let posted = client.post(format!("4hello{RS}bAQIDBA=={RS}4€{RS}bAQI{RS}4")).await;
    assert_eq!(posted.told(), (200, "ok"));
    assert_eq!(posted.header("content-type").unwrap(), "text/html");
    assert_eq!(posted.header("cache-control").unwrap(), "no-store");
    let expected = ["hello".into(), (&[1, 2, 3, 4]).into(), "€".into(), (&[1, 2]).into(), Message::from("")];
    for message in expected {
        assert_eq!(server.heard().await, message);
    }
    until(|| sender.queued() > 0).await;
    // What was sent back meanwhile may come in more than one response.
    let mut got = String::new();
    while got.matches(RS).count() < 4 {
        let response = client.get().await;
        assert_eq!(response.status, 200);
        assert_eq!(response.header("content-type").unwrap(), "text/plain; charset=UTF-8");
        assert_eq!(response.header("cache-control").unwrap(), "no-store");
        got = if got.is_empty() { response.text().into() } else { format!("{got}{RS}{}", response.text()) };
    }
    assert_eq!(got, format!("4hello{RS}bAQIDBA=={RS}4€{RS}bAQI={RS}4"));
}

#[tokio::test]
async fn poll_waits_until_there_is_something() {
    let mut server = serve(Config::new()).await;
    let (client, sender) = server.open().await;
    for text in ["first", "second"] {
        let poll = client.poll();
        until(|| sender.is_writable()).await;
        assert!(!poll.is_finished());
        sender.send(text);
        assert_eq!(poll.await.unwrap().told(), (200, &*format!("4{text}")));
        assert!(!sender.is_writable());
    }
}

#[tokio::test]
async fn packets_of_no_meaning_do_no_harm() {
    let mut server = serve(Config::new()).await;
    let (client, _sender) = server.open().await;
    client.send(&format!("3{RS}3late{RS}5{RS}6{RS}0{{}}{RS}4hello")).await;
    assert_eq!(client.get().await.told(), (200, "4hello"));
}

#[tokio::test]
async fn bodies_that_are_no_payload_end_the_session() {
    for (body, heard) in [
        (&b"abc"[..], false),
        (b"", false),
        (b"4hello\x1ez", true),
        (b"4hello\x1e", true),
        (b"b?", false),
        (b"4\xff", false),
        (b"7", false),
    ] {
        let mut server = serve(Config::new()).await;
        let (client, sender) = server.open().await;
        let poll = client.poll();
        until(|| sender.is_writable()).await;
        let posted = client.post(body).await;
        assert_eq!((posted.status, posted.text()), (400, ""), "{body:?}");
        if heard {
            assert_eq!(server.heard().await, "hello".into(), "what stands in front has come");
        }
        assert!(poll.await.unwrap().text().ends_with('1'), "the poll is told");
        assert_eq!(server.ended().await, CloseReason::ParseError, "{body:?}");
        let gone = client.get().await;
        assert_eq!((gone.status, gone.text().to_owned()), unknown_sid());
    }
}

#[tokio::test]
async fn octet_stream_is_refused_and_ends_the_session() {
    let mut server = serve(Config::new()).await;
    let (client, _sender) = server.open().await;
    let headers = [("Content-Type", "application/octet-stream")];
    let response = request(client.address, "POST", &client.target("polling"), &headers, b"4hello").await;
    assert_eq!(response.told(), (400, ""));
    assert_eq!(server.ended().await, CloseReason::TransportError);
}

#[tokio::test]
async fn body_over_the_limit_gets_413_and_the_session_goes_on() {
    let mut server = serve(Config::new().max_payload(1000)).await;
    let (client, _sender) = server.open().await;
    let longest = format!("4{}", "a".repeat(999));
    for _ in 0..2 {
        let response = client.post(format!("{longest}a")).await;
        assert_eq!(response.told(), (413, ""));
        client.send(&longest).await;
        assert_eq!(client.get().await.told(), (200, &*longest));
    }
}

#[tokio::test]
async fn client_that_sends_far_too_much_reads_why() {
    let mut server = serve(Config::new()).await;
    let (client, _sender) = server.open().await;
    for megabytes in [2, 5] {
        // It writes everything before it reads.
        let response = client.post(format!("4{}", "a".repeat(megabytes << 20))).await;
        assert_eq!(response.told(), (413, ""));
    }
    client.send("4hello").await;
    assert_eq!(client.get().await.told(), (200, "4hello"));
}

#[tokio::test]
async fn body_over_the_limit_in_chunks_gets_413_as_well() {
    use tokio::io::AsyncWriteExt;
    let mut server = serve(Config::new().max_payload(1000)).await;
    let (client, _sender) = server.open().await;
    let mut tcp = tokio::net::TcpStream::connect(client.address).await.unwrap();
    let head = format!("POST {} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", client.target("polling"));
    tcp.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..3 {
        tcp.write_all(format!("1f4\r\n{}\r\n", "4".repeat(500)).as_bytes()).await.unwrap();
    }
    tcp.write_all(b"0\r\n\r\n").await.unwrap();
    assert_eq!(Exchange::from(tcp).response().await.told(), (413, ""));
    client.send("4hello").await;
    assert_eq!(client.get().await.told(), (200, "4hello"));
}

#[tokio::test]
async fn second_poll_at_once_ends_the_session() {
    let mut server = serve(Config::new()).await;
    let (client, sender) = server.open().await;
    let first = client.poll();
    until(|| sender.is_writable()).await;
    assert_eq!(client.get().await.status, 400);
    assert_eq!(first.await.unwrap().told(), (200, "1"));
    assert_eq!(server.ended().await, CloseReason::TransportError);
}

#[tokio::test]
async fn second_post_at_once_ends_the_session() {
    let mut server = serve(Config::new()).await;
    let (client, _sender) = server.open().await;
    let mut first = Exchange::begin_with_length(client.address, "POST", &client.target("polling"), &[], 11).await;
    first.send(b"4hello").await;
    // Some may be there before the first has begun.
    let second = loop {
        let response = client.post("6").await;
        if response.status != 200 {
            break response;
        }
    };
    assert_eq!(second.told(), (400, &*error(3, "Bad request")));
    assert_eq!(server.ended().await, CloseReason::TransportError);
    first.send(b"world").await;
    assert_eq!(first.response().await.status, 400, "what it brought is lost, which it is told");
    assert!(server.heard.try_recv().is_err());
}

#[tokio::test]
async fn poll_that_is_given_up_ends_the_session() {
    let mut server = serve(Config::new()).await;
    let (client, sender) = server.open().await;
    let poll = client.begin_get().await;
    until(|| sender.is_writable()).await;
    drop(poll);
    assert_eq!(server.ended().await, CloseReason::TransportError);
    let gone = client.get().await;
    assert_eq!((gone.status, gone.text().to_owned()), unknown_sid());
}

#[tokio::test]
async fn post_that_is_given_up_ends_the_session() {
    let mut server = serve(Config::new()).await;
    let (client, _sender) = server.open().await;
    let mut post = Exchange::begin_with_length(client.address, "POST", &client.target("polling"), &[], 11).await;
    post.send(b"4hello").await;
    drop(post);
    assert_eq!(server.ended().await, CloseReason::TransportError);
}

#[tokio::test]
async fn ping_of_a_client_ends_the_session() {
    let mut server = serve(Config::new()).await;
    let (client, _sender) = server.open().await;
    let _ = client.post("2").await;
    assert_eq!(server.ended().await, CloseReason::TransportError);
}

#[tokio::test]
async fn large_bodies_are_compressed_for_clients_that_like_it() {
    let mut server = serve(Config::new()).await;
    let (client, _sender) = server.open().await;
    let text = format!("4{}", "sockeye ".repeat(200));
    for (accepted, coding) in [("gzip, deflate, br", Some("gzip")), ("deflate", Some("deflate")), ("br", None)] {
        client.send(&text).await;
        let headers = [("Accept-Encoding", accepted)];
        let response = request(client.address, "GET", &client.target("polling"), &headers, b"").await;
        assert_eq!(response.status, 200);
        assert_eq!(response.header("content-encoding").as_deref(), coding);
        assert_eq!(response.header("vary").unwrap(), "Accept-Encoding");
        let mut inflated = String::new();
        match coding {
            Some("gzip") => flate2::read::GzDecoder::new(&response.body[..]).read_to_string(&mut inflated).unwrap(),
            Some(_) => flate2::read::ZlibDecoder::new(&response.body[..]).read_to_string(&mut inflated).unwrap(),
            None => (&response.body[..]).read_to_string(&mut inflated).unwrap(),
        };
        assert_eq!(inflated, text);
    }
    client.send("4short").await;
    let headers = [("Accept-Encoding", "gzip")];
    let response = request(client.address, "GET", &client.target("polling"), &headers, b"").await;
    assert_eq!((response.header("content-encoding"), response.text()), (None, "4short"));
}

#[tokio::test]
async fn compression_can_be_turned_off() {
    let mut server = serve(Config::new().http_compression(None)).await;
    let (client, _sender) = server.open().await;
    let text = format!("4{}", "a".repeat(5000));
    client.send(&text).await;
    let headers = [("Accept-Encoding", "gzip")];
    let response = request(client.address, "GET", &client.target("polling"), &headers, b"").await;
    assert_eq!((response.header("content-encoding"), response.told()), (None, (200, &*text)));
}

#[tokio::test]
async fn sessions_are_strangers_to_each_other() {
    let mut server = serve(Config::new()).await;
    let (first, _sender) = server.open().await;
    let (second, _sender) = server.open().await;
    assert_ne!(first.sid, second.sid);
    first.send("4first").await;
    second.send("4second").await;
    assert_eq!(second.get().await.text(), "4second");
    assert_eq!(first.get().await.text(), "4first");
    let _ = Client::open(server.address, PATH).await;
    assert_eq!(server.engine.len(), 3);
}
