//! Ring 3: the real programs on a real kernel, judged by the kernel's own view. Runs on the host (hybrid cgroups) and
//! in the guest (cgroup v2).
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the machine")]

mod bad_input;
mod bundle;
mod bundle_cgroups;
mod bundle_cgroups_v2;
mod bundle_exec;
mod bundle_faults;
mod bundle_foreign_mounts;
mod bundle_hooks;
mod bundle_input;
mod bundle_mounts;
mod bundle_process;
mod bundle_rootless;
mod bundle_roots;
mod bundle_seccomp;
mod bundle_words;
mod commit;
mod denied;
mod door;
mod exec;
mod files;
mod full_disk;
mod images;
mod indexes;
mod isolation;
mod lifecycle;
mod limits;
mod logs;
mod network;
mod platforms;
mod prune;
mod pull;
mod registry_client;
mod registry_server;
mod rows_cgroups;
mod rows_descriptors;
mod rows_engine;
mod rows_images;
mod rows_mounts;
mod rows_runtime;
mod rows_users;
mod run;
mod store_check;
mod store_faults;
mod survival;
mod undo;
mod upgrade;
mod versions;

use testkit::{Need, tests};

/// Images and where they are kept.
fn of_the_store() -> Vec<testkit::Test> {
    let mut all = tests![images: import_tag_remove, hostile_archives_leave_nothing, names_in_use_are_kept];
    all.extend(tests![platforms needs &[Need::Program("docker")]; platforms_live_side_by_side, one_platform_goes, artifacts_are_shown_and_not_run]);
    all.extend(
        tests![store_check: with_and_without_the_daemon, a_running_container_keeps_its_layers, refusals],
    );
    all.extend(tests![store_faults needs &[Need::Program("strace")]; load_is_killed, import_is_killed, tag_is_killed, rmi_is_killed, commit_is_killed]);
    all.extend(tests![store_faults needs &[Need::Program("strace"), Need::Program("docker-registry")]; pull_is_killed]);
    all.extend(tests![full_disk: a_registry]);
    all.extend(tests![full_disk needs &[Need::Program("docker-registry")]; pulls_and_commits]);
    all.extend(tests![store_check needs &[Need::Program("docker-registry")]; what_is_broken_is_pulled_again]);
    all.extend(tests![indexes needs indexes::NEEDS; platforms_are_pulled_one_after_the_other, a_part_of_an_index_is_pushed, artifacts_go_back_as_they_came, referrers_travel_with_their_image, i01_a_document_with_two_readings_is_not_pulled]);
    all
}

