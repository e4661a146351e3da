//! Events that servers of a cluster send each other.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex},
};

use tokio::runtime::Handle;

use super::{AdapterError, EmitError, EventError, IntoReply, Namespace, client::poll_caught, lock, log};
use crate::{
    Utf8Bytes,
    socketio::{
        ArgumentsError, FromArguments, ToArguments,
        adapter::{ClusterEvent, ClusterMessage, ClusterResponse, RequestId, ServerId},
        packet::Arguments,
    },
    stream::after,
};

/// Names that node's servers keep for themselves.
const RESERVED: [&str; 3] = ["connect", "connection", "new_namespace"];
/// How many bytes of events of other servers may wait for their listeners.
const MAX_WAITING: usize = 16 << 20;
/// What one takes beside its bytes.
const OVERHEAD: usize = 200;

/// What is done for an event of another server, and what that is answered.
type Hearing = Pin<Box<dyn Future<Output = Result<Option<Arguments>, EventError>> + Send>>;
/// A listener, whatever it decodes.
type Listener = Arc<dyn Fn(&Arguments) -> Hearing + Send + Sync>;

/// Who listens to which events of other servers.
#[derive(Default)]
pub(super) struct ServerListeners(Mutex<Vec<(Box<str>, Listener)>>);

/// An event of another server.
pub(super) struct Job {
    pub(super) name: Utf8Bytes,
    pub(super) arguments: Arguments,
    /// Who waits for an answer.
    pub(super) answer: Option<(ServerId, RequestId)>,
}

/// The events that wait for those in front of them.
#[derive(Default)]
pub(super) struct Queue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    bytes: usize,
    /// Whether a task sees to them.
    is_running: bool,
}

impl ServerListeners {
    pub(super) fn on<T, F>(&self, event: &str, listener: impl Fn(T) -> F + Send + Sync + 'static)
    where
        T: FromArguments,
        F: Future<Output: IntoReply> + Send + 'static,
    {
        let listener: Listener = Arc::new(move |arguments| match T::from_arguments(arguments) {
            Ok(arguments) => {
                let hearing = listener(arguments);
                Box::pin(async move { hearing.await.answer() })
            }
            Err(error) => Box::pin(std::future::ready(Err(error.into()))),
        });
        lock(&self.0).push((event.into(), listener));
    }

    fn off(&self, event: &str) {
        lock(&self.0).retain(|(name, _)| **name != *event);
    }

    fn of(&self, event: &str) -> Vec<Listener> {
        let listeners = lock(&self.0);
        listeners.iter().filter(|(name, _)| **name == *event).map(|(_, listener)| Arc::clone(listener)).collect()
    }
}

impl Queue {
    /// Queues an event; says whether a task is to be begun for it, or nothing if there is no room.
    fn push(&self, job: Job) -> Option<bool> {
        let mut waiting = lock(&self.0);
        let bytes = job.cost();
        if waiting.bytes + bytes > MAX_WAITING {
            return None;
        }
        waiting.bytes += bytes;
        waiting.jobs.push_back(job);
        Some(!std::mem::replace(&mut waiting.is_running, true))
    }

    /// The next one; if there is none, its task ends.
    fn pop(&self) -> Option<Job> {
        let mut waiting = lock(&self.0);
        let job = waiting.jobs.pop_front();
        match &job {
            Some(job) => waiting.bytes -= job.cost(),
            None => waiting.is_running = false,
        }
        job
    }

