//! The smallest memory limit under which a runtime still starts a container: what the start itself charges to the container's cgroup.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::stage::Stage;
use super::{Options, bundle, image};

/// A start counts when it succeeds this many times in a row.
const TRIES: usize = 5;
const PAGE: u64 = 4096;
/// Everybody must start under this.
const MOST: u64 = 64 << 20;

/// Finds the limits and prints them, in KiB.
pub(super) fn measure(stage: &Stage, options: &Options) -> Result<(), String> {
    let image = image::build(stage)?;
    let ours = stage.programs.runtime.to_string_lossy().into_owned();
    println!("smallest memory limit of a start, KiB        with the default profile   without a filter");
    for (name, program) in [("berth-runtime", ours.as_str()), ("crun", "crun"), ("runc", "runc")] {
        if !options.takes(name) {
            continue;
        }
        let shape = bundle::Shape { cgroup: format!("/{}-{name}", stage.mark), ..bundle::Shape::default() };
        let directory = bundle::write(stage.path(&format!("bundle-{name}")), &image, &shape)?;
        let runtime =
            Runtime { program, directory: &directory, state: &stage.path(&format!("state-{name}")) };
        let document = std::fs::read(directory.join("config.json")).map_err(|error| error.to_string())?;
        let mut document: Value = serde_json::from_slice(&document).map_err(|error| error.to_string())?;
        let with = runtime.smallest(&mut document);
        document["linux"]["seccomp"] = Value::Null;
        let without = runtime.smallest(&mut document);
        println!("{name:<44} {:>24} {:>18}", text(with), text(without));
    }
    Ok(())
}

fn text(limit: Result<u64, String>) -> String {
    limit.map_or_else(|reason| reason, |limit| (limit >> 10).to_string())
}

struct Runtime<'a> {
    program: &'a str,
    directory: &'a Path,
    state: &'a Path,
}

impl Runtime<'_> {
    fn smallest(&self, document: &mut Value) -> Result<u64, String> {
        let mut enough = MOST;
        self.starts(document, enough)?;
        let mut less = enough / 2;
        while less >= PAGE && self.starts(document, less).is_ok() {
            (enough, less) = (less, less / 2);
        }
        while enough - less > PAGE {
            let middle = (less + enough) / 2 / PAGE * PAGE;
            match self.starts(document, middle) {
                Ok(()) => enough = middle,
                Err(_) => less = middle,
            }
        }
        Ok(enough)
    }

    fn starts(&self, document: &mut Value, limit: u64) -> Result<(), String> {
        document["linux"]["resources"]["memory"] = json!({"limit": limit, "swap": limit});
        image::write(&self.directory.join("config.json"), document.to_string().as_bytes())?;
        (0..TRIES).try_for_each(|_| self.run())
    }

    fn run(&self) -> Result<(), String> {
        let command = |words: &[&str]| {
            let mut command = Command::new(self.program);
            command.arg("--root").arg(self.state).args(words);
            command.stdin(Stdio::null()).output().map_err(|error| format!("{}: {error}", self.program))
        };
        let bundle = self.directory.to_string_lossy();
        let output = command(&["run", "--bundle", &bundle, "smallest"])?;
        if output.status.success() {
            return Ok(());
        }
        let _ = command(&["delete", "--force", "smallest"]);
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("{}: {}", output.status, said.lines().next().unwrap_or_default()))
    }
}
