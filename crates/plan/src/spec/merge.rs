//! A request's configuration, completed by its image's (Docker's rules).

use dockerapi::Config;
use oci::image::ContainerConfig;

use super::process::{merge_command, merge_env, merge_map};

/// Fills what the request leaves open from the image.
pub fn merge(config: &mut Config, image: &ContainerConfig) {
    let asked = (config.entrypoint.take(), config.cmd.take());
    let from_image = (image.entrypoint.clone(), image.cmd.clone());
    (config.entrypoint, config.cmd) = merge_command(asked, from_image);
    config.env = merge_env(&config.env, &image.env);
    merge_map(&mut config.labels, &image.labels);
    for port in image.exposed_ports.keys() {
        config.exposed_ports.entry(port.clone()).or_default();
    }
    for path in image.volumes.keys() {
        config.volumes.entry(path.clone()).or_default();
    }
    for (mine, theirs) in [
        (&mut config.user, &image.user),
        (&mut config.working_dir, &image.working_dir),
        (&mut config.stop_signal, &image.stop_signal),
    ] {
        if mine.is_empty() {
            mine.clone_from(theirs);
        }
    }
    if config.stop_timeout.is_none() {
        config.stop_timeout = image.stop_timeout;
    }
    if config.shell.is_empty() {
        config.shell = image.shell.clone().unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_goes_before_the_image() {
        let image = ContainerConfig {
            user: "app".to_owned(),
            working_dir: "/srv".to_owned(),
            cmd: Some(vec!["serve".to_owned()]),
            env: vec!["A=1".to_owned(), "B=1".to_owned()],
            ..ContainerConfig::default()
        };
        let mut config = Config { user: "root".to_owned(), env: vec!["A=2".to_owned()], ..Config::default() };
        merge(&mut config, &image);
        assert_eq!((config.user.as_str(), config.working_dir.as_str()), ("root", "/srv"));
        assert_eq!(config.env, ["A=2", "B=1"]);
        assert_eq!(config.cmd, Some(vec!["serve".to_owned()]));
    }
}
