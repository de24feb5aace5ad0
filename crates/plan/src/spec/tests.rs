//! Golden documents: what a container gets by default, and what each larger wish changes of it.

use std::fmt::Write as _;

use oci::runtime::{LinuxIdMapping, LinuxNamespace, Spec};

use super::request::{Confinement, Devices, Filesystems, Namespaces, Program, Request, Space};
use super::user::User;
use super::{defaults, spec, sysctl};

/// The document as text, one fact per line.
fn print(spec: &Spec) -> String {
    let mut text = String::new();
    let process = spec.process.clone().unwrap_or_default();
    let linux = spec.linux.clone().unwrap_or_default();
    let user = &process.user;
    let _ = writeln!(
        text,
        "run {:?} in {} as {}:{} {:?}",
        process.args, process.cwd, user.uid, user.gid, user.additional_gids
    );
    let _ = writeln!(text, "env {:?}", process.env);
    let sets = process.capabilities.unwrap_or_default();
    let _ = writeln!(text, "bounding {:?}", sets.bounding);
    let _ = writeln!(text, "effective {:?} inheritable {:?}", sets.effective, sets.inheritable);
    let root = spec.root.clone().unwrap_or_default();
    let _ = writeln!(
        text,
        "hostname {:?} readonly {} no_new_privileges {}",
        spec.hostname, root.readonly, process.no_new_privileges
    );
    for m in &spec.mounts {
        let _ = writeln!(text, "mount {} {} {} {}", m.destination, m.kind, m.source, m.options.join(","));
    }
    for LinuxNamespace { kind, path } in &linux.namespaces {
        let _ = writeln!(text, "{}", format!("namespace {kind:?} {path}").trim_end());
    }
    for LinuxIdMapping { container_id, host_id, size } in &linux.uid_mappings {
        let _ = writeln!(text, "map {container_id} {host_id} {size}");
    }
    for (name, value) in &linux.sysctl {
        let _ = writeln!(text, "sysctl {name} = {value}");
    }
    for d in linux.resources.unwrap_or_default().devices {
        let number = |n: Option<i64>| n.map_or_else(|| "*".to_owned(), |n| n.to_string());
        let word = if d.allow { "allow" } else { "deny" };
        let _ = writeln!(text, "{word} {} {}:{} {}", d.kind, number(d.major), number(d.minor), d.access);
    }
    for d in &linux.devices {
        let _ = writeln!(text, "device {} {} {}:{}", d.path, d.kind, d.major, d.minor);
    }
    let _ = writeln!(text, "masked {:?}\nread-only {:?}", linux.masked_paths, linux.readonly_paths);
    let _ = writeln!(text, "cgroup {} seccomp {}", linux.cgroups_path, linux.seccomp.is_some());
    text
}

fn request() -> Request {
    let own = |list: &[&str]| list.iter().map(|&p| p.to_owned()).collect::<Vec<_>>();
    let file = |name: &str| (format!("/data/{name}"), format!("/etc/{name}"));
    Request {
        hostname: "c0ffee".to_owned(),
        program: Program {
            args: own(&["sh", "-c", "true"]),
            env: super::process::environment("c0ffee", false, &[], "/root"),
            user: Some(User { uid: 0, gid: 0, groups: vec![0, 10], home: "/root".to_owned() }),
            ..Program::default()
        },
        namespaces: Namespaces { network: Space::Join("fd:net".to_owned()), ..Namespaces::default() },
        filesystems: Filesystems {
            shm_bytes: Some(defaults::SHM_BYTES),
            files: vec![file("resolv.conf"), file("hostname"), file("hosts")],
            ..Filesystems::default()
        },
        confinement: Confinement {
            capabilities: own(&["CAP_CHOWN", "CAP_KILL"]),
            seccomp: Some(oci::runtime::LinuxSeccomp::default()),
            masked: own(&defaults::MASKED),
            readonly: own(&defaults::READONLY),
            ..Confinement::default()
        },
        sysctl: sysctl::plan(&std::collections::BTreeMap::new(), sysctl::Shared::default(), false)
            .expect("Docker's defaults"),
        cgroup: "/berth/c0ffee".to_owned(),
        ..Request::default()
    }
}

fn check(name: &str, request: &Request, golden: &str) {
    let text = print(&spec(request));
    assert!(text == golden, "{name} is now:\n{text}");
}

#[test]
fn default_container() {
    check("default.txt", &request(), include_str!("golden/default.txt"));
}

#[test]
fn privileged_container() {
    let mut request = request();
    request.confinement = Confinement {
        privileged: true,
        capabilities: vec!["CAP_SYS_ADMIN".to_owned()],
        ..Confinement::default()
    };
    request.sysctl.clear();
    let device = oci::runtime::LinuxDevice {
        path: "/dev/fuse".into(),
        kind: "c".into(),
        major: 10,
        minor: 229,
        ..Default::default()
    };
    request.devices = Devices { nodes: vec![device], rules: Vec::new() };
    check("privileged.txt", &request, include_str!("golden/privileged.txt"));
}

#[test]
fn host_namespaces() {
    let mut request = request();
    request.namespaces = Namespaces {
        network: Space::Host,
        ipc: Space::Host,
        pid: Space::Join("/proc/7/ns/pid".to_owned()),
        uts: Space::Host,
        cgroup: Space::Host,
        time: Space::Host,
        users: None,
    };
    request.filesystems.host_mqueue = true;
    request.sysctl.clear();
    check("host.txt", &request, include_str!("golden/host.txt"));
}

#[test]
fn user_namespace_init_and_another_user() {
    let mut request = request();
    request.namespaces.users = Some(LinuxIdMapping { container_id: 0, host_id: 1_048_576, size: 65_536 });
    request.program.init = Some("/usr/bin/berth-runtime".to_owned());
    request.program.user = Some(User { uid: 33, gid: 33, groups: vec![33], home: "/".to_owned() });
    request.confinement.no_new_privileges = true;
    check("users.txt", &request, include_str!("golden/users.txt"));
}

#[test]
fn mounts_and_a_read_only_root() {
    let mut request = request();
    request.filesystems.readonly = true;
    request.filesystems.mounts = vec![
        defaults::mount("/a/b", "bind", "/src/b", &["rbind", "rprivate", "rro"]),
        defaults::mount("/a", "bind", "/src/a", &["rbind", "rprivate"]),
        defaults::mount("/dev/shm", "tmpfs", "tmpfs", &["size=1m"]),
        defaults::mount("/etc/hosts", "bind", "/src/hosts", &["rbind", "rprivate"]),
    ];
    check("mounts.txt", &request, include_str!("golden/mounts.txt"));
}
