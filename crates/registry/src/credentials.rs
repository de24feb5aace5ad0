//! Who we are to a registry.

use std::fmt;

/// What a user gave to prove who they are (docker login, `X-Registry-Auth`). Never printed.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub enum Credentials {
    /// Nobody in particular.
    #[default]
    Anonymous,
    /// A name and a password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// A refresh token that the registry's token service gave at login (`identitytoken`).
    Identity(String),
    /// A bearer token for the registry itself (`registrytoken`).
    Bearer(String),
}

impl Credentials {
    /// The strongest of what somebody has: a token for the registry, one for its token service, a name and a password.
    #[must_use]
    pub fn strongest(bearer: &str, identity: &str, basic: Option<(String, String)>) -> Self {
        match basic {
            _ if !bearer.is_empty() => Self::Bearer(bearer.to_owned()),
            _ if !identity.is_empty() => Self::Identity(identity.to_owned()),
            Some((user, password)) => Self::Basic { user, password },
            None => Self::Anonymous,
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic",
            Self::Identity(_) => "Identity",
            Self::Bearer(_) => "Bearer",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Credentials;

    #[test]
    fn secrets_are_not_printed() {
        let basic = Credentials::Basic { user: "kim".into(), password: "hunter2".into() };
        for credentials in
            [basic, Credentials::Identity("hunter2".into()), Credentials::Bearer("hunter2".into())]
        {
            assert!(!format!("{credentials:?}").contains("hunter2"));
        }
    }
}
