//! Overlays: their directories are many and long, and what the mount API takes at once is short.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use protocol::plan::Root;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen,
};

use crate::error::Error;
use crate::mounts::complaint;

/// Longest value of one option, with its end.
const LONGEST: usize = 256;

/// A refusal, with what the file system said about it.
pub(crate) struct Refusal(String, Errno);

impl Refusal {
    pub(crate) fn or(self, tried: impl FnOnce() -> String) -> Error {
        let said = if self.0.is_empty() { tried() } else { format!("{} ({})", tried(), self.0) };
        Error::kernel(&said, self.1)
    }
}

/// An overlay, attached nowhere.
pub(crate) fn make(root: &Root, lower: &[String]) -> Result<OwnedFd, Refusal> {
    let silent = |errno| Refusal(String::new(), errno);
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(silent)?;
    let said = |errno| Refusal(complaint(&context), errno);
    let set = |key: &str, value: &str| fsconfig_set_string(context.as_fd(), key, value);
    set("source", "overlay").map_err(said)?;
    // Before 6.5 layers come as one string, which this call cuts at 255 bytes; names by descriptor fit.
    let short = if one_by_one() { ShortList::default() } else { short_list(lower).map_err(silent)? };
    if short.text.is_empty() {
        for layer in lower {
            set("lowerdir+", layer).map_err(said)?;
        }
    } else {
        set("lowerdir", &short.text).map_err(said)?;
    }
    set("upperdir", &root.upper).map_err(said)?;
    set("workdir", &root.work).map_err(said)?;
    for option in &root.options {
        match option.split_once('=') {
            Some((key, value)) => set(key, value).map_err(said)?,
            None => fsconfig_set_flag(context.as_fd(), &**option).map_err(said)?,
        }
    }
    fsconfig_create(context.as_fd()).map_err(said)?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).map_err(silent)
}

/// Does this kernel take layers one by one (6.5)?
fn one_by_one() -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut parts = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    (parts.next(), parts.next()) >= (Some(6), Some(5))
}

/// Layers as one string, and the descriptors it names, open as long as the answer.
#[derive(Default)]
struct ShortList {
    text: String,
    _open: Vec<OwnedFd>,
}

fn short_list(lower: &[String]) -> Result<ShortList, Errno> {
    let plain = lower.join(":");
    if plain.len() < LONGEST && lower.iter().all(|l| !l.contains([':', '\\'])) {
        return Ok(ShortList { text: plain, _open: Vec::new() });
    }
    let mut open = Vec::new();
    for layer in lower {
        open.push(openat(CWD, &**layer, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?);
    }
    let names: Vec<String> = open.iter().map(path_of).collect();
    Ok(ShortList { text: names.join(":"), _open: open })
}

/// A name by descriptor.
pub(crate) fn path_of(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// Sets `lowerdir`, `upperdir` or `workdir` as a document has it. What is too long is named by descriptors, which the overlay looks
/// up until it is made: they are kept in `open`.
pub(crate) fn set_directories(
    context: &OwnedFd,
    key: &str,
    value: &str,
    open: &mut Vec<OwnedFd>,
) -> Result<(), Errno> {
    if value.len() < LONGEST {
        return fsconfig_set_string(context.as_fd(), key, value);
    }
    let directories = if key == "lowerdir" { split(value) } else { vec![value.replace("\\:", ":")] };
    let mut names = Vec::new();
    for directory in &directories {
        let handle = openat(CWD, &**directory, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        names.push(path_of(&handle));
        open.push(handle);
    }
    if key == "lowerdir" && one_by_one() {
        return names.iter().try_for_each(|name| fsconfig_set_string(context.as_fd(), "lowerdir+", &**name));
    }
    fsconfig_set_string(context.as_fd(), key, names.join(":"))
}

/// Directories between colons; `\\:` is a colon of a name.
fn split(value: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        let name = parts.last_mut();
        match (character, name) {
            (':', _) => parts.push(String::new()),
            ('\\', Some(name)) => name.extend(characters.next()),
            (character, Some(name)) => name.push(character),
            (_, None) => {}
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn colons_are_escaped() {
        assert_eq!(split("/a:/b\\:c:/d\\\\e"), ["/a", "/b:c", "/d\\e"]);
    }
}
