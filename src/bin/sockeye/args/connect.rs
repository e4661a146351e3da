use std::{path::PathBuf, time::Duration};

use clap::Args;
use sockeye::CloseCode;

use super::{Expectation, Seconds, Size};

pub(super) const EXAMPLES: &str = "\
At the prompt, a line is a text message; /help lists the commands; Ctrl-D closes.

In a pipe, each line of the standard input is a text message, and each message that comes is a line of the
standard output, exactly as it came; everything else is said on the standard error. At the end of the input,
the tool waits until the server has answered a Ping, as then it has everything, and until nothing has come for
--wait seconds; then it closes. What comes until the server has closed too is still printed.

With --reconnect, attempts are made for ever, half a second to 30 s apart. Each loss and each new connection is said
on the standard error, as an event with --json. What is to be sent waits for a connection; what was sent and not
answered may be lost with one. It ends when the server closes with 1000 or refuses with a status below 500, when its
certificate is not trusted, and behind the end of the input with the connection, even if that is lost; the exit status
is the last connection's.

Examples:
  sockeye connect wss://example.com/chat
  sockeye connect :9001 -H 'X-Room: 7' --subprotocol chat.v2 --auth me:secret
  echo hello | sockeye connect ws://localhost:9001
  sockeye connect :9001 -m hello --one                  one question, one answer
  sockeye connect :9001 -n </dev/null >log              listen until the server closes
  sockeye connect :9001 --binary <in.bin >out.bin       raw bytes, nothing between them
  sockeye connect :9001 -m ping --expect pong --timeout 5 && echo up
  sockeye connect :9001 --json -n | jq 'select(.event == \"message\")'
  sockeye connect :9001 --ping-interval 1 --frames
  sockeye connect :9001 --reconnect --ping-timeout 20 -n </dev/null >log

Exit status:
  0  closed with 1000, 1001 or no code, or as asked for
  1  closed with another code, the server broke the protocol, or what was expected did not come
  2  wrong usage: an option, a URL, a file, input that is no text
  3  the server refused the handshake: its status and body are shown
  4  the network: not reached, not trusted, or lost, be it that the server ends without an answer to our Close
  5  a time limit: --timeout, --connect-timeout, --ping-timeout, or 10 seconds for the answer to our Close
  130, 143, 129  Ctrl-C, SIGTERM, SIGHUP: a Close with 1001 is sent, and whatever is stuck is left behind after
                 3 seconds, or at once at the second Ctrl-C";

#[derive(Args, Debug)]
pub(crate) struct ConnectArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) ending: EndingArgs,
}

/// Whom to connect to, and how.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// ws://, wss:// or ws+unix:/socket:/path; without a scheme it is ws://, and `:9001` is on this machine.
    pub(crate) url: String,
    /// Add a header to the request: 'NAME: VALUE'.
    #[arg(short = 'H', long = "header", value_name = "HEADER", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,
    /// Offer a subprotocol; the one that is liked best first.
    #[arg(short, long = "subprotocol", value_name = "NAME", value_delimiter = ',')]
    pub(crate) subprotocols: Vec<String>,
    /// Say which page it comes from, as browsers do.
    #[arg(short, long, value_name = "ORIGIN")]
    pub(crate) origin: Option<String>,
    /// Say who you are, by Basic authentication; better in the environment, where `ps` does not show it.
    #[arg(short, long, value_name = "USER:PASSWORD", env = "SOCKEYE_AUTH", hide_env_values = true)]
    pub(crate) auth: Option<String>,
    /// Take any certificate: whoever sits on the wire can read and change everything.
    #[arg(short = 'k', long)]
    pub(crate) insecure: bool,
    /// Trust the certificates in this PEM file, and no others.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub(crate) cacert: Option<PathBuf>,
    /// Go through this proxy (http://, https://, socks5://), or through `none` [default: as HTTP_PROXY and so on say].
    #[arg(short = 'x', long, value_name = "URL")]
    pub(crate) proxy: Option<String>,
    /// Follow so many redirects.
    #[arg(short = 'L', long, value_name = "N", default_value_t = 0, default_missing_value = "10", num_args = 0..=1, require_equals = true)]
    pub(crate) redirects: u8,
    /// Offer permessage-deflate.
    #[arg(short = 'z', long)]
    pub(crate) compress: bool,
    /// Give up when the connection is not open after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value = "30")]
    pub(crate) connect_timeout: Seconds,
    /// Take no message that is larger.
    #[arg(long, value_name = "BYTES", default_value = "64M")]
    pub(crate) max_message: Size,
}

