//! Lists of images: what every filter chooses, and every form in which both command lines print it, of dockerd as of Berth.

use std::process::{Command, Stdio};

use testkit::Daemon;

/// Words after `images`, and the names that are listed then, sorted; `-` where only both command lines' agreement counts.
const TABLE: &[(&str, &str)] = &[
    ("--filter reference=box", "box:1 box:2"),
    ("--filter reference=box:2", "box:2"),
    ("--filter reference=r.example/*/box", "r.example/kim/box:1"),
    ("--filter reference=box --filter reference=other", "box:1 box:2 other:latest"),
    ("box", "box:1 box:2"),
    ("r.example/kim/box:1", "r.example/kim/box:1"),
    ("nope", ""),
    ("--filter reference=b[a-o]x:[12]", "box:1 box:2"),
    ("--filter reference=b[^o]x", ""),
    ("--filter label=who=kim", "labelled:latest"),
    ("--filter label=who", "labelled:latest"),
    ("--filter label=who=ann", ""),
    ("--filter dangling=true", "<none>:<none>"),
    ("--filter dangling=false box", "box:1 box:2"),
    ("--filter since=box:1 --filter reference=other", "other:latest"),
    ("--filter before=other --filter reference=box", "box:1 box:2"),
    ("--filter before=box:1", ""),
    ("--filter until=1h", ""),
    ("--filter until=2100-01-01 box", "box:1 box:2"),
    (
        "--format {{.Repository}}:{{.Tag}}|{{.Digest}}|{{.ID}}|{{.Size}}|{{.VirtualSize}}|{{.SharedSize}}|{{.UniqueSize}}|{{.Containers}} box",
        "-",
    ),
    ("--format json box:1", "-"),
    ("--format table_{{.Tag}}\\t{{.ID}} box", "-"),
    ("--digests box", "-"),
    ("--no-trunc box", "-"),
    ("-q box", "-"),
    ("-q --no-trunc --digests box", "-"),
    ("-a --filter dangling=true", "-"),
];

/// Filters that mean nothing, and what both say of them.
const REFUSED: &[&str] =
    &["--filter nope=1", "--filter dangling=maybe", "--filter before=absent", "--filter reference"];

pub(crate) fn filters_and_forms() {
    let d = Daemon::start();
    let import = |extra: &[&str]| {
        let content = testkit::tar_of(&[("etc/name", extra.concat().as_bytes(), 0o644)]);
        let mut command = Command::new("docker");
        command.args(["import"]).args(extra).env("DOCKER_HOST", d.host());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), &content).unwrap();
        assert!(child.wait().unwrap().success(), "{extra:?}");
        // Images that were made in the same second have no order.
        std::thread::sleep(std::time::Duration::from_millis(1100));
    };
    import(&["-", "box:1"]);
    d.docker(&["tag", "box:1", "box:2"]).ok();
    d.docker(&["tag", "box:1", "r.example/kim/box:1"]).ok();
    import(&["-c", "LABEL who=kim", "-", "labelled"]);
    import(&["-"]);
    import(&["-", "other"]);
    let berth = std::env::var("BERTH").unwrap_or_else(|_| "berth".to_owned());
    // One version for both: what is counted differs from version to version.
    let version = if testkit::is_reference() { "1.41" } else { "1.47" };
    let run = |program: &str, line: &str| {
        let words: Vec<String> = line.split(' ').map(|word| word.replace('_', " ")).collect();
        let output = Command::new(program)
            .arg("images")
            .args(&words)
            .env("DOCKER_HOST", d.host())
            .env("DOCKER_API_VERSION", version)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned()).concat();
        (text, output.status.code())
    };
    // dockerd 20.10 does not know `until` yet.
    let known = |line: &str| !(testkit::is_reference() && line.contains("until"));
    for (line, wanted) in TABLE.iter().filter(|(line, _)| known(line)) {
        let both = || (run("docker", line), run(&berth, line));
        // Ages are printed in seconds: asked around a tick, the same program differs from itself.
        let (docker, ours) = std::iter::repeat_with(both).take(5).find(|(a, b)| a == b).unwrap_or_else(both);
        assert_eq!(docker, ours, "{line}");
        if *wanted != "-" {
            let listed = run("docker", &format!("--format {{{{.Repository}}}}:{{{{.Tag}}}} {line}")).0;
            let mut names: Vec<&str> = listed.lines().collect();
            names.sort_unstable();
            assert_eq!(names.join(" "), *wanted, "{line}");
        }
    }
    for line in REFUSED {
        let ((docker, docker_code), (ours, our_code)) = (run("docker", line), run(&berth, line));
        let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        assert_eq!((first(&docker), docker_code), (first(&ours), our_code), "{line}");
    }
}
