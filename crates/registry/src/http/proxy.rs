//! Which requests go through a proxy: HTTP_PROXY, HTTPS_PROXY and NO_PROXY, as Go's programs read them.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;

use super::failure::{Failure, Trouble};
use super::url::{Origin, Url};

/// The proxies between here and the registries. The values are those of the variables of the same names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For http: `http://[user:password@]host[:port]`, or `https://…` for a proxy that is spoken to in TLS.
    pub http: Option<String>,
    /// For https, in the same form.
    pub https: Option<String>,
    /// Hosts, `.domains`, addresses and networks that are reached directly, separated by commas; `*` is everything.
    pub no_proxy: String,
}

impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Their URLs may carry passwords.
        f.debug_struct("Proxies").field("no_proxy", &self.no_proxy).finish_non_exhaustive()
    }
}

/// A proxy to go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub(crate) origin: Origin,
    /// The value of `Proxy-Authorization`.
    pub(crate) authorization: Option<String>,
}

impl Proxies {
    /// The proxy for a destination; `None` for a direct way.
    pub(crate) fn for_origin(&self, origin: &Origin) -> Result<Option<Proxy>, String> {
        let proxy = if origin.is_tls { &self.https } else { &self.http };
        let Some(text) = proxy.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
        if is_direct(&self.no_proxy, origin) {
            return Ok(None);
        }
        parse(text).map(Some)
    }
}

fn parse(text: &str) -> Result<Proxy, String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    if !matches!(scheme, "http" | "https") {
        return Err(format!("a {scheme} proxy is not supported: only http and https ones are"));
    }
    let (user, host) = rest.rsplit_once('@').map_or((None, rest), |(user, host)| (Some(user), host));
    let url =
        Url::parse(&format!("{scheme}://{host}")).map_err(|_| "the proxy's URL is not one".to_owned())?;
    let authorization = user.map(|user| {
        let pair = if user.contains(':') { user.to_owned() } else { format!("{user}:") };
        format!("Basic {}", STANDARD.encode(unescape(&pair)))
    });
    Ok(Proxy { origin: url.origin, authorization })
}

impl Proxy {
    /// That it does not do what it was asked to. `status`: its status with the reason; `to`: the host that was meant.
    pub(super) fn refusal(&self, status: &str, to: &str) -> Failure {
        let own = self.origin.with_port();
        let sentence = match (status.starts_with("407"), &self.authorization) {
            (true, None) => {
                format!(
                    "the proxy {own} wants a name and a password: they belong in its URL (http://name:password@host)"
                )
            }
            (true, Some(_)) => format!("the proxy {own} does not take the name and password of its URL"),
            (false, _) => format!("the proxy {own} refuses a connection to {to}: {}", status.trim()),
        };
        Failure::new(Trouble::Proxy, sentence)
    }
}

/// Undoes percent escapes.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'%')
            .then(|| tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    bytes
}

/// Whether NO_PROXY exempts a destination. This host is never behind a proxy.
fn is_direct(no_proxy: &str, origin: &Origin) -> bool {
    let address = origin.host.parse::<IpAddr>().ok();
    if origin.host == "localhost" || address.is_some_and(|a| a.is_loopback()) {
        return true;
    }
    no_proxy.split(',').map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        let entry = entry.to_ascii_lowercase();
        if entry == "*" {
            return true;
        }
        if let (Ok(net), Some(address)) = (entry.parse::<IpNet>(), address) {
            return net.contains(&address);
        }
        let (name, port) = split_port(&entry);
        if port.is_some_and(|port| port != origin.port) {
            return false;
        }
        if let Ok(exempt) = name.parse::<IpAddr>() {
            return address == Some(exempt);
        }
        let name = name.strip_prefix('*').unwrap_or(name);
        match name.strip_prefix('.') {
            Some(domain) => origin.host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
            None => {
                origin.host == name || origin.host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
            }
        }
    })
}

/// A host and its port, if there is one; an IPv6 address with a port is in brackets.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    let split = entry.rsplit_once(':').filter(|(name, _)| name.ends_with(']') || !name.contains(':'));
    let port = split.and_then(|(_, port)| port.parse().ok());
    let name = split.filter(|_| port.is_some()).map_or(entry, |(name, _)| name);
    (name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy() {
        for (list, url, direct) in [
            ("", "https://a.example", false),
            ("", "https://localhost:5000", true),
            ("", "http://127.3.2.1", true),
            ("", "http://[::1]:5000", true),
            ("*", "https://a.example", true),
            ("a.example", "https://a.example", true),
            ("a.example", "https://x.a.example", true),
            ("a.example", "https://ba.example", false),
            (".example", "https://a.example", true),
            (".a.example", "https://a.example", false),
            ("*.example", "https://a.example", true),
            ("a.example:5000", "https://a.example:5000", true),
            ("a.example:5000", "https://a.example", false),
            ("b , A.Example", "https://a.example", true),
            ("10.0.0.0/8", "http://10.2.3.4", true),
            ("10.0.0.0/8", "http://11.2.3.4", false),
            ("10.2.3.4", "http://10.2.3.4:5000", true),
            ("10.2.3.4:80", "http://10.2.3.4:5000", false),
            ("fd00::/8", "http://[fd00::1]", true),
            ("fd00::1", "http://[fd00::1]:5000", true),
            ("[fd00::1]", "http://[fd00::1]:5000", true),
            ("[fd00::1]:5000", "http://[fd00::1]:5000", true),
            ("[fd00::1]:5001", "http://[fd00::1]:5000", false),
            ("fd00::2", "http://[fd00::1]:5000", false),
            ("10.2.3.4:5000", "http://10.2.3.4:5000", true),
            ("a.example:x", "https://a.example", false),
            (",, ,", "https://a.example", false),
        ] {
            let origin = Url::parse(url).unwrap().origin;
            assert_eq!(is_direct(list, &origin), direct, "{list:?} {url}");
        }
    }

    #[test]
    fn proxies_by_scheme_with_their_passwords() {
        let proxies = Proxies {
            http: Some("p.example".to_owned()),
            https: Some("http://kim:p%40ss@q.example:3128/".to_owned()),
            no_proxy: String::new(),
        };
        let get = |url: &str| proxies.for_origin(&Url::parse(url).unwrap().origin).unwrap().unwrap();
        assert_eq!(get("http://a.example").origin.with_port(), "p.example:80");
        let secure = get("https://a.example");
        assert_eq!(secure.origin.with_port(), "q.example:3128");
        assert_eq!(secure.authorization.as_deref(), Some("Basic a2ltOnBAc3M="));
        assert!(!format!("{proxies:?}").contains("p%40ss"));
        let sealed = Proxies { https: Some("https://kim@p.example".to_owned()), ..Proxies::default() };
        let sealed = sealed.for_origin(&Url::parse("https://a.example").unwrap().origin).unwrap().unwrap();
        assert!(sealed.origin.is_tls && sealed.origin.with_port() == "p.example:443");
        assert_eq!(sealed.authorization.as_deref(), Some("Basic a2ltOg=="));
        let socks = Proxies { http: Some("socks5://a".to_owned()), ..Proxies::default() };
        assert!(socks.for_origin(&Url::parse("http://b.example").unwrap().origin).is_err());
    }
}
