//! The options that the example servers have in common.

use std::{io, process::exit};

use sockeye::{DeflateConfig, proto::handshake::Origin};

pub(crate) struct Options {
    pub listen: String,
    pub threads: usize,
    pub deflate: Option<DeflateConfig>,
    pub max_message: usize,
    pub max_connections: u32,
    pub origin: Origin,
}

/// Reads the command line of the server `name`, or says how it is to be used.
pub(crate) fn server(name: &str) -> Options {
    let deflate = Some(DeflateConfig::default());
    let mut options = Options {
        listen: "127.0.0.1:9001".into(),
        threads: 1,
        deflate,
        max_message: 1 << 20,
        max_connections: 16 * 1024,
        origin: Origin::same_host(),
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().unwrap_or_else(|| usage(name, &format!("{arg} needs a value")));
        match arg.as_str() {
            "--listen" => options.listen = value(),
            "--threads" => options.threads = number(name, &value()),
            "--max-message" => options.max_message = number(name, &value()),
            "--max-connections" => options.max_connections = u32::try_from(number(name, &value())).unwrap_or(u32::MAX),
            "--any-origin" => options.origin = Origin::any(),
            "--no-deflate" => options.deflate = None,
            "--shared-deflate" => options.deflate = Some(DeflateConfig::shared()),
            "--help" | "-h" => usage(name, ""),
            other => usage(name, &format!("unknown option {other}")),
        }
    }
    options
}

fn number(name: &str, value: &str) -> usize {
    match value.parse() {
        Ok(number) if number > 0 => number,
        _ => usage(name, &format!("{value} is not a positive number")),
    }
}

fn usage(name: &str, complaint: &str) -> ! {
    let usage = format!(
        "usage: {name} [--listen HOST:PORT] [--threads N] [--no-deflate | --shared-deflate] [--max-message BYTES]\n\
         \x20      [--max-connections N] [--any-origin]"
    );
    if complaint.is_empty() {
        println!("{usage}");
        exit(0);
    }
    eprintln!("{name}: {complaint}\n{usage}");
    exit(2);
}

impl Options {
    /// One thread runs everything on the spot; more of them share the connections.
    pub(crate) fn runtime(&self) -> io::Result<tokio::runtime::Runtime> {
        match self.threads {
            1 => tokio::runtime::Builder::new_current_thread().enable_all().build(),
            threads => tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build(),
        }
    }

    pub(crate) fn cannot_listen(&self, error: &io::Error) -> ! {
        eprintln!("cannot listen on {}: {error}", self.listen);
        exit(1);
    }
}
