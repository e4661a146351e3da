//! The core without tokio: an echo server on blocking `std::net`, one thread a connection.
//!
//! ```text
//! cargo run --no-default-features --example sans_io -- 127.0.0.1:9001
//! ```

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    time::Instant,
};

use sockeye::{
    Config, Limits, Role,
    proto::{
        connection::{Connection, Event, Inbox},
        handshake::{Accept, AcceptError, Refusal, Response, ServerHandshake},
    },
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let listen = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".into());
    let listener = TcpListener::bind(listen)?;
    println!("listening on ws://{}", listener.local_addr()?);
    for tcp in listener.incoming() {
        let tcp = tcp?;
        std::thread::spawn(move || {
            if let Err(error) = serve(tcp) {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

fn serve(mut tcp: TcpStream) -> Result<()> {
    let mut inbox = Inbox::new();
    handshake(&mut tcp, &mut inbox)?;
    let mut connection = Connection::server(Config::new(Role::Server), None, Instant::now());
    loop {
        // Bytes in, events out, commands in ...
        while let Some(event) = connection.receive(&mut inbox, Instant::now()).unwrap_or(None) {
            if let Event::Message(message) = event {
                connection.send(&message)?;
            }
        }
        // ... bytes out: the replies to everything that one read brought.
        tcp.write_all(&connection.take_output())?;
        if let Some(end) = connection.end() {
            tcp.shutdown(Shutdown::Write)?;
            println!("{end:?}");
            return Ok(());
        }
        match tcp.read(inbox.spare())? {
            0 => connection.receive_eof(),
            read => inbox.filled(read),
        }
    }
}

/// Answers the request for an upgrade; what is behind it goes into the inbox.
fn handshake(tcp: &mut TcpStream, inbox: &mut Inbox) -> Result<()> {
    let mut handshake = ServerHandshake::new(Limits::internet());
    let mut buffer = [0; 4096];
    loop {
        let read = tcp.read(&mut buffer)?;
        if read == 0 {
            return Err("the client left before it had asked".into());
        }
        let accepted = match handshake.receive(&buffer[..read]) {
            Ok((_, None)) => continue,
            Ok((consumed, Some(request))) => {
                inbox.extend(&buffer[consumed..read]);
                request.accept(&Accept::default())
            }
            Err(refusal) => Err(AcceptError::Refusal(refusal)),
        };
        return match accepted {
            Ok((response, _agreed)) => Ok(tcp.write_all(&response)?),
            Err(AcceptError::Refusal(refusal)) => refuse(tcp, &refusal),
            Err(error) => Err(error.into()),
        };
    }
}

fn refuse(tcp: &mut TcpStream, refusal: &Refusal) -> Result<()> {
    tcp.write_all(&Response::from(refusal).encode())?;
    Err(refusal.to_string().into())
}
