//! What can be said on the command line.

mod bench;
mod connect;
mod serve;
mod values;

use std::path::PathBuf;

use clap::{Args, ColorChoice, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use self::{
    bench::BenchArgs,
    connect::{ConnectArgs, ConnectionArgs, InputArgs, close_code},
    serve::{Handling, ServeArgs},
    values::{Count, Expectation, Seconds, Size},
};

/// Talks to WebSockets from a terminal or a script, serves them, and puts load on them.
#[derive(Debug, Parser)]
#[command(name = "sockeye", version, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// When to use colours.
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    pub(crate) color: ColorChoice,
}

const EXAMPLES: &str = "\
Examples:
  sockeye connect wss://example.com/chat             talk, with a prompt
  echo hello | sockeye connect ws://localhost:9001   send, print the replies, leave
  sockeye serve                                      echo on 127.0.0.1:9001
  sockeye bench ws://localhost:9001                  how fast is it?

Each command has its own --help, with examples.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Opens a connection: to talk at a prompt, or in a pipe.
    #[command(visible_alias = "c", after_long_help = connect::EXAMPLES)]
    Connect(Box<ConnectArgs>),
    /// Serves connections: echo, broadcast or a command for each, and files.
    #[command(visible_alias = "s", after_long_help = serve::EXAMPLES)]
    Serve(Box<ServeArgs>),
    /// Puts load on an echo server, and says how long its replies took.
    #[command(visible_alias = "b", after_long_help = bench::EXAMPLES)]
    Bench(Box<BenchArgs>),
    /// Prints completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Prints the manual page, or writes the page of each command into a folder.
    Man(ManArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// Write `sockeye.1`, `sockeye-connect.1` and so on into this folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dir: Option<PathBuf>,
}
