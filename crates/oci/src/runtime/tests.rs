//! What goes in comes out under the specification's names.

use serde_json::{Value, json};

use super::*;

/// Reads the document, writes it, and expects the same fields.
fn check_round_trip(document: &Value) {
    let spec: Spec = serde_json::from_value(document.clone()).unwrap();
    assert_eq!(&serde_json::to_value(&spec).unwrap(), document);
}

#[test]
fn keeps_the_names_of_the_specification() {
    check_round_trip(&json!({
        "ociVersion": "1.2.0",
        "process": {
            "terminal": true, "consoleSize": {"height": 25, "width": 80},
            "user": {"uid": 0, "gid": 0, "umask": 18, "additionalGids": [10]},
            "args": ["sh"], "env": ["A=b"], "cwd": "/",
            "capabilities": {"bounding": ["CAP_KILL"], "ambient": ["CAP_KILL"]},
            "rlimits": [{"type": "RLIMIT_CORE", "hard": 0, "soft": 0}],
            "noNewPrivileges": true, "apparmorProfile": "p", "oomScoreAdj": -1, "selinuxLabel": "l",
            "scheduler": {"policy": "SCHED_IDLE"},
            "ioPriority": {"class": "IOPRIO_CLASS_IDLE", "priority": 0},
            "execCPUAffinity": {"initial": "0", "final": "1"}
        },
        "root": {"path": "rootfs", "readonly": true},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc",
            "uidMappings": [{"containerID": 0, "hostID": 1, "size": 2}]}],
        "hooks": {"createRuntime": [{"path": "/bin/true", "timeout": 1}]},
        "linux": {
            "sysctl": {"net.core.somaxconn": "256"}, "cgroupsPath": "/x",
            "namespaces": [{"type": "network", "path": "/n"}, {"type": "time"}],
            "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 438}],
            "netDevices": {"eth1": {"name": "in0"}},
            "rootfsPropagation": "rslave", "maskedPaths": ["/proc/kcore"], "mountLabel": "m",
            "intelRdt": {"closID": "c", "l3CacheSchema": "L3:0=f", "enableCMT": true},
            "personality": {"domain": "LINUX32"},
            "timeOffsets": {"monotonic": {"secs": 1, "nanosecs": 2}}
        }
    }));
}

#[test]
fn keeps_the_names_of_limits_and_filters() {
    check_round_trip(&json!({"ociVersion": "1.2.0", "linux": {
        "resources": {
            "devices": [{"allow": false, "access": "rwm"}],
            "memory": {"limit": -1, "kernelTCP": 1, "disableOOMKiller": false, "checkBeforeUpdate": true},
            "cpu": {"shares": 2, "quota": -1, "realtimePeriod": 1, "cpus": "0-1", "idle": 1},
            "pids": {"limit": 0},
            "blockIO": {"weight": 10, "throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 1}]},
            "hugepageLimits": [{"pageSize": "2MB", "limit": 0}],
            "network": {"classID": 1, "priorities": [{"name": "lo", "priority": 1}]},
            "rdma": {"mlx": {"hcaHandles": 1}},
            "unified": {"memory.high": "1"}
        },
        "seccomp": {
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_X86"],
            "flags": ["SECCOMP_FILTER_FLAG_LOG"],
            "syscalls": [{"names": ["clone"], "action": "SCMP_ACT_ALLOW", "errnoRet": 1,
                "args": [{"index": 0, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}]}]
        }
    }}));
}

#[test]
fn null_reads_as_absent() {
    let spec: Spec = serde_json::from_value(json!({
        "ociVersion": "1.0.2", "mounts": null, "process": {"args": null, "capabilities": null, "cwd": "/"}, "linux": {"resources": {"devices": null}}
    }))
    .unwrap();
    assert!(spec.mounts.is_empty() && spec.process.unwrap().capabilities.is_none());
}

#[test]
fn an_unknown_namespace_is_refused() {
    assert!(serde_json::from_value::<LinuxNamespace>(json!({"type": "moon"})).is_err());
}

#[test]
fn state_has_the_fields_that_callers_wait_for() {
    let state = State { id: "a".into(), status: ContainerState::Created, pid: 7, ..State::default() };
    assert_eq!(
        serde_json::to_value(&state).unwrap(),
        json!({"ociVersion": "", "id": "a", "status": "created", "pid": 7, "bundle": ""})
    );
}
