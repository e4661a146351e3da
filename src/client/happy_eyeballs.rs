use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpStream, lookup_host},
    task::JoinSet,
    time::timeout,
};

/// How long an attempt has for itself (RFC 8305 §8: "recommended … 250 milliseconds").
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to the first address of a host that answers (RFC 8305): the families in turn, each attempt a little behind
/// the one before.
pub(super) async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses = interleave(lookup_host((host, port)).await?);
    let tcp = match addresses[..] {
        [] => return Err(io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"))),
        [address] => TcpStream::connect(address).await?,
        _ => race(addresses).await?,
    };
    // Small messages must not wait for each other's acknowledgements.
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

async fn race(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut ahead = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut failure = None;
    loop {
        if let Some(address) = ahead.next() {
            attempts.spawn(TcpStream::connect(address));
        }
        let delay = if ahead.len() == 0 { Duration::MAX } else { ATTEMPT_DELAY };
        match timeout(delay, attempts.join_next()).await {
            Ok(Some(Ok(Ok(tcp)))) => return Ok(tcp),
            Ok(Some(Ok(Err(error)))) => drop(failure.get_or_insert(error)),
            Ok(Some(Err(error))) => drop(failure.get_or_insert(io::Error::other(error))),
            Ok(None) => return Err(failure.unwrap_or_else(|| io::Error::other("no attempt was made"))),
            // The next one starts beside those that are under way.
            Err(_) => {}
        }
    }
}

/// RFC 8305 §4: the families in turn, the resolver's first choice in front.
fn interleave(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses = addresses.peekable();
    let six_first = addresses.peek().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses.partition(|address| address.is_ipv6() == six_first);
    let mut second = second.into_iter();
    let mut mixed: Vec<SocketAddr> =
        first.into_iter().flat_map(|address| [Some(address), second.next()]).flatten().collect();
    mixed.extend(second);
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let parse = |addresses: &[&str]| -> Vec<SocketAddr> {
            addresses.iter().map(|address| address.parse().expect("an address")).collect()
        };
        for (given, mixed) in [
            (&["[::1]:1", "[::2]:1", "1.1.1.1:1"][..], &["[::1]:1", "1.1.1.1:1", "[::2]:1"][..]),
            (&["1.1.1.1:1", "[::1]:1", "[::2]:1", "[::3]:1"], &["1.1.1.1:1", "[::1]:1", "[::2]:1", "[::3]:1"]),
            (&["1.1.1.1:1"], &["1.1.1.1:1"]),
            (&[], &[]),
        ] {
            assert_eq!(interleave(parse(given).into_iter()), parse(mixed));
        }
    }

    #[tokio::test]
    async fn address_that_refuses_does_not_hide_one_that_answers() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let answers = listener.local_addr().expect("bound");
        let refuses = {
            let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            unused.local_addr().expect("bound")
        };
        for addresses in [vec![refuses, answers], vec![answers, refuses], vec![refuses, refuses, answers]] {
            assert_eq!(race(addresses).await.expect("one answers").peer_addr().expect("connected"), answers);
        }
        let error = race(vec![refuses, refuses]).await.expect_err("none answers");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
