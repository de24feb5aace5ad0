//! Questions to the user.

use std::io;

use rustix::termios::{self, LocalModes, OptionalActions};

/// A line that the user types.
pub(crate) fn line() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().read_line(&mut text)?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// The same, unseen. Control-C ends the question, and the terminal is as it was before.
pub(crate) fn secret() -> io::Result<String> {
    let _silence = Silence::on();
    let mut typed = Typed::default();
    let mut byte = [0];
    loop {
        match rustix::io::read(rustix::stdio::stdin(), &mut byte) {
            Ok(0) => break,
            Ok(_) if typed.is_over(byte[0]) => break,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    if typed.interrupted {
        return Err(io::ErrorKind::Interrupted.into());
    }
    String::from_utf8(typed.bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "what was typed is no UTF-8"))
}

/// A line as far as it was typed.
#[derive(Default)]
struct Typed {
    bytes: Vec<u8>,
    interrupted: bool,
}

impl Typed {
    /// Takes one more byte; true at the line's end.
    fn is_over(&mut self, byte: u8) -> bool {
        match byte {
            b'\n' | b'\r' | 4 => return true,
            3 => {
                self.interrupted = true;
                return true;
            }
            // Delete and backspace take back a character, however many bytes it has.
            8 | 127 => while self.bytes.pop().is_some_and(|b| b & 0xc0 == 0x80) {},
            21 => self.bytes.clear(),
            byte => self.bytes.push(byte),
        }
        false
    }
}

/// Neither echo nor lines nor signals on stdin, until dropped.
struct Silence(Option<termios::Termios>);

impl Silence {
    fn on() -> Self {
        let stdin = rustix::stdio::stdin();
        let Ok(before) = termios::tcgetattr(stdin) else { return Self(None) };
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        let set = termios::tcsetattr(stdin, OptionalActions::Now, &silent);
        Self(set.is_ok().then_some(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if let Some(before) = self.0.take() {
            let _ = termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Typed;

    #[test]
    fn lines_are_typed() {
        for (keys, text, interrupted) in [
            ("abc\n", "abc", false),
            ("abx\x7fc\rz", "abc", false),
            ("ä\x08\u{7f}b\x04", "b", false),
            ("abc\x15d\n", "d", false),
            ("ab\x03c", "ab", true),
        ] {
            let mut typed = Typed::default();
            let _ = keys.bytes().find(|byte| typed.is_over(*byte));
            assert_eq!(
                (typed.bytes.as_slice(), typed.interrupted),
                (text.as_bytes(), interrupted),
                "{keys:?}"
            );
        }
    }
}
