//! A proxy before the server that loses a chosen message.

use std::sync::atomic::{AtomicU16, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What is lost, and how the one who waits finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// A request does not arrive, and the connection is gone.
    Request,
    /// The first half of a request arrives, and the connection is gone.
    HalfRequest,
    /// The request arrives; the connection is gone when its answer comes.
    Answer,
    /// The first half of an answer arrives, and the connection is gone.
    HalfAnswer,
    /// A request does not arrive, and the connection stays, silent.
    SilentRequest,
    /// An answer does not arrive, and the connection stays, silent.
    SilentAnswer,
}

impl Loss {
    const fn is_of_request(self) -> bool {
        matches!(self, Self::Request | Self::HalfRequest | Self::SilentRequest)
    }
}

#[derive(Debug, Default)]
struct Plan {
    loss: Option<(Loss, usize)>,
    requests: usize,
    answers: usize,
}

/// Between clients and a server on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    port: u16,
    plan: Arc<Mutex<Plan>>,
    /// The port of the server that new connections lead to.
    server: Arc<AtomicU16>,
}

impl Proxy {
    /// New connections lead to this server, those that stand still to the one before: as an address does after a failover.
    pub(crate) fn lead_to(&self, server: u16) {
        self.server.store(server, SeqCst);
    }

    pub(crate) async fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            plan: Arc::default(),
            server: Arc::new(AtomicU16::new(server)),
        };
        let plan = Arc::clone(&proxy.plan);
        let server = Arc::clone(&proxy.server);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server.load(SeqCst))).await else {
                    continue;
                };
                let ((hear, tell), (read, write)) = (client.into_split(), server.into_split());
                let (asking, answering) = (Arc::clone(&plan), Arc::clone(&plan));
                tokio::spawn(async move {
                    // whichever ends first ends both
                    tokio::select! {
                        () = pass(hear, write, || asking.lock().unwrap().request()) => {}
                        () = pass(read, tell, || answering.lock().unwrap().answer()) => {}
                    }
                });
            }
        });
        proxy
    }

    /// Accepts connections, and says nothing on them, ever.
    pub(crate) async fn silent() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((client, _)) = listener.accept().await {
                held.push(client);
            }
        });
        Self {
            port,
            plan: Arc::default(),
            server: Arc::default(),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Loses one message: the one with this number, counted from now on.
    pub(crate) fn lose(&self, loss: Loss, number: usize) {
        *self.plan.lock().unwrap() = Plan {
            loss: Some((loss, number)),
            ..Plan::default()
        };
    }

    /// Loses nothing any more. Whether it has lost what it was told to.
    pub(crate) fn has_lost(&self) -> bool {
        self.plan.lock().unwrap().loss.take().is_none()
    }
}

impl Plan {
    fn request(&mut self) -> Option<Loss> {
        self.requests += 1;
        let number = self.requests - 1;
        self.fires(number, true)
    }

    fn answer(&mut self) -> Option<Loss> {
        self.answers += 1;
        let number = self.answers - 1;
        self.fires(number, false)
    }

    fn fires(&mut self, number: usize, request: bool) -> Option<Loss> {
        let due = |(loss, at): &mut (Loss, usize)| loss.is_of_request() == request && *at == number;
        self.loss.take_if(due).map(|(loss, _)| loss)
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut loses: impl FnMut() -> Option<Loss>) {
    let mut buffer = vec![0; 1 << 16];
    let mut silent = false;
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        match loses() {
            None if silent => {}
            None => {
                if to.write_all(&buffer[..read]).await.is_err() {
                    return;
                }
            }
            Some(Loss::SilentRequest | Loss::SilentAnswer) => silent = true,
            Some(Loss::Request | Loss::Answer) => return,
            Some(Loss::HalfRequest | Loss::HalfAnswer) => {
                let _ = to.write_all(&buffer[..read / 2]).await;
                return;
            }
        }
    }
}
