//! Percent-decoding, and the parameters of a query.

use crate::error::{Error, Result};

/// The parameters of a request, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=1&b=x%20y`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(key, true)?, decode(value, true)?))
        });
        pairs.collect::<Result<_>>().map(Self)
    }

    /// The first value of a parameter; `None` when it is absent.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter.
    pub(crate) fn all(&self, key: &str) -> Vec<String> {
        self.0.iter().filter(|(name, _)| name == key).map(|(_, value)| value.clone()).collect()
    }

    /// The first value; `None` when it is absent or empty.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).filter(|value| !value.is_empty())
    }

    /// A switch as dockerd reads it: anything but nothing, `0`, `no`, `false` and `none` is on.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.flag_or(key, false)
    }

    /// The same for a switch that may be on when it is absent.
    pub(crate) fn flag_or(&self, key: &str, absent: bool) -> bool {
        self.get(key).map_or(absent, |value| {
            !matches!(value.trim().to_ascii_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
        })
    }

    /// A whole number; `None` when it is absent or empty.
    pub(crate) fn number(&self, key: &str) -> Result<Option<i64>> {
        let parse = |value: &str| {
            value.parse().map_err(|_| {
                Error::invalid(format!("invalid value {value:?} for {key}: want a whole number"))
            })
        };
        self.text(key).map(parse).transpose()
    }
}

/// Decodes `%41`, and `+` as a blank where that is the custom. The result must be UTF-8 without a NUL.
pub(crate) fn decode(text: &str, plus: bool) -> Result<String> {
    let fail =
        || Error::invalid(format!("invalid URL escape in {:?}", text.chars().take(80).collect::<String>()));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'%' => {
                let pair = rest.get(..2).and_then(|pair| std::str::from_utf8(pair).ok()).ok_or_else(fail)?;
                if !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(fail());
                }
                bytes.push(u8::from_str_radix(pair, 16).map_err(|_| fail())?);
                rest = &rest[2..];
            }
            b'+' if plus => bytes.push(b' '),
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).ok_or_else(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes() {
        assert_eq!(decode("a%2Fb%20c+d", false).unwrap(), "a/b c+d");
        assert_eq!(decode("a+b%2B", true).unwrap(), "a b+");
        for bad in ["%", "%4", "%zz", "%+1", "%ff", "%00"] {
            assert!(decode(bad, true).is_err(), "{bad}");
        }
    }

    #[test]
    fn reads_parameters() {
        let query = Query::parse("a=1&b=&c&d=0&e=False&t=12&t=x&f=%7B%7D").unwrap();
        assert!(
            query.flag("a") && !query.flag("b") && !query.flag("c") && !query.flag("d") && !query.flag("e")
        );
        assert!(query.flag_or("absent", true) && !query.flag("absent"));
        assert_eq!(query.number("t").unwrap(), Some(12));
        assert_eq!(query.all("t"), ["12", "x"]);
        assert!(query.number("f").is_err());
        assert_eq!((query.get("f"), query.text("b"), query.get("b")), (Some("{}"), None, Some("")));
    }
}
