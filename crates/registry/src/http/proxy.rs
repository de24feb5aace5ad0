//! Which requests go through a proxy: HTTP_PROXY, HTTPS_PROXY and NO_PROXY, as Go's programs read them.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;

use super::url::{Origin, Url};

/// The proxies between here and the registries. The values are those of the variables of the same names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For http: `http://[user:password@]host[:port]`.
    pub http: Option<String>,
    /// For https; the proxy itself is spoken to in clear.
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
    if scheme != "http" {
        return Err(format!("a {scheme} proxy is not supported: only http ones are"));
    }
    let (user, host) = rest.rsplit_once('@').map_or((None, rest), |(user, host)| (Some(user), host));
    let has_port = host.trim_end_matches('/').rsplit_once(':').is_some_and(|(_, p)| !p.ends_with(']'));
    let origin =
        Url::parse(&format!("http://{host}")).map_err(|_| "the proxy's URL is not one".to_owned())?.origin;
    let origin = Origin { port: if has_port { origin.port } else { 80 }, ..origin };
    let authorization = user.map(|user| format!("Basic {}", STANDARD.encode(unescape(user))));
    Ok(Proxy { origin, authorization })
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
        if let (Ok(exempt), Some(address)) = (entry.parse::<IpAddr>(), address) {
            return exempt == address;
        }
        let (name, port) = match entry.rsplit_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok() && !name.contains(':') => (name, Some(port)),
            _ => (entry.as_str(), None),
        };
        if port.is_some_and(|port| port.parse() != Ok(origin.port)) {
            return false;
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
        let socks = Proxies { http: Some("socks5://a".to_owned()), ..Proxies::default() };
        assert!(socks.for_origin(&Url::parse("http://b.example").unwrap().origin).is_err());
    }
}
