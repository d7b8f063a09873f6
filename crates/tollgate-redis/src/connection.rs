//! One connection to a server, made again whenever it was lost or fell silent.

use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{
    Client, Cmd, ErrorKind, IntoConnectionInfo, Pipeline, RedisError, RedisResult, ServerErrorKind, Value,
};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The driver's manager makes a connection again when it was closed. Three kinds it keeps, and this replaces with a new manager: one
/// that is open and silent (the machine at its other end is gone, a firewall has forgotten it), which the operating system would keep
/// for a quarter of an hour; one that the server did not let in (a password that changes, too many clients), which it would never
/// try again; and one to a server that has become a replica.
pub(crate) struct Connection {
    client: Client,
    config: ConnectionManagerConfig,
    current: Mutex<Current>,
}

#[derive(Clone)]
struct Current {
    manager: ConnectionManager,
    generation: u64,
}

impl Connection {
    /// Prepares one; nothing is sent before it is asked for something. Within a tokio runtime.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub(crate) fn to(
        url: &str,
        connect_timeout: Duration,
        response_timeout: Duration,
    ) -> Result<Self, RedisError> {
        let info = url.into_connection_info()?;
        // questions are small and wait for nobody: Nagle's algorithm would hold them back
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = Client::open(info)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(connect_timeout))
            .set_response_timeout(Some(response_timeout))
            // one more try, soon: whoever asks waits for it, and knows best whether to ask again
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(100));
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), config.clone())?;
        Ok(Self {
            client,
            config,
            current: Mutex::new(Current {
                manager,
                generation: 0,
            }),
        })
    }

    /// Where to, without user and password.
    pub(crate) fn server(&self) -> String {
        self.client.get_connection_info().addr().to_string()
    }

    /// Sends a command. An error that the server answers with is an error here.
    pub(crate) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        let mut current = self.current().clone();
        let found = current.manager.send_packed_command(command).await;
        // an error inside an answer would otherwise pass for a value
        let found = found.and_then(Value::extract_error);
        self.look_at(&found, current.generation);
        found
    }

    /// Sends several commands at once: one answer for each.
    pub(crate) async fn send_all(&self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        let mut current = self.current().clone();
        let found = current
            .manager
            .req_packed_commands(commands, 0, commands.len())
            .await;
        self.look_at(&found, current.generation);
        found
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Turns away from a connection that is of no use any more. Whoever else waits there may still get an answer.
    fn look_at<T>(&self, found: &RedisResult<T>, generation: u64) {
        if !matches!(found, Err(error) if is_spent(error)) {
            return;
        }
        let mut current = self.current();
        if current.generation != generation {
            return;
        }
        let (client, config) = (self.client.clone(), self.config.clone());
        if let Ok(manager) = ConnectionManager::new_lazy_with_config(client, config) {
            current.manager = manager.clone();
            current.generation += 1;
            drop(current);
            // connects at once, whether or not anybody waits for it
            tokio::spawn(async move {
                let mut manager = manager;
                let _ = manager.send_packed_command(&redis::cmd("PING")).await;
            });
        }
    }
}

/// Whether the driver's manager would go on with a connection that is of no use. A log-in fails as the first, the choice of a database
/// as the second of these; scripts of ours fail as the second only where they lack a right. The other two say that a primary has become
/// a replica: after a failover the address leads to the new one, and the connection still to the old.
fn is_spent(error: &RedisError) -> bool {
    use ServerErrorKind::{MasterDown, ReadOnly, ResponseError};
    let refused = matches!(
        error.kind(),
        ErrorKind::AuthenticationFailed | ErrorKind::Server(ResponseError | ReadOnly | MasterDown)
    );
    error.is_timeout() || refused
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("server", &self.server())
            .finish_non_exhaustive()
    }
}
