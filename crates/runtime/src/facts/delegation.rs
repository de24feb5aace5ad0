//! Where somebody without rights over the host may make cgroups: where its manager has handed a directory down.

use plan::facts::Cgroups;
use rustix::fs::{Access, access};

use crate::kernel::read_file;

/// Finds the place in each hierarchy.
pub(super) fn find(cgroups: &mut Cgroups) {
    for hierarchy in &mut cgroups.v1 {
        let own = place(&hierarchy.mount, &hierarchy.own);
        if ours(&own, "tasks") {
            hierarchy.delegated = own;
        }
    }
    let Some(v2) = &mut cgroups.v2 else { return };
    // Beside the own one: one with processes in it hands no controllers down.
    let above = v2.own.rsplit_once('/').map_or("", |(above, _)| above);
    let above = place(&v2.mount, above);
    if ours(&above, "cgroup.procs") {
        let controllers = read_file(&format!("{above}/cgroup.controllers")).unwrap_or_default();
        v2.controllers = controllers.split_whitespace().map(str::to_owned).collect();
        v2.delegated = above;
    }
}

fn place(mount: &str, path: &str) -> String {
    format!("{mount}{}", path.trim_end_matches('/'))
}

/// Cgroups can be made there, and processes moved to them: the kernel asks for the right to write the list of the cgroup above both.
fn ours(directory: &str, list: &str) -> bool {
    let list = format!("{directory}/{list}");
    access(directory, Access::WRITE_OK).is_ok() && access(list, Access::WRITE_OK).is_ok()
}
