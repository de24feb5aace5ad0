//! Reading small files of a container's root, which is foreign ground: every step goes from a handle, links are followed inside
//! the root only, and nothing but a regular file of bounded size is read (CVE-2024-9676: a FIFO must not hang the daemon).

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use types::Rootfs;

/// Links followed before a path counts as a loop, as the kernel's own limit.
const LINKS_MAX: u32 = 40;

/// Reads a file of a container that is not running, through its layers. `None`: there is no such file.
pub(crate) fn read_stopped(rootfs: &Rootfs, path: &str, max_bytes: usize) -> io::Result<Option<Vec<u8>>> {
    let layers = match rootfs {
        Rootfs::Directory(path) => vec![path.clone()],
        Rootfs::Overlay { lower, upper, .. } => {
            std::iter::once(upper).chain(lower).cloned().collect::<Vec<PathBuf>>()
        }
    };
    match find_in_layers(&layers, path)? {
        Some(file) => read_regular(&file, path, max_bytes).map(Some),
        None => Ok(None),
    }
}

/// Reads a file of a running container, through the root of its first process.
pub(crate) fn read_running(pid: i32, path: &str, max_bytes: usize) -> io::Result<Option<Vec<u8>>> {
    let root = rustix::fs::openat(
        CWD,
        format!("/proc/{pid}/root"),
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let flags = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let relative = path.trim_start_matches('/');
    match rustix::fs::openat2(&root, relative, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), flags) {
        Ok(file) => read_regular(&file, path, max_bytes).map(Some),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Reads through an `O_PATH` handle, after seeing that it is a regular file.
fn read_regular(handle: &OwnedFd, path: &str, max_bytes: usize) -> io::Result<Vec<u8>> {
    let stat = rustix::fs::fstat(handle)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::other(format!("{path} of the container is not a regular file")));
    }
    let file = rustix::fs::openat(
        CWD,
        format!("/proc/self/fd/{}", handle.as_raw_fd()),
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY,
        Mode::empty(),
    )?;
    let mut bytes = Vec::new();
    let limit = max_bytes as u64 + 1;
    io::Read::read_to_end(&mut io::Read::take(std::fs::File::from(file), limit), &mut bytes)?;
    if bytes.len() > max_bytes {
        return Err(io::Error::other(format!("{path} of the container is larger than {max_bytes} bytes")));
    }
    Ok(bytes)
}

/// A directory of the merged tree: its handles, topmost layer first.
type Merged = Vec<OwnedFd>;

/// What a name is in a merged directory.
enum Found {
    Nothing,
    Directory(Merged),
    Link(PathBuf),
    File(OwnedFd),
}

/// Walks a path as overlayfs would show it: whiteouts hide, opaque directories end the merge.
fn find_in_layers(layers: &[PathBuf], path: &str) -> io::Result<Option<OwnedFd>> {
    let root = || -> io::Result<Merged> { layers.iter().map(|l| open_directory(CWD, l)).collect() };
    let mut stack = vec![root()?];
    let mut rest: Vec<OsString> = names(Path::new(path));
    let mut links = 0;
    while let Some(name) = rest.pop() {
        if name == ".." {
            if stack.len() > 1 {
                stack.pop();
            }
            continue;
        }
        let Some(here) = stack.last() else { return Ok(None) };
        match look_up(here, &name)? {
            Found::Nothing => return Ok(None),
            Found::Directory(merged) => stack.push(merged),
            Found::File(file) => return Ok(rest.is_empty().then_some(file)),
            Found::Link(target) => {
                links += 1;
                if links > LINKS_MAX {
                    return Err(Errno::LOOP.into());
                }
                if target.is_absolute() {
                    stack.truncate(1);
                }
                rest.extend(names(&target));
            }
        }
    }
    Ok(None)
}

/// The components of a path, last first; `..` is kept.
fn names(path: &Path) -> Vec<OsString> {
    let mut names: Vec<OsString> = path
        .components()
        .filter_map(|c| match c {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            _ => None,
        })
        .collect();
    names.reverse();
    names
}

fn look_up(here: &Merged, name: &OsString) -> io::Result<Found> {
    let mut merged = Merged::new();
    for layer in here {
        let stat = match rustix::fs::statat(layer, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => continue,
            Err(e) => return Err(e.into()),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let directory = open_directory(layer, name)?;
                let opaque = is_opaque(&directory);
                merged.push(directory);
                if opaque {
                    break;
                }
            }
            // Whatever hides the lower layers also ends a directory begun above.
            _ if !merged.is_empty() || is_whiteout(&stat) => break,
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(layer, name, Vec::new())?.into_bytes();
                return Ok(Found::Link(PathBuf::from(OsString::from_vec(target))));
            }
            _ => {
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                return Ok(Found::File(rustix::fs::openat(layer, name, flags, Mode::empty())?));
            }
        }
    }
    Ok(if merged.is_empty() { Found::Nothing } else { Found::Directory(merged) })
}

fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

fn is_opaque(directory: &OwnedFd) -> bool {
    let mut value = [0u8; 8];
    rustix::fs::fgetxattr(directory, "trusted.overlay.opaque", &mut value[..])
        .is_ok_and(|n| n == 1 && value[0] == b'y')
}

fn open_directory(at: impl AsFd, path: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(rustix::fs::openat(at, path, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests;
