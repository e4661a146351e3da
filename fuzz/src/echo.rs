//! A served connection whose handler echoes: each reply in its place, whatever the handler waits for between.

use std::{future::poll_fn, task::Poll, time::Duration};

use sockeye::{
    Error, Role, WebSocket,
    proto::connection::{DeflateSettings, End, Inbox},
    stream::serve_connection,
};

use crate::{
    cuts, endpoint,
    frames::{self, BINARY, CLOSE, FIN, Frame, PONG, TEXT, close_payload},
    output::Inflater,
    reference::{Heard, Said, close_code, hear},
    script::{Conversation, Setup},
    set_up,
    stream::{Pot, World, block_on},
    transport::{Task, Wire},
};

mod limited;

/// Holds one.
///
/// # Panics
///
/// When a promise is broken.
pub fn hold(conversation: &Conversation<'_>) {
    block_on(serve(conversation));
}

async fn serve(conversation: &Conversation<'_>) {
    let Conversation { setup, script, .. } = *conversation;
    let role = Role::Server;
    let bytes = &*conversation.bytes(Role::Client);
    let heard = hear(setup.terms(role, true), bytes);
    let mut world = World::new(setup, bytes);
    let pot = Pot::new(setup.habits);
    let ws = open(setup, &world, pot.as_ref());
    let mut served = Box::pin(serve_connection(ws, |ws| echo(ws, setup.way())));
    let (task, mut outcome) = (Task::default(), None);
    // Of more Pongs than may wait, only the newest is owed; and an inflater may refuse what the reference takes.
    let pings = heard.said.iter().map(|(_, said)| if let Said::Ping(payload) = said { payload.len() + 2 } else { 0 });
    let answers_all = pings.sum::<usize>() < 4096 && !heard.may_be_refused(true);
    // A policy, a limit that depends on the clock or on what else is held: they only have to keep the order.
    let is_free = setup.habits.has_none_beyond_bytes() && setup.keepalive().is_none();
    for (choice, argument) in script.steps() {
        match choice % 8 {
            0 | 1 => drop(world.push(usize::from(argument) + 1)),
            2 | 3 => drop(world.push(cuts::length(argument))),
            4 | 5 => world.set_room(usize::from(argument) * 4),
            6 => world.wait(Duration::from_millis(u64::from(argument))).await,
            _ if argument < 8 => world.tear(),
            _ if argument < 16 => world.end(),
            _ => {}
        }
        if outcome.is_none() && task.is_woken() {
            match task.run(served.as_mut()) {
                Poll::Ready(output) => outcome = Some(output),
                Poll::Pending => assert_nothing_held_back(&world, &heard, answers_all && is_free),
            }
        }
    }
    while outcome.is_none() {
        if task.is_woken()
            && let Poll::Ready(output) = task.run(served.as_mut())
        {
            outcome = Some(output);
            break;
        }
        assert_nothing_held_back(&world, &heard, answers_all && is_free);
        assert!(world.go_on().await, "nobody wakes the handler");
    }
    drop(served);
    if let Some(pot) = pot {
        pot.end();
    }
    let Some(ended) = outcome else { return };
    if !is_free {
        return limited::judge(setup, &heard, &world, &ended);
    }
    judge(setup, &heard, &world, answers_all, &ended);
}

/// Judges what went out where that depends on the peer's bytes alone.
fn judge(setup: Setup, heard: &Heard, world: &World<'_>, answers_all: bool, ended: &Ended) {
    let Ended { outcome, end, .. } = ended;
    // What is held back may not be refused for it.
    if let Err(Error::Protocol(fault)) = outcome
        && heard.fault_within(world.fed) != Some(*fault)
    {
        assert!(heard.may_be_refused(true), "{fault:?}, not {:?}", heard.fault);
        return;
    }
    let (mut frames, rest) = read_all(&world.wire.take_output(), setup.deflate());
    let said = heard.said[..heard.said_within(world.fed)].iter().map(|(_, said)| said);
    let mut replies: Vec<Frame> = said.filter_map(reply).collect();
    if let Some(fault) = heard.fault_within(world.fed) {
        replies.push(Frame::new(FIN | CLOSE, close_code(fault).to_be_bytes()));
        // The words behind the code are its own.
        if let Some(close) = frames.last_mut().filter(|frame| frame.opcode() == CLOSE) {
            close.payload.truncate(2);
        }
    }
    let is_whole = matches!(end, Some(End::Closed { .. } | End::Failed(_))) && world.takes_everything();
    assert!(!is_whole || rest == 0, "the output ends inside a frame");
    if answers_all {
        assert!(
            replies.starts_with(&frames) && (!is_whole || frames.len() == replies.len()),
            "{frames:x?}, not {replies:x?}"
        );
    }
    match outcome {
        Ok(()) => assert!(end.as_ref().is_some_and(End::is_clean)),
        Err(Error::Protocol(_)) => assert!(matches!(end, Some(End::Failed(_)))),
        Err(Error::Lost | Error::Closed) => assert!(world.ended || world.torn || end.is_some()),
        Err(Error::Io(_)) => assert!(world.torn),
        Err(other) => panic!("{other:?}"),
    }
}

