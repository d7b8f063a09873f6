//! One thread writes: what waits together shares one transaction and one flush.

use crate::error::step_failed;
use rusqlite::Connection;
use std::fmt;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tollgate_core::store::StoreError;
use tollgate_core::{Clock, Timestamp};

/// More steps than this do not share a transaction, so that no answer waits for too many others.
const MOST_PER_COMMIT: usize = 256;

/// However long the last transaction took, nobody is waited for longer: a flush takes a fraction of this, or a few times as much, and
/// all that takes longer (a large collection, a disk that hangs for once) says nothing about who comes next.
pub(crate) const MOST_PATIENCE: Duration = Duration::from_millis(5);

pub(crate) struct Writer {
    jobs: Mutex<Option<Sender<Box<dyn Job>>>>,
    thread: Option<JoinHandle<()>>,
}

/// A step with its place for the answer.
trait Job: Send {
    /// Runs inside the transaction. When it fails, it is to be rolled back.
    fn run(&mut self, connection: &Connection, now: Timestamp) -> Result<(), StoreError>;

    /// Answers, once it is known whether the transaction was committed.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Step<T, F> {
    step: Option<F>,
    done: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Step<T, F>
where
    T: Send,
    F: FnOnce(&Connection, Timestamp) -> rusqlite::Result<T> + Send,
{
    fn run(&mut self, connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
        let Some(step) = self.step.take() else {
            return Err(StoreError::unavailable("the step ran before"));
        };
        let done = step(connection, now).map_err(step_failed);
        let ran = done.as_ref().map(|_| ()).map_err(StoreError::clone);
        self.done = Some(done);
        ran
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let answer = match (self.done, committed) {
            (Some(Ok(value)), Ok(())) => Ok(value),
            (Some(Ok(_)) | None, Err(error)) => Err(error),
            (Some(Err(error)), _) => Err(error),
            (None, Ok(())) => Err(StoreError::unavailable("the step did not run")),
        };
        // nobody may be waiting any more; the step happened all the same
        let _ = self.reply.send(answer);
    }
}

impl Writer {
    pub(crate) fn start(connection: Connection, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let (jobs, queue) = channel();
        let thread = std::thread::Builder::new()
            .name("tollgate-sqlite".into())
            .spawn(move || write(&connection, &*clock, &queue))?;
        Ok(Self {
            jobs: Mutex::new(Some(jobs)),
            thread: Some(thread),
        })
    }

    pub(crate) fn submit<T, F>(&self, step: F) -> Answer<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, Timestamp) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Step {
            step: Some(step),
            done: None,
            reply,
        };
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jobs) = &*jobs {
            // should the thread be gone, the reply is dropped with the job and the answer says so
            let _ = jobs.send(Box::new(job));
        }
        Answer(answer)
    }
}

impl Drop for Writer {
    /// Lets the thread finish what was asked of it, and waits for that: a process that ends right after loses nothing.
    fn drop(&mut self) {
        self.jobs.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

fn write(connection: &Connection, clock: &dyn Clock, queue: &Receiver<Box<dyn Job>>) {
    let (mut expected, mut took) = (1, Duration::ZERO);
    while let Ok(first) = queue.recv() {
        let mut batch = gather(queue, first, expected, patience(took));
        expected = batch.len();
        let committed = match begin(connection) {
            Ok(()) => {
                let started = Instant::now();
                let committed = commit(connection, clock, &mut batch);
                took = started.elapsed();
                committed
            }
            Err(error) => {
                // who came meanwhile waited for the same lock: nobody waits for it again and again behind others
                batch.extend(queue.try_iter());
                Err(step_failed(error))
            }
        };
        for job in batch {
            job.answer(committed.clone());
        }
    }
}

/// How long to wait for those who were answered together, when their transaction took so long.
pub(crate) fn patience(took: Duration) -> Duration {
    (took / 4).min(MOST_PATIENCE)
}

/// What goes into one transaction: all that is there, and who comes within this time, until there are as many as `expected`.
///
/// Callers who were answered together ask again at about the same time. If the first of them went at once, it would have a flush for
/// itself, and all the others would wait for it. So as many as last time are waited for, for a part of what the last commit took (at most
/// [`MOST_PATIENCE`]), and a caller that was alone is not delayed.
pub(crate) fn gather<J>(queue: &Receiver<J>, first: J, expected: usize, patience: Duration) -> Vec<J> {
    let mut batch = vec![first];
    batch.extend(queue.try_iter().take(MOST_PER_COMMIT - 1));
    let started = Instant::now();
    while batch.len() < expected
        && let Some(left) = patience.checked_sub(started.elapsed())
        && let Ok(next) = queue.recv_timeout(left)
    {
        batch.push(next);
    }
    batch
}

/// Takes the lock, for which another process may be waited for. If it fails, nothing has begun.
fn begin(connection: &Connection) -> rusqlite::Result<()> {
    if !connection.is_autocommit() {
        // an earlier rollback failed: without this one, no transaction would ever begin again
        tell(connection, "rollback")?;
    }
    // immediate: a deferred transaction that turns into a writing one can fail as busy without waiting
    tell(connection, "begin immediate")
}

fn commit(connection: &Connection, clock: &dyn Clock, batch: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    // only now: another process may have held the lock for seconds, and leases count from the moment they are written
    let now = clock.now();
    for job in batch {
        tell(connection, "savepoint step").map_err(|error| abandon(connection, error))?;
        match job.run(connection, now) {
            Ok(()) => {}
            // a full disk and the like: SQLite has rolled back the whole transaction by itself
            Err(error) if connection.is_autocommit() => return Err(error),
            Err(_) => tell(connection, "rollback to step").map_err(|error| abandon(connection, error))?,
        }
        tell(connection, "release step").map_err(|error| abandon(connection, error))?;
    }
    // the flush may have reached the disk before it failed
    tell(connection, "commit").map_err(|error| abandon(connection, error).possibly_applied())
}

/// Runs a statement without parameters, which is parsed once: every step needs several.
fn tell(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

/// Rolls everything back. Should that fail too, the next batch tries again.
fn abandon(connection: &Connection, error: rusqlite::Error) -> StoreError {
    let _ = tell(connection, "rollback");
    step_failed(error)
}

/// The answer to a step. Dropping it does not stop the step.
pub struct Answer<T>(oneshot::Receiver<Result<T, StoreError>>);

impl<T> Future for Answer<T> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(Pin::new(&mut self.0).poll(cx)) {
            Ok(answer) => answer,
            Err(_) => Err(StoreError::unavailable("the SQLite writer is gone").possibly_applied()),
        })
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer(..)")
    }
}
