//! Clients that were away for a short time.

use std::sync::Arc;

use bytes::Bytes;
use sockeye::{
    engineio::Sid,
    socketio::{Config, ConnectError, Recovery, RoomEvent, Server, Socket},
};

use tokio::sync::{Notify, mpsc::unbounded_channel};

use crate::{
    Peer, serve,
    sio::{member, unhung, until},
};

/// The offset at the end of an event.
fn offset(event: &str) -> String {
    let arguments: Vec<serde_json::Value> = serde_json::from_str(&event[event.find('[').unwrap()..]).unwrap();
    arguments.last().unwrap().as_str().unwrap().into()
}

/// What a client knows of itself.
#[derive(Clone, Debug)]
struct Known {
    sid: String,
    pid: String,
    offset: String,
}

impl Known {
    fn connect(&self) -> String {
        format!(r#"0{{"pid":"{}","offset":"{}"}}"#, self.pid, self.offset)
    }
}

fn server(recovery: Recovery) -> Server {
    let io = Server::with_config(Config::new().recovery(recovery));
    io.on_connect(|socket: Socket| async move {
        if !socket.is_recovered() {
            socket.join("room");
            socket.set("name", "fish").unwrap();
        }
        socket.emit(if socket.is_recovered() { "again" } else { "hello" }, socket.get::<String>("name")).unwrap();
    });
    io
}

/// A client that has got its first event.
async fn connect(address: std::net::SocketAddr) -> (Peer, Known) {
    let mut peer = Peer::open(address).await;
    peer.send("0").await;
    let answer = peer.recv().await;
    let (sid, pid) = (member(&answer, "sid").unwrap(), member(&answer, "pid").unwrap());
    assert_eq!(answer, format!(r#"0{{"sid":"{sid}","pid":"{pid}"}}"#));
    assert_ne!(sid, pid);
    let hello = peer.recv().await;
    let offset = offset(&hello);
    assert_eq!(hello, format!(r#"2["hello","fish","{offset}"]"#));
    (peer, Known { sid, pid, offset })
}

#[tokio::test]
async fn client_gets_what_it_has_missed_and_is_who_it_was() {
    let io = server(Recovery::new());
    let address = serve(&io).await;
    let (peer, known) = connect(address).await;
    let (mut other, _) = connect(address).await;
    drop(peer);
    until(|| io.len() == 1).await;
    // Its namespace remembers it when its rooms are left.
    until(|| io.to("room").sockets().len() == 1).await;
    io.emit("all", 1).unwrap();
    io.to("room").emit("room", Bytes::from_static(b"\x07")).unwrap();
    io.to("another").emit("not its room", ()).unwrap();
    io.broadcast().except("room").emit("not to its room", ()).unwrap();
    io.to(&known.sid).emit("own", ()).unwrap();
    io.broadcast().volatile().emit("volatile", ()).unwrap();
    other.recv().await;

    let mut peer = Peer::open(address).await;
    peer.send(&known.connect()).await;
    let all = peer.recv().await;
    assert!(all.starts_with(r#"2["all",1,""#), "{all}");
    let room = peer.recv().await;
    assert!(room.starts_with(r#"51-["room",{"_placeholder":true,"num":0},""#), "{room}");
    peer.expect_bytes(b"\x07").await;
    let own = peer.recv().await;
    assert!(own.starts_with(r#"2["own",""#), "{own}");
    peer.expect(&format!(r#"0{{"sid":"{}","pid":"{}"}}"#, known.sid, known.pid)).await;
    let again = peer.recv().await;
    assert!(again.starts_with(r#"2["again","fish",""#), "its data is there: {again}");
    let socket = io.socket(Sid::parse(&known.sid).unwrap()).unwrap();
    assert!(socket.is_recovered());
    let rooms: Vec<_> = socket.rooms().iter().map(|room| room.to_string()).collect();
    assert_eq!(rooms, [&*known.sid, "room"]);
    io.to("room").emit("still", ()).unwrap();
    assert!(peer.recv().await.starts_with(r#"2["still","#));
}

#[tokio::test]
async fn session_is_had_once() {
    let io = server(Recovery::new());
    let address = serve(&io).await;
    let (peer, known) = connect(address).await;
    // While it is there, nobody else gets it.
    let mut thief = Peer::open(address).await;
    assert_ne!(thief.join(&known.connect()).await, known.sid);
    drop((peer, thief));
    until(|| io.engine().is_empty()).await;
    let mut first = Peer::open(address).await;
    assert_eq!(first.join_behind_events(&known.connect()).await, known.sid);
    let mut second = Peer::open(address).await;
    assert_ne!(second.join_behind_events(&known.connect()).await, known.sid);
}

#[tokio::test]
async fn client_that_goes_again_comes_back_again() {
    let io = server(Recovery::new());
    let address = serve(&io).await;
    let (peer, mut known) = connect(address).await;
    drop(peer);
    for round in 0..3 {
        until(|| io.engine().is_empty()).await;
        io.emit("missed", round).unwrap();
        let mut peer = Peer::open(address).await;
        peer.send(&known.connect()).await;
        let missed = peer.recv().await;
        assert!(missed.starts_with(&format!(r#"2["missed",{round},"#)), "{missed}");
        peer.expect(&format!(r#"0{{"sid":"{}","pid":"{}"}}"#, known.sid, known.pid)).await;
        known.offset = offset(&peer.recv().await);
    }
}

#[tokio::test]
async fn who_has_left_or_is_not_known_begins_anew() {
    let io = server(Recovery::new());
    let address = serve(&io).await;
    let (mut peer, left) = connect(address).await;
    peer.send("1").await;
    until(|| io.is_empty()).await;
    let mut told = Peer::open(address).await;
    assert_ne!(told.join(&left.connect()).await, left.sid, "it wanted to leave");
    drop((peer, told));
    until(|| io.engine().is_empty()).await;
    let (peer, known) = connect(address).await;
    drop(peer);
    until(|| io.engine().is_empty()).await;
    for (pid, offset) in [(&*known.pid, ""), (&known.pid, "1-1"), ("", &*known.offset), (&left.pid, &known.offset)] {
        let mut peer = Peer::open(address).await;
        let unknown = Known { sid: String::new(), pid: pid.into(), offset: offset.into() };
        assert_ne!(peer.join(&unknown.connect()).await, known.sid);
    }
    for auth in [r#"{"pid":1,"offset":2}"#, r#"{"pid":null}"#, "{}"] {
        let mut peer = Peer::open(address).await;
        assert_ne!(peer.join(&format!("0{auth}")).await, known.sid);
    }
}

#[tokio::test]
async fn middlewares_are_skipped_unless_it_is_said_otherwise() {
    for (recovery, is_asked) in [(Recovery::new(), false), (Recovery::new().with_middlewares(), true)] {
        let io = server(recovery);
        let address = serve(&io).await;
        let (peer, known) = connect(address).await;
        drop(peer);
        until(|| io.engine().is_empty()).await;
        io.middleware(|_| async { Err(ConnectError::new("closed")) });
        let mut peer = Peer::open(address).await;
        peer.send(&known.connect()).await;
        let answer = peer.recv().await;
        if is_asked {
            assert_eq!(answer, r#"4{"message":"closed"}"#);
        } else {
            assert_eq!(answer, format!(r#"0{{"sid":"{}","pid":"{}"}}"#, known.sid, known.pid));
        }
    }
}

#[tokio::test]
async fn middleware_that_lets_it_in_does_not_keep_it_from_what_it_missed() {
    let io = server(Recovery::new().with_middlewares());
    io.middleware(|_| async {
        tokio::task::yield_now().await;
        Ok(())
    });
    let address = serve(&io).await;
    let (peer, known) = connect(address).await;
    drop(peer);
    until(|| io.engine().is_empty()).await;
    io.emit("missed", ()).unwrap();
    let mut peer = Peer::open(address).await;
    peer.send(&known.connect()).await;
    assert!(peer.recv().await.starts_with(r#"2["missed","#));
    peer.expect(&format!(r#"0{{"sid":"{}","pid":"{}"}}"#, known.sid, known.pid)).await;
    assert_eq!(io.len(), 1);
}

impl Peer {
    /// As [`join`](Self::join), behind events that it has missed.
    async fn join_behind_events(&mut self, packet: &str) -> String {
        self.send(packet).await;
        loop {
            let packet = self.recv().await;
            if packet.starts_with('0') {
                return crate::sio::sid(&packet);
            }
        }
    }
}

#[tokio::test]
async fn what_is_sent_to_one_that_is_away_is_for_when_it_is_back() {
    let io = server(Recovery::new());
    let (go, waits) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (gate, waiting) = (Arc::clone(&go), Arc::clone(&waits));
    io.on_connect(move |socket: Socket| {
        let (gate, waiting) = (Arc::clone(&gate), Arc::clone(&waiting));
        socket.on("ask", move |socket: Socket| {
            let (gate, waiting) = (Arc::clone(&gate), Arc::clone(&waiting));
            async move {
                waiting.notify_one();
                gate.notified().await;
                socket.emit("answer", 1).unwrap();
                waiting.notify_one();
                gate.notified().await;
                socket.emit("answer", 2).unwrap();
            }
        });
        socket.on_disconnecting(|socket, _| async move { socket.emit("bye", ()).unwrap() });
        async {}
    });
    let address = serve(&io).await;
    let (mut peer, known) = connect(address).await;
    peer.send(r#"2["ask"]"#).await;
    unhung(waits.notified()).await;
    drop(peer);
    until(|| io.is_empty()).await;
    go.notify_one();
    unhung(waits.notified()).await;
    let mut peer = Peer::open(address).await;
    peer.send(&known.connect()).await;
    let missed = peer.recv().await;
    assert!(missed.starts_with(r#"2["answer",1,"#), "{missed}");
    assert!(peer.recv().await.starts_with('0'));
    assert!(peer.recv().await.starts_with(r#"2["again","#));
    // It is back under the same id.
    go.notify_one();
    for event in ["answer", "bye"] {
        let sent = peer.recv().await;
        assert!(sent.starts_with(&format!(r#"2["{event}","#)), "{sent}");
    }
}

#[tokio::test]
async fn what_is_sent_to_one_that_does_not_come_back_is_not_remembered() {
    let config = Config::new().recovery(Recovery::new().max_log_bytes(20_000));
    let (io, (tell, mut told)) = (Server::with_config(config), unbounded_channel());
    io.on_connect(move |socket: Socket| {
        if !socket.is_recovered() {
            let _ = tell.send(socket.clone());
            socket.set("name", "fish").unwrap();
            socket.emit("hello", "fish").unwrap();
        }
        async {}
    });
    let address = serve(&io).await;
    let (peer, known) = connect(address).await;
    let stale = unhung(told.recv()).await.unwrap();
    drop(peer);
    until(|| io.engine().is_empty()).await;
    // It comes back, and leaves for good.
    let mut peer = Peer::open(address).await;
    assert_eq!(peer.join(&known.connect()).await, known.sid);
    stale.emit("still", ()).unwrap();
    assert!(peer.recv().await.starts_with(r#"2["still","#));
    peer.send("1").await;
    until(|| io.is_empty()).await;
    let (other, known) = connect(address).await;
    drop((peer, other));
    until(|| io.engine().is_empty()).await;
    for _ in 0..200 {
        stale.emit("nobody hears it", ()).unwrap();
    }
    let mut peer = Peer::open(address).await;
    assert_eq!(peer.join(&known.connect()).await, known.sid);
}

#[tokio::test]
async fn namespace_of_a_pattern_stays_for_the_one_whom_it_remembers() {
    let io = Server::with_config(Config::new().recovery(Recovery::new()));
    let tenants = io.of_those(|name, _| name.starts_with("/tenant-"));
    tenants.on_connect(|socket: Socket| async move { socket.emit("hello", socket.is_recovered()).unwrap() });
    let address = serve(&io).await;
    let mut peer = Peer::open(address).await;
    peer.send("0/tenant-1,").await;
    let answer = peer.recv().await;
    let (sid, pid) = (member(&answer, "sid").unwrap(), member(&answer, "pid").unwrap());
    let known = Known { sid, pid, offset: offset(&peer.recv().await) };
    drop(peer);
    until(|| io.engine().is_empty()).await;
    tenants.emit("missed", ()).unwrap();
    let mut peer = Peer::open(address).await;
    peer.send(&known.connect().replacen('0', "0/tenant-1,", 1)).await;
    let missed = peer.recv().await;
    assert!(missed.starts_with(r#"2/tenant-1,["missed","#), "{missed}");
    assert_eq!(member(&peer.recv().await, "sid"), Some(known.sid));
    let hello = peer.recv().await;
    assert!(hello.starts_with(r#"2/tenant-1,["hello",true,"#), "{hello}");
    // Who leaves is remembered by nobody.
    peer.send("1/tenant-1,").await;
    until(|| tenants.all().is_empty()).await;
}

#[tokio::test]
async fn namespaces_that_went_take_no_place_of_those_that_stay() {
    let io = Server::with_config(Config::new().recovery(Recovery::new()));
    let tenants = io.of_those(|name, _| name.starts_with("/tenant-"));
    tenants.on_connect(|socket: Socket| async move { socket.emit("hello", ()).unwrap() });
    let address = serve(&io).await;
    // 1,000 may stay at a time.
    for round in 0..11 {
        let mut peer = Peer::open(address).await;
        let mut all = Vec::new();
        for number in 0..100 {
            let name = format!("/tenant-{round}-{number}");
            peer.send(&format!("0{name},")).await;
            let answer = peer.recv().await;
            let (sid, pid) = (member(&answer, "sid").unwrap(), member(&answer, "pid").unwrap());
            all.push((name, Known { sid, pid, offset: offset(&peer.recv().await) }));
        }
        drop(peer);
        until(|| io.engine().is_empty()).await;
        let mut peer = Peer::open(address).await;
        for (name, known) in all {
            let returns = known.connect().replacen('0', &format!("0{name},"), 1);
            peer.send(&returns).await;
            assert_eq!(member(&peer.recv().await, "sid"), Some(known.sid), "{name}");
            peer.recv().await;
            peer.send(&format!("1{name},")).await;
        }
        until(|| tenants.all().is_empty()).await;
    }
}

#[tokio::test]
async fn listener_of_rooms_may_send_and_ask_for_namespaces_when_a_client_comes_back() {
    let io = server(Recovery::new());
    let server = io.clone();
    io.on_room(move |event| {
        if let RoomEvent::Joined(_, id) = event {
            server.emit("joined", id.as_str()).unwrap();
            server.of(&format!("/{}", server.namespaces().len()));
        }
    });
    let address = serve(&io).await;
    let mut peer = Peer::open(address).await;
    peer.send("0").await;
    let answer = peer.recv().await;
    let (sid, pid) = (member(&answer, "sid").unwrap(), member(&answer, "pid").unwrap());
    let joined = peer.recv().await;
    assert!(joined.starts_with(&format!(r#"2["joined","{sid}""#)), "{joined}");
    drop(peer);
    until(|| io.is_empty()).await;
    let (_other, _) = connect_hello(address).await;
    let mut peer = Peer::open(address).await;
    peer.send(&Known { sid: sid.clone(), pid, offset: offset(&joined) }.connect()).await;
    // What it has missed, that it is back, and that it is in its room.
    let came = [(); 5].map(|()| String::new());
    let mut last = String::new();
    for _ in came {
        last = peer.recv().await;
        if last.starts_with(&format!(r#"2["joined","{sid}""#)) {
            return;
        }
    }
    panic!("{last}");
}

/// A client that was let in, whatever it is told.
async fn connect_hello(address: std::net::SocketAddr) -> (Peer, String) {
    let mut peer = Peer::open(address).await;
    peer.send("0").await;
    let answer = peer.recv().await;
    (peer, answer)
}

#[tokio::test]
async fn client_whose_handler_still_runs_is_recovered() {
    let io = server(Recovery::new());
    let door = Arc::new(Notify::new());
    let (gone, mut told) = unbounded_channel();
    let inside = Arc::clone(&door);
    io.on_connect(move |socket: Socket| {
        let (door, gone) = (Arc::clone(&inside), gone.clone());
        socket.on("wait", move |socket: Socket| {
            let door = Arc::clone(&door);
            async move {
                door.notified().await;
                socket.join("too late");
                socket.leave("room");
            }
        });
        socket.on_disconnecting(move |socket: Socket, _| {
            let _ = gone.send(socket.rooms());
            async {}
        });
        async {}
    });
    let address = serve(&io).await;
    let (mut peer, known) = connect(address).await;
    peer.send(r#"2["wait"]"#).await;
    drop(peer);
    until(|| io.is_empty()).await;
    let mut peer = Peer::open(address).await;
    peer.send(&known.connect()).await;
    assert_eq!(member(&peer.recv().await, "sid").as_ref(), Some(&known.sid));
    peer.recv().await;
    door.notify_one();
    let rooms = unhung(told.recv()).await.unwrap();
    assert_eq!(rooms.iter().map(|room| &**room).collect::<Vec<_>>(), [&*known.sid, "room"]);
    // What is done for the one that has gone leaves the one that has come in its rooms, and in no others.
    until(|| io.to("room").sockets().len() == 1).await;
    assert!(io.to("too late").sockets().is_empty());
    io.to("room").emit("still here", ()).unwrap();
    assert!(peer.recv().await.starts_with(r#"2["still here""#));
}