/// The OCI runtime, by itself.
fn of_the_runtime() -> Vec<testkit::Test> {
    let mut all = Vec::new();
    all.extend(tests![bundle: hooks_in_order_and_place, failing_hooks_stop_the_container, start_tells_why_not, user_namespace_is_joined, descriptors_are_preserved, exec_options,
        kill_and_its_refusals, kill_reaches_everybody, scheduling_and_domain, every_processor_of_the_cpuset, hostile_documents, thousands_of_mounts, hostile_roots, one_of_many_creates_wins, broken_state_is_told]);
    all.extend(
        tests![bundle_foreign_mounts: in_the_callers, in_one_that_is_joined, a_failed_start_leaves_nothing, what_was_there_stays],
    );
    all.extend(tests![bundle_mounts: every_word_of_a_bind, every_word_of_a_file_system, mounts_travel_as_asked, propagation_of_the_root, every_kind_of_file_is_bound, overlays_and_copies, owners_that_cannot_be_mapped]);
    all.extend(tests![bundle_roots: read_only_places, mounts_are_changed_later, file_systems_of_the_kernel, the_dev_of_the_host, sys_in_a_user_namespace, cgroups_of_the_container, binds_of_earlier_mounts,
        roots_without_a_pivot, what_cannot_be_mounted]);
    all.extend(tests![rows_cgroups: r05_cgroups_are_read_only]);
    all.extend(tests![bundle_words: help_of_every_command, errors_of_the_kernel_have_their_usual_words, debug_is_told, the_last_value_of_a_variable_counts, a_newline_is_one_character]);
    all.extend(tests![rows_descriptors: r06_only_stdio_is_open, r06_only_the_terminal_is_open, r06_hooks_have_only_stdio, r06_waiting_it_holds_nothing_of_the_host,
        r06_no_working_directory_leads_out]);
    all.extend(tests![rows_mounts: r02_proc_and_sys_are_no_links, r03_swapped_mount_target, r07_mount_points_are_made_inside, r08_masks_use_nothing_of_the_image,
        r09_the_console_is_the_terminal, r11_dev_is_a_link, r12_protected_paths_are_what_was_seen, r18_the_working_directory_is_made_inside]);
    all.extend(tests![rows_runtime: r01_the_runtimes_program_cannot_be_changed, r04_nothing_is_inheritable, r10_a_covered_proc_is_not_written]);
    all.extend(tests![rows_users: r13_no_text_means_root_by_mistake, r14_numbers_out_of_range_are_refused, r15_the_primary_group_is_supplementary,
        r16_huge_accounts_cost_nothing, r17_special_files_hold_nobody_up]);
    all.extend(tests![bundle_exec: of_each_status, takes_the_rest_from_the_container, documents_are_checked, processors, callers_are_told, into_a_cgroup_below, after_the_first_process, announced_descriptors]);
    all.extend(tests![bundle_hooks: state_on_stdin, environment_and_place, no_longer_than_their_timeout, the_one_that_fails_is_named]);
    all.extend(tests![bundle_process: memory_policies, network_devices_move_in, network_devices_come_back, clocks, labels, features_are_true, terminals_have_their_size, umasks, capability_sets]);
    all.extend(tests![bundle_seccomp: every_action, arguments_flags_and_architectures, agents_are_asked, agents_that_are_not_there, hooks_at_start_are_filtered, kept_filters]);
    all.extend(tests![bundle_rootless: own_document_and_place, commands_of_an_ordinary_user, root_is_let_in, what_an_ordinary_user_cannot_have, maps_of_root_are_written_directly,
        cgroups_where_they_are_handed_down, root_of_a_user_namespace]);
    all.extend(tests![bundle_rootless needs &[Need::Program("newuidmap"), Need::Program("setpriv")]; larger_maps_are_written_by_helpers]);
    all.extend(tests![bundle_cgroups: every_limit_is_in_its_file, limits_that_cannot_be, a_cgroup_that_is_there, places_of_cgroups, update_of_memory, update_of_processors, update_refuses_and_keeps, real_time_limits,
        paused_containers, starts_with_little_memory, events_in_runcs_form, lists_of_containers_and_processes, a_forking_container_is_killed, cgroups_of_the_container, device_rules, traffic_classes]);
    all.extend(tests![bundle_cgroups needs &[Need::CgroupV1]; a_forking_container_is_killed_on_v1]);
    all.extend(tests![bundle_cgroups_v2 needs &[Need::CgroupV2]; files_by_their_names, pages_and_weights, handed_over]);
    all.extend(tests![bundle_faults: every_step_fails, state_on_a_full_disk, deleted_while_it_is_made]);
    all.extend(tests![bundle_faults needs &[Need::Program("strace")]; create_is_killed, run_is_killed, start_is_killed, exec_is_killed, delete_is_killed, every_call_is_refused]);
    all.extend(tests![bundle_input: documents_that_are_wrong, files_that_are_no_documents, programs_that_cannot_run, ids_that_are_none, records_that_are_damaged, the_log_is_well_formed, answers_nobody_takes]);
    all.extend(tests![denied: openat2, clone3, pidfd_open, mounts_are_needed, refused]);
    all.extend(tests![bundle_mounts needs &[Need::Kernel(6, 3)]; owners_are_mapped]);
    // Mapped mounts of tmpfs, on which the guest keeps its images.
    all
}

