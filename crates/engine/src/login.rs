//! Proving who a client is to a registry.

use dockerapi::{AuthConfig, AuthResponse};
use types::Kind;

use crate::credentials::credentials;
use crate::engine::Engine;
use crate::{Error, Result};

/// What settings of old call Docker's own registry.
const HUB: &str = "https://index.docker.io/v1/";

impl Engine {
    /// Has a registry try what a client says of itself. Nothing is kept.
    ///
    /// # Errors
    /// `Unauthorized` when the registry does not take it; `InvalidInput` when the address names none.
    pub async fn login(&self, auth: &AuthConfig) -> Result<AuthResponse> {
        let domain = domain(&auth.serveraddress)?;
        let login = self.0.registry.login(&domain, credentials(auth)).await.map_err(refused)?;
        Ok(AuthResponse { status: login.status.to_owned(), identity_token: login.identity_token })
    }
}

/// The registry's own words; 401 is about the credentials, whatever else the client's door makes of refusals.
fn refused(error: registry::Error) -> Error {
    let kind = if error.status() == Some(401) { Kind::Unauthorized } else { error.kind() };
    Error::new(kind, error.to_string())
}

/// The registry that an address means: a host with or without scheme and path. None is Docker's own.
fn domain(address: &str) -> Result<String> {
    let address = address.trim();
    if address.is_empty() || address == HUB {
        return Ok("docker.io".to_owned());
    }
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    match format!("{host}/x").parse::<types::Reference>() {
        Ok(reference) if reference.domain() == host => Ok(host.to_owned()),
        Ok(reference) if reference.domain() == "docker.io" && host == "index.docker.io" => {
            Ok("docker.io".to_owned())
        }
        // A bare name is no path here.
        Ok(_) if !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => {
            Ok(host.to_owned())
        }
        _ => Err(Error::invalid(format!("{address:?} is no address of a registry"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_registries() {
        for (address, host) in [
            ("", Some("docker.io")),
            (HUB, Some("docker.io")),
            ("docker.io", Some("docker.io")),
            ("r.test:5000", Some("r.test:5000")),
            ("https://r.test/v2/", Some("r.test")),
            ("http://127.0.0.1:5000", Some("127.0.0.1:5000")),
            ("[::1]:5000", Some("[::1]:5000")),
            ("myregistry", Some("myregistry")),
            ("http://", None),
            ("r test", None),
            ("a_b", None),
        ] {
            assert_eq!(domain(address).ok().as_deref(), host, "{address}");
        }
    }
}
