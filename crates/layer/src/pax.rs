//! PAX extended headers (POSIX pax, "pax Extended Header"): `length key=value\n` records.

use types::weak;

use crate::entry::Time;
use crate::error::Error;
use crate::limits::Limits;
use crate::number;

/// What a PAX header overrides in the entry after it.
#[derive(Default, Debug)]
pub(crate) struct Overrides {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) uid: Option<u64>,
    pub(crate) gid: Option<u64>,
    pub(crate) mtime: Option<Time>,
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) sparse: Sparse,
}

/// GNU's sparse keys (GNU tar manual, "PAX Format, Versions 0.0, 0.1 and 1.0").
#[derive(Default, Debug)]
pub(crate) struct Sparse {
    pub(crate) major: Option<u64>,
    pub(crate) minor: Option<u64>,
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) real_size: Option<u64>,
    /// Version 0.0 and 0.1: offsets and lengths by turns.
    pub(crate) map: Vec<u64>,
    pub(crate) segments: Option<u64>,
}

/// Reads the body of an `x` header.
pub(crate) fn parse(body: &[u8], limits: &Limits) -> Result<Overrides, Error> {
    let mut overrides = Overrides::default();
    for record in Records(body) {
        let (key, value) = record?;
        overrides.set(key, value, limits)?;
    }
    if overrides.sparse.map.len() > limits.sparse_segments.saturating_mul(2) {
        return Err(Error::over_limit("the sparse file has too many pieces"));
    }
    Ok(overrides)
}

/// A `g` header may comment, but must not change later entries: readers disagree about what it means.
pub(crate) fn check_global(body: &[u8]) -> Result<(), Error> {
    for record in Records(body) {
        let (key, _) = record?;
        let changes = matches!(key, b"path" | b"linkpath" | b"size" | b"uid" | b"gid" | b"mtime")
            || key.starts_with(b"GNU.")
            || key.starts_with(b"SCHILY.xattr.");
        if changes {
            let key = String::from_utf8_lossy(key).into_owned();
            return Err(Error::malformed(format!("a global header sets {key:?} for all later entries")));
        }
    }
    Ok(())
}

struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let record = self.split();
        if record.is_none() {
            self.0 = &[];
        }
        Some(record.ok_or_else(|| Error::malformed("a PAX header is malformed")))
    }
}

impl<'a> Records<'a> {
    fn split(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let space = self.0.iter().take(20).position(|b| *b == b' ')?;
        let length = usize::try_from(number::parse_decimal(&self.0[..space])?).ok()?;
        if length <= space + 1 || length > self.0.len() {
            return None;
        }
        let (record, rest) = self.0.split_at(length);
        self.0 = rest;
        let record = record[space + 1..].strip_suffix(b"\n")?;
        let equals =
            record.iter().position(|b| *b == b'=').filter(|at| *at > 0 && !record[..*at].contains(&0))?;
        Some((&record[..equals], &record[equals + 1..]))
    }
}

impl Overrides {
    fn set(&mut self, key: &[u8], value: &[u8], limits: &Limits) -> Result<(), Error> {
        let sparse = &mut self.sparse;
        match key {
            b"path" => once(&mut self.path, key, name(key, value, limits)?),
            b"linkpath" => once(&mut self.link, key, name(key, value, limits)?),
            b"size" => once(&mut self.size, key, decimal(key, value)?),
            b"uid" => once(&mut self.uid, key, decimal(key, value)?),
            b"gid" => once(&mut self.gid, key, decimal(key, value)?),
            b"mtime" => once(&mut self.mtime, key, number::parse_time(value).ok_or_else(|| bad(key))?),
            b"GNU.sparse.major" => once(&mut sparse.major, key, decimal(key, value)?),
            b"GNU.sparse.minor" => once(&mut sparse.minor, key, decimal(key, value)?),
            b"GNU.sparse.name" => once(&mut sparse.name, key, name(key, value, limits)?),
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => {
                once(&mut sparse.real_size, key, decimal(key, value)?)
            }
            b"GNU.sparse.numblocks" => once(&mut sparse.segments, key, decimal(key, value)?),
            b"GNU.sparse.map" => self.set_map(key, value),
            b"GNU.sparse.offset" => self.push_map(key, value, 0),
            b"GNU.sparse.numbytes" => self.push_map(key, value, 1),
            // They mean nothing here, but Go takes such a header for none.
            b"uname" | b"gname" if value.contains(&0) => Err(bad(key)),
            _ => self.set_xattr(key, value, limits),
        }
    }

    fn set_map(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        if !self.sparse.map.is_empty() {
            return Err(repeated(key));
        }
        for number in value.split(|b| *b == b',').filter(|_| !value.is_empty()) {
            self.sparse.map.push(decimal(key, number)?);
        }
        Ok(())
    }

    fn push_map(&mut self, key: &[u8], value: &[u8], turn: usize) -> Result<(), Error> {
        if self.sparse.map.len() % 2 != turn {
            return Err(bad(key));
        }
        self.sparse.map.push(decimal(key, value)?);
        Ok(())
    }

    fn set_xattr(&mut self, key: &[u8], value: &[u8], limits: &Limits) -> Result<(), Error> {
        let Some(name) = key.strip_prefix(b"SCHILY.xattr.") else { return Ok(()) };
        if name.is_empty() || name.len() > 255 || name.contains(&0) || value.len() > 64 << 10 {
            return Err(bad(key));
        }
        if self.xattrs.iter().any(|(known, _)| known == name) {
            return Err(repeated(key));
        }
        if self.xattrs.len() == limits.xattrs && !weak::is_off("I12") {
            return Err(Error::over_limit("too many extended attributes"));
        }
        self.xattrs.push((name.to_vec(), value.to_vec()));
        Ok(())
    }
}

fn once<T>(slot: &mut Option<T>, key: &[u8], value: T) -> Result<(), Error> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(repeated(key)),
    }
}

fn decimal(key: &[u8], value: &[u8]) -> Result<u64, Error> {
    number::parse_decimal(value).filter(|n| i64::try_from(*n).is_ok()).ok_or_else(|| bad(key))
}

fn name(key: &[u8], value: &[u8], limits: &Limits) -> Result<Vec<u8>, Error> {
    let fits = !value.is_empty() && value.len() <= limits.path_bytes && !value.contains(&0);
    if fits { Ok(value.to_vec()) } else { Err(bad(key)) }
}

fn bad(key: &[u8]) -> Error {
    Error::malformed(format!("the PAX header's {:?} has a bad value", String::from_utf8_lossy(key)))
}

fn repeated(key: &[u8]) -> Error {
    Error::malformed(format!("the PAX header sets {:?} twice", String::from_utf8_lossy(key)))
}
