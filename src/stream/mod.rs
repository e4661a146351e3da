//! Connections on tokio, over any `AsyncRead + AsyncWrite`.

mod budget;
mod buffers;
mod cork;
mod futures;
mod interrupts;
mod metrics;
#[cfg(feature = "socketio")]
mod queue;
mod reader;
mod receiver;
mod sender;
mod served;
mod shared;
mod timer;
mod wakers;
mod websocket;
mod writer;

pub use self::{
    budget::MemoryBudget,
    futures::{Recv, Send},
    metrics::Metrics,
    reader::MessageReader,
    receiver::Receiver,
    sender::Sender,
    served::serve_connection,
    websocket::{Parts, WebSocket},
    writer::MessageWriter,
};
#[cfg(any(feature = "client", feature = "server"))]
pub(crate) use self::{interrupts::read_some, timer::after};
