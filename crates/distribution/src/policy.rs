//! What this registry does at all, whoever asks: one gate for every route (D04).

use types::weak;

use crate::code::{Code, Refusal};
use crate::route::{Call, Effect};

/// The switches of a registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Nothing may change.
    pub(crate) read_only: bool,
    /// Manifests, tags and blobs may be deleted.
    pub(crate) delete: bool,
    /// It is a cache of another registry: only that one's content comes in.
    pub(crate) cache: bool,
}

impl Policy {
    /// Whether such a call is served.
    pub(crate) fn admit(self, call: &Call) -> Result<(), Refusal> {
        let refuse = |why: &str| Err(Refusal::new(Code::Unsupported, why));
        match call.effect() {
            Effect::Reads => Ok(()),
            Effect::Writes | Effect::Deletes if self.read_only => {
                refuse("this registry is read-only: nothing can be pushed or deleted")
            }
            Effect::Writes if self.cache => {
                refuse("this registry is a cache of another one: push to that one")
            }
            Effect::Deletes if !self.delete && !weak::is_off("D04") => {
                refuse("deletion is switched off in this registry")
            }
            Effect::Writes | Effect::Deletes => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::Method;

    use super::*;
    use crate::route;

    /// Every address and method there is: whatever is not a read is refused where it must be.
    #[test]
    fn d04_every_mutating_route_asks_the_policy() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let paths = [
            "/v2/".to_owned(),
            "/v2/_catalog".to_owned(),
            "/v2/a/tags/list".to_owned(),
            format!("/v2/a/referrers/{digest}"),
            "/v2/a/manifests/t".to_owned(),
            format!("/v2/a/manifests/{digest}"),
            format!("/v2/a/blobs/{digest}"),
            "/v2/a/blobs/uploads/".to_owned(),
            format!("/v2/a/blobs/uploads/{}", "0a".repeat(16)),
        ];
        let (mut writes, mut deletes) = (0, 0);
        for path in &paths {
            for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
                let method: Method = method.parse().unwrap();
                let Ok(call) = route::find(&method, path) else { continue };
                let is_upload = path.contains("/uploads/");
                if !is_upload && (method == Method::GET || method == Method::HEAD) {
                    assert_eq!(call.effect(), Effect::Reads, "{method} {path}");
                    continue;
                }
                let read_only = Policy { read_only: true, delete: true, cache: false };
                let refusal = read_only.admit(&call).unwrap_err();
                assert_eq!(refusal.status().as_u16(), 405, "{method} {path}");
                let is_delete = method == Method::DELETE && !is_upload;
                let without = Policy { delete: false, ..Policy::default() };
                assert_eq!(without.admit(&call).is_err(), is_delete, "{method} {path}");
                let cache = Policy { delete: true, cache: true, ..Policy::default() };
                assert_eq!(cache.admit(&call).is_err(), !is_delete, "{method} {path}");
                assert!(Policy { delete: true, ..Policy::default() }.admit(&call).is_ok());
                writes += usize::from(!is_delete);
                deletes += usize::from(is_delete);
            }
        }
        assert_eq!((writes, deletes), (8, 3));
    }
}
