//! The verdict on a request or a response does not depend on how its bytes are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sockeye::proto::{
    Limits,
    handshake::{Accept, ClientHandshake, ClientRequest, ServerHandshake},
};

fuzz_target!(|input: (bool, u8, Vec<u8>)| {
    let (server, cut, bytes) = input;
    let judge = if server { judge_request } else { judge_response };
    let whole = judge(&bytes, bytes.len().max(1));
    let cut = judge(&bytes, usize::from(cut).max(1));
    assert_eq!(whole, cut);
});

fn judge_request(bytes: &[u8], cut: usize) -> String {
    let mut handshake = ServerHandshake::new(Limits::internet());
    for piece in bytes.chunks(cut) {
        match handshake.receive(piece) {
            Ok((_, None)) => {}
            Ok((_, Some(request))) => return format!("{:?}", request.accept(&Accept::default())),
            Err(refusal) => return format!("{refusal:?}"),
        }
    }
    "more".into()
}

fn judge_response(bytes: &[u8], cut: usize) -> String {
    let request = ClientRequest::new("ws://localhost/".parse().expect("a valid URL"));
    let (mut handshake, _) =
        ClientHandshake::new(&request, [7; 16], Limits::internet(), 1024).expect("a valid request");
    for piece in bytes.chunks(cut) {
        match handshake.receive(piece) {
            Ok((_, None)) => {}
            Ok((_, Some(accepted))) => return format!("{accepted:?}"),
            Err(error) => return format!("{error:?}"),
        }
    }
    format!("{:?}", handshake.receive_eof())
}
