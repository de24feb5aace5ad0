//! Docker's `reference` filter: a shell pattern for the names of images.

use types::Reference;

use crate::{Error, Result};

/// A pattern, as Go's `path.Match` reads them.
#[derive(Debug)]
pub(super) struct Pattern(Vec<Part>);

#[derive(Debug, PartialEq)]
enum Part {
    One(char),
    /// `?`: any but a slash.
    Any,
    /// `*`: any number of them.
    Many,
    /// `[a-z]`, `[^a-z]`: from and to, both included.
    Class(bool, Vec<(char, char)>),
}

impl Pattern {
    /// Reads one.
    ///
    /// # Errors
    /// A class without its end or without content, a backslash at the end.
    pub(super) fn read(text: &str) -> Result<Self> {
        let mut rest = text.chars();
        let mut parts = Vec::new();
        while let Some(c) = rest.next() {
            parts.push(match c {
                '*' => Part::Many,
                '?' => Part::Any,
                '[' => class(&mut rest).ok_or_else(|| malformed(text))?,
                '\\' => Part::One(rest.next().ok_or_else(|| malformed(text))?),
                other => Part::One(other),
            });
        }
        Ok(Self(parts))
    }

    /// Whether a name is meant: with and without its tag, as people write it or with its registry.
    pub(super) fn means(&self, name: &Reference) -> bool {
        [name.familiar(), name.familiar_name(), name.to_string(), name.repository()].iter().any(|text| {
            let text: Vec<char> = text.chars().collect();
            fits(&self.0, &text)
        })
    }
}

fn malformed(text: &str) -> Error {
    Error::invalid(format!("invalid filter 'reference={text}': syntax error in pattern"))
}

/// What follows `[`, up to its end.
fn class(rest: &mut std::str::Chars<'_>) -> Option<Part> {
    let is_negated = rest.as_str().starts_with('^') && rest.next().is_some();
    let mut ranges = Vec::new();
    loop {
        if rest.as_str().starts_with(']') && !ranges.is_empty() {
            rest.next();
            return Some(Part::Class(is_negated, ranges));
        }
        let from = member(rest)?;
        let to = if rest.as_str().starts_with('-') && rest.next().is_some() { member(rest)? } else { from };
        ranges.push((from, to));
    }
}

fn member(rest: &mut std::str::Chars<'_>) -> Option<char> {
    match rest.next()? {
        '-' | ']' => None,
        '\\' => rest.next(),
        other => Some(other),
    }
}

fn fits(pattern: &[Part], text: &[char]) -> bool {
    // Where to go on when a `*` took too little: only the last one matters, as none takes a slash back.
    let (mut p, mut t, mut again) = (0, 0, None);
    loop {
        let one = match pattern.get(p) {
            None if t == text.len() => return true,
            Some(Part::Many) => {
                again = Some((p, t));
                p += 1;
                continue;
            }
            Some(part) => text.get(t).is_some_and(|c| takes(part, *c)),
            None => false,
        };
        if one {
            (p, t) = (p + 1, t + 1);
            continue;
        }
        let Some((star, from)) = again else { return false };
        if text.get(from).is_none_or(|c| *c == '/') {
            return false;
        }
        (p, t, again) = (star + 1, from + 1, Some((star, from + 1)));
    }
}

fn takes(part: &Part, c: char) -> bool {
    match part {
        Part::One(wanted) => *wanted == c,
        Part::Any => c != '/',
        Part::Class(is_negated, ranges) => {
            ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *is_negated
        }
        Part::Many => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_meant_by_pattern() {
        let reference: Reference = "busybox:1.36".parse().expect("reference");
        let means = |text: &str| Pattern::read(text).expect(text).means(&reference);
        for pattern in [
            "busybox",
            "busybox:1.36",
            "busy*",
            "*:1.3?",
            "docker.io/library/busybox:*",
            "*b*x",
            "b[a-z]sybox",
            "[^a]usybox",
            "bus\\ybox",
            "*",
            "**",
        ] {
            assert!(means(pattern), "{pattern}");
        }
        for pattern in ["busy", "*/x", "busybox:1.35", "", "[^b]*", "b[A-Z]sybox", "b?ybox", "*a"] {
            assert!(!means(pattern), "{pattern}");
        }
        let deep: Reference = "r.example/kim/box:1".parse().expect("reference");
        assert!(Pattern::read("*/kim/b*").expect("pattern").means(&deep));
        assert!(!Pattern::read("*/box").expect("pattern").means(&deep));
        assert!(!Pattern::read("*box").expect("pattern").means(&deep));
    }

    #[test]
    fn odd_patterns_are_told() {
        for pattern in ["[", "[]", "[a", "[^", "[a-", "[-a]", "a\\", "[a-]"] {
            let told = Pattern::read(pattern).expect_err(pattern).to_string();
            assert!(told.ends_with("syntax error in pattern"), "{told}");
        }
    }
}
