//! Lists of images for several platforms: `manifest` of both command lines on the same files and the same registry.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use testkit::{Daemon, Ran, Registry};

const HOST: &str = "127.0.0.1:5000";

struct User<'a>(&'a Daemon, PathBuf);

impl User<'_> {
    fn run(&self, program: &str, words: &str) -> Ran {
        let words = words.replace('@', HOST);
        let mut command = Command::new(program);
        command.args(words.split(' ')).env("DOCKER_HOST", self.0.host()).env("DOCKER_CONFIG", &self.1);
        let output = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{program}: {e}"));
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// What is made by one is the other's, and what both print and push is the same to the byte.
pub(crate) fn lists_are_dockers() {
    let d = Daemon::start();
    d.busybox();
    let _registry = Registry::start(5000, &[]);
    let berth = std::env::var("BERTH").unwrap_or_else(|_| "berth".to_owned());
    let user = User(&d, d.directory().join("settings"));
    for tag in ["1", "2"] {
        user.run("docker", &format!("tag busybox @/box:{tag}")).ok();
        user.run("docker", &format!("push -q @/box:{tag}")).ok();
    }
    for (maker, list) in [("docker", "list:d"), (berth.as_str(), "list:b")] {
        let say = |words: &str| user.run(maker, &words.replace("LIST", &format!("@/{list}")));
        assert_eq!(
            say("manifest create --insecure LIST @/box:1 @/box:2").ok(),
            format!("Created manifest list {HOST}/{list}")
        );
        let again = say("manifest create --insecure LIST @/box:1");
        assert_eq!(
            (again.code, again.err.trim()),
            (1, "refusing to amend an existing manifest list with no --amend flag")
        );
        say("manifest annotate --os linux --arch arm64 --variant v8 LIST @/box:2").ok();
        let odd = say("manifest annotate --arch nope LIST @/box:2");
        assert!(odd.code == 1 && odd.err.contains("unsupported os/arch combination"), "{}", odd.err);
        let absent = say("manifest annotate --arch arm LIST @/box:3");
        assert_eq!(
            absent.err.trim(),
            format!("manifest for image {HOST}/box:3 does not exist in {HOST}/{list}")
        );
        for words in ["inspect LIST", "inspect -v LIST", "inspect LIST @/box:2", "inspect -v LIST @/box:1"] {
            let words = format!("manifest {words}").replace("LIST", &format!("@/{list}"));
            let (docker, ours) = (user.run("docker", &words).ok(), user.run(&berth, &words).ok());
            assert_eq!(docker, ours, "{words}");
        }
    }
    let pushed = user.run("docker", "manifest push --insecure @/list:d").ok();
    assert_eq!(user.run(&berth, "manifest push --insecure @/list:b").ok(), pushed);
    for words in ["inspect --insecure @/box:1", "inspect --insecure -v @/box:1"] {
        let words = format!("manifest {words}");
        assert_eq!(user.run("docker", &words).ok(), user.run(&berth, &words).ok(), "{words}");
    }
    assert_eq!(user.run(&berth, "manifest push -p --insecure @/list:b").ok(), pushed);
    user.run(&berth, "manifest rm @/list:d").ok();
    for (words, sentence) in [
        ("manifest rm @/list:d", "No such manifest: 127.0.0.1:5000/list:d"),
        ("manifest push --insecure @/list:b", "No such manifest: 127.0.0.1:5000/list:b"),
        ("manifest inspect --insecure @/nope:1", "no such manifest: 127.0.0.1:5000/nope:1"),
    ] {
        for program in ["docker", &berth] {
            let said = user.run(program, words);
            assert_eq!((said.code, said.err.trim()), (1, sentence), "{program} {words}");
        }
    }
    for words in ["inspect --insecure @/list:d", "inspect --insecure -v @/list:d"] {
        let words = format!("manifest {words}");
        assert_eq!(user.run("docker", &words).ok(), user.run(&berth, &words).ok(), "{words}");
    }
}
