//! What the flags of one call were set to.

use std::str::FromStr;

/// Flags that were given, with their values in the order they were given.
#[derive(Debug, Default, Clone)]
pub(crate) struct Matches {
    given: Vec<(&'static str, Vec<String>)>,
}

impl Matches {
    /// Keeps one more value of a flag.
    pub(super) fn push(&mut self, long: &'static str, value: String) {
        match self.given.iter_mut().find(|(name, _)| *name == long) {
            Some((_, values)) => values.push(value),
            None => self.given.push((long, vec![value])),
        }
    }

    /// Every value of a flag.
    pub(crate) fn list(&self, long: &str) -> &[String] {
        self.given.iter().find(|(name, _)| *name == long).map_or(&[], |(_, values)| values)
    }

    /// The last value of a flag, or nothing when it was not given.
    pub(crate) fn given(&self, long: &str) -> Option<&str> {
        self.list(long).last().map(String::as_str)
    }

    /// The last value of a flag, or an empty text.
    pub(crate) fn text(&self, long: &str) -> &str {
        self.given(long).unwrap_or_default()
    }

    /// Whether a switch is on.
    pub(crate) fn is(&self, long: &str) -> bool {
        self.is_or(long, false)
    }

    /// Whether a switch is on, when `otherwise` is what it is without being given.
    pub(crate) fn is_or(&self, long: &str, otherwise: bool) -> bool {
        self.given(long).map_or(otherwise, |value| super::check::truth(value).unwrap_or(otherwise))
    }

    /// A number that was checked when it was read, or zero.
    pub(crate) fn number<N: FromStr + Default>(&self, long: &str) -> N {
        self.text(long).parse().unwrap_or_default()
    }

    /// A size that was checked when it was read, or zero. `-1` stays what it is.
    pub(crate) fn bytes(&self, long: &str) -> i64 {
        match self.text(long) {
            "-1" => -1,
            text => types::parse_bytes(text).ok().and_then(|b| i64::try_from(b).ok()).unwrap_or_default(),
        }
    }
}
