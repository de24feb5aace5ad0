//! The user's home directory, as the container's own `/etc/passwd` has it. The file is foreign: ordinary, bounded, and reached without
//! leaving the root.

use std::io::Read;

use rustix::fs::{FileType, Mode, OFlags, fstat};

use crate::tree::Tree;
use crate::weak;

const LONGEST: u64 = 1 << 20;

/// The home of `uid`, or "/" where nobody says.
pub(crate) fn of(uid: u32) -> String {
    let home = passwd().and_then(|text| find(&text, uid));
    home.unwrap_or_else(|| if uid == 0 { "/root" } else { "/" }.to_owned())
}

fn passwd() -> Option<String> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open("/", flags, Mode::empty()).ok()?;
    let waits = if weak::is_off("R17") { OFlags::empty() } else { OFlags::NONBLOCK };
    let file = Tree::new(root).open("/etc/passwd", OFlags::RDONLY | waits).ok()?;
    let kind = FileType::from_raw_mode(fstat(&file).ok()?.st_mode);
    if kind != FileType::RegularFile && !weak::is_off("R17") {
        return None;
    }
    let longest = if weak::is_off("R16") { u64::MAX } else { LONGEST };
    let mut text = Vec::new();
    std::fs::File::from(file).take(longest).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

fn find(text: &str, uid: u32) -> Option<String> {
    let homes = text.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        // `parse` alone would take "+0" for root's.
        let digits = fields.get(2).filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()))?;
        let same = digits.parse::<u32>().ok()? == uid;
        fields.get(5).filter(|home| same && home.starts_with('/')).map(|home| (*home).to_owned())
    });
    { homes }.next()
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn the_first_line_of_the_user_counts() {
        let text = "plus:x:+7:0::/plus:\nbroken\na:x:7:7:A:/home/a:\nb:x:7:7:B:/home/b:\nc:x:8:8::rel:\n";
        assert_eq!(find(text, 7).as_deref(), Some("/home/a"));
        assert_eq!((find(text, 8), find(text, 9)), (None, None));
    }
}
