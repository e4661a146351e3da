//! Socket.IO, revision 5 of its protocol (feature `socketio`): events with acknowledgements, in rooms and namespaces, for the
//! clients of node's library and others.

mod args;
pub mod packet;
mod server;

pub use self::{
    args::{ArgumentsError, FromArguments, ToArguments, Value},
    packet::Arguments,
    server::{
        Ack, AckError, Acknowledged, Broadcast, BroadcastAckError, Config, ConnectError, DisconnectReason, Emit,
        EmitError, Event, EventError, EventHandler, IntoOutcome, IntoReply, Namespace, Namespaces, OfAck, OfArguments,
        OfSocket, Recovery, Reply, Server, Socket,
    },
};
