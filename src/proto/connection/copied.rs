//! How many payload bytes are copied, which tests count.

#[cfg(test)]
thread_local! {
    static COPIED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Takes note of payload bytes that are copied.
#[inline(always)]
pub(super) fn copied(len: usize) {
    #[cfg(test)]
    COPIED.set(COPIED.get() + len);
    #[cfg(not(test))]
    let _ = len;
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::proto::{
        connection::{Config, Connection, Delivery, Event, Inbox, Message, Role},
        frame::MaskingKey,
    };

    /// How many bytes a server copies for each byte of a message that it echoes, in and out.
    fn copies_of_an_echo(len: usize) -> [f64; 2] {
        let now = Instant::now();
        let key = MaskingKey([1, 2, 3, 4]);
        let mut client = Connection::client(Config::new(Role::Client), None, Box::new(move || key), now);
        let mut server = Connection::server(Config::new(Role::Server).max_message(len), None, now);
        client.send(&vec![7; len].into()).unwrap();
        let bytes = client.take_output();
        let before = COPIED.get();
        let message = receive(&mut server, &bytes, now);
        assert!(message.len() == len && message.as_bytes().iter().all(|&byte| byte == 7));
        let between = COPIED.get();
        server.send(&message).unwrap();
        [(between - before) as f64 / len as f64, (COPIED.get() - between) as f64 / len as f64]
    }

    /// Gives a connection bytes as the stream floor does: into the inbox, or straight into a large frame's message.
    fn receive(server: &mut Connection, mut bytes: &[u8], now: Instant) -> Message {
        let mut inbox = Inbox::new();
        loop {
            #[cfg(feature = "stream")]
            let direct = server.receive.direct(Delivery::Whole);
            #[cfg(not(feature = "stream"))]
            let direct = None::<(&mut Vec<u8>, usize)>;
            let taken = match direct {
                Some((message, room)) => {
                    message.extend_from_slice(&bytes[..room]);
                    #[cfg(feature = "stream")]
                    server.receive.received_directly(room).unwrap();
                    room
                }
                None => {
                    let len = bytes.len().min(inbox.capacity());
                    inbox.extend(&bytes[..len]);
                    len
                }
            };
            bytes = &bytes[taken..];
            if let Some(Event::Message(message)) = server.receive_as(&mut inbox, Delivery::Whole, now).unwrap() {
                return message;
            }
        }
    }

    #[test]
    fn small_message_is_copied_once_in_and_once_out() {
        for len in [1, 20, 1024, 15_000] {
            assert_eq!(copies_of_an_echo(len), [1.0, 1.0], "{len} bytes");
        }
    }

    #[test]
    fn large_message_is_shared_on_its_way_out() {
        assert_eq!(copies_of_an_echo(60_000), [1.0, 0.0]);
    }

    /// All but its first 64 KiB is read where it belongs; what is counted are the moves when its buffer doubles.
    #[cfg(feature = "stream")]
    #[test]
    fn larger_message_is_copied_only_as_its_buffer_grows() {
        let [inward, outward] = copies_of_an_echo(4 << 20);
        assert!(inward < 1.1, "{inward} bytes copied for each that came in");
        assert!(outward == 0.0, "{outward} bytes copied for each that went out");
    }
}
