//! Starting a supervisor. It outlives the daemon: a session of its own, nothing inherited but a file for its complaints.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The supervisor this daemon started, if it did.
#[derive(Debug, Default)]
pub(super) struct Spawned {
    child: Option<Child>,
    begun: Option<Instant>,
}

/// One that ends at once is not started again at once.
const PAUSE: Duration = Duration::from_millis(300);

impl Spawned {
    /// Starts one. When another answers already, the new one sees that and ends.
    pub(super) fn start(&mut self, root: &Path, runtime: &Path) -> io::Result<()> {
        if self.begun.is_some_and(|begun| begun.elapsed() < PAUSE) {
            return Ok(());
        }
        self.begun = Some(Instant::now());
        let complaints = File::options().create(true).append(true).open(root.join("supervisor.log"))?;
        let child = Command::new(runtime)
            .arg("supervisor")
            .arg("--root")
            .arg(root)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(complaints)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// Whether the one started has ended; its remains are collected.
    pub(super) fn reap(&mut self) -> bool {
        let ended = self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
        if ended {
            self.child = None;
        }
        ended
    }
}
