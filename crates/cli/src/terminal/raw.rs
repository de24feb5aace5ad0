//! Raw mode and sizes.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::termios::{self, OptionalActions, Termios};

/// Whether a descriptor is a terminal.
pub(crate) fn is_terminal(fd: impl AsFd) -> bool {
    termios::isatty(fd)
}

/// Rows and columns of the terminal on stdout; zero when it is none.
pub(crate) fn size() -> (u16, u16) {
    let stdout = std::io::stdout();
    termios::tcgetwinsize(stdout.as_fd()).map_or((0, 0), |size| (size.ws_row, size.ws_col))
}

/// The width to fold help texts at.
pub(crate) fn width() -> usize {
    match size() {
        (_, 0) => 80,
        (_, columns) => usize::from(columns),
    }
}

/// Raw mode on stdin, until dropped.
pub(crate) struct Raw {
    before: Option<Termios>,
}

impl Raw {
    /// Turns raw mode on when stdin is a terminal.
    pub(crate) fn on() -> Self {
        // SIGTTOU must not stop the command when it runs in the background; a refusal just leaves the mode.
        let stdin = rustix::stdio::stdin();
        Self { before: switch(stdin) }
    }

    /// Puts the mode back.
    pub(crate) fn off(&mut self) {
        if let Some(before) = self.before.take() {
            let _ = termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &before);
        }
    }
}

fn switch(stdin: BorrowedFd<'_>) -> Option<Termios> {
    let before = termios::tcgetattr(stdin).ok()?;
    let mut raw = before.clone();
    raw.make_raw();
    termios::tcsetattr(stdin, OptionalActions::Now, &raw).ok()?;
    Some(before)
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.off();
    }
}
