//! The order of a start. Each rule stands where it is kept.

use oci::runtime::Spec;
use protocol::Plan;
use protocol::plan::{
    ALL_BELOW, Act, Attributes, Cgroup, HungRoot, NamespaceKind, Nothing, Process, Propagation, Root, Step,
    Sysctl, TimeOffsets, Users,
};
use types::Rootfs;

use super::namespaces::{self, Namespaces};
use super::options::{bit, propagation};
use super::{Options, Planned, devices, hooks, mounts, net_devices, process, rdt, scheduling};
use crate::Error;
use crate::cgroup::{self, Place, Site, step};
use crate::facts::Facts;

/// Decides the start of container `id`.
///
/// # Errors
/// When the document contradicts itself, asks for something this host or Berth does not have, or names paths that
/// cannot be meant.
pub fn plan(
    id: &str,
    spec: &Spec,
    rootfs: &Rootfs,
    facts: &Facts,
    options: &Options,
) -> Result<Planned, Error> {
    if spec.linux.is_none() {
        return Err(Error::invalid("the document has no linux section"));
    }
    let mut namespaces = Namespaces::of(spec, facts)?;
    let users = namespaces::users(spec, &namespaces, facts)?;
    let mut warnings = Vec::new();
    let process = program(spec, facts, options, &mut warnings)?;
    check_groups(&process, users.as_ref())?;

    let owner = cgroup::owner(spec, namespaces.makes(NamespaceKind::Cgroup), users.as_ref());
    let place =
        Place { owner: owner.filter(|_| !facts.unprivileged()), ..cgroup_place(id, spec, facts, options)? };
    let resources = spec.linux.as_ref().and_then(|l| l.resources.clone()).unwrap_or_default();
    let (cgroup, mut prepare) = cgroup::layout(&place, &resources, facts);
    warnings.extend(unaccounted(&cgroup, &namespaces, facts));
    // Limits before the child is born: nothing of the container ever runs without them.
    let (limits, more) = cgroup::limits(&resources, &cgroup, &place, facts)?;
    prepare.extend(limits);
    warnings.extend(more);

    let mut setup = match rdt::steps(id, spec, facts)? {
        Some((make, enter)) => {
            prepare.push(make);
            enter
        }
        None => Vec::new(),
    };
    setup.extend(surroundings(spec, &mut namespaces, &cgroup, users.is_some(), facts)?);
    // Before the first mount: none of ours may travel to the host. What is to travel was opened before.
    let propagation = root_propagation(spec, options)?;
    if namespaces.makes(NamespaceKind::Mount) {
        setup.push(step(Act::Propagate(bit::PRIVATE)));
        setup.push(step(Act::Root(root(spec, rootfs, users.is_some(), propagation)?)));
    } else {
        let hung = hung_root(rootfs, &namespaces, users.is_some(), propagation)?;
        setup.push(step(Act::OpenRoot(hung.directory.clone())));
        prepare.push(step(Act::HangRoot(hung)));
    }
    let context = mounts::Context {
        namespaces: &namespaces,
        cgroup: &cgroup,
        facts,
        users: users.is_some(),
        bundle: &options.bundle,
        shared: propagation.word == bit::SHARED,
        apart: namespaces.makes(NamespaceKind::Mount) && users.is_none(),
        root: rootfs_text(rootfs),
        label: mount_label(spec, facts, &mut warnings),
    };
    setup.extend(mounts::steps(spec, &context, &mut warnings)?);
    // Nodes and links after the mounts: /dev is one of them. A /dev of the host's is left as it is.
    if !mounts::binds_dev(spec) {
        setup.extend(devices::steps(spec, users.is_some() || facts.unprivileged())?);
        if process.terminal {
            // The terminal comes from the container's devpts, which is mounted by now.
            setup.push(step(Act::Console("/dev/console".into())));
        }
    } else if process.terminal {
        setup.push(step(Act::Console(String::new())));
    }
    setup.extend(last_steps(spec, switch(&namespaces, options), propagation)?);

    let plan = Plan {
        id: id.to_owned(),
        prepare,
        setup,
        process: Some(process),
        namespaces: namespaces.into_list(),
        cgroup: Some(cgroup),
        users,
        fault_step: fault_step(spec)?,
    };
    Ok(Planned { plan, warnings })
}

