//! Importing a root file system that lies somewhere on the net.

use std::io;

use bytes::{Buf, Bytes};
use dockerapi::{Progress, ProgressDetail};
use tokio::sync::mpsc;

use crate::engine::Engine;
use crate::images::Import;
use crate::{Error, Result};

impl Engine {
    /// Makes an image of the archive at a URL (http when it has no scheme), and tells its id at the end.
    ///
    /// # Errors
    /// What the server answers when it is not the archive; an archive that breaks off or is malformed.
    pub async fn image_import_from(
        &self,
        url: &str,
        import: Import,
        mut tell: impl FnMut(Progress) + Send + 'static,
    ) -> Result<()> {
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let mut download = self.0.registry.download(&url).await?;
        tell(Progress::status(format!("Downloading from {url}")));
        let total = download.length().and_then(|length| i64::try_from(length).ok()).unwrap_or(0);
        let (sender, pieces) = mpsc::channel(4);
        let feeding = tokio::spawn(async move {
            let mut current = 0;
            loop {
                let piece = match download.chunk().await {
                    Ok(Some(piece)) => piece,
                    Ok(None) => break,
                    Err(error) => {
                        let _ = sender.send(Err(io::Error::other(error.to_string()))).await;
                        break;
                    }
                };
                current += i64::try_from(piece.len()).unwrap_or(0);
                let detail = Some(ProgressDetail { current, total });
                tell(Progress { detail, ..Progress::status("Importing") });
                if sender.send(Ok(piece)).await.is_err() {
                    break;
                }
            }
            tell
        });
        let imported = self.image_import(Pieces { coming: pieces, current: Bytes::new() }, import).await;
        let fed = feeding.await;
        let id = imported?;
        let mut tell = fed.map_err(|e| Error::doing("the download failed", types::Kind::Internal, e))?;
        tell(Progress::status(id));
        Ok(())
    }
}

/// A download as a blocking reader.
struct Pieces {
    coming: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl io::Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.coming.blocking_recv() {
                None => return Ok(0),
                Some(piece) => self.current = piece?,
            }
        }
        let count = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
