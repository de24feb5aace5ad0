//! The create document itself, field by field as Docker's own client sends it.

use serde_json::{Map, Value, json};

use super::{devices, environment, limits, mounts, network, ports, security, volumes};
use crate::flags::Matches;

/// A create request and what `run` must know of it.
#[derive(Debug)]
pub(crate) struct Body {
    /// What is sent.
    pub(crate) document: Value,
    /// A terminal is asked for.
    pub(crate) tty: bool,
    /// The streams to attach: stdin, stdout, stderr.
    pub(crate) attach: [bool; 3],
    /// The container goes away with its end.
    pub(crate) auto_remove: bool,
    /// Name servers that will not answer from inside.
    pub(crate) loopback_dns: Vec<String>,
}

/// Makes the request of `run` (detached or not) and `create`.
pub(crate) fn body(flags: &Matches, args: &[String], detached: bool) -> Result<Body, String> {
    let attach = streams(flags, detached);
    let open_stdin = flags.is("interactive");
    let (image, command) = args.split_first().ok_or("an image is required")?;
    let (binds, anonymous) = volumes::split(flags.list("volume"))?;
    let published = ports::published(flags.list("publish"), flags.list("expose"))?;
    let network = network::settings(flags)?;
    let mut document = json!({
        "Hostname": flags.text("hostname"),
        "Domainname": flags.text("domainname"),
        "User": flags.text("user"),
        "AttachStdin": attach[0],
        "AttachStdout": attach[1],
        "AttachStderr": attach[2],
        "Tty": flags.is("tty"),
        "OpenStdin": open_stdin,
        "StdinOnce": open_stdin && attach[0],
        "Env": null_if_empty(environment::variables(flags.list("env-file"), flags.list("env"))?),
        "Cmd": null_if_empty(command.to_vec()),
        "Image": image,
        "Volumes": anonymous,
        "WorkingDir": flags.text("workdir"),
        "Entrypoint": flags.given("entrypoint").map(|entrypoint| vec![entrypoint]),
        "OnBuild": null,
        "Labels": environment::labels(flags.list("label-file"), flags.list("label"))?,
        "HostConfig": host_config(flags, &network.mode)?,
        "NetworkingConfig": { "EndpointsConfig": network.endpoints },
    });
    put(&mut document, "HostConfig", "Binds", null_if_empty(binds));
    put(&mut document, "HostConfig", "PortBindings", json!(published.bindings));
    let exposed = published.exposed;
    let optional = [
        ("ExposedPorts", (!exposed.is_empty()).then_some(Value::Object(exposed))),
        ("StopSignal", flags.given("stop-signal").filter(|s| !s.is_empty()).map(Value::from)),
        ("StopTimeout", flags.given("stop-timeout").map(|_| flags.number::<i64>("stop-timeout").into())),
        ("Healthcheck", flags.is("no-healthcheck").then(|| json!({ "Test": ["NONE"] }))),
    ];
    for (name, value) in optional {
        if let (Some(value), Value::Object(top)) = (value, &mut document) {
            top.insert(name.to_owned(), value);
        }
    }
    let loopback_dns =
        flags.list("dns").iter().filter(|a| is_loopback(a)).map(|a| a.trim().to_owned()).collect();
    Ok(Body { document, tty: flags.is("tty"), attach, auto_remove: flags.is("rm"), loopback_dns })
}

/// Which streams are attached: those named by `--attach`, else the outputs; stdin with `-i`; none when detached.
fn streams(flags: &Matches, detached: bool) -> [bool; 3] {
    if detached {
        return [false; 3];
    }
    let named = flags.list("attach");
    let asked = |name: &str| named.iter().any(|stream| stream.eq_ignore_ascii_case(name));
    let outputs = named.is_empty();
    [asked("stdin") || flags.is("interactive"), asked("stdout") || outputs, asked("stderr") || outputs]
}

