//! Seeds of the targets in which an endpoint talks with a peer.

use sockeye::Role;
use sockeye_fuzz::{frames::Frame, script::Setup};

use super::{Seeds, samples};

/// What an endpoint is told to do, in the steps of `conversation`, `stream` and `echo`.
const CORE: [&[[u8; 2]]; 4] = [
    &[],
    &[[3, 20], [0, 40], [6, 5], [7, 6], [4, 4], [12, 9], [5, 25], [11, 1], [2, 60], [13, 40]],
    &[[8, 1], [9, 4], [0, 10], [6, 3], [10, 0x83], [3, 70], [12, 100], [1, 200], [14, 9], [15, 1]],
    &[[13, 80], [0, 3], [8, 0], [9, 5], [11, 0], [3, 1], [13, 255], [15, 0]],
];
const STREAM: [&[[u8; 2]]; 6] = [
    &[],
    &[[2, 0], [0, 10], [2, 3], [6, 32], [0, 40], [4, 7], [9, 1], [7, 40], [8, 3], [14, 9], [1, 100]],
    &[[0, 30], [5, 33], [12, 1], [6, 66], [6, 7], [10, 3], [12, 0], [2, 5], [13, 30], [11, 5], [0, 200]],
    &[[1, 80], [10, 0x83], [2, 7], [15, 100], [6, 160], [3, 2], [14, 3], [15, 0]],
    &[
        [12, 0],
        [0, 40],
        [2, 3],
        [6, 8],
        [0, 40],
        [4, 3],
        [14, 12],
        [12, 3],
        [3, 3],
        [6, 112],
        [22, 120],
        [14, 112],
        [0, 90],
        [2, 1],
        [8, 1],
    ],
    &[[0, 60], [6, 127], [12, 10], [15, 13], [11, 2], [13, 200], [15, 9]],
];
const ECHO: [&[[u8; 2]]; 5] = [
    &[[0, 9], [4, 0], [0, 9], [0, 19], [0, 39], [4, 2], [0, 59], [0, 9], [4, 30], [0, 99], [4, 0], [0, 19], [0, 49]],
    &[[4, 0], [0, 20], [0, 40], [0, 40], [4, 3], [0, 20], [0, 90], [4, 1], [0, 30], [6, 1], [0, 100], [4, 0], [0, 90]],
    &[],
    &[[0, 10], [4, 0], [2, 30], [4, 10], [0, 100], [6, 10], [7, 20]],
    &[[2, 40], [4, 1], [7, 9], [0, 9]],
];

/// Messages for a peer that does not read, Pings between, and time.
const SLOW_CORE: [[u8; 2]; 13] = [
    [3, 11],
    [3, 7],
    [6, 4],
    [5, 6],
    [3, 12],
    [13, 60],
    [0, 30],
    [3, 10],
    [12, 200],
    [3, 5],
    [13, 255],
    [15, 0],
    [11, 1],
];
const SLOW_STREAM: [[u8; 2]; 14] = [
    [12, 2],
    [6, 90],
    [6, 82],
    [9, 1],
    [15, 89],
    [7, 88],
    [0, 60],
    [2, 1],
    [13, 12],
    [10, 0x60],
    [8, 0x81],
    [12, 60],
    [13, 250],
    [8, 0x99],
];
const SLOW_ECHO: [[u8; 2]; 9] = [[4, 0], [0, 80], [0, 90], [6, 60], [0, 90], [4, 20], [6, 250], [0, 90], [4, 2]];

