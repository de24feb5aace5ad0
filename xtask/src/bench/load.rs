//! A client of registries that only counts: HTTP/1.1 on connections that are kept, one request after the other on each.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};

/// One connection.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What an answer's head says.
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) location: String,
    /// Bytes of the body, which were read and thrown away.
    pub(super) length: usize,
}

impl Connection {
    /// Connects to a port of this machine, waiting for somebody to listen there.
    pub(super) fn open(port: u16) -> Result<Self, String> {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(|e| e.to_string())?;
                    return Ok(Self { stream, buffer: vec![0; 1 << 20] });
                }
                Err(e) if Instant::now() > end => return Err(format!("port {port}: {e}")),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Asks, and reads the whole answer.
    pub(super) fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> Result<Head, String> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        self.stream.write_all(head.as_bytes()).map_err(|e| format!("{method} {path}: {e}"))?;
        self.stream.write_all(body).map_err(|e| format!("{method} {path}: {e}"))?;
        self.answer().map_err(|e| format!("{method} {path}: {e}"))
    }

    fn answer(&mut self) -> Result<Head, String> {
        let mut have = 0;
        let end = loop {
            let more = self.stream.read(&mut self.buffer[have..]).map_err(|e| e.to_string())?;
            if more == 0 {
                return Err("the connection ended".to_owned());
            }
            have += more;
            if let Some(end) = self.buffer[..have].windows(4).position(|w| w == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let text = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        let field = |name: &str| {
            let line = text
                .lines()
                .find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)));
            line.map(|(_, value)| value.to_owned())
        };
        let status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or("no status")?;
        let length = field("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut left = length + end - have;
        while left > 0 {
            let most = left.min(self.buffer.len());
            let more = self.stream.read(&mut self.buffer[..most]).map_err(|e| e.to_string())?;
            if more == 0 {
                return Err("the answer is cut short".to_owned());
            }
            left -= more;
        }
        Ok(Head { status, location: field("location").unwrap_or_default(), length })
    }

    /// Pushes a blob as clients do: begin, then everything in the last request.
    pub(super) fn push(&mut self, content: &[u8], digest: &str) -> Result<(), String> {
        let begun = self.ask("POST", "/v2/bench/blobs/uploads/", "", b"")?;
        let path =
            begun.location.split_once("/v2/").map(|(_, rest)| format!("/v2/{rest}")).unwrap_or_default();
        let mark = if path.contains('?') { '&' } else { '?' };
        let kind = "Content-Type: application/octet-stream\r\n";
        match self.ask("PUT", &format!("{path}{mark}digest={digest}"), kind, content)?.status {
            201 => Ok(()),
            status => Err(format!("a push was answered with {status}")),
        }
    }
}

/// The digest of a content, as registries write it.
pub(super) fn digest_of(content: &[u8]) -> String {
    let hex: String = digest(&SHA256, content).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Does `act` on so many connections at once until the time is over; how often it was done in a second.
pub(super) fn rate<A>(port: u16, connections: usize, time: Duration, act: A) -> Result<f64, String>
where
    A: Fn(&mut Connection, usize, usize) -> Result<(), String> + Sync,
{
    let began = Instant::now();
    let counts: Result<Vec<usize>, String> = std::thread::scope(|scope| {
        let act = &act;
        let clients: Vec<_> = (0..connections)
            .map(|client| {
                scope.spawn(move || {
                    let mut connection = Connection::open(port)?;
                    let mut count = 0;
                    while began.elapsed() < time {
                        act(&mut connection, client, count)?;
                        count += 1;
                    }
                    Ok(count)
                })
            })
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap_or_else(|why| std::panic::resume_unwind(why)))
            .collect()
    });
    Ok(counts?.iter().sum::<usize>() as f64 / began.elapsed().as_secs_f64())
}
