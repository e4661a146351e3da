//! What the examples of Socket.IO have in common: their options, and how those with a page are served.
#![allow(dead_code, reason = "each example uses its own part")]

use std::{io, path::PathBuf, process::exit};

use axum::{Router, response::Html, routing::get};
use sockeye::socketio::{Config, Server};
use tokio::net::TcpListener;

/// Where `npm ci` in `tests/interop` puts the client.
const CLIENT: &str = "tests/interop/node_modules/socket.io-client/dist";

pub(crate) struct Options {
    port: u16,
    client: PathBuf,
    flags: Vec<String>,
}

/// Reads the command line, on which these flags may stand, or says what may.
pub(crate) fn options(flags: &[&str]) -> Options {
    let mut options = Options { port: 3000, client: CLIENT.into(), flags: Vec::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| usage(flags, &format!("{argument} needs a value")));
        match argument.as_str() {
            "--port" => {
                options.port = value().parse().unwrap_or_else(|_| usage(flags, "--port needs a number up to 65535"))
            }
            "--client" => options.client = value().into(),
            flag if flags.contains(&flag) => options.flags.push(argument),
            "--help" | "-h" => usage(flags, ""),
            other => usage(flags, &format!("unknown option {other}")),
        }
    }
    options
}

/// One thread that runs everything on the spot where there is one core, and one for each where there are more.
pub(crate) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    match std::thread::available_parallelism() {
        Ok(cores) if cores.get() > 1 => tokio::runtime::Builder::new_multi_thread().enable_all().build(),
        _ => tokio::runtime::Builder::new_current_thread().enable_all().build(),
    }
}

fn usage(flags: &[&str], complaint: &str) -> ! {
    let flags: String = flags.iter().map(|flag| format!(" [{flag}]")).collect();
    eprintln!("{complaint}\noptions: [--port N] [--client DIR]{flags}");
    exit(if complaint.is_empty() { 0 } else { 2 });
}

impl Options {
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| given == flag)
    }

    /// Listens on this machine alone, and says where; port 0 is any that is free.
    pub(crate) async fn listener(&self) -> io::Result<TcpListener> {
        let address = ("127.0.0.1", self.port);
        let listener = TcpListener::bind(address).await.unwrap_or_else(|error| {
            eprintln!("127.0.0.1:{}: {error}", self.port);
            exit(1);
        });
        println!("listening on http://{}", listener.local_addr()?);
        Ok(listener)
    }

    /// A server's configuration, with the scripts for its page.
    pub(crate) fn config(&self) -> Config {
        Config::new().serve_client(&self.client).unwrap_or_else(|error| {
            let directory = self.client.display();
            eprintln!(
                "{directory}: {error}\n`npm ci --prefix tests/interop` brings them; or `npm install socket.io-client` \
                 somewhere, and name its `dist` with --client"
            );
            exit(1);
        })
    }

    /// Serves a page, whatever else there is, and Socket.IO, until Ctrl-C; then clients are told to come back later.
    pub(crate) async fn serve(&self, page: &'static str, routes: Router, io: Server) -> io::Result<()> {
        let app = routes.route("/", get(move || async move { Html(page) })).layer(io.layer());
        let ended = async move {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await; // without signals, nobody can end it this way
            }
            io.close();
        };
        axum::serve(self.listener().await?, app).with_graceful_shutdown(ended).await
    }
}
