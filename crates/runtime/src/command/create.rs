//! `create`, `run`, `start`.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use oci::runtime::{ContainerState, Spec};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use serde_json::json;
use types::Rootfs;

use super::arguments::Arguments;
use super::hooks::{self, Moment};
use super::output::{Complaint, humantime};
use super::records::{self, Record, Root};
use super::{foreground, lifecycle};
use crate::{Launch, Started, StdioFds};

const VALUES: [&str; 6] = ["bundle", "b", "console-socket", "pid-file", "preserve-fds", "config"];
const KNOWN: [&str; 10] = [
    "bundle",
    "b",
    "console-socket",
    "pid-file",
    "preserve-fds",
    "config",
    "detach",
    "d",
    "keep",
    "no-new-keyring",
];

/// A bundle that has been read.
struct Bundle {
    spec: Spec,
    directory: String,
    rootfs: String,
}

pub(super) fn create(root: &Root, rest: &[String]) -> Result<i32, Complaint> {
    let arguments = Arguments::of(rest, &VALUES)?;
    arguments.only(&KNOWN)?;
    let bundle = read_bundle(&arguments)?;
    begin(root, &arguments, &bundle, true).map(|_| 0)
}

pub(super) fn run(root: &Root, rest: &[String]) -> Result<i32, Complaint> {
    let arguments = Arguments::of(rest, &VALUES)?;
    arguments.only(&KNOWN)?;
    let bundle = read_bundle(&arguments)?;
    let hold = bundle.spec.hooks.is_some();
    let detach = arguments.has("detach") || arguments.has("d");
    let watch = if detach { None } else { Some(foreground::Watch::begin()?) };
    let (record, started) = begin(root, &arguments, &bundle, hold)?;
    if hold {
        release(&record)?;
    }
    let Some(watch) = watch else { return Ok(0) };
    let code = watch.until_exit(&started)?;
    if !arguments.has("keep") {
        lifecycle::remove(&record)?;
    }
    Ok(code)
}

pub(super) fn start(root: &Root, rest: &[String]) -> Result<i32, Complaint> {
    let arguments = Arguments::of(rest, &[])?;
    arguments.only(&[])?;
    let record = root.load(arguments.id()?)?;
    match record.status() {
        ContainerState::Created => release(&record).map(|()| 0),
        ContainerState::Stopped => Err(Complaint::new("cannot start a container that has stopped")),
        _ => Err(Complaint::new("cannot start an already running container")),
    }
}

