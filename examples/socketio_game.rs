//! A game for many: fish that their players steer, in a world that is here; 30 times in a second everybody is told where
//! everything is, in bytes. An update that a slow client cannot take is dropped, as the next one is worth more.
//!
//! ```text
//! npm ci --prefix tests/interop    # the client for the page; or name one with --client DIR
//! cargo run --release --features socketio --example socketio_game -- --port 3000
//! ```
//!
//! Open <http://127.0.0.1:3000/> in two windows, and steer with the arrow keys, W A S D, or a pointer.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::Router;
use bytes::{BufMut, Bytes, BytesMut};
use sockeye::socketio::{ConnectError, EmitError, Namespace, Server, Socket};
use tokio::time::{MissedTickBehavior, interval};

#[path = "support/socketio.rs"]
mod support;

/// How often everybody is told.
const TICK: Duration = Duration::from_nanos(1_000_000_000 / 30);
/// How large the world is, and how fast a fish gets in a tick.
const WIDTH: f32 = 1600.0;
const HEIGHT: f32 = 900.0;
const SPEED: f32 = 11.0;
/// How near anything comes to the banks.
const MARGIN: f32 = 40.0;
/// How much of the wanted speed a fish takes on in a tick.
const AGILITY: f32 = 0.15;
/// How near a fish has to come to what it eats.
const REACH: f32 = 45.0;
/// How much there is to eat, and how many may come.
const SHRIMPS: usize = 24;
const MAX_FISH: usize = 64;
const LONGEST_NAME: usize = 16;

#[derive(Clone, Copy, Default)]
struct Vector {
    x: f32,
    y: f32,
}

struct Fish {
    name: String,
    at: Vector,
    speed: Vector,
    wanted: Vector,
    score: u16,
}

struct World {
    fish: BTreeMap<u16, Fish>,
    shrimps: Vec<Vector>,
    /// Whether fish have come or gone since their names were told.
    has_changed: bool,
}

/// The number of a socket's fish; attached to it.
#[derive(Clone, Copy)]
struct Number(u16);

type Shared = Arc<Mutex<World>>;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let options = support::options(&[]);
    let io = Server::with_config(options.config());
    let shrimps = (0..SHRIMPS).map(|_| Vector::anywhere()).collect();
    let world = Shared::new(Mutex::new(World { fish: BTreeMap::new(), shrimps, has_changed: false }));
    let entered = Arc::clone(&world);
    io.on_connect(move |socket: Socket| {
        let entered = enter(&socket, &entered);
        async move { entered }
    });
    let full = Arc::clone(&world);
    io.middleware(move |_| {
        let is_full = lock(&full).fish.len() >= MAX_FISH;
        async move { if is_full { Err(ConnectError::new("The river is full.")) } else { Ok(()) } }
    });
    tokio::spawn(run((*io).clone(), world));
    options.serve(include_str!("support/socketio_game.html"), Router::new(), io).await
}

/// Moves the world, and tells everybody.
async fn run(everybody: Namespace, world: Shared) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        if !everybody.is_empty() {
            let (state, names) = {
                let mut world = lock(&world);
                world.tick();
                (world.encode(), world.changed_names())
            };
            // In JSON, as it changes seldom; and no more often than the rest, however many come and go.
            if let Some(names) = names {
                let _ = everybody.emit("names", names);
            }
            // Bytes can be sent, and `state` is nobody else's name.
            let _ = everybody.volatile().emit("state", state);
        }
    }
}

/// A fish for a player.
fn enter(socket: &Socket, world: &Shared) -> Result<(), EmitError> {
    let said = socket.auth::<serde_json::Value>().unwrap_or_default();
    let name = said["name"].as_str().unwrap_or_default().trim();
    let name: String = name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    let number = lock(world).add(if name.is_empty() { "Nobody".into() } else { name });
    socket.insert(Number(number));
    socket.emit("welcome", (number, WIDTH, HEIGHT))?;
    let steered = Arc::clone(world);
    socket.on("steer", move |socket: Socket, direction: Bytes| {
        if let (Some(Number(number)), [x, y]) = (socket.extension(), &direction[..]) {
            lock(&steered).steer(number, x.cast_signed(), y.cast_signed());
        }
        async {}
    });
    let left = Arc::clone(world);
    socket.on_disconnect(move |socket, _reason| {
        if let Some(Number(number)) = socket.extension() {
            lock(&left).remove(number);
        }
        async {}
    });
    Ok(())
}

fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    fn add(&mut self, name: String) -> u16 {
        let number = (0..u16::MAX).find(|number| !self.fish.contains_key(number)).unwrap_or_default();
        let fish = Fish { name, at: Vector::anywhere(), speed: Vector::default(), wanted: Vector::default(), score: 0 };
        self.fish.insert(number, fish);
        self.has_changed = true;
        number
    }

    fn remove(&mut self, number: u16) {
        self.fish.remove(&number);
        self.has_changed = true;
    }

    /// Whose the fish are, if that has changed since it was asked.
    fn changed_names(&mut self) -> Option<Vec<(u16, String)>> {
        let names = |world: &Self| world.fish.iter().map(|(number, fish)| (*number, fish.name.clone())).collect();
        std::mem::take(&mut self.has_changed).then(|| names(self))
    }

    /// What a player wants, from -127 to 127 in both directions; no more than full speed.
    fn steer(&mut self, number: u16, x: i8, y: i8) {
        if let Some(fish) = self.fish.get_mut(&number) {
            let (x, y) = (f32::from(x) / 127.0, f32::from(y) / 127.0);
            let length = x.hypot(y).max(1.0);
            fish.wanted = Vector { x: x / length * SPEED, y: y / length * SPEED };
        }
    }

    fn tick(&mut self) {
        for fish in self.fish.values_mut() {
            fish.speed.x += (fish.wanted.x - fish.speed.x) * AGILITY;
            fish.speed.y += (fish.wanted.y - fish.speed.y) * AGILITY;
            fish.at.x = (fish.at.x + fish.speed.x).clamp(MARGIN, WIDTH - MARGIN);
            fish.at.y = (fish.at.y + fish.speed.y).clamp(MARGIN, HEIGHT - MARGIN);
            for shrimp in &mut self.shrimps {
                if (shrimp.x - fish.at.x).hypot(shrimp.y - fish.at.y) < REACH {
                    *shrimp = Vector::anywhere();
                    fish.score = fish.score.saturating_add(1);
                }
            }
        }
    }

    /// How many fish there are; of each its number, place, direction and score; then the places of the shrimps. All in two
    /// bytes, but for the direction, which is one for each coordinate. The page reads it with a `DataView`.
    fn encode(&self) -> Bytes {
        let mut state = BytesMut::with_capacity(2 + 10 * self.fish.len() + 4 * self.shrimps.len());
        state.put_u16(u16::try_from(self.fish.len()).unwrap_or(u16::MAX));
        for (number, fish) in &self.fish {
            state.put_u16(*number);
            fish.at.put(&mut state);
            state.put_i8(rounded(fish.speed.x / SPEED * 127.0));
            state.put_i8(rounded(fish.speed.y / SPEED * 127.0));
            state.put_u16(fish.score);
        }
        for shrimp in &self.shrimps {
            shrimp.put(&mut state);
        }
        state.freeze()
    }
}

impl Vector {
    fn anywhere() -> Self {
        #[allow(clippy::cast_precision_loss, reason = "it need not be exact")]
        let random = || getrandom::u32().unwrap_or_default() as f32 / u32::MAX as f32;
        let between = |end: f32| MARGIN + random() * (end - 2.0 * MARGIN);
        Self { x: between(WIDTH), y: between(HEIGHT) }
    }

    fn put(self, state: &mut BytesMut) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is inside of the world")]
        let [x, y] = [self.x as u16, self.y as u16];
        state.put_u16(x);
        state.put_u16(y);
    }
}

fn rounded(value: f32) -> i8 {
    #[allow(clippy::cast_possible_truncation, reason = "`as` stays inside of the type")]
    let rounded = value.round() as i8;
    rounded
}