fn main() -> std::process::ExitCode {
    if std::env::args().nth(1).as_deref() == Some("--serve-udp") {
        network::serve_udp();
    }
    let mut all = tests![run: output_and_exit_codes, environment_and_directory, user, entrypoint_and_command, stdin_is_fed,
        name_and_removal, detached, terminal, labels_and_hostname, init_reaps, embedded_hello];
    all.extend(tests![isolation: every_namespace_is_its_own, default_capabilities, capabilities_added_and_dropped,
        seccomp_is_on, masked_and_read_only_paths, file_systems_are_few, no_descriptor_leaks, descriptor_table_is_small, runtime_is_out_of_reach, no_new_privileges, privileged, host_namespaces, devices_are_denied, sysctls, ulimits]);
    all.extend(tests![limits: memory_kills_and_says_so, pids_are_limited, cpu_quota_is_written, cpu_shares_and_sets_are_written, update_changes_a_live_limit, nonsense_is_refused, memory_kill_of_a_child_is_told]);
    all.extend(tests![lifecycle: create_start_wait_remove, stop_asks_then_kills, kill_with_a_signal, restart_again, pause_and_unpause, rename_and_list, restart_policies,
        events_in_order, events_of_every_type, inspect_shows_what_was_asked, top_and_stats, prefixes_and_ambiguity]);
    all.extend(tests![exec: runs_beside_the_first_process, user_directory_environment, exit_codes_of_exec, detached_exec, exec_has_the_same_walls]);
    all.extend(tests![files: bind_mounts, mounts_travel_through_binds, volumes_outlive_containers, image_volumes_are_filled, tmpfs_mounts, read_only_root, writes_stay_in_the_container, hostile_targets]);
    all.extend(tests![registry_server: killed_at_any_moment, ends_in_good_order, memory_is_bounded, checked_while_it_serves]);
    const WITH_TLS: &[Need] = &[Need::Program("openssl"), Need::Program("htpasswd"), Need::Program("curl")];
    all.extend(tests![registry_server needs WITH_TLS; certificates_passwords_metrics_and_log]);
    all.extend(of_the_store());
    all.extend(tests![logs: streams_and_tail, follow_until_the_end, timestamps_and_since, rotation_is_bounded, partial_lines, full_disk]);
    all.extend(tests![network: address_gateway_and_names, containers_reach_each_other, published_tcp, published_udp, port_taken, none_and_host_and_shared, shared_networks_are_the_present_ones, nothing_is_left, an_address_is_kept_over_a_restart, the_bridge_is_removed, no_bridge_at_all]);
    all.extend(tests![survival: daemon_killed_ten_times, supervisor_killed, terminal_survives_both, exits_while_nobody_watched, published_port_keeps_answering, database_lost, half_made_creation, unreadable_record, restarts_are_counted_once, removed_while_restarting, both_killed_at_once]);
    all.extend(tests![upgrade: in_place_with_a_terminal, in_place_with_a_hundred]);
    all.extend(tests![undo: every_step_of_a_start]);
    all.extend(tests![door: ping_and_versions, refusals_reach_the_client, answers_have_their_versions_shape, streams_are_hijacked,
        streams_without_upgrade, exec_errors_come_in_the_stream, wait_says_that_it_waits, vanished_clients_leave_nothing, stalled_uploads_hold_nobody_up, one_daemon_per_socket_and_root, tcp_is_for_loopback_only, floods_leave_descriptors_for_containers,
        the_past_joins_the_present, detach_keys_end_the_session_only]);
    all.extend(tests![versions: images, containers, the_engine]);
    all.extend(tests![rows_engine: r21_readers_who_leave_early_leave_nothing, r21_output_that_nobody_reads_is_not_kept]);
    all.extend(tests![bad_input: each_is_one_clear_sentence, nothing_is_half_made, disk_full]);
    all.extend(
        tests![limits needs &[Need::CgroupV2]; v2_files_hold_the_limits, frozen_cgroups_hold_nobody_up],
    );
    all.extend(
        tests![isolation needs &[Need::Kernel(6, 3)]; user_namespace, masked_paths_in_a_user_namespace],
    );
    all.extend(tests![rows_images: i16_without_layers_the_root_is_empty_in_every_mode]);
    all.extend(tests![rows_images needs &[Need::Kernel(6, 3)]; i16_without_layers_the_root_is_empty_in_a_user_namespace]);
    all.extend(tests![commit: changes_are_told, an_image_of_a_container, running_containers_are_committed, roots_are_exported, nonsense_is_refused, killed_while_it_commits]);
    all.extend(tests![prune: what_nobody_uses_goes, races_lose_nothing, killed_while_it_prunes, every_byte_is_accounted_for, images_keep_to_their_budget]);
    all.extend(tests![registry_client needs &[Need::Program("docker-registry"), Need::Program("htpasswd")]; what_is_pushed_comes_back_the_same, every_tag_of_a_repository, strangers_are_not_served]);
    all.extend(tests![pull needs pull::NEEDS; an_image_comes_and_is_current, i03_a_digest_belongs_to_its_repository, a_killed_daemon_goes_on_where_it_was, what_many_want_comes_once, a_client_that_goes_away_ends_its_pull, a_client_that_goes_away_before_anything_came_ends_its_pull, a_lying_registry_is_found_out]);
    all.extend(of_the_runtime());
    testkit::main(all)
}