/// Lets a held container go on to its program.
fn release(record: &Record) -> Result<(), Complaint> {
    let path = record.fifo();
    let fifo = rustix::fs::open(&path, OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
        .map_err(|_| Complaint::new("the container's first process is gone"))?;
    rustix::io::write(&fifo, b"0")?;
    fs::remove_file(&path).map_err(|e| Complaint::io("mark the container as started", &e))?;
    hooks::run(&record.hooks, Moment::Poststart, &record.document(ContainerState::Running))
}

fn read_bundle(arguments: &Arguments) -> Result<Bundle, Complaint> {
    let given = arguments.value(&["bundle", "b"]).unwrap_or(".");
    let directory =
        fs::canonicalize(given).map_err(|e| Complaint::io(&format!("open bundle {given}"), &e))?;
    let config = arguments.value(&["config"]).map_or_else(|| directory.join("config.json"), Into::into);
    let text = fs::read(&config).map_err(|e| Complaint::io(&format!("read {}", config.display()), &e))?;
    let spec: Spec = serde_json::from_slice(&text)
        .map_err(|e| Complaint::new(format!("{} is not a runtime document: {e}", config.display())))?;
    let path = spec.root.as_ref().map(|r| r.path.as_str()).unwrap_or_default();
    if path.is_empty() {
        return Err(Complaint::new("the document names no root.path"));
    }
    let rootfs = fs::canonicalize(directory.join(path))
        .map_err(|e| Complaint::io(&format!("open root.path {path}"), &e))?;
    Ok(Bundle {
        spec,
        directory: directory.to_string_lossy().into_owned(),
        rootfs: rootfs.to_string_lossy().into_owned(),
    })
}

/// Plans and spawns; on a failure nothing is left.
fn begin(
    root: &Root,
    arguments: &Arguments,
    bundle: &Bundle,
    hold: bool,
) -> Result<(Record, Started), Complaint> {
    let id = arguments.id()?;
    hooks::refuse_unsupported(bundle.spec.hooks.as_ref())?;
    let preserved = arguments.value(&["preserve-fds"]).is_some_and(|n| n != "0");
    if preserved {
        return Err(Complaint::new("option --preserve-fds is not supported"));
    }
    let options =
        plan::container::Options { cgroup_parent: "/berth".into(), bundle: bundle.directory.clone() };
    let rootfs = Rootfs::Directory(bundle.rootfs.clone().into());
    let planned = plan::container::plan(id, &bundle.spec, &rootfs, &crate::facts::gather()?, &options)?;
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
    for warning in &planned.warnings {
        eprintln!("berth-runtime: warning: {warning}");
    }
    let started = spawn(&mut record, arguments, bundle, hold);
    if started.is_err() {
        let _ = record.forget();
    }
    started.map(|started| (record, started))
}

fn spawn(
    record: &mut Record,
    arguments: &Arguments,
    bundle: &Bundle,
    hold: bool,
) -> Result<Started, Complaint> {
    let terminal = record.plan.process.as_ref().is_some_and(|p| p.terminal);
    let detach = hold || arguments.has("detach") || arguments.has("d");
    let socket = arguments.value(&["console-socket"]);
    if terminal && detach && socket.is_none() && arguments.value(&["console-socket"]).is_none() {
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
        StdioFds::Terminal { width: size.width as u16, height: size.height as u16 }
    } else {
        StdioFds::Pipes([stdin.as_fd(), stdout.as_fd(), stderr.as_fd()])
    };
    let fifo = if hold { Some(make_fifo(&record.fifo())?) } else { None };
    let launch = Launch { plan: &record.plan, stdio, fds: &[] };
    let started = crate::spawn_held(&launch, fifo.as_ref().map(AsFd::as_fd))?.finish()?;
    let finished = finish(record, &started, arguments);
    if let Err(complaint) = finished {
        let _ = rustix::process::pidfd_send_signal(&started.pidfd, rustix::process::Signal::KILL);
        let _ = foreground::reap(&started);
        crate::clean(&record.plan);
        return Err(complaint);
    }
    for warning in &started.warnings {
        eprintln!("berth-runtime: warning: {warning}");
    }
    Ok(started)
}

/// Writes down what runs now, and tells those who asked to be told.
fn finish(record: &mut Record, started: &Started, arguments: &Arguments) -> Result<(), Complaint> {
    record.pid = started.pid;
    record.born = records::birth(started.pid).map_or(0, |(born, _)| born);
    record.save()?;
    if let (Some(path), Some(terminal)) = (arguments.value(&["console-socket"]), &started.terminal) {
        foreground::send_terminal(path, terminal.as_fd())?;
    }
    let document = record.document(ContainerState::Creating);
    hooks::run(&record.hooks, Moment::Prestart, &document)?;
    hooks::run(&record.hooks, Moment::CreateRuntime, &document)?;
    if let Some(path) = arguments.value(&["pid-file"]) {
        write_pid(path, started.pid)?;
    }
    Ok(())
}

/// Readers never see half a number.
pub(super) fn write_pid(path: &str, pid: i32) -> Result<(), Complaint> {
    let tried = |e: std::io::Error| Complaint::io(&format!("write {path}"), &e);
    let temporary = format!("{path}.new");
    fs::write(&temporary, pid.to_string()).map_err(tried)?;
    fs::rename(&temporary, path).map_err(tried)
}

/// Opened for reading and writing, so that neither this open nor the container's read waits for or misses the other side.
fn make_fifo(path: &Path) -> Result<OwnedFd, Complaint> {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
    Ok(rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?)
}
