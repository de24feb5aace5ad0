//! Archives of root file systems that lie somewhere else: on a server, behind a redirect, or cut short.

use std::io::{Read, Write};
use std::net::TcpListener;

use testkit::Daemon;

/// Answers every request by its path, until the test is over.
fn serve(listener: TcpListener, archive: Vec<u8>) {
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else { return };
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && connection.read(&mut byte).is_ok_and(|count| count == 1) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let length = archive.len();
            let (answer, body) = match head.split(' ').nth(1) {
                Some("/box.tar") => (format!("200 OK\r\nContent-Length: {length}"), &archive[..]),
                Some("/moved") => {
                    ("302 Found\r\nLocation: /box.tar\r\nContent-Length: 0".to_owned(), &b""[..])
                }
                Some("/cut") => (format!("200 OK\r\nContent-Length: {length}"), &archive[..length / 2]),
                _ => ("404 Not Found\r\nContent-Length: 5".to_owned(), &b"none\n"[..]),
            };
            let _ =
                connection.write_all(format!("HTTP/1.1 {answer}\r\nConnection: close\r\n\r\n").as_bytes());
            let _ = connection.write_all(body);
        }
    });
}

/// The daemon fetches what a URL names, and keeps nothing of what broke off.
pub(crate) fn by_url() {
    let d = Daemon::start();
    let listener = TcpListener::bind("127.0.0.1:5100").unwrap();
    serve(listener, testkit::busybox_tar());
    let import =
        |path: &str, name: &str| d.docker(&["import", "-c", "CMD [\"sh\"]", "-m", "mine", path, name]);
    let said = import("http://127.0.0.1:5100/box.tar", "box:1").ok();
    assert!(
        said.starts_with("Downloading from http://127.0.0.1:5100/box.tar\n") && said.contains("sha256:"),
        "{said}"
    );
    assert_eq!(d.docker(&["run", "--rm", "--network", "none", "box:1", "echo", "here"]).ok(), "here");
    assert_eq!(d.docker(&["image", "inspect", "-f", "{{.Comment}}", "box:1"]).ok(), "mine");
    assert!(import("http://127.0.0.1:5100/moved", "box:2").ok().contains("sha256:"));
    let before = d.docker(&["images", "-q"]).ok();
    for (path, code) in [
        ("http://127.0.0.1:5100/absent", 1),
        ("http://127.0.0.1:5100/cut", 1),
        ("http://127.0.0.1:5199/x", 1),
    ] {
        let said = import(path, "box:3");
        assert_eq!(said.code, code, "{path}: {}", said.out);
        assert!(!said.err.trim().is_empty(), "{path}");
    }
    assert_eq!(d.docker(&["images", "-q"]).ok(), before);
    let absent = import("http://127.0.0.1:5100/absent", "box:3").err;
    assert!(absent.contains("404"), "{absent}");
}
