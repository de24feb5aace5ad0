//! Bodies of create requests, from flags.

use serde_json::{Value, json};

use crate::tree::{self, Found};

/// The body that `berth run …` would send, or the reason why not.
pub(crate) fn body_of(line: &[&str]) -> Result<Value, String> {
    let argv: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
    let Found::Command(command, path, used) = tree::find(&argv).map_err(|e| e.to_string())? else {
        return Err("a group".to_owned());
    };
    let (flags, args) = tree::read(command, path, &argv[used..])
        .map_err(|e| e.to_string())?
        .ok_or_else(|| "help".to_owned())?;
    Ok(super::body(&flags, &args, flags.is("detach"))?.document)
}

#[track_caller]
fn check(line: &str, pointer: &str, expected: &Value) {
    let words: Vec<&str> = line.split(' ').collect();
    let body = body_of(&words).unwrap_or_else(|e| panic!("{line}: {e}"));
    assert_eq!(body.pointer(pointer).unwrap_or(&Value::Null), expected, "{line} {pointer}");
}

#[test]
fn flags_become_fields() {
    for (line, pointer, expected) in [
        ("run a b -c", "/Cmd", json!(["b", "-c"])),
        ("run a", "/Cmd", json!(null)),
        ("run --entrypoint= a", "/Entrypoint", json!([""])),
        ("run -it a", "/StdinOnce", json!(true)),
        ("run -dit a", "/AttachStdin", json!(false)),
        ("run -a stderr a", "/AttachStdout", json!(false)),
        ("run -e A=1 -eB=2 a", "/Env", json!(["A=1", "B=2"])),
        ("run -l a=1 -l a=2 -l b a", "/Labels", json!({ "a": "2", "b": "" })),
        ("run -m 64m a", "/HostConfig/Memory", json!(67_108_864)),
        ("run --memory-swap -1 a", "/HostConfig/MemorySwap", json!(-1)),
        ("run --cpus 1.5 a", "/HostConfig/NanoCpus", json!(1_500_000_000)),
        ("run --cpus .000000001 a", "/HostConfig/NanoCpus", json!(1)),
        (
            "run -p 8080:80 a",
            "/HostConfig/PortBindings",
            json!({ "80/tcp": [{ "HostIp": "", "HostPort": "8080" }] }),
        ),
        ("run -p 80 -p 81/udp a", "/ExposedPorts", json!({ "80/tcp": {}, "81/udp": {} })),
        ("run -v /a:/b:ro -v /c -v x1:/d a", "/HostConfig/Binds", json!(["/a:/b:ro", "x1:/d"])),
        ("run -v /c a", "/Volumes", json!({ "/c": {} })),
        (
            "run --restart on-failure:3 a",
            "/HostConfig/RestartPolicy",
            json!({ "Name": "on-failure", "MaximumRetryCount": 3 }),
        ),
        ("run --init a", "/HostConfig/Init", json!(true)),
        ("run --init=false a", "/HostConfig/Init", json!(false)),
        ("run --network container:x a", "/HostConfig/NetworkMode", json!("container:x")),
        ("run --network host a", "/NetworkingConfig/EndpointsConfig", json!({})),
        ("run --stop-timeout 0 a", "/StopTimeout", json!(0)),
        ("run --add-host h=[::1] a", "/HostConfig/ExtraHosts", json!(["h:::1"])),
        ("run --device /dev/null:/dev/x:r a", "/HostConfig/Devices/0/CgroupPermissions", json!("r")),
        ("run --security-opt systempaths=unconfined a", "/HostConfig/MaskedPaths", json!([])),
    ] {
        check(line, pointer, &expected);
    }
}

#[test]
fn refusals_in_dockers_words() {
    for (line, reason) in [
        ("run -p abc a", "invalid containerPort: abc"),
        ("run -p 1-2:3 a", ""),
        ("run -p 1-2:3-5 a", "invalid ranges specified for container and host Ports: 3-5 and 1-2"),
        ("run -p 999.1.1.1:1:1 a", "invalid IP address: 999.1.1.1"),
        ("run -p 80/foo a", "invalid proto: foo"),
        ("run -v a::b x", "invalid spec: a::b: empty section between colons"),
        ("run --rm --restart=always a", "conflicting options: cannot specify both --restart and --rm"),
        ("run --pid foo a", "--pid: invalid PID mode"),
        ("run --security-opt foo a", "Invalid --security-opt: \"foo\""),
        (
            "run --restart=on-failure:x a",
            "invalid restart policy format: maximum retry count must be an integer",
        ),
        ("run --env-file /nonexist a", "open /nonexist: no such file or directory"),
        ("run --log-driver none --log-opt a=b a", "invalid logging opts for driver none"),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(body_of(&words).err().unwrap_or_default(), reason, "{line}");
    }
}
