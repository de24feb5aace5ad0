//! What a request asks for: method and path become one of the calls of the specification ("Endpoints", end-1 to end-12b), or a refusal.

use crate::digest::Digest;
use hyper::Method;

use crate::code::{Code, Refusal};
use crate::name::{Name, Tag};
use crate::upload::UploadId;

/// How a manifest is named.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Tag(Tag),
    Digest(Digest),
}

/// One call. `HEAD` is `GET` without the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Base,
    Catalog,
    Tags(Name),
    Referrers(Name, Digest),
    GetManifest(Name, Target),
    PutManifest(Name, Target),
    DeleteManifest(Name, Target),
    GetBlob(Name, Digest),
    DeleteBlob(Name, Digest),
    StartUpload(Name),
    UploadStatus(Name, UploadId),
    UploadChunk(Name, UploadId),
    UploadFinish(Name, UploadId),
    UploadCancel(Name, UploadId),
}

/// What a call does to the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Reads,
    Writes,
    Deletes,
}

impl Call {
    /// What it does to the registry. Every policy hangs on this, and on nothing else.
    pub(crate) fn effect(&self) -> Effect {
        match self {
            Self::Base
            | Self::Catalog
            | Self::Tags(_)
            | Self::Referrers(..)
            | Self::GetManifest(..)
            | Self::GetBlob(..) => Effect::Reads,
            Self::PutManifest(..)
            | Self::StartUpload(_)
            | Self::UploadStatus(..)
            | Self::UploadChunk(..)
            | Self::UploadFinish(..)
            | Self::UploadCancel(..) => Effect::Writes,
            Self::DeleteManifest(..) | Self::DeleteBlob(..) => Effect::Deletes,
        }
    }

    /// The repository it is about.
    pub(crate) fn repository(&self) -> Option<&Name> {
        match self {
            Self::Base | Self::Catalog => None,
            Self::Tags(name)
            | Self::Referrers(name, _)
            | Self::GetManifest(name, _)
            | Self::PutManifest(name, _)
            | Self::DeleteManifest(name, _)
            | Self::GetBlob(name, _)
            | Self::DeleteBlob(name, _)
            | Self::StartUpload(name)
            | Self::UploadStatus(name, _)
            | Self::UploadChunk(name, _)
            | Self::UploadFinish(name, _)
            | Self::UploadCancel(name, _) => Some(name),
        }
    }

    /// Its name in the metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Catalog => "catalog",
            Self::Tags(_) => "tags",
            Self::Referrers(..) => "referrers",
            Self::GetManifest(..) | Self::PutManifest(..) | Self::DeleteManifest(..) => "manifest",
            Self::GetBlob(..) | Self::DeleteBlob(..) => "blob",
            Self::StartUpload(_) => "blob_upload",
            Self::UploadStatus(..)
            | Self::UploadChunk(..)
            | Self::UploadFinish(..)
            | Self::UploadCancel(..) => "blob_upload_chunk",
        }
    }
}

/// Finds the call. A name may itself hold the words of an address, so the path is read from its end.
pub(crate) fn find(method: &Method, path: &str) -> Result<Call, Refusal> {
    let path = plain(path);
    let Some(rest) = path.strip_prefix("/v2") else { return Err(nowhere()) };
    let is_get = method == Method::GET || method == Method::HEAD;
    match rest {
        "" | "/" => return if is_get { Ok(Call::Base) } else { Err(wrong_method(method, READS)) },
        "/_catalog" => return if is_get { Ok(Call::Catalog) } else { Err(wrong_method(method, READS)) },
        _ => {}
    }
    let rest = rest.strip_prefix('/').ok_or_else(nowhere)?;
    if let Some(name) = rest.strip_suffix("/tags/list") {
        let name = name.parse()?;
        return if is_get { Ok(Call::Tags(name)) } else { Err(wrong_method(method, READS)) };
    }
    if let Some(name) = rest.strip_suffix("/blobs/uploads/").or_else(|| rest.strip_suffix("/blobs/uploads")) {
        let name = name.parse()?;
        return if method == Method::POST {
            Ok(Call::StartUpload(name))
        } else {
            Err(wrong_method(method, "POST"))
        };
    }
    let (front, last) = rest.rsplit_once('/').ok_or_else(nowhere)?;
    if let Some(name) = front.strip_suffix("/blobs/uploads") {
        return upload(method, name.parse()?, last);
    }
    if let Some(name) = front.strip_suffix("/manifests") {
        return manifest(method, name.parse()?, last);
    }
    if let Some(name) = front.strip_suffix("/blobs") {
        let (name, digest) = (name.parse()?, last.parse()?);
        return match *method {
            Method::GET | Method::HEAD => Ok(Call::GetBlob(name, digest)),
            Method::DELETE => Ok(Call::DeleteBlob(name, digest)),
            _ => Err(wrong_method(method, "GET, HEAD, DELETE")),
        };
    }
    if let Some(name) = front.strip_suffix("/referrers") {
        let (name, digest) = (name.parse()?, last.parse()?);
        return if is_get { Ok(Call::Referrers(name, digest)) } else { Err(wrong_method(method, READS)) };
    }
    Err(nowhere())
}

fn upload(method: &Method, name: Name, id: &str) -> Result<Call, Refusal> {
    let id = id.parse::<UploadId>()?;
    match *method {
        Method::GET | Method::HEAD => Ok(Call::UploadStatus(name, id)),
        Method::PATCH => Ok(Call::UploadChunk(name, id)),
        Method::PUT => Ok(Call::UploadFinish(name, id)),
        Method::DELETE => Ok(Call::UploadCancel(name, id)),
        _ => Err(wrong_method(method, "GET, HEAD, PATCH, PUT, DELETE")),
    }
}

