//! Which layers somebody looks through at this moment: overlays lie in mount namespaces of their own, so every process' is read.

use std::collections::BTreeSet;
use std::fs;

/// Those of the names (of directories in `overlay/l`) that are part of a mount somewhere.
pub(super) fn mounted(names: &[String]) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut found = BTreeSet::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let path = process.path();
        // One process of each namespace is enough. What ends meanwhile looks at nothing any more.
        let Ok(namespace) = fs::read_link(path.join("ns/mnt")) else { continue };
        if !seen.insert(namespace) {
            continue;
        }
        let mounts = fs::read_to_string(path.join("mountinfo")).unwrap_or_default();
        let overlays: String = mounts.lines().filter(|line| line.contains(" overlay ")).collect();
        // An overlay with very many layers was given them by descriptors: then it may be any.
        let unknown = overlays.contains("/proc/self/fd/");
        found.extend(names.iter().filter(|name| unknown || overlays.contains(name.as_str())).cloned());
    }
    found
}
