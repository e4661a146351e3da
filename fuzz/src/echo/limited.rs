//! What an echo owes whose connection has limits that depend on more than the peer's bytes.

use sockeye::Error;

use super::reply;
use crate::{
    frames::{CLOSE, Frame, PONG},
    reference::Said,
    script::Setup,
};

/// Judges what went out for what was `said`: messages in their order, some of them dropped, and Pongs in theirs, without
/// a gap. Says how many were `dropped` if all that was sent went out.
pub(super) fn judge(
    setup: Setup,
    said: &[(usize, Said)],
    frames: &[Frame],
    dropped: Option<u64>,
    outcome: &Result<(), Error>,
) {
    let replies = || said.iter().filter_map(|(_, said)| reply(said));
    let mut owed = replies().filter(|reply| reply.opcode() < CLOSE);
    let mut missing = 0;
    for frame in frames.iter().filter(|frame| frame.opcode() < CLOSE) {
        let passed = owed.position(|reply| reply == *frame);
        missing += passed.unwrap_or_else(|| panic!("{frame:x?} that nobody sent, or twice, or late"));
    }
    missing += owed.count();
    assert!(setup.habits.may_drop() || missing == 0 || dropped.is_none(), "{missing} answers are missing");
    if let Some(dropped) = dropped {
        assert_eq!(dropped, missing as u64, "what is missing is not what was dropped");
    }
    let pongs: Vec<_> = frames.iter().filter(|frame| frame.opcode() == PONG).collect();
    let due: Vec<_> = replies().filter(|reply| reply.opcode() == PONG).collect();
    let is_short = due.iter().map(|pong| pong.payload.len() + 2).sum::<usize>() < 4096;
    if is_short {
        let are_due = pongs.len() <= due.len() && pongs.iter().zip(&due).all(|(pong, due)| *pong == due);
        assert!(are_due, "{pongs:x?}, not {due:x?}");
        assert!(dropped.is_none() || pongs.len() == due.len(), "a Pong that was dropped");
    }
    if let Err(Error::TimedOut(timeout)) = outcome {
        let habits = setup.habits;
        let is_timed =
            habits.max_queued_age().is_some() || habits.policy_code().is_some() || setup.keepalive().is_some();
        assert!(is_timed, "{timeout:?} without a limit");
    }
}
