//! What clients do that none should.

use std::{io, time::Duration};

use tokio::{sync::Semaphore, time::sleep};

use super::{
    polling::{Polling, Response, answer, request},
    visit::{Visit, once},
    websocket::{Packet, WebSocket, brief},
};
use crate::{
    outcome::{Outcome, fault, is_reset},
    peer::Peer,
    wire::{self, BINARY, TEXT},
};

/// How long the server of a soak waits for a client to answer a ping, to go over to a WebSocket or to join.
const PATIENCE: Duration = Duration::from_secs(4);

/// Who has the server queue as much as it does for one, 16 MiB: few at a time. An allocator keeps what the most of them took,
/// and so chance would say how much memory there is behind a round.
static FLOODS: Semaphore = Semaphore::const_new(3);

/// What is no packet of Engine.IO or Socket.IO, or has no place behind the main namespace was joined: the text and the
/// attachments behind it. All of it ends the session.
const MALFORMED: [(&str, usize); 54] = [
    ("", 0),
    ("7", 0),
    ("x", 0),
    ("€", 0),
    ("b?", 0),
    ("2", 0),
    ("4", 0),
    ("47", 0),
    ("4a", 0),
    ("49", 0),
    ("40[]", 0),
    ("40\"a\"", 0),
    ("40null", 0),
    ("40{", 0),
    ("40", 0),
    ("41{}", 0),
    ("41/unknown", 0),
    ("42", 0),
    ("42[]", 0),
    ("42[null]", 0),
    ("42[true]", 0),
    ("42[{}]", 0),
    ("42{\"a\":1}", 0),
    ("42[\"connect\"]", 0),
    ("42[\"connect_error\"]", 0),
    ("42[\"disconnect\"]", 0),
    ("42[\"disconnecting\"]", 0),
    ("42[\"newListener\"]", 0),
    ("42[\"removeListener\"]", 0),
    ("42[\"\\u0064isconnect\"]", 0),
    ("42-1[\"a\"]", 0),
    ("421e2[\"a\"]", 0),
    ("420x[\"a\"]", 0),
    ("42[\"a\"", 0),
    ("42[\"a\"]x", 0),
    ("42[\"a\",]", 0),
    ("42[\"a\",\u{1}]", 0),
    ("42/a1[\"b\"]", 0),
    ("42/unknown,[\"a\"]", 0),
    ("42123456789012345678901[\"a\"]", 0),
    ("43", 0),
    ("43[]", 0),
    ("431{}", 0),
    ("44{\"message\":\"x\"}", 0),
    ("44[]", 0),
    ("45[\"a\"]", 0),
    ("450-[\"a\"]", 0),
    ("45-1-", 0),
    ("451.5-", 0),
    ("4511-[\"a\"]", 0),
    ("4518446744073709551616-[\"a\"]", 0),
    ("451-[\"a\",{\"_placeholder\":true,\"num\":1}]", 1),
    ("451-[\"a\",{\"_placeholder\":true,\"num\":-1}]", 1),
    ("451-[\"a\",{\"_placeholder\":true,\"num\":\"0\"}]", 1),
];

