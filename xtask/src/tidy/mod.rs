//! The rules of the house that a compiler does not check: floors, rooms, heads, documents.

mod bans;
mod floors;
mod handles;
mod text;

use std::path::{Path, PathBuf};

use crate::command;

/// Checks everything and reports every breach.
pub(crate) fn run() -> Result<(), String> {
    let root = command::root();
    let mut breaches = floors::check()?;
    breaches.extend(bans::check()?);
    let files = tracked(&root)?;
    breaches.extend(text::check(&root, &files)?);
    if breaches.is_empty() {
        println!("tidy: {} files in order", files.len());
        return Ok(());
    }
    Err(format!("tidy found {}:\n{}", breaches.len(), breaches.join("\n")))
}

/// Every file that git tracks or would track, relative to the root.
fn tracked(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut git = std::process::Command::new("git");
    git.current_dir(root).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let list = command::output(&mut git)?;
    Ok(list.lines().map(PathBuf::from).filter(|p| root.join(p).is_file()).collect())
}
