//! What is made from the options: completions and manual pages.

use std::{
    fs,
    io::{self, Write as _, stdout},
    path::Path,
};

use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::{args::Cli, exit::Status};

pub(crate) fn print_completions(shell: Shell) -> io::Result<Status> {
    // It cannot fail into a buffer; the standard output can.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sockeye", &mut script);
    stdout().write_all(&script)?;
    Ok(Status::Clean)
}

/// Prints one page with all commands in it, or writes a page for each into a folder.
pub(crate) fn print_pages(folder: Option<&Path>) -> io::Result<Status> {
    if let Some(folder) = folder {
        fs::create_dir_all(folder)?;
        clap_mangen::generate_to(Cli::command(), folder)?;
        return Ok(Status::Clean);
    }
    let mut whole = Cli::command();
    whole.build();
    let mut page = Vec::new();
    Man::new(whole.clone()).render(&mut page)?;
    for command in whole.get_subcommands().filter(|command| command.get_name() != "help") {
        let man = Man::new(command.clone());
        writeln!(page, ".SH \"SOCKEYE {}\"", command.get_name().to_uppercase())?;
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
        man.render_extra_section(&mut page)?;
    }
    stdout().write_all(&page)?;
    Ok(Status::Clean)
}
