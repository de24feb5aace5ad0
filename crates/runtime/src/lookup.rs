//! Finding the program, inside the root, as the user it will run as. Messages are those of runc, which tools look for.

use std::ffi::CString;

use rustix::fs::{Access, AtFlags, CWD, FileType, accessat, stat};
use rustix::io::Errno;
use types::Kind;

use crate::error::{Error, text_of};

const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

/// The path to execute for `name`.
pub(crate) fn find(name: &str, env: &[String]) -> Result<CString, Error> {
    let path = if name.contains('/') { by_path(name)? } else { by_name(name, env)? };
    CString::new(path).map_err(|_| Error::said(Kind::InvalidInput, "process.args holds a NUL byte"))
}

fn by_path(name: &str) -> Result<String, Error> {
    match executable(name) {
        Ok(()) => Ok(name.to_owned()),
        Err(errno) => Err(refusal(name, errno)),
    }
}

fn by_name(name: &str, env: &[String]) -> Result<String, Error> {
    let path = env.iter().rev().find_map(|e| e.strip_prefix("PATH=")).unwrap_or_default();
    let places = path.split(':').filter(|place| place.starts_with('/'));
    let mut candidates = places.map(|place| format!("{}/{name}", place.trim_end_matches('/')));
    candidates.find(|candidate| executable(candidate).is_ok()).ok_or_else(|| {
        let text = format!("exec: {name:?}: executable file not found in $PATH");
        Error::said(Kind::NotFound, text).with_exit_code(NOT_FOUND)
    })
}

fn executable(path: &str) -> Result<(), Errno> {
    let mode = stat(path)?.st_mode;
    if FileType::from_raw_mode(mode) == FileType::Directory {
        return Err(Errno::ISDIR);
    }
    if mode & 0o111 == 0 {
        return Err(Errno::ACCESS);
    }
    accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)
}

fn refusal(name: &str, errno: Errno) -> Error {
    let text = text_of(errno);
    match errno {
        Errno::NOENT | Errno::NOTDIR => {
            let text = format!("exec: {name:?}: stat {name}: {text}");
            Error::said(Kind::NotFound, text).with_exit_code(NOT_FOUND)
        }
        _ => Error::said(Kind::Forbidden, format!("exec: {name:?}: {text}")).with_exit_code(NOT_EXECUTABLE),
    }
}

/// The exec itself was refused.
pub(crate) fn exec_refusal(path: &str, errno: Errno) -> Error {
    let code = if errno == Errno::NOENT { NOT_FOUND } else { NOT_EXECUTABLE };
    let kind = if errno == Errno::NOENT { Kind::NotFound } else { Kind::InvalidInput };
    Error::said(kind, format!("exec {path}: {}", text_of(errno))).with_exit_code(code)
}
