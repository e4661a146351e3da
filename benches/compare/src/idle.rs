//! The memory of idle connections.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use crate::{
    payload::Kind,
    sample::Sample,
    server::Server,
    wire::{self, Opcode},
};

const PAYLOAD: usize = 1000;

/// The bytes of memory of the server for each of `count` connections, once each has had one message of 1 kB echoed.
///
/// # Errors
///
/// A server that answers wrongly or not at all.
pub fn memory(server: &Server, raw: bool, count: usize) -> io::Result<Sample> {
    // What is made once is not to be counted.
    drop(visit(server, raw)?);
    thread::sleep(Duration::from_millis(100));
    let before = server.process.resident()?;
    let connections = (0..count).map(|_| visit(server, raw)).collect::<io::Result<Vec<_>>>()?;
    thread::sleep(Duration::from_millis(300));
    let after = server.process.resident()?;
    drop(connections);
    Ok(Sample::of_memory(after.saturating_sub(before) as f64 / count as f64))
}

fn visit(server: &Server, raw: bool) -> io::Result<TcpStream> {
    let payload = Kind::Binary.payload(PAYLOAD, 0);
    let (mut request, mut expected) = (vec![], vec![]);
    wire::put_masked(&mut request, 0x80, Opcode::Binary, &payload, [0x37, 0xfa, 0x21, 0x3d]);
    let mut io = if raw {
        expected.clone_from(&request);
        wire::connect_raw(server.address)?
    } else {
        wire::put_header(&mut expected, 0x80, Opcode::Binary, payload.len(), None);
        expected.extend(payload);
        wire::connect(server.address, None)?.0
    };
    io.write_all(&request)?;
    let mut reply = vec![0; expected.len()];
    io.read_exact(&mut reply)?;
    if reply == expected { Ok(io) } else { Err(io::Error::other("the reply differs")) }
}
