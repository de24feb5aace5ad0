//! Plans as text, one line per act: what golden tests compare and `--dry-run` shows.

use std::fmt::Write as _;

use protocol::Plan;
use protocol::plan::{
    ALL_BELOW, Act, Bind, ExecPlan, Filesystem, IdMap, NamespaceKind, Process, Propagation, Root, Step,
};

use super::options::bit;

/// The whole plan.
#[must_use]
pub fn print(plan: &Plan) -> String {
    let mut text = format!("container {}\nprepare\n", plan.id);
    print_steps(&mut text, &plan.prepare);
    text.push_str("clone\n");
    for namespace in &plan.namespaces {
        let kind = NamespaceKind::try_from(namespace.kind).map_or("?", NamespaceKind::link);
        let how = match (namespace.path.as_str(), namespace.late) {
            ("", false) => "new",
            ("", true) => "new, by a step",
            (path, _) => path,
        };
        let _ = writeln!(text, "  {kind}: {how}");
    }
    if let Some(cgroup) = plan.cgroup.as_ref().filter(|c| !c.unified.is_empty()) {
        let _ = writeln!(text, "  into {}", cgroup.unified);
    }
    if let Some(users) = &plan.users {
        for (kind, maps, helped) in
            [("uid", &users.uid, users.uid_by_helper), ("gid", &users.gid, users.gid_by_helper)]
        {
            let how = if helped { format!(", by new{kind}map") } else { String::new() };
            for map in maps {
                let IdMap { inside, outside, count } = map;
                let _ = writeln!(text, "  {kind} {inside} is {outside} outside, {count} ids{how}");
            }
        }
        text.push_str(if users.inside { "  sources are opened inside\n" } else { "" });
    }
    text.push_str("setup\n");
    print_steps(&mut text, &plan.setup);
    if let Some(process) = &plan.process {
        print_process(&mut text, process);
    }
    text
}

/// An exec's plan.
#[must_use]
pub fn print_exec(plan: &ExecPlan) -> String {
    let kinds: Vec<&str> = plan
        .namespaces
        .iter()
        .filter_map(|kind| NamespaceKind::try_from(*kind).ok())
        .map(NamespaceKind::link)
        .collect();
    let mut text = format!("exec in {}\n  join {}\n", plan.container, kinds.join(" "));
    if let Some(process) = &plan.process {
        print_process(&mut text, process);
    }
    text
}

fn print_steps(text: &mut String, steps: &[Step]) {
    for act in steps.iter().filter_map(|step| step.act.as_ref()) {
        let _ = writeln!(text, "  {}", describe(act));
    }
}

/// One act in one line.
fn describe(act: &Act) -> String {
    match act {
        Act::Write(w) => {
            let may_fail = if w.field.is_empty() { " (may fail)" } else { "" };
            let other = w.otherwise.as_ref().map(|o| format!(", else {} = {}", o.path, o.value));
            format!("write {} = {}{may_fail}{}", w.path, w.value, other.unwrap_or_default())
        }
        Act::MakeCgroup(m) => {
            let owner = m.owner.map(|owner| format!(" (for user {owner})")).unwrap_or_default();
            let (seed, keep) =
                (if m.seed { " (seeded)" } else { "" }, if m.keep { " (or as it is)" } else { "" });
            format!("cgroup {}{seed}{keep}{owner}", m.path)
        }
        Act::DeviceProgram(d) => {
            format!("device filter of {} instructions on {}", d.program.len() / 8, d.cgroup)
        }
        Act::EnterCgroup(path) => format!("enter {path}"),
        Act::UnshareCgroup(_) => "unshare cgroup".into(),
        Act::UnshareTime(t) => format!("unshare time, {}", t.lines.trim_end().replace('\n', ", ")),
        Act::Propagate(word) => format!("propagate{} /", words(*word)),
        Act::Root(root) => describe_root(root),
        Act::Filesystem(f) => describe_filesystem(f),
        Act::Bind(b) => describe_bind(b),
        Act::Node(n) => format!("node {} {:o} {}:{} {}:{}", n.path, n.mode, n.major, n.minor, n.uid, n.gid),
        Act::Link(l) => format!("link {} -> {}", l.path, l.text),
        Act::MakeDir(d) => format!("dir {} {:o}", d.path, d.mode),
        Act::Console(path) => format!("console {path}"),
        Act::Mask(p) => format!("mask {}", p.paths.join(" ")),
        Act::ReadOnly(p) => format!("read-only {}", p.paths.join(" ")),
        Act::Sysctl(s) => format!("sysctl {} = {}{}", s.path, s.value, if s.early { " early" } else { "" }),
        Act::Hostname(name) => format!("hostname {name}"),
        Act::Domainname(name) => format!("domainname {name}"),
        Act::Loopback(_) => "loopback up".into(),
        Act::Attributes(a) => {
            format!("set{} {}", words(a.set), if a.target.is_empty() { "/" } else { &a.target })
        }
        Act::Pivot(_) => "pivot".into(),
        Act::Chroot(_) => "chroot".into(),
        Act::HangRoot(hung) if hung.namespace.is_empty() => format!("hang root {}", hung.directory),
        Act::HangRoot(hung) => format!("hang root {} in {}", hung.directory, hung.namespace),
        Act::OpenRoot(path) => format!("open root {path}"),
        Act::ChangeRoot(_) => "change root".into(),
        Act::RootPropagation(word) => {
            format!("root{}{}", words(*word), if word & ALL_BELOW != 0 { " all" } else { "" })
        }
        Act::AwaitHooks(_) => "wait for hooks".into(),
        Act::Hook(hook) => format!("{} {}", hook.name, hook.path),
        Act::NetDevices(list) => {
            let devices = list.devices.iter().map(|d| format!(" {} as {}", d.name, d.inside));
            format!("net devices{}", devices.collect::<String>())
        }
        Act::Class(class) => {
            let kind = if class.own { "own" } else { "named" };
            format!("{kind} class {} [{}] {}", class.path, class.schemata.join(" "), class.monitor)
        }
    }
}

