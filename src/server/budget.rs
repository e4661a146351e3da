use std::net::{IpAddr, Ipv6Addr};

/// What a server allows all its connections together.
///
/// | limit | a client over it gets |
/// |---|---|
/// | `max_connections` | 503, without being read |
/// | `max_per_address` | 429, without being read |
/// | `max_bytes` | Close 1013 |
///
/// The response's body and the Close's reason name the limit. While 128 clients are being told so, more are closed without
/// a word.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Budget {
    /// Connections at once, those in their handshake included (default: 16,384, at least 1; each takes a file descriptor
    /// of the process).
    pub max_connections: u32,
    /// Connections at once from one IPv4 address or one IPv6 network of 64 bits (default: no limit, as behind a proxy all
    /// come from one).
    pub max_per_address: Option<u32>,
    /// Bytes that are held of unfinished messages, of queued output and of the state of permessage-deflate, of which a
    /// connection with the usual settings takes 418 KiB while it has a context (default: 4 GiB, so some 10,000 of these).
    pub max_bytes: usize,
}

/// As far as there are so many.
const MAX_BYTES: usize = match 1_usize.checked_shl(32) {
    Some(bytes) => bytes,
    None => usize::MAX,
};

impl Default for Budget {
    fn default() -> Self {
        Self { max_connections: 16 * 1024, max_per_address: None, max_bytes: MAX_BYTES }
    }
}

impl Budget {
    /// Sets how many connections there may be.
    #[must_use]
    pub const fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections;
        self
    }

    /// Sets or unsets how many connections there may be from one address.
    #[must_use]
    pub const fn max_per_address(mut self, connections: Option<u32>) -> Self {
        self.max_per_address = connections;
        self
    }

    /// Sets how many bytes may be held.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }
}

/// Whom an address belongs to: an IPv6 host has a whole network of 64 bits to choose from.
pub(super) fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_and_a_mapped_ipv4_address_are_one_household() {
        let of = |address: &str| household(address.parse().expect("an address"));
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
