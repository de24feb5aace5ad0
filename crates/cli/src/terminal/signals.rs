//! Signals of the command that belong to the container, and changes of the terminal's size.

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// What is sent on: everything that can be caught, except what the terminal and the kernel use for themselves.
const FORWARDED: &[(Signal, &str)] = &[
    (Signal::HUP, "HUP"),
    (Signal::INT, "INT"),
    (Signal::QUIT, "QUIT"),
    (Signal::USR1, "USR1"),
    (Signal::USR2, "USR2"),
    (Signal::ALARM, "ALRM"),
    (Signal::TERM, "TERM"),
    (Signal::CONT, "CONT"),
    (Signal::TSTP, "TSTP"),
    (Signal::TTIN, "TTIN"),
    (Signal::TTOU, "TTOU"),
    (Signal::XCPU, "XCPU"),
    (Signal::XFSZ, "XFSZ"),
    (Signal::VTALARM, "VTALRM"),
    (Signal::PROF, "PROF"),
    (Signal::IO, "IO"),
    (Signal::POWER, "PWR"),
];

/// Catches every signal to forward; their names come out of the channel.
pub(crate) fn forward() -> mpsc::Receiver<&'static str> {
    let (sender, receiver) = mpsc::channel(16);
    for (number, name) in FORWARDED {
        let Ok(mut stream) = signal(SignalKind::from_raw(number.as_raw())) else { continue };
        let sender = sender.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                if sender.send(*name).await.is_err() {
                    break;
                }
            }
        });
    }
    receiver
}

/// Tells when the terminal's size has changed.
pub(crate) fn resizes() -> std::io::Result<tokio::signal::unix::Signal> {
    signal(SignalKind::window_change())
}
