//! `start`.

use std::rc::Rc;

use super::proxy::{self, Screen};
use super::{detach_keys, run, text};
use crate::error::{Error, Result};
use crate::stream::{self, Ended, Session, Wiring, remark};
use crate::terminal;
use crate::tree::Call;
use crate::wire::{Payload, Query};

/// `berth start`.
pub(crate) async fn start(call: Call) -> Result<u8> {
    if !call.flags.is("attach") && !call.flags.is("interactive") {
        return all(&call).await;
    }
    if call.args.len() > 1 {
        return Err(Error::new("you cannot start and attach multiple containers at once"));
    }
    tokio::task::LocalSet::new().run_until(attached(Rc::new(call))).await
}

async fn all(call: &Call) -> Result<u8> {
    let mut failed = Vec::new();
    for name in &call.args {
        match call.client.post(Query::path("/containers/{}/start", &[name]), Payload::Nothing).await {
            Ok(_) => stream::print_line(name)?,
            Err(error) => {
                remark(&error.to_string());
                failed.push(name.as_str());
            }
        }
    }
    if failed.is_empty() {
        return Ok(0);
    }
    Err(Error::new(format!("Error: failed to start containers: {}", failed.join(", "))))
}

async fn attached(call: Rc<Call>) -> Result<u8> {
    let container = call.client.get(Query::path("/containers/{}/json", &[&call.args[0]])).await?;
    let id = text(&container, "Id").to_owned();
    let tty = container["Config"]["Tty"] == true;
    let keys = detach_keys(call.flags.text("detach-keys"))?;
    if !tty {
        proxy::signals(&call, &id);
    }
    let stdin = call.flags.is("interactive") && container["Config"]["OpenStdin"] == true;
    let auto_remove = container["HostConfig"]["AutoRemove"] == true;
    let hijacked = run::attach(&call, &id, [stdin, true, true]).await?;
    let mut session = Session::start(hijacked, Wiring { tty, stdin, stdout: true, stderr: true, keys });
    let waiting = run::wait(&call, &id, auto_remove).await?;
    call.client.post(Query::path("/containers/{}/start", &[&id]), Payload::Nothing).await?;
    if tty && terminal::is_terminal(rustix::stdio::stdout()) {
        proxy::sizes(&call, &id, Screen::Container).await;
    }
    match session.ended().await {
        Ended::Detached => Ok(0),
        Ended::Failed(error) => Err(error.into()),
        Ended::Output => Ok(run::status(&call, &id, waiting).await),
    }
}
