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