fn host_config(flags: &Matches, network_mode: &str) -> Result<Value, String> {
    let security = security::options(flags.list("security-opt"))?;
    let restart = limits::restart(flags.given("restart").unwrap_or("no"))?;
    let restarts = !matches!(restart["Name"].as_str(), Some("no" | ""));
    if flags.is("rm") && restarts {
        return Err("conflicting options: cannot specify both --restart and --rm".to_owned());
    }
    let hosts: Vec<String> = flags.list("add-host").iter().map(|host| network::extra_host(host)).collect();
    let mut host = json!({
        "ContainerIDFile": flags.text("cidfile"),
        "LogConfig": { "Type": flags.text("log-driver"), "Config": log_options(flags)? },
        "NetworkMode": network_mode,
        "RestartPolicy": restart,
        "AutoRemove": flags.is("rm"),
        "VolumeDriver": "",
        "VolumesFrom": null,
        "ConsoleSize": [0, 0],
        "CapAdd": null_if_empty(security::capabilities(flags.list("cap-add"))),
        "CapDrop": null_if_empty(security::capabilities(flags.list("cap-drop"))),
        "CgroupnsMode": security::mode(flags, "cgroupns")?,
        "Dns": flags.list("dns"),
        "DnsOptions": flags.list("dns-option"),
        "DnsSearch": flags.list("dns-search"),
        "ExtraHosts": null_if_empty(hosts),
        "GroupAdd": null_if_empty(flags.list("group-add").to_vec()),
        "IpcMode": flags.text("ipc"),
        "Cgroup": "",
        "Links": null,
        "OomScoreAdj": flags.number::<i64>("oom-score-adj"),
        "PidMode": security::mode(flags, "pid")?,
        "Privileged": flags.is("privileged"),
        "PublishAllPorts": flags.is("publish-all"),
        "ReadonlyRootfs": flags.is("read-only"),
        "SecurityOpt": null_if_empty(security.options),
        "UTSMode": security::mode(flags, "uts")?,
        "UsernsMode": security::mode(flags, "userns")?,
        "ShmSize": flags.bytes("shm-size"),
        "Isolation": "",
        "Devices": devices::devices(flags.list("device"))?,
        "DeviceCgroupRules": null_if_empty(flags.list("device-cgroup-rule").to_vec()),
        "DeviceRequests": null,
        "MaskedPaths": security.paths_shown.then(Vec::<String>::new),
        "ReadonlyPaths": security.paths_shown.then(Vec::<String>::new),
    });
    let Value::Object(map) = &mut host else { return Ok(host) };
    map.extend(limits::resources(flags)?);
    let mounts = flags.list("mount").iter().map(|text| mounts::mount(text)).collect::<Result<Vec<_>, _>>()?;
    let optional = [
        ("Tmpfs", !flags.list("tmpfs").is_empty(), json!(volumes::tmpfs(flags.list("tmpfs")))),
        ("Mounts", !mounts.is_empty(), Value::from(mounts)),
        ("Sysctls", !flags.list("sysctl").is_empty(), json!(environment::pairs(flags.list("sysctl")))),
        (
            "Annotations",
            !flags.list("annotation").is_empty(),
            json!(environment::pairs(flags.list("annotation"))),
        ),
        ("Init", flags.given("init").is_some(), json!(flags.is("init"))),
    ];
    map.extend(
        optional.into_iter().filter(|(_, given, _)| *given).map(|(name, _, value)| (name.to_owned(), value)),
    );
    Ok(host)
}

fn log_options(flags: &Matches) -> Result<Map<String, Value>, String> {
    let options = flags.list("log-opt");
    if flags.text("log-driver") == "none" && !options.is_empty() {
        return Err("invalid logging opts for driver none".to_owned());
    }
    Ok(environment::pairs(options))
}

fn is_loopback(address: &str) -> bool {
    address.trim().parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Go prints a list that was never made as `null`; the daemons tell the two apart in places.
fn null_if_empty(list: Vec<String>) -> Value {
    if list.is_empty() { Value::Null } else { list.into() }
}

fn put(document: &mut Value, object: &str, name: &str, value: Value) {
    if let Some(Value::Object(map)) = document.get_mut(object) {
        map.insert(name.to_owned(), value);
    }
}
