//! A proxy before the server that counts what is asked, and cuts a connection at a chosen place, or swallows what is said on all of them.
//!
//! It knows where messages end: what the client sends up to and including a `Sync` or a simple `Query` is one request, what the server
//! sends up to and including `ReadyForQuery` is one answer. So a request is a round trip.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Where to cut: what is cut off never arrives, and nothing after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The request with this number, counted from the plan on.
    Request(usize),
    /// The answer with this number.
    Answer(usize),
}

#[derive(Debug, Default)]
struct Plan {
    cut: Option<Cut>,
    requests: usize,
    answers: usize,
    /// How many statements were prepared.
    prepared: usize,
    /// New connections are turned away.
    is_closed: bool,
}

impl Plan {
    fn at_request(&mut self) -> bool {
        self.requests += 1;
        let this = Cut::Request(self.requests - 1);
        self.cut.take_if(|cut| *cut == this).is_some()
    }

    fn at_answer(&mut self) -> bool {
        self.answers += 1;
        let this = Cut::Answer(self.answers - 1);
        self.cut.take_if(|cut| *cut == this).is_some()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    plan: Arc<Mutex<Plan>>,
    swallows: Arc<AtomicBool>,
}

impl Proxy {
    /// Before this port of this machine.
    pub(crate) async fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let plan = Arc::<Mutex<Plan>>::default();
        let proxy = Self {
            port,
            plan: Arc::clone(&plan),
            swallows: Arc::default(),
        };
        let swallows = Arc::clone(&proxy.swallows);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if plan.lock().unwrap().is_closed {
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else {
                    continue;
                };
                // held-back small packets would make every test wait for acknowledgements
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let ((hear, tell), (read, write)) = (client.into_split(), server.into_split());
                let (asking, answering) = (Arc::clone(&plan), Arc::clone(&plan));
                let swallows = Arc::clone(&swallows);
                tokio::spawn(async move {
                    // whichever ends first ends both
                    tokio::select! {
                        () = pass(hear, write, Frames::of_client(), &swallows, move |prepared| {
                            let mut plan = asking.lock().unwrap();
                            plan.prepared += prepared;
                            plan.at_request()
                        }) => {}
                        () = pass(read, tell, Frames::of_server(), &swallows, move |_| answering.lock().unwrap().at_answer()) => {}
                    }
                });
            }
        });
        proxy
    }

    /// Counts anew, and cuts once, there.
    pub(crate) fn cut(&self, cut: impl Into<Option<Cut>>) {
        *self.plan.lock().unwrap() = Plan {
            cut: cut.into(),
            ..Plan::default()
        };
    }

    /// Turns new connections away, or no more.
    pub(crate) fn close(&self, is_closed: bool) {
        self.plan.lock().unwrap().is_closed = is_closed;
    }

    /// Lets nothing through any more, in either direction, and keeps the connections, new ones as well; or lets all through again. What
    /// was swallowed stays so.
    pub(crate) fn swallow(&self, all: bool) {
        self.swallows.store(all, SeqCst);
    }

    /// How many statements were prepared since the last plan.
    pub(crate) fn prepared(&self) -> usize {
        self.plan.lock().unwrap().prepared
    }

    /// How many requests there were since the last plan.
    pub(crate) fn requests(&self) -> usize {
        self.plan.lock().unwrap().requests
    }

    /// Cuts no more. Whether it has cut.
    pub(crate) fn has_cut(&self) -> bool {
        self.plan.lock().unwrap().cut.take().is_none()
    }
}

/// Finds the ends of messages in a stream of bytes.
struct Frames {
    buffer: Vec<u8>,
    /// How much of the buffer are whole messages of the piece that is being collected.
    whole: usize,
    /// The client's first message has no type.
    is_first: bool,
    ends: &'static [u8],
    /// `Parse` messages of the piece.
    prepared: usize,
}

impl Frames {
    fn of_client() -> Self {
        Self {
            buffer: Vec::new(),
            whole: 0,
            is_first: true,
            ends: b"SQ",
            prepared: 0,
        }
    }

    /// A notification comes unasked, and must not wait for an answer.
    fn of_server() -> Self {
        Self {
            buffer: Vec::new(),
            whole: 0,
            is_first: false,
            ends: b"ZA",
            prepared: 0,
        }
    }

    /// The next whole piece, and whether it counts: a request, or an answer to one.
    fn next(&mut self) -> Option<(Vec<u8>, bool)> {
        loop {
            let rest = &self.buffer[self.whole..];
            let header = if self.is_first { 4 } else { 5 };
            let length: [u8; 4] = rest.get(header - 4..header)?.try_into().unwrap();
            let end = header - 4 + usize::try_from(u32::from_be_bytes(length)).unwrap();
            if rest.len() < end {
                return None;
            }
            let kind = if self.is_first { 0 } else { rest[0] };
            self.whole += end;
            self.prepared += usize::from(kind == b'P');
            if self.is_first || self.ends.contains(&kind) {
                self.is_first = false;
                let piece = self.buffer.drain(..self.whole).collect();
                self.whole = 0;
                return Some((piece, matches!(kind, b'S' | b'Q' | b'Z')));
            }
        }
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut frames: Frames,
    swallows: &AtomicBool,
    mut is_cut: impl FnMut(usize) -> bool,
) {
    let mut chunk = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        frames.buffer.extend_from_slice(&chunk[..read]);
        while let Some((piece, counts)) = frames.next() {
            if swallows.load(SeqCst) {
                continue;
            }
            if (counts && is_cut(std::mem::take(&mut frames.prepared))) || to.write_all(&piece).await.is_err()
            {
                return;
            }
        }
    }
    // the last words of whoever hung up
    let _ = to.write_all(&frames.buffer).await;
}
