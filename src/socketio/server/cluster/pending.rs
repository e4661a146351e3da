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
/// How many all of them take.
const MAX_BYTES: usize = 256 << 20;

/// The requests that wait for the answers of other servers.
#[derive(Default)]
pub(super) struct Pending(Mutex<State>);

#[derive(Default)]
struct State {
    requests: HashMap<RequestId, Request>,
    /// How many bytes all of them have taken.
    bytes: usize,
}

struct Request {
    answers: UnboundedSender<Answer>,
    bytes: usize,
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
        let requests = &mut lock(&self.0).requests;
        if requests.len() >= MAX_REQUESTS {
            return Err(AdapterError::new("too many requests wait for other servers"));
        }
        let id = RequestId::new(Sid::random().as_str());
        let (answers, receiver) = unbounded_channel();
        requests.insert(id.clone(), Request { answers, bytes: 0 });
        Ok((id, receiver))
    }

    pub(super) fn forget(&self, id: &RequestId) {
        lock(&self.0).remove(id);
    }

    /// Hands an answer over. One that nobody waits for is ignored, and a request that has been told too much ends.
    pub(super) fn answer(&self, id: &RequestId, from: Option<&ServerId>, response: ClusterResponse) {
        let cost = response.cost();
        let mut state = lock(&self.0);
        let all = state.bytes.saturating_add(cost);
        let Some(request) = state.requests.get_mut(id) else { return };
        let bytes = request.bytes.saturating_add(cost);
        if bytes > MAX_ANSWER_BYTES || all > MAX_BYTES {
            return state.remove(id);
        }
        request.bytes = bytes;
        let _ = request.answers.send(Answer::Response(from.cloned(), response));
        state.bytes = all;
    }

    /// Tells all that a server has left.
    pub(super) fn left(&self, server: &ServerId) {
        for request in lock(&self.0).requests.values() {
            let _ = request.answers.send(Answer::Left(server.clone()));
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        lock(&self.0).requests.len()
    }
}

impl State {
    fn remove(&mut self, id: &RequestId) {
        self.bytes -= self.requests.remove(id).map_or(0, |request| request.bytes);
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
    fn answers_of_all_requests_are_bounded() {
        let pending = Pending::default();
        let large = Arguments::from_json(format!("[\"{}\"]", "x".repeat(1 << 20)), Vec::new()).expect("arguments");
        let begun: Vec<_> = (0..10).map(|_| pending.begin().expect("a request")).collect();
        for (id, _) in &begun {
            for _ in 0..60 {
                pending.answer(id, None, ClusterResponse::Acknowledgement(large.clone()));
            }
        }
        assert_eq!(pending.len(), 4, "256 MiB are four times sixty, and a rest");
        assert!(lock(&pending.0).bytes <= MAX_BYTES);
        begun.iter().for_each(|(id, _)| pending.forget(id));
        assert_eq!(lock(&pending.0).bytes, 0);
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
