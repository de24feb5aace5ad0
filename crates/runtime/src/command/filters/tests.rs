//! What is believed, and what is not.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};

use plan::seccomp::{Arch, default_profile};
use serde_json::json;

use super::*;

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let place = std::env::temp_dir().join(format!("berth-filters-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        fs::DirBuilder::new().mode(0o700).create(&place).unwrap();
        Self(place)
    }

    fn filters(&self) -> Filters {
        Filters { program: b"this build", ..Filters::of(&self.0) }
    }

    /// The file of the one entry.
    fn entry(&self) -> PathBuf {
        let names = self.names();
        assert_eq!(names.len(), 1, "{names:?}");
        self.0.join(DIRECTORY).join(&names[0])
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.join(DIRECTORY)).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const TEXT: &[u8] = br#"{"defaultAction": "SCMP_ACT_ALLOW"}"#;

fn filter(number: u8) -> Seccomp {
    Seccomp { filter: vec![number; 40], flags: 2, listener: "/run/agent".into(), metadata: "x".into() }
}

/// A place with one entry for [`TEXT`].
fn kept(name: &str) -> (Scratch, Filters) {
    let scratch = Scratch::new(name);
    let filters = scratch.filters();
    filters.keep(TEXT, &filter(1));
    assert_eq!(filters.find(TEXT), Some(filter(1)));
    (scratch, filters)
}

#[test]
fn this_program_has_a_name() {
    let name = sys::program_file::build_id().expect("programs are linked with a build id");
    assert!(name.len() >= 8, "{name:?}");
    let file = fs::read("/proc/self/exe").unwrap();
    assert!(file.windows(name.len()).any(|part| part == name));
}

/// A whole document gets the same plan with and without.
#[test]
fn a_kept_filter_is_the_compiled_one_byte_for_byte() {
    let scratch = Scratch::new("same");
    let filters = scratch.filters();
    let document = json!({
        "ociVersion": "1.0.2",
        "process": {"args": ["/true"], "cwd": "/"},
        "root": {"path": "rootfs"},
        "linux": {"namespaces": [{"type": "mount"}], "seccomp": default_profile(&["CAP_CHOWN"], (6, 1), Arch::native())},
    });
    let document = document.to_string().into_bytes();
    let plan = |spec: &Spec, filter| {
        let facts =
            ::plan::facts::Facts { seccomp: true, namespaces: vec!["mnt".into()], ..Default::default() };
        let options = ::plan::container::Options { filter, ..Default::default() };
        let rootfs = types::Rootfs::Directory("/r".into());
        ::plan::container::plan("x", spec, &rootfs, &facts, &options).unwrap().plan
    };
    let (None, Filter::New(text)) = filters.read(&document) else { panic!("nothing is kept yet") };
    let compiled = plan(&oci::read(&document).unwrap(), None);
    let made = compiled.process.clone().unwrap().seccomp.unwrap();
    assert!(made.filter.len() > 1000);
    filters.keep(&document[text], &made);
    let (Some(spec), Filter::Kept(filter)) = filters.read(&document) else { panic!("it was kept") };
    assert_eq!(filter, made);
    assert_eq!(plan(&spec, Some(filter)), compiled);
}

#[test]
fn only_the_very_text_and_the_very_build_count() {
    let (scratch, filters) = kept("exact");
    assert_eq!(filters.find(br#"{"defaultAction":"SCMP_ACT_ALLOW"}"#), None);
    assert_eq!(filters.find(&TEXT[..TEXT.len() - 1]), None);
    let other = Filters { program: b"that build", ..scratch.filters() };
    assert_eq!(other.find(TEXT), None);
    // Not even under the other's name.
    fs::rename(scratch.entry(), scratch.0.join(DIRECTORY).join(other.name(TEXT))).unwrap();
    assert_eq!(other.find(TEXT), None);
    other.keep(TEXT, &filter(2));
    filters.keep(TEXT, &filter(1));
    assert_eq!((other.find(TEXT), filters.find(TEXT)), (Some(filter(2)), Some(filter(1))));
    let nameless = Filters { program: b"", ..scratch.filters() };
    nameless.keep(TEXT, &filter(3));
    assert_eq!((nameless.find(TEXT), scratch.names().len()), (None, 2));
}

/// Every cut and every changed byte is seen, and the entry is replaced.
#[test]
fn damaged_entries_are_not_used() {
    let (scratch, filters) = kept("damaged");
    let whole = fs::read(scratch.entry()).unwrap();
    let check = |bytes: &[u8], what: &str| {
        fs::write(scratch.entry(), bytes).unwrap();
        assert_eq!(filters.find(TEXT), None, "{what}");
    };
    for end in 0..whole.len() {
        check(&whole[..end], &format!("cut after {end}"));
    }
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        check(&changed, &format!("changed at {at}"));
    }
    check(&[whole.as_slice(), b"x"].concat(), "longer");
    check(&vec![0; 2 * LONGEST + 1], "much longer");
    filters.keep(TEXT, &filter(2));
    assert_eq!(filters.find(TEXT), Some(filter(2)));
}

#[test]
fn what_others_can_have_written_is_not_used() {
    let (scratch, filters) = kept("others");
    let stranger = Filters { owner: filters.owner + 1, ..scratch.filters() };
    assert_eq!(stranger.find(TEXT), None, "another's directory");
    stranger.keep(b"{}", &filter(2));
    assert_eq!(scratch.names().len(), 1, "nor is anything written there");
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for wide in [0o640, 0o604, 0o620, 0o602] {
        mode(&scratch.entry(), wide);
        assert_eq!(filters.find(TEXT), None, "{wide:o}");
    }
    mode(&scratch.entry(), 0o600);
    assert_eq!(filters.find(TEXT), Some(filter(1)));
    for wide in [0o750, 0o705, 0o730, 0o1777] {
        mode(&scratch.0.join(DIRECTORY), wide);
        assert_eq!(filters.find(TEXT), None, "{wide:o}");
    }
    mode(&scratch.0.join(DIRECTORY), 0o700);
    fs::hard_link(scratch.entry(), scratch.0.join("link")).unwrap();
    assert_eq!(filters.find(TEXT), None, "a file with a second name");
    fs::remove_file(scratch.0.join("link")).unwrap();
    assert_eq!(filters.find(TEXT), Some(filter(1)));
}

#[test]
fn links_and_other_things_in_the_place_are_not_used() {
    let (scratch, filters) = kept("links");
    let (entry, aside) = (scratch.entry(), scratch.0.join("aside"));
    fs::rename(&entry, &aside).unwrap();
    symlink(&aside, &entry).unwrap();
    assert_eq!(filters.find(TEXT), None, "a link to an entry");
    let before = fs::read(&aside).unwrap();
    filters.keep(TEXT, &filter(2));
    assert_eq!(filters.find(TEXT), Some(filter(2)));
    assert_eq!(fs::read(&aside).unwrap(), before, "what the link led to stays as it is");
    fs::remove_file(&entry).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &entry, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    assert_eq!(filters.find(TEXT), None, "a FIFO, which has nobody wait");
    fs::remove_file(&entry).unwrap();
    fs::DirBuilder::new().mode(0o700).create(&entry).unwrap();
    filters.keep(TEXT, &filter(3));
    assert_eq!(filters.find(TEXT), None, "a directory");
    assert_eq!(scratch.names().len(), 1, "and nothing is left of what could not be put there");
    fs::remove_dir(&entry).unwrap();

    let place = scratch.0.join(DIRECTORY);
    filters.keep(TEXT, &filter(4));
    fs::rename(&place, scratch.0.join("elsewhere")).unwrap();
    symlink(scratch.0.join("elsewhere"), &place).unwrap();
    assert_eq!(filters.find(TEXT), None, "a link to the directory");
    fs::remove_file(&place).unwrap();
    fs::write(&place, b"").unwrap();
    filters.keep(TEXT, &filter(5));
    assert_eq!(filters.find(TEXT), None, "a file in the directory's place");
}

#[test]
fn there_are_never_many_and_none_is_long() {
    let scratch = Scratch::new("many");
    let filters = scratch.filters();
    for number in 0..100_u8 {
        filters.keep(format!("{{\"x\": {number}}}").as_bytes(), &filter(number));
        assert_eq!(
            filters.find(format!("{{\"x\": {number}}}").as_bytes()),
            Some(filter(number)),
            "the latest is there"
        );
        assert!(scratch.names().len() <= MOST);
    }
    let long = Seccomp { filter: vec![0; 2 * LONGEST], ..Seccomp::default() };
    filters.keep(b"{}", &long);
    assert_eq!(filters.find(b"{}"), None);
    let text = format!(r#"{{"linux": {{"seccomp": {{"x": "{}"}}}}}}"#, "x".repeat(LONGEST));
    assert!(matches!(filters.read(text.as_bytes()), (None, Filter::Plain)));
}

/// What somebody left in the middle of writing is neither read nor overwritten, and goes when there is too much.
#[test]
fn a_left_file_is_cleared_away() {
    let scratch = Scratch::new("left");
    let filters = scratch.filters();
    fs::DirBuilder::new().mode(0o700).create(scratch.0.join(DIRECTORY)).unwrap();
    let left = scratch.0.join(DIRECTORY).join(format!("new.{}", std::process::id()));
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&left).unwrap();
    filters.keep(TEXT, &filter(1));
    assert_eq!((filters.find(TEXT), fs::read(&left).unwrap().len()), (None, 0));
    for number in 1..MOST {
        fs::write(left.with_extension(format!("{number}.x")), b"").unwrap();
    }
    filters.keep(TEXT, &filter(2));
    assert_eq!((filters.find(TEXT), scratch.names().len()), (Some(filter(2)), 1));
}

/// Readers among writers see one whole entry or none.
#[test]
fn many_at_once() {
    let (_scratch, filters) = kept("once");
    let filters = &filters;
    std::thread::scope(|scope| {
        for writer in 0..4_u8 {
            scope.spawn(move || (0..200).for_each(|_| filters.keep(TEXT, &filter(writer))));
        }
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let found = filters.find(TEXT).expect("there is always one");
                    assert_eq!(found, filter(found.filter[0]));
                }
            });
        }
    });
}

#[test]
fn without_a_place_to_write_nothing_is_kept_and_nothing_fails() {
    let filters = Filters { program: b"this build", ..Filters::of(Path::new("/proc/self/fdinfo")) };
    filters.keep(TEXT, &filter(1));
    assert_eq!(filters.find(TEXT), None);
    let document = br#"{"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}}}"#;
    assert!(matches!(filters.read(document), (None, Filter::New(_))));
}

/// What is wrong elsewhere in a document is told as ever.
#[test]
fn a_document_that_is_wrong_elsewhere_is_read_as_it_is() {
    let (_scratch, filters) = kept("wrong");
    let text = std::str::from_utf8(TEXT).unwrap();
    let wrong = format!(r#"{{"linux": {{"seccomp": {text}}}, "process": 1}}"#);
    assert!(matches!(filters.read(wrong.as_bytes()), (None, Filter::Plain)));
}