fn describe_root(root: &Root) -> String {
    let mapped = if root.mapped { " mapped" } else { "" };
    if root.lower.is_empty() {
        let place = if root.place.is_empty() { String::new() } else { format!(" on {}", root.place) };
        return format!("root {}{mapped}{place}{}", root.directory, words(root.propagation));
    }
    format!("root overlay {} upper {} [{}]{mapped}", root.lower.join(":"), root.upper, root.options.join(","))
}

fn describe_filesystem(f: &Filesystem) -> String {
    let act = if f.remount { "remount" } else { "mount" };
    let mut text = format!("{act} {} on {}{}", f.kind, f.target, words(f.attributes | f.propagation));
    text.push_str(&changes(&f.then));
    if f.clear != 0 {
        let _ = write!(text, " clear{}", words(f.clear));
    }
    if !f.options.is_empty() {
        let _ = write!(text, " [{}]", f.options.join(","));
    }
    let flags = [
        (f.strict, " strict"),
        (f.early, " early"),
        (f.copy_up, " copy-up"),
        (f.inherit_mode, " mode of its place"),
    ];
    for (flag, word) in flags {
        text.push_str(if flag { word } else { "" });
    }
    text
}

fn describe_bind(b: &Bind) -> String {
    let kind = if b.recursive { "rbind" } else { "bind" };
    let mut text = format!("{kind} {} on {}{}", b.source, b.target, words(b.set | b.propagation));
    text.push_str(&changes(&b.then));
    if b.clear != 0 {
        let _ = write!(text, " clear{}", words(b.clear));
    }
    if b.set_all | b.clear_all != 0 {
        let _ = write!(text, " all{} clear{}", words(b.set_all), words(b.clear_all));
    }
    text.push_str(if b.mapped { " mapped" } else { "" });
    for (kind, maps) in b.maps.iter().flat_map(|maps| [("uid", &maps.uid), ("gid", &maps.gid)]) {
        for map in maps {
            let _ = write!(text, " {kind} {}:{}:{}", map.inside, map.outside, map.count);
        }
    }
    text.push_str(if b.map_all { " all" } else { "" });
    text.push_str(if b.early { " early" } else { "" });
    text.push_str(if b.late { " late" } else { "" });
    text
}

/// Further changes of a propagation.
fn changes(then: &[Propagation]) -> String {
    then.iter().map(|p| format!(", then{}{}", words(p.word), if p.all { " all" } else { "" })).collect()
}

/// Attribute and propagation words, each with a space in front.
fn words(bits: u64) -> String {
    const NAMES: [(u64, &str); 12] = [
        (bit::RDONLY, "ro"),
        (bit::NOSUID, "nosuid"),
        (bit::NODEV, "nodev"),
        (bit::NOEXEC, "noexec"),
        (bit::NOATIME, "noatime"),
        (bit::STRICTATIME, "strictatime"),
        (bit::NODIRATIME, "nodiratime"),
        (bit::NOSYMFOLLOW, "nosymfollow"),
        (bit::PRIVATE, "private"),
        (bit::SLAVE, "slave"),
        (bit::SHARED, "shared"),
        (bit::UNBINDABLE, "unbindable"),
    ];
    NAMES.iter().filter(|(b, _)| bits & b != 0).map(|(_, name)| format!(" {name}")).collect()
}

fn print_process(text: &mut String, process: &Process) {
    let _ = writeln!(text, "process");
    let _ = writeln!(text, "  args {:?}", process.args);
    let _ = writeln!(
        text,
        "  user {}:{} groups {:?} cwd {}",
        process.uid, process.gid, process.groups, process.cwd
    );
    if let Some(caps) = process.capabilities {
        let _ = writeln!(
            text,
            "  capabilities bounding {:x} effective {:x} inheritable {:x} permitted {:x} ambient {:x}",
            caps.bounding, caps.effective, caps.inheritable, caps.permitted, caps.ambient
        );
    }
    for limit in &process.rlimits {
        let _ = writeln!(text, "  rlimit {} {}:{}", limit.resource, limit.soft, limit.hard);
    }
    if let Some(score) = process.oom_score_adj {
        let _ = writeln!(text, "  oom_score_adj {score}");
    }
    if process.no_new_privs {
        text.push_str("  no_new_privs\n");
    }
    if let Some(seccomp) = &process.seccomp {
        let _ =
            writeln!(text, "  seccomp {} instructions, flags {:x}", seccomp.filter.len() / 8, seccomp.flags);
    }
    for (module, label) in [("apparmor", &process.apparmor), ("selinux", &process.selinux)] {
        if !label.is_empty() {
            let _ = writeln!(text, "  {module} {label}");
        }
    }
    if let Some(policy) = &process.memory_policy {
        let _ = writeln!(text, "  memory policy {:x} {:x?}", policy.mode, policy.nodes);
    }
    if process.unprivileged {
        text.push_str("  unprivileged\n");
    }
    if process.terminal {
        text.push_str("  terminal\n");
    }
    if let Some(scheduler) = process.scheduler {
        let _ = writeln!(text, "  scheduler {scheduler:?}");
    }
    if let Some(priority) = process.io_priority {
        let _ = writeln!(text, "  io priority {priority:x}");
    }
    if let Some(domain) = process.personality {
        let _ = writeln!(text, "  personality {domain:x}");
    }
    for hook in &process.start_hooks {
        let _ = writeln!(text, "  {} {}", hook.name, hook.path);
    }
}
