//! Ring 4: other people's programs against the real daemon, and other people's engines on the real runtime. What is asked of Berth
//! here was first seen to work with Debian's own docker.io, podman, skopeo and runc.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the machine")]

mod accounts;
mod archives;
mod buildah;
mod caller;
mod containerd;
mod docker_cli;
mod docker_py;
mod dockerd;
mod image_lists;
mod imports;
mod inspection;
mod manifests;
mod podman;
mod podman_life;
mod podman_rootless;
mod registry_calls;
mod registry_clients;
mod registry_py;
mod registry_spec;
mod registry_words;
mod searches;
mod validation;
mod words;

use testkit::{Need, tests};

fn main() -> std::process::ExitCode {
    const DOCKER: &[Need] = &[Need::Program("docker")];
    const SKOPEO: &[Need] = &[Need::Program("skopeo")];
    let mut all = tests![docker_cli needs DOCKER; runs_and_removes, lists_and_inspects, logs_exec_and_attach, lifecycle_commands, images_and_volumes, exit_codes, same_words_as_berth];
    all.extend(tests![inspection needs DOCKER; has_dockerds_shape]);
    all.extend(tests![words needs DOCKER; as_dockerd]);
    all.extend(tests![archives needs SKOPEO; by_skopeo, by_podman, by_dockerd]);
    all.extend(tests![archives: debian_by_debootstrap]);
    all.extend(tests![docker_py: python_client]);
    all.extend(tests![podman needs &[Need::Program("podman")]; runs_stops_and_executes, users_limits_and_descriptors, pods, hooks]);
    const ROOTLESS: &[Need] = &[Need::Program("podman"), Need::Program("newuidmap")];
    all.extend(tests![podman_rootless needs ROOTLESS; runs_stops_and_executes, users_volumes_and_devices, networks_and_pods]);
    all.extend(tests![podman_rootless needs &[Need::Program("podman"), Need::Program("newuidmap"), Need::Program("slirp4netns")]; slirp]);
    all.extend(tests![podman_rootless needs &[Need::Program("podman"), Need::Program("newuidmap"), Need::Program("fuse-overlayfs")]; overlays]);
    all.extend(tests![podman_rootless needs &[Need::Program("buildah"), Need::Program("newuidmap")]; builds]);
    all.extend(
        tests![dockerd needs &[Need::Program("dockerd")]; runs_and_executes, remapped_users, lives_and_ends],
    );
    all.extend(tests![containerd needs &[Need::Program("containerd")]; tasks]);
    all.extend(tests![podman_life needs &[Need::Program("podman")]; commands_on_a_running_one, health_and_refusals, options_of_run, kube, terminals]);
    all.extend(tests![buildah needs &[Need::Program("buildah")]; runs, runs_in_user_namespaces, builds]);
    const REGISTRY: &[Need] =
        &[Need::Program("docker"), Need::Program("docker-registry"), Need::Program("htpasswd")];
    all.extend(tests![registry_words needs REGISTRY; by_docker, by_berth]);
    all.extend(tests![searches needs DOCKER; by_both]);
    all.extend(tests![accounts needs REGISTRY; settings_are_dockers, helpers_keep_secrets, passwords_are_typed_unseen, passwords_come_from_stdin]);
    all.extend(tests![manifests needs REGISTRY; lists_are_dockers]);
    all.extend(tests![registry_calls needs REGISTRY; as_dockerd]);
    all.extend(tests![image_lists needs DOCKER; filters_and_forms]);
    all.extend(tests![imports needs DOCKER; by_url]);
    all.extend(tests![registry_py needs REGISTRY; python_client]);
    const VALIDATION: &[Need] = &[Need::CgroupV1, Need::Program("go")];
    all.extend(tests![validation needs VALIDATION; none_is_forgotten, lifecycle_and_process, linux, cgroups]);
    all.extend(tests![registry_spec needs &[Need::Program("go")]; every_workflow]);
    all.extend(tests![registry_clients needs &[Need::Program("dockerd"), Need::Program("docker")]; docker]);
    all.extend(tests![registry_clients needs &[Need::Program("podman"), Need::Program("skopeo")]; podman]);
    all.extend(
        tests![registry_clients needs &[Need::Program("buildah"), Need::Program("skopeo")]; buildah, skopeo],
    );
    const CONTAINERD: &[Need] =
        &[Need::Program("containerd"), Need::Program("buildah"), Need::Program("skopeo")];
    all.extend(tests![registry_clients needs CONTAINERD; containerd]);
    testkit::main(all)
}
