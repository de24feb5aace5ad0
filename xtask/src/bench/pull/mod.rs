//! Images from a registry and back: pull, push, save, load and removal, beside docker, podman, containerd and skopeo, and the bound that
//! the machine sets.
//!
//! Every contestant works on a fresh file system: one that just lost fifty thousand files is slower at making new ones, for whoever comes next.

mod bound;
mod engines;
mod images;
mod session;
mod table;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::stage::Stage;
use crate::command;
use engines::{Act, ENGINES, Engine};
use images::Image;
use session::Session;
use table::Table;

/// What the bench needs besides what all need.
pub(super) const PACKAGES: &[&str] =
    &["curl", "debootstrap", "docker-registry", "e2fsprogs", "mount", "skopeo", "zstd"];

/// What the command line says.
pub(super) struct Options {
    runs: usize,
    /// Names of images, in part; all when empty.
    images: Vec<String>,
    only: Vec<String>,
    /// A hundredth of everything, to try the bench itself.
    small: bool,
}

impl Options {
    pub(super) fn read(args: &[String]) -> Result<Self, String> {
        let mut options = Self { runs: 3, images: Vec::new(), only: Vec::new(), small: false };
        let mut words = args.iter();
        while let Some(word) = words.next() {
            if word == "--small" {
                options.small = true;
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{word} wants a value"))?;
            let list = || value.split(',').map(str::to_owned).collect();
            match word.as_str() {
                "--runs" => options.runs = value.parse().map_err(|_| format!("{word} wants a number"))?,
                "--images" => options.images = list(),
                "--only" => options.only = list(),
                _ => return Err(format!("unknown option {word}, there are: --runs --images --only --small")),
            }
        }
        Ok(options)
    }
}

fn takes(list: &[String], name: &str) -> bool {
    list.is_empty() || list.iter().any(|part| name.contains(part.as_str()))
}

/// Where what takes minutes to make waits for the next bench.
fn kept() -> PathBuf {
    crate::programs::target_directory().join("bench/pull")
}

/// The root of a Debian, made where packages can be downloaded, and kept.
pub(super) fn make_base() -> Result<(), String> {
    let base = images::base();
    if base.exists() {
        return Ok(());
    }
    eprintln!("making the base of the images");
    let new = base.with_extension("new");
    command::run(Command::new("rm").arg("-rf").arg(&new))?;
    command::run(Command::new("mkdir").arg("-p").arg(kept()))?;
    let mut debootstrap = Command::new("debootstrap");
    command::run(debootstrap.args(["--variant=minbase", "bookworm"]).arg(&new).stdout(Stdio::null()))?;
    let cached = new.join("var/cache/apt/archives");
    command::run(Command::new("find").arg(cached).args(["-name", "*.deb", "-delete"]))?;
    std::fs::rename(&new, &base).map_err(|e| e.to_string())
}

/// Debian's docker-registry with a directory of its own. Dropped, it ends.
struct Registry {
    child: Child,
    address: String,
}

impl Registry {
    fn start(stage: &Stage, name: &str, port: u16) -> Result<Self, String> {
        let address = format!("127.0.0.1:{port}");
        let data = stage.path(name);
        let settings = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{address}'}}\n",
            data.display()
        );
        let file = stage.path(&format!("{name}.yml"));
        std::fs::write(&file, settings).map_err(|e| e.to_string())?;
        let mut server = Command::new("docker-registry");
        server.arg("serve").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = server.spawn().map_err(|e| format!("docker-registry: {e}"))?;
        let registry = Self { child, address };
        for _ in 0..300 {
            if std::net::TcpStream::connect(&registry.address).is_ok() {
                return Ok(registry);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err("docker-registry did not come up".to_owned())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Where an act happens.
struct Place<'a> {
    stage: &'a Stage,
    /// Where images come from.
    source: &'a Registry,
    /// Where they are pushed to.
    sink: &'a Registry,
    /// Processes that are nobody's.
    bystanders: [u32; 2],
}

/// Builds the images, serves them, and lets everybody do everything, in turn.
pub(super) fn measure(stage: &Stage, options: &Options) -> Result<(), String> {
    // The network namespace is the bench's own: any port is free.
    let (source, sink) = (Registry::start(stage, "source", 5000)?, Registry::start(stage, "sink", 5001)?);
    let bystanders = [source.child.id(), sink.child.id()];
    let place = Place { stage, source: &source, sink: &sink, bystanders };
    let names = images::NAMES.iter().filter(|name| takes(&options.images, name));
    let names: Vec<&str> = names.copied().collect();
    for image in images::build(&place, &names, options.small)? {
        let bound = bound::measure(stage, &image, &source.address)?;
        let mut table = Table::new(&image, bound);
        for run in 0..options.runs {
            for engine in ENGINES.iter().filter(|engine| takes(&options.only, engine.name)) {
                if let Err(reason) = one_run(&place, engine, &image, run, &mut table) {
                    table.skip(engine.name, reason);
                }
            }
        }
        table.print();
    }
    Ok(())
}

/// Pull, push, save and removal on one fresh file system; load on another; a pull with half of the layers there on a third.
fn one_run(
    place: &Place<'_>,
    engine: &'static Engine,
    image: &Image,
    run: usize,
    table: &mut Table,
) -> Result<(), String> {
    if table.is_skipped(engine.name) {
        return Ok(());
    }
    let archive = place.stage.path("archive.tar");
    let pulled = name(&place.source.address, &image.name);
    let pushed = name(&place.sink.address, &format!("{}-{}-{run}", engine.name, image.name));
    let mut timed = |session: &Session<'_>, act: Act, words: [&str; 2]| -> Result<(), String> {
        if let Some(cost) = session.time(act, words)? {
            table.add(engine.name, act.shown(), cost);
        }
        Ok(())
    };
    {
        let session = Session::start(place, engine)?;
        timed(&session, Act::Pull, [&pulled, ""])?;
        timed(&session, Act::Save, [&pulled, path(&archive)])?;
        session.quietly(Act::Tag, [&pulled, &pushed])?;
        timed(&session, Act::Push, [&pushed, ""])?;
        session.quietly(Act::Untag, [&pushed, ""])?;
        timed(&session, Act::Remove, [&pulled, ""])?;
    }
    if archive.exists() {
        let session = Session::start(place, engine)?;
        timed(&session, Act::Load, ["", path(&archive)])?;
        drop(session);
        std::fs::remove_file(&archive).map_err(|e| e.to_string())?;
    }
    if let Some(half) = &image.half {
        let session = Session::start(place, engine)?;
        session.quietly(Act::Pull, [&name(&place.source.address, half), ""])?;
        if let Some(cost) = session.time(Act::Pull, [&pulled, ""])? {
            table.add(engine.name, "pull, half is there", cost);
        }
    }
    Ok(())
}

fn name(address: &str, image: &str) -> String {
    format!("{address}/{image}:1")
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

/// A directory of the bench, made.
fn directory(stage: &Stage, name: &str) -> Result<PathBuf, String> {
    let path = stage.path(name);
    std::fs::create_dir_all(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(path)
}
