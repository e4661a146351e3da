use std::{collections::HashMap, sync::Mutex};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{
    engineio::Sid,
    socketio::{
        adapter::{AdapterError, ClusterResponse, RequestId, ServerId},
        server::lock,
    },
};

/// How many requests of a namespace may wait for other servers at a time.
const MAX_REQUESTS: usize = 16_384;
/// How many bytes one of them takes in answers: what other servers send is theirs to choose.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// The requests that wait for the answers of other servers.
#[derive(Default)]
pub(super) struct Pending(Mutex<HashMap<RequestId, Request>>);

struct Request {
    answers: UnboundedSender<Answer>,
    /// How many bytes it may still take.
    room: usize,
}

/// What a request is told.
pub(super) enum Answer {
    /// A server has answered; who, if its adapter knows.
    Response(Option<ServerId>, ClusterResponse),
    /// One has left.
    Left(ServerId),
}

impl Pending {
    /// Makes a request, which is to be [forgotten](Self::forget).
    pub(super) fn begin(&self) -> Result<(RequestId, UnboundedReceiver<Answer>), AdapterError> {
        let mut requests = lock(&self.0);
        if requests.len() >= MAX_REQUESTS {
            return Err(AdapterError::new("too many requests wait for other servers"));
        }
        let id = RequestId::new(Sid::random().as_str());
        let (answers, receiver) = unbounded_channel();
        requests.insert(id.clone(), Request { answers, room: MAX_ANSWER_BYTES });
        Ok((id, receiver))
    }

    pub(super) fn forget(&self, id: &RequestId) {
        lock(&self.0).remove(id);
    }

    /// Hands an answer over. One that nobody waits for is ignored, and a request that has been told too much ends.
    pub(super) fn answer(&self, id: &RequestId, from: Option<&ServerId>, response: ClusterResponse) {
        let mut requests = lock(&self.0);
        let Some(request) = requests.get_mut(id) else { return };
        match request.room.checked_sub(response.cost()) {
            Some(room) => {
                request.room = room;
                let _ = request.answers.send(Answer::Response(from.cloned(), response));
            }
            None => drop(requests.remove(id)),
        }
    }

    /// Tells all that a server has left.
    pub(super) fn left(&self, server: &ServerId) {
        for request in lock(&self.0).values() {
            let _ = request.answers.send(Answer::Left(server.clone()));
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        lock(&self.0).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socketio::Arguments;

    #[test]
    fn answers_of_others_are_bounded() {
        let pending = Pending::default();
        let (id, mut answers) = pending.begin().expect("a request");
        let text = format!("[\"{}\"]", "x".repeat(1 << 20));
        let large = Arguments::from_json(text, Vec::new()).expect("arguments");
        for _ in 0..100 {
            pending.answer(&id, None, ClusterResponse::Acknowledgement(large.clone()));
        }
        let mut count = 0;
        while answers.try_recv().is_ok() {
            count += 1;
        }
        assert_eq!(count, 63, "64 MiB, less what each takes beside its bytes");
        assert!(answers.is_closed() && pending.len() == 0, "it has ended");
    }

    #[test]
    fn requests_are_bounded() {
        let pending = Pending::default();
        let begun: Vec<_> = std::iter::from_fn(|| pending.begin().ok()).collect();
        assert_eq!(begun.len(), MAX_REQUESTS);
        pending.forget(&begun[0].0);
        pending.begin().expect("there is room again");
    }

    #[test]
    fn what_nobody_waits_for_is_ignored() {
        let pending = Pending::default();
        pending.answer(&RequestId::new("?"), None, ClusterResponse::ClientCount(1));
        let (id, mut answers) = pending.begin().expect("a request");
        pending.forget(&id);
        pending.answer(&id, None, ClusterResponse::ClientCount(1));
        assert!(answers.try_recv().is_err());
    }
}
