//! A password file as htpasswd(1) writes it. Only bcrypt entries: the older kinds can be guessed at the speed of the disk, and Docker's
//! registry lets nobody in by them, either.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::Semaphore;

use crate::code::{Code, Refusal};
use crate::depot::blocking;
use crate::digest::{Digest, digest_of};
use crate::error::{Error, Result};

/// How long a password that was right need not be computed again.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Most passwords that are remembered.
const MOST: usize = 1024;
/// Callers that may wait for the computation.
const WAITING: usize = 64;
/// Dearest entry that is taken: 2^14 rounds are a second.
const DEAREST: u32 = 14;
/// bcrypt cuts off what is longer, without a word.
const LONGEST: usize = 72;

pub(crate) struct Htpasswd {
    path: PathBuf,
    users: Mutex<Users>,
    right: Mutex<HashMap<Digest, Instant>>,
    /// One computation at a time: guessing must not take the processors from those who pull.
    turn: Semaphore,
    line: Semaphore,
    /// What an unknown user's password is compared with, so that it takes as long.
    nobody: String,
}

struct Users {
    /// Of the file when it was read.
    stamp: Stamp,
    hashes: HashMap<String, String>,
}

/// Inode, time of the last change in nanoseconds, length.
type Stamp = (u64, i64, u64);

impl Htpasswd {
    pub(crate) fn open(path: PathBuf) -> Result<Self> {
        let users = read(&path)?;
        let nobody = bcrypt::hash(crate::depot::random()?, 10)
            .map_err(|e| Error::call("cannot compute a password", std::io::Error::other(e)))?;
        Ok(Self {
            path,
            users: Mutex::new(users),
            right: Mutex::default(),
            turn: Semaphore::new(1),
            line: Semaphore::new(WAITING),
            nobody,
        })
    }

    /// Whether the header names a user with their password.
    pub(crate) async fn knows(&self, header: Option<&str>) -> Result<bool, Refusal> {
        let Some((user, password)) = header.and_then(credentials) else { return Ok(false) };
        let known = self.hash_of(&user);
        let is_known = known.is_some();
        let hash = known.unwrap_or_else(|| self.nobody.clone());
        let key = digest_of(format!("{hash}\0{user}\0{password}").as_bytes());
        if is_known && self.remembers(&key) {
            return Ok(true);
        }
        let _line = self.line.try_acquire().map_err(|_| {
            Refusal::new(Code::TooManyRequests, "too many passwords are being checked")
                .header("Retry-After", "5")
        })?;
        let _turn = self.turn.acquire().await;
        let fits = blocking(move || Ok(bcrypt::verify(password, &hash).unwrap_or(false))).await?;
        if fits && is_known {
            self.remember(key);
        }
        Ok(fits && is_known)
    }

    /// The user's entry, from the file as it is now. One that cannot be read leaves what was read before.
    fn hash_of(&self, user: &str) -> Option<String> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if stamp(&self.path).is_ok_and(|now| now != users.stamp) {
            match read(&self.path) {
                Ok(new) => *users = new,
                Err(error) => tracing::warn!(%error, "the password file cannot be read again"),
            }
        }
        users.hashes.get(user).cloned()
    }

    fn remembers(&self, key: &Digest) -> bool {
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.get(key).is_some_and(|since| since.elapsed() < REMEMBERED)
    }

    fn remember(&self, key: Digest) {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.len() >= MOST {
            right.clear();
        }
        right.insert(key, Instant::now());
    }
}

/// `Basic` credentials (RFC 7617).
fn credentials(header: &str) -> Option<(String, String)> {
    let (scheme, text) = header.split_once(' ')?;
    let bytes = STANDARD.decode(text.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (user, password) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    (password.len() <= LONGEST).then(|| (user.to_owned(), password.to_owned()))
}

fn stamp(path: &Path) -> std::io::Result<Stamp> {
    let file = fs::metadata(path)?;
    Ok((file.ino(), file.mtime() * 1_000_000_000 + file.mtime_nsec(), file.len()))
}

fn read(path: &Path) -> Result<Users> {
    let failed = |e| Error::call(format!("cannot read the password file {}", path.display()), e);
    let stamp = stamp(path).map_err(failed)?;
    let text = fs::read_to_string(path).map_err(failed)?;
    let hashes = parse(&text).map_err(|why| Error::invalid(format!("{}: {why}", path.display())))?;
    Ok(Users { stamp, hashes })
}

/// Users and their hashes.
fn parse(text: &str) -> Result<HashMap<String, String>, String> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let mut users = HashMap::new();
    for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let (user, hash) = line.split_once(':').ok_or_else(|| format!("line {number} is not USER:HASH"))?;
        let cost =
            ["$2y$", "$2b$", "$2a$"].iter().find_map(|kind| hash.strip_prefix(kind)?.split('$').next());
        let Some(cost) = cost.and_then(|cost| cost.parse::<u32>().ok()).filter(|_| hash.len() == 60) else {
            return Err(format!("line {number} is no bcrypt entry: make it with htpasswd -B"));
        };
        if !(4..=DEAREST).contains(&cost) {
            return Err(format!("line {number} has the cost {cost}, want 4 to {DEAREST}"));
        }
        users.insert(user.to_owned(), hash.to_owned());
    }
    Ok(users)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bcrypt_entries_are_taken() {
        let bcrypt = "$2y$05$MZ4Y4XZqkbJLjRLyjMoqZeLjhHGx3BWlpxdSQHW8kOBMhuEvk5rAW";
        assert_eq!(parse(&format!("# x\n\nann:{bcrypt}\n")).unwrap()["ann"], bcrypt);
        let dear = format!("ann:{}", bcrypt.replace("$05$", "$31$"));
        for bad in ["ann", "ann:{SHA}x", "ann:$apr1$a$b", "ann:plain", &dear] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn passwords_are_compared_and_the_file_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("users");
        let line = |password: &str| format!("ann:{}\n", bcrypt::hash(password, 4).unwrap());
        fs::write(&path, line("secret")).unwrap();
        let file = Htpasswd::open(path.clone()).unwrap();
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert!(file.knows(Some(&basic("ann:secret"))).await.unwrap());
        assert!(file.knows(Some(&basic("ann:secret"))).await.unwrap());
        for wrong in ["ann:other", "bob:secret", "ann:", "ann"] {
            assert!(!file.knows(Some(&basic(wrong))).await.unwrap(), "{wrong}");
        }
        assert!(!file.knows(None).await.unwrap() && !file.knows(Some("Bearer x")).await.unwrap());
        fs::write(&path, line("changed now")).unwrap();
        assert!(!file.knows(Some(&basic("ann:secret"))).await.unwrap());
        assert!(file.knows(Some(&basic("ann:changed now"))).await.unwrap());
    }
}
