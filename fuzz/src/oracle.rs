//! Debian's libseccomp in a process of its own, compiled from `oracle.c` at the first use.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

/// What is missing to have it.
pub(crate) fn lacks() -> Option<String> {
    compile().err()
}

fn compile() -> Result<PathBuf, String> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/oracle.c");
    let program = std::env::temp_dir().join(format!("berth-fuzz-oracle-{}", std::process::id()));
    if program.exists() {
        return Ok(program);
    }
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-o"]).arg(&program).args([source, "-lseccomp"]).stderr(Stdio::null());
    match cc.status() {
        Ok(status) if status.success() => Ok(program),
        _ => Err("needs a C compiler and libseccomp-dev".to_owned()),
    }
}

struct Oracle {
    child: Child,
    words: ChildStdin,
    answers: ChildStdout,
}

impl Oracle {
    fn start() -> Option<Self> {
        let program = compile().ok()?;
        let mut child = Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        // It runs; nobody needs its file any more.
        let _ = std::fs::remove_file(program);
        let (words, answers) = (child.stdin.take()?, child.stdout.take()?);
        Some(Self { child, words, answers })
    }

    fn ask(&mut self, words: &str) -> std::io::Result<Vec<u8>> {
        self.words.write_all(words.as_bytes())?;
        self.words.flush()?;
        let mut length = [0; 4];
        self.answers.read_exact(&mut length)?;
        let mut program = vec![0; u32::from_ne_bytes(length) as usize];
        self.answers.read_exact(&mut program)?;
        Ok(program)
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program that libseccomp makes of these words; `None` when it refuses them.
pub(crate) fn program(words: &str) -> Option<Vec<u8>> {
    static ORACLE: Mutex<Option<Oracle>> = Mutex::new(None);
    let mut oracle = ORACLE.lock().expect("nobody panics with the oracle in hand");
    let oracle = match &mut *oracle {
        Some(oracle) => oracle,
        none => none.insert(Oracle::start().expect("the oracle starts")),
    };
    let program = oracle.ask(words).expect("the oracle answers");
    (!program.is_empty()).then_some(program)
}
