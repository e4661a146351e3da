use std::cell::RefCell;

use crate::proto::frame::MaskingKey;

/// How many keys one call to the operating system brings.
const BLOCK: usize = 256;

struct Block {
    keys: [[u8; 4]; BLOCK],
    used: usize,
}

thread_local! {
    static KEYS: RefCell<Block> = const { RefCell::new(Block { keys: [[0; 4]; BLOCK], used: BLOCK }) };
}

/// The next masking key: from the operating system's generator, used once (RFC 6455 §5.3 and §10.3).
///
/// # Panics
///
/// If the operating system has no random numbers, without which nothing can be sent safely.
pub(super) fn next_key() -> MaskingKey {
    KEYS.with_borrow_mut(|block| {
        if block.used == BLOCK {
            let bytes = block.keys.as_flattened_mut();
            getrandom::fill(bytes).expect("the operating system has random numbers");
            block.used = 0;
        }
        let key = std::mem::take(&mut block.keys[block.used]);
        block.used += 1;
        MaskingKey(key)
    })
}
