//! What a client is told when it does not get what it asked for: the codes of the specification ("Error Codes") and their statuses.

use hyper::StatusCode;
use serde_json::{Value, json};
use types::Kind;

use crate::error::Error;

/// A code of the specification, or one that clients know from Docker's registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    SizeInvalid,
    TagInvalid,
    Unauthorized,
    Denied,
    Unsupported,
    TooManyRequests,
    PaginationNumberInvalid,
    RangeInvalid,
    Unavailable,
    Full,
    Unknown,
}

impl Code {
    /// Its name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::TagInvalid => "TAG_INVALID",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Denied => "DENIED",
            Self::Unsupported => "UNSUPPORTED",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::PaginationNumberInvalid => "PAGINATION_NUMBER_INVALID",
            Self::RangeInvalid => "RANGE_INVALID",
            Self::Unavailable => "UNAVAILABLE",
            Self::Full | Self::Unknown => "UNKNOWN",
        }
    }

    /// The HTTP status that goes with it.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::BlobUnknown | Self::BlobUploadUnknown | Self::ManifestUnknown | Self::NameUnknown => {
                StatusCode::NOT_FOUND
            }
            // A missing part of a manifest is the fault of the request, not of its address.
            Self::BlobUploadInvalid
            | Self::DigestInvalid
            | Self::ManifestBlobUnknown
            | Self::ManifestInvalid
            | Self::NameInvalid
            | Self::SizeInvalid
            | Self::TagInvalid
            | Self::PaginationNumberInvalid => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Denied => StatusCode::FORBIDDEN,
            Self::Unsupported => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::RangeInvalid => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Full => StatusCode::INSUFFICIENT_STORAGE,
            Self::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A request that is not fulfilled: one code, one sentence, and what the client can use of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) detail: Value,
    /// Headers that the answer has besides.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Another status than the code's own.
    pub(crate) status: Option<StatusCode>,
}

impl Refusal {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: Value::Null, headers: Vec::new(), status: None }
    }

    pub(crate) fn detail(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }

    /// The same, as a fault of the request.
    pub(crate) fn bad_request(mut self) -> Self {
        self.status = Some(StatusCode::BAD_REQUEST);
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status.unwrap_or_else(|| self.code.status())
    }

    /// The answer's body.
    pub(crate) fn body(&self) -> String {
        let mut error = json!({ "code": self.code.name(), "message": self.message });
        if !self.detail.is_null() {
            error["detail"] = self.detail.clone();
        }
        json!({ "errors": [error] }).to_string()
    }
}

impl From<Error> for Refusal {
    /// What our own failures look like from outside: no paths, no calls. The whole story is in the log.
    fn from(error: Error) -> Self {
        match error.kind() {
            Kind::Exhausted => {
                tracing::warn!(error = crate::error::chain(&error), "no room");
                Self::new(Code::Full, "the registry has no room left")
            }
            Kind::Unavailable => Self::new(Code::Unavailable, error.to_string()).header("Retry-After", "1"),
            _ => {
                tracing::error!(error = crate::error::chain(&error), "a request failed");
                Self::new(Code::Unknown, "the registry failed to do this; its log says why")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_the_specified_form() {
        let refusal = Refusal::new(Code::BlobUnknown, "no such blob").detail(json!({ "digest": "sha256:x" }));
        assert_eq!(refusal.status(), StatusCode::NOT_FOUND);
        let body: Value = serde_json::from_str(&refusal.body()).unwrap();
        assert_eq!(body["errors"][0]["code"], "BLOB_UNKNOWN");
        assert_eq!(body["errors"][0]["detail"]["digest"], "sha256:x");
    }

    #[test]
    fn our_own_failures_tell_nothing_of_our_files() {
        let error = Error::call("cannot open /secret/path", std::io::Error::other("x"));
        assert!(!Refusal::from(error).body().contains("secret"));
    }
}
