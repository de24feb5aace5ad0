//! What a registry wants before it answers: `WWW-Authenticate` (RFC 9110, section 11.6.1). Strict: what cannot be read in one
//! way only is refused, for it decides where credentials go.

use std::fmt;

/// More than this is nobody's challenge.
const MOST_BYTES: usize = 8 << 10;

/// One challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme in lower case: `bearer`, `basic`.
    pub scheme: String,
    /// Names in lower case with their values, in order; no name twice.
    pub parameters: Vec<(String, String)>,
}

/// Why a header is no list of challenges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengeError(&'static str);

impl fmt::Display for ChallengeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the registry's challenge cannot be read: {}", self.0)
    }
}

impl std::error::Error for ChallengeError {}

impl Challenge {
    /// The value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Reads the value of one `WWW-Authenticate` header.
///
/// # Errors
/// When it is not a list of challenges, has a parameter twice, or is too long.
pub fn parse_challenges(text: &str) -> Result<Vec<Challenge>, ChallengeError> {
    if text.len() > MOST_BYTES {
        return Err(ChallengeError("it is too long"));
    }
    let mut rest = Rest(text);
    let mut challenges = Vec::new();
    loop {
        rest.separators();
        if rest.0.is_empty() {
            return Ok(challenges);
        }
        challenges.push(rest.challenge()?);
    }
}

/// What is still to be read.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn challenge(&mut self) -> Result<Challenge, ChallengeError> {
        let scheme = self.token().ok_or(ChallengeError("a scheme is missing"))?.to_ascii_lowercase();
        let mut parameters: Vec<(String, String)> = Vec::new();
        if self.spaces() == 0 {
            return match self.0.bytes().next() {
                None | Some(b',') => Ok(Challenge { scheme, parameters }),
                Some(_) => Err(ChallengeError("a scheme has a character that no scheme has")),
            };
        }
        if self.token68() {
            return Ok(Challenge { scheme, parameters });
        }
        while let Some((name, value)) = self.parameter()? {
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(ChallengeError("it has a parameter twice"));
            }
            parameters.push((name, value));
            let before = self.0;
            self.spaces();
            if !self.0.is_empty() && !self.0.starts_with(',') {
                return Err(ChallengeError("there is no comma behind a parameter"));
            }
            self.separators();
            // What follows the comma may be the next challenge.
            if !self.is_parameter() {
                self.0 = before;
                break;
            }
        }
        Ok(Challenge { scheme, parameters })
    }

    fn is_parameter(&self) -> bool {
        let mut ahead = Rest(self.0);
        ahead.token().is_some() && {
            ahead.spaces();
            ahead.0.starts_with('=')
        }
    }

    /// `name = value`; `None` when no name is next.
    fn parameter(&mut self) -> Result<Option<(String, String)>, ChallengeError> {
        if !self.is_parameter() {
            let end = self.0.is_empty() || self.0.starts_with(',');
            return if end { Ok(None) } else { Err(ChallengeError("a parameter has no value")) };
        }
        let name = self.token().unwrap_or_default().to_ascii_lowercase();
        self.spaces();
        self.0 = &self.0[1..];
        self.spaces();
        let value = if self.0.starts_with('"') {
            self.quoted()?
        } else {
            self.token().ok_or(ChallengeError("a parameter has no value"))?.to_owned()
        };
        Ok(Some((name, value)))
    }

    fn quoted(&mut self) -> Result<String, ChallengeError> {
        let mut value = String::new();
        let mut characters = self.0.char_indices().skip(1);
        while let Some((at, c)) = characters.next() {
            match c {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Ok(value);
                }
                '\\' => match characters.next() {
                    Some((_, c)) if !c.is_control() => value.push(c),
                    _ => break,
                },
                c if c.is_control() && c != '\t' => {
                    return Err(ChallengeError("a value has a control character"));
                }
                c => value.push(c),
            }
        }
        Err(ChallengeError("a quotation does not end"))
    }

    /// A value without a name, as Negotiate has it. It is of no use here, and passed over.
    fn token68(&mut self) -> bool {
        let is_68 = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b);
        let end = self.0.bytes().position(|b| !is_68(b)).unwrap_or(self.0.len());
        let padded = self.0[end..].bytes().position(|b| b != b'=').map_or(self.0.len(), |n| end + n);
        let after = self.0[padded..].trim_start_matches([' ', '\t']);
        if end == 0 || !(after.is_empty() || after.starts_with(',')) {
            return false;
        }
        self.0 = after;
        true
    }

    fn token(&mut self) -> Option<&'a str> {
        let is_word = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let end = self.0.bytes().position(|b| !is_word(b)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        (!token.is_empty()).then_some(token)
    }

    fn spaces(&mut self) -> usize {
        let trimmed = self.0.trim_start_matches([' ', '\t']);
        let count = self.0.len() - trimmed.len();
        self.0 = trimmed;
        count
    }

    fn separators(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t', ',']);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prints challenges so that a table can hold them.
    fn check(text: &str, shown: &str) {
        let list = parse_challenges(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let one = |c: &Challenge| {
            let parameters: Vec<_> = c.parameters.iter().map(|(n, v)| format!("{n}={v}")).collect();
            format!("{}[{}]", c.scheme, parameters.join("|"))
        };
        assert_eq!(list.iter().map(one).collect::<String>(), shown, "{text}");
    }

    #[test]
    fn challenges_of_registries() {
        check(
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
            "bearer[realm=https://auth.docker.io/token|service=registry.docker.io|scope=repository:a/b:pull,push]",
        );
        check(r#"Basic realm="a \"quoted\" realm""#, r#"basic[realm=a "quoted" realm]"#);
        check("BASIC Realm = x", "basic[realm=x]");
        check(r#"Basic realm="a", Bearer realm="b" , service=c"#, "basic[realm=a]bearer[realm=b|service=c]");
        check(r#"Negotiate, Basic realm="a""#, "negotiate[]basic[realm=a]");
        check(r#"Negotiate abc==, Basic realm="a""#, "negotiate[]basic[realm=a]");
        check(r#"Bearer realm="a",,service="b","#, "bearer[realm=a|service=b]");
        check("Bearer realm=\"\"", "bearer[realm=]");
        check("Basic", "basic[]");
        check("Basic ", "basic[]");
        check("", "");
        check(" , ", "");
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for bad in [
            r#"Bearer realm="https://a",realm="https://b""#,
            r#"Bearer realm="https://a",Realm="https://b""#,
            r#"Bearer realm="https://a"#,
            r#"Bearer realm="https://a" service="b""#,
            r#"Bearer realm="https://a"service="b""#,
            "Bearer realm=https://a",
            "Bearer realm=,service=a",
            "Bearer realm=\"a\nb\"",
            "Bearer realm=\"a\\\n\"",
            "Bearer/2 realm=a",
            "=a",
            "\"Bearer\"",
            "Bearer a b",
        ] {
            assert!(parse_challenges(bad).is_err(), "{bad}: {:?}", parse_challenges(bad));
        }
        assert!(parse_challenges(&format!("Bearer realm=\"{}\"", "a".repeat(9000))).is_err());
    }
}
