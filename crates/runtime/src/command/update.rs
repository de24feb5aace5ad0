//! `update`: limits of a container.

use std::path::Path;

use oci::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources};
use protocol::Plan;
use protocol::plan::{Act, Write};

use super::arguments::Arguments;
use super::document;
use super::output::Complaint;
use super::records::Root;

const VALUES: [&str; 20] = [
    "resources",
    "r",
    "blkio-weight",
    "cpu-period",
    "cpu-quota",
    "cpu-burst",
    "cpu-share",
    "cpu-rt-period",
    "cpu-rt-runtime",
    "cpuset-cpus",
    "cpuset-mems",
    "cpu-idle",
    "kernel-memory",
    "kernel-memory-tcp",
    "memory",
    "memory-reservation",
    "memory-swap",
    "pids-limit",
    "l3-cache-schema",
    "mem-bw-schema",
];

pub(super) fn update(root: &Root, rest: &[String]) -> Result<i32, Complaint> {
    let arguments = Arguments::of(rest, &VALUES)?;
    arguments.only(&VALUES)?;
    let record = root.load(arguments.id()?)?;
    if !record.alive() {
        return Err(Complaint::new(format!("container {} is not running", record.id)));
    }
    let resources = match arguments.value(&["resources", "r"]).filter(|path| !path.is_empty()) {
        Some(path) => read_document(path)?,
        None => read_options(&arguments)?,
    };
    let schemata = schemata(&arguments, &record.plan)?;
    let facts = root.facts()?;
    let mut change = plan::cgroup::update(&resources, &record.plan, &facts, &crate::present(&record.plan))?;
    change.writes.extend(schemata);
    change.warnings.iter().for_each(|warning| root.log.warn(warning));
    crate::apply_writes(&change.writes)?;
    Ok(0)
}

/// Lines for the container's class of service (resctrl), if it has been given one.
fn schemata(arguments: &Arguments, plan: &Plan) -> Result<Vec<Write>, Complaint> {
    let class = plan.prepare.iter().find_map(|step| match &step.act {
        Some(Act::Class(class)) => Some(class),
        _ => None,
    });
    let mut writes = Vec::new();
    for (option, what) in [("l3-cache-schema", "CAT: l3 cache"), ("mem-bw-schema", "MBA: memory bandwidth")] {
        let Some(line) = arguments.value(&[option]).filter(|line| !line.is_empty()) else { continue };
        let Some(class) = class else {
            let why = if Path::new("/sys/fs/resctrl/schemata").exists() {
                "updating a non-existent Intel RDT configuration is not supported"
            } else {
                "schema is not enabled: /sys/fs/resctrl is not mounted"
            };
            return Err(Complaint::new(format!("--{option}: Intel RDT/{what} {why}")));
        };
        let (path, value) = (format!("{}/schemata", class.path), format!("{line}\n"));
        writes.push(Write { path, value, field: format!("--{option}"), otherwise: None });
    }
    Ok(writes)
}

fn read_document(path: &str) -> Result<LinuxResources, Complaint> {
    if path == "-" {
        return document::read_stdin("resources");
    }
    document::read(path.as_ref(), "resources", document::From::FileOrPipe)
}

/// Reads the single options. An empty value is none, as with runc.
struct Options<'a>(&'a Arguments);

impl Options<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.value(&[name]).filter(|text| !text.is_empty())
    }

    fn number<N: std::str::FromStr>(&self, name: &str) -> Result<Option<N>, Complaint> {
        self.read(name, |text| text.parse().ok())
    }

    /// A size such as `50M`, or -1.
    fn bytes(&self, name: &str) -> Result<Option<i64>, Complaint> {
        self.read(name, |text| match text {
            "-1" => Some(-1),
            text => types::parse_bytes(text).ok().and_then(|n| i64::try_from(n).ok()),
        })
    }

    fn read<N>(&self, name: &str, read: impl Fn(&str) -> Option<N>) -> Result<Option<N>, Complaint> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = read(text);
        number.map(Some).ok_or_else(|| Complaint::new(format!("invalid value for --{name}: {text:?}")))
    }
}

fn read_options(arguments: &Arguments) -> Result<LinuxResources, Complaint> {
    let options = Options(arguments);
    let text = |name: &str| options.text(name).unwrap_or_default().to_owned();
    Ok(LinuxResources {
        memory: Some(LinuxMemory {
            limit: options.bytes("memory")?,
            reservation: options.bytes("memory-reservation")?,
            swap: options.bytes("memory-swap")?,
            kernel: options.bytes("kernel-memory")?,
            kernel_tcp: options.bytes("kernel-memory-tcp")?,
            ..LinuxMemory::default()
        }),
        cpu: Some(LinuxCpu {
            shares: options.number("cpu-share")?,
            quota: options.number("cpu-quota")?,
            period: options.number("cpu-period")?,
            burst: options.number("cpu-burst")?,
            realtime_runtime: options.number("cpu-rt-runtime")?,
            realtime_period: options.number("cpu-rt-period")?,
            idle: options.number("cpu-idle")?,
            cpus: text("cpuset-cpus"),
            mems: text("cpuset-mems"),
        }),
        pids: Some(LinuxPids { limit: options.number("pids-limit")? }),
        block_io: Some(LinuxBlockIo { weight: options.number("blkio-weight")?, ..LinuxBlockIo::default() }),
        ..LinuxResources::default()
    })
}
