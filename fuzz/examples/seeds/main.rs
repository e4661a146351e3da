//! Writes the seeds of every target to `seeds/<target>/`, always the same: `cargo run --example seeds`. What else is there,
//! the targets have found themselves.

use std::{collections::BTreeMap, fs, io, path::Path};

mod conversations;
mod heads;
mod pieces;
mod samples;
mod socketio;

/// The seeds of all targets: of each its name, and the seeds' names.
#[derive(Default)]
struct Seeds(BTreeMap<&'static str, BTreeMap<String, Vec<u8>>>);

impl Seeds {
    fn add(&mut self, target: &'static str, name: &str, bytes: impl Into<Vec<u8>>) {
        let earlier = self.0.entry(target).or_default().insert(name.into(), bytes.into());
        assert_eq!(earlier, None, "{target} has two seeds {name}");
    }

    fn write(&self, to: &Path) -> io::Result<usize> {
        let mut total = 0;
        for (target, seeds) in &self.0 {
            fs::create_dir_all(to.join(target))?;
            for (name, bytes) in seeds {
                fs::write(to.join(target).join(name), bytes)?;
                total += bytes.len();
            }
        }
        Ok(total)
    }
}

fn main() -> io::Result<()> {
    let mut seeds = Seeds::default();
    conversations::add(&mut seeds);
    heads::add(&mut seeds);
    pieces::add(&mut seeds);
    socketio::add(&mut seeds);
    let total = seeds.write(&Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds"))?;
    let count: usize = seeds.0.values().map(BTreeMap::len).sum();
    println!("{count} seeds of {} targets, {total} bytes", seeds.0.len());
    Ok(())
}
