//! What the server learns of who connects, and whom the client trusts.

use sockeye::{Server, proto::handshake::Accept};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::tool::{Folder, Serving, command, echo_server, finish, run, server, start};

#[tokio::test(flavor = "multi_thread")]
async fn options_of_the_request_reach_the_server() {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let server = server.origin(sockeye::proto::handshake::Origin::any()).judge(async |request, _| {
        let subprotocol = request.choose_subprotocol(["v2"]).map(str::to_owned);
        Ok(Accept { subprotocol, ..Accept::default() })
    });
    let url = start(server, async |mut ws, request| {
        let auth = request.basic_auth().map(|auth| format!("{}:{}", auth.user, auth.password)).unwrap_or_default();
        let seen = [request.header("X-Room").unwrap_or_default(), request.origin().unwrap_or_default(), &auth];
        ws.send(format!("{} {:?}", request.target(), seen)).await
    });
    let url = format!("{url}/a?b");
    let options =
        ["-H", "X-Room: 7", "--origin", "http://o", "--auth", "me:a:b", "--subprotocol", "v1,v2", "-n", "--json"];
    let events = run(&[&["connect", &url][..], &options].concat(), "").await.json();
    assert_eq!(events[0]["subprotocol"], "v2");
    assert_eq!(events[1]["text"], r#"/a?b ["7", "http://o", "me:a:b"]"#);
    let mut in_environment = command(&["connect", &url, "-n"]);
    in_environment.env("SOCKEYE_AUTH", "you:secret");
    let ran = finish(in_environment.spawn().unwrap(), "").await;
    assert_eq!(ran.text(), "/a?b [\"\", \"\", \"you:secret\"]\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn scheme_and_host_may_be_left_out() {
    let url = server(async |mut ws, request| ws.send(request.target().to_owned()).await).await;
    let (_, address) = url.split_once("://").unwrap();
    let (_, port) = address.split_once(':').unwrap();
    for typed in [format!(":{port}/x"), format!("{address}/x"), format!("http://{address}/x")] {
        assert_eq!(run(&["connect", &typed, "-n"], "").await.text(), "/x\n", "{typed}");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn unix_sockets_are_reached() {
    let folder = Folder::new("socket");
    let path = folder.0.join("s");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (io, _) = listener.accept().await.unwrap();
        let mut ws = sockeye::accept(io).await.unwrap();
        ws.send("hello").await.unwrap();
        ws.close(sockeye::CloseCode::NORMAL, "").await.unwrap();
    });
    let ran = run(&["connect", &format!("ws+unix:{}:/chat", path.display()), "-n"], "").await;
    assert_eq!((ran.status, ran.text()), (0, "hello\n"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_trusted_as_asked_for() {
    let folder = Folder::new("tls");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let cert = folder.write("cert.pem", made.cert.pem());
    let key = folder.write("key.pem", made.signing_key.serialize_pem());
    let serving = Serving::start(&["--cert", &cert, "--key", &key]).await;
    assert!(serving.url.starts_with("wss://"), "{}", serving.url);
    let url = serving.url.replace("127.0.0.1", "localhost");
    let ask = async |options: &[&str]| run(&[&["connect", &url, "-m", "x", "--one"], options].concat(), "").await;
    let ran = ask(&["--cacert", &cert]).await;
    assert_eq!((ran.status, ran.text()), (0, "x\n"), "{}", ran.err);
    let ran = ask(&["--insecure", "--frames"]).await;
    assert_eq!((ran.status, ran.text()), (0, "x\n"), "{}", ran.err);
    let ran = ask(&["--cacert", &key]).await;
    assert_eq!(ran.status, 2, "{}", ran.err);
    // This machine may have no roots at all, which is not the network's fault.
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = folder.write("other.pem", other.cert.pem());
    let ran = ask(&["--cacert", &other]).await;
    assert_eq!(ran.status, 4, "{}", ran.err);
    assert!(ran.err.contains("certificate of localhost"), "{}", ran.err);
}

/// A proxy for those who know its password: gives its address, and the head of each request.
async fn proxy() -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tell, heads) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let mut client = BufReader::new(client);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                assert!(client.read_line(&mut head).await.unwrap() > 0, "{head}");
            }
            let target = head.split(' ').nth(1).unwrap().to_owned();
            // `me:secret`
            let is_known =
                head.to_ascii_lowercase().contains("proxy-authorization: basic ") && head.contains("bWU6c2VjcmV0");
            tell.send(head).unwrap();
            if !is_known {
                client
                    .write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                    .await
                    .unwrap();
                continue;
            }
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(target).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (address, heads)
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_are_passed_as_asked_for() {
    let url = echo_server().await;
    let target = url.strip_prefix("ws://").unwrap();
    let (proxy, mut heads) = proxy().await;
    let known = format!("http://me:secret@{proxy}");
    let ask = ["connect", &url, "-m", "x", "--one"];
    for more in [&["--proxy", &known][..], &["--proxy", &known, "--frames"]] {
        let ran = run(&[&ask, more].concat(), "").await;
        assert_eq!((ran.status, ran.text()), (0, "x\n"), "{}", ran.err);
        let head = heads.recv().await.unwrap();
        assert!(head.starts_with(&format!("CONNECT {target} HTTP/1.1\r\n")), "{head}");
    }
    let mut by_environment = command(&ask);
    by_environment.env("ALL_PROXY", &known);
    let ran = finish(by_environment.spawn().unwrap(), "").await;
    assert_eq!((ran.status, ran.text()), (0, "x\n"), "{}", ran.err);
    assert!(heads.recv().await.is_some());
    let mut without = command(&[&ask[..], &["--proxy", "none"]].concat());
    without.env("ALL_PROXY", &known);
    assert_eq!(finish(without.spawn().unwrap(), "").await.text(), "x\n");
    assert!(heads.try_recv().is_err(), "it was not asked");
    let ran = run(&[&ask[..], &["--proxy", &format!("http://{proxy}")]].concat(), "").await;
    assert_eq!((ran.status, ran.out.len()), (4, 0), "{}", ran.err);
    assert!(ran.err.contains("407"), "{}", ran.err);
}
