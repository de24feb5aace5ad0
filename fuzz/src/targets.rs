//! What is fuzzed. A target panics when something is wrong; it answers whether the input led to an answer that was not seen before.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;

use oci::runtime::{LinuxResources, Process, Spec};
use plan::container::{ExecOptions, Options, plan_exec, print, print_exec};
use protocol::{FrameReader, Message, Plan};
use types::Rootfs;

use crate::{host, images, oracle, registries, requests, seccomp};

/// One of them.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// Inputs to begin with; there is at least one.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
    pub(crate) run: fn(&[u8]) -> bool,
    /// What this machine does not have for it.
    pub(crate) lacks: fn() -> Option<String>,
}

const fn nothing() -> Option<String> {
    None
}

pub(crate) const TARGETS: &[Target] = &[
    Target { name: "config", seeds: documents, run: config, lacks: nothing },
    Target { name: "process", seeds: processes, run: process, lacks: nothing },
    Target { name: "resources", seeds: resource_documents, run: resources, lacks: nothing },
    Target { name: "seccomp", seeds: seccomp::seeds, run: seccomp::compare, lacks: oracle::lacks },
    Target { name: "profile", seeds: seccomp::seeds, run: seccomp::profile, lacks: nothing },
    Target { name: "cgroups", seeds: host_files, run: cgroups, lacks: nothing },
    Target { name: "frames", seeds: streams, run: frames, lacks: nothing },
    Target { name: "challenge", seeds: registries::challenges, run: registries::challenge, lacks: nothing },
    Target { name: "hosts", seeds: registries::hosts_files, run: registries::hosts, lacks: nothing },
    Target { name: "request", seeds: requests::seeds, run: requests::request, lacks: nothing },
    Target { name: "link", seeds: registries::links, run: registries::link, lacks: nothing },
    Target { name: "reference", seeds: images::references, run: images::reference, lacks: nothing },
    Target { name: "image", seeds: images::documents, run: images::document, lacks: nothing },
    Target { name: "tar", seeds: images::archives, run: images::archive, lacks: nothing },
    Target { name: "press", seeds: images::pressed, run: images::load, lacks: images::lacks },
];

const DOCUMENT: &str = include_str!("../seeds/config.json");

fn documents() -> Vec<Vec<u8>> {
    vec![
        DOCUMENT.into(),
        br#"{"ociVersion":"1.2.0","process":{"args":["a"],"cwd":"/"},"root":{"path":"r"},"linux":{}}"#
            .to_vec(),
    ]
}

/// The document's part at a JSON pointer.
fn part(pointer: &str) -> Vec<u8> {
    let document: serde_json::Value = serde_json::from_str(DOCUMENT).unwrap_or_default();
    document.pointer(pointer).map(ToString::to_string).unwrap_or_default().into_bytes()
}

fn processes() -> Vec<Vec<u8>> {
    vec![part("/process")]
}

fn resource_documents() -> Vec<Vec<u8>> {
    vec![part("/linux/resources")]
}

/// Was this kind of answer never given before? Numbers and quotations do not make it another one.
pub(crate) fn is_new(answer: &str) -> bool {
    static SEEN: Mutex<Option<HashSet<u64>>> = Mutex::new(None);
    let mut hasher = DefaultHasher::new();
    let mut quoted = false;
    for c in answer.chars() {
        quoted ^= c == '"';
        if !quoted && !c.is_ascii_digit() {
            c.hash(&mut hasher);
        }
    }
    SEEN.lock().is_ok_and(|mut seen| seen.get_or_insert_default().insert(hasher.finish()))
}

/// An error is a sentence.
pub(crate) fn is_new_error(error: &str) -> bool {
    assert!(!error.is_empty() && !error.ends_with('.') && !error.contains('\n'), "{error:?} is no sentence");
    is_new(error)
}

/// Parts of documents: a refusal of one says which.
const FIELDS: [&str; 14] = [
    "process",
    "root",
    "hostname",
    "mount",
    "hook",
    "annotation",
    "linux",
    "seccomp",
    "sysctl",
    "capabilit",
    "rlimit",
    "cgroup",
    "namespace",
    "document",
];

fn is_new_refusal(error: &plan::Error) -> bool {
    let text = error.to_string();
    assert!(FIELDS.iter().any(|field| text.contains(field)), "{text:?} names no field");
    is_new_error(&text)
}

fn plan_for(spec: &Spec, facts: &plan::facts::Facts) -> Result<Plan, plan::Error> {
    let rootfs = Rootfs::Directory("/bundle/rootfs".into());
    let options = Options { cgroup_parent: "/berth".into(), bundle: "/bundle".into(), ..Options::default() };
    plan::container::plan("fuzzed", spec, &rootfs, facts, &options).map(|planned| planned.plan)
}

