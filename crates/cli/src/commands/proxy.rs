//! What a terminal and a shell send to a command that stands for a container: signals and sizes.

use std::rc::Rc;

use crate::terminal;
use crate::tree::Call;
use crate::wire::{Payload, Query};

/// Passes the command's signals on to a container, as long as the runtime lives.
pub(super) fn signals(call: &Rc<Call>, id: &str) {
    let (call, id) = (Rc::clone(call), id.to_owned());
    let mut names = terminal::forward();
    tokio::task::spawn_local(async move {
        while let Some(name) = names.recv().await {
            let query = Query::path("/containers/{}/kill", &[&id]).with("signal", name);
            // A container that has just ended takes no signal; that is no news.
            let _ = call.client.post(query, Payload::Nothing).await;
        }
    });
}

/// What a size belongs to.
#[derive(Clone, Copy)]
pub(super) enum Screen {
    /// A container's terminal.
    Container,
    /// The terminal of a program in it.
    Exec,
}

/// Tells the terminal's size now and whenever it changes.
pub(super) async fn sizes(call: &Rc<Call>, id: &str, screen: Screen) {
    resize(call, id, screen, terminal::size()).await;
    let Ok(mut changes) = terminal::resizes() else { return };
    let (call, id) = (Rc::clone(call), id.to_owned());
    tokio::task::spawn_local(async move {
        while changes.recv().await.is_some() {
            resize(&call, &id, screen, terminal::size()).await;
        }
    });
}

/// Tells one size.
pub(super) async fn resize(call: &Call, id: &str, screen: Screen, (rows, columns): (u16, u16)) {
    if rows == 0 && columns == 0 {
        return;
    }
    let pattern = match screen {
        Screen::Container => "/containers/{}/resize",
        Screen::Exec => "/exec/{}/resize",
    };
    let query = Query::path(pattern, &[id]).with("h", &rows.to_string()).with("w", &columns.to_string());
    let _ = call.client.post(query, Payload::Nothing).await;
}
