//! `login` and `logout`.

use std::io::Read;

use dockerapi::AuthConfig;
use serde_json::{Value, json};
use types::Kind;

use super::text;
use crate::account::{self, Accounts, HUB};
use crate::error::{Error, Result};
use crate::stream::{self, remark};
use crate::terminal;
use crate::tree::Call;
use crate::wire::{Payload, Query};

/// `berth login`.
pub(crate) async fn login(call: Call) -> Result<u8> {
    check(&call)?;
    let (user, password) = (call.flags.text("username").to_owned(), password(&call)?);
    let server = match call.args.first().map_or("", String::as_str) {
        "" | "docker.io" | HUB => HUB,
        address => account::hostname(address),
    };
    let mut accounts = Accounts::open(&call.settings)?;
    let mut known = String::new();
    if user.is_empty() && password.is_empty() {
        let stored = accounts.get(server)?;
        if !stored.username.is_empty() && !stored.password.is_empty() {
            match again(&call, &mut accounts, &stored).await {
                Ok(()) => return Ok(0),
                Err(error) => remark(&told(&error)),
            }
        }
        known = stored.username;
    }
    if (user.is_empty() || password.is_empty()) && !terminal::is_terminal(rustix::stdio::stdin()) {
        return Err(Error::new("Error: Cannot perform an interactive login from a non TTY device"));
    }
    let auth = ask(server, user.trim(), password, known.trim())?;
    enter(&call, &mut accounts, auth).await?;
    Ok(0)
}

/// `berth logout`.
pub(crate) async fn logout(call: Call) -> Result<u8> {
    let mut accounts = Accounts::open(&call.settings)?;
    let given = call.args.first().map_or("", String::as_str);
    let host = if given.is_empty() { HUB } else { account::hostname(given) };
    let mut names =
        vec![given.to_owned(), host.to_owned(), format!("http://{host}"), format!("https://{host}")];
    if given.is_empty() {
        names = vec![HUB.to_owned()];
    }
    stream::print_line(&format!("Removing login credentials for {host}"))?;
    let failures: Vec<String> = names
        .iter()
        .filter_map(|name| accounts.erase(name).err().map(|error| format!("{name}: {error}")))
        .collect();
    if failures.len() == names.len() {
        remark("WARNING: could not erase credentials:");
        failures.iter().for_each(|line| remark(line));
    }
    Ok(0)
}

/// Flags that do not go together.
fn check(call: &Call) -> Result<()> {
    let flags = &call.flags;
    let given = |name: &str| flags.given(name).is_some();
    let empty = |name: &str| flags.given(name) == Some("");
    match () {
        () if given("password-stdin") && given("password") => {
            Err(Error::new("conflicting options: cannot specify both --password and --password-stdin"))
        }
        () if given("password-stdin") && !given("username") => {
            Err(Error::new("the --password-stdin option requires --username to be set"))
        }
        () if empty("username") => Err(Error::new("username is empty")),
        () if empty("password") => Err(Error::new("password is empty")),
        () => Ok(()),
    }
}

/// The password given by a flag, or on stdin without its line's end.
fn password(call: &Call) -> Result<String> {
    let given = call.flags.text("password");
    if !given.is_empty() {
        remark("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
        return Ok(given.to_owned());
    }
    if !call.flags.is("password-stdin") {
        return Ok(String::new());
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|e| Error::new(format!("stdin can't be read: {e}")).because(e))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(Error::new("password is empty"));
    }
    Ok(text.to_owned())
}

/// Tries the account that is kept.
async fn again(call: &Call, accounts: &mut Accounts, stored: &AuthConfig) -> Result<()> {
    remark(&format!("Authenticating with existing credentials... [Username: {}]\n", stored.username));
    remark(" Info -> To login with a different account, run 'berth logout' followed by 'berth login'\n\n");
    let auth = AuthConfig { identitytoken: String::new(), ..stored.clone() };
    enter(call, accounts, auth).await
}

fn told(error: &Error) -> String {
    match error.kind() {
        Kind::Unauthorized => "Stored credentials invalid or expired".to_owned(),
        _ => format!("Login did not succeed, error: {error}"),
    }
}

/// Has the daemon try an account, and keeps it when it is good.
async fn enter(call: &Call, accounts: &mut Accounts, mut auth: AuthConfig) -> Result<()> {
    let answer: Value = call.client.post(Query::from("/auth"), Payload::Json(json!(auth))).await?;
    let token = text(&answer, "IdentityToken");
    if !token.is_empty() {
        auth.password.clear();
        token.clone_into(&mut auth.identitytoken);
    }
    accounts.put(&auth)?;
    let status = text(&answer, "Status");
    if !status.is_empty() {
        stream::print_line(status)?;
    }
    Ok(())
}

/// Asks on the terminal for what was not given.
fn ask(server: &str, user: &str, password: String, known: &str) -> Result<AuthConfig> {
    let mut user = user.to_owned();
    if user.is_empty() {
        if server == HUB {
            stream::print_line("Log in with your Docker ID and a password or a personal access token.")?;
        }
        stream::print(&if known.is_empty() {
            "Username: ".to_owned()
        } else {
            format!("Username ({known}): ")
        })?;
        user = terminal::line()?.trim().to_owned();
        if user.is_empty() {
            known.clone_into(&mut user);
        }
        if user.is_empty() {
            return Err(Error::new("Error: Non-null Username Required"));
        }
    }
    let mut password = password;
    if password.trim().is_empty() {
        stream::print("Password: ")?;
        let typed = terminal::secret();
        stream::print("\n")?;
        password = typed?;
        if password.is_empty() {
            return Err(Error::new("Error: Password Required"));
        }
    }
    Ok(AuthConfig { username: user, password, serveraddress: server.to_owned(), ..AuthConfig::default() })
}
