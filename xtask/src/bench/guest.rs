//! `bench runtime` in the guest with cgroup v2. It has no compiler: what the bench compiles there was compiled outside, and `gcc` is a
//! script that hands it out.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::image::{self, PAUSE};
use super::stage::{INSIDE, PACKAGES};
use crate::{command, guest, packages, programs};

const GCC: &str = "#!/bin/sh\nwhile [ $# -gt 0 ]; do [ \"$1\" != -o ] || out=$2; shift; done\nexec cp /bin/made/${out##*/} \"$out\"\n";

/// Boots the guest and shows what the bench prints there.
pub(super) fn runtime(args: &[String]) -> Result<(), String> {
    packages::install(packages::TEST)?;
    packages::install(PACKAGES)?;
    let built = programs::build()?;
    let made = programs::target_directory().join("guest/made");
    std::fs::create_dir_all(&made).map_err(|error| format!("{}: {error}", made.display()))?;
    let sources = command::root().join("benches/limit");
    image::write(&made.join("pause.c"), PAUSE.as_bytes())?;
    image::write(&made.join("gcc"), GCC.as_bytes())?;
    image::write(&made.join("bench"), script(args).as_bytes())?;
    let mut files: Vec<(PathBuf, String)> = vec![
        (built.berth, "bin/berth".into()),
        (built.runtime, "bin/berth-runtime".into()),
        (std::env::current_exe().map_err(|error| error.to_string())?, "bin/xtask".into()),
        (made.join("gcc"), "bin/gcc".into()),
        (made.join("bench"), "bin/bench".into()),
    ];
    for (source, name, more) in [
        (sources.join("limit.c"), "limit", &[][..]),
        (sources.join("exec.c"), "exec", &[]),
        (sources.join("true.c"), "true", &["-nostdlib"]),
        (made.join("pause.c"), "pause", &["-nostdlib"]),
    ] {
        image::gcc(&source, &made.join(name), more)?;
        files.push((made.join(name), format!("bin/made/{name}")));
    }
    for (program, target) in [("/usr/bin/crun", "bin/crun"), ("/usr/sbin/runc", "bin/runc")] {
        files.push((program.into(), target.into()));
        files.extend(guest::libraries(program)?);
    }
    let files: Vec<(&Path, &str)> = files.iter().map(|(from, to)| (from.as_path(), to.as_str())).collect();
    let (kernel, image) = guest::image("guest", &files)?;
    command::run(guest::machine(&kernel, &image, &[]).stdin(Stdio::null()))
}

/// The process inside of the bench, without the one outside: the guest is thrown away.
fn script(args: &[String]) -> String {
    let words = args.join(" ");
    format!(
        "export {INSIDE}=\"berth-bench-1\n/bin/berth\n/bin/berth-runtime\"\nxtask bench runtime {words} 2> /errors || cat /errors\n"
    )
}
