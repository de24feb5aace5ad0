//! Who opens what: files below `/proc` and `/sys` are written in one place, from a handle that was checked to be a procfs (R10,
//! CVE-2025-52881), and paths of a container are opened in one place for each crate (R19, CVE-2025-24965): no others.

/// Where kernel files are written.
const WRITER: &str = "crates/runtime/src/kernel.rs";

/// The openers of foreign trees, and what stands in for `openat2` without it.
const OPENERS: &[&str] = &[
    "crates/runtime/src/kernel.rs",
    "crates/runtime/src/tree.rs",
    "crates/runtime/src/walk.rs",
    "crates/engine/src/foreign.rs",
    "crates/store/src/tree/handle.rs",
];

/// Crates in whose hands a container's tree is.
const WATCHED: &[&str] = &["crates/runtime/src/", "crates/supervisor/src/", "crates/engine/src/"];

/// What writes to a path. (`write_file` and `open_for_write` are the writer's own.)
const WRITES: &[&str] = &[
    "fs::write(",
    "File::create",
    "File::options",
    "OpenOptions",
    "OFlags::WRONLY",
    "OFlags::RDWR",
    "OFlags::CREATE",
];

/// Breaches of one source file.
pub(super) fn check(name: &str, text: &str) -> Vec<String> {
    let is_test = name.contains("/tests/") || name.ends_with("tests.rs");
    if is_test || !name.starts_with("crates/") || name.starts_with("crates/testkit/") {
        return Vec::new();
    }
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    let mut breaches = Vec::new();
    if !OPENERS.contains(&name) {
        breaches.extend(find(code, "openat2(").map(|line| {
            format!("{name}:{line} opens a foreign path by itself: that is for the openers (xtask/src/tidy/handles.rs)")
        }));
    }
    if name != WRITER {
        breaches.extend(functions(code).filter(|(_, body)| writes_kernel_files(body)).map(|(line, _)| {
            format!("{name}:{line} writes below /proc or /sys: that is done in {WRITER} only, from a checked handle")
        }));
    }
    if WATCHED.iter().any(|watched| name.starts_with(watched)) {
        breaches.extend(joined(code).map(|line| {
            format!("{name}:{line} puts a path of a container behind its root by text: open it from a handle of the root")
        }));
    }
    breaches
}

fn writes_kernel_files(body: &str) -> bool {
    let names = ["\"/proc/", "\"/sys/"].iter().any(|place| body.contains(place));
    names && WRITES.iter().any(|write| body.contains(write))
}

/// Lines on which a root and something else become one path.
fn joined(code: &str) -> impl Iterator<Item = usize> {
    code.lines().enumerate().filter(|(_, line)| is_joined(line)).map(|(index, _)| index + 1)
}

fn is_joined(line: &str) -> bool {
    let line = line.split("//").next().unwrap_or(line);
    ["rootfs.join(", "rootfs}/", "root.path.join(", "/root/{"].iter().any(|pattern| line.contains(pattern))
}

fn find<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let uses = move |line: &str| line.split("//").next().unwrap_or(line).contains(word);
    code.lines().enumerate().filter(move |(_, line)| uses(line)).map(|(index, _)| index + 1)
}

/// First lines and texts of the functions: from one `fn` to the next is near enough.
fn functions(code: &str) -> impl Iterator<Item = (usize, String)> {
    let mut all: Vec<(usize, String)> = vec![(1, String::new())];
    for (index, line) in code.lines().enumerate() {
        let begins = line.trim_start().split(' ').take(4).any(|word| word == "fn");
        if begins && !line.trim_start().starts_with("//") {
            all.push((index + 1, String::new()));
        }
        if let Some((_, body)) = all.last_mut() {
            body.push_str(line.split("// ").next().unwrap_or(line));
            body.push('\n');
        }
    }
    all.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = "crates/runtime/src/some.rs";

    #[test]
    fn r10_writers_beside_the_writer_are_found() {
        for planted in [
            "fn f() {\n    std::fs::write(\"/proc/self/oom_score_adj\", \"1\")\n}\n",
            "fn f() {\n    let p = format!(\"/proc/{pid}/uid_map\");\n    File::create(p)\n}\n",
            "pub(crate) fn f() {\n    open(\"/sys/kernel/x\", OFlags::WRONLY, m)\n}\n",
        ] {
            assert_eq!(check(PLACE, planted).len(), 1, "{planted}");
            assert!(check(WRITER, planted).is_empty());
        }
        let apart = "fn f() {\n    read(\"/proc/self/stat\")\n}\nfn g() {\n    fs::write(path, text)\n}\n";
        assert!(check(PLACE, apart).is_empty());
    }

    #[test]
    fn r19_openers_beside_the_openers_are_found() {
        for planted in [
            "fn f() {\n    openat2(&root, path, flags, mode, resolve)\n}\n",
            "fn f() {\n    let path = self.rootfs.join(\"etc/hosts\");\n}\n",
            "fn f() {\n    let path = format!(\"{rootfs}/etc/hosts\");\n}\n",
            "fn f() {\n    let path = format!(\"/proc/{pid}/root/{path}\");\n}\n",
        ] {
            assert_eq!(check(PLACE, planted).len(), 1, "{planted}");
        }
        assert!(check("crates/runtime/src/tree.rs", "fn f() {\n    openat2(a)\n}\n").is_empty());
        assert!(check(PLACE, "fn f() {\n    tree.open(path, flags) // openat2(\n}\n").is_empty());
    }
}
