//! Whether a bind can propagate as asked: mounts that appear on the host reach a container only through a mount that is itself
//! shared (or a slave).

use std::path::{Path, PathBuf};

use crate::state::MountRecord;
use crate::{Error, Result};

/// Refuses binds whose source cannot do what their propagation promises. Blocks.
pub(crate) fn check(mounts: &[MountRecord]) -> Result<()> {
    let asked = mounts.iter().filter(|m| wanted(&m.propagation) != Wanted::Nothing);
    for mount in asked {
        let table = std::fs::read_to_string("/proc/self/mountinfo")
            .map_err(|e| Error::io("cannot read the mount table", e))?;
        let source = std::fs::canonicalize(&mount.source)
            .map_err(|e| Error::io(&format!("cannot look up {}", mount.source), e))?;
        judge(&table, &source, mount)?;
    }
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Wanted {
    Nothing,
    Shared,
    SharedOrSlave,
}

fn wanted(propagation: &str) -> Wanted {
    match propagation {
        "shared" | "rshared" => Wanted::Shared,
        "slave" | "rslave" => Wanted::SharedOrSlave,
        _ => Wanted::Nothing,
    }
}

fn judge(table: &str, source: &Path, mount: &MountRecord) -> Result<()> {
    // Of two mounts on one place the later one is on top.
    let holder = table.lines().filter_map(read).filter(|(point, _)| source.starts_with(point));
    let Some((point, tags)) = holder.max_by_key(|(point, _)| point.components().count()) else {
        return Ok(());
    };
    let has = |tag: &str| tags.iter().any(|t| t.starts_with(tag));
    let (can, what) = match wanted(&mount.propagation) {
        Wanted::Nothing => return Ok(()),
        Wanted::Shared => (has("shared:"), "a shared mount"),
        Wanted::SharedOrSlave => (has("shared:") || has("master:"), "a shared or slave mount"),
    };
    match can {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "path {} is mounted on {} but it is not {what}",
            mount.source,
            point.display()
        ))),
    }
}

/// The mount point and the optional fields of a line of mountinfo (proc_pid_mountinfo(5)).
fn read(line: &str) -> Option<(PathBuf, Vec<&str>)> {
    let mut words = line.split(' ').skip(4);
    let point = words.next()?;
    let tags = words.skip(1).take_while(|word| *word != "-").collect();
    Some((PathBuf::from(unescaped(point)), tags))
}

fn unescaped(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (code, character)| text.replace(code, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "21 1 8:1 / / rw - ext4 /dev/sda rw\n22 21 0:5 / /sha\\040red rw,nosuid shared:7 - tmpfs t rw\n\
                         23 21 0:6 / /slave rw master:7 propagate_from:2 - tmpfs t rw\n";

    #[test]
    fn the_mount_below_the_source_decides() {
        let ask = |source: &str, propagation: &str| {
            let mount = MountRecord {
                source: source.to_owned(),
                propagation: propagation.to_owned(),
                ..MountRecord::default()
            };
            judge(TABLE, Path::new(source), &mount).map_err(|e| e.to_string())
        };
        assert_eq!(ask("/sha red/x", "rshared"), Ok(()));
        assert_eq!(ask("/sha red", "slave"), Ok(()));
        assert_eq!(ask("/slave/x", "rslave"), Ok(()));
        assert_eq!(ask("/a", "rprivate"), Ok(()));
        assert_eq!(
            ask("/slave/x", "shared"),
            Err("path /slave/x is mounted on /slave but it is not a shared mount".to_owned())
        );
        assert_eq!(
            ask("/slavery", "rslave"),
            Err("path /slavery is mounted on / but it is not a shared or slave mount".to_owned())
        );
    }
}
