//! What peers send that no client should.

use std::{io, time::Duration};

use tokio::time::sleep;

use crate::{
    deflate::Deflate,
    outcome::{Outcome, fault, is_reset},
    peer::Peer,
    visit::Visit,
    wire::{self, BINARY, CLOSE, CONTINUATION, FIN, OFFER, PING, RSV1, TEXT, frame},
};

/// Sends and does not read the replies; then reads them all, or is gone.
///
/// The system keeps many MiB for a connection that nobody reads, and has so much for few of them only. So most send no
/// more than it takes for all; the others go on until the server stops reading.
pub async fn slow_reader(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    match flood(visit).await {
        // The server need not wait for ever.
        Err(error) if is_reset(&error) => Ok(Outcome::Reset),
        outcome => outcome,
    }
}

async fn flood(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    const ROOM: u32 = 16 * 1024;
    const MESSAGE: usize = 16 * 1024;
    const FEW: usize = 16;
    const TOO_MANY: usize = 4000;
    let mut peer = Peer::connect_with(visit.site.server, visit.nth, Some(ROOM)).await?;
    peer.upgrade(visit.site.server, None).await?;
    let payload = visit.chance.text(MESSAGE);
    let message = frame(BINARY, &payload);
    let most = if visit.chance.one_in(20) { TOO_MANY } else { FEW };
    let mut sent = 0;
    while sent < most && peer.write_only(&message, visit.site.stay / 4).await? {
        sent += 1;
    }
    if sent == TOO_MANY {
        return Err(fault("replies are queued without end"));
    }
    sleep(visit.chance.about(visit.site.stay)).await;
    if visit.chance.one_in(2) {
        let by_reset = visit.chance.one_in(2);
        return peer.leave(by_reset);
    }
    for _ in 0..sent {
        peer.expect(BINARY, &payload).await?;
    }
    if sent == FEW {
        return peer.close(1000).await;
    }
    // A part of a message has been sent, so there can be no closing handshake.
    peer.leave(false)
}

/// A message that is small until it is inflated.
pub async fn bomb(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    let mut peer = visit.stay(Some(OFFER)).await?;
    let bomb = &visit.site.bomb;
    match visit.chance.below(3) {
        0 => peer.send(BINARY | RSV1, bomb).await?,
        1 => {
            peer.send((BINARY | RSV1) & !FIN, b"").await?;
            for part in bomb.chunks(1000) {
                if peer.send(CONTINUATION & !FIN, part).await.is_err_and(|error| is_reset(&error)) {
                    break;
                }
            }
        }
        _ => {
            // Behind a message that is as it should be, and in its window.
            let mut deflate = Deflate::new();
            let payload = visit.chance.text(1000);
            peer.send(TEXT | RSV1, &deflate.deflate(&payload)).await?;
            peer.frame().await?;
            peer.send(BINARY | RSV1, &deflate.deflate(&vec![0; 4 << 20])).await?;
        }
    }
    peer.end_as(Outcome::Closed(1009)).await
}

/// A message above the limit of 1 MiB, announced or in fragments.
pub async fn oversize(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    const LIMIT: u64 = 1 << 20;
    let mut peer = visit.stay(None).await?;
    match visit.chance.below(3) {
        0 => {
            for part in 0..LIMIT.div_ceil(60_000) {
                let first = if part == 0 { BINARY } else { CONTINUATION };
                peer.send(first & !FIN, &[0; 60_000]).await?;
            }
        }
        announced => {
            let mut header = Vec::new();
            wire::put_header(&mut header, BINARY, if announced == 1 { LIMIT + 1 } else { 1 << 40 });
            peer.write(&header).await?;
        }
    }
    peer.end_as(Outcome::Closed(1009)).await
}

/// A frame that breaks the protocol.
pub async fn malformed_frame(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    let ping = |len| frame(PING, &vec![b'x'; len]);
    let frames: [(Vec<u8>, u16); 18] = [
        (b"\x81\x05Hello".to_vec(), 1002),
        (frame(TEXT | 0x20, b"RSV2"), 1002),
        (frame(TEXT | 0x10, b"RSV3"), 1002),
        (frame(PING | RSV1, b"RSV1"), 1002),
        (frame(0x83, b"a reserved opcode"), 1002),
        (frame(0x8b, b"a reserved opcode"), 1002),
        (frame(PING & !FIN, b"half"), 1002),
        (ping(126), 1002),
        (frame(CONTINUATION, b"of nothing"), 1002),
        ([frame(TEXT & !FIN, b"one"), frame(TEXT, b"two")].concat(), 1002),
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT & !FIN, b"\xc3\x28"), 1007),
        (frame(CLOSE, b"\x03"), 1002),
        (frame(CLOSE, &1005_u16.to_be_bytes()), 1002),
        (frame(CLOSE, b"\x03\xe8\xff"), 1007),
        (b"\x82\xfe\x00\x05\0\0\0\0Hello".to_vec(), 1002),
        (b"\x82\xff\x80\0\0\0\0\0\0\x05\0\0\0\0Hello".to_vec(), 1002),
        (frame(TEXT | RSV1, b"\xff\xff\xff\xff"), 1007),
    ];
    // The last one needs permessage-deflate to be at fault for what it inflates to.
    let nth = visit.chance.below(frames.len());
    let offer = (nth + 1 == frames.len()).then_some(OFFER);
    let mut peer = visit.stay(offer).await?;
    let (bytes, code) = &frames[nth];
    peer.write(bytes).await?;
    let end = peer.end().await?;
    if end == Outcome::Closed(*code) { Ok(end) } else { Err(fault(format!("{bytes:x?} was answered by \"{end}\""))) }
}

/// Is gone at any moment behind the handshake.
pub async fn abort(visit: &mut Visit<'_>) -> io::Result<Outcome> {
    let payload = visit.chance.text(30_000);
    let stage = visit.chance.below(8);
    let mut peer = visit.stay((stage == 7).then_some(OFFER)).await?;
    match stage {
        0 => {}
        1 => peer.write(&[TEXT]).await?,
        2 => peer.write(&frame(TEXT, &payload)[..20_000]).await?,
        3 => peer.send(TEXT & !FIN, &payload).await?,
        4 => (peer.send(TEXT, &payload).await?, sleep(Duration::from_millis(1)).await).0,
        5 => {
            let many = frame(TEXT, b"who is there?").repeat(100);
            peer.write_only(&many, visit.site.stay).await?;
        }
        6 => peer.send(CLOSE, &1000_u16.to_be_bytes()).await?,
        _ => peer.send((TEXT | RSV1) & !FIN, &Deflate::new().deflate(&payload)).await?,
    }
    let by_reset = visit.chance.one_in(2);
    peer.leave(by_reset)
}
