//! The processes that are measured.

use std::{
    fs,
    io::{self, BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    time::{clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};

/// The core of what is measured, and that of the load.
const MEASURED: usize = 0;
const LOAD: usize = 1;

/// A process on the measured core, which ends with this value.
pub struct Process(Child);

/// A server that has said where it listens.
pub struct Server {
    pub process: Process,
    pub address: SocketAddr,
}

/// Whether there is a core for each side; if not, they share one.
pub fn has_two_cores() -> bool {
    std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1)
}

/// Puts this thread, and what it starts from now on, on one core.
fn pin(core: usize) -> io::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &cores)?)
}

impl Process {
    pub fn start(command: &mut Command, two_cores: bool) -> io::Result<Self> {
        pin(MEASURED)?;
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        pin(if two_cores { LOAD } else { MEASURED })?;
        child.map(Self)
    }

    /// What all its threads have used, by the kernel's account, to the nanosecond.
    pub fn cpu_time(&self) -> Duration {
        let clock = clock_getcpuclockid(self.pid()).expect("the process is there");
        clock_gettime(clock).expect("the clock has just been there").into()
    }

    /// The bytes of memory that are its own or shared, and in use.
    pub fn resident(&self) -> io::Result<u64> {
        let status = fs::read_to_string(PathBuf::from(format!("/proc/{}/status", self.pid())))?;
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
        kib.map(|kib: u64| kib * 1024).ok_or_else(|| io::Error::other("the process has no VmRSS"))
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id() as i32)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    /// Starts a server, and waits until it says `listening on ws://HOST:PORT`, or http.
    pub fn start(command: &mut Command, two_cores: bool) -> io::Result<Self> {
        let mut process = Process::start(command.stdout(Stdio::piped()), two_cores)?;
        let mut line = String::new();
        BufReader::new(process.0.stdout.take().expect("it is piped")).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on ").and_then(|url| url.split_once("://")?.1.parse().ok());
        let address = address.ok_or_else(|| io::Error::other(format!("the server says {line:?}")))?;
        Ok(Self { process, address })
    }
}
