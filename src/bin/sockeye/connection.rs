//! Connections as the options have them.

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sockeye::{Connect, DeflateConfig, Keepalive, client::Proxy, tls::ClientTls};

use crate::{args::ConnectionArgs, exit::Failure};

/// Whom to connect to and how, looked at once for however many connections.
pub(crate) struct Target {
    args: ConnectionArgs,
    tls: Option<ClientTls>,
    proxy: Option<Proxy>,
    keepalive: Option<Keepalive>,
}

impl Target {
    pub(crate) fn new(args: &ConnectionArgs) -> Result<Self, Failure> {
        if args.auth.as_ref().is_some_and(|auth| !auth.contains(':')) {
            return Err(Failure::usage("--auth has no colon, it is written USER:PASSWORD"));
        }
        let proxy = match args.proxy.as_deref() {
            None => None,
            Some("none") => Some(Proxy::none()),
            Some(url) => Some(Proxy::new(url).map_err(|error| Failure::usage(error.to_string()))?),
        };
        Ok(Self { args: args.clone(), tls: tls(args)?, proxy, keepalive: None })
    }

    /// Has servers given up that are silent.
    pub(crate) fn keepalive(self, keepalive: Option<Keepalive>) -> Self {
        Self { keepalive, ..self }
    }

    /// What `sockeye::connect` is to do.
    pub(crate) fn connect(&self) -> Connect {
        let args = &self.args;
        let mut connect = sockeye::connect(&*url(&args.url))
            .max_message(args.max_message.as_usize())
            .timeout(args.connect_timeout.0)
            .redirects(args.redirects);
        for (name, value) in &args.headers {
            connect = connect.header(name, value);
        }
        if let Some(origin) = &args.origin {
            connect = connect.header("Origin", origin);
        }
        if let Some(auth) = &args.auth {
            connect = connect.header("Authorization", format!("Basic {}", STANDARD.encode(auth)));
        }
        if !args.subprotocols.is_empty() {
            connect = connect.subprotocols(args.subprotocols.iter());
        }
        if args.compress {
            connect = connect.deflate(DeflateConfig::default());
        }
        if let Some(tls) = &self.tls {
            connect = connect.tls(tls.clone());
        }
        if let Some(proxy) = &self.proxy {
            connect = connect.proxy(proxy.clone());
        }
        if let Some(keepalive) = self.keepalive {
            connect = connect.keepalive(keepalive);
        }
        connect
    }
}

fn tls(args: &ConnectionArgs) -> Result<Option<ClientTls>, Failure> {
    if args.insecure {
        return Ok(Some(ClientTls::dangerously_unverified()));
    }
    let Some(file) = &args.cacert else { return Ok(None) };
    let of_file = |error: &dyn std::fmt::Display| Failure::usage(format!("{}: {error}", file.display()));
    let pem = fs::read(file).map_err(|error| of_file(&error))?;
    ClientTls::with_roots(&pem).map(Some).map_err(|error| of_file(&error))
}

/// Completes what people type: `:9001`, `localhost:9001/chat`, `https://…`.
pub(crate) fn url(typed: &str) -> String {
    let lower = typed.to_ascii_lowercase();
    if lower.starts_with("http://") || lower.starts_with("https://") {
        return format!("ws{}", &typed["http".len()..]);
    }
    if lower.contains("://") || lower.starts_with("ws+unix:") {
        return typed.to_owned();
    }
    match typed.strip_prefix(':') {
        Some(port) => format!("ws://127.0.0.1:{port}"),
        None => format!("ws://{typed}"),
    }
}

/// The same without user and password, which are not for a screen or a log.
pub(crate) fn shown_url(typed: &str) -> String {
    let whole = url(typed);
    let Some((scheme, rest)) = whole.split_once("://") else { return whole };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, resource) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{resource}")
}

#[cfg(test)]
mod tests {
    use super::{shown_url, url};

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(shown_url("ws://me:se@cret@a.example:1/b@c"), "ws://a.example:1/b@c");
        assert_eq!(shown_url("me:secret@a?b"), "ws://a?b");
        assert_eq!(shown_url(":1/a@b"), "ws://127.0.0.1:1/a@b");
        assert_eq!(shown_url("ws+unix:/a@b:/"), "ws+unix:/a@b:/");
    }

    #[test]
    fn what_is_missing_is_added() {
        assert_eq!(url(":9001/chat"), "ws://127.0.0.1:9001/chat");
        assert_eq!(url("localhost:9001"), "ws://localhost:9001");
        assert_eq!(url("https://a.example/x"), "wss://a.example/x");
        assert_eq!(url("HTTP://a"), "ws://a");
        for whole in ["wss://a", "ws+unix:/run/a.sock:/", "ftp://a"] {
            assert_eq!(url(whole), whole);
        }
    }
}
