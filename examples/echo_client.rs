//! A client: sends the lines it is given, and prints what comes back.
//!
//! ```text
//! echo hello | cargo run --release --example echo_client -- ws://127.0.0.1:9001
//! ```
//!
//! A line that is not UTF-8 goes as a binary message. With `--echo` it answers every message with itself until the server
//! ends the connection. It exits with 0 only after a close with 1000, 1001 or no code.

use std::process::ExitCode;

use sockeye::{CloseCode, CloseFrame, DeflateConfig, Error, Message, WebSocket};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

const USAGE: &str = "usage: echo_client URL [--echo] [--deflate | --no-deflate] [--header 'NAME: VALUE']";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let (mut url, mut echo, mut deflate, mut headers) = (None, false, true, Vec::new());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--echo" => echo = true,
            "--deflate" => deflate = true,
            "--no-deflate" => deflate = false,
            "--header" => match args.next() {
                Some(header) if header.contains(':') => headers.push(header),
                _ => return fail(2, USAGE),
            },
            "--help" | "-h" => {
                println!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            other if !other.starts_with('-') && url.is_none() => url = Some(arg),
            _ => return fail(2, USAGE),
        }
    }
    let Some(url) = url else { return fail(2, USAGE) };
    match run(&url, echo, deflate, &headers).await {
        Ok(Some(close)) if !matches!(close.code, CloseCode::NORMAL | CloseCode::GOING_AWAY) => {
            fail(1, &printable(&format!("the server closed with {}: {}", close.code, close.reason)))
        }
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => fail(1, &printable(&error.to_string())),
    }
}

/// Gives what the server's Close said.
async fn run(url: &str, echo: bool, deflate: bool, headers: &[String]) -> Result<Option<CloseFrame>, Error> {
    let mut connect = sockeye::connect(url);
    for header in headers {
        let (name, value) = header.split_once(':').unwrap_or((header, ""));
        connect = connect.header(name.trim(), value.trim());
    }
    if deflate {
        connect = connect.deflate(DeflateConfig::default());
    }
    let mut ws = connect.await?;
    if echo {
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?;
        }
    } else {
        talk(&mut ws).await?;
    }
    Ok(ws.end().and_then(|end| end.close_frame().cloned()))
}

/// Sends lines and prints replies side by side; at the end of the input it waits for the replies that are owed.
async fn talk(ws: &mut WebSocket) -> Result<(), Error> {
    let mut lines = BufReader::new(stdin()).split(b'\n');
    let (mut input_ended, mut owed) = (false, 0u64);
    while !input_ended || owed > 0 {
        tokio::select! {
            line = lines.next_segment(), if !input_ended => match line? {
                Some(mut line) => {
                    line.truncate(line.strip_suffix(b"\r").map_or(line.len(), <[u8]>::len));
                    ws.send(String::from_utf8(line).map_or_else(|raw| Message::from(raw.into_bytes()), Message::from)).await?;
                    owed += 1;
                }
                None => input_ended = true,
            },
            message = ws.recv() => {
                let Some(message) = message? else { return Ok(()) };
                owed = owed.saturating_sub(1);
                print(&message);
            }
        }
    }
    ws.close(CloseCode::NORMAL, "").await
}

/// Control characters of a stranger have no business in a terminal.
fn printable(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\t', "\u{fffd}")
}

/// Prints a message on a line of its own.
fn print(message: &Message) {
    match message {
        Message::Text(text) => println!("{}", printable(text)),
        Message::Binary(bytes) => println!("binary, {} bytes", bytes.len()),
    }
}

fn fail(status: u8, complaint: &str) -> ExitCode {
    eprintln!("{complaint}");
    ExitCode::from(status)
}