pub fn add(seeds: &mut Seeds) {
    habits(seeds);
    for (number, (name, frames, deflate)) in samples::all().into_iter().enumerate() {
        let of_client = wire(Role::Client, &frames, number);
        let of_server = wire(Role::Server, &frames, number);
        let setup = setup(number, deflate);
        for (target, scripts, bytes) in [
            ("server", &CORE[..], &of_client),
            ("client", &CORE, &of_server),
            ("server_stream", &STREAM, &of_client),
            ("client_stream", &STREAM, &of_server),
            ("served", &ECHO, &of_client),
        ] {
            let script = scripts[number % scripts.len()];
            let length = script.len() as u8;
            seeds.add(target, &name, [&setup[..], &[length], script.as_flattened(), bytes].concat());
        }
        if !deflate {
            let (is_client, bytes) = if number % 2 == 0 { (1, &of_server) } else { (0, &of_client) };
            let cuts = [255, 255, 3, 40];
            seeds.add("tungstenite", &name, [&[is_client], &cuts[..], bytes].concat());
        }
    }
}

/// Each choice of a limit or habit once, with a talk that meets it: waiting, sizes, shared.
fn habits(seeds: &mut Seeds) {
    let choices = (1..4_u8).flat_map(|choice| (0..8).map(move |of| (choice, of)));
    for (choice, of) in choices.chain((4..8).map(|choice| (choice, 8))).chain([(3, 8)]) {
        let bits = choice << (of % 4 * 2);
        let habits = match of {
            // A policy is met where little may be queued.
            0 => [bits | 8, 0, 0],
            2 => [bits | choice % 3 + 1 | 8, 0, 0],
            1 | 3 => [bits, 0, choice << 4],
            4..8 => [0, bits, 0],
            _ => [0, 0, choice | 8],
        };
        for (target, peer, script) in [
            ("server", Role::Client, &SLOW_CORE[..]),
            ("client", Role::Server, &SLOW_CORE),
            ("server_stream", Role::Client, &SLOW_STREAM),
            ("client_stream", Role::Server, &SLOW_STREAM),
            ("served", Role::Client, &SLOW_ECHO),
        ] {
            let deflate = of == 5;
            let name = if deflate { "12-dynamic" } else { ["10-many-0", "2.10-pings"][usize::from(of == 7)] };
            let samples = samples::all();
            let (_, frames, _) = samples.iter().find(|(sample, ..)| sample == name).expect("it is one of them");
            let flags = u8::from(deflate) | if of == 3 { Setup::KEEPALIVE } else { 0 };
            let front = [flags, 0, 9, 0, 0, 0, 0, habits[0], habits[1], habits[2], script.len() as u8];
            let bytes = [&front[..], script.as_flattened(), &wire(peer, frames, 1)].concat();
            seeds.add(target, &format!("14-{of}-{choice}"), bytes);
        }
    }
}

/// Who the endpoint is: each of a few ways in turn.
fn setup(number: usize, deflate: bool) -> [u8; 10] {
    const FLAGS: [u8; 7] = [
        0,
        8,
        Setup::CONTIGUOUS | 24,
        Setup::UNLIMITED | 8,
        Setup::UNLIMITED,
        Setup::KEEPALIVE | 16,
        Setup::NO_SERVER_CONTEXT | Setup::NO_CLIENT_CONTEXT,
    ];
    const PACES: [[u8; 4]; 3] = [[0; 4], [0x83, 0x45, 0, 0x80], [0x41, 0x40, 0x81, 0x7f]];
    let flags = FLAGS[number % FLAGS.len()] | if deflate { Setup::DEFLATE } else { 0 };
    let [a, b, c, d] = PACES[number % PACES.len()];
    let (sizes, cut) = match number % 10 {
        4 => (4, 255),
        // A large message comes first; the cut says of which kind.
        9 => (Setup::LARGE, (number * 7) as u8),
        _ => (0, [0, 3, 255][number / 2 % 3]),
    };
    [flags, sizes, cut, a, b, c, d, 0, 0, 0]
}

/// As a peer of `role` sends them; a key of zeros leaves the payload open to mutations.
fn wire(role: Role, frames: &[Frame], number: usize) -> Vec<u8> {
    let key = if number.is_multiple_of(3) { [0x37, 0xfa, 0x21, 0x3d] } else { [0; 4] };
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| frame.encode((role == Role::Client).then_some(key), &mut bytes));
    bytes
}
