//! Root file systems made on the spot: no network, no downloads.

use std::path::Path;
use std::process::Command;

/// A tar of regular files, directories (names ending in a slash) and symbolic links (content `-> target`).
#[must_use]
pub fn tar_of(entries: &[(&str, &[u8], u32)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content, mode) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(*mode);
        header.set_size(0);
        let added = if let Some(target) = content.strip_prefix(b"-> ") {
            header.set_entry_type(tar::EntryType::Symlink);
            tar.append_link(&mut header, name, String::from_utf8_lossy(target).as_ref())
        } else if name.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
            tar.append_data(&mut header, name, std::io::empty())
        } else {
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, *content)
        };
        added.expect("tar entry");
    }
    tar.into_inner().expect("tar")
}

/// The machine's static busybox with all its applets, and the few files that programs expect.
#[must_use]
pub fn busybox_tar() -> Vec<u8> {
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().map(Path::new).find(|p| p.exists());
    let busybox = busybox.expect("busybox (package busybox-static)");
    let program = std::fs::read(busybox).expect("busybox");
    let list = Command::new(busybox).arg("--list").output().expect("busybox --list").stdout;
    let list = String::from_utf8(list).expect("applet names");
    let links: Vec<String> = list.lines().filter(|a| *a != "busybox").map(|a| format!("bin/{a}")).collect();
    let mut entries: Vec<(&str, &[u8], u32)> = vec![
        ("bin/", b"", 0o755),
        ("bin/busybox", &program, 0o755),
        ("etc/", b"", 0o755),
        ("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n", 0o644),
        ("etc/group", b"root:x:0:\nalice:x:1000:\nstaff:x:50:alice\n", 0o644),
        ("home/", b"", 0o755),
        ("root/", b"", 0o700),
        ("tmp/", b"", 0o1777),
        ("var/", b"", 0o755),
    ];
    entries.extend(links.iter().map(|link| (link.as_str(), b"-> busybox".as_slice(), 0o777)));
    tar_of(&entries)
}

/// The same as files.
pub(crate) fn unpack_busybox(directory: &Path) {
    tar::Archive::new(busybox_tar().as_slice()).unpack(directory).expect("the root file system");
}
