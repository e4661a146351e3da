//! Whom broadcasts are for.

use sockeye::socketio::{Server, Socket};
use tokio::sync::mpsc::unbounded_channel;

use crate::{
    Peer, answer_sync, serve,
    sio::{unhung, until},
};

/// Clients a, b, c and d, of which a is in `left`, b in `left` and `right`, c in `right`, and d in none.
async fn four() -> (Server, Vec<Peer>, Vec<Socket>) {
    let (io, (tell, mut told)) = (Server::new(), unbounded_channel());
    io.on_connect(move |socket: Socket| {
        answer_sync(&socket);
        for room in socket.auth::<Vec<String>>().or_else(|_| socket.auth::<Rooms>().map(|rooms| rooms.rooms)).unwrap() {
            socket.join(room);
        }
        let _ = tell.send(socket);
        async {}
    });
    let address = serve(&io).await;
    let (mut peers, mut sockets) = (Vec::new(), Vec::new());
    for rooms in [r#"["left"]"#, r#"["left","right"]"#, r#"["right"]"#, "[]"] {
        let mut peer = Peer::open(address).await;
        peer.join(&format!(r#"0{{"rooms":{rooms}}}"#)).await;
        peers.push(peer);
        sockets.push(unhung(told.recv()).await.unwrap());
    }
    (io, peers, sockets)
}

#[derive(serde::Deserialize)]
struct Rooms {
    rooms: Vec<String>,
}

/// Who of them has got the event `e`, by their letters; one who has got it twice is there twice.
async fn who_got(io: &Server, peers: &mut [Peer]) -> String {
    io.emit("end", ()).unwrap();
    let mut who = String::new();
    for (peer, letter) in peers.iter_mut().zip("abcd".chars()) {
        loop {
            match &*peer.recv().await {
                r#"2["end"]"# => break,
                r#"2["e"]"# => who.push(letter),
                other => panic!("{other}"),
            }
        }
    }
    who
}

#[tokio::test]
async fn broadcasts_reach_whom_they_are_for_and_each_once() {
    let (io, mut peers, sockets) = four().await;
    let own = |socket: &Socket| socket.id().to_string();
    let [a, b, _, d] = &sockets[..] else { panic!("four") };
    let cases = [
        (io.broadcast(), "abcd"),
        (io.to("left"), "ab"),
        (io.in_("left").to("right"), "abc"),
        (io.to("left").to("left"), "ab"),
        (io.to("nowhere"), ""),
        (io.to("left").except("right"), "a"),
        (io.broadcast().except("left"), "cd"),
        (io.broadcast().except("left").except("right"), "d"),
        (io.broadcast().except(own(a)), "bcd"),
        (io.to(own(d)), "d"),
        (io.to(own(a)).to("left").to("right"), "abc"),
        (io.to("left").to(own(d)).except(own(b)), "ad"),
        (io.to("left").local(), "ab"),
        (b.broadcast(), "acd"),
        (b.to("left"), "a"),
        (b.in_("left").in_("right"), "ac"),
        (b.to(own(b)), ""),
        (d.to("left"), "ab"),
        (d.except("right"), "a"),
    ];
    for (number, (broadcast, expected)) in cases.into_iter().enumerate() {
        broadcast.emit("e", ()).unwrap();
        assert_eq!(who_got(&io, &mut peers).await, expected, "case {number}: {broadcast:?}");
        let mut named: Vec<_> = broadcast.sockets().iter().map(Socket::id).collect();
        named.sort_unstable();
        let letters = |letter: char| sockets["abcd".find(letter).unwrap()].id();
        let mut meant: Vec<_> = expected.chars().map(letters).collect();
        meant.sort_unstable();
        assert_eq!(named, meant, "case {number}");
    }
}

#[tokio::test]
async fn rooms_are_joined_and_left() {
    let (io, mut peers, sockets) = four().await;
    let rooms = |socket: &Socket| {
        let mut rooms: Vec<String> = socket.rooms().iter().map(|room| room.to_string()).collect();
        assert_eq!(rooms.remove(0), socket.id().to_string(), "its own is in front");
        rooms
    };
    assert_eq!(rooms(&sockets[1]), ["left", "right"]);
    sockets[1].leave("left");
    sockets[1].leave("never joined");
    sockets[1].join("right");
    assert_eq!(rooms(&sockets[1]), ["right"]);
    io.to("left").emit("e", ()).unwrap();
    assert_eq!(who_got(&io, &mut peers).await, "a");
    io.to("right").sockets_join("new");
    io.to("new").emit("e", ()).unwrap();
    assert_eq!(who_got(&io, &mut peers).await, "bc");
    io.broadcast().sockets_leave("right");
    io.to("right").emit("e", ()).unwrap();
    assert_eq!(who_got(&io, &mut peers).await, "");
    sockets[3].join("ünï#,code");
    io.to("ünï#,code").emit("e", ()).unwrap();
    assert_eq!(who_got(&io, &mut peers).await, "d");
}

#[tokio::test]
async fn who_has_gone_is_in_no_room() {
    let (io, mut peers, sockets) = four().await;
    drop(peers.remove(0));
    until(|| io.len() == 3).await;
    until(|| sockets[0].rooms().is_empty()).await;
    sockets[0].join("left");
    assert!(sockets[0].rooms().is_empty());
    assert_eq!(io.to("left").sockets().len(), 1);
    assert!(io.socket(sockets[0].id()).is_none());
    assert_eq!(io.socket(sockets[1].id()).as_ref(), Some(&sockets[1]));
}

#[tokio::test]
async fn rooms_are_sent_away() {
    let (io, mut peers, _) = four().await;
    io.to("left").disconnect_sockets();
    peers[0].expect("1").await;
    peers[1].expect("1").await;
    until(|| io.len() == 2).await;
    io.to("right").close_connections();
    peers[2].expect("1").await;
    assert_eq!(peers[2].closed().await, None);
    until(|| io.len() == 1).await;
    peers[3].expect_nothing().await;
}

/// What is sent to many is queued by the task of each session, and what is sent to one at once: neither overtakes the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_to_all_and_what_to_one_come_in_order() {
    const EACH: usize = 500;
    let io = Server::new();
    io.on_connect(|socket: Socket| async move {
        socket.join("room");
        socket.on("count", |socket: Socket| async move {
            let all = socket.namespace().to("room");
            // Beside its task, and in it; more than is left to the task as well.
            let beside = tokio::spawn({
                let (socket, all) = (socket.clone(), all.clone());
                async move { count(&socket, &all, 0) }
            });
            beside.await.unwrap();
            count(&socket, &all, EACH);
            socket.disconnect();
        });
    });
    fn count(socket: &Socket, all: &sockeye::socketio::Broadcast, from: usize) {
        for number in from..from + EACH {
            let said = (number, "x".repeat(if number % 50 == 0 { 5000 } else { 1 }));
            if number % 3 == 0 { socket.emit("n", said).unwrap() } else { all.emit("n", said).unwrap() }
        }
    }
    let address = serve(&io).await;
    let mut peer = Peer::open(address).await;
    peer.join("0").await;
    peer.send(r#"2["count"]"#).await;
    for number in 0..2 * EACH {
        let said = peer.recv().await;
        assert!(said.starts_with(&format!(r#"2["n",{number},"#)), "{number}: {said:.40}");
    }
    assert_eq!(&*peer.recv().await, "1");
}
