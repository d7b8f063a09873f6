//! In Redis, where the recipe comes from: `SET NX PX`.

use crate::Error;
use redis::aio::ConnectionManager;
use redis::cmd;
use std::time::Duration;

#[derive(Clone)]
pub struct Shelf(ConnectionManager);

impl Shelf {
    pub async fn open(url: &str) -> Result<Self, Error> {
        let client = redis::Client::open(url)?;
        Ok(Self(ConnectionManager::new(client).await?))
    }

    pub async fn get(&self, key: &str) -> Result<Option<String>, Error> {
        Ok(cmd("GET").arg(key).query_async(&mut self.0.clone()).await?)
    }

    pub async fn put_if_absent(&self, key: &str, text: &str, life: Duration) -> Result<bool, Error> {
        let mut set = cmd("SET");
        set.arg(key).arg(text).arg("NX").arg("PX").arg(millis(life));
        let put: Option<String> = set.query_async(&mut self.0.clone()).await?;
        Ok(put.is_some())
    }

    pub async fn put(&self, key: &str, text: &str, life: Duration) -> Result<(), Error> {
        let mut set = cmd("SET");
        set.arg(key).arg(text).arg("PX").arg(millis(life));
        Ok(set.exec_async(&mut self.0.clone()).await?)
    }

    pub async fn remove(&self, key: &str) -> Result<(), Error> {
        Ok(cmd("DEL").arg(key).exec_async(&mut self.0.clone()).await?)
    }
}

fn millis(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX)
}
