//! Seeds of the targets that read or write HTTP.

use super::Seeds;

/// How a head is cut.
const CUTS: [u8; 4] = [255, 20, 0, 60];

pub fn add(seeds: &mut Seeds) {
    for (name, head) in REQUESTS {
        seeds.add("request", name, [&CUTS[..], wire(head).as_bytes()].concat());
    }
    for (name, asks, response) in RESPONSES {
        seeds.add("response", name, [&[asks], &CUTS[..], wire(response).as_bytes()].concat());
    }
    for (number, lines) in EXTENSIONS.into_iter().enumerate() {
        let settings = [[0, 0x66, 0, 0x66], [3, 0x12, 0, 0x60]][number % 2];
        seeds.add("extensions", &format!("{number:02}"), [&settings[..], lines.as_bytes()].concat());
    }
    for (number, lines) in HANDSHAKES.into_iter().enumerate() {
        let settings = [[4, 0x77, 6, 4, 0x57, 1], [5, 0x35, 6, 6, 0x77, 1], [0, 0, 0, 4, 0x77, 1]][number % 3];
        seeds.add("handshake", &format!("{number:02}"), [&settings[..], &CUTS, lines.as_bytes()].concat());
    }
    for (number, uri) in URIS.into_iter().enumerate() {
        seeds.add("uri", &format!("{number:02}"), uri);
    }
}

/// Written with LF, sent with CR LF.
fn wire(head: &str) -> String {
    head.replace('\n', "\r\n")
}

