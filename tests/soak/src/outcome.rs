//! How visits end, and how often.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, ErrorKind},
    sync::{Mutex, PoisonError},
};

/// How a visit ended as it should.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Outcome {
    /// The server's Close said so; 1005 is one without a code.
    Closed(u16),
    /// The server answered the request so.
    Status(u16),
    /// Everything was as asked for, to the end that the visitor made.
    Served,
    /// The server knows the visitor's session no more.
    Forgotten,
    /// The server ended the connection without more.
    Ended,
    /// The server reset the connection.
    Reset,
    /// The visitor was gone before the server could answer.
    Left,
    /// The time was over.
    CutOff,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(code) => write!(f, "closed {code}"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Served => f.write_str("served"),
            Self::Forgotten => f.write_str("forgotten"),
            Self::Ended => f.write_str("ended"),
            Self::Reset => f.write_str("reset"),
            Self::Left => f.write_str("left"),
            Self::CutOff => f.write_str("cut off"),
        }
    }
}

/// What the server should not have done.
pub fn fault(what: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.into())
}

/// Whether an error is what a peer sees of a reset.
pub fn is_reset(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe)
}

/// The outcomes of one kind of visit.
#[derive(Clone, Debug, Default)]
pub struct Count {
    pub outcomes: BTreeMap<Outcome, u64>,
    pub faults: u64,
}

impl Count {
    pub fn visits(&self) -> u64 {
        self.outcomes.values().sum::<u64>() + self.faults
    }
}

/// The outcomes of all visits, and the first faults in words.
#[derive(Debug, Default)]
pub struct Tally(Mutex<(BTreeMap<&'static str, Count>, Vec<String>)>);

impl Tally {
    const MAX_FAULTS: usize = 20;

    pub fn count(&self, what: &'static str, outcome: io::Result<Outcome>) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (counts, faults) = &mut *inner;
        let count = counts.entry(what).or_default();
        match outcome {
            Ok(outcome) => *count.outcomes.entry(outcome).or_default() += 1,
            Err(error) => {
                count.faults += 1;
                if faults.len() < Self::MAX_FAULTS {
                    faults.push(format!("{what}: {error}"));
                }
            }
        }
    }

    pub fn counts(&self) -> BTreeMap<&'static str, Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    pub fn faults(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}
