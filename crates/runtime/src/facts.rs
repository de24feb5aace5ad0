//! Seeing what the host is.

use plan::facts::{Cgroups, Facts, Resctrl, V1, V2};
use rustix::thread::CapabilitySet;

use crate::error::{Error, Tried};
use crate::kernel::read_file;

mod delegation;

/// Looks at the host. The answer changes only when somebody mounts cgroup hierarchies or changes kernel parameters.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn gather() -> Result<Facts, Error> {
    gather_as(None)
}

/// As [`gather`]; `rootless` says whether cgroups are to be had only where somebody has handed a place down, `None` that whoever is
/// not the host's root is in that position.
///
/// # Errors
/// As [`gather`].
pub fn gather_as(rootless: Option<bool>) -> Result<Facts, Error> {
    let rights = rights()?;
    let rootless = rootless.unwrap_or(rights.uid != 0 || rights.nested);
    let mut cgroups = cgroups()?;
    if rootless {
        delegation::find(&mut cgroups);
    }
    let swap_limit = swap_limit(&cgroups);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    Ok(Facts {
        swap_limit,
        cgroups,
        kernel: kernel(),
        seccomp: sys::seccomp::action_available(SECCOMP_RET_ERRNO),
        namespaces: namespaces(),
        nofile_hard: limit.maximum.unwrap_or(u64::MAX),
        max_user_namespaces: number("/proc/sys/user/max_user_namespaces").unwrap_or(0),
        rootless,
        resctrl: resctrl(),
        ..rights
    })
}

/// Looks only at what an exec depends on: who this process is, its rights, and who guards processes here.
///
/// # Errors
/// The kernel's.
pub fn rights() -> Result<Facts, Error> {
    let sets = rustix::thread::capabilities(None).tried(|| "see this process's capabilities")?;
    let in_bounding = |number: &u32| {
        let one = CapabilitySet::from_bits_retain(1 << number);
        rustix::thread::capability_is_in_bounding_set(one)
    };
    // The kernel refuses to tell of the first one it does not know.
    let known: Vec<bool> = (0..64).map_while(|number| in_bounding(&number).ok()).collect();
    let bounding = (0..).zip(&known).fold(0, |all, (number, within)| all | u64::from(*within) << number);
    Ok(Facts {
        last_capability: known.len().saturating_sub(1) as u32,
        effective: sets.effective.bits(),
        bounding,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        nested: in_user_namespace(),
        apparmor: read_file("/sys/module/apparmor/parameters/enabled").is_ok_and(|on| on.starts_with('Y')),
        selinux: rustix::fs::statfs("/sys/fs/selinux").is_ok_and(|fs| fs.f_type == SELINUX_MAGIC),
        ..Facts::default()
    })
}

const SELINUX_MAGIC: i64 = 0xf97c_ff8c;
const RESCTRL_MAGIC: i64 = 0x0765_5821;

/// Where everybody mounts it, or where the mount table has it.
fn resctrl() -> Option<Resctrl> {
    let usual = "/sys/fs/resctrl";
    let mount = match rustix::fs::statfs(usual) {
        Ok(fs) if fs.f_type == RESCTRL_MAGIC => usual.to_owned(),
        // The kernel makes the directory where it has resctrl.
        Ok(_) => {
            let mounts = read_file("/proc/self/mountinfo").ok()?;
            let line = mounts.lines().find(|line| line.contains(" - resctrl "))?;
            line.split(' ').nth(4)?.to_owned()
        }
        Err(_) => return None,
    };
    let entries = std::fs::read_dir(format!("{mount}/info")).into_iter().flatten().flatten();
    let resources = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    Some(Resctrl { mount, resources })
}

const SECCOMP_RET_ERRNO: u32 = 0x0005_0000;

/// The host's own has a number that the kernel's sources fix.
pub(crate) fn in_user_namespace() -> bool {
    const HOSTS: &[u8] = b"user:[4026531837]";
    rustix::fs::readlink("/proc/self/ns/user", Vec::new()).is_ok_and(|name| name.as_bytes() != HOSTS)
}

fn number(path: &str) -> Option<u64> {
    read_file(path).ok()?.trim().parse().ok()
}

fn namespaces() -> Vec<String> {
    const KINDS: [&str; 8] = ["mnt", "pid", "net", "uts", "ipc", "user", "cgroup", "time"];
    match std::fs::read_dir("/proc/self/ns") {
        Ok(entries) => entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect(),
        // A hidden process of an ordinary user may not list them, but it may ask for each.
        Err(_) => {
            let there = |kind: &&str| rustix::fs::lstat(format!("/proc/self/ns/{kind}")).is_ok();
            KINDS.iter().filter(|kind| there(kind)).map(|kind| (*kind).to_owned()).collect()
        }
    }
}

