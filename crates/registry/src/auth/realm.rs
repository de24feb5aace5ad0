//! Which token services may see a registry's credentials (weaknesses D05, I04): a challenge comes from the network, and whoever can
//! forge or misconfigure one must not be able to have credentials sent elsewhere.

use types::weak;

use crate::http::{Origin, Url};

/// Registries whose own token service lives in another domain.
const KNOWN: &[(&str, &str)] = &[("dhi.io", "auth.docker.io")];
/// Second labels that are registries of names, not owners: `co.uk`, `com.au`.
const PUBLIC: &[&str] =
    &["ac", "co", "com", "edu", "gob", "gov", "gv", "mil", "ne", "net", "nom", "or", "org"];

/// Whether a registry's credentials may go to the service that its challenge names: over TLS unless the registry itself is
/// plain, and to the registry's own host, a host of its domain, or one that was listed.
pub(crate) fn is_trusted(realm: &Url, registry: &Origin, listed: &[String]) -> bool {
    let service = &realm.origin;
    if registry.is_tls && !service.is_tls {
        return false;
    }
    service.host == registry.host
        || weak::is_off("D05")
        || listed.iter().any(|host| host.eq_ignore_ascii_case(&service.host) || *host == service.with_port())
        || KNOWN.iter().any(|(of, host)| *of == registry.host && *host == service.host)
        || domain_of(&registry.host).is_some_and(|domain| is_in(&service.host, domain))
}

/// The domain that a host is in: its own name without the first label, as long as that belongs to somebody. A name of two labels
/// is a domain itself.
fn domain_of(host: &str) -> Option<&str> {
    if host.contains(':') || host.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let (_, parent) = host.split_once('.')?;
    Some(if is_owned(parent) { parent } else { host })
}

fn is_owned(domain: &str) -> bool {
    match domain.split('.').collect::<Vec<_>>().as_slice() {
        [] | [_] => false,
        [second, top] => top.len() != 2 || !PUBLIC.contains(second),
        _ => true,
    }
}

fn is_in(host: &str, domain: &str) -> bool {
    host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i04_d05_only_services_of_the_registrys_domain_are_trusted() {
        let listed = ["login.corp.example".to_owned()];
        for (registry, realm, trusted) in [
            ("https://registry-1.docker.io", "https://auth.docker.io/token", true),
            ("https://registry.gitlab.com", "https://gitlab.com/jwt/auth", true),
            ("https://ghcr.io", "https://ghcr.io/token", true),
            ("https://example.io", "https://auth.example.io/token", true),
            ("https://r.example.co.uk", "https://auth.example.co.uk/", true),
            ("https://example.co.uk", "https://evil.co.uk/", false),
            ("https://a.example", "https://b.example/", false),
            ("https://dhi.io", "https://auth.docker.io/token", true),
            ("https://evil.io", "https://auth.docker.io/token", false),
            ("https://registry-1.docker.io", "https://docker.io.evil.example/", false),
            ("https://registry-1.docker.io", "https://evildocker.io/", false),
            ("https://registry-1.docker.io", "http://auth.docker.io/token", false),
            ("https://r.corp.test", "https://login.corp.example/", true),
            ("https://10.0.0.1", "https://10.0.0.2/", false),
            ("https://10.0.0.1:5000", "https://10.0.0.1:5001/", true),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5001/", true),
            ("http://127.0.0.1:5000", "http://127.0.0.2:5001/", false),
            ("http://localhost:5000", "http://127.0.0.1:5001/", false),
            ("https://[::1]:5000", "https://[::2]:5000/", false),
        ] {
            let origin = Url::parse(registry).unwrap().origin;
            let realm_url = Url::parse(realm).unwrap();
            assert_eq!(is_trusted(&realm_url, &origin, &listed), trusted, "{registry} {realm}");
        }
    }
}
