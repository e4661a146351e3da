use std::{error::Error, fmt::Write, fs, path::Path, process::ExitCode};

use super::Check;
use crate::report::{machine, put_into};

/// Prints the report, and puts it where it is wanted.
pub fn finish(checks: &[Check], sections: &[String], record: Option<&Path>) -> Result<ExitCode, Box<dyn Error>> {
    let args = std::env::args().skip(1);
    let command = ["tests/soak/run".into()].into_iter().chain(args).collect::<Vec<_>>().join(" ");
    let mut markdown = format!("## Socket.IO\n\nMachine: {}.  \nCommand: `{command}`.\n\n", machine());
    let _ = writeln!(markdown, "| it is to hold that | |\n|---|---|");
    for (check, holds) in checks {
        let _ = writeln!(markdown, "| {check} | {} |", if *holds { "yes" } else { "**no**" });
    }
    sections.iter().for_each(|section| markdown.push_str(section));
    println!("{markdown}");
    checks.iter().filter(|(_, holds)| !holds).for_each(|(check, _)| eprintln!("does not hold: {check}"));
    if let Some(path) = record {
        let before = fs::read_to_string(path).unwrap_or_default();
        fs::write(path, put_into(&before, "measured: Socket.IO", &markdown))?;
    }
    Ok(if checks.iter().all(|(_, holds)| *holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
