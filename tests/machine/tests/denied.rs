//! Kernels and filters that answer `ENOSYS` to newer system calls: what has a fallback passes the same tests by it, what has none is one
//! clear sentence (docs/decisions/0009). `cargo xtask test denied` runs all tests of the runtime so; here is the choice that also
//! the guest has time for.

use testkit::{Bundle, run_without};

const CHOICE: &[&str] = &[
    "bundle::exec_options",
    "bundle::hooks_in_order_and_place",
    "bundle::hostile_roots",
    "bundle::kill_and_its_refusals",
    "bundle::user_namespace_is_joined",
    "rows_descriptors::",
    "rows_runtime::",
    "rows_users::",
];

const MOUNT_CALLS: [&str; 6] = ["open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "mount_setattr"];

pub(crate) fn openat2() {
    run_without(&["openat2"], CHOICE);
}

pub(crate) fn clone3() {
    run_without(&["clone3"], CHOICE);
}

pub(crate) fn pidfd_open() {
    run_without(&["pidfd_open"], CHOICE);
}

/// Each of the mount calls: refused in a sentence, and nothing is left.
pub(crate) fn mounts_are_needed() {
    for call in MOUNT_CALLS {
        run_without(&[call], &["denied::refused"]);
    }
}

/// Only for [`mounts_are_needed`]: elsewhere there is nothing to refuse.
pub(crate) fn refused() {
    let without = std::env::var("BERTH_TEST_WITHOUT").unwrap_or_default();
    if !MOUNT_CALLS.iter().any(|call| without == *call) {
        return;
    }
    let b = Bundle::new();
    let said = b.run(&b.document("echo fine"));
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{}", said.err);
    assert!(said.err.contains("function not implemented: Berth needs Linux 5.12"), "{}", said.err);
    assert_eq!(said.err.trim().lines().count(), 1, "{}", said.err);
    assert_eq!(b.runtime(&["list", "-q"]).out, "", "nothing is left");
}
