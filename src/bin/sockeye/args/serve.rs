use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::Size;

pub(super) const EXAMPLES: &str = "\
Examples:
  sockeye serve                                  echo on 127.0.0.1:9001
  sockeye serve :8080 --broadcast --static www   a chat, and its page
  sockeye serve --exec 'tail -f /var/log/syslog' a log for each who connects
  sockeye serve 0.0.0.0:443 --cert chain.pem --key key.pem
  sockeye serve --origin https://app.example.com

With --exec, the command is run by the shell for each connection: each line that it writes is sent as a text message,
and each message that comes is a line for it to read, or several if it has line ends in it; nothing of a client's is part of the command. It finds the
request in its environment, as CGI has it (RFC 3875): REQUEST_URI, PATH_INFO (as it was sent, not decoded),
QUERY_STRING, REMOTE_ADDR, REMOTE_PORT, HTTPS=on with --cert, and each header as HTTP_NAME, but for those with secrets
(Authorization) or a name that is not letters, digits and hyphens; and the subprotocol in WS_SUBPROTOCOL.
When it ends, the connection is closed, with 1000 if its status was 0 and with 1011 otherwise; when the connection
ends, its input ends, and it has 5 seconds before it is killed.

Ctrl-C, SIGTERM and SIGHUP end it: connections are closed with 1001 and have 10 seconds to end; a second one ends it
at once.

Exit status:
  0  it was asked to end
  2  wrong usage: an option, a file
  4  the network: it cannot listen
  130, 143, 129  Ctrl-C, SIGTERM, SIGHUP, where it did not end in order";

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("handling"))]
pub(crate) struct ServeArgs {
    /// Where to listen: HOST:PORT, :PORT or PORT; port 0 takes any that is free.
    #[arg(value_name = "ADDRESS", default_value = "127.0.0.1:9001", value_parser = address)]
    pub(crate) address: String,
    /// Send every message back (the default).
    #[arg(long, group = "handling")]
    echo: bool,
    /// Send every message to all others.
    #[arg(long, group = "handling")]
    broadcast: bool,
    /// Run a command for each connection.
    #[arg(long, value_name = "COMMAND", group = "handling")]
    exec: Option<String>,
    /// With --exec: raw bytes instead of lines, in binary messages.
    #[arg(short, long, requires = "exec")]
    pub(crate) binary: bool,
    /// Serve the files in this folder to browsers; index.html for a folder.
    #[arg(long = "static", value_name = "FOLDER")]
    pub(crate) files: Option<PathBuf>,
    /// Encrypt: the server's certificate and those that it depends on, in a PEM file.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// The certificate's key, in a PEM file.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// Let pages of this origin connect besides those of the same host; `any` lets in all.
    #[arg(short, long = "origin", value_name = "ORIGIN")]
    pub(crate) origins: Vec<String>,
    /// Let in only who gives this user and password by Basic authentication.
    #[arg(short, long, value_name = "USER:PASSWORD", env = "SOCKEYE_AUTH", hide_env_values = true)]
    pub(crate) auth: Option<String>,
    /// Agree to a subprotocol; the one that is liked best first.
    #[arg(short, long = "subprotocol", value_name = "NAME", value_delimiter = ',')]
    pub(crate) subprotocols: Vec<String>,
    /// Agree to permessage-deflate.
    #[arg(short = 'z', long)]
    pub(crate) compress: bool,
    /// Take no message that is larger.
    #[arg(long, value_name = "BYTES", default_value = "1M")]
    pub(crate) max_message: Size,
    /// Serve no more connections at once.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) max_connections: u32,
    /// Say nothing on the standard error but what went wrong.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// What becomes of the messages.
#[derive(Clone, Debug)]
pub(crate) enum Handling {
    Echo,
    Broadcast,
    Exec { command: String },
}

impl ServeArgs {
    pub(crate) fn handling(&self) -> Handling {
        match &self.exec {
            Some(command) => Handling::Exec { command: command.clone() },
            None if self.broadcast => Handling::Broadcast,
            None => Handling::Echo,
        }
    }
}

fn address(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    port.parse::<u16>().map_err(|_| format!("{port:?} is no port, an address is HOST:PORT, :PORT or PORT"))?;
    Ok(format!("{}:{port}", if host.is_empty() { "127.0.0.1" } else { host }))
}
