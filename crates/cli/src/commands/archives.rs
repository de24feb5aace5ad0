//! `load`, `import`, `save` and `export`: archives go up and come down.
#![allow(clippy::disallowed_methods, reason = "reads the archives that the user names")]

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use bytes::Bytes;
use tokio::sync::mpsc;
use types::Kind;

use super::transfer::{self, Place};
use crate::error::{Error, Result};
use crate::stream;
use crate::terminal;
use crate::tree::Call;
use crate::wire::{Payload, Query};

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
    let mut query = Query::from("/images/load").with("quiet", if quiet { "1" } else { "0" });
    for platform in transfer::platforms(&call, 48).await? {
        query = query.with("platform", &platform);
    }
    transfer::show(call.client.post_archive(query, Payload::Archive(pieces(input))).await?, Place::Stdout)
        .await?;
    Ok(0)
}

/// `berth import`.
pub(crate) async fn import(call: Call) -> Result<u8> {
    let flags = &call.flags;
    let source = call.args[0].as_str();
    let is_address = source.starts_with("http://") || source.starts_with("https://");
    let mut query = Query::from("/images/create")
        .with("fromSrc", if is_address { source } else { "-" })
        .with_some("message", flags.text("message"))
        .with_some("platform", &transfer::platform(&call.platform));
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
    transfer::show(call.client.post_archive(query, payload).await?, Place::Stdout).await?;
    Ok(0)
}

/// `berth save`.
pub(crate) async fn save(call: Call) -> Result<u8> {
    let mut query = Query::from("/images/get");
    for name in &call.args {
        query = query.with("names", name);
    }
    for platform in transfer::platforms(&call, 48).await? {
        query = query.with("platform", &platform);
    }
    receive(&call, query, "failed to save image").await
}

/// `berth export`.
pub(crate) async fn export(call: Call) -> Result<u8> {
    let query = Query::path("/containers/{}/export", &[&call.args[0]]);
    receive(&call, query, "failed to export container").await
}

/// An archive that comes down, into the file that the flag names, or to where stdout leads.
async fn receive(call: &Call, query: Query, failed: &str) -> Result<u8> {
    let path = call.flags.text("output");
    if path.is_empty() {
        if terminal::is_terminal(rustix::stdio::stdout()) {
            return Err(Error::new("cowardly refusing to save to a terminal. Use the -o flag or redirect"));
        }
        let mut archive = call.client.get_stream(query).await?;
        while let Some(bytes) = archive.next().await? {
            stream::write_all(rustix::stdio::stdout(), &bytes)?;
        }
        return Ok(0);
    }
    let mut output = Output::beside(path).map_err(|e| {
        let reason = e.to_string();
        let reason = reason.split(" (os error").next().unwrap_or_default().to_lowercase();
        Error::new(format!("{failed}: {path}: {reason}")).because(e)
    })?;
    let mut archive = call.client.get_stream(query).await?;
    while let Some(bytes) = archive.next().await? {
        output.file.write_all(&bytes)?;
    }
    output.keep()?;
    Ok(0)
}

/// A file that takes its name only when it is whole.
struct Output {
    file: File,
    draft: PathBuf,
    path: PathBuf,
}

impl Output {
    fn beside(path: &str) -> std::io::Result<Self> {
        let path = PathBuf::from(path);
        // A device or pipe is written as it is: nothing can take its place.
        if std::fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            let file = File::options().write(true).open(&path)?;
            return Ok(Self { file, draft: path.clone(), path });
        }
        let name = path.file_name().ok_or(std::io::ErrorKind::InvalidInput)?.to_string_lossy();
        let draft = path.with_file_name(format!(".{name}.{}", std::process::id()));
        let file = File::options().write(true).create_new(true).mode(0o600).open(&draft)?;
        Ok(Self { file, draft, path })
    }

    fn keep(&mut self) -> std::io::Result<()> {
        if self.draft != self.path {
            self.file.sync_all()?;
            std::fs::rename(&self.draft, &self.path)?;
            self.draft.clone_from(&self.path);
        }
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.draft != self.path {
            let _ = std::fs::remove_file(&self.draft);
        }
    }
}

fn open(path: &str) -> Result<File> {
    let file = File::open(path).map_err(|e| {
        let reason = e.to_string().split(" (os error").next().unwrap_or_default().to_lowercase();
        Error::new(format!("open {path}: {reason}")).of(Kind::NotFound).because(e)
    })?;
    if file.metadata().is_ok_and(|found| found.is_dir()) {
        return Err(Error::new(format!("read {path}: is a directory")).of(Kind::InvalidInput));
    }
    Ok(file)
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
