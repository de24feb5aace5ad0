//! What registries and the files about them say.

use std::path::Path;

use registry::{next_link, parse_challenges, parse_hosts};

use crate::targets::{is_new, is_new_error};

pub(crate) fn challenges() -> Vec<Vec<u8>> {
    [
        r#"Bearer realm="https://auth.example/token",service="r",scope="repository:a/b:pull,push""#,
        r#"Basic realm="a \"b\"", Negotiate abc==, Bearer realm=x ,service = "y""#,
        "Digest a=b,,c=\"d\"",
    ]
    .map(Into::into)
    .to_vec()
}

/// What is read is written in one way only, and reads the same.
pub(crate) fn challenge(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let list = match parse_challenges(text) {
        Ok(list) => list,
        Err(error) => return is_new_error(&error.to_string()),
    };
    let mut written = Vec::new();
    for challenge in &list {
        let mut names: Vec<&str> = challenge.parameters.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a parameter is there twice");
        let quoted = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
        let parameters: Vec<String> = challenge
            .parameters
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", quoted(value)))
            .collect();
        written.push(format!("{} {}", challenge.scheme, parameters.join(", ")));
    }
    assert_eq!(parse_challenges(&written.join(", ")).as_ref(), Ok(&list), "what is written reads the same");
    is_new(
        &list.iter().map(|c| format!("{}{}", c.scheme.len().min(9), c.parameters.len())).collect::<String>(),
    )
}

pub(crate) fn hosts_files() -> Vec<Vec<u8>> {
    [
        "server = \"https://a\"\n[host.\"https://b:5000\"]\ncapabilities = [\"pull\", \"resolve\"]\n\
         ca = [\"a.crt\"]\nclient = [[\"c\", \"k\"]]\nskip_verify = true\noverride_path = true\n\
         [host.\"https://b:5000\".header]\nX = [\"1\", \"2\"]\n",
        "ca = \"x\"\ndial_timeout = \"1m30s\"\n[header]\nA = \"b\"\n",
    ]
    .map(Into::into)
    .to_vec()
}

/// It is read, or refused with a sentence; the registry itself is always the last.
pub(crate) fn hosts(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    match parse_hosts(text, Path::new("/etc/certs.d/r")) {
        Ok(entries) => {
            assert!(!entries.is_empty(), "the registry itself is missing");
            is_new(&format!("{entries:?}"))
        }
        Err(error) => is_new_error(&error.to_string()),
    }
}

pub(crate) fn links() -> Vec<Vec<u8>> {
    [
        r#"</v2/x/tags/list?last=b&n=2>; rel="next""#,
        r#"<a>; title="x, y"; rel="prev", <b,c>; REL="last NEXT""#,
    ]
    .map(Into::into)
    .to_vec()
}

/// The target is a part of the header, between angle brackets.
pub(crate) fn link(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let Some(target) = next_link(text) else { return is_new("none") };
    assert!(text.contains(&format!("<{target}>")) && !target.contains('>'), "{target:?} is not in {text:?}");
    is_new(&format!("{}{}", target.len().min(4), text.matches('<').count()))
}
