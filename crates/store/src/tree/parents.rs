//! Handles of the directories in which things were made lately. Archives come directory by directory, so a few are enough.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use layer::TreePath;

/// How many are kept.
const KEPT: usize = 16;

/// A directory to make things in.
#[derive(Clone)]
pub(super) struct Parent {
    pub(super) dir: Rc<OwnedFd>,
    /// Its group, which it may hand on.
    pub(super) gid: u32,
    /// It does: to files its group, to directories this bit, too.
    pub(super) setgid: bool,
}

/// The directories used last.
#[derive(Default)]
pub(super) struct Parents(Vec<(TreePath, Parent)>);

impl Parents {
    /// The directory with that path, if it was used lately.
    pub(super) fn get(&mut self, path: &TreePath) -> Option<Parent> {
        let at = self.0.iter().rposition(|(known, _)| known == path)?;
        let found = self.0.remove(at);
        let parent = found.1.clone();
        self.0.push(found);
        Some(parent)
    }

    pub(super) fn put(&mut self, path: TreePath, parent: Parent) {
        self.0.retain(|(known, _)| *known != path);
        if self.0.len() == KEPT {
            self.0.remove(0);
        }
        self.0.push((path, parent));
    }

    /// Paths may lead elsewhere now: something was replaced.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}
