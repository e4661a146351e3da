//! What a hostile peer really receives over TCP: a status or a Close, and then the end of the stream and not a reset.

use std::net::SocketAddr;

use sockeye::{
    Config, Error, Message, Role, WebSocket, accept, connect,
    proto::{
        connection::End,
        handshake::{HandshakeError, Key, Refusal, Request},
    },
    server::{Options, accept_with},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use crate::{
    common::{self, Frame, other},
    io::{
        Peer,
        tcp::{REQUEST, Running, bind, serve},
        unhung,
    },
};

/// Runs a test on this thread alone, whose heap is counted.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("there is room for a runtime").block_on(unhung(test))
}

pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

/// A request to upgrade with more lines, each with its line end.
pub(crate) fn request(more: &str) -> String {
    format!("{REQUEST}{more}\r\n")
}

/// A server's options, with permessage-deflate or without.
pub(crate) fn options(config: Config, deflate: bool) -> Options {
    let mut options = Options::default();
    options.config = config;
    options.deflate = deflate.then(Default::default);
    options
}

// ── opening handshakes ──

/// Says `bytes` to an address while it reads; gives all that came up to the end of the stream.
pub(crate) async fn say(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    say_over(TcpStream::connect(address).await.expect("the server listens"), bytes).await
}

/// Ends only when the other side has.
pub(crate) async fn say_over(mut tcp: TcpStream, bytes: &[u8]) -> Vec<u8> {
    let (mut read, mut write) = tcp.split();
    let mut answer = Vec::new();
    let (written, ended) = tokio::join!(write.write_all(bytes), read.read_to_end(&mut answer));
    written.expect("what is sent is taken, whatever it is");
    ended.expect("the stream ends, and is not reset");
    // A reset behind the end would show in the next write only; it would have discarded what was not read yet.
    assert!(matches!(tcp.take_error(), Ok(None)), "the stream was reset behind its end");
    answer
}

/// Asks `accept` for a WebSocket with these bytes; gives the one response that came, and why.
#[track_caller]
pub(crate) fn refused(bytes: &[u8]) -> (u16, Refusal) {
    let (accepted, answer) = run(async {
        let (listener, address) = listen().await;
        let accepting = async {
            let (tcp, _) = listener.accept().await.expect("a client comes");
            accept(tcp).await
        };
        tokio::join!(accepting, say(address, bytes))
    });
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
    match accepted {
        Err(Error::Refused(refusal)) => (only_refusal(&answer, &shown), *refusal),
        other => panic!("{other:?} for {shown}"),
    }
}

/// The status of a response that refuses: it is the only one, closes, and is as long as it says.
#[track_caller]
pub(crate) fn only_refusal(answer: &[u8], to: &str) -> u16 {
    let answer = std::str::from_utf8(answer).expect("a response of ours is text");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no response to {to}: {answer:?}"));
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "more than one response to {to}: {answer}");
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
    assert!(
        field("Connection: ").is_some_and(|options| options.split(", ").any(|option| option == "close")),
        "{answer}"
    );
    assert_eq!(field("Content-Length: "), Some(&*body.len().to_string()), "{answer}");
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no status: {answer}"))
}

/// What a client says of a server that answers every request with these bytes, and ends then.
pub(crate) fn answered(answer: &[u8], ask: impl FnOnce(sockeye::Connect) -> sockeye::Connect) -> HandshakeError {
    let error = run(async {
        let (listener, address) = listen().await;
        let server = async {
            let mut peer = Peer::new(listener.accept().await.expect("a client comes").0, Role::Server);
            peer.recv_head().await;
            // The client may go before it has taken all.
            let _ = peer.io.write_all(answer).await;
            let _ = peer.io.shutdown().await;
        };
        let asked = ask(connect(format!("ws://{address}/")));
        tokio::join!(asked, server).0.expect_err("no server answers so")
    });
    match error {
        Error::Handshake(error) => *error,
        error => panic!("{error:?}"),
    }
}

/// Answers a client's request as it should be, with these extensions; gives the request's head.
pub(crate) async fn answer_over<S: AsyncRead + AsyncWrite + Unpin>(peer: &mut Peer<S>, extensions: &str) -> String {
    let head = peer.recv_head().await;
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
    let accept = Key::parse(key.as_bytes()).expect("a key").accept();
    let extensions =
        if extensions.is_empty() { "".into() } else { format!("Sec-WebSocket-Extensions: {extensions}\r\n") };
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{extensions}\r\n"
    );
    peer.io.write_all(response.as_bytes()).await.expect("the client listens");
    head
}

// ── connections ──

