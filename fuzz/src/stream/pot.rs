//! Memory that an endpoint shares with a neighbour.

use sockeye::{Role, WebSocket, proto::connection::Inbox, stream::MemoryBudget};

use super::cancelled;
use crate::{
    config, endpoint,
    frames::{BINARY, Frame},
    habits::Habits,
    transport::Wire,
};

/// A budget, and the neighbour that has a share in it.
pub(crate) struct Pot {
    budget: MemoryBudget,
    neighbour: Option<WebSocket<Wire>>,
    /// What the neighbour holds.
    held: usize,
}

impl Pot {
    /// That of an endpoint, if it has one.
    pub(crate) fn new(habits: Habits) -> Option<Self> {
        let budget = habits.budget()?;
        let neighbour = habits.has_neighbour().then(|| neighbour(&budget));
        // One that found no memory is gone.
        let neighbour = neighbour.filter(|neighbour| neighbour.end().is_none());
        let held = budget.held();
        assert_eq!(held > 0, neighbour.is_some(), "{held} bytes are held by nobody, or none by somebody");
        Some(Self { budget, neighbour, held })
    }

    /// Gives a connection its share.
    pub(crate) fn share(&self, ws: WebSocket<Wire>) -> WebSocket<Wire> {
        ws.with_budget(&self.budget)
    }

    /// What the endpoint holds. A neighbour that takes no more than before goes on.
    pub(crate) fn held(&self) -> usize {
        let (held, limit) = (self.budget.held(), self.budget.limit());
        assert!(held <= limit, "{held} bytes are held of {limit}");
        assert!(self.neighbour.as_ref().is_none_or(|neighbour| neighbour.end().is_none()), "the neighbour ended");
        held.checked_sub(self.held).expect("the endpoint has given back more than it held")
    }

    /// Whether an endpoint that needs so many bytes may find no memory.
    pub(crate) fn may_be_spent(&self, limit: usize, needed: usize) -> bool {
        limit == self.budget.limit() && needed > limit - self.held
    }

    /// Ends: behind both, nothing is held.
    pub(crate) fn end(self) {
        assert_eq!(self.held(), 0, "bytes are held by an endpoint that is gone");
        drop(self.neighbour);
        assert_eq!(self.budget.held(), 0, "bytes are held by a neighbour that is gone");
    }
}

/// One that holds what has come of a message.
fn neighbour(budget: &MemoryBudget) -> WebSocket<Wire> {
    let (wire, mut bytes) = (Wire::new([0; 4], true), Vec::new());
    Frame::new(BINARY, [7; 300]).sent_by(Role::Client, &mut bytes);
    wire.push(&bytes);
    let now = tokio::time::Instant::now().into_std();
    let connection = endpoint(config(Role::Server, 1 << 16), Role::Server, None, now);
    let mut ws = WebSocket::new(wire, connection, Inbox::new()).with_budget(budget);
    let _ = cancelled(ws.recv(), 2);
    ws
}
