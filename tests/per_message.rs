//! What messages cost in instructions and system calls, which do not depend on how fast or busy the machine
//! is: the release build of `examples/echo_server`, under valgrind and strace.
//!
//! `cargo test --test per_message -- --ignored --nocapture`

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sockeye::{
    Config, DeflateConfig, Limits, Role,
    proto::{
        connection::{Connection, DeflateSettings, Inbox},
        extension::deflate::DeflateAgreed,
        handshake::same_secret,
    },
};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// What a load costs the server in all.
type Cost = fn(&Load) -> u64;

/// Echoes of binary messages over one connection.
#[derive(Clone, Copy)]
struct Load {
    /// How many messages are sent at once, whose replies are then waited for.
    in_flight: usize,
    payload: usize,
    rounds: usize,
}

impl Load {
    /// What a round costs, without what the start, the handshake and the end cost.
    fn cost_of_round(self, cost: Cost) -> f64 {
        const MORE: usize = 500;
        let (few, many) = (Self { rounds: 200, ..self }, Self { rounds: 200 + MORE, ..self });
        cost(&many).saturating_sub(cost(&few)) as f64 / MORE as f64
    }

    fn run(&self, address: &str) {
        let mut io = TcpStream::connect(address).unwrap();
        io.set_nodelay(true).unwrap();
        io.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        io.write_all(REQUEST.as_bytes()).unwrap();
        let mut head = vec![];
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            io.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let payload: Vec<u8> = (0..self.payload).map(|at| at as u8).collect();
        let (request, reply) = (frame(&payload, Some([1, 2, 3, 4])), frame(&payload, None));
        let (requests, replies) = (request.repeat(self.in_flight), reply.repeat(self.in_flight));
        let mut got = vec![0; replies.len()];
        for _ in 0..self.rounds {
            io.write_all(&requests).unwrap();
            io.read_exact(&mut got).unwrap();
            assert!(got == replies, "the echo is not what was sent");
        }
    }
}

fn frame(payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let mask_bit = if key.is_some() { 0x80 } else { 0 };
    let mut frame = vec![0x82];
    match payload.len() {
        len @ ..126 => frame.push(mask_bit | len as u8),
        len => {
            frame.push(mask_bit | 126);
            frame.extend_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
        }
    }
    frame.extend_from_slice(&key.unwrap_or_default()[..if key.is_some() { 4 } else { 0 }]);
    let key = key.unwrap_or_default();
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// The echo server under a tool.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(tool: &[&str]) -> Self {
        let mut child = Command::new(tool[0])
            .args(&tool[1..])
            .arg(echo_server())
            .args(["--listen", "127.0.0.1:0", "--threads", "1", "--no-deflate"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", tool[0]));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ws://").expect("the server says where it listens");
        Self { child, address: address.to_owned() }
    }

    /// Ends it as a tired user would, so that the tool can still say what it saw.
    fn stop(mut self) {
        let killed = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        self.child.wait().unwrap();
    }
}

/// The release build of the example.
fn echo_server() -> PathBuf {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let args = ["build", "--quiet", "--release", "--example", "echo_server", "--manifest-path", manifest];
    assert!(Command::new(env!("CARGO")).args(args).status().unwrap().success());
    let target = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/target").into(), PathBuf::from);
    target.join("release/examples/echo_server")
}

