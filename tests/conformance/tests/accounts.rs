//! Accounts: `login` and `logout` of both command lines on the same settings, helper programs, questions on a terminal.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use testkit::{Daemon, Ran, Registry};

const CLOSED: &str = "127.0.0.1:5001";

/// A program that keeps secrets in one file, and notes what it was asked.
const HELPER: &str = "#!/bin/sh
echo \"$1\" >> \"$KEEPER/asked\"
case \"$1\" in
store) cat > \"$KEEPER/secret\" ;;
get) if [ -f \"$KEEPER/secret\" ]; then cat \"$KEEPER/secret\"; else echo 'credentials not found in native keychain'; exit 1; fi ;;
erase) rm -f \"$KEEPER/secret\" ;;
esac
";

/// Settings with what people have in them besides accounts.
const BEFORE: &str = "{\n\t\"auths\": {\n\t\t\"old.example\": {\n\t\t\t\"auth\": \"a2ltOnA=\"\n\t\t}\n\t},\n\t\"HttpHeaders\": {\n\t\t\"X-Mine\": \"1\"\n\t},\n\t\"psFormat\": \"{{.ID}}\"\n}";

struct User<'a> {
    daemon: &'a Daemon,
    settings: PathBuf,
    path: String,
}

impl User<'_> {
    fn new<'a>(daemon: &'a Daemon, name: &str, settings: &str) -> User<'a> {
        let directory = daemon.directory().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("config.json"), settings).unwrap();
        let helper = directory.join("docker-credential-keeper");
        std::fs::write(&helper, HELPER).unwrap();
        std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap_or_default());
        User { daemon, settings: directory, path }
    }

    fn run(&self, program: &str, words: &[&str]) -> Ran {
        let mut command = Command::new(program);
        command.args(words).env("DOCKER_HOST", self.daemon.host()).env("DOCKER_CONFIG", &self.settings);
        command.env("PATH", &self.path).env("KEEPER", &self.settings).stdin(Stdio::null());
        let output = command.output().unwrap_or_else(|e| panic!("{program}: {e}"));
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn file(&self) -> String {
        std::fs::read_to_string(self.settings.join("config.json")).unwrap()
    }
}

fn berth() -> String {
    std::env::var("BERTH").unwrap_or_else(|_| "berth".to_owned())
}

fn stage() -> (Daemon, Registry) {
    let d = Daemon::start();
    d.busybox();
    let said = d.docker(&["tag", "busybox", &format!("{CLOSED}/box:1")]);
    assert_eq!(said.code, 0, "{}", said.err);
    (d, Registry::start(5001, &[("kim", "secret")]))
}

const LOGIN: &[&str] = &["login", "-u", "kim", "-p", "secret", CLOSED];

/// Both leave the same file behind, and each takes the other's.
pub(crate) fn settings_are_dockers() {
    let (d, _registry) = stage();
    let (docker, ours) = (User::new(&d, "docker", BEFORE), User::new(&d, "ours", BEFORE));
    docker.run("docker", LOGIN).ok();
    ours.run(&berth(), LOGIN).ok();
    let read = |text: String| serde_json::from_str::<Value>(&text).unwrap();
    assert_eq!(read(docker.file()), read(ours.file()));
    assert!(
        ours.file()
            .contains("\t\"HttpHeaders\": {\n\t\t\"X-Mine\": \"1\"\n\t},\n\t\"psFormat\": \"{{.ID}}\"\n}")
    );
    let push = ["push", "-q", &format!("{CLOSED}/box:1")];
    docker.run(&berth(), &push).ok();
    ours.run("docker", &push).ok();
    ours.run(&berth(), &["logout", CLOSED]).ok();
    assert_eq!(ours.file(), BEFORE);
    assert_ne!(ours.run("docker", &push).code, 0);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    std::fs::remove_file(ours.settings.join("config.json")).unwrap();
    ours.run(&berth(), LOGIN).ok();
    assert_eq!(mode(&ours.settings.join("config.json")), 0o600);
}

/// With a helper no secret is in the settings, and both command lines find it.
pub(crate) fn helpers_keep_secrets() {
    let (d, _registry) = stage();
    for settings in [r#"{"credsStore": "keeper"}"#, r#"{"credHelpers": {"127.0.0.1:5001": "keeper"}}"#] {
        let user = User::new(&d, "keeper", settings);
        user.run(&berth(), LOGIN).ok();
        assert!(!user.file().contains("a2ltOnNlY3JldA") && user.file().contains(CLOSED), "{}", user.file());
        let kept: Value =
            serde_json::from_str(&std::fs::read_to_string(user.settings.join("secret")).unwrap()).unwrap();
        assert_eq!(kept, serde_json::json!({ "ServerURL": CLOSED, "Username": "kim", "Secret": "secret" }));
        for program in ["docker", &berth()] {
            user.run(program, &["push", "-q", &format!("{CLOSED}/box:1")]).ok();
        }
        user.run(&berth(), &["logout", CLOSED]).ok();
        let left: Value = serde_json::from_str(&user.file()).unwrap();
        assert!(!user.settings.join("secret").exists() && left["auths"].get(CLOSED).is_none(), "{left}");
    }
    let broken = User::new(&d, "broken", r#"{"credsStore": "absent"}"#);
    let said = broken.run(&berth(), LOGIN);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("docker-credential-absent"), "{}", said.err);
}

/// The password is asked for on a terminal, unseen; one that is wrong keeps nothing.
pub(crate) fn passwords_are_typed_unseen() {
    let (d, _registry) = stage();
    let user = User::new(&d, "typist", "{}");
    let type_in = |keys: &str| {
        let line = format!("'{}' login -u kim {CLOSED}", berth());
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        script.env("DOCKER_HOST", d.host()).env("DOCKER_CONFIG", &user.settings);
        let mut child = script.spawn().expect("script (package bsdutils)");
        std::thread::sleep(testkit::slow(std::time::Duration::from_millis(500)));
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), keys.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
    };
    let (said, code) = type_in("wrong\n");
    assert!(code == Some(1) && said.contains("401 Unauthorized"), "{said}");
    assert_eq!(user.file(), "{}");
    let (said, code) = type_in("secrex\x7ft\n");
    assert!(code == Some(0) && said.contains("Password: ") && said.contains("Login Succeeded"), "{said}");
    assert!(!said.contains("secre") && user.file().contains("a2ltOnNlY3JldA=="), "{said}");
}

/// Passwords come from stdin without the end of their line.
pub(crate) fn passwords_come_from_stdin() {
    let (d, _registry) = stage();
    let user = User::new(&d, "pipe", "{}");
    for (input, code) in [("secret\n", 0), ("secret\r\n", 0), ("secret", 0), ("wrong\n", 1), ("", 1)] {
        let mut command = Command::new(berth());
        command.args(["login", "-u", "kim", "--password-stdin", CLOSED]).stdin(Stdio::piped());
        command.env("DOCKER_HOST", d.host()).env("DOCKER_CONFIG", &user.settings);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(code),
            "{input:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