/// An endpoint of `role` behind a handshake over TCP, and its peer as bytes.
pub(crate) async fn open(role: Role, config: Config, deflate: bool) -> (WebSocket, Peer<TcpStream>) {
    let (listener, address) = listen().await;
    match role {
        Role::Server => {
            let accepting = async {
                let (tcp, _) = listener.accept().await.expect("a client comes");
                accept_with(sockeye::Transport::from(tcp), &options(config, deflate)).await.expect("a proper request")
            };
            tokio::join!(accepting, peer_of_server(address, deflate))
        }
        Role::Client => {
            let peer = async {
                let mut peer = Peer::new(listener.accept().await.expect("a client comes").0, Role::Server);
                answer_over(&mut peer, if deflate { "permessage-deflate" } else { "" }).await;
                peer
            };
            let mut client = connect(format!("ws://{address}/")).config(config);
            if deflate {
                client = client.deflate(Default::default());
            }
            let (client, peer) = tokio::join!(client, peer);
            (client.expect("a proper answer"), peer)
        }
    }
}

pub(crate) async fn peer_of_server(address: SocketAddr, deflate: bool) -> Peer<TcpStream> {
    let mut peer = Peer::new(TcpStream::connect(address).await.expect("the server listens"), Role::Client);
    let offer = if deflate { "Sec-WebSocket-Extensions: permessage-deflate\r\n" } else { "" };
    peer.io.write_all(request(offer).as_bytes()).await.expect("the server listens");
    let head = peer.recv_head().await;
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("permessage-deflate") == deflate, "{head}");
    peer
}

/// What an endpoint and its peer saw of each other.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) messages: Vec<Message>,
    /// Why the endpoint's caller was told that it is over; `None` for a clean end.
    pub(crate) error: Option<Error>,
    pub(crate) end: Option<End>,
    /// All that the peer got up to the end of the stream.
    pub(crate) frames: Vec<Frame>,
}

/// Reads a connection to its end, which is told once.
pub(crate) async fn read_all(ws: &mut WebSocket) -> (Vec<Message>, Option<Error>, Option<End>) {
    let mut messages = Vec::new();
    let error = loop {
        match ws.recv().await {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    match &error {
        None => assert!(matches!(ws.recv().await, Ok(None)), "a clean end stays one"),
        Some(_) => assert!(matches!(ws.recv().await, Err(Error::Closed)), "an error is told once"),
    }
    assert!(matches!(ws.send("more").await, Err(Error::Closed | Error::Protocol(_) | Error::Io(_))));
    (messages, error, ws.end())
}

type Outcome = (Vec<Message>, Option<Error>, Option<End>);

/// A server that reads, and reports each connection's end.
pub(crate) async fn reading_server(config: Config, deflate: bool) -> (Running, mpsc::UnboundedReceiver<Outcome>) {
    let (outcomes, ended) = mpsc::unbounded_channel();
    let mut server = bind().await.config(config);
    if deflate {
        server = server.deflate(Default::default());
    }
    let handler = move |mut ws: WebSocket, _request: Request| {
        let outcomes = outcomes.clone();
        async move {
            let _ = outcomes.send(read_all(&mut ws).await);
            Ok::<_, Error>(())
        }
    };
    (serve(server, handler), ended)
}

/// Has an endpoint of `role` over TCP take these bytes: a client by `connect`, a server by `Server`, beside another
/// client of which nothing is lost.
#[track_caller]
pub(crate) fn attack(role: Role, config: Config, deflate: bool, bytes: &[u8]) -> Seen {
    let ((messages, error, end), bytes) = run(async {
        match role {
            Role::Client => {
                let (mut ws, peer) = open(role, config, deflate).await;
                tokio::join!(read_all(&mut ws), say_over(peer.io, bytes))
            }
            Role::Server => {
                let (server, mut ended) = reading_server(config, deflate).await;
                let mut bystander = connect(server.url()).await.expect("the server accepts");
                bystander.send("before").await.expect("the server reads");
                let peer = peer_of_server(server.address, deflate).await;
                let said = say_over(peer.io, bytes).await;
                let outcome = ended.recv().await.expect("the handler comes to its end");
                bystander.send("behind").await.expect("the server reads");
                bystander.close(sockeye::CloseCode::NORMAL, "").await.expect("the server answers");
                let (messages, ..) = ended.recv().await.expect("the other handler too");
                assert_eq!(messages, ["before".into(), "behind".into()], "nothing of another connection is lost");
                (outcome, said)
            }
        }
    });
    Seen { messages, error, end, frames: common::frames(role, &bytes) }
}

/// Asserts that an endpoint fails over TCP by these bytes: that its caller is told why, and its peer too.
#[track_caller]
pub(crate) fn assert_fails(
    role: Role,
    config: Config,
    deflate: bool,
    bytes: &[u8],
    fault: sockeye::proto::frame::ProtocolError,
) {
    let seen = attack(role, config, deflate, bytes);
    assert!(matches!(&seen.error, Some(Error::Protocol(told)) if *told == fault), "{:?} and not {fault:?}", seen.error);
    assert_eq!(seen.end, Some(End::Failed(fault)));
    let close = common::close_payload(fault.close_code().get(), &fault.to_string());
    assert_eq!(seen.frames, [(0x88, close)], "{role:?}: all that its {:?} gets", other(role));
}
