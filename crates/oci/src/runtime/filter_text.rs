//! The part of a runtime document that says which system calls there are, as it is written: whoever has seen the very same text before
//! need not read it again.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow)]
    linux: Option<Inner<'a>>,
}

#[derive(Deserialize)]
struct Inner<'a> {
    #[serde(borrow)]
    seccomp: Option<&'a RawValue>,
}

/// Where the value of `linux.seccomp` lies in the text of a runtime document. `None` when there is none, and for texts that are no such
/// document in some way that can be seen at a glance. Whether the value means anything is not looked at.
///
/// ```
/// let text = br#"{"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}}}"#;
/// let place = oci::runtime::filter_text(text).unwrap();
/// assert_eq!(&text[place], br#"{"defaultAction": "SCMP_ACT_ALLOW"}"#);
/// ```
#[must_use]
pub fn filter_text(document: &[u8]) -> Option<Range<usize>> {
    let outer: Outer<'_> = serde_json::from_slice(document).ok()?;
    let text = outer.linux?.seccomp?.get();
    // It is a part of the document, so it begins at some distance from its beginning.
    let start = (text.as_ptr() as usize).checked_sub(document.as_ptr() as usize)?;
    let place = start..start + text.len();
    (document.get(place.clone())? == text.as_bytes()).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::filter_text;

    fn check(document: &str, expected: Option<&str>) {
        let found = filter_text(document.as_bytes());
        assert_eq!(found.map(|place| &document[place]), expected, "{document}");
    }

    #[test]
    fn the_filters_text_is_found_where_the_reader_would_find_it() {
        check(r#"{"linux": {"seccomp": {"a": [1, "}"]}, "x": {"seccomp": 2}}}"#, Some(r#"{"a": [1, "}"]}"#));
        check(r#"{"seccomp": {}, "process": {"seccomp": {}}, "linux": {"seccomp":{} } }"#, Some("{}"));
        check(r#"{"linux": {"\u0073eccomp": {"a": 1}}}"#, Some(r#"{"a": 1}"#));
        check(r#"{"linux": {"seccomp": null}}"#, None);
        check(r#"{"linux": {"Seccomp": {}}}"#, None);
        check(r#"{"linux": null}"#, None);
        check("{}", None);
        // What the reader refuses has none.
        check(r#"{"linux": {"seccomp": {}, "seccomp": {"a": 1}}}"#, None);
        check(r#"{"linux": {"seccomp": {}}, "linux": {}}"#, None);
        check(r#"{"linux": {"seccomp": {}}} x"#, None);
        check(r#"{"linux": {"seccomp": {}}"#, None);
        check("", None);
    }
}
