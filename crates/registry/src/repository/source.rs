//! Content on its way out: read in pieces on a thread that may block, no further ahead than the socket needs.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::http::Pieces;

/// So much is read at once.
const PIECE_BYTES: u64 = 512 << 10;
/// And so many pieces wait for the socket.
const AHEAD: usize = 3;

type Open = dyn Fn(u64) -> std::io::Result<Box<dyn Read + Send>> + Send + Sync;
type Tell = dyn Fn(u64) + Send + Sync;

/// Where a blob's bytes come from, and who is told how many have gone. They may be read more than once.
#[derive(Clone)]
pub struct Source {
    open: Arc<Open>,
    tell: Arc<Tell>,
}

impl Source {
    /// `open` answers a reader that begins at the byte it is given.
    pub fn new(open: impl Fn(u64) -> std::io::Result<Box<dyn Read + Send>> + Send + Sync + 'static) -> Self {
        Self { open: Arc::new(open), tell: Arc::new(|_| ()) }
    }

    /// The bytes themselves.
    #[must_use]
    pub fn bytes(bytes: Bytes) -> Self {
        Self::new(move |from| {
            let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
            Ok(Box::new(std::io::Cursor::new(bytes.slice(from..))))
        })
    }

    /// `tell` hears the position after each piece. It goes back when something has to be sent once more.
    #[must_use]
    pub fn telling(self, tell: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self { tell: Arc::new(tell), ..self }
    }

    /// The bytes from `from` on, `length` of them, or fewer where the source ends too soon.
    pub(crate) fn pieces(&self, from: u64, length: u64) -> Pieces {
        let (sender, pieces) = mpsc::channel(AHEAD);
        let source = self.clone();
        tokio::task::spawn_blocking(move || {
            let mut reader = match (source.open)(from) {
                Ok(reader) => reader.take(length),
                Err(error) => return drop(sender.blocking_send(Err(error))),
            };
            let mut at = from;
            loop {
                let mut piece = Vec::with_capacity(usize::try_from(PIECE_BYTES).unwrap_or(0));
                let result = (&mut reader).take(PIECE_BYTES).read_to_end(&mut piece);
                match result {
                    Ok(0) => return,
                    Ok(read) => at += read as u64,
                    Err(error) => return drop(sender.blocking_send(Err(error))),
                }
                // Nobody listens any more: the request is over.
                if sender.blocking_send(Ok(Bytes::from(piece))).is_err() {
                    return;
                }
                (source.tell)(at);
            }
        });
        pieces
    }
}
