//! `config.json` as docker login writes it. What is not ours in it stays as it was, character by character.
#![allow(clippy::disallowed_methods, reason = "the user's own settings")]

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use dockerapi::AuthConfig;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use types::Kind;

use crate::error::{Error, Result};

/// The keys of an object and their values' text, in order.
#[derive(Default)]
struct Object(Vec<(String, Box<RawValue>)>);

/// The settings, and where they are.
pub(super) struct Settings {
    path: PathBuf,
    document: Object,
}

impl Settings {
    /// Reads them; a file that is not there, or empty, is one without settings.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(path, "cannot be read", error)),
        };
        let document = if bytes.iter().all(u8::is_ascii_whitespace) {
            Object::default()
        } else {
            serde_json::from_slice(&bytes).map_err(|error| {
                Error::new(format!(
                    "WARNING: Error loading config file: {}: {}",
                    path.display(),
                    without_text(&error)
                ))
                .of(Kind::Corrupt)
            })?
        };
        Ok(Self { path: path.to_owned(), document })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The program that keeps a registry's account: `docker-credential-NAME`.
    pub(super) fn helper(&self, key: &str) -> Option<String> {
        let text = |raw: &RawValue| serde_json::from_str::<String>(raw.get()).ok();
        let own = self.object("credHelpers").and_then(|helpers| helpers.get(key).and_then(text));
        own.or_else(|| self.document.get("credsStore").and_then(text)).filter(|name| !name.is_empty())
    }

    /// An account; old files name it by an address.
    pub(super) fn account(&self, key: &str) -> Result<Option<AuthConfig>> {
        let Some(all) = self.object("auths") else { return Ok(None) };
        let found = all
            .get(key)
            .or_else(|| all.0.iter().find(|(name, _)| super::hostname(name) == key).map(|(_, raw)| &**raw));
        found.map(|raw| entry(key, raw).map_err(|reason| Error::new(reason).of(Kind::Corrupt))).transpose()
    }

    /// Keeps an account; true when that changed anything.
    pub(super) fn put(&mut self, auth: &AuthConfig) -> Result<bool> {
        let mut all = self.object("auths").unwrap_or_default();
        let raw = stored(auth);
        let same = all.get(&auth.serveraddress).is_some_and(|old| compact(old.get()) == compact(raw.get()));
        if same {
            return Ok(false);
        }
        all.set(&auth.serveraddress, raw);
        self.replace(all)?;
        Ok(true)
    }

    /// Forgets an account.
    pub(super) fn erase(&mut self, key: &str) -> Result<()> {
        let mut all = self.object("auths").unwrap_or_default();
        let before = all.0.len();
        all.0.retain(|(name, _)| name != key);
        if all.0.len() == before { Ok(()) } else { self.replace(all) }
    }

    fn object(&self, key: &str) -> Option<Object> {
        serde_json::from_str(self.document.get(key)?.get()).ok()
    }

    fn replace(&mut self, accounts: Object) -> Result<()> {
        let raw = RawValue::from_string(accounts.print(1))
            .map_err(|e| Error::new(e.to_string()).of(Kind::Internal))?;
        self.document.set("auths", raw);
        write(&self.path, self.document.print(0).as_bytes())
            .map_err(|error| failed(&self.path, "cannot be written", error))
    }
}

/// The accounts of a settings document.
pub(super) fn accounts_of(text: &[u8]) -> std::result::Result<Vec<(String, AuthConfig)>, String> {
    let document: Object = serde_json::from_slice(text).map_err(|e| without_text(&e))?;
    let Some(raw) = document.get("auths") else { return Ok(Vec::new()) };
    let all: Object = serde_json::from_str(raw.get()).map_err(|e| without_text(&e))?;
    all.0.iter().map(|(key, raw)| Ok((key.clone(), entry(key, raw)?))).collect()
}

fn entry(key: &str, raw: &RawValue) -> std::result::Result<AuthConfig, String> {
    let mut auth: AuthConfig = serde_json::from_str(raw.get())
        .map_err(|e| format!("the account at {key} cannot be read: {}", without_text(&e)))?;
    if !auth.auth.is_empty() {
        let whole = AuthConfig { auth: auth.auth.clone(), ..AuthConfig::default() };
        (auth.username, auth.password) = whole.basic().ok_or_else(|| {
            format!("the account at {key} cannot be read: its auth is no base64 of name:password")
        })?;
        auth.auth.clear();
    }
    key.clone_into(&mut auth.serveraddress);
    Ok(auth)
}

