//! The opening handshake of either end, from the request to the response.

use divan::Bencher;
use sockeye::{
    DeflateConfig, Limits,
    proto::handshake::{Accept, ClientHandshake, ClientRequest, ServerHandshake},
};

/// What a browser sends, without a cookie.
const REQUEST: &[u8] = b"GET /chat?room=7 HTTP/1.1\r\n\
    Host: chat.example.com\r\n\
    Connection: Upgrade\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
    Upgrade: websocket\r\n\
    Origin: https://chat.example.com\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

/// §1.3: the nonce whose key is the one above.
const NONCE: [u8; 16] = *b"the sample nonce";

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Deflate {
    Declined,
    Agreed,
}

fn accept(deflate: Deflate) -> Accept {
    Accept { deflate: (deflate == Deflate::Agreed).then(DeflateConfig::default), ..Accept::default() }
}

#[divan::bench(args = [Deflate::Declined, Deflate::Agreed], sample_size = 8)]
fn server(bencher: Bencher<'_, '_>, deflate: Deflate) {
    let accept = accept(deflate);
    bencher.bench_local(|| {
        let mut handshake = ServerHandshake::new(Limits::internet());
        let (_, request) = handshake.receive(divan::black_box(REQUEST)).expect("the request is right");
        divan::black_box_drop(request.expect("it is whole").accept(&accept).expect("it is an upgrade"));
    });
}

#[divan::bench(args = [Deflate::Declined, Deflate::Agreed], sample_size = 8)]
fn client(bencher: Bencher<'_, '_>, deflate: Deflate) {
    let (_, request) = ServerHandshake::new(Limits::internet()).receive(REQUEST).expect("the request is right");
    let (response, _) = request.expect("it is whole").accept(&accept(deflate)).expect("it is an upgrade");
    let mut request = ClientRequest::new("ws://chat.example.com/chat?room=7".parse().expect("a WebSocket URI"));
    request.headers.push("Origin", "https://chat.example.com").expect("a valid header");
    request.deflate = Some(DeflateConfig::default());
    bencher.bench_local(|| {
        let (mut handshake, sent) =
            ClientHandshake::new(&request, NONCE, Limits::internet(), 64 * 1024).expect("the request is right");
        divan::black_box(sent);
        let (_, accepted) = handshake.receive(divan::black_box(&response)).expect("the response is right");
        divan::black_box_drop(accepted.expect("it is whole"));
    });
}
