//! The configuration of an image that is made of a container (Docker's rules).

use dockerapi::Config;
use oci::image::{ContainerConfig, Healthcheck, Nothing};

use super::process::{merge_command, merge_env, merge_map};

/// What an image can keep of a container's configuration: not its host's name, nor how it was attached to.
#[must_use]
pub fn portable(config: &Config) -> ContainerConfig {
    ContainerConfig {
        user: config.user.clone(),
        exposed_ports: config.exposed_ports.keys().map(|port| (port.clone(), Nothing {})).collect(),
        env: config.env.clone(),
        entrypoint: config.entrypoint.clone(),
        cmd: config.cmd.clone(),
        volumes: config.volumes.keys().map(|path| (path.clone(), Nothing {})).collect(),
        working_dir: config.working_dir.clone(),
        labels: config.labels.clone(),
        stop_signal: config.stop_signal.clone(),
        stop_timeout: config.stop_timeout,
        on_build: config.on_build.clone(),
        shell: (!config.shell.is_empty()).then(|| config.shell.clone()),
        healthcheck: config.healthcheck.as_ref().map(|health| Healthcheck {
            test: health.test.clone(),
            interval: health.interval,
            timeout: health.timeout,
            start_period: health.start_period,
            start_interval: health.start_interval,
            retries: health.retries,
        }),
        ..ContainerConfig::default()
    }
}

/// Fills what a request and its changes leave open from the container, and the health check from the container's image.
pub fn complete(made: &mut ContainerConfig, container: &ContainerConfig, image: Option<&ContainerConfig>) {
    let asked = (made.entrypoint.take(), made.cmd.take());
    let from_container = (container.entrypoint.clone(), container.cmd.clone());
    (made.entrypoint, made.cmd) = merge_command(asked, from_container);
    made.env = merge_env(&made.env, &container.env);
    merge_map(&mut made.labels, &container.labels);
    merge_map(&mut made.exposed_ports, &container.exposed_ports);
    merge_map(&mut made.volumes, &container.volumes);
    for (mine, theirs) in [
        (&mut made.user, &container.user),
        (&mut made.working_dir, &container.working_dir),
        (&mut made.stop_signal, &container.stop_signal),
    ] {
        if mine.is_empty() {
            mine.clone_from(theirs);
        }
    }
    made.stop_timeout = made.stop_timeout.or(container.stop_timeout);
    made.shell = made.shell.take().or_else(|| container.shell.clone());
    made.healthcheck = made
        .healthcheck
        .take()
        .or_else(|| container.healthcheck.clone())
        .or_else(|| image.and_then(|image| image.healthcheck.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Option<Vec<String>> {
        Some(text.split(' ').map(str::to_owned).collect())
    }

    #[test]
    fn changes_go_before_the_container() {
        let config = Config {
            env: vec!["A=1".to_owned(), "B=1".to_owned()],
            cmd: words("serve now"),
            hostname: "abc".to_owned(),
            ..Config::default()
        };
        let container = portable(&config);
        assert!(container.hostname.is_empty());
        let healthy = Healthcheck { test: vec!["NONE".to_owned()], ..Healthcheck::default() };
        let image = ContainerConfig { healthcheck: Some(healthy.clone()), ..ContainerConfig::default() };
        let mut same = container.clone();
        complete(&mut same, &container, Some(&image));
        assert_eq!(same, ContainerConfig { healthcheck: Some(healthy), ..container.clone() });
        // An entrypoint without a command does not get the container's.
        let mut other = ContainerConfig { entrypoint: words("/x"), env: vec!["B=2".to_owned()], ..image };
        complete(&mut other, &container, None);
        assert_eq!((other.entrypoint, other.cmd), (words("/x"), None));
        assert_eq!(other.env, ["B=2", "A=1"]);
    }
}
