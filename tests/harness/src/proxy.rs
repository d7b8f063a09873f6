//! The network: passes connections on, and cuts some of them. One connection carries one request, so a connection that is cut is a
//! request or an answer that is lost.

use crate::Error;
use crate::dice::Dice;
use crate::net;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Debug, Serialize, Deserialize)]
pub struct ProxyTold {
    pub name: String,
    pub seed: u64,
    /// Where each of its ports leads to.
    pub to: Vec<u16>,
}

#[derive(Clone, Copy, Debug)]
enum Cut {
    None,
    /// The request does not arrive.
    BeforeRequest,
    /// The request arrives and both ends are closed at once: whoever works on it finds its caller gone.
    AfterRequest,
    /// The answer was given and does not arrive.
    BeforeAnswer,
    /// Half of the answer arrives.
    InAnswer,
}

/// Out of a hundred.
const TABLE: [(Cut, u64); 5] = [
    (Cut::None, 88),
    (Cut::BeforeRequest, 2),
    (Cut::AfterRequest, 4),
    (Cut::BeforeAnswer, 4),
    (Cut::InAnswer, 2),
];

#[derive(Debug)]
struct Proxy {
    told: ProxyTold,
    counts: Mutex<BTreeMap<String, u64>>,
    /// Set once the storm is over: closes what is open and cuts no more.
    calm: watch::Sender<bool>,
}

/// Says its ports: one per place it leads to, then its own for control.
pub async fn run(told: ProxyTold) -> Result<(), Error> {
    let mut doors = Vec::new();
    for to in &told.to {
        doors.push((net::listen(0).await?, *to));
    }
    let control = net::listen(0).await?;
    let mut ports: Vec<_> = doors.iter().map(|(door, _)| door).collect();
    ports.push(&control);
    net::ready(&ports)?;
    let proxy = Arc::new(Proxy {
        told,
        counts: Mutex::default(),
        calm: watch::Sender::new(false),
    });
    for (door, to) in doors {
        tokio::spawn(keep(Arc::clone(&proxy), door, to));
    }
    let app = Router::new()
        .route("/control/calm", post(calm))
        .route("/control/faults", get(injected))
        .with_state(proxy);
    Ok(net::serve(control, app).await?)
}

async fn calm(State(proxy): State<Arc<Proxy>>) -> StatusCode {
    proxy.calm.send_replace(true);
    StatusCode::NO_CONTENT
}

async fn injected(State(proxy): State<Arc<Proxy>>) -> Json<BTreeMap<String, u64>> {
    Json(
        proxy
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone(),
    )
}

async fn keep(proxy: Arc<Proxy>, door: TcpListener, to: u16) {
    let mut dice = Dice::about(proxy.told.seed, &format!("proxy {} {to}", proxy.told.name));
    while let Ok((near, _)) = door.accept().await {
        let mut calm = proxy.calm.subscribe();
        let was_calm = *calm.borrow_and_update();
        let cut = if was_calm { Cut::None } else { dice.weigh(&TABLE) };
        let proxy = Arc::clone(&proxy);
        tokio::spawn(async move {
            tokio::select! {
                _ = pass(&proxy, near, to, cut) => {}
                // the storm ends: both ends are closed
                _ = calm.changed() => {}
            }
        });
    }
}

/// Carries one request and its answer, as far as they get.
async fn pass(proxy: &Proxy, mut near: TcpStream, to: u16, cut: Cut) -> std::io::Result<()> {
    let _ = near.set_nodelay(true);
    let request = read_request(&mut near).await?;
    let note = |what: &str| {
        let name = format!("{}: cut {what}", proxy.told.name);
        *proxy
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name)
            .or_default() += 1;
    };
    if matches!(cut, Cut::BeforeRequest) {
        note("before the request");
        return Ok(());
    }
    let mut far = TcpStream::connect(("127.0.0.1", to)).await?;
    let _ = far.set_nodelay(true);
    far.write_all(&request).await?;
    if matches!(cut, Cut::AfterRequest) {
        note("after the request");
        return Ok(());
    }
    if matches!(cut, Cut::None) {
        tokio::io::copy_bidirectional(&mut near, &mut far).await?;
        return Ok(());
    }
    let mut answer = vec![0; 64 * 1024];
    let got = far.read(&mut answer).await?;
    if matches!(cut, Cut::BeforeAnswer) {
        note("before the answer");
    } else {
        near.write_all(&answer[..got / 2]).await?;
        note("in the answer");
    }
    Ok(())
}

/// Head and body of a request.
async fn read_request(near: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut request = Vec::with_capacity(1024);
    loop {
        if near.read_buf(&mut request).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if length(&request).is_some_and(|length| request.len() >= length) {
            return Ok(request);
        }
    }
}

/// How long the request is, once its head has arrived.
fn length(request: &[u8]) -> Option<usize> {
    let head = request.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&request[..head]).ok()?;
    let body = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    Some(head + body.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::length;

    #[test]
    fn a_request_is_as_long_as_its_head_says() {
        let whole = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(length(&whole[..whole.len() - 5]), None);
        assert_eq!(length(&whole[..whole.len() - 3]), Some(whole.len()));
        let bare = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        assert_eq!(length(bare), Some(bare.len()));
    }
}