/// What is sent.
#[derive(Args, Debug)]
#[command(next_help_heading = "What is sent")]
pub(crate) struct InputArgs {
    /// Send this, and then end as at the end of the input; the standard input is not read.
    #[arg(short, long = "message", value_name = "TEXT")]
    pub(crate) messages: Vec<String>,
    /// Raw bytes instead of lines: binary messages go out as the input comes, and come in without line ends.
    #[arg(short, long, conflicts_with_all = ["null", "base64", "json"])]
    pub(crate) binary: bool,
    /// With --binary: the most bytes of a message.
    #[arg(long, value_name = "BYTES", default_value = "64k")]
    pub(crate) chunk: Size,
    /// Messages end with a NUL instead of a line end, both ways.
    #[arg(short = '0', long)]
    pub(crate) null: bool,
    /// The whole input is one message; binary with --binary.
    #[arg(short, long, conflicts_with = "null")]
    pub(crate) whole: bool,
    /// Answer every message with itself; the standard input is not read.
    #[arg(short, long, conflicts_with_all = ["messages", "whole"])]
    pub(crate) echo: bool,
    /// Take the prompt's commands (/ping, /close …) from a pipe, too.
    #[arg(long, conflicts_with = "binary")]
    pub(crate) slash: bool,
    /// Keep no history of the prompt in ~/.local/state/sockeye.
    #[arg(long)]
    pub(crate) no_history: bool,
}

/// What is shown.
#[derive(Args, Debug)]
#[command(next_help_heading = "What is shown")]
pub(crate) struct OutputArgs {
    /// Each thing that happens is a line of JSON on the standard output.
    #[arg(short, long)]
    pub(crate) json: bool,
    /// In a pipe: binary messages are lines of base64.
    #[arg(long)]
    pub(crate) base64: bool,
    /// Every frame, both ways: opcode, FIN, RSV1, length. Not with --redirects or --reconnect.
    #[arg(short, long, conflicts_with = "redirects")]
    pub(crate) frames: bool,
    /// The response's headers, Pings and Pongs.
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Nothing on the standard error but what went wrong.
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Send a Ping every so many seconds, and show how long its Pong took.
    #[arg(short, long, value_name = "SECONDS", value_parser = positive)]
    pub(crate) ping_interval: Option<Seconds>,
    /// Give the server up when nothing at all has come for so many seconds behind a Ping. Pings for this are sent when
    /// nothing has come for --ping-interval seconds, or as many as these.
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    pub(crate) ping_timeout: Option<Seconds>,
}

/// When and how it ends.
#[derive(Args, Debug)]
#[command(next_help_heading = "The end")]
pub(crate) struct EndingArgs {
    /// Connect again when the connection is lost, cannot be made, or is closed with another code than 1000.
    #[arg(short, long, conflicts_with = "frames")]
    pub(crate) reconnect: bool,
    /// At the end of the input: close when nothing has come for so many seconds [default: 1; what is counted or expected
    /// is waited for until --timeout, if that is given].
    #[arg(long, value_name = "SECONDS")]
    wait: Option<Seconds>,
    /// At the end of the input: do not close, the server will.
    #[arg(short, long, conflicts_with = "wait")]
    pub(crate) no_close: bool,
    /// Close behind the first message that comes: --count 1.
    #[arg(short = '1', long, conflicts_with_all = ["count", "expect"])]
    pub(crate) one: bool,
    /// Close behind so many messages; fewer are a failure.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Close when a message has this in it, or matches /REGEX/; if none does, that is a failure. Repeated: one after
    /// the other.
    #[arg(long, value_name = "TEXT")]
    pub(crate) expect: Vec<Expectation>,
    /// Give up after so many seconds in all.
    #[arg(short, long, value_name = "SECONDS")]
    pub(crate) timeout: Option<Seconds>,
    /// What to close with.
    #[arg(long, value_name = "CODE", default_value = "1000", value_parser = close_code)]
    pub(crate) close_code: CloseCode,
    /// Why, in at most 123 bytes.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = close_reason)]
    pub(crate) close_reason: String,
}

impl EndingArgs {
    /// For how long nothing may come at the end of the input.
    pub(crate) fn wait(&self) -> Duration {
        let wants_messages = self.one || self.count.is_some() || !self.expect.is_empty();
        let until_timeout = self.timeout.filter(|_| wants_messages);
        self.wait.or(until_timeout).map_or(Duration::from_secs(1), |seconds| seconds.0)
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("no colon, a header is written 'NAME: VALUE'")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Reads a code that may stand in a Close frame.
pub(crate) fn close_code(text: &str) -> Result<CloseCode, String> {
    let number: u16 = text.parse().map_err(|_| format!("{text:?} is no close code"))?;
    CloseCode::new(number).ok_or_else(|| {
        format!("{number} cannot be sent, only 1000 to 1003, 1007 to 1014 and 3000 to 4999 can (RFC 6455 §7.4)")
    })
}

fn close_reason(text: &str) -> Result<String, String> {
    match text.len() {
        0..=123 => Ok(text.to_owned()),
        len => Err(format!("{len} bytes, a Close frame has room for 123")),
    }
}

fn positive(text: &str) -> Result<Seconds, String> {
    match text.parse()? {
        Seconds(time) if time.is_zero() => Err("it has to be more than 0".into()),
        seconds => Ok(seconds),
    }
}