/// An account as the file has it.
fn stored(auth: &AuthConfig) -> Box<RawValue> {
    let kept = AuthConfig {
        auth: auth.encoded(),
        email: auth.email.clone(),
        identitytoken: auth.identitytoken.clone(),
        registrytoken: auth.registrytoken.clone(),
        ..AuthConfig::default()
    };
    let text = serde_json::to_string(&kept).unwrap_or_default();
    let text = crate::render::indent(&text, "\t").replace('\n', "\n\t\t");
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn compact(text: &str) -> Option<serde_json::Value> {
    serde_json::from_str(text).ok()
}

/// What is wrong, without any of the file's text: it has secrets.
fn without_text(error: &serde_json::Error) -> String {
    format!("it is no JSON of the expected shape (line {}, column {})", error.line(), error.column())
}

fn failed(path: &Path, what: &str, error: io::Error) -> Error {
    Error::new(format!("{} {what}: {error}", path.display())).of(Kind::Internal).because(error)
}

/// Writes a file whole or not at all: beside it first, readable by its owner only, with the owner and mode of the one it replaces.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let target = match fs::read_link(path) {
        Ok(link) => path.parent().unwrap_or(Path::new("/")).join(link),
        Err(_) => path.to_owned(),
    };
    let directory = target.parent().unwrap_or(Path::new("/"));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let draft = directory.join(format!(".config.json.{}", std::process::id()));
    let written = fill(&draft, &target, bytes).and_then(|()| fs::rename(&draft, &target));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}

fn fill(draft: &Path, target: &Path, bytes: &[u8]) -> io::Result<()> {
    let _ = fs::remove_file(draft);
    let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(bytes)?;
    if let Ok(old) = fs::metadata(target) {
        let _ = std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()));
        file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o777))?;
    }
    file.sync_all()
}

impl Object {
    fn get(&self, key: &str) -> Option<&RawValue> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, raw)| &**raw)
    }

    fn set(&mut self, key: &str, value: Box<RawValue>) {
        match self.0.iter_mut().rev().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// One key to a line, indented by a tab for each level.
    fn print(&self, level: usize) -> String {
        if self.0.is_empty() {
            return "{}".to_owned();
        }
        let indent = "\t".repeat(level + 1);
        let name = |key: &String| serde_json::to_string(key).unwrap_or_default();
        let lines: Vec<String> =
            self.0.iter().map(|(key, raw)| format!("{indent}{}: {}", name(key), raw.get())).collect();
        format!("{{\n{}\n{}}}", lines.join(",\n"), "\t".repeat(level))
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Object, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "{\n\t\"auths\": {\n\t\t\"old.test\": {\n\t\t\t\"auth\": \"a2ltOnA=\"\n\t\t}\n\t},\n\t\"credHelpers\": { \"h.test\":\"x\" },\n\t\"big\": 1.50,\n\t\"psFormat\": \"a\\u0062\"\n}";

    fn account(server: &str, user: &str, password: &str) -> AuthConfig {
        AuthConfig {
            serveraddress: server.into(),
            username: user.into(),
            password: password.into(),
            ..AuthConfig::default()
        }
    }

    #[test]
    fn what_is_not_ours_stays_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        fs::write(&path, BEFORE).unwrap();
        let mut settings = Settings::read(&path).unwrap();
        assert_eq!(settings.account("old.test").unwrap(), Some(account("old.test", "kim", "p")));
        assert_eq!((settings.helper("h.test").as_deref(), settings.helper("r.test")), (Some("x"), None));
        assert!(settings.put(&account("r.test:5000", "kim", "a:b")).unwrap());
        assert!(!settings.put(&account("r.test:5000", "kim", "a:b")).unwrap());
        let after = BEFORE.replace(
            "\t\t}\n\t},",
            "\t\t},\n\t\t\"r.test:5000\": {\n\t\t\t\"auth\": \"a2ltOmE6Yg==\"\n\t\t}\n\t},",
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), after);
        settings.erase("r.test:5000").unwrap();
        settings.erase("r.test:5000").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), BEFORE);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_file_is_its_owners() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/config.json");
        let mut settings = Settings::read(&path).unwrap();
        assert_eq!(settings.account("r.test").unwrap(), None);
        settings.put(&account("r.test", "kim", "p")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let link = directory.path().join("link.json");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        Settings::read(&link).unwrap().put(&account("s.test", "kim", "p")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink() && mode(&path) == 0o640);
        assert!(Settings::read(&path).unwrap().account("s.test").unwrap().is_some());
    }

    #[test]
    fn damaged_files_are_told_without_their_secrets() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        for bad in ["[\"hunter2\"]", "{\"auths\": hunter2}", "hunter2"] {
            fs::write(&path, bad).unwrap();
            let said = Settings::read(&path).err().unwrap().to_string();
            assert!(!said.contains("hunter2") && said.lines().count() == 1, "{said}");
        }
        fs::write(
            &path,
            r#"{"auths":{"r.test":{"auth":"hunter2"},"https://s.test/v1/":{"auth":"a2ltOnA="}}}"#,
        )
        .unwrap();
        let settings = Settings::read(&path).unwrap();
        assert!(!settings.account("r.test").unwrap_err().to_string().contains("hunter2"));
        assert_eq!(settings.account("s.test").unwrap().unwrap().username, "kim");
        assert_eq!(accounts_of(br#"{"auths":{"r.test":{"auth":"a2ltOnA="}}}"#).unwrap()[0].1.password, "p");
    }
}
