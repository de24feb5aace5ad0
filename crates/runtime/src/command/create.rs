//! `create`, `run`, `start`.

use std::fs;
use std::os::fd::AsFd;

use oci::runtime::{ContainerState, Spec};
use protocol::plan::Process;
use rustix::fs::{Mode, OFlags};
use serde_json::json;
use types::Rootfs;

use super::arguments::Arguments;
use super::filters::{Filter, Filters};
use super::hooks::{self, Moment};
use super::output::{Complaint, humantime};
use super::records::{self, Record, Root};
use super::{document, foreground, lifecycle};
use crate::error::Tried;
use crate::{Error, Launch, Started, StdioFds, hold};

const VALUES: [&str; 7] =
    ["bundle", "b", "console-socket", "pidfd-socket", "pid-file", "preserve-fds", "config"];
const KNOWN: [&str; 13] = [
    "bundle",
    "b",
    "console-socket",
    "pidfd-socket",
    "pid-file",
    "preserve-fds",
    "config",
    "no-subreaper",
    "detach",
    "d",
    "keep",
    "no-new-keyring",
    "no-pivot",
];

/// What becomes of the container after `begin`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It waits for `start`.
    Held,
    /// It runs, and nobody waits for it.
    Detached,
    /// It runs, and this process waits for it.
    Watched,
}

/// Descriptors of the caller's that the program is to have, from 3 on.
#[derive(Clone, Copy)]
pub(super) struct Inherited {
    /// Those that the environment announces (systemd's socket activation), which come first.
    announced: u32,
    /// All of them.
    count: u32,
}

/// How the program is told of descriptors that were announced to us.
const ANNOUNCED: [&str; 2] = ["LISTEN_FDS=", "LISTEN_PID="];

impl Inherited {
    /// Checked before anything of our own could have one of these numbers.
    pub(super) fn of(arguments: &Arguments) -> Result<Self, Complaint> {
        let number = |text: &str, name: &str| {
            text.parse::<u32>()
                .ok()
                .filter(|n| *n < 1 << 16)
                .ok_or_else(|| Complaint::new(format!("{name} {text:?} is not a number of descriptors")))
        };
        // Of others between the announcer and us the variables are only left over.
        let ours = std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
        let announced = std::env::var("LISTEN_FDS").ok().filter(|_| ours);
        let announced = announced.map_or(Ok(0), |text| number(&text, "LISTEN_FDS"))?;
        let asked = number(arguments.value(&["preserve-fds"]).unwrap_or("0"), "--preserve-fds")?;
        let count = announced + asked;
        // One of our own lies where a hole was.
        let hole = crate::seal::tree_number().is_some_and(|own| (3..3 + count).contains(&own));
        if hole || !sys::process::are_open(3, count) {
            return Err(Complaint::new(format!(
                "not all of the descriptors 3 to {} that the program should have are open",
                count + 2
            )));
        }
        Ok(Self { announced, count })
    }

    /// The program has them, and knows.
    pub(super) fn hand_on(self, process: &mut Process) {
        process.preserve_fds = self.count;
        if self.announced > 0 {
            process.env.push(format!("{}{}", ANNOUNCED[0], self.announced));
            process.env.push(format!("{}1", ANNOUNCED[1]));
        }
    }

    /// What a container's first process was told of its descriptors is not for those after it.
    pub(super) fn forget(first: &mut Process) {
        if first.preserve_fds > 0 {
            first.env.retain(|e| !ANNOUNCED.iter().any(|name| e.starts_with(name)));
        }
    }
}

/// A bundle that has been read.
struct Bundle {
    spec: Spec,
    /// The document's text.
    text: Vec<u8>,
    filter: Filter,
    directory: String,
    rootfs: String,
}

pub(super) fn create(root: &Root, rest: &[String]) -> Result<i32, Complaint> {
    let arguments = Arguments::of(rest, &VALUES)?;
    arguments.only(&KNOWN)?;
    let inherited = Inherited::of(&arguments)?;
    let bundle = read_bundle(root, &arguments)?;
    begin(root, &arguments, &bundle, inherited, Way::Held).map(|_| 0)
}

pub(super) fn run(root: &Root, rest: &[String]) -> Result<i32, Complaint> {
    let arguments = Arguments::of(rest, &VALUES)?;
    arguments.only(&KNOWN)?;
    let inherited = Inherited::of(&arguments)?;
    let bundle = read_bundle(root, &arguments)?;
    let detach = arguments.has("detach") || arguments.has("d");
    let watch = if detach { None } else { Some(foreground::Watch::begin()?) };
    let way = if detach { Way::Detached } else { Way::Watched };
    let (record, started) = begin(root, &arguments, &bundle, inherited, way)?;
    if let Err(complaint) = poststart(&record) {
        let _ = foreground::reap(&started);
        lifecycle::remove(root, &record)?;
        return Err(complaint);
    }
    let Some(watch) = watch else { return Ok(0) };
    let code = watch.until_exit(&started);
    if code.is_err() {
        // Nobody watches it any more, and the caller takes it for ended.
        lifecycle::end(&record);
    }
    if code.is_err() || !arguments.has("keep") {
        lifecycle::remove(root, &record)?;
    }
    code
}

