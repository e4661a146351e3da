//! One session, of one of the kinds that there are.

use std::{io, net::SocketAddr, time::Duration};

use super::{
    attack,
    polling::{Polling, Response, answer, ask},
    websocket::{Packet, WebSocket},
};
use crate::{
    chance::Chance,
    outcome::{Outcome, fault},
    wire::PING,
};

/// What a visitor does.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Idle,
    Echo,
    Binary,
    Ask,
    Broadcast,
    Leave,
    PollingIdle,
    PollingEcho,
    Payload,
    Upgrade,
    HalfUpgrade,
    WrongProbe,
    SecondWebSocket,
    UnknownNamespace,
    NeverJoins,
    NeverJoinsByPolling,
    HalfOpen,
    Vanish,
    VanishByPolling,
    VanishedUpgrade,
    AbortedPoll,
    TwoPolls,
    TwoPosts,
    SlowPost,
    BadRequest,
    BadPacket,
    BadPacketByPolling,
    HalfAttachments,
    Oversize,
    SlowReader,
    NeverPolls,
}

/// The kinds, with what they are called and how many of a thousand visitors are of each.
pub const KINDS: [(Kind, &str, usize); 31] = [
    (Kind::Idle, "idle, WebSocket", 180),
    (Kind::Echo, "echoes, WebSocket", 80),
    (Kind::Binary, "attachments", 30),
    (Kind::Ask, "acknowledgements, some never answered", 40),
    (Kind::Broadcast, "broadcast to everybody", 2),
    (Kind::Leave, "leaves and comes back", 30),
    (Kind::PollingIdle, "idle, polling", 100),
    (Kind::PollingEcho, "echoes, polling", 50),
    (Kind::Payload, "1000 packets in a payload", 10),
    (Kind::Upgrade, "upgrade", 50),
    (Kind::HalfUpgrade, "upgrade without an end", 30),
    (Kind::WrongProbe, "upgrade with a wrong packet", 20),
    (Kind::SecondWebSocket, "second WebSocket", 20),
    (Kind::UnknownNamespace, "unknown namespaces", 30),
    (Kind::NeverJoins, "never joins, WebSocket", 20),
    (Kind::NeverJoinsByPolling, "never joins, polling", 20),
    (Kind::HalfOpen, "answers no ping", 20),
    (Kind::Vanish, "vanishes, WebSocket", 30),
    (Kind::VanishByPolling, "vanishes, polling", 30),
    (Kind::VanishedUpgrade, "vanishes in an upgrade", 20),
    (Kind::AbortedPoll, "aborted poll", 20),
    (Kind::TwoPolls, "two polls at once", 20),
    (Kind::TwoPosts, "two POSTs at once", 20),
    (Kind::SlowPost, "slow POST", 20),
    (Kind::BadRequest, "refused request", 20),
    (Kind::BadPacket, "malformed packet, WebSocket", 30),
    (Kind::BadPacketByPolling, "malformed packet, polling", 20),
    (Kind::HalfAttachments, "attachments that never come", 10),
    (Kind::Oversize, "oversize", 10),
    (Kind::SlowReader, "flood without reading", 9),
    (Kind::NeverPolls, "flood without a poll", 9),
];

const _: () = {
    let (mut sum, mut at) = (0, 0);
    while at < KINDS.len() {
        sum += KINDS[at].2;
        at += 1;
    }
    assert!(sum == 1000, "the shares are not a thousand in all");
};

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
    pub server: SocketAddr,
    /// How long a visitor stays, about.
    pub stay: Duration,
    /// Whose visit it is.
    pub nth: usize,
    pub chance: &'a mut Chance,
}