/// What comes when everything is mounted.
fn last_steps(spec: &Spec, switch: Act, propagation: Propagation) -> Result<Vec<Step>, Error> {
    // Hooks may still change the root, with all its mounts in place.
    let mut setup = hooks::steps(spec)?;
    setup.extend(mounts::late_read_only(spec));
    // Over the mounts, or one of them would lie over these. Masks last: a mask below a read-only path stays one.
    setup.extend(mounts::protections(spec));
    if spec.root.as_ref().is_some_and(|r| r.readonly) {
        // After the last mount point was made in it.
        setup.push(step(Act::Attributes(Attributes { target: String::new(), set: bit::RDONLY })));
    }
    // Last: sources of binds are paths of the host.
    setup.push(step(switch));
    // A slave was one from the beginning.
    if propagation.word & (bit::SHARED | bit::UNBINDABLE) != 0 {
        let all = if propagation.all { ALL_BELOW } else { 0 };
        setup.push(step(Act::RootPropagation(propagation.word | all)));
    }
    Ok(setup)
}

/// What the process is in and sees, before the first mount.
fn surroundings(
    spec: &Spec,
    namespaces: &mut Namespaces,
    cgroup: &Cgroup,
    users: bool,
    facts: &Facts,
) -> Result<Vec<Step>, Error> {
    let late_cgroup = namespaces.makes(NamespaceKind::Cgroup) && !cgroup.hierarchies.is_empty();
    if late_cgroup {
        namespaces.make_late(NamespaceKind::Cgroup);
    }
    let mut setup: Vec<Step> = Vec::new();
    // Cgroups first: what follows is paid by the container. A cgroup namespace takes its root from where its maker is,
    // and on v1 the clone cannot put the child there, so it is made after entering.
    setup.extend(cgroup.hierarchies.iter().map(|h| step(Act::EnterCgroup(format!("{}/tasks", h.path)))));
    if late_cgroup {
        setup.push(step(Act::UnshareCgroup(Nothing {})));
    }
    setup.extend(time_offsets(spec, namespaces)?);
    // Kernel parameters may be theirs.
    setup.extend(net_devices::steps(spec, namespaces, facts)?);
    // Names and kernel parameters while /proc is still the host's: the container's could be a fake (CVE-2025-52881).
    setup.extend(names(spec, namespaces)?);
    setup.extend(sysctls(spec, namespaces, users)?);
    if namespaces.makes(NamespaceKind::Net) {
        setup.push(step(Act::Loopback(Nothing {})));
    }
    Ok(setup)
}

/// The program, with what other parts of the document say about it.
fn program(
    spec: &Spec,
    facts: &Facts,
    options: &Options,
    warnings: &mut Vec<String>,
) -> Result<Process, Error> {
    let document = spec.process.as_ref().ok_or_else(|| Error::invalid("the document names no process"))?;
    let linux = spec.linux.as_ref();
    let mut process = process::process(document, facts, warnings)?;
    process.seccomp =
        process::filter(linux.and_then(|l| l.seccomp.as_ref()), options.filter.as_ref(), facts)?;
    // No set named is nothing given, as other runtimes have it; an exec takes the container's instead.
    process.capabilities.get_or_insert_default();
    process.personality = scheduling::personality(linux.and_then(|l| l.personality.as_ref()))?;
    process.memory_policy = scheduling::memory_policy(linux.and_then(|l| l.memory_policy.as_ref()))?;
    process.start_hooks = hooks::at_start(spec, &process.env)?;
    Ok(process)
}

/// In a user namespace whose groups its maker could only map to itself, the kernel lets nobody set any.
fn check_groups(process: &Process, users: Option<&Users>) -> Result<(), Error> {
    let denied = users.is_some_and(|u| u.deny_groups);
    if denied && process.groups.iter().any(|group| *group != process.gid) {
        return Err(Error::invalid(
            "process.user.additionalGids cannot be set: the user namespace maps one group only, and an unprivileged user gives up setting groups for that",
        ));
    }
    Ok(())
}

/// The annotation by which a test of the undo makes one step fail.
const FAULT_STEP: &str = "berth.fault-step";

fn fault_step(spec: &Spec) -> Result<Option<u32>, Error> {
    let Some(text) = spec.annotations.get(FAULT_STEP) else { return Ok(None) };
    text.parse()
        .map(Some)
        .map_err(|_| Error::invalid(format!("annotation {FAULT_STEP}: {text:?} is not a number")))
}

/// Nobody could find all of its processes.
fn unaccounted(cgroup: &Cgroup, namespaces: &Namespaces, facts: &Facts) -> Option<String> {
    let lost = cgroup.hierarchies.is_empty() && cgroup.unified.is_empty();
    (lost && facts.rootless && !namespaces.makes(NamespaceKind::Pid)).then(|| {
        "without a cgroup and a pid namespace of its own, not all of the container's processes can be found and killed"
            .to_owned()
    })
}