pub(super) fn start(root: &Root, rest: &[String]) -> Result<i32, Complaint> {
    let arguments = Arguments::of(rest, &[])?;
    arguments.only(&[])?;
    let record = root.load(arguments.id()?)?;
    match record.status() {
        ContainerState::Created => release(&record).map(|()| 0),
        ContainerState::Stopped => Err(Complaint::new("cannot start a container that has stopped")),
        ContainerState::Creating => Err(Complaint::new("cannot start a container that is not created yet")),
        _ => Err(Complaint::new("cannot start an already running container")),
    }
}

/// Lets a held container go on to its program.
fn release(record: &Record) -> Result<(), Complaint> {
    let path = record.fifo();
    let fifo = rustix::fs::open(&path, OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
        .map_err(|_| Complaint::new("the container's first process is gone"))?;
    rustix::io::write(&fifo, &[hold::GO]).tried(|| "let the container's first process go on")?;
    let refused = hold::outcome(&path, &fifo).tried(|| "listen to the container's first process")?;
    fs::remove_file(&path).map_err(|e| Complaint::io("mark the container as started", &e))?;
    match refused {
        Some(why) => Err(Complaint::new(why)),
        None => poststart(record),
    }
}

/// A container whose hooks after the start fail is stopped.
fn poststart(record: &Record) -> Result<(), Complaint> {
    let done = hooks::run(&record.hooks, Moment::Poststart, &record.document(ContainerState::Running));
    if done.is_err() {
        lifecycle::end(record);
    }
    Ok(done?)
}

fn read_bundle(root: &Root, arguments: &Arguments) -> Result<Bundle, Complaint> {
    let given = arguments.value(&["bundle", "b"]).unwrap_or(".");
    let directory =
        fs::canonicalize(given).map_err(|e| Complaint::io(&format!("open bundle {given}"), &e))?;
    let config = arguments.value(&["config"]).map_or_else(|| directory.join("config.json"), Into::into);
    let text = document::bytes(&config, document::From::File)?;
    let (spec, filter) = Filters::of(root.path()).read(&text);
    let spec = spec.map_or_else(|| document::understand::<Spec>(&text, &config.display(), "runtime"), Ok)?;
    if !spec.oci_version.is_empty() && !spec.oci_version.starts_with("1.") {
        return Err(Complaint::new(format!("ociVersion {:?} is not a version 1", spec.oci_version)));
    }
    let path = spec.root.as_ref().map(|r| r.path.as_str()).unwrap_or_default();
    if path.is_empty() {
        return Err(Complaint::new("the document names no root.path"));
    }
    let rootfs = fs::canonicalize(directory.join(path))
        .map_err(|e| Complaint::io(&format!("open root.path {path}"), &e))?;
    let found = fs::metadata(&rootfs).map_err(|e| Complaint::io(&format!("look at root.path {path}"), &e))?;
    if !found.is_dir() {
        return Err(Complaint::new(format!("root.path {path} is not a directory")));
    }
    Ok(Bundle {
        spec,
        text,
        filter,
        directory: directory.to_string_lossy().into_owned(),
        rootfs: rootfs.to_string_lossy().into_owned(),
    })
}

/// Plans and spawns; on a failure nothing is left.
fn begin(
    root: &Root,
    arguments: &Arguments,
    bundle: &Bundle,
    inherited: Inherited,
    way: Way,
) -> Result<(Record, Started), Complaint> {
    let id = arguments.id()?;
    let options = plan::container::Options {
        cgroup_parent: "/berth-runtime".into(),
        bundle: bundle.directory.clone(),
        no_pivot: arguments.has("no-pivot"),
        filter: match &bundle.filter {
            Filter::Kept(filter) => Some(filter.clone()),
            _ => None,
        },
    };
    let rootfs = Rootfs::Directory(bundle.rootfs.clone().into());
    let mut planned = plan::container::plan(id, &bundle.spec, &rootfs, &root.facts()?, &options)?;
    crate::remember_namespace(&mut planned.plan);
    if let Some(process) = &mut planned.plan.process {
        inherited.hand_on(process);
        process.keep_keyring = arguments.has("no-new-keyring");
    }
    let directory = root.claim(id)?;
    let mut record = Record {
        directory,
        id: id.to_owned(),
        pid: 0,
        born: 0,
        bundle: bundle.directory.clone(),
        rootfs: bundle.rootfs.clone(),
        created: humantime(std::time::SystemTime::now()),
        annotations: json!(bundle.spec.annotations),
        hooks: serde_json::to_value(&bundle.spec.hooks).unwrap_or_default(),
        plan: planned.plan,
    };
    planned.warnings.iter().for_each(|warning| root.log.warn(warning));
    let started = record.begin().and_then(|()| spawn(&mut record, arguments, bundle, way));
    if started.is_err() {
        let _ = record.forget();
        lifecycle::poststop(root, &record);
    }
    started.map(|started| {
        let process = record.plan.process.as_ref();
        if let (Filter::New(place), Some(filter)) = (&bundle.filter, process.and_then(|p| p.seccomp.as_ref()))
        {
            Filters::of(root.path()).keep(&bundle.text[place.clone()], filter);
        }
        started.warnings.iter().for_each(|warning| root.log.warn(warning));
        (record, started)
    })
}

fn spawn(
    record: &mut Record,
    arguments: &Arguments,
    bundle: &Bundle,
    way: Way,
) -> Result<Started, Complaint> {
    let terminal = record.plan.process.as_ref().is_some_and(|p| p.terminal);
    let socket = arguments.value(&["console-socket"]);
    if terminal && way != Way::Watched && socket.is_none() {
        return Err(Complaint::new(
            "a terminal needs --console-socket when the container runs in the background",
        ));
    }
    if !terminal && socket.is_some() {
        return Err(Complaint::new("--console-socket needs process.terminal"));
    }
    let size = bundle.spec.process.as_ref().and_then(|p| p.console_size).unwrap_or_default();
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let stdio = if terminal {
        let plain = way == Way::Watched && socket.is_none();
        StdioFds::Terminal { width: size.width as u16, height: size.height as u16, plain }
    } else {
        StdioFds::Pipes([stdin.as_fd(), stdout.as_fd(), stderr.as_fd()])
    };
    let fifo = if way == Way::Held {
        Some(hold::make(&record.unready_fifo()).tried(|| "make the FIFO for the start")?)
    } else {
        None
    };
    let state = record.document(ContainerState::Creating).to_string();
    let launch = Launch { plan: &record.plan, stdio, fds: &[], state: &state };
    let starting = crate::spawn_held(&launch, fifo.as_ref().map(AsFd::as_fd))?;
    record.pid = starting.pid();
    record.born = records::birth(record.pid)
        .tried(|| "look at the container's first process")?
        .map_or(0, |(born, _)| born);
    // While the child is busy; also hooks may ask for the state.
    record.save()?;
    let started = starting.finish_after(&|_| run_hooks(record))?;
    let finished = finish(record, &started, arguments, way);
    if let Err(complaint) = finished {
        let _ = rustix::process::pidfd_send_signal(&started.pidfd, rustix::process::Signal::KILL);
        let _ = foreground::reap(&started);
        crate::clean(&record.plan);
        return Err(complaint);
    }
    Ok(started)
}

/// The caller's own, while the container waits with the host still in sight. They may ask for its state.
fn run_hooks(record: &Record) -> Result<(), Error> {
    // The old kind comes after the creation, as the specification's own tests have it.
    hooks::run(&record.hooks, Moment::Prestart, &record.document(ContainerState::Created))?;
    hooks::run(&record.hooks, Moment::CreateRuntime, &record.document(ContainerState::Creating))
}

/// Tells those who asked to be told, and lets `start` have it.
fn finish(record: &Record, started: &Started, arguments: &Arguments, way: Way) -> Result<(), Complaint> {
    if let (Some(path), Some(terminal)) = (arguments.value(&["console-socket"]), &started.terminal) {
        foreground::send_descriptor(path, "terminal", terminal.as_fd())?;
    }
    if let Some(path) = arguments.value(&["pidfd-socket"]) {
        foreground::send_descriptor(path, "pidfd", started.pidfd.as_fd())?;
    }
    if let Some(path) = arguments.value(&["pid-file"]) {
        write_pid(path, started.pid)?;
    }
    if way == Way::Held {
        fs::rename(record.unready_fifo(), record.fifo())
            .map_err(|e| Complaint::io("mark the container as created", &e))?;
    }
    Ok(())
}

pub(super) fn write_pid(path: &str, pid: i32) -> Result<(), Complaint> {
    records::write_whole(path.as_ref(), pid.to_string().as_bytes(), 0o666)
        .map_err(|e| Complaint::io(&format!("write {path}"), &e))
}