impl Visit<'_> {
    pub async fn run(&mut self, kind: Kind) -> io::Result<Outcome> {
        match kind {
            Kind::Idle => self.idle().await,
            Kind::Echo => self.echo().await,
            Kind::Binary => self.binary().await,
            Kind::Ask => self.ask().await,
            Kind::Broadcast => self.broadcast().await,
            Kind::Leave => self.leave().await,
            Kind::PollingIdle => self.polling_idle().await,
            Kind::PollingEcho => self.polling_echo().await,
            Kind::Payload => self.payload().await,
            Kind::Upgrade => self.upgrade().await,
            Kind::HalfUpgrade => self.half_upgrade().await,
            Kind::WrongProbe => self.wrong_probe().await,
            Kind::SecondWebSocket => self.second_websocket().await,
            Kind::UnknownNamespace => self.unknown_namespace().await,
            Kind::NeverJoins => attack::never_joins(self).await,
            Kind::NeverJoinsByPolling => attack::never_joins_by_polling(self).await,
            Kind::HalfOpen => attack::half_open(self).await,
            Kind::Vanish => attack::vanish(self).await,
            Kind::VanishByPolling => attack::vanish_by_polling(self).await,
            Kind::VanishedUpgrade => attack::vanished_upgrade(self).await,
            Kind::AbortedPoll => attack::aborted_poll(self).await,
            Kind::TwoPolls => attack::two_polls(self).await,
            Kind::TwoPosts => attack::two_posts(self).await,
            Kind::SlowPost => attack::slow_post(self).await,
            Kind::BadRequest => attack::bad_request(self).await,
            Kind::BadPacket => attack::bad_packet(self).await,
            Kind::BadPacketByPolling => attack::bad_packet_by_polling(self).await,
            Kind::HalfAttachments => attack::half_attachments(self).await,
            Kind::Oversize => attack::oversize(self).await,
            Kind::SlowReader => attack::slow_reader(self).await,
            Kind::NeverPolls => attack::never_polls(self).await,
        }
    }

    pub async fn join(&self) -> io::Result<WebSocket> {
        WebSocket::joined(self.server, self.nth).await
    }

    pub async fn join_by_polling(&self) -> io::Result<Polling> {
        Polling::joined(self.server, self.nth).await
    }

    /// A text that is as good in JSON as it is.
    pub fn text(&mut self, len: usize) -> String {
        let text = self.chance.text(len);
        text.iter().map(|&byte| if byte.is_ascii_lowercase() { byte as char } else { '_' }).collect()
    }

    async fn idle(&mut self) -> io::Result<Outcome> {
        let mut socket = self.join().await?;
        socket.echo("here I am").await?;
        socket.idle(self.stay * 4).await?;
        socket.close().await
    }

    async fn echo(&mut self) -> io::Result<Outcome> {
        const LENGTHS: [usize; 6] = [0, 1, 100, 1000, 20_000, 200_000];
        let mut socket = self.join().await?;
        for _ in 0..20 {
            let len = *self.chance.of(if self.chance.clone().one_in(5) { &LENGTHS } else { &LENGTHS[..4] });
            let text = self.text(len);
            socket.echo(&text).await?;
            socket.idle(self.chance.about(self.stay / 10)).await?;
        }
        // Either end of it may go first.
        if self.chance.one_in(2) {
            socket.send("1").await?;
            return socket.end_as(Outcome::Closed(1005)).await;
        }
        socket.close().await
    }

    async fn binary(&mut self) -> io::Result<Outcome> {
        let mut socket = self.join().await?;
        for _ in 0..5 {
            let event = r#"452-["bin",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
            let len = self.chance.below(50_000);
            let (one, two) = (self.chance.text(len), self.chance.text(10));
            socket.send(event).await?;
            socket.send_binary(&one).await?;
            socket.send_binary(&two).await?;
            socket.expect(event).await?;
            socket.expect_binary(&one).await?;
            socket.expect_binary(&two).await?;
            socket.idle(self.chance.about(self.stay / 5)).await?;
        }
        socket.close().await
    }

    /// Asks for acknowledgements, is asked for some, and does not answer all.
    async fn ask(&mut self) -> io::Result<Outcome> {
        let mut socket = self.join().await?;
        for nth in 0..20 {
            let text = self.text(20);
            socket.send(&format!(r#"42{nth}["ack","{text}"]"#)).await?;
            socket.expect(&format!(r#"43{nth}["{text}"]"#)).await?;
            socket.send(&format!(r#"42{nth}["ask"]"#)).await?;
            let asked = socket.packet().await?;
            let Packet::Text(asked) = asked else { return Err(fault(format!("for a question came {asked:?}"))) };
            let id = asked.strip_prefix("42").and_then(|rest| rest.strip_suffix(r#"["ask"]"#));
            let id = id.ok_or_else(|| fault(format!("for a question came {asked}")))?.to_owned();
            match self.chance.below(4) {
                0 => {}
                // Nobody has asked that.
                1 => socket.send("4399999999999[1]").await?,
                _ => {
                    socket.send(&format!(r#"43{id}["{text}",{nth}]"#)).await?;
                    socket.expect(&format!(r#"43{nth}["{text}",{nth}]"#)).await?;
                }
            }
            socket.idle(self.chance.about(self.stay / 10)).await?;
        }
        socket.close().await
    }

    /// Tells everybody something; it is among them.
    async fn broadcast(&mut self) -> io::Result<Outcome> {
        let mut socket = self.join().await?;
        let number = self.chance.below(1 << 40);
        let event = format!(r#"42["bcast","{} {number}"]"#, self.nth);
        socket.send(&event).await?;
        loop {
            match socket.any_packet().await? {
                Packet::Text(text) if text == event => break,
                Packet::Text(ping) if ping == "2" => socket.send("3").await?,
                Packet::Text(_) => {}
                other => return Err(fault(format!("for a broadcast came {other:?}"))),
            }
        }
        socket.idle(self.stay * 2).await?;
        socket.close().await
    }

    /// Leaves the namespace and comes back, over and over; and joins rooms.
    async fn leave(&mut self) -> io::Result<Outcome> {
        let mut socket = self.join().await?;
        for nth in 0..10 {
            socket.send(&format!(r#"42["join","room {} {nth}"]"#, self.nth)).await?;
            socket.send("41").await?;
            socket.join().await?;
            socket.echo("back").await?;
            socket.idle(self.chance.about(self.stay / 20)).await?;
        }
        socket.send("41").await?;
        socket.close().await
    }

    async fn polling_idle(&mut self) -> io::Result<Outcome> {
        let mut session = self.join_by_polling().await?;
        session.echo("here I am").await?;
        for _ in 0..2 {
            loop {
                match session.any_packet().await? {
                    ping if ping == "2" => break session.post("3").await?,
                    packet if packet.starts_with(r#"42["bcast""#) => {}
                    packet => return Err(fault(format!("to an idle client came {packet}"))),
                }
            }
        }
        session.close().await
    }

    async fn polling_echo(&mut self) -> io::Result<Outcome> {
        const LENGTHS: [usize; 5] = [0, 100, 1000, 20_000, 200_000];
        let mut session = self.join_by_polling().await?;
        for _ in 0..10 {
            let len = *self.chance.of(if self.chance.clone().one_in(5) { &LENGTHS } else { &LENGTHS[..3] });
            let text = self.text(len);
            session.echo(&text).await?;
            tokio::time::sleep(self.chance.about(self.stay / 10)).await;
        }
        session.post("451-[\"bin\",{\"_placeholder\":true,\"num\":0}]\x1ebAQIDBA==").await?;
        session.expect(r#"451-["bin",{"_placeholder":true,"num":0}]"#).await?;
        session.expect("bAQIDBA==").await?;
        if self.chance.one_in(2) {
            return session.close().await;
        }
        // With a poll under way, which a client's own end has answered. A broadcast may be what it was answered with.
        let mut poll = session.park().await?;
        session.post("1").await?;
        match answer(&mut poll).await? {
            Response { status: 200, .. } => session.forgotten().await.map(|_| Outcome::Served),
            // It has come behind the end.
            Response { status: 400, body } if body.contains(r#""code":1"#) => Ok(Outcome::Served),
            other => Err(fault(format!("a poll beside the end was answered by {other:?}"))),
        }
    }

    async fn payload(&mut self) -> io::Result<Outcome> {
        let mut session = self.join_by_polling().await?;
        let events: Vec<_> = (0..1000).map(|nth| format!(r#"42["msg",{nth}]"#)).collect();
        session.post(&events.join("\x1e")).await?;
        for event in &events {
            session.expect(event).await?;
        }
        session.close().await
    }

    /// Goes over to a WebSocket as a client does.
    async fn upgrade(&mut self) -> io::Result<Outcome> {
        let mut session = self.join_by_polling().await?;
        session.echo("by polling").await?;
        let mut socket = self.probe(&session).await?;
        // Its poll is answered, so that it can go over.
        while session.any_packet().await? != "6" {}
        session.post(r#"42["msg","in between"]"#).await?;
        socket.send("5").await?;
        socket.expect(r#"42["msg","in between"]"#).await?;
        socket.echo("by WebSocket").await?;
        if let Response { status: 200, body } = session.get().await? {
            return Err(fault(format!("behind the upgrade, a poll was answered by {body}")));
        }
        socket.idle(self.chance.about(self.stay)).await?;
        socket.close().await
    }

    /// Tries a WebSocket for a session.
    pub async fn probe(&self, session: &Polling) -> io::Result<WebSocket> {
        let mut socket = WebSocket::probing(self.server, self.nth, &session.sid).await?;
        socket.send("2probe").await?;
        socket.expect("3probe").await?;
        Ok(socket)
    }

    /// Tries a WebSocket and never goes over to it: it is closed, and the session goes on.
    async fn half_upgrade(&mut self) -> io::Result<Outcome> {
        let mut session = self.join_by_polling().await?;
        let mut socket = self.probe(&session).await?;
        // Fetches pings meanwhile, and what releases its polls.
        let ((), end) = tokio::try_join!(
            async {
                let mut polls = 0;
                while polls < 40 {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    match session.any_packet().await? {
                        ping if ping == "2" => session.post("3").await?,
                        _ => polls += 1,
                    }
                }
                Ok(())
            },
            socket.end()
        )?;
        if end != Outcome::Closed(1005) {
            return Err(fault(format!("a WebSocket that was not gone over to saw \"{end}\"")));
        }
        self.goes_on(session).await
    }

    async fn wrong_probe(&mut self) -> io::Result<Outcome> {
        let session = self.join_by_polling().await?;
        let packet = *self.chance.of(&["2", "2prob", "4hello", "5", "3probe", "1", "", "x"]);
        let mut socket = WebSocket::probing(self.server, self.nth, &session.sid).await?;
        socket.send(packet).await?;
        let end = socket.end().await?;
        if end != Outcome::Closed(1005) {
            return Err(fault(format!("a WebSocket that began with {packet:?} saw \"{end}\"")));
        }
        self.goes_on(session).await
    }

    /// A second WebSocket does not hurt the first one.
    async fn second_websocket(&mut self) -> io::Result<Outcome> {
        let mut session = self.join_by_polling().await?;
        let mut socket = self.probe(&session).await?;
        let second = WebSocket::probing(self.server, self.nth, &session.sid).await?;
        second.end_as(Outcome::Closed(1005)).await?;
        while session.any_packet().await? != "6" {}
        socket.send("5").await?;
        socket.echo("the first").await?;
        let third = WebSocket::probing(self.server, self.nth, &session.sid).await?;
        third.end_as(Outcome::Closed(1005)).await?;
        socket.echo("still the first").await?;
        socket.close().await
    }

    /// A session that polls is still served.
    pub async fn goes_on(&self, mut session: Polling) -> io::Result<Outcome> {
        session.post(r#"42["msg","on"]"#).await?;
        loop {
            match session.packet().await?.as_str() {
                r#"42["msg","on"]"# => return session.close().await,
                // What released a poll while a WebSocket was tried.
                "6" => {}
                packet => return Err(fault(format!("in a session that goes on came {packet}"))),
            }
        }
    }

    async fn unknown_namespace(&mut self) -> io::Result<Outcome> {
        let mut socket = WebSocket::open(self.server, self.nth).await?;
        for nth in 0..10 {
            socket.send(&format!(r#"40/unknown {nth},{{"token":1}}"#)).await?;
            socket.expect(&format!(r#"44/unknown {nth},{{"message":"Invalid namespace"}}"#)).await?;
        }
        socket.join().await?;
        socket.echo("in the main namespace").await?;
        socket.peer.send(PING, b"alive?").await?;
        socket.send("40/unknown").await?;
        socket.expect(r#"44/unknown,{"message":"Invalid namespace"}"#).await?;
        socket.close().await
    }
}

/// A request that needs no session.
pub async fn once(visit: &Visit<'_>, method: &str, target: &str, body: Option<&str>) -> io::Result<Response> {
    let mut peer = crate::peer::Peer::connect(visit.server, visit.nth).await?;
    ask(&mut peer, method, target, body).await?;
    answer(&mut peer).await
}
