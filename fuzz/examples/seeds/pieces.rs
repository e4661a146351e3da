//! Seeds of the targets of one part: headers, text, Closes, DEFLATE, frames by their shape.

use sockeye_fuzz::{
    frames::{self, BINARY, CONTINUATION, FIN, PING, TEXT},
    zlib::{Class, Deflate},
};

use super::Seeds;

pub fn add(seeds: &mut Seeds) {
    headers(seeds);
    texts(seeds);
    closes(seeds);
    inflate(seeds);
    deflate(seeds);
    shapes(seeds);
}

fn headers(seeds: &mut Seeds) {
    for first in [FIN | TEXT, BINARY, FIN | CONTINUATION, FIN | PING, FIN | 8, FIN | 0x40 | TEXT] {
        for (len, key) in [(0, None), (125, Some([1, 2, 3, 4])), (126, None), (65_536, Some([0; 4]))] {
            let mut bytes = Vec::new();
            frames::header(first, len, key, &mut bytes);
            seeds.add("header", &format!("{first:02x}-{len}"), bytes);
        }
    }
    for (name, bytes) in [
        ("not-shortest-16", &b"\x82\x7e\x00\x7d"[..]),
        ("not-shortest-64", b"\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff"),
        ("top-bit", b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xfc\x01\x02\x03\x04"),
        ("largest", b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"),
        ("rsv2", b"\xa1\x00"),
        ("reserved", b"\x83\x00"),
        ("ping-long", b"\x89\x7e\x00\x7e"),
        ("ping-in-parts", b"\x09\x00"),
    ] {
        seeds.add("header", name, bytes);
    }
}

fn texts(seeds: &mut Seeds) {
    let texts: [&[u8]; 12] = [
        b"",
        b"Hello",
        "κόσμε, héllo, 𐍈𐍈𐍈, 日本語のテキスト".as_bytes(),
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
        b"\xf4\x8f\xbf\xbf\xf4\x90\x80\x80",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xed\xbf\xbf",
        b"abc\xe2\x82",
        b"\xf8\x88\x80\x80\x80",
        b"\xef\xbf\xbe\x80",
    ];
    for (number, text) in texts.into_iter().enumerate() {
        for (name, cuts) in [("", [0; 4]), ("-long", [30, 3, 255, 0])] {
            let front = if name.is_empty() { Vec::new() } else { "aé€𐍈".repeat(9).into_bytes() };
            seeds.add("utf8", &format!("{number:02}{name}"), [&cuts[..], &front, text].concat());
        }
    }
}

fn closes(seeds: &mut Seeds) {
    for code in [0, 999, 1000, 1003, 1004, 1005, 1006, 1007, 1014, 1015, 1016, 2999, 3000, 4999, 5000, 65_535] {
        seeds.add("close", &format!("{code}"), frames::close_payload(code, "reason"));
    }
    seeds.add("close", "empty", []);
    seeds.add("close", "one-byte", [3]);
    seeds.add("close", "long", frames::close_payload(1000, &"é".repeat(70)));
    seeds.add("close", "no-text", b"\x03\xe8\xed\xa0\x80".as_slice());
}

const TEXTS: [&[u8]; 4] = [
    b"Hello",
    b"a man, a plan, a canal: panama; a man, a plan, a canal: panama; a man, a plan",
    br#"{"id":1,"name":"x","tags":["a","b","c"]},{"id":2,"name":"y","tags":["a","b","c"]}"#,
    &[0; 2000],
];

fn inflate(seeds: &mut Seeds) {
    // The limit, the shape, the window, the cuts.
    let fronts = [[0xff, 0xff, 0, 0, 255, 255, 7, 0], [64, 0, 9, 200, 0, 0, 3, 90], [0xff, 0xff, 5, 0, 0, 0, 0, 0]];
    let mut add = |name: &str, payload: &[u8]| {
        for (number, front) in fronts.into_iter().enumerate() {
            seeds.add("inflate", &format!("{name}-{number}"), [&front[..], payload].concat());
        }
    };
    for (number, text) in TEXTS.into_iter().enumerate() {
        for strategy in [0, 2, 4] {
            let deflater = || Deflate::new(Class { level: 9, bits: 15, mem_level: 8, strategy });
            add(&format!("{number}-{strategy}"), &deflater().message(text));
            add(&format!("{number}-{strategy}-final"), &deflater().last_message(text));
        }
    }
    add("bomb", &Deflate::new(Class { level: 9, bits: 15, mem_level: 8, strategy: 0 }).message(&vec![0; 300_000]));
    add("stored", b"\x00\x05\x00\xfa\xffHello\x00");
    add("stored-final", b"\x01\x05\x00\xfa\xffHello");
    add("final-twice", b"\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00");
    add("type-3", b"\x07");
    add("too-far", b"\x4b\x04\x02\x00");
    add("empty", b"");
}

fn deflate(seeds: &mut Seeds) {
    let mut messages = Vec::new();
    for text in TEXTS {
        // The last one says its beginning again.
        messages.extend_from_slice(&(text.len() as u16).to_le_bytes());
        messages.extend_from_slice(text);
    }
    messages.extend_from_slice(&[0, 0]);
    messages.extend_from_slice(&30_000_u16.to_le_bytes());
    messages.extend_from_slice(b"again and ");
    for (number, (level, shape)) in [(1, 6), (6, 14), (9, 30), (0, 22), (1, 8), (3, 0x2e)].into_iter().enumerate() {
        let ways = [[0, 6, 4, 3], [7, 5, 0, 86], [4, 4, 1, 134]][number % 3];
        seeds.add("deflate", &format!("{number}"), [&[level, 7, shape], &ways[..], &messages].concat());
    }
}

fn shapes(seeds: &mut Seeds) {
    // Of each a 1, which says that it comes, its kind, its length, its key and what it is filled with.
    let shape = |kind: u8, len: u16, key: u8, fill: u8| {
        let [low, high] = len.to_le_bytes();
        [1, kind, low, high, key, key, 3, 4, fill]
    };
    let scripts: [&[[u8; 9]]; 6] = [
        &[shape(4, 5, 1, b'a'), shape(5, 126, 2, 0xff), shape(7, 125, 3, 0)],
        &[
            shape(0, 9, 0, b'x'),
            shape(7, 3, 7, b'p'),
            shape(0, 0, 1, b'y'),
            shape(4, 200, 9, b'z'),
            shape(31, 9, 0, b'c'),
        ],
        &[shape(1, 0, 0, 0), shape(1, 0, 0, 0), shape(5, 65_535, 0xff, 0x80), shape(31, 2, 3, 0)],
        &[shape(4, 10, 5, 0xc3), shape(4, 1, 1, 1)],
        &[shape(0xe4, 10, 5, b'a'), shape(0xe0, 3, 1, 1), shape(4, 1, 1, 1)],
        &[shape(4, 10, 5, b'a'), shape(0xff, 3, 1, 1)],
    ];
    for (number, script) in scripts.into_iter().enumerate() {
        for is_client in [0, 1] {
            let front = [is_client, 40, 255, 0, 9];
            let name = format!("{number}-{}", if is_client == 1 { "client" } else { "server" });
            seeds.add("frames", &name, [&front[..], script.as_flattened()].concat());
        }
    }
}
