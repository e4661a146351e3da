use clap::Args;

use super::{ConnectionArgs, Count, Seconds, Size};

pub(super) const EXAMPLES: &str = "\
The server has to send every message back, as `sockeye serve` does. Each connection keeps --in-flight messages under way: it
sends the next one when a reply has come. A reply's latency is the time from the message's sending to the reply; each
reply is compared with its message. A server that stalls is sent less that way, which hides the stall from all latencies but
one on each connection. With --rate, messages are due at equal distances on one connection after the other, and a
reply's latency is the time since its message was due, so a stall shows in all messages that were due meanwhile; a rate
beyond what the server can do shows as latencies that grow for as long as it lasts.

Examples:
  sockeye bench ws://localhost:9001
  sockeye bench :9001 --connections 500 --size 1k --duration 30
  sockeye bench :9001 --messages 100k --in-flight 16 --binary
  sockeye bench :9001 --rate 20000 --connections 100
  sockeye bench :9001 --json | jq .latency_us.p99

Exit status: as for connect; 1 also if a reply was wrong.";

#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// How many connections.
    #[arg(short, long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..), help_heading = LOAD)]
    pub(crate) connections: u32,
    /// How long messages are sent.
    #[arg(short, long, value_name = "SECONDS", default_value = "10", help_heading = LOAD)]
    pub(crate) duration: Seconds,
    /// How many messages are sent in all, instead of a time.
    #[arg(short = 'n', long, value_name = "N", conflicts_with = "duration", help_heading = LOAD)]
    pub(crate) messages: Option<Count>,
    /// The bytes of a message.
    #[arg(long, value_name = "BYTES", default_value = "32", help_heading = LOAD)]
    pub(crate) size: Size,
    /// How many messages of a connection are under way at once.
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..), help_heading = LOAD)]
    pub(crate) in_flight: u32,
    /// Send at this rate in all, whatever the server does; latencies count from when a message was due.
    #[arg(short, long, value_name = "MESSAGES_PER_SECOND", value_parser = at_least_one, conflicts_with = "in_flight", help_heading = LOAD)]
    pub(crate) rate: Option<Count>,
    /// Binary messages instead of text.
    #[arg(short, long, help_heading = LOAD)]
    pub(crate) binary: bool,
    /// The report as JSON.
    #[arg(short, long, help_heading = LOAD)]
    pub(crate) json: bool,
    /// Show no progress.
    #[arg(short, long, help_heading = LOAD)]
    pub(crate) quiet: bool,
}

const LOAD: &str = "Load";

fn at_least_one(text: &str) -> Result<Count, String> {
    match text.parse()? {
        Count(0) => Err("it has to be more than 0".into()),
        count => Ok(count),
    }
}
