//! `load` and `import`: files go up, progress comes down.
#![allow(clippy::disallowed_methods, reason = "reads the archives that the user names")]

use std::fs::File;
use std::io::Read;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::mpsc;
use types::Kind;

use super::events::Documents;
use super::text;
use crate::error::{Error, Result};
use crate::stream;
use crate::terminal;
use crate::tree::Call;
use crate::wire::{Payload, Query, Stream};

const PIECE: usize = 256 * 1024;

/// `berth load`.
pub(crate) async fn load(call: Call) -> Result<u8> {
    let input = match call.flags.text("input") {
        "" if terminal::is_terminal(rustix::stdio::stdin()) => {
            return Err(Error::new("requested load from stdin, but stdin is empty"));
        }
        "" => stdin()?,
        path => open(path)?,
    };
    let quiet = call.flags.is("quiet") || !terminal::is_terminal(rustix::stdio::stdout());
    let query = Query::from("/images/load").with("quiet", if quiet { "1" } else { "0" });
    show(call.client.post_archive(query, Payload::Archive(pieces(input))).await?).await
}

/// `berth import`.
pub(crate) async fn import(call: Call) -> Result<u8> {
    let flags = &call.flags;
    let source = call.args[0].as_str();
    let is_address = source.starts_with("http://") || source.starts_with("https://");
    let mut query = Query::from("/images/create")
        .with("fromSrc", if is_address { source } else { "-" })
        .with_some("message", flags.text("message"))
        .with_some("platform", flags.text("platform"));
    if let Some(name) = call.args.get(1) {
        name.parse::<types::Reference>().map_err(|e| Error::new(format!("{e}")))?;
        query = query.with("repo", name);
    }
    for change in flags.list("change") {
        query = query.with("changes", change);
    }
    let payload = match source {
        _ if is_address => Payload::Nothing,
        "-" => Payload::Archive(pieces(stdin()?)),
        path => Payload::Archive(pieces(open(path)?)),
    };
    show(call.client.post_archive(query, payload).await?).await
}

fn open(path: &str) -> Result<File> {
    File::open(path).map_err(|e| {
        let reason = e.to_string().split(" (os error").next().unwrap_or_default().to_lowercase();
        Error::new(format!("open {path}: {reason}")).of(Kind::NotFound).because(e)
    })
}

fn stdin() -> Result<File> {
    let copy = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)
        .map_err(|e| Error::new(format!("stdin can't be read: {e}")))?;
    Ok(File::from(copy))
}

/// Reads a file on a thread of its own, a piece ahead of the wire.
fn pieces(mut input: File) -> mpsc::Receiver<std::io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(2);
    std::thread::spawn(move || {
        loop {
            let mut piece = vec![0; PIECE];
            let read = match input.read(&mut piece) {
                Ok(0) => return,
                Ok(length) => {
                    piece.truncate(length);
                    Ok(Bytes::from(piece))
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let failed = read.is_err();
            if sender.blocking_send(read).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

/// Prints the progress of a transfer; its error is the command's.
async fn show(mut answer: Stream) -> Result<u8> {
    let is_terminal = terminal::is_terminal(rustix::stdio::stdout());
    let mut documents = Documents::default();
    let mut drawn: Vec<String> = Vec::new();
    while let Some(bytes) = answer.next().await? {
        for message in documents.push(&bytes)? {
            if let Some(failure) = failure(&message) {
                return Err(Error::new(failure));
            }
            stream::print(&line(&message, is_terminal, &mut drawn))?;
        }
    }
    Ok(0)
}

fn failure(message: &Value) -> Option<String> {
    let detail = message["errorDetail"]["message"].as_str().or_else(|| message["error"].as_str())?;
    Some(detail.to_owned())
}

/// A message as text. Those with an id have a line of their own on a terminal, drawn over as they change.
fn line(message: &Value, is_terminal: bool, drawn: &mut Vec<String>) -> String {
    if let Some(text) = message["stream"].as_str() {
        return text.to_owned();
    }
    let (id, status) = (text(message, "id"), text(message, "status"));
    let progress = progress(&message["progressDetail"]);
    if !progress.is_empty() && !is_terminal {
        return String::new();
    }
    if status.is_empty() && progress.is_empty() {
        return String::new();
    }
    let body =
        if id.is_empty() { format!("{status}{progress}") } else { format!("{id}: {status}{progress}") };
    if id.is_empty() || !is_terminal {
        return format!("{body}\n");
    }
    let Some(above) = drawn.iter().position(|known| known == id) else {
        drawn.push(id.to_owned());
        return format!("{body}\n");
    };
    let up = drawn.len() - above;
    format!("\x1b[{up}A\x1b[2K\r{body}\x1b[{up}B\r")
}

fn progress(detail: &Value) -> String {
    let (Some(current), total) = (detail["current"].as_u64(), detail["total"].as_u64().unwrap_or_default())
    else {
        return String::new();
    };
    let shown = types::print_bytes_decimal(current);
    if total == 0 { format!(" {shown}") } else { format!(" {shown}/{}", types::print_bytes_decimal(total)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn progress_lines() {
        let mut drawn = Vec::new();
        for (message, terminal, text) in [
            (json!({ "stream": "Loaded image: x\n" }), false, "Loaded image: x\n"),
            (json!({ "status": "sha256:ab" }), false, "sha256:ab\n"),
            (json!({ "status": "Loading", "id": "ab", "progressDetail": { "current": 1 } }), false, ""),
            (
                json!({ "status": "Loading", "id": "ab", "progressDetail": { "current": 1, "total": 2000 } }),
                true,
                "ab: Loading 1B/2kB\n",
            ),
            (json!({ "status": "Loaded", "id": "ab" }), true, "\x1b[1A\x1b[2K\rab: Loaded\x1b[1B\r"),
        ] {
            assert_eq!(super::line(&message, terminal, &mut drawn), text, "{message}");
        }
        assert_eq!(super::failure(&json!({ "errorDetail": { "message": "no" } })).as_deref(), Some("no"));
    }
}
