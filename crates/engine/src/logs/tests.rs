//! The log stream on files that grow, rotate and end.

use std::fs;
use std::io::Write as _;

use super::*;
use tokio::sync::watch;

fn line(text: &str, stream: &str) -> String {
    format!("{{\"log\":\"{text}\\n\",\"stream\":\"{stream}\",\"time\":\"2026-11-21T00:00:00Z\"}}\n")
}

fn options(follow: bool) -> LogOptions {
    LogOptions { follow, stdout: true, stderr: true, ..LogOptions::default() }
}

#[tokio::test]
async fn a_follower_gets_everything_and_ends_with_the_container() {
    let dir = std::env::temp_dir().join(format!("berth-follow-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("directory");
    let path = dir.join("json.log");
    fs::write(&path, line("0", "stdout")).expect("log");
    let (phase, receiver) = watch::channel(Phase { live: true, ..Phase::default() });
    let mut stream = LogStream::open(&path, options(true), false, receiver).expect("open");
    let writer = tokio::spawn(async move {
        for n in 1..200 {
            if n % 40 == 0 {
                for old in (1..9).rev() {
                    let _ = fs::rename(
                        path.with_extension(format!("log.{old}")),
                        path.with_extension(format!("log.{}", old + 1)),
                    );
                }
                fs::rename(&path, path.with_extension("log.1")).expect("rename");
            }
            let mut file = fs::OpenOptions::new().create(true).append(true).open(&path).expect("append");
            file.write_all(line(&n.to_string(), "stderr").as_bytes()).expect("write");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        phase.send_modify(|p| p.live = false);
    });
    let mut got = Vec::new();
    while let Some((_, bytes)) = stream.next().await {
        got.push(String::from_utf8_lossy(&bytes).trim().parse::<u32>().expect("number"));
    }
    writer.await.expect("writer");
    fs::remove_dir_all(&dir).expect("clean");
    assert_eq!(got, (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_follower_of_an_ended_container_reads_and_ends() {
    let path = std::env::temp_dir().join(format!("berth-ended-{}.log", std::process::id()));
    fs::write(&path, line("a", "stdout") + &line("b", "stderr")).expect("log");
    let (_phase, receiver) = watch::channel(Phase::default());
    let chosen = LogOptions { stdout: false, ..options(true) };
    let mut stream = LogStream::open(&path, chosen, true, receiver).expect("open");
    assert_eq!(stream.next().await, Some((2, Bytes::from_static(b"b\n"))));
    assert_eq!(stream.next().await, None);
    fs::remove_file(&path).expect("clean");
}