/// What a tool wrote about a run.
fn report(tool: &[&str], option: &str, load: &Load) -> String {
    let file = env::temp_dir().join(format!("per-message-{}-{}", tool[0], std::process::id()));
    let option = format!("{option}{}", file.display());
    let server = Server::start(&[tool, &[&option]].concat());
    load.run(&server.address);
    server.stop();
    // A tracer that has detached itself may still be writing.
    for _ in 0..100 {
        let report = fs::read_to_string(&file).unwrap_or_default();
        if report.contains("total") {
            fs::remove_file(&file).unwrap();
            return report;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{} left no report", tool[0]);
}

fn instructions(load: &Load) -> u64 {
    let report = report(&["valgrind", "--tool=callgrind"], "--callgrind-out-file=", load);
    let totals = report.lines().find_map(|line| line.strip_prefix("totals: ")).expect("callgrind says the total");
    totals.trim().parse().unwrap()
}

fn system_calls(load: &Load) -> u64 {
    let report = report(&["strace", "-D", "-f", "-c"], "--output=", load);
    let total = report.lines().find(|line| line.ends_with("total")).expect("strace says the total");
    // % time, seconds, µs a call, calls, errors, "total"
    total.split_whitespace().nth(3).unwrap().parse().unwrap()
}

#[test]
#[ignore = "needs valgrind"]
fn instructions_per_message() {
    for (in_flight, payload, most) in [(64, 20, 480.0), (1, 20, 4200.0), (64, 1000, 2200.0)] {
        let load = Load { in_flight, payload, rounds: 0 };
        let each = load.cost_of_round(instructions) / in_flight as f64;
        println!("{in_flight} in flight of {payload} B: {each:.0} instructions a message");
        assert!(each <= most, "{each:.0} instructions a message, {most} at most");
    }
}

#[test]
#[ignore = "needs strace"]
fn system_calls_per_read() {
    for (in_flight, payload) in [(64, 20), (1, 20), (16, 1000)] {
        let load = Load { in_flight, payload, rounds: 0 };
        let each = load.cost_of_round(system_calls);
        println!("{in_flight} in flight of {payload} B: {each:.2} system calls for all of them");
        // Wait, read, write; and a few more where the reader was faster than the load.
        assert!(each <= 3.5, "{each:.2} system calls");
    }
}

/// What the test below runs under valgrind, with a guess from outside.
#[test]
#[ignore = "does nothing by itself"]
fn compares_a_guess() {
    if let Ok(guess) = env::var("GUESS") {
        std::hint::black_box(same_secret(&guess, SECRET));
    }
}

const SECRET: &str = "correct horse battery staple";

/// T25 of `tests/hostile`: each guess of a length costs the same, wherever it is wrong.
#[test]
#[ignore = "needs valgrind"]
fn guess_of_a_secret_costs_the_same_wherever_it_is_wrong() {
    let cost = |guess: &str| instructions_of("compares_a_guess", "*same_secret*", ("GUESS", guess));
    let right = cost(SECRET);
    assert!(right > 28 * 4, "{right} instructions for 28 bytes: nothing was compared");
    let flip = |at: usize| SECRET.bytes().enumerate().map(|(i, byte)| char::from(byte ^ u8::from(i == at))).collect();
    for guess in [0, 1, 14, 27].map(flip).into_iter().chain(["x".repeat(28)]) {
        let guess: String = guess;
        assert_eq!(cost(&guess), right, "{guess}");
    }
    let (short, long) = (cost("correct horse"), cost("correct hors!"));
    assert_eq!(short, long);
    assert!(short < right, "what is longer costs more");
    println!("{right} instructions for any guess of 28 bytes");
}

/// What the test below runs under valgrind, with what the message has had before from outside.
#[test]
#[ignore = "does nothing by itself"]
fn inflates_fragments_of_one_byte() {
    let Ok(before) = env::var("BEFORE") else { return };
    let block = [7; 1000];
    let agreed = DeflateAgreed {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    };
    let deflate = DeflateSettings { config: DeflateConfig::default(), agreed };
    let limits = Limits::trusted().max_message(64 << 20).max_inflated(64 << 20);
    let mut connection = Connection::server(Config::new(Role::Server).limits(limits), Some(&deflate), Instant::now());
    let mut wire = masked(0x42, &stored(&block));
    for _ in 0..before.parse().unwrap() {
        wire.extend(masked(0, &stored(&[7; 50_000])));
    }
    assert!(!take_in(&mut connection, &wire));
    let wire: Vec<u8> = stored(&block).iter().flat_map(|byte| masked(0, &[*byte])).collect();
    assert!(!take_in_fragments(&mut connection, &wire));
    assert!(take_in(&mut connection, &masked(0x80, &[0])), "the message is whole");
}

/// A block that is stored as it is (RFC 1951 §3.2.4).
fn stored(block: &[u8]) -> Vec<u8> {
    let len = block.len() as u16;
    [&[0], &len.to_le_bytes()[..], &(!len).to_le_bytes(), block].concat()
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let long = (payload.len() as u16).to_be_bytes();
    match payload.len() {
        len @ ..126 => [&[first, 0x80 | len as u8, 0, 0, 0, 0], payload].concat(),
        _ => [&[first, 0xfe, long[0], long[1], 0, 0, 0, 0], payload].concat(),
    }
}

/// What is counted.
#[inline(never)]
fn take_in_fragments(connection: &mut Connection, wire: &[u8]) -> bool {
    take_in(connection, wire)
}

/// Says whether a message has become whole.
#[inline(never)]
fn take_in(connection: &mut Connection, wire: &[u8]) -> bool {
    let mut inbox = Inbox::new();
    wire.chunks(16 * 1024).any(|piece| {
        inbox.extend(piece);
        connection.receive(&mut inbox, Instant::now()).expect("nothing is wrong").is_some()
    })
}

/// T20 of `tests/hostile`, with compression: a fragment costs the same in a message of 1 kB as in one of 1 MB.
#[test]
#[ignore = "needs valgrind"]
fn compressed_fragment_of_one_byte_costs_the_same_however_much_came_before() {
    let cost = |before: u32| {
        let collect = "*take_in_fragments*";
        instructions_of("inflates_fragments_of_one_byte", collect, ("BEFORE", &before.to_string())) / 1005
    };
    let (behind_little, behind_much) = (cost(0), cost(20));
    println!("{behind_little} instructions a fragment behind 1 kB, {behind_much} behind 1 MB");
    assert!(behind_much * 10 < behind_little * 12, "{behind_little} and {behind_much} instructions");
}

/// How many instructions one of the tests here has in the functions that `collect` names, with a variable set.
fn instructions_of(test: &str, collect: &str, (name, value): (&str, &str)) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={collect}"))
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--test-threads", "1"])
        .env(name, value)
        .output()
        .expect("valgrind is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    let collected = report.lines().find_map(|line| line.split_once("Collected : ")).expect("callgrind says it").1;
    collected.trim().parse::<u64>().unwrap()
}
