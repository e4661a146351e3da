//! What we deflate, our inflater and C's zlib inflate to the same bytes, within the agreed window; what C's zlib
//! deflates, we inflate. Over many messages, with and without context takeover.
#![no_main]

use std::time::Instant;

use bytes::Bytes;
use libfuzzer_sys::{arbitrary, arbitrary::Arbitrary, fuzz_target};
use sockeye::{
    Compress, Kind, Message, PreparedMessage, Role,
    proto::connection::{Connection, DeflateSettings, Event, Inbox},
};
use sockeye_fuzz::{
    config, deflate_settings, endpoint,
    frames::{self, BINARY, FIN, Frame, RSV1},
    other,
    output::Inflater,
    puff,
    zlib::{Class, Deflate, TAIL},
};

/// More is not deflated in one run, so that none takes long. A message alone may take twice the largest window.
const MAX_TOTAL: usize = 30_000;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    level: u8,
    mem_level: u8,
    /// Bits 0 to 2: the window; 3: context takeover; 4: who sends; 5 to 7: zlib's strategy.
    shape: u8,
    /// How each message is sent, again and again.
    ways: [u8; 4],
    /// The messages: a length of two bytes before each.
    messages: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let bits = 9 + input.shape % 7;
    let takeover = input.shape & 8 != 0;
    let role = if input.shape & 16 != 0 { Role::Client } else { Role::Server };
    let mut settings = deflate_settings([bits; 2], [takeover; 2]);
    settings.config.level = input.level % 10;
    settings.config.mem_level = 1 + input.mem_level % 9;
    settings.config.check().expect("all is in its range");
    let mut pair = Pair::new(role, &settings);
    let class =
        Class { level: input.level % 10, bits, mem_level: 1 + input.mem_level % 9, strategy: (input.shape >> 5) % 5 };
    let mut deflater = Deflate::new(class);
    for (message, way) in messages(input.messages).into_iter().zip(input.ways.into_iter().cycle()) {
        pair.say(&message, way);
        pair.hear(&message, &deflater.message(&message));
        if !takeover {
            deflater = Deflate::new(class);
        }
    }
    pair.check_window();
    // A final block may end any message (RFC 7692 §7.2.3.4).
    let last = b"the last message, the last message";
    pair.hear(last, &Deflate::new(class).last_message(last));
});

/// Cuts the messages out; a length over what is there repeats it.
fn messages(mut input: &[u8]) -> Vec<Vec<u8>> {
    let (mut messages, mut total) = (Vec::new(), 0);
    while let Some((len, rest)) = input.split_first_chunk() {
        let len = usize::from(u16::from_le_bytes(*len));
        let (text, rest) = rest.split_at(len.min(rest.len()));
        let repeated = if text.is_empty() { 0 } else { len };
        messages.push(text.iter().copied().cycle().take(repeated).collect::<Vec<u8>>());
        input = rest;
        total += repeated;
        if total > MAX_TOTAL {
            break;
        }
    }
    messages
}

/// An endpoint, its peer of our making, and its peer of zlib's.
struct Pair {
    role: Role,
    from: Connection,
    to: Connection,
    inbox: Inbox,
    zlib: Inflater,
    /// All that was deflated, as one stream.
    stream: Vec<u8>,
    window: usize,
    now: Instant,
}

impl Pair {
    fn new(role: Role, settings: &DeflateSettings) -> Self {
        let now = Instant::now();
        let open = |role| endpoint(config(role, 1 << 20), role, Some(settings), now);
        Self {
            role,
            from: open(role),
            to: open(other(role)),
            inbox: Inbox::new(),
            zlib: Inflater::of_peer(role, settings),
            stream: Vec::new(),
            window: 1 << settings.agreed.server_max_window_bits,
            now,
        }
    }

    /// Has the endpoint send a message in one of several ways, and the peers hear it.
    fn say(&mut self, message: &[u8], way: u8) {
        let payload = Bytes::copy_from_slice(message);
        let sent = match way % 8 {
            0..=2 => self.from.send_with(&Message::Binary(payload), Compress::Always),
            3 => self.from.send(&Message::Binary(payload)),
            4 => self.from.send_prepared(&PreparedMessage::new(payload)),
            5 => self.from.send_with(&Message::Binary(payload), Compress::Never),
            _ => self.in_parts(&payload, way),
        };
        assert_eq!(sent, Ok(()));
        let out = self.from.take_output();
        self.check(&out, message);
        self.inbox.extend(&out);
        assert_eq!(self.to.receive(&mut self.inbox, self.now), Ok(Some(Event::Message(message.into()))));
    }

    fn in_parts(&mut self, payload: &Bytes, way: u8) -> Result<(), sockeye::proto::connection::SendError> {
        self.from.begin(Kind::Binary, Compress::Auto)?;
        let cut = payload.len() * usize::from(way >> 3) / 32;
        self.from.part(&payload.slice(..cut), false)?;
        self.from.part(&payload.slice(cut..), way & 1 == 0)?;
        if way & 1 == 0 { Ok(()) } else { self.from.part(&Bytes::new(), true) }
    }

    /// Has zlib inflate the frames.
    fn check(&mut self, mut out: &[u8], message: &[u8]) {
        let (mut heard, mut compressed) = (Vec::new(), false);
        while let Some((frame, _, len)) = frames::read(self.role, out) {
            out = &out[len..];
            compressed |= frame.rsv1();
            if !compressed {
                heard.extend_from_slice(&frame.payload);
                continue;
            }
            self.stream.extend_from_slice(&frame.payload);
            if frame.fin() {
                self.stream.extend_from_slice(&TAIL);
            }
            heard.extend(self.zlib.inflate(&frame.payload, frame.fin()));
        }
        assert!(out.is_empty() && heard == message, "{heard:x?}, not {message:x?}");
    }

    fn check_window(&self) {
        let farthest = puff::farthest(&self.stream);
        assert!(farthest <= self.window, "looks back {farthest} bytes");
    }

    /// Has the endpoint hear what zlib deflated.
    fn hear(&mut self, message: &[u8], payload: &[u8]) {
        let mut bytes = Vec::new();
        Frame::new(FIN | RSV1 | BINARY, payload).sent_by(other(self.role), &mut bytes);
        self.inbox.extend(&bytes);
        assert_eq!(self.from.receive(&mut self.inbox, self.now), Ok(Some(Event::Message(message.into()))));
    }
}