pub async fn bad_packet(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    let mut socket = visit.join().await?;
    socket.idle(visit.chance.about(visit.stay / 2)).await?;
    let which = visit.chance.below(MALFORMED.len() + 2);
    let what = match MALFORMED.get(which) {
        Some((text, attachments)) => {
            socket.send(text).await?;
            for _ in 0..*attachments {
                tolerant(socket.send_binary(b"an attachment").await)?;
            }
            *text
        }
        None if which == MALFORMED.len() => {
            socket.send_binary(b"unexpected").await?;
            "an unexpected attachment"
        }
        None => {
            socket.send(r#"451-["bin",{"_placeholder":true,"num":0}]"#).await?;
            socket.send(r#"42["msg"]"#).await?;
            "a text in place of an attachment"
        }
    };
    match socket.end().await? {
        end @ Outcome::Closed(1005) => Ok(end),
        end => Err(fault(format!("{what:?} was answered by \"{end}\""))),
    }
}

/// The server need not take what is behind its end.
fn tolerant(sent: io::Result<()>) -> io::Result<()> {
    match sent {
        Err(error) if is_reset(&error) => Ok(()),
        sent => sent,
    }
}

pub async fn bad_packet_by_polling(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    let mut session = visit.join_by_polling().await?;
    let (text, attachments) = *visit.chance.of(&MALFORMED);
    let attachments = "\x1ebAQID".repeat(attachments);
    // What stands in front of it has come.
    let body = format!("42[\"msg\",1]\x1e{text}{attachments}\x1e42[\"msg\",2]");
    match session.try_post(&body).await? {
        Response { status: 200 | 400, .. } => {}
        other => return Err(fault(format!("{text:?} was answered by {other:?}"))),
    }
    session.ended().await.map_err(|error| io::Error::new(error.kind(), format!("behind {text:?}: {error}")))
}

pub async fn never_joins(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    let mut socket = WebSocket::open(visit.server, visit.nth).await?;
    if visit.chance.one_in(2) {
        socket.send("40/unknown").await?;
    }
    loop {
        match socket.any_packet().await? {
            Packet::Close(1005) => return Ok(Outcome::Closed(1005)),
            // Not joining is all that it does wrong.
            Packet::Text(ping) if ping == "2" => socket.send("3").await?,
            Packet::Text(_) => {}
            other => return Err(fault(format!("a client that did not join saw {other:?}"))),
        }
    }
}

pub async fn never_joins_by_polling(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    let mut session = Polling::open(visit.server, visit.nth).await?;
    if visit.chance.one_in(2) {
        return Ok(Outcome::Left);
    }
    loop {
        match session.any_packet().await?.as_str() {
            "1" => return session.forgotten().await,
            "2" => drop(session.try_post("3").await?),
            packet => return Err(fault(format!("a client that did not join got {packet}"))),
        }
    }
}

/// Is there, and answers nothing.
pub async fn half_open(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    let socket = visit.join().await?;
    socket.end_as(Outcome::Closed(1005)).await
}

/// Is gone at any moment.
pub async fn vanish(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    let stage = visit.chance.below(9);
    let mut socket = WebSocket::open(visit.server, visit.nth).await?;
    if stage > 0 {
        socket.join().await?;
        socket.idle(visit.chance.about(visit.stay)).await?;
    }
    let text = visit.text(30_000);
    let event = wire::frame(TEXT, format!(r#"42["msg","{text}"]"#).as_bytes());
    match stage {
        2 => socket.peer.write(&event[..20_000]).await?,
        3 => socket.peer.write(&event).await?,
        4 => socket.send(r#"452-["bin",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#).await?,
        5 => socket.send(r#"427["ask"]"#).await?,
        6 => drop(socket.peer.write_only(&event.repeat(10), visit.stay).await?),
        7 => socket.send("41").await?,
        8 => {
            // Ends its direction only; the server ends the other one.
            socket.peer.shut_down().await?;
            return match socket.end().await? {
                end @ (Outcome::Ended | Outcome::Closed(_) | Outcome::Reset) => Ok(end),
                end => Err(fault(format!("behind its end came \"{end}\""))),
            };
        }
        _ => {}
    }
    let by_reset = visit.chance.one_in(2);
    socket.peer.leave(by_reset)
}

pub async fn vanish_by_polling(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    let mut session = visit.join_by_polling().await?;
    session.echo("here I am").await?;
    if visit.chance.one_in(2) {
        session.post(r#"452-["bin",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#).await?;
    }
    if visit.chance.one_in(2) {
        return Ok(Outcome::Left);
    }
    // Nobody polls, so nobody answers the ping.
    sleep(PATIENCE * 2 + PATIENCE / 4).await;
    session.forgotten().await
}

pub async fn vanished_upgrade(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    let session = visit.join_by_polling().await?;
    let socket = if visit.chance.one_in(3) {
        WebSocket::probing(visit.server, visit.nth, &session.sid).await?
    } else {
        visit.probe(&session).await?
    };
    let by_reset = visit.chance.one_in(2);
    socket.peer.leave(by_reset)?;
    if visit.chance.one_in(2) { Ok(Outcome::Left) } else { visit.goes_on(session).await }
}

pub async fn aborted_poll(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    // In no room, it is told nothing in between.
    let mut session = Polling::open(visit.server, visit.nth).await?;
    let poll = session.park().await?;
    sleep(Duration::from_millis(100)).await;
    let by_reset = visit.chance.one_in(2);
    poll.leave(by_reset)?;
    session.forgotten().await
}

pub async fn two_polls(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    let mut session = Polling::open(visit.server, visit.nth).await?;
    let (mut first, mut second) = (session.park().await?, session.park().await?);
    let (first, second) = (answer(&mut first).await?, answer(&mut second).await?);
    let (told, refused) = if first.status == 200 { (first, second) } else { (second, first) };
    if (told.status, &*told.body, refused.status) != (200, "1", 400) {
        return Err(fault(format!("two polls were answered by {told:?} and {refused:?}")));
    }
    session.forgotten().await
}

pub async fn two_posts(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    let mut session = Polling::open(visit.server, visit.nth).await?;
    let whole = request("POST", &session.target(), Some("40\x1e42[\"msg\"]"));
    let mut first = session.connect().await?;
    first.write(&whole.as_bytes()[..whole.len() - 5]).await?;
    sleep(Duration::from_millis(200)).await;
    match session.try_post("40").await? {
        Response { status: 400, .. } => {}
        // A busy server had not come to the first one, which is alone then.
        Response { status: 200, .. } => {
            first.write(&whole.as_bytes()[whole.len() - 5..]).await?;
            answer(&mut first).await?;
            return Ok(Outcome::Served);
        }
        other => return Err(fault(format!("a second POST at once was answered by {other:?}"))),
    }
    tolerant(first.write(&whole.as_bytes()[whole.len() - 5..]).await)?;
    match answer(&mut first).await {
        Ok(Response { status: 400, .. }) => session.forgotten().await,
        Ok(other) => Err(fault(format!("the first of two POSTs was answered by {other:?}"))),
        Err(error) if is_reset(&error) => session.forgotten().await,
        Err(error) => Err(error),
    }
}

/// Sends a body byte by byte, to its end or not.
pub async fn slow_post(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    let mut session = Polling::open(visit.server, visit.nth).await?;
    const PACKETS: &str = "40\x1e42[\"msg\",1]";
    let whole = request("POST", &session.target(), Some(PACKETS));
    let body = whole.len() - PACKETS.len();
    let mut peer = session.connect().await?;
    peer.write(&whole.as_bytes()[..body]).await?;
    match visit.chance.below(3) {
        0 => {
            for byte in whole.as_bytes()[body..].chunks(1) {
                peer.write(byte).await?;
                sleep(Duration::from_millis(30)).await;
            }
            let Response { status, body } = answer(&mut peer).await?;
            if (status, &*body) != (200, "ok") {
                return Err(fault(format!("a slow POST was answered by {status} {body}")));
            }
            let joined = session.packet().await?;
            if !joined.starts_with(r#"40{"sid":"#) {
                return Err(fault(format!("behind a slow POST came {}", brief(&joined))));
            }
            session.expect(r#"42["msg",1]"#).await?;
            session.close().await
        }
        1 => {
            peer.write(&whole.as_bytes()[body..body + 5]).await?;
            sleep(visit.chance.about(visit.stay)).await;
            let by_reset = visit.chance.one_in(2);
            peer.leave(by_reset)
        }
        _ => match answer(&mut peer).await {
            // Whatever is over first: the time for the body, or for the client to join.
            Ok(Response { status: status @ (400 | 408), .. }) => Ok(Outcome::Status(status)),
            Ok(other) => Err(fault(format!("half a POST was answered by {other:?}"))),
            Err(error) if is_reset(&error) => Ok(Outcome::Reset),
            Err(error) => Err(error),
        },
    }
}

/// Asks for what is refused; its session, if it has one, goes on.
pub async fn bad_request(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    let long = format!("/socket.io/?EIO=4&transport=polling&x={}", "x".repeat(70_000));
    let requests = [
        ("GET", "/socket.io/?EIO=4", 400, "\"code\":0"),
        ("GET", "/socket.io/?EIO=4&transport=carrier-pigeon", 400, "\"code\":0"),
        ("GET", "/socket.io/?EIO=4&transport=polling&sid=nobody", 400, "\"code\":1"),
        ("GET", "/socket.io/?EIO=4&transport=polling&sid=aaaaaaaaaaaaaaaaaaaa", 400, "\"code\":1"),
        ("POST", "/socket.io/?EIO=4&transport=polling", 400, "\"code\":2"),
        ("PUT", "/socket.io/?EIO=4&transport=polling", 400, "\"code\":2"),
        ("OPTIONS", "/socket.io/?EIO=4&transport=polling", 400, "\"code\":2"),
        ("GET", "/socket.io/?EIO=4&transport=websocket", 400, "\"code\":3"),
        ("GET", "/socket.io/?EIO=3&transport=polling", 400, "\"code\":5"),
        ("GET", "/socket.io?EIO=4&transport=polling", 404, ""),
        ("GET", "/", 404, ""),
        ("GET", &long, 414, ""),
    ];
    let (method, target, wanted, said) = *visit.chance.of(&requests);
    let body = (method == "POST").then_some("40");
    let Response { status, body } = once(visit, method, target, body).await?;
    if status == wanted && body.contains(said) {
        Ok(Outcome::Status(status))
    } else {
        Err(fault(format!("{method} {} was answered by {status} {body}", brief(target))))
    }
}

pub async fn half_attachments(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    let mut socket = visit.join().await?;
    let attachment = visit.chance.text(100_000);
    socket.send(r#"4510-["bin",{"_placeholder":true,"num":9}]"#).await?;
    for _ in 0..visit.chance.below(10) {
        socket.send_binary(&attachment).await?;
    }
    socket.idle(visit.stay * 2).await?;
    if visit.chance.one_in(2) {
        let by_reset = visit.chance.one_in(2);
        return socket.peer.leave(by_reset);
    }
    socket.close().await
}

/// More than a million bytes at once: a WebSocket is closed, and a POST refused.
pub async fn oversize(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    const LIMIT: usize = 1_000_000;
    if visit.chance.one_in(2) {
        let mut socket = visit.join().await?;
        let mut header = Vec::new();
        wire::put_header(&mut header, *visit.chance.of(&[TEXT, BINARY]), LIMIT as u64 + 1);
        socket.peer.write(&header).await?;
        return socket.end_as(Outcome::Closed(1009)).await;
    }
    let mut session = visit.join_by_polling().await?;
    let body = format!("42[\"msg\",\"{}\"]", visit.text(LIMIT));
    let mut peer = session.connect().await?;
    let sent = peer.write(request("POST", &session.target(), Some(&body)).as_bytes()).await;
    tolerant(sent)?;
    match answer(&mut peer).await {
        Ok(Response { status: 413, .. }) => {}
        Ok(other) => return Err(fault(format!("a large POST was answered by {other:?}"))),
        // It was answered before all of it was sent, and the rest not taken.
        Err(error) if is_reset(&error) => {}
        Err(error) => return Err(error),
    }
    session.echo("on").await?;
    session.close().await
}

/// Sends and does not read what comes back. Most send no more than a system takes for all, the others until the server
/// has had enough.
pub async fn slow_reader(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    const ROOM: u32 = 16 * 1024;
    const FEW: usize = 16;
    const TOO_MANY: usize = 4000;
    let most = if visit.chance.one_in(8) { TOO_MANY } else { FEW };
    let _few = if most == TOO_MANY { FLOODS.acquire().await.ok() } else { None };
    let peer = Peer::connect_with(visit.server, visit.nth, Some(ROOM)).await?;
    let mut socket = WebSocket::open_on(peer, visit.server).await?;
    socket.join().await?;
    let event = format!(r#"42["msg","{}"]"#, visit.text(16 * 1024));
    let frame = wire::frame(TEXT, event.as_bytes());
    let mut sent = 0;
    while sent < most {
        match socket.peer.write_only(&frame, visit.stay / 4).await {
            Ok(true) => sent += 1,
            Ok(false) => break,
            Err(error) if is_reset(&error) => return Ok(Outcome::Reset),
            Err(error) => return Err(error),
        }
    }
    if most == TOO_MANY {
        return given_up(socket, &event, TOO_MANY).await;
    }
    if sent < FEW {
        let by_reset = visit.chance.one_in(2);
        return socket.peer.leave(by_reset);
    }
    for _ in 0..sent {
        socket.expect(&event).await?;
    }
    socket.close().await
}

/// Reads what a server has for one that did not read: not everything, and then the end.
async fn given_up(mut socket: WebSocket, event: &str, sent: usize) -> io::Result<Outcome> {
    let (mut replies, mut outcome) = (0, Outcome::Ended);
    loop {
        match socket.any_packet().await {
            Ok(Packet::Text(text)) => replies += usize::from(text == event),
            Ok(Packet::Binary(_)) => {}
            Ok(Packet::Close(code)) => outcome = Outcome::Closed(code),
            Ok(Packet::End) => break,
            // The server need not wait until what it has begun is taken.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                outcome = Outcome::Reset;
                break;
            }
            Err(error) => return Err(error),
        }
    }
    if replies < sent { Ok(outcome) } else { Err(fault("replies are queued without end")) }
}

/// As [`slow_reader`], by POSTs.
pub async fn never_polls(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    const TOO_MANY: usize = 400;
    let most = if visit.chance.one_in(4) { TOO_MANY } else { 5 };
    let _few = if most == TOO_MANY { FLOODS.acquire().await.ok() } else { None };
    let mut session = visit.join_by_polling().await?;
    let event = format!(r#"42["msg","{}"]"#, visit.text(100_000));
    for _ in 0..most {
        match session.try_post(&event).await? {
            Response { status: 200, .. } => {}
            // More than 16 MiB wait.
            Response { status: 400, .. } if most == TOO_MANY => return session.forgotten().await,
            other => return Err(fault(format!("a POST was answered by {other:?}"))),
        }
    }
    if most == TOO_MANY {
        return Err(fault("replies are queued without end"));
    }
    Ok(Outcome::Left)
}
