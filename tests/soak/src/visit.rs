//! One connection, of one of the kinds that there are.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::{
    attack,
    chance::Chance,
    deflate::{self, Deflate},
    handshake,
    outcome::{Outcome, fault},
    peer::Peer,
    wire::{self, BINARY, CLOSE, CONTINUATION, FIN, OFFER, PING, PONG, RSV1, TEXT},
};

/// What visitors have in common.
pub struct Site {
    pub server: SocketAddr,
    /// How long a visitor stays, about.
    pub stay: Duration,
    pub bomb: Arc<Vec<u8>>,
}

impl Site {
    pub fn new(server: SocketAddr, stay: Duration) -> Self {
        Self { server, stay, bomb: Arc::new(deflate::bomb()) }
    }
}

/// What a visitor does.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Idle,
    Echo,
    CompressedEcho,
    Closing,
    HalfClose,
    Fragments,
    PingFlood,
    SlowReader,
    Bomb,
    Oversize,
    MalformedFrame,
    Abort,
    AbortedHandshake,
    MalformedHandshake,
    Slowloris,
}

/// The kinds, with what they are called and how many of a thousand visitors are of each.
pub const KINDS: [(Kind, &str, usize); 15] = [
    (Kind::Idle, "idle", 300),
    (Kind::Echo, "echo", 100),
    (Kind::CompressedEcho, "compressed echo", 30),
    (Kind::Closing, "closing handshake", 60),
    (Kind::HalfClose, "half-close", 50),
    (Kind::Fragments, "fragments of 1 byte", 40),
    (Kind::PingFlood, "ping flood", 30),
    (Kind::SlowReader, "flood without reading", 50),
    (Kind::Bomb, "deflate bomb", 30),
    (Kind::Oversize, "oversize message", 40),
    (Kind::MalformedFrame, "malformed frame", 60),
    (Kind::Abort, "abort", 60),
    (Kind::AbortedHandshake, "aborted handshake", 40),
    (Kind::MalformedHandshake, "malformed handshake", 40),
    (Kind::Slowloris, "slowloris", 70),
];

/// The kind of the `nth` visitor, the same for all of its visits.
pub fn kind(nth: usize) -> (Kind, &'static str) {
    // A prime spreads the kinds over any number of visitors.
    let mut at = nth * 617 % 1000;
    for (kind, name, share) in KINDS {
        if at < share {
            return (kind, name);
        }
        at -= share;
    }
    unreachable!("the shares are a thousand in all")
}

pub struct Visit<'a> {
    pub site: &'a Site,
    /// Whose visit it is.
    pub nth: usize,
    pub chance: &'a mut Chance,
}

