//! What a client says of itself, as the registry's client takes it.

use dockerapi::AuthConfig;
use registry::Credentials;

/// Who a client is to a registry. A token for the registry itself goes before one for its token service, and that before a name
/// and a password, as dockerd has it.
#[must_use]
pub fn credentials(auth: &AuthConfig) -> Credentials {
    Credentials::strongest(&auth.registrytoken, &auth.identitytoken, auth.basic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_word_counts() {
        let basic = AuthConfig { username: "kim".into(), password: "p".into(), ..AuthConfig::default() };
        let identity = AuthConfig { identitytoken: "i".into(), ..basic.clone() };
        let bearer = AuthConfig { registrytoken: "b".into(), ..identity.clone() };
        assert_eq!(credentials(&AuthConfig::default()), Credentials::Anonymous);
        assert_eq!(credentials(&basic), Credentials::Basic { user: "kim".into(), password: "p".into() });
        assert_eq!(credentials(&identity), Credentials::Identity("i".into()));
        assert_eq!(credentials(&bearer), Credentials::Bearer("b".into()));
    }
}
