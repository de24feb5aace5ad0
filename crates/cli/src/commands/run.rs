//! `run` and `create`.
#![allow(clippy::disallowed_methods, reason = "writes the file that --cidfile names")]

use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use types::Kind;

use super::proxy::{self, Screen};
use super::{detach_keys, exit_code, text, transfer, warn};
use crate::create::{self, Body};
use crate::error::{Error, Result};
use crate::stream::{self, Ended, Session, Wiring, remark};
use crate::terminal;
use crate::tree::Call;
use crate::wire::{Hijacked, Payload, Query, Stream};

/// `berth create`.
pub(crate) async fn create(call: Call) -> Result<u8> {
    let body = request(&call, false)?;
    let id = make(&call, &body).await?;
    stream::print_line(&id)?;
    Ok(0)
}

/// `berth run`.
pub(crate) async fn run(call: Call) -> Result<u8> {
    let detached = call.flags.is("detach");
    let body = request(&call, detached)?;
    if detached && !call.flags.list("attach").is_empty() {
        return Err(Error::new("conflicting options: cannot specify both --attach and --detach"));
    }
    let keys = detach_keys(call.flags.text("detach-keys"))?;
    if body.attach[0] && body.tty && !terminal::is_terminal(rustix::stdio::stdin()) {
        return Err(Error::new("the input device is not a TTY"));
    }
    let id = make(&call, &body).await.map_err(framed)?;
    if body.attach == [false; 3] {
        let query = Query::path("/containers/{}/start", &[&id]);
        call.client.post(query, Payload::Nothing).await.map_err(framed)?;
        stream::print_line(&id)?;
        return Ok(0);
    }
    tokio::task::LocalSet::new().run_until(attached(Rc::new(call), body, id, keys)).await
}

/// Attach, wait and start, in the order that loses nothing; then copy until the end.
async fn attached(call: Rc<Call>, body: Body, id: String, keys: Vec<u8>) -> Result<u8> {
    if call.flags.is_or("sig-proxy", true) {
        proxy::signals(&call, &id);
    }
    let (attaching, waiting) =
        tokio::join!(attach(&call, &id, body.attach), wait(&call, &id, body.auto_remove));
    let (hijacked, waiting) = (attaching?, waiting?);
    let [stdin, stdout, stderr] = body.attach;
    let mut session = Session::start(hijacked, Wiring { tty: body.tty, stdin, stdout, stderr, keys });
    let mut waiting = tokio::task::spawn_local(waited(Rc::clone(&call), id.clone(), waiting));
    let start = Query::path("/containers/{}/start", &[&id]);
    if let Err(error) = call.client.post(start, Payload::Nothing).await {
        session.restore();
        if body.auto_remove {
            let _ = waiting.await;
        }
        return Err(framed(error));
    }
    if body.tty && terminal::is_terminal(rustix::stdio::stdout()) {
        proxy::sizes(&call, &id, Screen::Container).await;
    }
    let lost = |_| 125;
    tokio::select! {
        ended = session.ended() => match ended {
            Ended::Detached => Ok(0),
            Ended::Failed(error) => Err(error.into()),
            Ended::Output => Ok(waiting.await.unwrap_or_else(lost)),
        },
        code = &mut waiting => {
            let code = code.unwrap_or_else(lost);
            // What it printed last is still on its way; without outputs there is nothing to wait for.
            if (stdout || stderr) && let Ended::Failed(error) = session.ended().await {
                return Err(error.into());
            }
            session.restore();
            Ok(code)
        }
    }
}

async fn waited(call: Rc<Call>, id: String, answer: Stream) -> u8 {
    status(&call, &id, answer).await
}

/// Takes a container's streams over.
pub(super) async fn attach(call: &Call, id: &str, [stdin, stdout, stderr]: [bool; 3]) -> Result<Hijacked> {
    let query = Query::path("/containers/{}/attach", &[id])
        .with_some("detachKeys", call.flags.text("detach-keys"))
        .with("stream", "1")
        .with_switch("stdin", stdin)
        .with_switch("stdout", stdout)
        .with_switch("stderr", stderr);
    call.client.hijack(query, None).await
}

/// Asks for the exit code of the container's next run; once this returns, no end can be missed.
pub(super) async fn wait(call: &Call, id: &str, removed: bool) -> Result<Stream> {
    let condition = if removed { "removed" } else { "next-exit" };
    let query = Query::path("/containers/{}/wait", &[id]).with("condition", condition);
    call.client.post_stream(query, Payload::Nothing).await
}

/// The exit code out of an answer to `wait`. Berth's containers outlive their daemon: when it goes away, the question
/// is asked again as soon as there is one.
pub(super) async fn status(call: &Call, id: &str, answer: Stream) -> u8 {
    let Some(document) = told(call, id, answer).await else {
        remark(&format!("berth: error waiting for container: no daemon came back; see 'berth wait {id}'"));
        return 125;
    };
    if let Some(message) = document["Error"]["Message"].as_str().filter(|message| !message.is_empty()) {
        remark(&format!("berth: error waiting for container: {message}"));
        return 125;
    }
    document["StatusCode"].as_i64().map_or(125, exit_code)
}

/// The document that an answer to `wait` holds, if need be of a later daemon.
pub(super) async fn told(call: &Call, id: &str, answer: Stream) -> Option<Value> {
    if let Some(document) = read(answer).await {
        return Some(document);
    }
    remark("berth: the daemon went away; the container goes on, its exit code is awaited");
    ask_again(call, id).await
}

