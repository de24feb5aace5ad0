//! Docker's `source:destination[:options]` and the names of volumes.

use crate::Error;

/// What a mount shows in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file or directory of the host, absolute.
    Path(String),
    /// A named volume.
    Volume(String),
    /// A volume that nobody named.
    Anonymous,
}

/// One entry of `HostConfig.Binds`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// What is mounted.
    pub source: Source,
    /// Where, absolute and cleaned.
    pub destination: String,
    /// The option field as it was written.
    pub mode: String,
    /// Not writable.
    pub readonly: bool,
    /// Propagation word, empty for Docker's default (`rprivate`).
    pub propagation: String,
    /// Do not copy the image's content into a new volume.
    pub nocopy: bool,
}

impl Bind {
    /// Reads one entry.
    ///
    /// # Errors
    /// Docker's sentences for a malformed entry, a relative destination, `/`, an odd volume name or unknown options.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let parts: Vec<&str> = text.split(':').collect();
        let (source, destination, mode) = match parts[..] {
            [destination] => ("", destination, ""),
            [source, destination] => (source, destination, ""),
            [source, destination, mode] if !mode.is_empty() => (source, destination, mode),
            _ => return Err(malformed(text)),
        };
        if parts.len() > 1 && source.is_empty() || destination.is_empty() {
            return Err(malformed(text));
        }
        let source = match source {
            "" => Source::Anonymous,
            path if path.starts_with('/') => Source::Path(clean(path)),
            name => Source::Volume(volume_name(name)?.to_owned()),
        };
        let kind = if matches!(source, Source::Path(_)) { "bind" } else { "volume" };
        let refuse =
            |e| Error::invalid(format!("invalid volume specification: '{text}': {}", in_kind(kind, &e)));
        let mut bind = Self {
            destination: self::destination(destination).map_err(refuse)?,
            source,
            mode: mode.to_owned(),
            readonly: false,
            propagation: String::new(),
            nocopy: false,
        };
        let invalid = || Error::invalid(format!("invalid mode: {mode}"));
        let twice = |either: [&str; 2]| mode.split(',').filter(|word| either.contains(word)).count() > 1;
        if twice(["ro", "rw"]) || twice(["z", "Z"]) {
            return Err(invalid());
        }
        for option in mode.split(',').filter(|_| !mode.is_empty()) {
            bind.set(option).ok_or_else(invalid)?;
        }
        Ok(bind)
    }

    fn set(&mut self, option: &str) -> Option<()> {
        let is_path = matches!(self.source, Source::Path(_));
        match option {
            "rw" | "z" | "Z" | "consistent" | "cached" | "delegated" => {}
            "ro" => self.readonly = true,
            "nocopy" if !is_path => self.nocopy = true,
            word if is_path && is_propagation(word) && self.propagation.is_empty() => {
                word.clone_into(&mut self.propagation);
            }
            _ => return None,
        }
        Some(())
    }
}

/// Whether this is one of the six propagation words.
#[must_use]
pub fn is_propagation(word: &str) -> bool {
    matches!(word, "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave")
}

/// Docker's sentence for a mount of this kind that cannot be.
#[must_use]
pub fn in_kind(kind: &str, why: &Error) -> String {
    format!("invalid mount config for type \"{kind}\": {why}")
}

/// Checks and cleans a mount point.
///
/// # Errors
/// The path is relative or the root itself.
pub fn destination(path: &str) -> Result<String, Error> {
    if !path.starts_with('/') || path.contains('\0') {
        return Err(Error::invalid(format!("invalid mount path: '{path}' mount path must be absolute")));
    }
    match clean(path) {
        root if root == "/" => Err(Error::invalid("invalid specification: destination can't be '/'")),
        path => Ok(path),
    }
}

/// Checks a volume's name.
///
/// # Errors
/// Docker's sentence for other than `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
pub fn volume_name(name: &str) -> Result<&str, Error> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if first && rest && (2..=255).contains(&name.len()) {
        return Ok(name);
    }
    if name.len() < 2 {
        return Err(Error::invalid(format!(
            "create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )));
    }
    Err(Error::invalid(format!(
        "create {name}: \"{name}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are \
         allowed. If you intended to pass a host directory, use absolute path"
    )))
}

/// Removes `.`, `..` and doubled slashes from an absolute path, by text alone.
#[must_use]
pub fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

fn malformed(text: &str) -> Error {
    Error::invalid(format!("invalid volume specification: '{text}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        match Bind::parse(text) {
            Err(e) => format!("! {e}"),
            Ok(b) => format!(
                "{:?} {} {}{}{}",
                b.source,
                b.destination,
                if b.readonly { "ro" } else { "rw" },
                if b.nocopy { " nocopy" } else { "" },
                if b.propagation.is_empty() { String::new() } else { format!(" {}", b.propagation) }
            ),
        }
    }

    #[test]
    fn entries() {
        for (text, expected) in [
            ("/a:/b", "Path(\"/a\") /b rw"),
            ("/a/../c:/b//d/:ro", "Path(\"/c\") /b/d ro"),
            ("/a:/b:ro,z,rslave", "Path(\"/a\") /b ro rslave"),
            ("data:/b:nocopy", "Volume(\"data\") /b rw nocopy"),
            ("/b", "Anonymous /b rw"),
            ("", "! invalid volume specification: ''"),
            (":/b", "! invalid volume specification: ':/b'"),
            ("/a:", "! invalid volume specification: '/a:'"),
            ("/a:/b:", "! invalid volume specification: '/a:/b:'"),
            ("/a:/b:ro:x", "! invalid volume specification: '/a:/b:ro:x'"),
            ("/a:/b:nope", "! invalid mode: nope"),
            ("/a:/b:nocopy", "! invalid mode: nocopy"),
            ("data:/b:shared", "! invalid mode: shared"),
            ("/a:/b:shared,slave", "! invalid mode: shared,slave"),
            ("/a:/b:ro,rw", "! invalid mode: ro,rw"),
            ("/a:/b:z,Z", "! invalid mode: z,Z"),
            (
                "/a:/",
                "! invalid volume specification: '/a:/': invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
            ),
            (
                "v1:/x/..",
                "! invalid volume specification: 'v1:/x/..': invalid mount config for type \"volume\": invalid specification: destination can't be '/'",
            ),
            (
                "/a:b",
                "! invalid volume specification: '/a:b': invalid mount config for type \"bind\": invalid mount path: 'b' mount path must be absolute",
            ),
        ] {
            assert_eq!(show(text), expected, "{text}");
        }
        assert!(show("../a:/b").contains("If you intended to pass a host directory"));
    }
}
