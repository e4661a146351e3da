//! The end: everything comes and goes, and nobody is polled who was not woken.

use std::{
    pin::{Pin, pin},
    task::Poll,
};

use sockeye::{
    CloseCode, Error, Message, WebSocket,
    proto::{
        connection::{End, Event},
        frame::ProtocolError,
    },
    stream::{Receiver, Sender},
};

use super::{
    Ends, Talk, cancelled,
    world::{World, drive},
};
use crate::{
    reference::Said,
    transport::{Task, Wire},
};

impl Talk<'_> {
    /// Has everything come and go. Nobody is polled who was not woken.
    pub(super) async fn end(mut self) {
        let closes = self.setup.pace[0] & 1 == 1;
        match std::mem::replace(&mut self.ends, Ends::Gone) {
            Ends::Whole(mut ws) => {
                if closes {
                    self.closing = true;
                    self.sent.close(1000, "");
                    let closed = drive(&mut self.world, ws.close(CloseCode::NORMAL, "")).await;
                    assert!(closed.is_err() || ws.end().is_some_and(|end| end.is_clean()));
                } else {
                    let task = Task::default();
                    loop {
                        let received = recv_woken(&task, &mut self.world, &mut ws).await;
                        let goes_on = matches!(received, Ok(Some(_)));
                        let received = received.map(|message| message.map(Event::Message));
                        self.ends = Ends::Whole(ws);
                        self.received(Some(received));
                        let Ends::Whole(back) = std::mem::replace(&mut self.ends, Ends::Gone) else { return };
                        ws = back;
                        if !goes_on {
                            break;
                        }
                    }
                }
                assert!(matches!(cancelled(ws.recv(), 1), Some(Ok(None) | Err(Error::Closed | Error::Io(_)))));
                assert!(matches!(cancelled(ws.send("late"), 1), Some(Err(_))), "sent behind the end");
                let end = ws.end().expect("it has ended");
                self.check_output(&end, ws.dropped());
            }
            Ends::Split(sender, receiver) => {
                let (end, dropped) = self.end_halves(sender, receiver).await;
                self.check_output(&end, dropped);
            }
            Ends::Gone => unreachable!("they are put back"),
        }
        if let Some(pot) = self.pot {
            pot.end();
        }
    }

    async fn end_halves(&mut self, sender: Sender<Wire>, receiver: Option<Receiver<Wire>>) -> (End, u64) {
        self.closing = true;
        self.sent.close(1000, "");
        let last = self.next_message(0, 0);
        if let Some(last) = &last {
            self.sent.begin(self.number, last);
        }
        let (mut messages, mut last_sent, beside) = (Vec::new(), None, sender.clone());
        {
            let send = async {
                if let Some(last) = last {
                    last_sent = Some(beside.send(last).await);
                }
            };
            let close = async { drop(sender.close(CloseCode::NORMAL, "").await) };
            let drained = async { drop(sender.drained(0).await) };
            let receive = async {
                let Some(mut receiver) = receiver else { return };
                while let Ok(Some(message)) = receiver.recv().await {
                    messages.push(message);
                }
            };
            let future: [Pin<Box<dyn Future<Output = ()>>>; 4] =
                [Box::pin(send), Box::pin(close), Box::pin(receive), Box::pin(drained)];
            let all = ["sends", "closes", "receives", "waits until all is written"].into_iter().zip(future);
            let mut tasks: Vec<_> = all.map(|(what, future)| (what, Task::default(), future)).collect();
            while !tasks.is_empty() {
                tasks.retain_mut(|(_, task, future)| !task.is_woken() || task.poll(future.as_mut()).is_pending());
                if !tasks.is_empty() && tasks.iter().all(|(_, task, _)| !task.is_woken()) {
                    let queued = sender.queued();
                    assert!(!self.world.takes_now() || queued == 0, "{queued} bytes are not written before all wait");
                    let asleep: Vec<&str> = tasks.iter().map(|(what, ..)| *what).collect();
                    assert!(self.world.go_on().await, "nobody wakes what {asleep:?}");
                }
            }
        }
        if let Some(Ok(())) = last_sent {
            self.sent.is_certain();
        }
        messages.into_iter().for_each(|message| self.hear(&Event::Message(message)));
        assert!(matches!(cancelled(sender.send("late"), 1), Some(Err(_))), "sent behind the end");
        (sender.end().expect("it has ended"), sender.dropped())
    }

    fn check_output(&self, end: &End, dropped: u64) {
        let output = self.world.wire.take_output();
        // One that takes nothing while there is no memory is let go of.
        let is_told = match end {
            End::Failed(fault) => !matches!(fault, ProtocolError::BudgetSpent { .. }),
            end => matches!(end, End::Closed { .. } | End::Abandoned),
        };
        let is_whole = self.world.takes_everything() && is_told;
        // What is discarded is read on behind a message that is too big.
        let heard = self.discarded.as_ref().filter(|_| self.closing || self.refused).unwrap_or(&self.heard);
        let pings = heard.said[..heard.said_within(self.world.fed)].iter().filter_map(|(_, said)| match said {
            Said::Ping(payload) => Some(&payload[..]),
            _ => None,
        });
        // Behind a fault that is not the bytes' alone, some of them were not read.
        let answers_all = match end {
            End::Failed(fault) => self.heard.fault_within(self.world.fed) == Some(*fault),
            _ => true,
        };
        self.sent.check(&output, is_whole.then_some(dropped), answers_all, end, &pings.collect::<Vec<_>>());
    }
}

/// Receives; what is queued has to be written before it waits. Nobody polls who was not woken.
async fn recv_woken(task: &Task, world: &mut World<'_>, ws: &mut WebSocket<Wire>) -> Result<Option<Message>, Error> {
    task.wake();
    loop {
        while task.is_woken() {
            if let Poll::Ready(received) = task.poll(pin!(ws.recv())) {
                return received;
            }
        }
        assert!(!world.takes_now() || ws.queued() == 0, "{} bytes are not written before it waits", ws.queued());
        assert!(world.go_on().await, "nobody wakes it");
    }
}
