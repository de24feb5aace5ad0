//! What is in `/dev`: nodes and links every container has, and the document's own nodes.

use oci::runtime::{LinuxDevice, Spec};
use protocol::plan::{Act, Bind, Link, Node, Step};

use crate::Error;
use crate::cgroup::step;

const CHARACTER: u32 = 0o020_000;
const BLOCK: u32 = 0o060_000;
const FIFO: u32 = 0o010_000;
const KIND: u32 = 0o170_000;

/// Major and minor of the nodes every container has (runtime-spec, config-linux.md#default-devices).
const NODES: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

const LINKS: [(&str, &str); 6] = [
    ("/dev/ptmx", "pts/ptmx"),
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/core", "/proc/kcore"),
];

/// Steps that fill `/dev`. In a user namespace device nodes cannot be made, so the host's are bound.
pub(super) fn steps(spec: &Spec, users: bool) -> Result<Vec<Step>, Error> {
    let own = spec.linux.as_ref().map(|l| l.devices.as_slice()).unwrap_or_default();
    let mut nodes = Vec::new();
    for device in own {
        nodes.push(node(device)?);
    }
    for (path, major, minor) in NODES {
        if !nodes.iter().any(|n: &Node| n.path == path) {
            nodes.push(Node { path: path.into(), mode: CHARACTER | 0o666, major, minor, uid: 0, gid: 0 });
        }
    }
    let mut steps: Vec<Step> = nodes
        .into_iter()
        .map(|n| if users && n.mode & KIND != FIFO { bind(n) } else { Act::Node(n) })
        .map(step)
        .collect();
    steps.extend(
        LINKS.iter().map(|(path, text)| step(Act::Link(Link { path: (*path).into(), text: (*text).into() }))),
    );
    Ok(steps)
}

fn bind(node: Node) -> Act {
    // Opened by the parent, in the host's propagation.
    let propagation = super::options::bit::PRIVATE;
    Act::Bind(Bind { source: node.path.clone(), target: node.path, propagation, ..Bind::default() })
}

fn node(device: &LinuxDevice) -> Result<Node, Error> {
    let path = &device.path;
    let kind = match device.kind.as_str() {
        "c" | "u" => CHARACTER,
        "b" => BLOCK,
        "p" => FIFO,
        other => {
            return Err(Error::invalid(format!("linux.devices: {path}: {other:?} is no type of device")));
        }
    };
    if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(Error::invalid(format!("linux.devices: {path:?} is not an absolute path")));
    }
    let number = |n: i64| match (kind, n) {
        (FIFO, _) => Ok(0),
        (_, n) => u32::try_from(n)
            .map_err(|_| Error::invalid(format!("linux.devices: {path}: number {n} is out of range"))),
    };
    Ok(Node {
        path: path.clone(),
        mode: kind | device.file_mode.unwrap_or(0o666) & 0o7777,
        major: number(device.major)?,
        minor: number(device.minor)?,
        uid: device.uid.unwrap_or(0),
        gid: device.gid.unwrap_or(0),
    })
}