const REQUESTS: [(&str, &str); 13] = [
    (
        "rfc6455-1.2",
        "GET /chat HTTP/1.1\nHost: server.example.com\nUpgrade: websocket\nConnection: Upgrade\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nOrigin: http://example.com\n\
         Sec-WebSocket-Protocol: chat, superchat\nSec-WebSocket-Version: 13\n\n",
    ),
    (
        "chromium",
        "GET /socket?room=1 HTTP/1.1\nHost: localhost:9001\nConnection: Upgrade\nPragma: no-cache\n\
         Cache-Control: no-cache\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
         Chrome/138.0.0.0 Safari/537.36\nUpgrade: websocket\nOrigin: http://localhost:8080\n\
         Sec-WebSocket-Version: 13\nAccept-Encoding: gzip, deflate, br, zstd\nAccept-Language: en-US,en;q=0.9\n\
         Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\n\n",
    ),
    (
        "firefox",
        "GET / HTTP/1.1\nHost: 127.0.0.1:9001\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 \
         Firefox/140.0\nAccept: */*\nAccept-Language: en-US,en;q=0.5\nAccept-Encoding: gzip, deflate, br, zstd\n\
         Sec-WebSocket-Version: 13\nOrigin: null\nSec-WebSocket-Extensions: permessage-deflate\n\
         Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==\nConnection: keep-alive, Upgrade\nPragma: no-cache\n\
         Cache-Control: no-cache\nUpgrade: websocket\n\n",
    ),
    (
        "node-ws",
        "GET / HTTP/1.1\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\
         Connection: Upgrade\nUpgrade: websocket\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\nHost: localhost:8080\n\n",
    ),
    (
        "python-websockets",
        "GET /feed HTTP/1.1\nHost: localhost:8765\nUpgrade: websocket\nConnection: Upgrade\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\n\
         User-Agent: Python/3.11 websockets/15.0\n\n\u{1}frames",
    ),
    (
        "autobahn",
        "GET /runCase?case=1&agent=x HTTP/1.1\nUser-Agent: AutobahnTestSuite/25.10.1-0.10.9\n\
         Host: 127.0.0.1:9001\nUpgrade: WebSocket\nConnection: Upgrade\nPragma: no-cache\nCache-Control: no-cache\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Extensions: permessage-deflate; \
         client_no_context_takeover; client_max_window_bits, permessage-deflate\nSec-WebSocket-Version: 13\n\n",
    ),
    (
        "absolute",
        "\nGET http://b:81/x?y HTTP/1.1\nhost: b:81\nUPGRADE: h2c, websocket\nconnection: close , upgrade\n\
         sec-websocket-key:dGhlIHNhbXBsZSBub25jZQ==\nsec-websocket-version:13\ncontent-length: 0\n\n",
    ),
    ("plain", "GET /index.html HTTP/1.1\nHost: [::1]:80\n\n"),
    ("http10", "GET / HTTP/1.0\nUpgrade: websocket\n\n"),
    ("post", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nUpgrade: websocket\n\n0\n\n"),
    (
        "hixie-76",
        "GET /demo HTTP/1.1\nHost: example.com\nConnection: Upgrade\nSec-WebSocket-Key2: 12998 5 Y3 1  .P00\n\
         Upgrade: WebSocket\nSec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\nOrigin: http://example.com\n\n^n:ds[4U",
    ),
    ("folded", "GET / HTTP/1.1\nHost: a\n b\n\n"),
    ("no-http", "\u{16}\u{3}\u{1}\u{2}"),
];

const RESPONSES: [(&str, u8, &str); 11] = [
    (
        "101",
        0,
        "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n\n\u{2}\u{1}x",
    ),
    (
        "101-all",
        3,
        "HTTP/1.1 101 Web Socket Protocol Handshake\nupgrade: WebSocket\nconnection: keep-alive, upgrade\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\nSec-WebSocket-Protocol: v1\n\
         Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_max_window_bits=12\n\
         Server: x\n\n",
    ),
    (
        "101-asked",
        31,
        "HTTP/1.1 101 \nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n\
         Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; server_max_window_bits=\"11\"\n\n",
    ),
    (
        "101-unasked",
        0,
        "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\nSec-WebSocket-Protocol: chat\n\n",
    ),
    (
        "101-wrong",
        0,
        "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\n\
         Sec-WebSocket-Accept: AAAALMBiTxaQ9kYGzzhZRbK+xOo=\n\n",
    ),
    (
        "103-101",
        0,
        "HTTP/1.1 103 Early Hints\nLink: </x>\n\nHTTP/1.1 101 Switching Protocols\nUpgrade: websocket\n\
         Connection: Upgrade\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n\n",
    ),
    ("403-length", 0, "HTTP/1.1 403 Forbidden\nContent-Length: 11\nConnection: close\n\nnot for you"),
    ("200-chunked", 0, "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5;a=b\nhello\n0A\n, everyone\n0\n\n"),
    ("302-eof", 0, "HTTP/1.0 302 Found\nLocation: ws://other/\n\ngo there"),
    ("204", 0, "HTTP/1.1 204 No Content\n\n"),
    ("100-often", 0, "HTTP/1.1 100 Continue\n\nHTTP/1.1 100 Continue\n\nHTTP/1.1 100 Continue\n\nHTTP/1.1 500 No\n\n"),
];

const EXTENSIONS: [&str; 22] = [
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; client_max_window_bits=10; server_max_window_bits=\"12\"",
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    "permessage-deflate; client_max_window_bits; server_max_window_bits=8, permessage-deflate",
    "permessage-deflate; server_max_window_bits=9\nx-webkit-deflate-frame, permessage-deflate",
    "permessage-deflate; client_max_window_bits=8",
    "permessage-deflate; client_max_window_bits=16",
    "permessage-deflate; client_max_window_bits=08",
    "permessage-deflate; server_max_window_bits",
    "permessage-deflate; server_max_window_bits=",
    "permessage-deflate; server_no_context_takeover=1",
    "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    "permessage-deflate; unknown",
    "permessage-bzip2; level=9 , ,permessage-deflate",
    "foo; a=\"b\\c\"; d , bar;e = f\t",
    "a; b=\"unclosed\\",
    "a; b=\"c\" d",
    "a;;b",
    ",",
    "",
    "__proto__; constructor=1",
];

const HANDSHAKES: [&str; 7] = [
    "",
    "pchat\npsuperchat\nPchat\nhOrigin:http://example.com\nHServer:x",
    "uwss://user:pw@[::1]:9001/a?b=c\nhUser-Agent:sockeye\nhCookie:a=b\nHSet-Cookie:a=b",
    "hHost:other:81\nuws://example.com/%20",
    "pa\npa\nPb",
    "hUpgrade:h2c\nhSec-WebSocket-Key:x\nHConnection:close",
    "hX:a\tb\nhY: padded\nhBad Name:x\nhOrigin:\u{e9}\nHX:\u{e9}",
];

const URIS: [&str; 17] = [
    "ws://a",
    "wss://A.example/",
    "wss://a:80/x?y=/?",
    "ws://a:/",
    "ws://127.0.0.1:9001?q",
    "ws://[2001:DB8::1]:443/a%20b",
    "WS://me:secret@a/x",
    "ws://a@b@c/",
    "http://a",
    "ws://a/#x",
    "ws://\u{e9}/",
    "ws://a/%2",
    "ws://a:65536/",
    "ws://a:0/",
    "ws:///x",
    "ws://[::1",
    "ws://a/\r\nX: y",
];
