//! `berth`: the command line, and the daemon or the registry when it is asked for.

use std::process::ExitCode;

use cli::Outcome;

fn main() -> ExitCode {
    let argv: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    match cli::main(&argv) {
        Outcome::Exit(code) => ExitCode::from(code),
        Outcome::Daemon(options) => end("berth daemon", server::run(daemon(*options))),
        Outcome::Registry(command) => end("berth registry", distribution::run(*command)),
        Outcome::CheckStore(asked) => cli::show_check(server::check_store(&asked.data_root, asked.repair)),
    }
}

fn daemon(options: cli::DaemonOptions) -> server::DaemonOptions {
    server::DaemonOptions {
        hosts: options.hosts,
        data_root: options.data_root.into(),
        exec_root: options.exec_root.into(),
        group: options.group,
        cgroup_parent: options.cgroup_parent,
        bridge: options.bridge,
        bridge_address: options.bridge_address,
        runtime: options.runtime.map(Into::into),
        pidfile: options.pidfile.map(Into::into),
        log_level: options.log_level,
        temporary: options.temporary,
        image_budget_bytes: options.image_budget_bytes,
        config_file: options.config_file.map(Into::into),
        registries: registries(options.registries),
    }
}

fn end(what: &str, result: Result<(), impl std::fmt::Display>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    eprintln!("{what}: {error}");
    ExitCode::FAILURE
}

fn registries(told: cli::RegistryOptions) -> server::RegistryOptions {
    let cli::RegistryOptions { insecure, mirrors, token_hosts, http_proxy, https_proxy, no_proxy, .. } = told;
    let certs_dirs = told.certs_dirs.into_iter().map(Into::into).collect();
    let (downloads, uploads, attempts) = (told.downloads, told.uploads, told.attempts);
    server::RegistryOptions {
        certs_dirs,
        insecure,
        mirrors,
        token_hosts,
        http_proxy,
        https_proxy,
        no_proxy,
        downloads,
        uploads,
        attempts,
    }
}
