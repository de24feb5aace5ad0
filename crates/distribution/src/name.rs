//! Names of repositories and tags (distribution specification, "Pulling manifests"): the only texts of a client that are ever
//! compared with records. None of them becomes part of a path.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::code::{Code, Refusal};

/// Longest name: the specification lets clients that put the host before it end at 255.
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;

/// A repository's name: components of `[a-z0-9]` joined by `.`, `_`, `__` or dashes, separated by slashes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name(Arc<str>);

/// A tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tag(Arc<str>);

impl Name {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Tag {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        if text.len() <= LONGEST_NAME && text.split('/').all(is_component) {
            return Ok(Self(text.into()));
        }
        let shown: String = text.chars().take(80).collect();
        let want = "want at most 255 of a-z 0-9 with single . _ / or dashes between them";
        Err(Refusal::new(Code::NameInvalid, format!("{shown:?} is not a repository name: {want}")))
    }
}

impl FromStr for Tag {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let first = text.bytes().next().is_some_and(word);
        let rest = text.bytes().all(|b| word(b) || b == b'.' || b == b'-');
        if first && rest && text.len() <= LONGEST_TAG {
            return Ok(Self(text.into()));
        }
        let shown: String = text.chars().take(80).collect();
        Err(Refusal::new(Code::TagInvalid, format!("{shown:?} is neither a tag nor a sha256 digest")))
    }
}

/// `[a-z0-9]+` joined by one dot, one or two underscores, or any run of dashes.
fn is_component(component: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    component.starts_with(plain)
        && component.ends_with(plain)
        && component
            .split(plain)
            .filter(|separator| !separator.is_empty())
            .all(|separator| matches!(separator, "." | "_" | "__") || separator.bytes().all(|b| b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_grammar() {
        for good in ["a", "a/b/c", "a__b", "a---b", "a.b_c/0", "blobs/uploads", &"a".repeat(255)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "A",
            "a..b",
            "a___b",
            "a._b",
            "-a",
            "a-",
            "..",
            "a/../b",
            ".",
            "a/./b",
            "a b",
            "a%2fb",
            "a\0",
            "ä",
            "a\\b",
            "_uploads",
            "a:b",
            &"a".repeat(256),
        ] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn tags_follow_the_grammar() {
        for good in ["a", "_", "1.0-rc_2", &"a".repeat(128)] {
            assert!(good.parse::<Tag>().is_ok(), "{good}");
        }
        for bad in ["", ".a", "-a", "a/b", "a:b", "..", "ä", "a b", &"a".repeat(129)] {
            assert!(bad.parse::<Tag>().is_err(), "{bad}");
        }
    }
}
