//! Images as archives, on their way out.

use std::io::{self, Write};

use bytes::Bytes;
use hyper::Response;
use tokio::sync::mpsc;
use types::Kind;

use super::Context;
use crate::error::{Error, Result};
use crate::wire::answer::{Answer, breakable};

/// So much is handed to the connection at a time.
const PIECE: usize = 256 << 10;

/// `GET /images/get` and `/images/{name}/get`. The head waits for the first bytes, so that an image that is not there has its status;
/// what goes wrong later breaks the connection off: an archive that came to its end is whole.
pub(super) async fn get(context: Context) -> Result<Response<Answer>> {
    let Context { engine, query, name, .. } = context;
    let names = if name.is_empty() { query.all("names") } else { vec![name] };
    if names.is_empty() {
        return Err(Error::invalid("no image is named: want names=IMAGE"));
    }
    let platforms = query.all("platform");
    archive("application/x-tar", |output| async move { engine.image_save(names, platforms, output).await })
        .await
}

/// `GET /containers/{id}/export`, in the same way.
pub(super) async fn export(context: Context) -> Result<Response<Answer>> {
    let Context { engine, name, .. } = context;
    archive("application/octet-stream", |output| async move { engine.export(&name, output).await }).await
}

/// The answer that `write` writes.
async fn archive<W>(content_type: &'static str, write: impl FnOnce(Output) -> W) -> Result<Response<Answer>>
where
    W: Future<Output = engine::Result<()>> + Send + 'static,
{
    let (sender, mut pieces) = mpsc::channel(4);
    let writing = write(Output { sender: sender.clone(), held: Vec::with_capacity(PIECE) });
    tokio::spawn(async move {
        if let Err(error) = writing.await {
            let _ = sender.send(Err(error.into())).await;
        }
    });
    match pieces.recv().await {
        Some(first) => Ok(breakable(content_type, first?, pieces)),
        None => Err(Error::new(Kind::Internal, "the archive was not written")),
    }
}

/// Takes an archive from a thread that may block, and hands it on in larger pieces.
struct Output {
    sender: mpsc::Sender<Result<Bytes>>,
    held: Vec<u8>,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.held.len());
        self.held.extend_from_slice(&bytes[..taken]);
        if self.held.len() == PIECE {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.held, Vec::with_capacity(PIECE));
        self.sender.blocking_send(Ok(piece.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
