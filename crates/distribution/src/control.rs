//! Orders to a registry that serves: a Unix socket in its data directory, one JSON line each way. Who may write to the directory may
//! give orders.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use types::Kind;

use crate::depot::{Checked, Collected, Sweep};
use crate::error::{Error, Result};
use crate::site::Site;

/// The socket's name in the data directory.
const NAME: &str = "control";
/// Longest order, in bytes.
const LONGEST: u64 = 4096;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    Collect(Sweep),
    /// With repair or without.
    Check(bool),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reply {
    Collected(Collected),
    Checked(Checked),
    Failed(String),
}

/// The socket's path through a handle of its directory: however long the directory's own path is.
struct Place {
    _directory: std::fs::File,
    path: PathBuf,
}

impl Place {
    fn of(root: &Path) -> Result<Self> {
        let failed = |e| Error::call(format!("cannot open {}", root.display()), e);
        let directory = std::fs::File::open(root).map_err(failed)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", directory.as_raw_fd()));
        Ok(Self { _directory: directory, path })
    }
}

/// Listens for orders. The data directory is ours, so a socket that lies there is a dead process's.
pub(crate) fn listen(root: &Path) -> Result<UnixListener> {
    let failed = |e| Error::call("cannot make the control socket", e);
    let place = Place::of(root)?;
    match std::fs::remove_file(&place.path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    UnixListener::bind(&place.path).map_err(failed)
}

/// Takes orders, for ever.
pub(crate) async fn obey(site: Arc<Site>, socket: UnixListener) {
    loop {
        match socket.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(converse(site.clone(), stream))),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn converse(site: Arc<Site>, stream: tokio::net::UnixStream) {
    let (input, mut output) = stream.into_split();
    let mut line = String::new();
    let mut input = tokio::io::BufReader::new(input.take(LONGEST));
    if input.read_line(&mut line).await.is_err() {
        return;
    }
    let reply = match serde_json::from_str(&line) {
        Ok(Order::Collect(sweep)) => match site.collect(sweep).await {
            Ok(found) => Reply::Collected(found),
            Err(refusal) => Reply::Failed(refusal.message),
        },
        Ok(Order::Check(repair)) => match site.depot.check(repair).await {
            Ok(found) => Reply::Checked(found),
            Err(refusal) => Reply::Failed(refusal.message),
        },
        Err(error) => Reply::Failed(format!("the order does not parse: {error}")),
    };
    let text = serde_json::to_string(&reply).unwrap_or_default();
    let _ = output.write_all(format!("{text}\n").as_bytes()).await;
}

/// Has the registry that serves this directory collect its garbage.
pub(crate) fn ask_to_collect(root: &Path, sweep: Sweep) -> Result<Collected> {
    match ask(root, &Order::Collect(sweep))? {
        Reply::Collected(found) => Ok(found),
        _ => Err(broken_off()),
    }
}

/// Has it check its contents.
pub(crate) fn ask_to_check(root: &Path, repair: bool) -> Result<Checked> {
    match ask(root, &Order::Check(repair))? {
        Reply::Checked(found) => Ok(found),
        _ => Err(broken_off()),
    }
}

fn ask(root: &Path, order: &Order) -> Result<Reply> {
    let failed = |e| Error::call("the registry that uses the data directory does not answer", e);
    let place = Place::of(root)?;
    let mut stream = UnixStream::connect(&place.path).map_err(failed)?;
    writeln!(stream, "{}", serde_json::to_string(order).unwrap_or_default()).map_err(failed)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).map_err(failed)?;
    match serde_json::from_str(&line) {
        Ok(Reply::Failed(why)) => Err(Error::new(Kind::Internal, format!("the registry could not: {why}"))),
        Ok(reply) => Ok(reply),
        Err(_) => Err(broken_off()),
    }
}

fn broken_off() -> Error {
    Error::new(Kind::Unavailable, "the registry ended before it answered")
}
