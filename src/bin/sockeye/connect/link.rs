//! One connection, or one after the other.

use std::time::Duration;

use sockeye::{
    Transport,
    client::{Happening, Loss, Reconnecting},
    proto::connection::Event as Received,
    stream::Receiver,
};

use super::sending::Sender;

/// Where things come from.
pub(super) enum Link {
    /// One connection, which is open.
    Once(Receiver<Transport>),
    /// One after the other, whenever one is lost.
    Again(Box<Again>),
}

pub(super) struct Again {
    connections: Reconnecting,
    /// How the last one failed, until that is told.
    failed: Option<sockeye::Error>,
}

/// What comes.
pub(super) enum News {
    Connected {
        sender: Sender,
        subprotocol: Option<String>,
        compressed: bool,
    },
    Received(Received),
    /// There is no connection any more, or not yet. Without another attempt, it is the end.
    Lost {
        loss: Loss,
        retry_in: Option<Duration>,
    },
}

impl Link {
    pub(super) fn again(connections: Reconnecting) -> Self {
        Self::Again(Box::new(Again { connections, failed: None }))
    }

    /// The next that comes; nothing is lost if it is not waited for.
    pub(super) async fn next(&mut self) -> News {
        match self {
            Self::Once(receiver) => match receiver.recv_event().await {
                Ok(Some(received)) => News::Received(received),
                Ok(None) => News::Lost { loss: Loss::Closed(receiver.end()), retry_in: None },
                Err(error) => News::Lost { loss: Loss::Failed(error), retry_in: None },
            },
            Self::Again(again) => again.next().await,
        }
    }
}

impl Again {
    async fn next(&mut self) -> News {
        loop {
            // Its own way to receive gives messages alone.
            if self.failed.is_none()
                && let Some(ws) = self.connections.connection()
            {
                match ws.recv_event().await {
                    Ok(Some(received)) => return News::Received(received),
                    Ok(None) => {}
                    Err(error) => self.failed = Some(error),
                }
            }
            match self.connections.next().await {
                Some(Happening::Connected) => {
                    let sender = self.connections.sender().expect("it is connected");
                    let ws = self.connections.connection().expect("it is connected");
                    let subprotocol = ws.subprotocol().map(str::to_owned);
                    return News::Connected { sender, subprotocol, compressed: ws.is_compressed() };
                }
                Some(Happening::Message(message)) => return News::Received(Received::Message(message)),
                Some(Happening::Lost { loss, retry_in }) => {
                    let loss = self.failed.take().map_or(loss, Loss::Failed);
                    return News::Lost { loss, retry_in };
                }
                // What may be added to it one day is nothing that is shown.
                Some(_) => {}
                None => return News::Lost { loss: Loss::Closed(None), retry_in: None },
            }
        }
    }
}
