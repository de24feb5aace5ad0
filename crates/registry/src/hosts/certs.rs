//! The directory of one registry under a certs directory: `hosts.toml`, and certificates as Docker lays them out.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::http::Trust;

/// What lies there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Where; absent when no certs directory knows the registry.
    pub(crate) dir: Option<PathBuf>,
    /// The text of `hosts.toml`.
    pub(crate) hosts: Option<String>,
    /// From `*.crt`, `*.cert` and `*.key`.
    pub(crate) trust: Trust,
}

/// What tells whether something there was changed.
pub(crate) type Stamp = Vec<(PathBuf, Option<SystemTime>, u64)>;

/// The files that the directories have for a registry at this moment.
pub(crate) fn stamp(dirs: &[PathBuf], domain: &str) -> Stamp {
    let Some(dir) = directory(dirs, domain) else { return Stamp::new() };
    let mut files: Stamp = list(&dir)
        .into_iter()
        .map(|path| {
            let data = fs::metadata(&path).ok();
            let changed = data.as_ref().and_then(|data| data.modified().ok());
            (path, changed, data.map_or(0, |data| data.len()))
        })
        .collect();
    files.push((dir, None, 0));
    files
}

/// Reads what the first directory that knows the registry has for it. The error is a sentence.
pub(crate) fn read(dirs: &[PathBuf], domain: &str) -> Result<Found, String> {
    let Some(dir) = directory(dirs, domain) else { return Ok(Found::default()) };
    let file = dir.join("hosts.toml");
    let hosts = match fs::read_to_string(&file) {
        Ok(text) => Some(text).filter(|text| !text.trim().is_empty()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => return Err(format!("cannot read {}: {e}", file.display())),
    };
    let trust = trust(&list(&dir))?;
    Ok(Found { dir: Some(dir), hosts, trust })
}

/// Docker's name of a registry's directory comes first, then containerd's other one, then the one for all.
fn directory(dirs: &[PathBuf], domain: &str) -> Option<PathBuf> {
    let spelled = domain.rsplit_once(':').map(|(host, port)| format!("{host}_{port}_"));
    let names = [Some(domain.to_owned()), spelled, Some("_default".to_owned())];
    dirs.iter().find_map(|dir| names.iter().flatten().map(|name| dir.join(name)).find(|path| path.is_dir()))
}

fn list(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    files
}

/// Docker's rules: `.crt` are authorities, a `.cert` is ours and needs its `.key`. The first pair counts.
fn trust(files: &[PathBuf]) -> Result<Trust, String> {
    let authorities = with(files, "crt").cloned().collect();
    for certificate in with(files, "cert") {
        let key = certificate.with_extension("key");
        if !files.contains(&key) {
            return Err(format!("the client certificate {} has no key beside it", certificate.display()));
        }
    }
    for key in with(files, "key") {
        if !files.contains(&key.with_extension("cert")) {
            return Err(format!("the client key {} has no certificate (.cert) beside it", key.display()));
        }
    }
    let client = with(files, "cert").next().map(|c| (c.clone(), c.with_extension("key")));
    Ok(Trust { authorities, client, skip_verify: false })
}

fn with<'a>(files: &'a [PathBuf], end: &'static str) -> impl Iterator<Item = &'a PathBuf> {
    files.iter().filter(move |file| file.extension().is_some_and(|extension| extension == end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_by_name() {
        let root = tempfile::tempdir().unwrap();
        let [first, second] = ["a", "b"].map(|name| root.path().join(name));
        for dir in ["a/r.example:5000", "b/r.example_5000_", "b/s.example_5000_", "b/_default"] {
            fs::create_dir_all(root.path().join(dir)).unwrap();
        }
        let dirs = [first.clone(), second.clone(), root.path().join("absent")];
        for (domain, found) in [
            ("r.example:5000", first.join("r.example:5000")),
            ("s.example:5000", second.join("s.example_5000_")),
            ("t.example", second.join("_default")),
        ] {
            assert_eq!(directory(&dirs, domain), Some(found), "{domain}");
        }
        assert_eq!(directory(&dirs[..1], "t.example"), None);
        assert_eq!(read(&[], "t.example"), Ok(Found::default()));
    }

    #[test]
    fn certificates_as_docker_lays_them_out() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("r.example");
        fs::create_dir(&place).unwrap();
        let dirs = [dir.path().to_owned()];
        let before = stamp(&dirs, "r.example");
        for name in ["b.crt", "a.crt", "client.cert", "client.key", "notes.txt"] {
            fs::write(place.join(name), "").unwrap();
        }
        let found = read(&dirs, "r.example").unwrap();
        assert_eq!(found.trust.authorities, [place.join("a.crt"), place.join("b.crt")]);
        assert_eq!(found.trust.client, Some((place.join("client.cert"), place.join("client.key"))));
        assert_ne!(stamp(&dirs, "r.example"), before);
        fs::remove_file(place.join("client.key")).unwrap();
        assert!(read(&dirs, "r.example").unwrap_err().contains("client.cert"));
        fs::rename(place.join("client.cert"), place.join("client.key")).unwrap();
        assert!(read(&dirs, "r.example").unwrap_err().contains("client.key"));
    }
}
