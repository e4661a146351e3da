//! Colours, where they are wanted.

use std::io::{IsTerminal as _, stderr, stdout};

use clap::ColorChoice;

/// What a piece of text is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// What came.
    Incoming,
    /// What was sent.
    Outgoing,
    /// What the tool says.
    Aside,
    /// What went wrong.
    Fault,
}

/// Whether there are colours, on the standard output and the standard error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) out: Colours,
    pub(crate) err: Colours,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Colours {
    On,
    Off,
}

impl Style {
    /// Follows the option, `NO_COLOR` (https://no-color.org), `TERM`, and what is a terminal.
    pub(crate) fn new(choice: ColorChoice) -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_able = !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let of = |is_terminal: bool| match choice {
            ColorChoice::Always => Colours::On,
            ColorChoice::Auto if is_able && is_terminal => Colours::On,
            ColorChoice::Auto | ColorChoice::Never => Colours::Off,
        };
        Self { out: of(stdout().is_terminal()), err: of(stderr().is_terminal()) }
    }
}

impl Colours {
    pub(crate) fn paint(self, part: Part, text: &str) -> String {
        let code = match part {
            Part::Incoming => "32",
            Part::Outgoing => "36",
            Part::Aside => "2",
            Part::Fault => "31",
        };
        match self {
            Self::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Off => text.to_owned(),
        }
    }
}
