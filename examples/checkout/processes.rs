//! The four processes: started, killed, started again on the same port.

use crate::Error;
use crate::net::Client;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// One process in one role.
#[derive(Debug)]
pub struct Process {
    role: &'static str,
    args: Vec<String>,
    child: Child,
    port: u16,
}

impl Process {
    async fn start(role: &'static str, data: &Path, more: &[(&str, String)]) -> Result<Self, Error> {
        std::fs::create_dir_all(data)?;
        let mut args = vec![
            "--role".into(),
            role.into(),
            "--data".into(),
            data.display().to_string(),
        ];
        for (name, value) in more {
            args.extend([(*name).to_owned(), value.clone()]);
        }
        let (child, port) = spawn(role, &args, 0).await?;
        Ok(Self {
            role,
            args,
            child,
            port,
        })
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn client(&self) -> Client {
        Client::new(self.url(), Duration::from_secs(20))
    }

    /// SIGKILL: no handler runs, nothing is flushed, nothing is said.
    pub async fn kill(&mut self) -> Result<(), Error> {
        self.child
            .kill()
            .await
            .map_err(|error| format!("{}: {error}", self.role).into())
    }

    /// The same process again, at the same address, over the same files.
    pub async fn start_again(&mut self) -> Result<(), Error> {
        (self.child, self.port) = spawn(self.role, &self.args, self.port).await?;
        Ok(())
    }
}

async fn spawn(role: &str, args: &[String], port: u16) -> Result<(Child, u16), Error> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(args)
        .args(["--port", &port.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = child.stdout.take().ok_or("no standard output")?;
    let mut lines = BufReader::new(stdout).lines();
    let ready = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await;
    let line = match ready {
        Ok(Ok(Some(line))) => line,
        Ok(_) => return Err(format!("the {role} process ended before it was ready").into()),
        Err(_) => return Err(format!("the {role} process was not ready after 20 s").into()),
    };
    let port = line.rsplit(':').next().and_then(|port| port.parse().ok());
    let port = port.ok_or_else(|| format!("the {role} process said {line:?}"))?;
    Ok((child, port))
}

/// All four.
#[derive(Debug)]
pub struct Town {
    pub folder: PathBuf,
    pub acquirer: Process,
    pub inventory: Process,
    pub shipping: Process,
    pub merchant: Process,
}

impl Town {
    pub async fn start(folder: &Path) -> Result<Self, Error> {
        let acquirer = Process::start("acquirer", &folder.join("acquirer"), &[]).await?;
        let inventory = Process::start("inventory", &folder.join("inventory"), &[]).await?;
        let shipping = Process::start("shipping", &folder.join("shipping"), &[]).await?;
        let urls = [
            ("--acquirer", acquirer.url()),
            ("--inventory", inventory.url()),
            ("--shipping", shipping.url()),
        ];
        let merchant = Process::start("merchant", &folder.join("merchant"), &urls).await?;
        Ok(Self {
            folder: folder.to_owned(),
            acquirer,
            inventory,
            shipping,
            merchant,
        })
    }

    pub async fn stop(&mut self) {
        for process in [
            &mut self.merchant,
            &mut self.shipping,
            &mut self.inventory,
            &mut self.acquirer,
        ] {
            let _ = process.kill().await;
        }
    }
}
