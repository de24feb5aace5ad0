//! Names of archive entries, made safe: relative, without `.`, `..`, NUL or empty components.

use std::fmt;

use types::weak;

use crate::limits::Limits;

/// A path inside a tree, relative to its root, cleaned. The empty path is the root itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct TreePath(Vec<u8>);

/// Why a name is not a path inside the tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PathError {
    /// A `..` component.
    #[error("the name has a \"..\" component")]
    Parent,
    /// A NUL byte.
    #[error("the name has a NUL byte")]
    Nul,
    /// Longer than the limit, or one component over 255 bytes.
    #[error("the name is too long")]
    Long,
    /// More components than the limit.
    #[error("the name has too many components")]
    Deep,
}

impl TreePath {
    /// Cleans a name from an archive. A leading slash is dropped, as Docker does: names are relative to the tree.
    ///
    /// # Errors
    /// When the name has `..`, a NUL, or is over a limit.
    pub fn parse(name: &[u8], limits: &Limits) -> Result<Self, PathError> {
        if name.contains(&0) {
            return Err(PathError::Nul);
        }
        if name.len() > limits.path_bytes {
            return Err(PathError::Long);
        }
        let mut clean = Vec::with_capacity(name.len());
        let mut depth = 0;
        for component in name.split(|b| *b == b'/').filter(|c| !c.is_empty() && *c != b".") {
            match component {
                b".." if !weak::is_off("I06") => return Err(PathError::Parent),
                long if long.len() > 255 => return Err(PathError::Long),
                _ => depth += 1,
            }
            if !clean.is_empty() {
                clean.push(b'/');
            }
            clean.extend_from_slice(component);
        }
        if depth > limits.path_depth && !weak::is_off("I10") { Err(PathError::Deep) } else { Ok(Self(clean)) }
    }

    /// The path's bytes: no leading or trailing slash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root of the tree.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The last component; empty for the root.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.0.rsplit(|b| *b == b'/').next().unwrap_or_default()
    }

    /// The directory that holds it; the root for the root.
    #[must_use]
    pub fn parent(&self) -> Self {
        let end = self.0.iter().rposition(|b| *b == b'/').unwrap_or(0);
        Self(self.0[..end].to_vec())
    }

    /// `name` within this directory. `name` must be one component.
    #[must_use]
    pub fn join(&self, name: &[u8]) -> Self {
        let mut path = self.0.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        Self(path)
    }

    /// Its components, outermost first.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|b| *b == b'/').filter(|c| !c.is_empty())
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_root() { "." } else { "" })?;
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_or_refused() {
        let limits = Limits::default();
        let check = |name: &[u8], want: Result<&str, PathError>| {
            let got = TreePath::parse(name, &limits);
            assert_eq!(got.map(|p| p.to_string()), want.map(str::to_owned), "{name:?}");
        };
        check(b"./a//b/./c/", Ok("a/b/c"));
        check(b"/etc/passwd", Ok("etc/passwd"));
        check(b"./", Ok("."));
        check(b"/", Ok("."));
        check(b"..a/b..", Ok("..a/b.."));
        check(b"..", Err(PathError::Parent));
        check(b"a/../b", Err(PathError::Parent));
        check(b"a\0b", Err(PathError::Nul));
        check(&[b'a'; 256], Err(PathError::Long));
        check(&b"a/".repeat(257), Err(PathError::Deep));
        check(&b"aaaaaaaaaaaaaaaa/".repeat(250), Err(PathError::Long));
    }

    #[test]
    fn parents_and_names() {
        let path = TreePath::parse(b"a/b/c", &Limits::default()).unwrap();
        assert_eq!((path.name(), path.parent().as_bytes()), (&b"c"[..], &b"a/b"[..]));
        assert_eq!(path.parent().parent().parent(), TreePath::default());
        assert_eq!(path.parent().join(b"c"), path);
        assert_eq!(TreePath::default().name(), b"");
    }
}
