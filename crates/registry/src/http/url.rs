//! Where a request goes. Only what registries use: http and https, no user names, no fragments.

use std::fmt;

use hyper::http::Uri;

/// Where a connection leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    /// https rather than http.
    pub(crate) is_tls: bool,
    /// Lower case; an IPv6 address without its brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Origin {
    /// The `Host` header: the port is left out where it is the scheme's own.
    pub(crate) fn authority(&self) -> String {
        let usual = if self.is_tls { 443 } else { 80 };
        if self.port == usual { self.bracketed() } else { self.with_port() }
    }

    /// Host and port, the port always there.
    pub(crate) fn with_port(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

/// An absolute URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Url {
    pub(crate) origin: Origin,
    /// Path and query as they go on the wire; begins with a slash.
    pub(crate) path: String,
}

impl Url {
    /// Reads an absolute URL. The error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let bad = |why: &str| format!("{text:?} is not a URL that a registry can be reached by: {why}");
        let bare = text.split('#').next().unwrap_or(text);
        let uri: Uri = bare.parse().map_err(|e| bad(&format!("{e}")))?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) => return Err(bad("its scheme is neither http nor https")),
            None => return Err(bad("it has no scheme")),
        };
        let authority = uri.authority().ok_or_else(|| bad("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("it has a user name"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if host.is_empty() {
            return Err(bad("it has no host"));
        }
        let port = match authority.port() {
            Some(port) => port.as_str().parse().map_err(|_| bad("its port is none"))?,
            // The parser leaves out a port that is no number.
            None if authority.as_str() != authority.host() => return Err(bad("its port is none")),
            None if is_tls => 443,
            None => 80,
        };
        let path = uri.path_and_query().map_or("/", |p| p.as_str());
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { origin: Origin { is_tls, host, port }, path })
    }

    /// The URL that a `Location` or `Link` names, seen from this one (RFC 3986, section 5.2, without dot segments).
    pub(crate) fn join(&self, location: &str) -> Result<Self, String> {
        if location.contains("://") && !location.starts_with(['/', '?']) {
            return Self::parse(location);
        }
        let scheme = if self.origin.is_tls { "https" } else { "http" };
        if location.starts_with("//") {
            return Self::parse(&format!("{scheme}:{location}"));
        }
        let base = self.path.split('?').next().unwrap_or("/");
        let path = match location.as_bytes().first() {
            Some(b'/') => location.to_owned(),
            Some(b'?') => format!("{base}{location}"),
            _ => format!("{}/{location}", base.rsplit_once('/').map_or("", |(dir, _)| dir)),
        };
        Self::parse(&format!("{scheme}://{}{path}", self.origin.with_port()))
    }

    /// The same with one more part of the query; `value` is escaped.
    pub(crate) fn with_query(&self, key: &str, value: &str) -> Self {
        let mark = if self.path.contains('?') { '&' } else { '?' };
        Self { origin: self.origin.clone(), path: format!("{}{mark}{key}={}", self.path, escape(value)) }
    }

    /// The same in plain HTTP; https' own port becomes http's.
    pub(crate) fn in_clear(&self) -> Self {
        let port = if self.origin.port == 443 { 80 } else { self.origin.port };
        let origin = Origin { is_tls: false, port, ..self.origin.clone() };
        Self { origin, path: self.path.clone() }
    }

    /// The same with a path put behind its own.
    pub(crate) fn under(&self, path: &str) -> Self {
        Self { origin: self.origin.clone(), path: format!("{}{path}", self.path.trim_end_matches('/')) }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.origin.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.origin.authority(), self.path)
    }
}

/// Escapes everything but unreserved characters (RFC 3986, section 2.3).
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_urls() {
        for (text, shown) in [
            ("https://a.example", "https://a.example/"),
            ("HTTPS://A.Example:443/v2", "https://a.example/v2"),
            ("http://a:80/x?y=1", "http://a/x?y=1"),
            ("http://[::1]:5000/", "http://[::1]:5000/"),
            ("https://a/b#c", "https://a/b"),
            ("https://a?x=1", "https://a/?x=1"),
        ] {
            assert_eq!(Url::parse(text).map(|u| u.to_string()), Ok(shown.to_owned()), "{text}");
        }
        for bad in
            ["", "a/b", "/a", "ftp://a/b", "https://", "https://u:p@a/", "http://a:99999/", "http://a b/"]
        {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn locations_are_seen_from_where_they_were_sent() {
        let base = Url::parse("https://a.example:5000/v2/x/blobs/uploads/?m=1").unwrap();
        for (location, shown) in [
            ("https://b.example/c", "https://b.example/c"),
            ("//b.example/c", "https://b.example/c"),
            ("/v2/y", "https://a.example:5000/v2/y"),
            ("/v2/y?u=http://z/", "https://a.example:5000/v2/y?u=http://z/"),
            ("uuid", "https://a.example:5000/v2/x/blobs/uploads/uuid"),
            ("?n=2", "https://a.example:5000/v2/x/blobs/uploads/?n=2"),
        ] {
            assert_eq!(base.join(location).map(|u| u.to_string()), Ok(shown.to_owned()), "{location}");
        }
        assert!(base.join("file:///etc/passwd").is_err());
    }

    #[test]
    fn queries_are_escaped() {
        let url = Url::parse("https://a/x").unwrap().with_query("scope", "repository:a/b:pull,push");
        assert_eq!(url.with_query("n", "1").path, "/x?scope=repository%3Aa%2Fb%3Apull%2Cpush&n=1");
        assert_eq!(Url::parse("https://a/v2/").unwrap().under("/b/tags").path, "/v2/b/tags");
    }
}
