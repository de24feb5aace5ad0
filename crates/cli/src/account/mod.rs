//! Who the user is to registries: the settings that docker login writes, and the programs that keep secrets for it.

mod helper;
mod name;
mod settings;

use std::path::{Path, PathBuf};

use dockerapi::AuthConfig;

use crate::error::{Error, Result};
use crate::stream::remark;
use settings::Settings;

pub(crate) use name::{HUB, hostname, key, of_reference};

/// A variable with accounts that go before all others, in the settings' form.
const VARIABLE: &str = "DOCKER_AUTH_CONFIG";

/// The user's accounts.
pub(crate) struct Accounts {
    settings: Settings,
    /// What the variable holds.
    given: Vec<(String, AuthConfig)>,
}

impl Accounts {
    /// Reads the settings in a directory. None at all is no error.
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        Ok(Self { settings: Settings::read(&directory.join("config.json"))?, given: from_variable() })
    }

    /// The account at a registry, by the key that `key` gives; an empty one when there is none.
    ///
    /// # Errors
    /// When the helper program that keeps it fails.
    pub(crate) fn get(&self, key: &str) -> Result<AuthConfig> {
        if let Some((_, auth)) = self.given.iter().find(|(name, _)| name == key) {
            return Ok(auth.clone());
        }
        let stored = self.settings.account(key)?.unwrap_or_default();
        let Some(helper) = self.settings.helper(key) else { return Ok(stored) };
        let Some(kept) = helper::get(&helper, key)? else { return Ok(AuthConfig::default()) };
        Ok(AuthConfig {
            serveraddress: key.to_owned(),
            email: stored.email,
            registrytoken: stored.registrytoken,
            ..kept
        })
    }

    /// Keeps an account under its `serveraddress`, in the helper program that is set up for it, else in the settings.
    pub(crate) fn put(&mut self, auth: &AuthConfig) -> Result<()> {
        let saved = match self.settings.helper(&auth.serveraddress) {
            Some(helper) => helper::store(&helper, auth).and_then(|()| {
                let rest = AuthConfig {
                    serveraddress: auth.serveraddress.clone(),
                    email: auth.email.clone(),
                    ..AuthConfig::default()
                };
                self.settings.put(&rest).map(drop)
            }),
            None => self.settings.put(auth).map(|changed| {
                if changed && !auth.password.is_empty() {
                    remark(&in_plain_text(self.settings.path()));
                }
            }),
        };
        saved.map_err(|error| Error::new(format!("error saving credentials: {error}")).of(error.kind()))
    }

    /// Forgets an account. That there is none is fine.
    pub(crate) fn erase(&mut self, key: &str) -> Result<()> {
        if let Some(helper) = self.settings.helper(key) {
            helper::erase(&helper, key)?;
        }
        self.settings.erase(key)
    }
}

/// The header for a request that is about this image's registry: empty when nothing is known.
pub(crate) fn header(directory: &Path, image: &types::Reference) -> Result<String> {
    Ok(Accounts::open(directory)?.get(&of_reference(image))?.to_header())
}

/// The same for a registry that is asked from here.
pub(crate) fn credentials(auth: &AuthConfig) -> registry::Credentials {
    registry::Credentials::strongest(&auth.registrytoken, &auth.identitytoken, auth.basic())
}

/// Where settings are: `--config`, `DOCKER_CONFIG`, `~/.docker`.
pub(crate) fn directory(given: Option<&str>, variable: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    let named =
        given.map(str::to_owned).filter(|text| !text.is_empty()).or_else(|| variable("DOCKER_CONFIG"));
    match named {
        Some(path) => path.into(),
        None => Path::new(&variable("HOME").unwrap_or_else(|| "/".to_owned())).join(".docker"),
    }
}

fn in_plain_text(path: &Path) -> String {
    format!(
        "\nWARNING! Your credentials are stored unencrypted in '{}'.\nConfigure a credential helper to remove this warning. See\n\
         https://docs.docker.com/go/credential-store/\n",
        path.display()
    )
}

#[allow(clippy::disallowed_methods, reason = "the door reads the environment")]
fn from_variable() -> Vec<(String, AuthConfig)> {
    let Some(text) = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty()) else { return Vec::new() };
    settings::accounts_of(text.as_bytes()).unwrap_or_else(|reason| {
        remark(&format!("{VARIABLE} is left out: {reason}"));
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_their_place() {
        let place = |given, config: &str, home: &str| {
            let variable = |name: &str| {
                let value = if name == "HOME" { home } else { config };
                (!value.is_empty()).then(|| value.to_owned())
            };
            directory(given, &variable).display().to_string()
        };
        assert_eq!(place(Some("/a"), "/b", "/h"), "/a");
        assert_eq!(place(None, "/b", "/h"), "/b");
        assert_eq!(place(None, "", "/h"), "/h/.docker");
        assert_eq!(place(None, "", ""), "/.docker");
    }
}