fn config(input: &[u8]) -> bool {
    let spec: Spec = match oci::read(input) {
        Ok(spec) => spec,
        Err(error) => return is_new_error(&error.to_string()),
    };
    let written = serde_json::to_vec(&spec).expect("what was read can be written");
    assert_eq!(oci::read::<Spec>(&written).as_ref(), Ok(&spec), "what is written reads the same");
    let mut new = false;
    for facts in host::all() {
        match plan_for(&spec, &facts) {
            Err(error) => new |= is_new_refusal(&error),
            Ok(plan) => {
                new |= is_new(&print(&plan));
                let mut reader = FrameReader::default();
                reader.push(&protocol::encode(&plan));
                assert_eq!(
                    reader.take::<Plan>().ok().flatten().as_ref(),
                    Some(&plan),
                    "the plan travels whole"
                );
            }
        }
    }
    new
}

fn process(input: &[u8]) -> bool {
    let process: Process = match oci::read(input) {
        Ok(process) => process,
        Err(error) => return is_new_error(&error.to_string()),
    };
    let spec: Spec = oci::read(DOCUMENT.as_bytes()).expect("the seed is a document");
    let mut new = false;
    for facts in host::all() {
        let Ok(container) = plan_for(&spec, &facts) else { continue };
        let options = ExecOptions { privileged: input.len().is_multiple_of(2), facts, cgroups: Vec::new() };
        new |= match plan_exec(&container, &process, &options) {
            Err(error) => is_new_refusal(&error),
            Ok(exec) => is_new(&print_exec(&exec.plan)),
        };
    }
    new
}

fn resources(input: &[u8]) -> bool {
    let resources: LinuxResources = match oci::read(input) {
        Ok(resources) => resources,
        Err(error) => return is_new_error(&error.to_string()),
    };
    let spec: Spec = oci::read(DOCUMENT.as_bytes()).expect("the seed is a document");
    let mut new = false;
    for facts in host::all() {
        let Ok(container) = plan_for(&spec, &facts) else { continue };
        new |= match plan::cgroup::update(&resources, &container, &facts, &plan::cgroup::Present::default()) {
            Err(error) => is_new_refusal(&error),
            Ok(writes) => is_new(&format!("{writes:?}")),
        };
    }
    new
}

fn host_files() -> Vec<Vec<u8>> {
    // Both files in one input.
    vec![include_bytes!("../seeds/hybrid.txt").to_vec(), include_bytes!("../seeds/unified.txt").to_vec()]
}

fn cgroups(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    let (mounts, own) = text.split_once("\n\n").unwrap_or((&text, ""));
    let cgroups = runtime::facts::read_cgroups(mounts, own, &|_| "cpu memory pids".to_owned());
    assert!(cgroups.v1.iter().all(|v1| !v1.controllers.is_empty()), "{cgroups:?}");
    let spec: Spec = oci::read(DOCUMENT.as_bytes()).expect("the seed is a document");
    let mut facts = host::all().swap_remove(0);
    let new = is_new(&format!("{cgroups:?}"));
    facts.cgroups = cgroups;
    match plan_for(&spec, &facts) {
        Err(error) => new | is_new_refusal(&error),
        Ok(plan) => new | is_new(&print(&plan)),
    }
}

fn streams() -> Vec<Vec<u8>> {
    let spec: Spec = oci::read(DOCUMENT.as_bytes()).expect("the seed is a document");
    let plans = host::all().into_iter().filter_map(|facts| plan_for(&spec, &facts).ok());
    let mut streams: Vec<Vec<u8>> = plans.map(|plan| protocol::encode(&plan)).collect();
    streams.push(protocol::encode(&protocol::Hello { version: 1, build: "x".into(), instance: 7 }));
    streams.push(protocol::encode(&Message::default()));
    streams
}

fn frames(input: &[u8]) -> bool {
    fn whole<M: protocol::Frame + PartialEq + std::fmt::Debug>(input: &[u8]) -> usize {
        let (mut reader, mut at_once) = (FrameReader::default(), FrameReader::default());
        at_once.push(input);
        let mut count = 0;
        for chunk in input.chunks(1 + input.len() % 7 * 100) {
            reader.push(chunk);
            while let Ok(Some(message)) = reader.take::<M>() {
                assert_eq!(
                    at_once.take::<M>().ok().flatten().as_ref(),
                    Some(&message),
                    "any split reads the same"
                );
                let mut again = FrameReader::default();
                again.push(&protocol::encode(&message));
                assert_eq!(again.take::<M>().ok().flatten(), Some(message), "what is sent is what was read");
                count += 1;
            }
        }
        count
    }
    let counts = (whole::<Plan>(input), whole::<Message>(input), whole::<protocol::Request>(input));
    is_new(&format!("{:?} {}", (counts.0 > 0, counts.1 > 0, counts.2 > 0), "x".repeat(counts.0.min(9))))
}
