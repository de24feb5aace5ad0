//! Image documents as Docker and the specification write them.

use serde_json::json;

use super::*;

#[test]
fn reads_a_config_as_docker_writes_it() {
    let config: ImageConfig = serde_json::from_value(json!({
        "architecture": "amd64", "os": "linux", "created": "2024-01-01T00:00:00Z",
        "container_config": {"Cmd": ["x"]},
        "config": {
            "Hostname": "", "AttachStdin": false, "Env": ["PATH=/bin"], "Cmd": ["sh"], "Entrypoint": null,
            "Volumes": null, "ExposedPorts": {"80/tcp": {}, "81/tcp": null}, "Labels": null, "OnBuild": null,
            "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1}, "ArgsEscaped": true, "StopTimeout": 3
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:00"]},
        "history": [{"created_by": "/bin/sh", "empty_layer": true}]
    }))
    .unwrap();
    assert_eq!(config.rootfs.diff_ids, ["sha256:00"]);
    assert!(config.history[0].empty_layer);
    let defaults = config.config.unwrap();
    assert_eq!((defaults.cmd.unwrap(), defaults.entrypoint), (vec!["sh".to_owned()], None));
    assert!(defaults.exposed_ports.contains_key("80/tcp") && defaults.args_escaped);
    assert_eq!(defaults.healthcheck.unwrap().interval, 1);
}

#[test]
fn writes_the_names_of_the_specification() {
    let config = ImageConfig {
        config: Some(ContainerConfig { working_dir: "/".into(), ..ContainerConfig::default() }),
        os_version: "1".into(),
        ..ImageConfig::default()
    };
    assert_eq!(
        serde_json::to_value(&config).unwrap(),
        json!({"architecture": "", "os": "", "os.version": "1", "config": {"WorkingDir": "/"},
            "rootfs": {"type": "", "diff_ids": []}})
    );
    let layout = Layout { image_layout_version: "1.0.0".into() };
    assert_eq!(serde_json::to_value(&layout).unwrap(), json!({"imageLayoutVersion": "1.0.0"}));
}

#[test]
fn reads_an_index_with_platforms() {
    let index: Index = serde_json::from_value(json!({
        "schemaVersion": 2, "mediaType": media::INDEX, "manifests": [
            {"mediaType": media::MANIFEST, "digest": "sha256:00", "size": 3,
             "platform": {"architecture": "arm64", "os": "linux", "variant": "v8"}}]
    }))
    .unwrap();
    assert!(media::is_index(&index.media_type) && media::is_manifest(&index.manifests[0].media_type));
    assert_eq!(index.manifests[0].platform.as_ref().unwrap().variant, "v8");
}
