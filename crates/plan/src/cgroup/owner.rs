//! Who owns a container's cgroup: root, unless the container may make cgroups of its own in it.

use oci::runtime::Spec;
use protocol::plan::Users;

/// The user of the host to whom the cgroup is handed over, by the specification's rule: the one who runs the program, if there is
/// a cgroup namespace and the tree is mounted for writing.
pub(crate) fn owner(spec: &Spec, own_namespace: bool, users: Option<&Users>) -> Option<u32> {
    let writable = spec.mounts.iter().any(|mount| {
        let is_tree =
            mount.destination == "/sys/fs/cgroup" && matches!(mount.kind.as_str(), "cgroup" | "cgroup2");
        is_tree && !mount.options.iter().any(|option| option == "ro")
    });
    let user = spec.process.as_ref()?.user.uid;
    let outside = match users {
        None => user,
        Some(users) => {
            let map = users.uid.iter().find(|m| user.checked_sub(m.inside).is_some_and(|at| at < m.count))?;
            map.outside.checked_add(user - map.inside)?
        }
    };
    (own_namespace && writable && outside != 0).then_some(outside)
}
