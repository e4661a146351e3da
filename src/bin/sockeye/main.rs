//! The tool `sockeye`: talks to WebSockets from a terminal or a script, serves them, and puts load on them.

mod args;
mod bench;
mod connect;
mod connection;
mod ending;
mod exit;
mod manual;
mod output;
mod prompt;
mod serve;

use std::{
    io,
    process::{ExitCode, exit},
};

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::{
    args::{Cli, Command},
    exit::Status,
    output::{Part, Style, say},
};

fn main() -> ExitCode {
    end_in_order_at_a_panic();
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let style = Style::new(cli.color);
    let status = match run(cli.command, style) {
        Ok(status) => status,
        // `sockeye … | head` is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Status::Clean,
        Err(error) => {
            // Where even this cannot be said, the status is left.
            let _ = say(style, Part::Fault, &format!("sockeye: {error}"));
            Status::Usage
        }
    };
    prompt::restore();
    // A thread may still wait for the terminal or the standard input; nobody waits for it.
    exit(status as i32)
}

/// A panic at the prompt is told on a terminal that is as it was, and is the end: nobody could type any more.
fn end_in_order_at_a_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let was_prompt = prompt::restore();
        tell(info);
        if was_prompt {
            exit(Status::Panicked as i32);
        }
    }));
}

fn run(command: Command, style: Style) -> io::Result<Status> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let status = match command {
        Command::Connect(args) => runtime.block_on(connect::run(*args, style)),
        Command::Serve(args) => runtime.block_on(serve::run(*args, style)),
        Command::Bench(args) => runtime.block_on(bench::run(*args, style)),
        Command::Completions { shell } => manual::print_completions(shell),
        Command::Man(args) => manual::print_pages(args.dir.as_deref()),
    };
    // A name that is not resolved yet, or a file that does not end, keeps nobody waiting.
    runtime.shutdown_background();
    status
}
