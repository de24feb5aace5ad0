//! A line about every request, in the form that web servers have agreed on, with the seconds it took at its end. Written by a thread
//! of its own: a slow disk costs lines (counted and told), never answers.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use hyper::header::USER_AGENT;
use hyper::http::request::Parts;

use crate::error::{Error, Result};

/// Lines that may wait for the disk.
const WAITING: usize = 4096;

pub(crate) struct AccessLog {
    lines: SyncSender<String>,
    lost: AtomicU64,
}

impl AccessLog {
    /// Opens the file for appending; `-` is standard output.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let output: Box<dyn Write + Send> = if path.as_os_str() == "-" {
            Box::new(std::io::stdout())
        } else {
            let file = File::options().create(true).append(true).open(path);
            Box::new(
                file.map_err(|e| Error::call(format!("cannot open the access log {}", path.display()), e))?,
            )
        };
        let (lines, waiting) = sync_channel(WAITING);
        std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write(&waiting, BufWriter::new(output)))
            .map_err(|e| Error::call("cannot start the thread that writes the access log", e))?;
        Ok(Self { lines, lost: AtomicU64::new(0) })
    }

    pub(crate) fn line(&self, peer: &SocketAddr, head: &Parts, status: u16, sent: u64, took: Duration) {
        let agent = head.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("-");
        let line = format!(
            "{} - - [{}] \"{} {} {:?}\" {status} {sent} \"-\" \"{}\" {:.6}\n",
            peer.ip(),
            now(),
            head.method,
            quoted(&head.uri.to_string()),
            head.version,
            quoted(agent),
            took.as_secs_f64()
        );
        if self.lines.try_send(line).is_ok() {
            return;
        }
        if self.lost.fetch_add(1, Ordering::Relaxed).is_multiple_of(1000) {
            tracing::warn!("the access log does not keep up: lines are lost");
        }
    }
}

/// Writes lines as they come; what is there is flushed before waiting for more.
fn write(lines: &Receiver<String>, mut output: BufWriter<Box<dyn Write + Send>>) {
    loop {
        let line = match lines.try_recv() {
            Ok(line) => line,
            Err(TryRecvError::Disconnected) => break,
            Err(TryRecvError::Empty) => {
                let _ = output.flush();
                match lines.recv() {
                    Ok(line) => line,
                    Err(_) => break,
                }
            }
        };
        // A full disk loses lines, not answers.
        let _ = output.write_all(line.as_bytes());
    }
    let _ = output.flush();
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%d/%b/%Y:%H:%M:%S +0000").to_string()
}

/// A client's text cannot end its field or its line.
fn quoted(text: &str) -> String {
    text.chars().map(|c| if c == '"' || c == '\\' || c.is_control() { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_reach_the_file_and_cannot_be_forged() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let log = AccessLog::open(&path).unwrap();
        let request = hyper::Request::builder().uri("/v2/").header(USER_AGENT, "a\"b").body(()).unwrap();
        let (head, ()) = request.into_parts();
        let peer = "127.0.0.1:5".parse().unwrap();
        log.line(&peer, &head, 200, 2, Duration::from_millis(5));
        drop(log);
        let mut text = String::new();
        for _ in 0..100 {
            text = std::fs::read_to_string(&path).unwrap();
            if !text.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(text.starts_with("127.0.0.1 - - [") && text.ends_with("\"a_b\" 0.005000\n"), "{text}");
        assert!(text.contains("\"GET /v2/ HTTP/1.1\" 200 2 "), "{text}");
    }
}
