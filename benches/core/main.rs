//! Parts of the core by themselves: `cargo bench --bench core`.

mod echo;
mod frames;
mod text;

use sockeye::proto::frame::MaskingKey;

fn main() {
    divan::main();
}

const KEY: MaskingKey = MaskingKey([0x37, 0xfa, 0x21, 0x3d]);