fn kernel() -> (u32, u32) {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut parts = release.split(['.', '-']).map_while(|p| p.parse().ok());
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// Hierarchies from the mount table, own places from `/proc/self/cgroup`.
fn cgroups() -> Result<Cgroups, Error> {
    let mounts = read_file("/proc/self/mountinfo").tried(|| "read /proc/self/mountinfo")?;
    let own = read_file("/proc/self/cgroup").tried(|| "read /proc/self/cgroup")?;
    let controllers = |place: &str| read_file(&format!("{place}/cgroup.controllers")).unwrap_or_default();
    Ok(read_cgroups(&mounts, &own, &controllers))
}

/// What `/proc/self/mountinfo` and `/proc/self/cgroup` say; `controllers` reads the list of those of a v2 mount.
#[must_use]
pub fn read_cgroups(mounts: &str, own: &str, controllers: &dyn Fn(&str) -> String) -> Cgroups {
    let own_place = |wanted: &str| {
        own.lines()
            .find_map(|line| {
                let mut parts = line.splitn(3, ':').skip(1);
                let names = parts.next()?;
                let place = parts.next()?;
                let same = names == wanted || (!wanted.is_empty() && names.split(',').any(|n| n == wanted));
                same.then(|| place.to_owned())
            })
            .unwrap_or_else(|| "/".to_owned())
    };
    let mut cgroups = Cgroups::default();
    for line in mounts.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        let (Some(root), Some(place)) = (left.get(3), left.get(4)) else { continue };
        let (Some(kind), Some(options)) = (right.first(), right.get(2)) else { continue };
        let place = unescaped(place);
        // What is mounted may be a part of the hierarchy; places are told from the hierarchy's own root.
        let own_place = |wanted: &str| below(root, own_place(wanted));
        match *kind {
            "cgroup2" if cgroups.v2.is_none() => {
                let controllers = controllers(&place);
                let controllers = controllers.split_whitespace().map(str::to_owned).collect();
                cgroups.v2 = Some(V2 { controllers, mount: place, own: own_place(""), ..V2::default() });
            }
            "cgroup" => {
                let controllers: Vec<String> =
                    options.split(',').filter(|o| is_controller(o)).map(str::to_owned).collect();
                let known = cgroups.v1.iter().any(|h| h.controllers == controllers);
                if let Some(first) = controllers.first().filter(|_| !known) {
                    let own = own_place(first);
                    cgroups.v1.push(V1 { controllers, mount: place, own, ..V1::default() });
                }
            }
            _ => {}
        }
    }
    cgroups
}

/// Blanks and backslashes of a path are written in octal, `\040`.
fn unescaped(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let digits = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        text.push(digits.map_or('\\', char::from));
        rest = if digits.is_some() { &after[3..] } else { after };
    }
    text + rest
}

fn below(root: &str, place: String) -> String {
    match place.strip_prefix(root) {
        _ if root == "/" => place,
        Some("") => "/".to_owned(),
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        _ => place,
    }
}

/// Mount options of a v1 hierarchy that are neither flags nor settings are its controllers.
fn is_controller(option: &str) -> bool {
    option.starts_with("name=")
        || !(option.contains('=')
            || matches!(
                option,
                "rw" | "ro" | "none" | "xattr" | "noprefix" | "clone_children" | "cpuset_v2_mode"
            )
            || option.starts_with("no")
            || option.ends_with("atime"))
}

fn swap_limit(cgroups: &Cgroups) -> bool {
    if let Some(memory) = cgroups.v1_of("memory") {
        return rustix::fs::stat(format!("{}/memory.memsw.limit_in_bytes", memory.mount)).is_ok();
    }
    // The root of v2 has no such file; the kernel has it whenever it can swap at all.
    cgroups.v2_has("memory") && rustix::fs::stat("/proc/swaps").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_hybrid_host() {
        let mounts = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
            32 31 0:29 / /cg/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
            35 31 0:32 / /cg/memory rw,nosuid - cgroup cgroup rw,memory\n\
            40 31 0:37 / /cg/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
            41 31 0:38 / /cg/unified rw - cgroup2 cgroup2 rw,nsdelegate\n\
            49 31 0:32 / /again/memory rw - cgroup cgroup rw,memory\n";
        let own = "9:name=systemd:/a\n4:memory:/m/x\n1:cpu,cpuacct:/\n0::/u\n";
        let cgroups = read_cgroups(mounts, own, &|_| String::new());
        let seen: Vec<_> =
            cgroups.v1.iter().map(|h| (h.controllers.join(","), h.mount.as_str(), h.own.as_str())).collect();
        assert_eq!(
            seen,
            [
                ("cpu,cpuacct".to_owned(), "/cg/cpu,cpuacct", "/"),
                ("memory".to_owned(), "/cg/memory", "/m/x"),
                ("name=systemd".to_owned(), "/cg/systemd", "/a"),
            ]
        );
        assert_eq!(cgroups.v2.map(|v| (v.mount, v.own)), Some(("/cg/unified".into(), "/u".into())));
    }

    #[test]
    fn reads_places_with_blanks() {
        let mounts = "35 31 0:32 / /c\\040g\\134x\\9 rw - cgroup2 cgroup2 rw\n";
        let cgroups = read_cgroups(mounts, "0::/\n", &|place| place.to_owned());
        assert_eq!(cgroups.v2.map(|v2| v2.mount), Some("/c g\\x\\9".into()));
    }
}
