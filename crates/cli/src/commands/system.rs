//! `version` and `info`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::text;
use crate::error::{Error, Result};
use crate::render::{Subject, Template};
use crate::stream::{self, remark};
use crate::tree::Call;

/// `berth version`.
pub(crate) async fn version(call: Call) -> Result<u8> {
    let answer = call.client.get("/version").await;
    let client = json!({
        "Version": env!("CARGO_PKG_VERSION"), "ApiVersion": call.client.version(), "Os": "linux",
        "DefaultAPIVersion": call.client.version(), "Arch": architecture(), "Context": "default", "GitCommit": "",
        "GoVersion": "", "BuildTime": "",
    });
    let server = answer.as_ref().ok().cloned();
    let document = json!({ "Client": client, "Server": server });
    let text = match template(call.flags.text("format"))? {
        Some(template) => format!("{}\n", template.fill(&document)?),
        None => version_in_words(&document),
    };
    stream::print(&text)?;
    answer.map(|_| 0)
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn version_in_words(document: &Value) -> String {
    let client = &document["Client"];
    let mut out = String::from("Client:\n");
    for (label, value) in [
        ("Version", text(client, "Version").to_owned()),
        ("API version", text(client, "ApiVersion").to_owned()),
        ("OS/Arch", format!("{}/{}", text(client, "Os"), text(client, "Arch"))),
    ] {
        line(&mut out, 1, label, &value);
    }
    let server = &document["Server"];
    if server.is_null() {
        return out;
    }
    let platform = text(&server["Platform"], "Name");
    out += &format!("\nServer:{}{platform}\n", if platform.is_empty() { "" } else { " " });
    for component in server["Components"].as_array().into_iter().flatten() {
        let _ = writeln!(out, " {}:", text(component, "Name"));
        line(&mut out, 2, "Version", text(component, "Version"));
        let details = &component["Details"];
        if text(component, "Name") == "Engine" {
            let api = format!(
                "{} (minimum version {})",
                text(details, "ApiVersion"),
                text(details, "MinAPIVersion")
            );
            line(&mut out, 2, "API version", &api);
            line(&mut out, 2, "OS/Arch", &format!("{}/{}", text(details, "Os"), text(details, "Arch")));
            for (label, name) in
                [("Git commit", "GitCommit"), ("Built", "BuildTime"), ("Kernel", "KernelVersion")]
            {
                line(&mut out, 2, label, text(details, name));
            }
            continue;
        }
        for (name, value) in details.as_object().into_iter().flatten() {
            line(&mut out, 2, name, value.as_str().unwrap_or_default());
        }
    }
    out
}

/// ` Label:   value`, unless there is no value.
fn line(out: &mut String, indent: usize, label: &str, value: &str) {
    if !value.is_empty() {
        let head = format!("{:indent$}{label}:", "");
        let _ = writeln!(out, "{head:<20}{value}");
    }
}

fn template(format: &str) -> Result<Option<Template>> {
    let source = match format {
        "" => return Ok(None),
        "json" => "{{json .}}",
        source => source,
    };
    Template::read(source, Subject::Document).map(Some).map_err(|e| Error::new(e.to_string()).code(64))
}

/// `berth info`.
pub(crate) async fn info(call: Call) -> Result<u8> {
    let mut info = call.client.get("/info").await?;
    if let Some(template) = template(call.flags.text("format"))? {
        info["ClientInfo"] =
            json!({ "Version": env!("CARGO_PKG_VERSION"), "Context": "default", "Debug": false });
        stream::print_line(&template.fill(&info)?)?;
        return Ok(0);
    }
    stream::print(&info_in_words(&info))?;
    for warning in info["Warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        remark(warning);
    }
    Ok(0)
}

fn info_in_words(info: &Value) -> String {
    let mut out = format!(
        "Client:\n Version:    {}\n Context:    default\n Debug Mode: false\n\nServer:\n",
        env!("CARGO_PKG_VERSION")
    );
    let show = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let field = |out: &mut String, label: &str, name: &str| {
        let value = show(&info[name]);
        if !value.is_empty() {
            let _ = writeln!(out, " {label}: {value}");
        }
    };
    for (label, name) in [
        ("Containers", "Containers"),
        (" Running", "ContainersRunning"),
        (" Paused", "ContainersPaused"),
        (" Stopped", "ContainersStopped"),
        ("Images", "Images"),
        ("Server Version", "ServerVersion"),
        ("Storage Driver", "Driver"),
    ] {
        field(&mut out, label, name);
    }
    for pair in info["DriverStatus"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "  {}: {}", show(&pair[0]), show(&pair[1]));
    }
    for (label, name) in [
        ("Logging Driver", "LoggingDriver"),
        ("Cgroup Driver", "CgroupDriver"),
        ("Cgroup Version", "CgroupVersion"),
    ] {
        field(&mut out, label, name);
    }
    let words = |list: &Value| list.as_array().into_iter().flatten().map(show).collect::<Vec<_>>().join(" ");
    out += " Plugins:\n";
    for (label, name) in [("Volume", "Volume"), ("Network", "Network"), ("Log", "Log")] {
        let _ = writeln!(out, "  {label}: {}", words(&info["Plugins"][name]));
    }
    let _ = writeln!(out, " Swarm: {}", show(&info["Swarm"]["LocalNodeState"]));
    let runtimes = info["Runtimes"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    let _ = writeln!(out, " Runtimes: {}", runtimes.collect::<Vec<_>>().join(" "));
    field(&mut out, "Default Runtime", "DefaultRuntime");
    out += &security(&info["SecurityOptions"]);
    for (label, name) in [
        ("Kernel Version", "KernelVersion"),
        ("Operating System", "OperatingSystem"),
        ("OSType", "OSType"),
        ("Architecture", "Architecture"),
        ("CPUs", "NCPU"),
    ] {
        field(&mut out, label, name);
    }
    let _ =
        writeln!(out, " Total Memory: {}", types::print_bytes(info["MemTotal"].as_u64().unwrap_or_default()));
    out += &rest_of_info(info, &show);
    out.push('\n');
    out
}

/// The engine's names, and its ways out.
fn rest_of_info(info: &Value, show: &dyn Fn(&Value) -> String) -> String {
    let mut out = String::new();
    let field = |out: &mut String, label: &str, name: &str| {
        let value = show(&info[name]);
        if !value.is_empty() {
            let _ = writeln!(out, " {label}: {value}");
        }
    };
    for (label, name) in [
        ("Name", "Name"),
        ("ID", "ID"),
        ("Docker Root Dir", "DockerRootDir"),
        ("Debug Mode", "Debug"),
        ("HTTP Proxy", "HttpProxy"),
        ("HTTPS Proxy", "HttpsProxy"),
        ("No Proxy", "NoProxy"),
        ("Experimental", "ExperimentalBuild"),
    ] {
        field(&mut out, label, name);
    }
    out += &registries(&info["RegistryConfig"]);
    field(&mut out, "Live Restore Enabled", "LiveRestoreEnabled");
    out
}

/// Which registries may be insecure, and what stands in for Docker's.
fn registries(config: &Value) -> String {
    let texts = |list: &Value| {
        let items = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        items.map(|text| format!("  {text}\n")).collect::<String>()
    };
    let known = config["IndexConfigs"].as_object().into_iter().flatten();
    let hosts: String =
        known.filter(|(_, one)| one["Secure"] == false).map(|(name, _)| format!("  {name}\n")).collect();
    let (networks, mirrors) = (texts(&config["InsecureRegistryCIDRs"]), texts(&config["Mirrors"]));
    let mut out = String::new();
    if !hosts.is_empty() || !networks.is_empty() {
        out += &format!(" Insecure Registries:\n{hosts}{networks}");
    }
    if !mirrors.is_empty() {
        out += &format!(" Registry Mirrors:\n{mirrors}");
    }
    out
}

/// `name=seccomp,profile=builtin` as a name and its profile beneath.
fn security(options: &Value) -> String {
    let mut out = String::new();
    for option in options.as_array().into_iter().flatten().filter_map(Value::as_str) {
        if out.is_empty() {
            out += " Security Options:\n";
        }
        for pair in option.split(',') {
            match pair.split_once('=') {
                Some(("name", name)) => out += &format!("  {name}\n"),
                Some(("profile", profile)) => out += &format!("   Profile: {profile}\n"),
                _ => {}
            }
        }
    }
    out
}
