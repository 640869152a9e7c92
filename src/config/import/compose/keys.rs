//! The keys of the Compose Specification: which are carried over, and which are known and are not.

/// The keys of one kind of map.
#[derive(Debug)]
pub(super) struct Table {
    /// Whose keys they are, in a sentence.
    pub(super) owner: &'static str,
    /// Translated.
    pub(super) carried: &'static [&'static str],
    /// Known to compose.
    pub(super) lost: &'static [&'static str],
}

/// A file.
pub(super) const FILE: Table = Table {
    owner: "a compose file",
    carried: &["version", "name", "include", "services", "volumes", "networks"],
    lost: &["configs", "secrets", "models"],
};

/// A service.
pub(super) const SERVICE: Table = Table {
    owner: "a service",
    carried: &[
        "image",
        "build",
        "command",
        "entrypoint",
        "environment",
        "env_file",
        "depends_on",
        "ports",
        "expose",
        "volumes",
        "networks",
        "labels",
        "healthcheck",
        "restart",
        "deploy",
        "scale",
        "working_dir",
        "user",
        "stop_signal",
        "stop_grace_period",
        "tty",
        "mem_limit",
        "cpus",
        "pids_limit",
        "profiles",
        "links",
        "volumes_from",
        "network_mode",
        "ipc",
        "pid",
        "extends",
        "ulimits",
        "tmpfs",
        "sysctls",
        "stdin_open",
        "shm_size",
        "security_opt",
        "read_only",
        "pull_policy",
        "privileged",
        "platform",
        "init",
        "hostname",
        "group_add",
        "extra_hosts",
        "dns",
        "container_name",
        "cap_drop",
        "cap_add",
    ],
    lost: &[
        "annotations",
        "attach",
        "blkio_config",
        "cgroup",
        "cgroup_parent",
        "configs",
        "cpu_count",
        "cpu_percent",
        "cpu_period",
        "cpu_quota",
        "cpu_rt_period",
        "cpu_rt_runtime",
        "cpu_shares",
        "cpuset",
        "credential_spec",
        "develop",
        "device_cgroup_rules",
        "devices",
        "dns_opt",
        "dns_search",
        "domainname",
        "external_links",
        "gpus",
        "isolation",
        "label_file",
        "logging",
        "mac_address",
        "mem_reservation",
        "mem_swappiness",
        "memswap_limit",
        "models",
        "oom_kill_disable",
        "oom_score_adj",
        "post_start",
        "pre_start",
        "pre_stop",
        "provider",
        "pull_refresh_after",
        "runtime",
        "secrets",
        "storage_opt",
        "use_api_socket",
        "userns_mode",
        "uts",
        "volume_driver",
    ],
};

/// `build`.
pub(super) const BUILD: Table = Table {
    owner: "build",
    carried: &["context", "dockerfile", "target", "args"],
    lost: &[
        "additional_contexts",
        "cache_from",
        "cache_to",
        "dockerfile_inline",
        "entitlements",
        "extra_hosts",
        "isolation",
        "labels",
        "network",
        "no_cache",
        "no_cache_filter",
        "platforms",
        "privileged",
        "provenance",
        "pull",
        "sbom",
        "secrets",
        "shm_size",
        "ssh",
        "tags",
        "ulimits",
    ],
};

/// `healthcheck`.
pub(super) const HEALTHCHECK: Table = Table {
    owner: "healthcheck",
    carried: &["test", "interval", "timeout", "retries", "start_period", "disable"],
    lost: &["start_interval"],
};

/// `deploy`.
pub(super) const DEPLOY: Table = Table {
    owner: "deploy",
    carried: &["replicas", "resources", "restart_policy", "mode"],
    lost: &["endpoint_mode", "labels", "placement", "rollback_config", "update_config"],
};

/// `deploy.resources`.
pub(super) const RESOURCES: Table = Table { owner: "deploy.resources", carried: &["limits"], lost: &["reservations"] };

/// `deploy.resources.limits`.
pub(super) const LIMITS: Table = Table {
    owner: "deploy.resources.limits",
    carried: &["cpus", "memory", "pids"],
    lost: &["devices", "generic_resources"],
};

/// `deploy.restart_policy`.
pub(super) const RESTART_POLICY: Table =
    Table { owner: "deploy.restart_policy", carried: &["condition", "delay", "max_attempts"], lost: &["window"] };

/// An entry of `ports`.
pub(super) const PORT: Table = Table {
    owner: "a port",
    carried: &["target", "published", "host_ip", "protocol", "mode"],
    lost: &["name", "app_protocol"],
};

/// An entry of `volumes`.
pub(super) const VOLUME: Table = Table {
    owner: "a mount",
    carried: &["type", "source", "target", "read_only"],
    lost: &["bind", "volume", "tmpfs", "image", "consistency"],
};

/// An entry of `env_file`.
pub(super) const ENV_FILE: Table = Table { owner: "env_file", carried: &["path", "required"], lost: &["format"] };

/// An entry of `depends_on`.
pub(super) const DEPENDENCY: Table =
    Table { owner: "depends_on", carried: &["condition", "required", "restart"], lost: &[] };

/// A network that a service joins.
pub(super) const JOINED: Table = Table {
    owner: "a service's network",
    carried: &["aliases", "ipv4_address"],
    lost: &[
        "driver_opts",
        "gw_priority",
        "interface_name",
        "ipv6_address",
        "link_local_ips",
        "mac_address",
        "priority",
    ],
};

/// A network of the project.
pub(super) const NETWORK: Table = Table {
    owner: "a network",
    carried: &["driver", "driver_opts", "external", "internal", "name"],
    lost: &["attachable", "enable_ipv4", "enable_ipv6", "ipam", "labels"],
};

/// A volume of the project.
pub(super) const NAMED_VOLUME: Table =
    Table { owner: "a volume", carried: &["driver", "driver_opts", "external", "name"], lost: &["labels"] };
