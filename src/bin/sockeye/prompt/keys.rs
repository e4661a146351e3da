//! Reads keys, in a thread of its own: whoever reads them waits, inside a key that has come by half too.

use std::{sync::mpsc as sync, thread};

use crossterm::event;

use super::Job;

/// Lets the next key be read: one at a time, so that no more are taken from the terminal than are handled.
pub(super) struct Permits(sync::SyncSender<()>);

impl Permits {
    pub(super) fn give(&self) {
        // Once the terminal is gone, nobody needs one.
        let _ = self.0.try_send(());
    }
}

/// Starts to read; the first key needs no permit.
pub(super) fn start(jobs: sync::SyncSender<Job>) -> Permits {
    let (permits, granted) = sync::sync_channel(1);
    thread::spawn(move || {
        while let Ok(event) = event::read() {
            if jobs.send(Job::Key(event)).is_err() || granted.recv().is_err() {
                return;
            }
        }
        let _ = jobs.send(Job::NoKeys);
    });
    Permits(permits)
}
