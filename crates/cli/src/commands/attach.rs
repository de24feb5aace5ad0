//! `attach`.

use std::rc::Rc;

use serde_json::Value;

use super::proxy::{self, Screen};
use super::{detach_keys, run};
use crate::error::{Error, Result};
use crate::stream::{Ended, Session, Wiring};
use crate::terminal;
use crate::tree::Call;
use crate::wire::{Payload, Query};

/// `berth attach`.
pub(crate) async fn attach(call: Call) -> Result<u8> {
    tokio::task::LocalSet::new().run_until(attached(Rc::new(call))).await
}

async fn attached(call: Rc<Call>) -> Result<u8> {
    let name = call.args[0].as_str();
    let keys = detach_keys(call.flags.text("detach-keys"))?;
    let container = running(&call, name).await?;
    let wait = Query::path("/containers/{}/wait", &[name]);
    let waiting = call.client.post_stream(wait, Payload::Nothing).await?;
    let tty = container["Config"]["Tty"] == true;
    let wants_stdin = !call.flags.is("no-stdin");
    if wants_stdin && tty && !terminal::is_terminal(rustix::stdio::stdin()) {
        return Err(Error::new("the input device is not a TTY"));
    }
    let stdin = wants_stdin && container["Config"]["OpenStdin"] == true;
    if call.flags.is_or("sig-proxy", true) && !tty {
        proxy::signals(&call, name);
    }
    let hijacked = run::attach(&call, name, [stdin, true, true]).await?;
    // It may have ended in between; then nothing would ever come.
    running(&call, name).await?;
    if tty && terminal::is_terminal(rustix::stdio::stdout()) {
        redraw(&call, name).await;
        proxy::sizes(&call, name, Screen::Container).await;
    }
    let mut session = Session::start(hijacked, Wiring { tty, stdin, stdout: true, stderr: true, keys });
    match session.ended().await {
        Ended::Detached => Err(Error::new("read escape sequence")),
        Ended::Failed(error) => Err(error.into()),
        Ended::Output => Ok(run::status(&call, name, waiting).await),
    }
}

async fn running(call: &Call, name: &str) -> Result<Value> {
    let container = call.client.get(Query::path("/containers/{}/json", &[name])).await?;
    let state = &container["State"];
    let refusal = match () {
        () if state["Running"] != true => "You cannot attach to a stopped container, start it first",
        () if state["Paused"] == true => "You cannot attach to a paused container, unpause it first",
        () if state["Restarting"] == true => {
            "You cannot attach to a restarting container, wait until it is running"
        }
        () => return Ok(container),
    };
    Err(Error::new(refusal))
}

/// A size that differs for a moment makes programs draw their screen again.
async fn redraw(call: &Call, name: &str) {
    let (rows, columns) = terminal::size();
    let odd = (rows.saturating_add(1), columns.saturating_add(1));
    proxy::resize(call, name, Screen::Container, odd).await;
}
