//! The part of a request's address behind the question mark.

use types::weak;

use crate::code::{Code, Refusal};

/// Longest query that is looked at, in bytes.
const LONGEST: usize = 4096;

/// Decoded names and values, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=b&c=d`. Values that are no UTF-8 are refused.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        if text.len() > LONGEST {
            return Err(Refusal::new(Code::Unsupported, "the query is too long").bad_request());
        }
        let pairs = text.split('&').filter(|part| !part.is_empty()).map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Some((decode(name)?, decode(value)?))
        });
        let read: Option<Vec<_>> = pairs.collect();
        read.map(Self)
            .ok_or_else(|| Refusal::new(Code::Unsupported, "the query is not UTF-8 text").bad_request())
    }

    /// The first value of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Every value of that name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// `n=`: how many entries at most, never more than `most` (D01). Nothing is `None`.
    pub(crate) fn count(&self, most: usize) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.get("n").filter(|text| !text.is_empty()) else { return Ok(None) };
        if !text.bytes().all(|b| b.is_ascii_digit()) {
            let shown: String = text.chars().take(40).collect();
            let message = format!("n={shown:?} is not a number of entries");
            return Err(Refusal::new(Code::PaginationNumberInvalid, message));
        }
        let most = if weak::is_off("D01") { usize::MAX } else { most };
        // A number too big for us is certainly more than we give.
        Ok(Some(text.parse().unwrap_or(usize::MAX).min(most)))
    }
}

/// Undoes percent-encoding and `+`.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |b: u8| char::from(b).to_digit(16);
                let pair = digit(rest.next()?)? << 4 | digit(rest.next()?)?;
                u8::try_from(pair).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Encodes a value for a query.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/' | b':') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pairs() {
        let query = Query::parse("digest=sha256%3Aab&from=a%2Fb&x&n=+1").unwrap();
        assert_eq!(query.get("digest"), Some("sha256:ab"));
        assert_eq!((query.get("from"), query.get("x"), query.get("y")), (Some("a/b"), Some(""), None));
        for bad in ["a=%", "a=%f", "a=%zz", "a=%ff", &"x".repeat(5000)] {
            assert!(Query::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Query::parse(&format!("x={}", encode("a b+c&ä"))).unwrap().get("x"), Some("a b+c&ä"));
    }

    #[test]
    fn d01_counts_are_clamped() {
        let count = |text: &str| Query::parse(&format!("n={text}")).unwrap().count(1000).ok();
        assert_eq!(count("9223372036854775808"), Some(Some(1000)));
        assert_eq!(count("99999999999999999999999999999999999999"), Some(Some(1000)));
        assert_eq!(
            (count("1000"), count("7"), count("0"), count("")),
            (Some(Some(1000)), Some(Some(7)), Some(Some(0)), Some(None))
        );
        assert_eq!((count("-1"), count("x"), count("1e9"), count("0x10")), (None, None, None, None));
    }
}
