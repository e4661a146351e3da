//! Listeners that come first, hear once or go again, and those of rooms and namespaces.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use sockeye::socketio::{ConnectError, Event, Reply, RoomEvent, Server, Socket};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::{
    Peer, answer_sync, serve, server,
    sio::{unhung, until},
};

async fn with_one() -> (Server, Peer, Socket) {
    let (io, (tell, mut told)) = (Server::new(), unbounded_channel());
    io.on_connect(move |socket: Socket| {
        answer_sync(&socket);
        let _ = tell.send(socket);
        async {}
    });
    let (peer, _) = Peer::connect(serve(&io).await).await;
    (io, peer, unhung(told.recv()).await.unwrap())
}

/// What was heard, in order.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<&'static str>>>);

impl Heard {
    fn note(&self, what: &'static str) {
        self.0.lock().unwrap().push(what);
    }

    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// A listener of all events that notes them, but for the test's own.
    fn any(&self, what: &'static str) -> impl Fn(Event) -> std::future::Ready<()> + Send + Sync + 'static {
        let heard = self.clone();
        move |event| {
            if event.name != *"sync" {
                heard.note(what);
            }
            std::future::ready(())
        }
    }
}

#[tokio::test]
async fn who_listens_once_hears_one_event() {
    let (_io, mut peer, socket) = with_one().await;
    let count = Arc::new(AtomicUsize::new(0));
    socket.once("e", {
        let count = Arc::clone(&count);
        move |socket: Socket, number: u32| {
            count.fetch_add(1, Ordering::Relaxed);
            // Once more, from itself.
            if number == 1 {
                socket.once("e", |_: Socket, number: u32| async move { Reply(number * 10) });
            }
            async move { Reply(number) }
        }
    });
    assert!(socket.listens_to("e") && !socket.listens_to("f"));
    for (event, answer) in [(r#"20["e",1]"#, "30[1]"), (r#"21["e",2]"#, "31[20]")] {
        peer.send(event).await;
        peer.expect(answer).await;
    }
    assert!(!socket.listens_to("e"));
    peer.send(r#"22["e",3]"#).await;
    peer.expect_nothing().await;
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_event_that_a_middleware_stops_is_not_the_one() {
    let (_io, mut peer, socket) = with_one().await;
    socket.middleware(|event: Event| async move {
        if event.arguments.json() == r#"["stop"]"# { Err("stopped") } else { Ok(()) }
    });
    socket.once("e", |_: Socket, text: String| async move { Reply(text) });
    let heard = Heard::default();
    socket.on_any(heard.any("any"));
    peer.send(r#"20["e","stop"]"#).await;
    peer.send(r#"21["e","go"]"#).await;
    peer.expect(r#"31["go"]"#).await;
    peer.send(r#"22["e","late"]"#).await;
    peer.expect_nothing().await;
    assert_eq!(heard.take(), ["any"; 3], "of one that is stopped as well");
}

#[tokio::test]
async fn listeners_of_all_events_are_put_in_front_and_let_go_of() {
    let (_io, mut peer, socket) = with_one().await;
    let heard = Heard::default();
    socket.on_any(heard.any("second"));
    socket.prepend_any(heard.any("first"));
    socket.on_any(heard.any("third"));
    peer.send(r#"2["e"]"#).await;
    peer.expect_nothing().await;
    assert_eq!(heard.take(), ["first", "second", "third"]);
    socket.off_any();
    peer.send(r#"2["e"]"#).await;
    peer.expect_nothing().await;
    assert!(heard.take().is_empty());
}

#[tokio::test]
async fn listeners_of_what_is_sent_are_put_in_front_and_let_go_of() {
    let (io, mut peer, socket) = with_one().await;
    let heard = Heard::default();
    let listener = |what| {
        let heard = heard.clone();
        move |_: &str, _: &sockeye::socketio::Arguments| heard.note(what)
    };
    socket.prepend_any_outgoing(listener("second"));
    socket.prepend_any_outgoing(listener("first"));
    socket.on_any_outgoing(listener("third"));
    io.emit("a", ()).unwrap();
    assert_eq!(heard.take(), ["first", "second", "third"]);
    socket.off_any_outgoing();
    socket.emit("b", ()).unwrap();
    assert!(heard.take().is_empty());
    socket.on_any_outgoing(listener("again"));
    socket.emit("c", ()).unwrap();
    assert_eq!(heard.take(), ["again"]);
    for event in ["a", "b", "c"] {
        peer.expect(&format!(r#"2["{event}"]"#)).await;
    }
}

#[tokio::test]
async fn all_handlers_are_let_go_of_with_what_they_hold() {
    let (io, mut peer, socket) = with_one().await;
    let (held, heard) = (Arc::new(()), Heard::default());
    let weak = Arc::downgrade(&held);
    socket.on("e", move |_: Socket| {
        let held = Arc::clone(&held);
        async move { drop(held) }
    });
    socket.on_disconnect({
        let heard = heard.clone();
        move |_, _| {
            heard.note("disconnect");
            async {}
        }
    });
    socket.on_any(heard.any("any"));
    socket.off_all();
    assert!(weak.upgrade().is_none() && !socket.listens_to("e"));
    answer_sync(&socket);
    peer.send(r#"20["e"]"#).await;
    peer.expect_nothing().await;
    drop(peer);
    until(|| io.engine().is_empty()).await;
    assert_eq!(heard.take(), ["any"]);
}

#[tokio::test]
async fn what_handlers_hold_is_let_go_of_though_no_event_comes() {
    let (_io, mut peer, socket) = with_one().await;
    let held = Arc::new(());
    let from_outside = Arc::downgrade(&held);
    socket.on("e", move |_: Socket| {
        let _held = &held;
        async { Reply(()) }
    });
    peer.send(r#"20["e"]"#).await;
    peer.expect("30[]").await;
    assert!(from_outside.upgrade().is_some());
    socket.off("e");
    until(|| from_outside.upgrade().is_none()).await;

    let held = Arc::new(());
    let by_itself = Arc::downgrade(&held);
    socket.on("f", move |socket: Socket| {
        let _held = &held;
        socket.off("f");
        async { Reply(()) }
    });
    peer.send(r#"21["f"]"#).await;
    peer.expect("31[]").await;
    until(|| by_itself.upgrade().is_none()).await;
}

/// A task that ends when what it gives is dropped, and a way to wait for that.
fn worker() -> (UnboundedSender<()>, impl Fn() -> BoxFuture + Clone) {
    let (holds, mut held) = unbounded_channel();
    let (tell, over) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        while held.recv().await.is_some() {}
        let _ = tell.send(true);
    });
    let wait = move || -> BoxFuture {
        let mut over = over.clone();
        Box::pin(async move { drop(over.wait_for(|is_over| *is_over).await) })
    };
    (holds, wait)
}

type BoxFuture = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

#[tokio::test]
async fn a_farewell_may_wait_for_what_handlers_held() {
    let (_io, mut peer, socket) = with_one().await;
    let (holds, over) = worker();
    let (tell, mut told) = unbounded_channel();
    socket.on("e", move |_: Socket| {
        let _ = holds.send(());
        async { Reply(()) }
    });
    socket.on_disconnect(move |_, _| {
        let (over, tell) = (over(), tell.clone());
        async move {
            over.await;
            let _ = tell.send(());
        }
    });
    peer.send(r#"20["e"]"#).await;
    peer.expect("30[]").await;
    peer.send("1").await;
    unhung(told.recv()).await.unwrap();
}

#[tokio::test]
async fn a_handler_may_wait_for_what_another_one_held() {
    let (io, (tell, mut told)) = (Server::new(), unbounded_channel());
    io.on_connect(move |socket: Socket| {
        let _ = tell.send(socket);
        async {}
    });
    let client = crate::poll(serve(&io).await).await;
    let socket = unhung(told.recv()).await.unwrap();
    let (holds, over) = worker();
    socket.on("e", move |_: Socket| {
        let _ = holds.send(());
        async {}
    });
    socket.on("stop", move |socket: Socket| {
        socket.off("e");
        let over = over();
        async move {
            over.await;
            Reply(())
        }
    });
    // Each POST wakes the task, which cannot be woken until it has run.
    client.send(r#"42["e"]"#).await;
    client.send(r#"421["stop"]"#).await;
    assert_eq!(client.get().await.text(), "431[]");
}

#[tokio::test]
async fn what_middlewares_have_listen_goes_with_those_that_they_refuse() {
    let (io, held) = (server(), Arc::new(()));
    let hold = Arc::clone(&held);
    io.of("/closed").middleware(move |socket: Socket| {
        let (own, held) = (socket.clone(), Arc::clone(&hold));
        socket.on("e", move |_: Socket| {
            let _held = (&own, &held);
            async {}
        });
        async { Err(ConnectError::new("no")) }
    });
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    for _ in 0..10 {
        peer.send("0/closed,").await;
        peer.expect(r#"4/closed,{"message":"no"}"#).await;
    }
    peer.expect_nothing().await;
    assert_eq!(Arc::strong_count(&held), 2, "the middleware's, and this");
}

#[tokio::test]
async fn rooms_are_told_of_as_they_come_and_go() {
    let (io, peer, socket) = with_one().await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = {
        let (told, io) = (Arc::clone(&told), io.clone());
        move |event: &RoomEvent| {
            // It may ask what there is.
            let _ = io.all_rooms();
            told.lock().unwrap().push(event.clone());
        }
    };
    io.on_room(|_| panic!("its own fault"));
    io.on_room(listener);
    let id = socket.id();
    let take = || std::mem::take(&mut *told.lock().unwrap());
    let a: Arc<str> = "a".into();
    let joined = [RoomEvent::Created(Arc::clone(&a)), RoomEvent::Joined(Arc::clone(&a), id)];
    let left = [RoomEvent::Left(Arc::clone(&a), id), RoomEvent::Deleted(Arc::clone(&a))];
    socket.join("a");
    socket.join("a");
    assert_eq!(take(), joined);
    assert_eq!(io.all_rooms(), [Arc::clone(&a)]);
    socket.leave("a");
    socket.leave("a");
    socket.leave(id.as_str());
    assert_eq!(take(), left);
    socket.join("a");
    assert_eq!(take(), joined);
    drop(peer);
    until(|| io.engine().is_empty()).await;
    assert_eq!(take(), left);
    assert!(io.all_rooms().is_empty());
}

#[tokio::test]
async fn namespaces_are_told_of_when_they_are_made() {
    let (io, _peer, _socket) = with_one().await;
    let names = Arc::new(Mutex::new(Vec::new()));
    io.on_new_namespace({
        let names = Arc::clone(&names);
        move |namespace| {
            names.lock().unwrap().push(namespace.name().to_owned());
            namespace.on_connect(|socket: Socket| async move { socket.emit("hello", ()) });
        }
    });
    io.of_those(|name, _| name.starts_with("/room-"));
    io.of("/news");
    io.of("news");
    let mut peer = Peer::open(serve(&io).await).await;
    peer.join("0/room-1,").await;
    peer.expect(r#"2/room-1,["hello"]"#).await;
    assert_eq!(*names.lock().unwrap(), ["/news", "/room-1"]);
    let mut all: Vec<_> = io.namespaces().iter().map(|namespace| namespace.name().to_owned()).collect();
    all.sort();
    assert_eq!(all, ["/", "/news", "/room-1"]);
}

#[tokio::test]
async fn a_namespace_does_with_all_sockets_what_a_broadcast_does() {
    let (io, mut peer, socket) = with_one().await;
    io.sockets_join("a");
    assert_eq!(socket.rooms().len(), 2);
    io.sockets_leave("a");
    assert_eq!(socket.rooms().len(), 1);
    io.local().emit("local", ()).unwrap();
    io.compress(sockeye::Compress::Never).emit("plain", ()).unwrap();
    socket.local().emit("others", ()).unwrap();
    peer.expect(r#"2["local"]"#).await;
    peer.expect(r#"2["plain"]"#).await;
    io.disconnect_sockets();
    peer.expect("1").await;
    until(|| io.is_empty()).await;
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    io.close_connections();
    peer.expect("1").await;
    assert_eq!(peer.closed().await, None);
}
