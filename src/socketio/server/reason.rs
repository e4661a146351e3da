use crate::engineio::CloseReason;

/// Why a socket is disconnected, in node's words.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum DisconnectReason {
    /// The client's connection has ended, or the client has ended it.
    TransportClose,
    /// A transport failed: a message over the limit, a poll that was given up.
    TransportError,
    /// The client did not answer a ping in time.
    PingTimeout,
    /// The client sent what is no packet of Engine.IO.
    ParseError,
    /// The client sent what is no packet of Socket.IO, or the session was closed below.
    ForcedClose,
    /// The client has left the namespace.
    ClientNamespaceDisconnect,
    /// [`Socket::disconnect`](super::Socket::disconnect).
    ServerNamespaceDisconnect,
    /// [`Server::close`](super::Server::close).
    ServerShuttingDown,
}

impl DisconnectReason {
    /// node's words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::PingTimeout => "ping timeout",
            Self::ParseError => "parse error",
            Self::ForcedClose => "forced close",
            Self::ClientNamespaceDisconnect => "client namespace disconnect",
            Self::ServerNamespaceDisconnect => "server namespace disconnect",
            Self::ServerShuttingDown => "server shutting down",
        }
    }
}

impl DisconnectReason {
    /// Whether the client may come back and go on: nobody wanted it to leave.
    pub(super) const fn is_recoverable(self) -> bool {
        match self {
            Self::TransportClose
            | Self::TransportError
            | Self::PingTimeout
            | Self::ForcedClose
            | Self::ServerShuttingDown => true,
            Self::ParseError | Self::ClientNamespaceDisconnect | Self::ServerNamespaceDisconnect => false,
        }
    }
}

impl From<CloseReason> for DisconnectReason {
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::TransportClose => Self::TransportClose,
            CloseReason::TransportError => Self::TransportError,
            CloseReason::ForcedClose => Self::ForcedClose,
            CloseReason::PingTimeout => Self::PingTimeout,
            CloseReason::ParseError => Self::ParseError,
        }
    }
}

impl std::fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