fn manifest(method: &Method, name: Name, last: &str) -> Result<Call, Refusal> {
    let target =
        if last.contains(':') { last.parse().map(Target::Digest) } else { last.parse().map(Target::Tag) };
    match *method {
        // What cannot be a tag is none that is there.
        Method::GET | Method::HEAD | Method::DELETE if target.is_err() && !last.contains(':') => {
            Err(Refusal::new(Code::ManifestUnknown, "there is no such manifest: its name is no tag"))
        }
        Method::GET | Method::HEAD => Ok(Call::GetManifest(name, target?)),
        Method::PUT => Ok(Call::PutManifest(name, target?)),
        Method::DELETE => Ok(Call::DeleteManifest(name, target?)),
        _ => Err(wrong_method(method, "GET, HEAD, PUT, DELETE")),
    }
}

fn nowhere() -> Refusal {
    let mut refusal = Refusal::new(Code::Unsupported, "this registry has nothing at that address");
    refusal.status = Some(hyper::StatusCode::NOT_FOUND);
    refusal
}

/// What lists and documents that nobody writes allow.
const READS: &str = "GET, HEAD";

fn wrong_method(method: &Method, allowed: &'static str) -> Refusal {
    Refusal::new(Code::Unsupported, format!("{method} means nothing at that address"))
        .header("Allow", allowed)
}

/// The path with what need not be percent-encoded as it is (RFC 3986 §2.3), and the colon of digests. A slash that was encoded
/// stays so: it separates nothing.
fn plain(path: &str) -> String {
    let mut parts = path.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).map(char::from);
        match byte {
            Some(c) if c.is_ascii_alphanumeric() || "-._~:".contains(c) => {
                out.push(c);
                out.push_str(&part[2..]);
            }
            _ => {
                out.push('%');
                out.push_str(part);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let (method, path) = line.split_once(' ').unwrap();
        match find(&method.parse().unwrap(), path) {
            Ok(call) => {
                let name = call.repository().map(|n| format!(" {n}")).unwrap_or_default();
                format!("{}{name}", call.label())
            }
            Err(refusal) => format!("{} {}", refusal.status().as_u16(), refusal.code.name()),
        }
    }

    #[test]
    fn addresses_lead_to_calls() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let id = "0123456789abcdef0123456789abcdef";
        for (line, out) in [
            ("GET /v2/", "base"),
            ("GET /v2", "base"),
            ("POST /v2/", "405 UNSUPPORTED"),
            ("GET /v2/_catalog", "catalog"),
            ("DELETE /v2/_catalog", "405 UNSUPPORTED"),
            ("GET /v2/a/b/tags/list", "tags a/b"),
            ("GET /v2/tags/list/tags/list", "tags tags/list"),
            ("HEAD /v2/a/manifests/latest", "manifest a"),
            ("GET /v2/a/manifests/.INVALID", "404 MANIFEST_UNKNOWN"),
            ("PUT /v2/a/manifests/.INVALID", "400 TAG_INVALID"),
            ("GET /v2/a/manifests/sha256:12", "400 DIGEST_INVALID"),
            ("POST /v2/a/manifests/x", "405 UNSUPPORTED"),
            (&format!("GET /v2/blobs/uploads/blobs/{digest}"), "blob blobs/uploads"),
            (&format!("GET /v2/a/blobs/{}", digest.replace(':', "%3A")), "blob a"),
            ("GET /v2/a/blobs/sha256:../../etc/passwd", "404 UNSUPPORTED"),
            ("GET /v2/a/blobs/sha512:00", "400 DIGEST_INVALID"),
            (&format!("GET /v2/a/blobs/sha512:{}", "0a".repeat(64)), "blob a"),
            (&format!("GET /v2/a/blobs/sha512:{}", "0a".repeat(32)), "400 DIGEST_INVALID"),
            ("POST /v2/a/blobs/uploads/", "blob_upload a"),
            ("POST /v2/a/blobs/uploads", "blob_upload a"),
            ("GET /v2/a/blobs/uploads/", "405 UNSUPPORTED"),
            (&format!("PATCH /v2/a/blobs/uploads/{id}"), "blob_upload_chunk a"),
            ("PATCH /v2/a/blobs/uploads/..", "404 BLOB_UPLOAD_UNKNOWN"),
            (&format!("GET /v2/a/referrers/{digest}"), "referrers a"),
            ("GET /v2/a/referrers/x", "400 DIGEST_INVALID"),
            ("GET /v2/A/tags/list", "400 NAME_INVALID"),
            ("GET /v2/a/../b/tags/list", "400 NAME_INVALID"),
            ("GET /v2//tags/list", "400 NAME_INVALID"),
            ("GET /v2/a%2Fb/tags/list", "400 NAME_INVALID"),
            ("GET /v2/%61%2D%62/tags/list", "tags a-b"),
            ("GET /v2/%2e%2e/tags/list", "400 NAME_INVALID"),
            ("GET /v2/a%/tags/list", "400 NAME_INVALID"),
            ("GET /v2/a%+1/tags/list", "400 NAME_INVALID"),
            ("GET /v2/a%ä/tags/list", "400 NAME_INVALID"),
            ("GET /v2/_catalog/", "404 UNSUPPORTED"),
            ("GET /v1/", "404 UNSUPPORTED"),
            ("GET /", "404 UNSUPPORTED"),
            ("GET /v2x", "404 UNSUPPORTED"),
        ] {
            assert_eq!(shown(line), out, "{line}");
        }
    }
}
