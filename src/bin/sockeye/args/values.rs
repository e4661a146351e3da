//! Values that are more than a string or a number.

use std::{fmt, str::FromStr, time::Duration};

use regex_lite::Regex;

/// A time in seconds, such as `0.5`, `3`, `250ms` or `2m`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Seconds(pub(crate) Duration);

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let scale = match &text[number.len()..] {
            "" | "s" => 1.0,
            "ms" => 0.001,
            "m" => 60.0,
            "h" => 3600.0,
            unit => return Err(format!("unit {unit:?}, there are ms, s, m and h")),
        };
        let number: f64 = number.parse().map_err(|_| format!("{text:?} is no number of seconds"))?;
        let time = Duration::try_from_secs_f64(number * scale).map_err(|_| format!("{text:?} is no time to wait"))?;
        // Clocks end somewhere.
        if time <= CENTURY { Ok(Self(time)) } else { Err(format!("{text:?} is more than a century")) }
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_secs_f64())
    }
}

/// A number of bytes, such as `500`, `64k` or `10M`: of 1024 and its powers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Size(pub(crate) u64);

impl Size {
    /// As many as memory has room for, if not so many.
    pub(crate) fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        scaled(text, 1024).map(Self)
    }
}

/// A number of messages, such as `500`, `64k` or `10M`: of 1000 and its powers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Count(pub(crate) u64);

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        scaled(text, 1000).map(Self)
    }
}

fn scaled(text: &str, kilo: u64) -> Result<u64, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale = match &text[number.len()..] {
        "" => 1,
        "k" | "K" => kilo,
        "m" | "M" => kilo.pow(2),
        "g" | "G" => kilo.pow(3),
        unit => return Err(format!("unit {unit:?}, there are k, M and G")),
    };
    let number: u64 = number.parse().map_err(|_| format!("{text:?} is no whole number"))?;
    number.checked_mul(scale).ok_or_else(|| format!("{text:?} is too much"))
}

/// What a message has to have: a text in it, or a match of a regular expression, written `/…/`.
#[derive(Clone, Debug)]
pub(crate) enum Expectation {
    Text(String),
    Regex(Regex),
}

impl Expectation {
    pub(crate) fn is_met_by(&self, message: &str) -> bool {
        match self {
            Self::Text(text) => message.contains(text),
            Self::Regex(regex) => regex.is_match(message),
        }
    }
}

impl FromStr for Expectation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
            Some(regex) => Regex::new(regex).map(Self::Regex).map_err(|error| error.to_string()),
            None => Ok(Self::Text(text.to_owned())),
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Regex(regex) => write!(f, "/{regex}/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_units() {
        let of = |text: &str| text.parse().map(|Seconds(time)| time.as_millis());
        assert_eq!(of("0.5"), Ok(500));
        assert_eq!(of("250ms"), Ok(250));
        assert_eq!(of("2m"), Ok(120_000));
        for wrong in ["", "s", "-1", "1d", "1e400", "1e18", "nan"] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn counts_have_units() {
        let of = |text: &str| text.parse().map(|Size(size)| size);
        assert_eq!(of("500"), Ok(500));
        assert_eq!(of("64k"), Ok(65_536));
        assert_eq!("64k".parse(), Ok(Count(64_000)));
        for wrong in ["", "k", "-1", "1.5", "1T", "99999999999G"] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn expectations_are_texts_or_regular_expressions() {
        let of = |text: &str| text.parse::<Expectation>();
        assert!(of("a.c").unwrap().is_met_by("xa.cx"));
        assert!(!of("a.c").unwrap().is_met_by("abc"));
        assert!(of("/^a.c$/").unwrap().is_met_by("abc"));
        assert!(of("/a/b").unwrap().is_met_by("/a/b"));
        assert!(of("/(/").is_err());
    }
}
