//! The memory of idle connections.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use crate::{load::Dialect, payload::Kind, sample::Sample, script::Shape, server::Server};

const SHAPE: Shape = Shape { connections: 1, in_flight: 1, payload: 1000, kind: Kind::Json };

/// The bytes of memory of the server for each of `count` connections, once each has had one message of 1 kB echoed.
///
/// # Errors
///
/// A server that answers wrongly or not at all.
pub fn memory(server: &Server, dialect: Dialect, count: usize) -> io::Result<Sample> {
    // What is made once is not to be counted.
    drop(visit(server, dialect)?);
    thread::sleep(Duration::from_millis(100));
    let before = server.process.resident()?;
    let connections = (0..count).map(|_| visit(server, dialect)).collect::<io::Result<Vec<_>>>()?;
    thread::sleep(Duration::from_millis(300));
    let after = server.process.resident()?;
    drop(connections);
    Ok(Sample::of_memory(after.saturating_sub(before) as f64 / count as f64))
}

fn visit(server: &Server, dialect: Dialect) -> io::Result<TcpStream> {
    let (mut io, agreed) = dialect.connect(server.address)?;
    let (requests, mut replies) = dialect.script(SHAPE, 0, agreed);
    io.write_all(&requests.bytes[..requests.ends[0]])?;
    let mut some = [0; 4096];
    loop {
        match io.read(&mut some)? {
            0 => return Err(io::Error::other("the server has hung up")),
            n if replies.receive(&some[..n]).map_err(io::Error::other)? > 0 => return Ok(io),
            _ => {}
        }
    }
}