    /// The task could not be begun.
    fn clear(&self) {
        *lock(&self.0) = Waiting::default();
    }
}

impl Job {
    fn cost(&self) -> usize {
        OVERHEAD + self.name.len() + self.arguments.len()
    }
}

impl Namespace {
    /// Has a listener told of an event that other servers of the cluster [send](Self::server_side_emit). A
    /// [`Reply`](super::Reply) that it returns answers the server that asked; if there are several listeners, the first
    /// that replies does.
    ///
    /// Events of other servers are handled one after the other, in the order in which they came.
    ///
    /// ```
    /// # use sockeye::socketio::{Reply, Server};
    /// # let io = Server::new();
    /// io.on_server_side("forget", |user: String| async move { println!("{user} has changed") });
    /// let counted = io.clone();
    /// io.on_server_side("count", move |()| {
    ///     let count = counted.len();
    ///     async move { Reply(count) }
    /// });
    /// ```
    pub fn on_server_side<T, F>(&self, event: &str, listener: impl Fn(T) -> F + Send + Sync + 'static)
    where
        T: FromArguments,
        F: Future<Output: IntoReply> + Send + 'static,
    {
        self.hooks().server_side.on(event, listener);
    }

    /// Has events of this name that other servers send heard no more.
    pub fn off_server_side(&self, event: &str) {
        self.hooks().server_side.off(event);
    }

    /// Sends an event to all other servers of the cluster, not to this one and not to clients. A server that is alone sends
    /// it nowhere.
    ///
    /// # Errors
    ///
    /// [`EmitError`]: the caller's fault, and nothing was sent.
    pub fn server_side_emit(&self, event: &str, arguments: impl ToArguments) -> Result<(), EmitError> {
        let event = server_event(event, &arguments)?;
        if let Some(cluster) = self.cluster() {
            cluster.tell(ClusterMessage::ServerSideEmit { event, request: None });
        }
        Ok(())
    }

    /// Sends an event to all other servers of the cluster, and waits for what their listeners reply, for as long as
    /// [`Config::cluster_timeout`](super::Config::cluster_timeout) says. A server that is alone has no answers.
    ///
    /// # Errors
    ///
    /// [`ClusterError`], with the answers that have come, if a server has not answered in time or what it did is not what is
    /// wanted.
    ///
    /// # Cancel safety
    ///
    /// The event is sent when this has been polled once or a few times; dropped, the answers are ignored.
    pub async fn server_side_emit_with_ack<T: FromArguments + Send>(
        &self,
        event: &str,
        arguments: impl ToArguments,
    ) -> Result<Vec<T>, ClusterError<T>> {
        let event = server_event(event, &arguments).map_err(ClusterError::Emit)?;
        drop(arguments);
        let Some(cluster) = self.cluster() else { return Ok(Vec::new()) };
        let deadline = after(cluster.timeout());
        let make = |request| ClusterMessage::ServerSideEmit { event, request: Some(request) };
        let asking = cluster.ask(deadline, make).await.map_err(ClusterError::Adapter)?;
        let (mut responses, mut fault) = (Vec::new(), None);
        let missing = asking.gather(deadline, |response| {
            if let ClusterResponse::ServerSideEmit(arguments) = response {
                match T::from_arguments(&arguments) {
                    Ok(response) => responses.push(response),
                    Err(error) => fault = Some(error),
                }
            }
        });
        match (missing.await.servers, fault) {
            (0, None) => Ok(responses),
            (missing, fault) => Err(ClusterError::Missing { responses, missing, fault }),
        }
    }

    /// An event of another server has come; whether there was room for it.
    pub(super) fn hear_server(&self, job: Job) -> bool {
        let Some(cluster) = self.cluster() else { return true };
        let Some(is_first) = cluster.heard.push(job) else { return false };
        if is_first {
            let Ok(runtime) = Handle::try_current() else {
                cluster.heard.clear();
                return false;
            };
            let namespace = self.downgrade();
            runtime.spawn(async move {
                while let Some(namespace) = namespace.upgrade()
                    && let Some(job) = namespace.cluster().and_then(|cluster| cluster.heard.pop())
                {
                    namespace.hear(job).await;
                }
            });
        }
        true
    }

    /// Has the listeners of an event run, one after the other.
    async fn hear(&self, job: Job) {
        let mut answer = job.answer;
        for listener in self.hooks().server_side.of(&job.name) {
            let arguments = job.arguments.clone();
            // What decodes and calls may panic as well.
            let mut hearing: Hearing = Box::pin(async move { listener(&arguments).await });
            match poll_fn(|cx| poll_caught(hearing.as_mut(), cx)).await.unwrap_or(Err(EventError::Panicked)) {
                Ok(Some(reply)) => {
                    if let Some(answer) = answer.take() {
                        self.answer_server(&answer, reply);
                    }
                }
                Ok(None) => {}
                Err(error) => log::server_side(self, &job.name, &error),
            }
        }
    }
}

fn server_event(name: &str, arguments: &impl ToArguments) -> Result<ClusterEvent, EmitError> {
    if RESERVED.contains(&name) {
        return Err(EmitError::ReservedName(name.into()));
    }
    Ok(ClusterEvent { name: name.into(), arguments: arguments.to_arguments()? })
}

/// Why other servers of the cluster have not answered, or not all.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ClusterError<T> {
    /// The event could not be sent: the caller's fault.
    #[error(transparent)]
    Emit(EmitError),
    /// The adapter has failed, and nobody was asked.
    #[error(transparent)]
    Adapter(AdapterError),
    /// Some servers have not answered in time, or have left.
    #[error("{missing} servers have not answered")]
    Missing {
        /// What has come.
        responses: Vec<T>,
        /// How many servers have not answered.
        missing: usize,
        /// The last answer that was not what is wanted, if one was.
        fault: Option<ArgumentsError>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_wait_are_bounded_by_bytes() {
        let queue = Queue::default();
        let arguments = Arguments::from_json(format!("[\"{}\"]", "x".repeat(1 << 20)), Vec::new()).expect("arguments");
        let mut push = || queue.push(Job { name: "e".into(), arguments: arguments.clone(), answer: None });
        assert_eq!(push(), Some(true));
        let more = std::iter::from_fn(&mut push).take_while(|is_first| !is_first).count();
        assert_eq!(more, 14, "16 MiB, less what each takes beside its bytes");
        while queue.pop().is_some() {}
        assert_eq!(lock(&queue.0).bytes, 0);
        let job = Job { name: "e".into(), arguments, answer: None };
        assert_eq!(queue.push(job), Some(true), "its task has ended");
    }
}
