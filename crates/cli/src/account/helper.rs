//! Programs that keep secrets: `docker-credential-NAME get | store | erase`, JSON in and out.
#![allow(clippy::disallowed_methods, reason = "runs the program that the user's settings name")]

use std::io::Write;
use std::process::{Command, Stdio};

use dockerapi::AuthConfig;
use serde::{Deserialize, Serialize};
use types::Kind;

use crate::error::{Error, Result};

/// The name of an account whose secret is an identity token.
const TOKEN: &str = "<token>";
const ABSENT: &str = "credentials not found in native keychain";

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Kept {
    #[serde(rename = "ServerURL")]
    server_url: String,
    username: String,
    secret: String,
}

/// What the program keeps of a registry; nothing when it knows none.
pub(super) fn get(helper: &str, server: &str) -> Result<Option<AuthConfig>> {
    let (said, done) = run(helper, "get", server.as_bytes())?;
    if !done {
        return if said == ABSENT { Ok(None) } else { Err(failed(helper, "getting", &said)) };
    }
    let kept: Kept = serde_json::from_str(&said)
        .map_err(|_| failed(helper, "getting", "its answer is not the JSON of credentials"))?;
    let auth = AuthConfig { serveraddress: server.to_owned(), ..AuthConfig::default() };
    Ok(Some(if kept.username == TOKEN {
        AuthConfig { identitytoken: kept.secret, ..auth }
    } else {
        AuthConfig { username: kept.username, password: kept.secret, ..auth }
    }))
}

/// Has the program keep an account.
pub(super) fn store(helper: &str, auth: &AuthConfig) -> Result<()> {
    let (username, secret) = if auth.identitytoken.is_empty() {
        (auth.username.as_str(), &auth.password)
    } else {
        (TOKEN, &auth.identitytoken)
    };
    let kept = Kept {
        server_url: auth.serveraddress.clone(),
        username: username.to_owned(),
        secret: secret.clone(),
    };
    let text = serde_json::to_vec(&kept).unwrap_or_default();
    match run(helper, "store", &text)? {
        (_, true) => Ok(()),
        (said, false) => Err(failed(helper, "storing", &said)),
    }
}

/// Has the program forget an account.
pub(super) fn erase(helper: &str, server: &str) -> Result<()> {
    match run(helper, "erase", server.as_bytes())? {
        (_, true) => Ok(()),
        (said, false) if said == ABSENT => Ok(()),
        (said, false) => Err(failed(helper, "erasing", &said)),
    }
}

/// What it printed, and if it was content.
fn run(helper: &str, verb: &str, input: &[u8]) -> Result<(String, bool)> {
    let program = format!("docker-credential-{helper}");
    if helper.contains('/') {
        return Err(Error::new(format!("{program:?} is no name of a credential helper")));
    }
    let cannot = |error: std::io::Error| {
        Error::new(format!("the credential helper {program} cannot be run: {error}"))
            .of(Kind::NotFound)
            .because(error)
    };
    let mut child = Command::new(&program)
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(cannot)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read has its own opinion, which it tells.
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output().map_err(cannot)?;
    Ok((String::from_utf8_lossy(&output.stdout).trim().to_owned(), output.status.success()))
}

fn failed(helper: &str, doing: &str, said: &str) -> Error {
    Error::new(format!("error {doing} credentials - docker-credential-{helper}: {said}"))
}
