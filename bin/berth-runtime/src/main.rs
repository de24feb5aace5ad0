//! The small program: an OCI runtime, the supervisor of a daemon's containers, and what runs inside as `init` and `hello`.
#![allow(clippy::disallowed_methods, reason = "a program is a door: environment and clock are read here")]

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use runtime::Stay;

#[global_allocator]
static HEAP: sys::heap::Heap = sys::heap::Heap::new();

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect();
    let name = arguments.first().and_then(|a| a.rsplit('/').next()).unwrap_or_default();
    let rest = arguments.get(1..).unwrap_or_default();
    match (name, rest.first().map(String::as_str)) {
        ("docker-init", _) => code(runtime::init::main(rest)),
        (_, Some("init")) => code(runtime::init::main(&rest[1..])),
        (_, Some("hello")) if rest.get(1).is_some_and(|w| w == "fill-memory") => {
            runtime::hello::fill_memory()
        }
        ("hello", _) | (_, Some("hello")) => hello(),
        (_, Some("supervisor")) => sealed(Stay::Long, &arguments, || supervisor::run(&rest[1..])),
        _ if runtime::command::enters(rest) => {
            sealed(Stay::Short, &arguments, || code(runtime::command::main(&arguments)))
        }
        _ => code(runtime::command::main(&arguments)),
    }
}

fn code(code: i32) -> ExitCode {
    ExitCode::from(code as u8)
}

/// With nothing in its processes that leads to this program's file, so that no container can change it.
fn sealed(stay: Stay, arguments: &[String], run: impl FnOnce() -> ExitCode) -> ExitCode {
    if stay == Stay::Short {
        HEAP.take_pages();
    }
    let environment = || {
        std::env::vars_os()
            .map(|(name, value)| format!("{}={}", name.to_string_lossy(), value.to_string_lossy()))
            .collect()
    };
    match runtime::seal(stay, arguments, environment) {
        Ok(()) => run(),
        Err(error) => code(runtime::command::fail(arguments, &error)),
    }
}

fn hello() -> ExitCode {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    print!("{}", runtime::hello::table(&|name| std::env::var(name).ok(), now));
    ExitCode::SUCCESS
}