impl Visit<'_> {
    pub async fn run(&mut self, kind: Kind) -> io::Result<Outcome> {
        match kind {
            Kind::Idle => self.idle().await,
            Kind::Echo => self.echo().await,
            Kind::CompressedEcho => self.compressed_echo().await,
            Kind::Closing => self.closing().await,
            Kind::HalfClose => self.half_close().await,
            Kind::Fragments => self.fragments().await,
            Kind::PingFlood => self.ping_flood().await,
            Kind::SlowReader => attack::slow_reader(self).await,
            Kind::Bomb => attack::bomb(self).await,
            Kind::Oversize => attack::oversize(self).await,
            Kind::MalformedFrame => attack::malformed_frame(self).await,
            Kind::Abort => attack::abort(self).await,
            Kind::AbortedHandshake => handshake::abort(self).await,
            Kind::MalformedHandshake => handshake::malformed(self).await,
            Kind::Slowloris => handshake::slowloris(self).await,
        }
    }

    pub async fn open(&self, offer: Option<&str>) -> io::Result<Peer> {
        Peer::open(self.site.server, self.nth, offer).await
    }

    /// Opens a connection and keeps it for a while, so that many are open at a time.
    pub async fn stay(&mut self, offer: Option<&str>) -> io::Result<Peer> {
        let mut peer = self.open(offer).await?;
        peer.idle(self.chance.about(self.site.stay)).await?;
        Ok(peer)
    }

    async fn idle(&mut self) -> io::Result<Outcome> {
        let mut peer = self.open(None).await?;
        peer.send(TEXT, b"here I am").await?;
        peer.expect(TEXT, b"here I am").await?;
        peer.idle(self.site.stay * 8).await?;
        peer.close(1000).await
    }

    async fn echo(&mut self) -> io::Result<Outcome> {
        const LENGTHS: [usize; 10] = [0, 1, 20, 125, 126, 1000, 4000, 65_535, 65_536, 200_000];
        let mut peer = self.open(None).await?;
        for _ in 0..20 {
            let len = *self.chance.of(if self.chance.clone().one_in(5) { &LENGTHS } else { &LENGTHS[..6] });
            let (first, payload) = (*self.chance.of(&[TEXT, BINARY]), self.chance.text(len));
            peer.send(first, &payload).await?;
            peer.expect(first, &payload).await?;
            peer.idle(self.chance.about(self.site.stay / 10)).await?;
        }
        peer.close(1000).await
    }

    async fn compressed_echo(&mut self) -> io::Result<Outcome> {
        let (mut peer, mut deflate) = (self.open(Some(OFFER)).await?, Deflate::new());
        for _ in 0..20 {
            let len = 1 + self.chance.below(3000);
            let payload = self.chance.text(len);
            peer.send(TEXT | RSV1, &deflate.deflate(&payload)).await?;
            let reply = match peer.frame().await? {
                Some((first, reply)) if first == TEXT | RSV1 => deflate.inflate(&reply, payload.len())?,
                Some((TEXT, reply)) => reply,
                _ => return Err(fault("a compressed message was answered by none")),
            };
            if reply != payload {
                return Err(fault("a compressed message came back as another"));
            }
            peer.idle(self.chance.about(self.site.stay / 10)).await?;
        }
        peer.close(1000).await
    }

    /// Handshakes, over and over.
    async fn closing(&mut self) -> io::Result<Outcome> {
        let mut peer = self.open(None).await?;
        sleep(self.chance.about(self.site.stay / 10)).await;
        match *self.chance.of(&[1000, 1001, 1005, 1011, 3000, 4999]) {
            1005 => {
                peer.send(CLOSE, b"").await?;
                peer.end_as(Outcome::Closed(1005)).await
            }
            code => peer.close(code).await,
        }
    }

    /// Ends its direction, but not the connection.
    async fn half_close(&mut self) -> io::Result<Outcome> {
        if self.chance.one_in(4) {
            let mut peer = Peer::connect(self.site.server, self.nth).await?;
            peer.write(wire::request(self.site.server, None).as_bytes()).await?;
            peer.shut_down().await?;
            return peer.end_as(Outcome::Ended).await;
        }
        let mut peer = self.stay(None).await?;
        if self.chance.one_in(3) {
            peer.send(TEXT, b"last words").await?;
            peer.send(CLOSE, &1000_u16.to_be_bytes()).await?;
            peer.shut_down().await?;
            peer.expect(TEXT, b"last words").await?;
            return peer.end_as(Outcome::Closed(1000)).await;
        }
        peer.send(TEXT, b"last words").await?;
        peer.shut_down().await?;
        peer.expect(TEXT, b"last words").await?;
        peer.end_as(Outcome::Ended).await
    }

    /// A message in fragments of one byte, with Pings between; or one without an end.
    async fn fragments(&mut self) -> io::Result<Outcome> {
        const LEN: usize = 5000;
        let mut peer = self.stay(None).await?;
        let payload = self.chance.text(LEN);
        let mut bytes = wire::frame(TEXT & !FIN, b"");
        for (at, byte) in payload.iter().enumerate() {
            wire::put_frame(&mut bytes, CONTINUATION & !FIN, &[*byte]);
            if at % 1000 == 0 {
                wire::put_frame(&mut bytes, PING, b"?");
            }
        }
        peer.write(&bytes).await?;
        if self.chance.one_in(3) {
            let by_reset = self.chance.one_in(2);
            return peer.leave(by_reset);
        }
        peer.send(CONTINUATION, b"").await?;
        for _ in 0..LEN / 1000 {
            peer.expect(PONG, b"?").await?;
        }
        peer.expect(TEXT, &payload).await?;
        peer.close(1000).await
    }

    /// Pings of which each has to be answered, or a later one.
    async fn ping_flood(&mut self) -> io::Result<Outcome> {
        const PINGS: u32 = 2000;
        let mut peer = self.stay(None).await?;
        let mut bytes = Vec::new();
        for nth in 0..PINGS {
            wire::put_frame(&mut bytes, PING, &[&nth.to_be_bytes()[..], &[b'?'; 100]].concat());
        }
        peer.write(&bytes).await?;
        let mut newest = None;
        while newest != Some(PINGS - 1) {
            let frame = peer.frame().await?;
            let Some((PONG, payload)) = &frame else { return Err(fault("a Ping was not answered")) };
            let nth = payload.first_chunk().map(|&nth| u32::from_be_bytes(nth));
            if nth <= newest {
                return Err(fault("a Pong for no Ping, or a second one"));
            }
            newest = nth;
        }
        peer.close(1000).await
    }
}
