//! Conditions that a request makes (RFC 9110 §13): on what is there now, by its entity tag. Ours are digests, and always strong.

use hyper::header::{HeaderMap, IF_MATCH, IF_NONE_MATCH, IF_RANGE};
use hyper::{Method, StatusCode};

use crate::code::{Code, Refusal};
use crate::digest::Digest;

/// `If-Match` and `If-None-Match`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    wanted: Option<String>,
    unwanted: Option<String>,
}

/// What becomes of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Go,
    /// The client has it already.
    NotModified,
    Failed,
}

impl Conditions {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let list = |name| {
            let all: Vec<&str> =
                headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
            (!all.is_empty()).then(|| all.join(","))
        };
        Self { wanted: list(IF_MATCH), unwanted: list(IF_NONE_MATCH) }
    }

    /// Judges a request of this method by what is there now.
    pub(crate) fn judge(&self, method: &Method, there: Option<&Digest>) -> Verdict {
        let reads = method == Method::GET || method == Method::HEAD;
        if self.wanted.as_deref().is_some_and(|list| !names(list, there, false)) {
            return Verdict::Failed;
        }
        match &self.unwanted {
            Some(list) if names(list, there, true) && reads => Verdict::NotModified,
            Some(list) if names(list, there, true) => Verdict::Failed,
            _ => Verdict::Go,
        }
    }

    /// Lets a change through, or refuses it.
    pub(crate) fn admit(&self, method: &Method, there: Option<&Digest>) -> Result<(), Refusal> {
        match self.judge(method, there) {
            Verdict::Go => Ok(()),
            Verdict::NotModified | Verdict::Failed => Err(failed()),
        }
    }
}

/// What is there is not what the client counts on.
pub(crate) fn failed() -> Refusal {
    let mut refusal = Refusal::new(Code::Denied, "what is there is not what the request's conditions want");
    refusal.status = Some(StatusCode::PRECONDITION_FAILED);
    refusal
}

/// Whether a range may be given to a client that has part of something: only if it is the very same.
pub(crate) fn range_holds(headers: &HeaderMap, there: &Digest) -> bool {
    headers.get(IF_RANGE).is_none_or(|known| known.as_bytes() == format!("\"{there}\"").as_bytes())
}

/// Whether a list of entity tags has this one. Weak ones count only where that is said.
fn names(list: &str, there: Option<&Digest>, weak: bool) -> bool {
    let Some(there) = there.map(Digest::to_string) else { return false };
    list.split(',').map(str::trim).any(|one| {
        let tag = one.strip_prefix("W/").filter(|_| weak).unwrap_or(one);
        one == "*" || (!tag.starts_with("W/") && tag.trim_matches('"') == there)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::digest_of;

    #[test]
    fn conditions_are_those_of_rfc_9110() {
        let (here, other) = (digest_of(b"here"), digest_of(b"other"));
        let fill = |text: &str| text.replace("HERE", &here.to_string()).replace("OTHER", &other.to_string());
        for (name, value, method, of_here, of_nothing) in [
            ("if-none-match", "\"HERE\"", "GET", Verdict::NotModified, Verdict::Go),
            ("if-none-match", "W/\"HERE\"", "HEAD", Verdict::NotModified, Verdict::Go),
            ("if-none-match", "HERE", "GET", Verdict::NotModified, Verdict::Go),
            ("if-none-match", "\"OTHER\", \"HERE\"", "GET", Verdict::NotModified, Verdict::Go),
            ("if-none-match", "\"OTHER\"", "GET", Verdict::Go, Verdict::Go),
            ("if-none-match", "*", "GET", Verdict::NotModified, Verdict::Go),
            ("if-none-match", "*", "PUT", Verdict::Failed, Verdict::Go),
            ("if-match", "*", "PUT", Verdict::Go, Verdict::Failed),
            ("if-match", "\"HERE\"", "PUT", Verdict::Go, Verdict::Failed),
            ("if-match", "W/\"HERE\"", "PUT", Verdict::Failed, Verdict::Failed),
            ("if-match", "\"OTHER\"", "DELETE", Verdict::Failed, Verdict::Failed),
            ("if-match", "\"OTHER\"", "GET", Verdict::Failed, Verdict::Failed),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, fill(value).parse().unwrap());
            let (conditions, method) = (Conditions::of(&headers), method.parse().unwrap());
            let judged = (conditions.judge(&method, Some(&here)), conditions.judge(&method, None));
            assert_eq!(judged, (of_here, of_nothing), "{method} {name}: {value}");
        }
        assert_eq!(Conditions::default().judge(&Method::PUT, None), Verdict::Go);
    }

    #[test]
    fn half_a_content_goes_on_only_with_the_same_one() {
        let here = digest_of(b"here");
        for (value, out) in [
            (format!("\"{here}\""), true),
            (format!("W/\"{here}\""), false),
            (format!("\"{}\"", digest_of(b"other")), false),
            ("Wed, 21 Oct 2015 07:28:00 GMT".to_owned(), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_RANGE, value.parse().unwrap());
            assert_eq!(range_holds(&headers, &here), out, "{value}");
        }
        assert!(range_holds(&HeaderMap::new(), &here));
    }
}