/// The whole answer, or nothing when it broke off.
async fn read(mut answer: Stream) -> Option<Value> {
    let mut bytes = Vec::new();
    while let Some(more) = answer.next().await.ok()? {
        bytes.extend_from_slice(&more);
    }
    serde_json::from_slice(&bytes).ok().filter(|document: &Value| document["StatusCode"].is_i64())
}

async fn ask_again(call: &Call, id: &str) -> Option<Value> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(100)).await;
        match call.client.post_stream(Query::path("/containers/{}/wait", &[id]), Payload::Nothing).await {
            Ok(answer) => match read(answer).await {
                Some(document) => return Some(document),
                None => continue,
            },
            // The daemon is back, and has removed the container: nobody knows its code any more.
            Err(error) if error.kind() == Kind::NotFound => return None,
            Err(_) => {}
        }
    }
    None
}

fn request(call: &Call, detached: bool) -> Result<Body> {
    let bad = |reason: String| Error::in_command(&reason, name(call));
    let pull = call.flags.text("pull");
    if !matches!(pull, "" | "always" | "missing" | "never") {
        return Err(bad(format!(
            "invalid pull option: '{pull}': must be one of \"always\", \"missing\" or \"never\""
        )));
    }
    let mut body = create::body(&call.flags, &call.args, detached).map_err(bad)?;
    let (rows, columns) = terminal::size();
    body.document["HostConfig"]["ConsoleSize"] = json!([rows, columns]);
    Ok(body)
}

/// `run` or `create`, as help knows it.
fn name(call: &Call) -> &'static str {
    call.path.rsplit(' ').next().unwrap_or(call.path)
}

/// Creates the container: its id.
async fn make(call: &Call, body: &Body) -> Result<String> {
    let image = body.document["Image"].as_str().unwrap_or_default();
    check_reference(image)?;
    let mut id_file = IdFile::open(call.flags.text("cidfile"))?;
    let query = Query::from("/containers/create")
        .with_some("name", call.flags.text("name"))
        .with_some("platform", &call.platform);
    let pull = call.flags.text("pull");
    if pull == "always" {
        transfer::pull_for(call, image).await?;
    }
    let ask = || call.client.post(query.clone(), Payload::Json(body.document.clone()));
    let answer = match ask().await {
        Err(error) if pull != "never" && pull != "always" && is_absent(&error) && !is_id(image) => {
            tell_absent(call, image);
            transfer::pull_for(call, image).await?;
            ask().await?
        }
        other => other?,
    };
    warn(&answer);
    for address in &body.loopback_dns {
        remark(&format!("WARNING: Localhost DNS ({address}) may fail in containers."));
    }
    let id = text(&answer, "Id").to_owned();
    id_file.keep(&id)?;
    Ok(id)
}

fn check_reference(image: &str) -> Result<()> {
    if is_id(image) {
        return Ok(());
    }
    image.parse::<types::Reference>().map(drop).map_err(|e| Error::new(e.to_string()))
}

/// Whether a text can only be an image's id, which no registry knows.
fn is_id(image: &str) -> bool {
    image.starts_with("sha256:") || (image.len() == 64 && image.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_absent(error: &Error) -> bool {
    error.kind() == Kind::NotFound && error.to_string().to_lowercase().contains("no such image")
}

fn tell_absent(call: &Call, image: &str) {
    if !call.flags.is("quiet") {
        let familiar = image.parse::<types::Reference>().map_or_else(|_| image.to_owned(), |r| r.familiar());
        remark(&format!("Unable to find image '{familiar}' locally"));
    }
}

/// Docker's frame around an error of `run`, and the exit code that belongs to it.
fn framed(error: Error) -> Error {
    let text = error.to_string();
    let code = exit_code_of(&text);
    Error::in_command(&text, "run").code(code).of(error.kind())
}

/// 127 when the program is not there, 126 when it can't be run, 125 for the rest.
fn exit_code_of(text: &str) -> u8 {
    const ABSENT: &[&str] =
        &["executable file not found", "no such file or directory", "system cannot find the file specified"];
    const UNUSABLE: &[&str] = &["permission denied", "is a directory"];
    let has = |list: &[&str]| list.iter().any(|part| text.contains(part));
    match () {
        () if has(ABSENT) => 127,
        () if has(UNUSABLE) => 126,
        () => 125,
    }
}

/// The file of `--cidfile`: made before the container, gone again when there is none.
struct IdFile {
    path: String,
    file: Option<std::fs::File>,
}

impl IdFile {
    fn open(path: &str) -> Result<Self> {
        let failed =
            |e: std::io::Error| Error::new(format!("failed to create the container ID file: {e}")).because(e);
        let file = match path {
            "" => None,
            _ if std::path::Path::new(path).exists() => {
                let text = format!(
                    "container ID file found, make sure the other container isn't running or delete {path}"
                );
                return Err(Error::new(text).of(Kind::Conflict));
            }
            _ => Some(std::fs::File::create_new(path).map_err(failed)?),
        };
        Ok(Self { path: path.to_owned(), file })
    }

    fn keep(&mut self, id: &str) -> Result<()> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        file.write_all(id.as_bytes())
            .map_err(|e| Error::new(format!("failed to write the container ID to the file: {e}")).because(e))
    }
}

impl Drop for IdFile {
    fn drop(&mut self) {
        if self.file.is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::exit_code_of;

    #[test]
    fn errors_have_dockers_codes() {
        for (text, code) in [
            ("Error response from daemon: exec: \"x\": executable file not found in $PATH", 127),
            ("exec /x: no such file or directory", 127),
            ("exec: \"/etc\": is a directory: permission denied", 126),
            ("exec /etc/passwd: permission denied", 126),
            ("Conflict. The container name \"/x\" is already in use", 125),
        ] {
            assert_eq!(exit_code_of(text), code, "{text}");
        }
    }
}