fn cgroup_place(id: &str, spec: &Spec, facts: &Facts, options: &Options) -> Result<Place, Error> {
    let asked = spec.linux.as_ref().map(|l| l.cgroups_path.as_str()).unwrap_or_default();
    let place = |site| Place { site, keep: !asked.is_empty(), owner: None };
    let below = if asked.starts_with('/') { "" } else { options.cgroup_parent.trim_end_matches('/') };
    let path = match asked {
        "" if facts.rootless => return Ok(place(Site::Delegated(id.to_owned()))),
        "" => format!("{below}/{id}"),
        asked if !asked.starts_with('/') && asked.contains(':') => {
            return Err(Error::unimplemented(format!(
                "linux.cgroupsPath {asked:?} is for the systemd cgroup driver, which is not supported; use an absolute path"
            )));
        }
        asked => format!("{below}/{asked}"),
    };
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.is_empty() || parts.contains(&"..") || path.contains(['\n', '\0']) {
        return Err(Error::invalid(format!("linux.cgroupsPath {path:?} is not a plain absolute path")));
    }
    Ok(place(Site::Fixed(format!("/{}", parts.join("/")))))
}

fn time_offsets(spec: &Spec, namespaces: &mut Namespaces) -> Result<Option<Step>, Error> {
    let offsets = spec.linux.as_ref().map(|l| &l.time_offsets);
    let Some(offsets) = offsets.filter(|o| !o.is_empty()) else { return Ok(None) };
    if !namespaces.makes(NamespaceKind::Time) {
        return Err(Error::invalid("linux.timeOffsets need a new time namespace"));
    }
    // Offsets can only be written while nobody is inside, so the clone cannot make this one.
    namespaces.make_late(NamespaceKind::Time);
    let mut lines = String::new();
    for (clock, offset) in offsets {
        if !matches!(clock.as_str(), "monotonic" | "boottime") {
            return Err(Error::invalid(format!("linux.timeOffsets: {clock:?} is not a clock")));
        }
        lines.push_str(&format!("{clock} {} {}\n", offset.secs, offset.nanosecs));
    }
    Ok(Some(step(Act::UnshareTime(TimeOffsets { lines }))))
}

fn names(spec: &Spec, namespaces: &Namespaces) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::new();
    if !spec.hostname.is_empty() {
        steps.push(step(Act::Hostname(spec.hostname.clone())));
    }
    if !spec.domainname.is_empty() {
        steps.push(step(Act::Domainname(spec.domainname.clone())));
    }
    let separate = namespaces.makes(NamespaceKind::Uts) || namespaces.joined(NamespaceKind::Uts);
    if !steps.is_empty() && !separate {
        return Err(Error::invalid("hostname and domainname need a uts namespace that is not the host's"));
    }
    Ok(steps)
}

/// Only parameters that belong to a namespace the container has for itself.
fn sysctls(spec: &Spec, namespaces: &Namespaces, users: bool) -> Result<Vec<Step>, Error> {
    const IPC: [&str; 8] = [
        "kernel/msgmax",
        "kernel/msgmnb",
        "kernel/msgmni",
        "kernel/sem",
        "kernel/shmall",
        "kernel/shmmax",
        "kernel/shmmni",
        "kernel/shm_rmid_forced",
    ];
    let mut steps = Vec::new();
    for (name, value) in spec.linux.iter().flat_map(|l| &l.sysctl) {
        let path = sysctl_path(name);
        let kind = match path.as_str() {
            "kernel/domainname" | "kernel/hostname" => Some(NamespaceKind::Uts),
            p if IPC.contains(&p) || p.starts_with("fs/mqueue/") => Some(NamespaceKind::Ipc),
            p if p.starts_with("net/") => Some(NamespaceKind::Net),
            _ => None,
        };
        let plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        match kind {
            Some(kind) if plain && (namespaces.makes(kind) || namespaces.joined(kind)) => {
                let field = format!("linux.sysctl {name}");
                let early = namespaces.joined(kind) && users;
                steps.push(step(Act::Sysctl(Sysctl { path, value: value.clone(), field, early })));
            }
            Some(kind) if plain => {
                return Err(Error::invalid(format!(
                    "sysctl {name:?} is not allowed in the host's {} namespace",
                    kind.link()
                )));
            }
            _ => {
                return Err(Error::invalid(format!("sysctl {name:?} is not in a separate kernel namespace")));
            }
        }
    }
    Ok(steps)
}

/// `net.ipv4.ip_forward` or `net/ipv4/ip_forward`; with a slash first, dots are part of names (interfaces).
fn sysctl_path(name: &str) -> String {
    match (name.find('.'), name.find('/')) {
        (Some(dot), Some(slash)) if dot < slash => name
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                c => c,
            })
            .collect(),
        (_, Some(_)) => name.to_owned(),
        _ => name.replace('.', "/"),
    }
}

