//! The names under which accounts are kept: a registry's host, and for Docker's own an address of old.

/// What Docker's own registry is called in settings.
pub(crate) const HUB: &str = "https://index.docker.io/v1/";

/// The key of a registry's account.
pub(crate) fn key(domain: &str) -> String {
    match domain {
        "docker.io" | "index.docker.io" => HUB.to_owned(),
        other => other.to_owned(),
    }
}

/// The key of the account that an image's registry asks for.
pub(crate) fn of_reference(image: &types::Reference) -> String {
    key(image.domain())
}

/// The host of an address as people type it: without scheme, user and path.
pub(crate) fn hostname(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    if address.contains("://") { host.rsplit('@').next().unwrap_or_default() } else { host }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_registries() {
        for (address, host) in [
            ("r.test", "r.test"),
            ("r.test:5000/v2/", "r.test:5000"),
            ("http://r.test:5000/a", "r.test:5000"),
            ("https://kim@[::1]:5000", "[::1]:5000"),
            ("", ""),
        ] {
            assert_eq!(hostname(address), host, "{address}");
        }
        assert_eq!((key("docker.io").as_str(), key("r.test:1").as_str()), (HUB, "r.test:1"));
        let image: types::Reference = "busybox".parse().unwrap();
        assert_eq!(of_reference(&image), HUB);
    }
}
