use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{Instant, timeout_at},
};

use super::{
    Cluster,
    pending::Answer,
    roll::{Missing, Roll},
};
use crate::socketio::adapter::{AdapterError, ClusterResponse, RequestId, ServerId, Servers};

/// A request that waits for other servers. Dropped, what they answer is ignored.
pub(in crate::socketio::server) struct Asking<'a> {
    cluster: &'a Cluster,
    id: RequestId,
    roll: Roll,
    answers: UnboundedReceiver<Answer>,
}

impl<'a> Asking<'a> {
    pub(super) fn new(cluster: &'a Cluster) -> Result<Self, AdapterError> {
        let (id, answers) = cluster.pending.begin()?;
        Ok(Self { cluster, id, roll: Roll::new(Servers::Count(0)), answers })
    }

    pub(super) const fn id(&self) -> &RequestId {
        &self.id
    }

    /// These are asked.
    pub(super) fn call(&mut self, servers: Servers) {
        self.roll = Roll::new(servers);
    }

    /// Whether all have answered who will.
    pub(in crate::socketio::server) fn is_complete(&self) -> bool {
        self.roll.is_complete()
    }

    pub(in crate::socketio::server) fn missing(&self) -> Missing {
        self.roll.missing()
    }

    /// Waits for the next thing that another server, or a client of its, answers, if that is waited for. `None` is for
    /// what was told beside, such as that a server has left; `Err` if nothing comes any more, as too much has.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing that came is lost.
    pub(in crate::socketio::server) async fn next(&mut self) -> Result<Option<ClusterResponse>, ()> {
        let (from, response) = match self.answers.recv().await.ok_or(())? {
            Answer::Response(from, response) => (from, response),
            Answer::Left(server) => {
                self.roll.left(&server);
                return Ok(None);
            }
        };
        let is_due = self.note(from.as_ref(), &response);
        Ok(Some(response).filter(|_| is_due))
    }

    fn note(&mut self, from: Option<&ServerId>, response: &ClusterResponse) -> bool {
        match response {
            ClusterResponse::Sockets(_) | ClusterResponse::ServerSideEmit(_) => self.roll.answered(from, 0),
            ClusterResponse::ClientCount(clients) => self.roll.answered(from, *clients),
            ClusterResponse::Acknowledgement(_) => self.roll.acknowledged(from),
        }
    }

    /// Takes the answers until all are there, or it is late; says which ones are missing.
    pub(in crate::socketio::server) async fn gather(
        mut self,
        deadline: Instant,
        mut take: impl FnMut(ClusterResponse) + Send,
    ) -> Missing {
        while !self.is_complete() {
            match timeout_at(deadline, self.next()).await {
                Ok(Ok(response)) => response.into_iter().for_each(&mut take),
                Ok(Err(())) | Err(_) => break,
            }
        }
        self.missing()
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.cluster.pending.forget(&self.id);
    }
}
