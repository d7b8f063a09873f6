//! Counts round trips on the wire: a relay in front of a server, and every time its client speaks after the server has spoken.

use crate::Failure;
use crate::load::Caller;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A relay. It counts over all its connections.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<AtomicU64>);

impl Turns {
    /// Listens in front of `server` (`host:port`); where, and the count.
    pub(crate) async fn in_front_of(server: String) -> Result<(String, Self), Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, turns) = (listener.local_addr()?.to_string(), Self::default());
        let counting = turns.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(server) = TcpStream::connect(&server).await {
                    counting.clone().relay(client, server);
                }
            }
        });
        Ok((address, turns))
    }

    fn relay(self, client: TcpStream, server: TcpStream) {
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let client_spoke_last = Arc::new(AtomicBool::new(false));
        let server_speaks = Arc::clone(&client_spoke_last);
        tokio::spawn(async move {
            let mut bytes = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = from_client.read(&mut bytes).await {
                if !client_spoke_last.swap(true, SeqCst) {
                    self.0.fetch_add(1, SeqCst);
                }
                if to_server.write_all(&bytes[..read]).await.is_err() {
                    return;
                }
            }
        });
        tokio::spawn(async move {
            let mut bytes = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = from_server.read(&mut bytes).await {
                server_speaks.store(false, SeqCst);
                if to_client.write_all(&bytes[..read]).await.is_err() {
                    return;
                }
            }
        });
    }

    /// Round trips per call of one caller, in hundredths, as text; after a few calls that connect and prepare.
    pub(crate) async fn per_call(&self, mut caller: impl Caller) -> Result<String, Failure> {
        const CALLS: u64 = 100;
        for _ in 0..10 {
            caller.call().await?;
        }
        let before = self.0.load(SeqCst);
        for _ in 0..CALLS {
            caller.call().await?;
        }
        let hundredths = self.0.load(SeqCst) - before;
        Ok(format!("{}.{:02}", hundredths / CALLS, hundredths % CALLS))
    }
}
