//! The process that all of this is about.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use nix::{
    time::{clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};

pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// What it has written to its standard error.
    complaints: Arc<Mutex<String>>,
}

/// What the process holds at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Holding {
    /// Bytes of memory that are in use, as the system counts them.
    pub resident: u64,
    /// Open files, sockets among them.
    pub files: usize,
    pub cpu: Duration,
}

impl Server {
    /// Starts a server, and waits until it says `listening on ws://HOST:PORT`, or `http`.
    pub fn start(program: &str, args: &[&str]) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line)?;
        let address = line.trim().split_once("://").and_then(|(_, address)| address.parse().ok());
        let address = address.ok_or_else(|| io::Error::other(format!("the server says {line:?}")))?;
        let complaints = Arc::<Mutex<String>>::default();
        let mut stderr = child.stderr.take().expect("it is piped");
        thread::spawn({
            let complaints = Arc::clone(&complaints);
            move || {
                let mut some = [0; 4096];
                while let Ok(read @ 1..) = stderr.read(&mut some) {
                    let text = String::from_utf8_lossy(&some[..read]);
                    complaints.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
                }
            }
        });
        Ok(Self { child, address, complaints })
    }

    pub fn holding(&self) -> io::Result<Holding> {
        let pid = self.child.id();
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
        let kib: u64 = kib.ok_or_else(|| io::Error::other("the server is gone"))?;
        let files = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
        let cpu = clock_gettime(clock_getcpuclockid(Pid::from_raw(pid as i32))?)?.into();
        Ok(Holding { resident: kib * 1024, files, cpu })
    }

    pub fn complaints(&self) -> String {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
