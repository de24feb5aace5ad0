//! Starting a daemon when none answers on the default socket.
#![allow(clippy::disallowed_methods, reason = "the one place where a command starts the daemon")]

use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::net::UnixStream;
use types::Kind;

use crate::daemon::{DEFAULT_EXEC_ROOT, OWN_SESSION};
use crate::error::{Error, Result};

const PATIENCE: Duration = Duration::from_secs(15);

/// Nobody listens there, as opposed to nobody may.
pub(super) fn could_help(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

/// Starts `berth daemon` in a session of its own and waits until it answers.
pub(super) async fn daemon(socket: &str) -> Result<UnixStream> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::new(
            "Berth needs root for this: run with sudo, or set DOCKER_HOST to a daemon that you may use",
        )
        .of(Kind::Forbidden));
    }
    let log = Path::new(DEFAULT_EXEC_ROOT).join("daemon.log");
    let mut child = spawn(&log).map_err(|e| {
        Error::new(format!("no daemon answers at unix://{socket}, and none can be started: {e}"))
            .of(Kind::Unavailable)
    })?;
    let since = Instant::now();
    loop {
        if let Ok(stream) = UnixStream::connect(socket).await {
            return Ok(stream);
        }
        let ended = child.try_wait().ok().flatten();
        // Two commands may summon at once: the loser's daemon ends, the winner's answers.
        let lost = ended.is_some() && since.elapsed() > Duration::from_secs(2);
        if lost || since.elapsed() > PATIENCE {
            let last = last_line(&log);
            let text = format!("the daemon did not start; {} says: {last}", log.display());
            return Err(Error::new(text).of(Kind::Unavailable));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn spawn(log: &Path) -> std::io::Result<Child> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(DEFAULT_EXEC_ROOT)?;
    let log = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(log)?;
    Command::new(std::env::current_exe()?)
        .args(["daemon", OWN_SESSION])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing").to_owned()
}
