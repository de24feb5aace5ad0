//! `exec`.

use std::rc::Rc;

use serde_json::{Value, json};

use super::proxy::{self, Screen};
use super::{detach_keys, exit_code, text};
use crate::create;
use crate::error::{Error, Result};
use crate::stream::{Ended, Session, Wiring};
use crate::terminal;
use crate::tree::Call;
use crate::wire::{Payload, Query};

/// `berth exec`.
pub(crate) async fn exec(call: Call) -> Result<u8> {
    let body = body(&call)?;
    let [tty, stdin, detach] = ["tty", "interactive", "detach"].map(|flag| call.flags.is(flag));
    let keys = detach_keys(call.flags.text("detach-keys"))?;
    if !detach && stdin && tty && !terminal::is_terminal(rustix::stdio::stdin()) {
        return Err(Error::new("the input device is not a TTY"));
    }
    let size = body["ConsoleSize"].clone();
    let query = Query::path("/containers/{}/exec", &[&call.args[0]]);
    let id = text(&call.client.post(query, Payload::Json(body)).await?, "Id").to_owned();
    let mut start = json!({ "Detach": detach, "Tty": tty });
    if tty {
        start["ConsoleSize"] = size;
    }
    let query = Query::path("/exec/{}/start", &[&id]);
    if detach {
        call.client.post(query, Payload::Json(start)).await?;
        return Ok(0);
    }
    let hijacked = call.client.hijack(query, Some(start)).await?;
    let call = Rc::new(call);
    let session = Session::start(hijacked, Wiring { tty, stdin, stdout: true, stderr: true, keys });
    tokio::task::LocalSet::new().run_until(follow(call, session, id, tty)).await
}

async fn follow(call: Rc<Call>, mut session: Session, id: String, tty: bool) -> Result<u8> {
    if tty && terminal::is_terminal(rustix::stdio::stdin()) {
        proxy::sizes(&call, &id, Screen::Exec).await;
    }
    match session.ended().await {
        Ended::Detached => return Err(Error::new("read escape sequence")),
        Ended::Failed(error) => return Err(error.into()),
        Ended::Output => {}
    }
    let ended = call.client.get(Query::path("/exec/{}/json", &[&id])).await?;
    Ok(exit_code(ended["ExitCode"].as_i64().unwrap_or_default()))
}

fn body(call: &Call) -> Result<Value> {
    let flags = &call.flags;
    let variables = create::variables(flags.list("env-file"), flags.list("env")).map_err(Error::new)?;
    let attached = !flags.is("detach");
    let mut body = json!({
        "User": flags.text("user"),
        "Privileged": flags.is("privileged"),
        "Tty": flags.is("tty"),
        "AttachStdin": attached && flags.is("interactive"),
        "AttachStderr": attached,
        "AttachStdout": attached,
        "Detach": !attached,
        "DetachKeys": flags.text("detach-keys"),
        "Env": if variables.is_empty() { Value::Null } else { variables.into() },
        "WorkingDir": flags.text("workdir"),
        "Cmd": call.args[1..],
    });
    if flags.is("tty") {
        let (rows, columns) = terminal::size();
        body["ConsoleSize"] = json!([rows, columns]);
    }
    Ok(body)
}
