//! Attaching to a container's stdio: the log's past first when asked for, then the live stream, without gap or double.

mod detach;
mod stream;

pub use stream::{AttachReader, AttachWriter, Attached};

use protocol::Target;

use crate::engine::Engine;
use crate::logs::{LogOptions, Past};
use crate::state::Status;
use crate::{Error, Result};
use detach::DetachKeys;

/// What an attach asks for.
#[derive(Debug, Clone, Default)]
pub struct AttachOptions {
    /// The live stream; otherwise only what `logs` gives.
    pub stream: bool,
    /// Feed standard input.
    pub stdin: bool,
    /// Standard output wanted.
    pub stdout: bool,
    /// Standard error wanted.
    pub stderr: bool,
    /// First what is in the log.
    pub logs: bool,
    /// Keys that end the session; empty is Docker's default.
    pub detach_keys: String,
}

impl Engine {
    /// Attaches to a container. One that does not run yet can be attached to: the stream begins with its first byte.
    ///
    /// # Errors
    /// Unknown container, odd detach keys, or a container that is frozen or between two lives.
    pub async fn attach(&self, who: &str, options: AttachOptions) -> Result<Attached> {
        let inner = &self.0;
        let record = inner.find(who)?.record();
        match record.state.status {
            Status::Paused => {
                return Err(Error::conflict(format!(
                    "container {who} is paused, unpause the container before attach"
                )));
            }
            Status::Restarting => {
                return Err(Error::conflict(format!(
                    "container {who} is restarting, wait until the container is running"
                )));
            }
            _ => {}
        }
        let keys = DetachKeys::parse(&options.detach_keys)?;
        let target = Target { container: record.id.clone(), exec: String::new() };
        let wants_output = options.stdout || options.stderr;
        let has_log = options.logs && !record.log.off;
        let (writer, reader) = match (options.stream, has_log && wants_output) {
            (false, _) => (None, None),
            (true, false) => {
                let (writer, reader) = inner.supervisor.attach(target, options.stdin, wants_output).await?;
                (Some(writer), Some(reader))
            }
            (true, true) => {
                let (writer, reader) = inner.supervisor.attach_behind_log(target, options.stdin).await?;
                (Some(writer), Some(reader))
            }
        };
        let past = has_log.then(|| {
            let log = LogOptions { stdout: options.stdout, stderr: options.stderr, ..LogOptions::default() };
            let end = reader.as_ref().map(|r| (r.place().log_inode, r.place().log_bytes));
            Past::open(&inner.log_path(&record.id), log, end)
        });
        let past = past.transpose()?;
        inner.tell(&record, "attach", &[]);
        Ok(stream::join(stream::Parts {
            tty: record.config.tty,
            past,
            reader,
            writer: writer.filter(|_| options.stdin),
            wanted: [options.stdout, options.stderr],
            keys,
            ended: None,
        }))
    }
}

/// Refuses detach keys that are none, while a refusal can still have a status.
pub(crate) fn check_keys(keys: &str) -> Result<()> {
    let refusal = |_| Error::invalid(format!("Invalid escape keys ({keys}) provided"));
    DetachKeys::parse(keys).map(drop).map_err(refusal)
}

/// Attaches to an exec that is about to start.
pub(crate) async fn of_exec(
    engine: &Engine,
    target: Target,
    create: &dockerapi::ExecCreate,
    ended: tokio::sync::watch::Receiver<bool>,
) -> Result<Attached> {
    let keys = DetachKeys::parse(&create.detach_keys)?;
    let wants_output = create.attach_stdout || create.attach_stderr;
    let (writer, reader) = engine.0.supervisor.attach(target, create.attach_stdin, wants_output).await?;
    Ok(stream::join(stream::Parts {
        tty: create.tty,
        past: None,
        reader: Some(reader),
        writer: Some(writer).filter(|_| create.attach_stdin),
        wanted: [create.attach_stdout, create.attach_stderr],
        keys,
        ended: Some(ended),
    }))
}
