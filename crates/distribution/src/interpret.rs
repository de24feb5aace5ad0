//! What a request would be taken for, without doing it: everything of a client that is read before anything is looked up. For the
//! fuzzer.

use hyper::Method;

use crate::code::Refusal;
use crate::digest::Digest;
use crate::manifest;
use crate::query::Query;
use crate::range;
use crate::route::{self, Call};

/// The call, with what its query, headers and body mean; else the refusal as the client would get it.
///
/// # Errors
/// The status and the body of the refusal.
pub fn interpret(
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<String, (u16, String)> {
    read(method, target, headers, body).map_err(|refusal| (refusal.status().as_u16(), refusal.body()))
}

fn read(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<String, Refusal> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::GET);
    let query = Query::parse(query)?;
    let call = route::find(&method, path)?;
    let header =
        |name: &str| headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
    let mut meaning = format!("{call:?} {:?}", query.count(1000)?);
    if let Some(digest) = query.get("digest").or(query.get("mount")) {
        meaning += &digest.parse::<Digest>()?.to_string();
    }
    if let Some(chunk) = header("content-range") {
        meaning += &format!(" {:?}", range::chunk(chunk)?);
    }
    let part = range::part(header("range"), body.len() as u64)?;
    let parts = match part {
        range::Part::Whole => Vec::new(),
        range::Part::Bytes(first, last) => vec![(first, last)],
        range::Part::Several(parts) => parts,
    };
    for (first, last) in parts {
        assert!(first <= last && last < body.len() as u64, "{first}-{last} of {}", body.len());
    }
    if matches!(call, Call::PutManifest(..)) {
        meaning += &format!(" {:?}", manifest::check(header("content-type"), body)?);
    }
    Ok(meaning)
}
