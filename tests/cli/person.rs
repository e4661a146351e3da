//! A person in front of a terminal: a pseudoterminal of ours, and `setsid` of util-linux to make it the tool's.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    process::Stdio,
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use super::tool::{command, send};

/// How long all that a person waits for may take, on the busiest of machines.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Person {
    pub(crate) tool: Child,
    terminal: Option<File>,
    /// The tool's side of it, to see its mode.
    slave: OwnedFd,
    shown: Receiver<Vec<u8>>,
    /// What was shown and not waited for.
    seen: String,
    until: Instant,
}

impl Person {
    /// Runs the tool on a new terminal.
    pub(crate) fn runs(args: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());
        let tool = command(args);
        let tool = tool.as_std();
        let mut on_terminal = Command::new("setsid");
        on_terminal.arg("--ctty").arg(tool.get_program()).args(tool.get_args());
        for (name, _) in tool.get_envs() {
            on_terminal.env_remove(name);
        }
        on_terminal.env("NO_COLOR", "1").env("TERM", "xterm").stdin(end()).stdout(end()).stderr(end());
        let tool = on_terminal.kill_on_drop(true).spawn().expect("setsid is there, of util-linux");
        let mut screen = File::from(master);
        let terminal = screen.try_clone().unwrap();
        let (show, shown) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = screen.read(&mut bytes) {
                if show.send(bytes[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { tool, terminal: Some(terminal), slave, shown, seen: String::new(), until: Instant::now() + PATIENCE }
    }

    pub(crate) fn types(&mut self, keys: &str) {
        self.terminal.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this is on the terminal, behind what was waited for before.
    pub(crate) fn sees(&mut self, text: &str) {
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            match self.shown.recv_timeout(self.until.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.seen += &String::from_utf8_lossy(&bytes),
                Err(RecvTimeoutError::Timeout) => panic!("{text:?} did not come, but {:?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => panic!("{text:?} cannot come any more, {:?} did", self.seen),
            }
        }
    }

    /// Waits until the tool has ended; gives its status.
    pub(crate) async fn ends(&mut self) -> i32 {
        let ended = timeout(self.until.saturating_duration_since(Instant::now()), self.tool.wait()).await;
        let Ok(status) = ended else { panic!("the tool does not end") };
        status.unwrap().code().expect("it is no signal that ends it")
    }

    /// Whether the terminal hands over lines and shows what is typed, as shells want it.
    pub(crate) fn has_terminal_as_it_was(&self) -> bool {
        let modes = tcgetattr(&self.slave).unwrap().local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    pub(crate) fn signals(&self, name: &str) {
        send(name, &self.tool);
    }
}