fn root_propagation(spec: &Spec, options: &Options) -> Result<Propagation, Error> {
    let asked = spec.linux.as_ref().map(|l| l.rootfs_propagation.as_str()).unwrap_or_default();
    if asked.is_empty() {
        return Ok(Propagation { word: bit::PRIVATE, all: true });
    }
    let read = propagation(asked)
        .ok_or_else(|| Error::invalid(format!("linux.rootfsPropagation: {asked:?} is not a propagation")))?;
    // As runc has it: who was promised an own tree must not be left with the host's in reach.
    if options.no_pivot && read.word == bit::PRIVATE {
        return Err(Error::invalid(format!(
            "linux.rootfsPropagation {asked:?} needs the pivot that --no-pivot forbids"
        )));
    }
    Ok(read)
}

/// Labels of mounts mean nothing to a kernel that checks none: as with other runtimes, such a document runs everywhere.
fn mount_label<'a>(spec: &'a Spec, facts: &Facts, warnings: &mut Vec<String>) -> &'a str {
    let label = spec.linux.as_ref().map(|l| l.mount_label.as_str()).unwrap_or_default();
    if label.is_empty() || facts.selinux {
        return label;
    }
    warnings.push(format!("linux.mountLabel {label:?} has no effect: this kernel does not run SELinux"));
    ""
}

/// The root where the container has no mount namespace of its own: the mounts there are belong to others, who go on using them.
fn hung_root(
    rootfs: &Rootfs,
    namespaces: &Namespaces,
    users: bool,
    propagation: Propagation,
) -> Result<HungRoot, Error> {
    if users {
        return Err(Error::invalid(
            "linux.namespaces: a user namespace needs a new mount namespace: its root may not mount in another's",
        ));
    }
    if propagation.word & bit::SLAVE != 0 {
        return Err(Error::invalid("linux.rootfsPropagation: a slave root needs a new mount namespace"));
    }
    let Rootfs::Directory(directory) = rootfs else {
        return Err(Error::invalid("linux.namespaces: layers need a new mount namespace"));
    };
    let directory = path_text(directory)?;
    Ok(HungRoot {
        directory,
        namespace: namespaces.path(NamespaceKind::Mount).to_owned(),
        ..HungRoot::default()
    })
}

/// How the new root becomes the root.
fn switch(namespaces: &Namespaces, options: &Options) -> Act {
    match (namespaces.makes(NamespaceKind::Mount), options.no_pivot) {
        (true, false) => Act::Pivot(Nothing {}),
        (true, true) => Act::Chroot(Nothing {}),
        (false, _) => Act::ChangeRoot(Nothing {}),
    }
}

/// Where a root that is a directory lies; empty for layers.
fn rootfs_text(rootfs: &Rootfs) -> &str {
    match rootfs {
        Rootfs::Directory(directory) => directory.to_str().unwrap_or_default(),
        Rootfs::Overlay { .. } => "",
    }
}

fn path_text(path: &std::path::Path) -> Result<String, Error> {
    path.to_str()
        .filter(|p| p.starts_with('/'))
        .map(str::to_owned)
        .ok_or_else(|| Error::invalid(format!("root: {} is not an absolute path in UTF-8", path.display())))
}

/// A directory hangs where it is when somebody looks for it there: hooks, or binds that begin inside it.
fn root(spec: &Spec, rootfs: &Rootfs, users: bool, propagation: Propagation) -> Result<Root, Error> {
    let text = path_text;
    match rootfs {
        Rootfs::Directory(directory) => {
            let directory = text(directory)?;
            let visible = hooks::see_the_root(spec) || mounts::bind_of_the_root(spec, &directory);
            let place = if visible { directory.clone() } else { String::new() };
            let propagation = if propagation.word == bit::SLAVE { bit::SLAVE } else { 0 };
            Ok(Root { directory, place, propagation, ..Root::default() })
        }
        Rootfs::Overlay { lower, upper, work, volatile } => Ok(Root {
            lower: lower.iter().map(|l| text(l)).collect::<Result<_, _>>()?,
            upper: text(upper)?,
            work: text(work)?,
            // The kernel's defaults for these are a matter of its configuration; layers must not depend on it.
            options: ["index=off", "metacopy=off", "redirect_dir=off"]
                .iter()
                .map(|o| (*o).to_owned())
                .chain(volatile.then(|| "volatile".to_owned()))
                .collect(),
            mapped: users,
            ..Root::default()
        }),
    }
}