/// How a handler ended.
struct Ended {
    outcome: Result<(), Error>,
    end: Option<End>,
    dropped: u64,
}

fn open(setup: Setup, world: &World<'_>, pot: Option<&Pot>) -> WebSocket<Wire> {
    let (role, now) = (Role::Server, tokio::time::Instant::now().into_std());
    let connection = endpoint(set_up(role, setup), role, setup.deflate().as_ref(), now);
    let ws = WebSocket::new(world.wire.clone(), connection, Inbox::new());
    match pot {
        Some(pot) => pot.share(ws),
        None => ws,
    }
}

/// While the handler waits for more, every answer is out.
fn assert_nothing_held_back(world: &World<'_>, heard: &Heard, answers_all: bool) {
    if !world.takes_now() || !answers_all {
        return;
    }
    let said = &heard.said[..heard.said_within(world.fed)];
    let answers = said.iter().filter(|(_, said)| !matches!(said, Said::Pong(_))).count();
    let fault = usize::from(heard.fault_within(world.fed).is_some());
    let out = world.wire.with_output(|mut output| {
        let mut count = 0;
        while let Some((_, _, len)) = frames::read(Role::Server, output) {
            output = &output[len..];
            count += 1;
        }
        count
    });
    assert_eq!(out, answers + fault, "answers that are held back");
}

/// Sends back what comes, in one of four ways; gives how it ended.
async fn echo(mut ws: WebSocket<Wire>, way: u8) -> Ended {
    let mut count = 0_u32;
    let outcome = loop {
        match ws.recv().await {
            Ok(Some(message)) => {
                count += 1;
                if way == 3 && count.is_multiple_of(3) {
                    pause().await;
                }
                let sent = match way {
                    0 | 3 => ws.send(message).await,
                    1 => ws.feed(message).await,
                    _ if count.is_multiple_of(2) => ws.send_prepared(&message.into()).await,
                    _ => ws.send(message).await,
                };
                // How it ended says the next `recv`.
                if sent.is_err() && ws.end().is_none() {
                    break sent;
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    Ended { outcome, end: ws.end(), dropped: ws.dropped() }
}

/// Waits for one poll.
async fn pause() {
    let mut is_over = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut is_over, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What answers it.
fn reply(said: &Said) -> Option<Frame> {
    Some(match said {
        Said::Message { is_text, bytes } => Frame::new(FIN | if *is_text { TEXT } else { BINARY }, bytes.clone()),
        Said::Ping(payload) => Frame::new(FIN | PONG, payload.clone()),
        Said::Pong(_) => return None,
        Said::Close(None) => Frame::new(FIN | CLOSE, []),
        Said::Close(Some((code, reason))) => Frame::new(FIN | CLOSE, close_payload(*code, reason)),
    })
}

/// The frames, inflated, and how many bytes are behind them.
fn read_all(output: &[u8], deflate: Option<DeflateSettings>) -> (Vec<Frame>, usize) {
    let mut inflater = deflate.map(|deflate| Inflater::of_peer(Role::Server, &deflate));
    let (mut frames, mut at) = (Vec::new(), 0);
    while let Some((frame, _, len)) = frames::read(Role::Server, &output[at..]) {
        at += len;
        frames.push(match &mut inflater {
            Some(inflater) if frame.rsv1() => {
                Frame::new(frame.first & !frames::RSV1, inflater.inflate(&frame.payload, frame.fin()))
            }
            _ => frame,
        });
    }
    (frames, output.len() - at)
}
