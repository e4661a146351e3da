//! What an echo owes whose connection has limits that depend on more than the peer's bytes.

use sockeye::{
    Error,
    proto::{
        connection::{End, Initiator},
        frame::ProtocolError,
    },
};

use super::{Ended, read_all, reply};
use crate::{
    frames::{CLOSE, Frame, PONG},
    reference::{Heard, Said},
    script::Setup,
    stream::World,
};

/// Judges what went out: messages in their order, some of them dropped, and Pongs in theirs, without a gap.
pub(super) fn judge(setup: Setup, heard: &Heard, world: &World<'_>, ended: &Ended) {
    let (frames, _) = read_all(&world.wire.take_output(), setup.deflate());
    let said = &heard.said[..heard.said_within(world.fed)];
    let replies: Vec<Frame> = said.iter().filter_map(|(_, said)| reply(said)).collect();
    let is_whole = matches!(ended.end, Some(End::Closed { by: Initiator::Peer, .. })) && world.takes_everything();
    let mut owed = replies.iter().filter(|reply| reply.opcode() < CLOSE);
    let mut missing = 0;
    for frame in frames.iter().filter(|frame| frame.opcode() < CLOSE) {
        let passed = owed.position(|reply| reply == frame);
        missing += passed.unwrap_or_else(|| panic!("{frame:x?} that nobody sent, or twice, or late"));
    }
    missing += owed.count();
    assert!(!is_whole || ended.dropped == missing as u64, "{missing} are missing, and {} dropped", ended.dropped);
    let pongs = |of: &[Frame]| of.iter().filter(|frame| frame.opcode() == PONG).cloned().collect::<Vec<_>>();
    let (out, due) = (pongs(&frames), pongs(&replies));
    // Of more Pongs than may wait, only the newest is owed.
    if due.iter().map(|pong| pong.payload.len() + 2).sum::<usize>() < 4096 {
        assert!(due.starts_with(&out), "{out:x?}, not {due:x?}");
        assert!(!is_whole || out.len() == due.len(), "a Pong that was dropped");
    }
    judge_error(setup, heard, world, &ended.outcome);
}

/// Judges what the handler was told of the end.
fn judge_error(setup: Setup, heard: &Heard, world: &World<'_>, outcome: &Result<(), Error>) {
    let habits = setup.habits;
    match outcome {
        Err(Error::TimedOut(timeout)) => {
            let is_closing = habits.policy_code().is_some();
            let is_timed = habits.max_queued_age().is_some() || setup.keepalive().is_some() || is_closing;
            assert!(is_timed, "{timeout:?} without a limit");
        }
        Err(Error::Protocol(fault)) => {
            let pings = heard.said.iter().filter(|(_, said)| matches!(said, Said::Ping(_))).count();
            let is_limit = match fault {
                ProtocolError::BudgetSpent { .. } => habits.budget().is_some(),
                ProtocolError::TooManyFinalBlocks => true,
                fault => habits.may_fail(*fault, pings, usize::MAX, world.waited),
            };
            let is_known = heard.fault_within(world.fed) == Some(*fault) || heard.may_be_refused(true);
            assert!(is_limit || is_known, "{fault:?}, not {:?}", heard.fault);
        }
        _ => {}
    }
}
