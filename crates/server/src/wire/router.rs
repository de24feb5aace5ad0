//! Which call a method and a path mean. Docker's paths have names with slashes in their middle
//! (`/images/registry:5000/a/b/json`), so a pattern is a head, perhaps a name, and a tail.

use hyper::Method;

use super::query::decode;
use crate::calls::{Call, TABLE};
use crate::error::{Error, Result};
use types::Kind;

/// One line of the table: method, pattern with at most one `{}` for a name, call.
pub(crate) struct Route(pub(crate) Method, pub(crate) &'static str, pub(crate) Call);

/// Finds the call of a path without its version prefix, and the name in the path (empty when there is none).
pub(crate) fn route(method: &Method, path: &str) -> Result<(Call, String)> {
    let path = decode(path, false)?;
    TABLE
        .iter()
        .filter(|route| route.0 == *method)
        .find_map(|route| fit(route.1, &path).map(|name| (route.2, name.to_owned())))
        .ok_or_else(|| Error::new(Kind::NotFound, "page not found"))
}

/// The name in a path that fits the pattern.
fn fit<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let Some((head, tail)) = pattern.split_once("{}") else {
        return (pattern == path).then_some("");
    };
    let name = path.strip_prefix(head)?.strip_suffix(tail)?;
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: &Method, path: &str) -> String {
        match route(method, path) {
            Ok((call, name)) => format!("{call:?} {name}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn finds_calls() {
        for (method, path, expected) in [
            (Method::GET, "/_ping", "Ping "),
            (Method::HEAD, "/_ping", "Ping "),
            (Method::GET, "/containers/json", "ContainerList "),
            (Method::GET, "/containers/web/json", "ContainerInspect web"),
            (Method::POST, "/containers/create", "ContainerCreate "),
            (Method::DELETE, "/containers/web", "ContainerRemove web"),
            (Method::GET, "/images/json", "ImageList "),
            (Method::GET, "/images/busybox/json", "ImageInspect busybox"),
            (Method::GET, "/images/reg:5000/a/b:1/json", "ImageInspect reg:5000/a/b:1"),
            (Method::GET, "/images/a%2Fb%3A1/history", "ImageHistory a/b:1"),
            (Method::DELETE, "/images/a/b", "ImageRemove a/b"),
            (Method::GET, "/images/get", "ImageGet "),
            (Method::GET, "/images/a/b:1/get", "ImageGet a/b:1"),
            (Method::POST, "/exec/ab/start", "ExecStart ab"),
            (Method::GET, "/nope", "page not found"),
            (Method::PUT, "/info", "page not found"),
            (Method::GET, "/images//json", "page not found"),
            (Method::GET, "/info/", "page not found"),
            (Method::GET, "/services", "Swarm "),
        ] {
            assert_eq!(found(&method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn every_pattern_reaches_its_call() {
        for Route(method, pattern, call) in TABLE {
            let (found, _) = route(method, &pattern.replace("{}", "some-name")).unwrap();
            assert_eq!(found, *call, "{method} {pattern}");
        }
    }
}
