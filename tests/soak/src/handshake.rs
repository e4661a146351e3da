//! Opening handshakes that are none.

use std::{io, time::Duration};

use tokio::time::sleep;

use crate::{
    outcome::{Outcome, fault, is_reset},
    peer::Peer,
    visit::Visit,
    wire,
};

/// Is gone before the handshake is done.
pub async fn abort(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    let mut peer = Peer::connect(visit.site.server, visit.nth).await?;
    let request = format!("{}\r\n", wire::request(visit.site.server, None));
    let len = *visit.chance.of(&[0, 1, 40, request.len() - 1, request.len()]);
    peer.write(&request.as_bytes()[..len]).await?;
    if len < request.len() {
        sleep(visit.chance.about(visit.site.stay.min(Duration::from_secs(4)))).await;
    }
    let by_reset = visit.chance.one_in(2);
    peer.leave(by_reset)
}

/// Asks for what is refused.
pub async fn malformed(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    let proper = wire::request(visit.site.server, None);
    let with = |from: &str, to: &str| proper.replace(from, to);
    let more = |headers: String| format!("{proper}{headers}");
    let requests = [
        (with("Version: 13", "Version: 8"), 426),
        (with("Sec-WebSocket-Key: ", "X-Key: "), 400),
        (with("Key: dGhl", "Key: dGhldGhl"), 400),
        (with("GET /", "POST /"), 405),
        (with("HTTP/1.1", "HTTP/1.0"), 200), // no upgrade, so it gets the page
        (with("Host: ", "X-Host: "), 400),
        (with("Connection: Upgrade", "Connection: close"), 400),
        (with("Upgrade: websocket\r\n", ""), 200),
        (with("GET / ", &format!("GET /{} ", "x".repeat(20_000))), 414),
        (more(format!("X-Large: {}\r\n", "x".repeat(60_000))), 431),
        (more("X-Many: x\r\n".repeat(300)), 431),
        (more("Content-Length: 5\r\n".into()), 400),
        (more("Sec-WebSocket-Extensions: permessage-deflate; x=\"\r\n".into()), 400),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\r\n".into(), 400),
        ("\0".repeat(100), 400),
    ];
    let (request, wanted) = visit.chance.of(&requests);
    let mut peer = Peer::connect(visit.site.server, visit.nth).await?;
    peer.write(format!("{request}\r\n").as_bytes()).await?;
    let head = peer.head().await?;
    peer.discard().await?;
    match wire::status(&head) {
        Some(status) if status == *wanted => Ok(Outcome::Status(status)),
        _ => Err(fault(format!("{:?} was answered by {head:?}", &request[..request.len().min(200)]))),
    }
}

/// Sends its request byte by byte, or not at all, and so has the server wait.
pub async fn slowloris(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    let request = wire::request(visit.site.server, None);
    let mut peer = Peer::connect(visit.site.server, visit.nth).await?;
    if visit.chance.one_in(2) {
        for byte in request.as_bytes().chunks(1).take(18) {
            match peer.write(byte).await {
                Ok(()) => sleep(Duration::from_millis(500)).await,
                // On a busy machine the deadline comes before the last byte, and the server's patience for what is
                // written behind its answer has an end too.
                Err(error) if is_reset(&error) => break,
                Err(error) => return Err(error),
            }
        }
    }
    let head = match peer.head().await {
        Err(error) if is_reset(&error) => return Ok(Outcome::Reset),
        head => head?,
    };
    peer.discard().await?;
    match wire::status(&head) {
        Some(408) => Ok(Outcome::Status(408)),
        _ => Err(fault(format!("no request was answered by {head:?}"))),
    }
}
