//! Every key of the project file in one table. Promise: reader, error messages, nearest key and reference page come from here.
//! Never: a key that does nothing.

use std::fmt::Write;

/// A key that is understood.
#[derive(Debug)]
pub(crate) struct Word {
    /// As written.
    pub(crate) name: &'static str,
    /// What may stand there.
    pub(crate) form: &'static str,
    /// What it does.
    pub(crate) about: &'static str,
}

/// A key of the compose specification that is known and not understood.
#[derive(Debug)]
pub(crate) enum Foreign {
    /// It changes nothing here; the words say why, or what to do instead.
    Unused(&'static str),
    /// The file means something that cannot be done; the words say what to do instead.
    Refused(&'static str),
}

/// The keys of one kind of map.
#[derive(Debug)]
pub(crate) struct Table {
    /// What has these keys: `a service`.
    pub(crate) owner: &'static str,
    /// The keys.
    pub(crate) words: &'static [Word],
    /// Compose's other keys.
    pub(crate) foreign: &'static [(&'static str, Foreign)],
}

const fn word(name: &'static str, form: &'static str, about: &'static str) -> Word {
    Word { name, form, about }
}

use Foreign::{Refused, Unused};

/// The file.
pub(crate) const PROJECT: Table = Table {
    owner: "a project file",
    words: &[
        word("name", "text", "Name of the project. Default: the name of the directory."),
        word("services", "map of name to service", "The services, in the order in which they are shown. Required."),
        word("defaults", "map", "What every service has unless it says otherwise; see *Defaults*."),
        word("logs", "map", "How output is kept, below `defaults` and the services' own; see *logs*."),
        word("alerts", "map", "How people are told of what goes wrong, over what your own file says; see *alerts*."),
    ],
    foreign: &[
        ("version", Unused("it has no meaning any more")),
        ("networks", Unused("the networks that containers join are made plainly")),
        ("volumes", Unused("the volumes that containers name are made plainly")),
        ("configs", Unused("use environment or env_file")),
        ("secrets", Unused("use environment or env_file")),
        ("include", Refused("copy the services into this file")),
        ("models", Unused("there is nothing that would run them")),
    ],
};

/// `services.NAME`.
pub(crate) const SERVICE: Table = Table {
    owner: "a service",
    words: &[
        word(
            "command",
            "text or list",
            "What is executed, without a shell. Text is split into words as a shell would.",
        ),
        word("shell", "text", "Instead of `command`: a line for `/bin/sh -c`, with pipes and all."),
        word("working_dir", "directory", "Where it is executed; relative to the file. Default: the file's directory."),
        word("environment", "map or list", "Variables; `NAME` without a value passes on the value that cas has."),
        word(
            "env_file",
            "text or list",
            "Files of variables; entries are paths or `{path, required}`. `environment` wins.",
        ),
        word(
            "secrets",
            "map of variable to source",
            "Variables whose values are had at each start and shown nowhere; see *Secrets*.",
        ),
        word("depends_on", "list or map", "Services that come first; see *Dependencies*."),
        word(
            "kind",
            "kind, or none",
            "What kind of service it is, such as `postgres`; see *Kinds*. Default: what is found out.",
        ),
        word(
            "check",
            "URL",
            "Whom to ask in its own protocol, such as `postgres://user:password@localhost:5432/db`; see *Kinds*.",
        ),
        word("deep", "true, false or map", "Deep looks at it: whether, and how often. Default: every `15s`."),
        word(
            "thresholds",
            "map of figure to thresholds",
            "From where on a figure is a warning, or critical; see *Kinds*.",
        ),
        word("checks", "map of name to check", "Whatever else is looked at, and what is done about it; see *Checks*."),
        word("remedies", "list of remedies", "What the healer does where it is not well, in this order; see *Kinds*."),
        word("healthcheck", "map", "Compose's probe: a readiness probe that runs a command; see *healthcheck*."),
        word("startup", "probe", "Has it come up? Until it has, the other probes wait; failing for good ends the run."),
        word("readiness", "probe", "Can it serve? Decides `service_healthy`; never restarts anything."),
        word("liveness", "probe", "Is it beyond hope? Failing ends the run, and `restart` decides what follows."),
        word(
            "ready_log_line",
            "regex",
            "A line of output, or of a file under `log_files`, that matches makes `service_log_ready` true.",
        ),
        word(
            "restart",
            "no, on-failure, on-failure:N, always, unless-stopped",
            "When it is started again after it ended. Default: `on-failure` (compose's is `no`).",
        ),
        word("backoff", "map", "How restarts are spaced and when to give up; see *backoff*."),
        word("stop_signal", "signal", "The first signal of a stop. Default: `SIGTERM`."),
        word("stop_grace_period", "duration", "Time from the first signal to SIGKILL. Default: `10s`."),
        word("pre_start", "hook", "Run before every start; its failure is a failed start. See *Hooks*."),
        word("post_start", "hook", "Run once after the process is up; its failure ends nothing."),
        word("pre_stop", "hook", "Run before the signal of a stop, within `stop_grace_period`."),
        word("on_failure", "hook", "Run after it ended unasked with a failure, or was given up."),
        word("ports", "list", "TCP ports that it listens on, checked before each start; see *Ports*."),
        word("autostart", "true or false", "Started when the project is opened. Default: `false`."),
        word("profiles", "list", "Started with others only while one of them is active; see *Profiles*."),
        word("replicas", "number from 1 to 64", "So many copies of it run; see *Copies*. Default: 1."),
        word("scale", "number from 1 to 64", "Compose's short word for `replicas`."),
        word("schedule", "text or map", "The clock that starts it: cron, or `every 15m`; see *schedule*."),
        word("watch", "text, list or map", "Files for which it is restarted; see *watch*."),
        word("tty", "true or false", "It runs in a terminal of its own, which can be attached to. Default: `false`."),
        word(
            "user",
            "user, or user:group",
            "Who it runs as, by name or number, with that user's groups and HOME; only root may. Default: as cas.",
        ),
        word(
            "umask",
            "octal number, quoted",
            "Permissions that its new files do not get, such as `\"027\"`. Default: as cas.",
        ),
        word("nice", "-20 to 19", "Its priority: the less, the sooner; below 0 only root may. Default: as cas."),
        word(
            "ulimits",
            "map",
            "Limits of each of its processes: `nofile: 1024`, or `{soft, hard}`, or `unlimited`; as, core, cpu, data, fsize, memlock, msgqueue, nofile, nproc, rss, sigpending, stack.",
        ),
        word("logs", "map", "How its output is kept; single keys over those of `defaults`; see *logs*."),
        word(
            "log_files",
            "list of log files",
            "Files that it writes itself: shown with its output, and rotated; see *log_files*.",
        ),
        word("deploy", "map", "Compose's place for `replicas` and `resources.limits`; see *Limits*."),
        word("cpus", "number", "Short for `deploy.resources.limits.cpus`."),
        word("mem_limit", "size", "Short for `deploy.resources.limits.memory`."),
        word("pids_limit", "number from 1", "Short for `deploy.resources.limits.pids`."),
        word("description", "text", "For people."),
        word(
            "image",
            "text",
            "Its image: it is a container. See docs/containers.md for all keys down to `sysctls`, which only containers have.",
        ),
        word(
            "build",
            "text or map",
            "How its image is made, in place of `image`, or under that name: a directory, or `{context, dockerfile, target, args}`.",
        ),
        word(
            "entrypoint",
            "text or list",
            "What the container executes in place of the image's; `command` follows it.",
        ),
        word("volumes", "list", "What the container sees: `./data:/var/lib/data:ro`, `name:/path`, `/path`."),
        word("networks", "list or map", "Networks of the project that the container joins. Default: `default`."),
        word("network_mode", "text", "`host`, `none`, `service:NAME` or `container:NAME`, in place of networks."),
        word("labels", "map or list", "Labels of the container."),
        word("container_name", "text", "Its name. Default: `project-service-1`."),
        word("hostname", "text", "Its host name."),
        word("platform", "text", "Such as `linux/amd64`."),
        word("pull_policy", "missing, always, never, build", "When its image is fetched. Default: `missing`."),
        word("extra_hosts", "list", "`name:address`."),
        word("dns", "text or list", "Its servers of names."),
        word("group_add", "list", "More groups of its user."),
        word("cap_add", "list", "Capabilities that it gets."),
        word("cap_drop", "list", "Capabilities that it loses."),
        word("security_opt", "list", "Options of the kernel's security modules."),
        word("privileged", "true or false", "It gets all capabilities and devices. Default: `false`."),
        word("read_only", "true or false", "It cannot write to its own file system. Default: `false`."),
        word("stdin_open", "true or false", "Its standard input stays open. Default: `false`."),
        word("init", "true or false", "A process 1 that passes signals on and waits for orphans."),
        word("shm_size", "size", "Size of its `/dev/shm`."),
        word("tmpfs", "text or list", "Where it sees memory as a file system."),
        word("sysctls", "map or list", "Settings of the kernel that are its own."),
    ],
    foreign: &[
        ("extends", Refused("use a YAML anchor and \"<<: *name\", or defaults")),
        ("expose", Unused("use ports")),
        ("label_file", Unused("nothing reads them")),
        ("annotations", Unused("nothing reads them")),
        ("logging", Unused("output is always kept; use logs")),
        ("attach", Unused("output is always kept")),
        ("links", Unused("use depends_on")),
        ("external_links", Unused("it shares the network of this machine")),
        ("domainname", Unused("it shares the network of this machine")),
        ("dns_opt", Unused("it shares the network of this machine")),
        ("dns_search", Unused("it shares the network of this machine")),
        ("mac_address", Unused("it shares the network of this machine")),
        ("volumes_from", Unused("it sees the files of this machine")),
        ("configs", Unused("use environment or env_file")),
        ("develop", Unused("use watch")),
        ("runtime", Unused("it is not a container")),
        ("ipc", Unused("it is not a container")),
        ("pid", Unused("it is not a container")),
        ("uts", Unused("it is not a container")),
        ("userns_mode", Unused("it is not a container")),
        ("cgroup", Unused("it is not a container")),
        ("cgroup_parent", Unused("it is not a container")),
        ("devices", Unused("it is not a container")),
        ("device_cgroup_rules", Unused("it is not a container")),
        ("gpus", Unused("it is not a container")),
        ("isolation", Unused("it is not a container")),
        ("storage_opt", Unused("it is not a container")),
        ("blkio_config", Unused("only cpus, mem_limit and pids_limit are set")),
        ("cpu_count", Unused("use cpus")),
        ("cpu_percent", Unused("use cpus")),
        ("cpu_period", Unused("use cpus")),
        ("cpu_quota", Unused("use cpus")),
        ("cpu_rt_period", Unused("use cpus")),
        ("cpu_rt_runtime", Unused("use cpus")),
        ("cpu_shares", Unused("use cpus")),
        ("cpuset", Unused("use cpus, or taskset in the command")),
        ("mem_reservation", Unused("nothing is reserved; use mem_limit")),
        ("mem_swappiness", Unused("what is limited by mem_limit does not swap")),
        ("memswap_limit", Unused("what is limited by mem_limit does not swap")),
        ("oom_kill_disable", Unused("only cpus, mem_limit and pids_limit are set")),
        ("oom_score_adj", Unused("only cpus, mem_limit and pids_limit are set")),
    ],
};

/// One of `ports` of a container.
pub(crate) const PUBLISHED: Table = Table {
    owner: "a container's port",
    words: &[
        word("target", "port", "The port of the container. Required."),
        word("published", "port", "The port of this machine. Default: any that is free."),
        word("host_ip", "text", "The address of this machine. Default: all."),
        word("protocol", "tcp or udp", "Default: `tcp`."),
    ],
    foreign: &[
        ("mode", Unused("nothing is balanced here")),
        ("name", Unused("nothing reads it")),
        ("app_protocol", Unused("nothing reads it")),
    ],
};

/// `build`.
pub(crate) const BUILD: Table = Table {
    owner: "build",
    words: &[
        word("context", "directory", "What is built from; relative to the file. Default: `.`."),
        word("dockerfile", "file", "Relative to the context. Default: `Dockerfile`."),
        word("target", "text", "The stage that is built."),
        word("args", "map or list", "Arguments of the build."),
    ],
    foreign: &[],
};

/// One of `networks` of a service.
pub(crate) const JOINED: Table = Table {
    owner: "a network",
    words: &[
        word("aliases", "list", "More names under which others find it there."),
        word("ipv4_address", "text", "Its address there."),
    ],
    foreign: &[],
};

/// `defaults`.
pub(crate) const DEFAULTS: Table = Table {
    owner: "defaults",
    words: &[
        word("working_dir", "directory", "As in a service."),
        word("environment", "map or list", "Variables that every service has; those of the service win."),
        word("env_file", "text or list", "Files of variables that every service has; all of the service's own win."),
        word("secrets", "map of variable to source", "Secrets that every service is given; those of the service win."),
        word("restart", "no, on-failure, on-failure:N, always, unless-stopped", "As in a service."),
        word("backoff", "map", "As in a service; a service may change single keys of it."),
        word("stop_signal", "signal", "As in a service."),
        word("stop_grace_period", "duration", "As in a service."),
        word("autostart", "true or false", "As in a service."),
        word("user", "user, or user:group", "As in a service."),
        word("umask", "octal number, quoted", "As in a service."),
        word("nice", "-20 to 19", "As in a service."),
        word("ulimits", "map", "As in a service; a service may change single limits."),
        word("logs", "map", "As in a service; a service may change single keys of it."),
        word("log_files", "list of log files", "As in a service; a service's own list takes its place."),
        word("deploy", "map", "As in a service; a service may change single limits."),
        word("cpus", "number", "As in a service."),
        word("mem_limit", "size", "As in a service."),
        word("pids_limit", "number from 1", "As in a service."),
    ],
    foreign: &[],
};

/// `deep`, written as a map.
pub(crate) const DEEP: Table = Table {
    owner: "deep",
    words: &[
        word(
            "interval",
            "duration",
            "From the start of one look to the start of the next, at least `1s`. Default: `15s`.",
        ),
        word("timeout", "duration", "A look that has not ended by then has failed. Default: `10s`."),
    ],
    foreign: &[],
};

/// One of `thresholds`.
pub(crate) const THRESHOLD: Table = Table {
    owner: "a threshold",
    words: &[
        word("warn", "number, share, size or time", "From here on it is a warning: `100`, `80%`, `1G`, `5s`."),
        word("critical", "number, share, size or time", "From here on it is critical."),
    ],
    foreign: &[],
};

/// One of `remedies`, written as a map.
pub(crate) const REMEDY: Table = Table {
    owner: "a remedy",
    words: &[
        word("wait", "duration", "Nothing, for so long: it may come back by itself."),
        word("reload", "signal", "A signal that makes it read its configuration again."),
        word("run", "text or list", "A command, run where and as the service runs."),
        word("clean", "text or list", "Directories below the project's that are emptied."),
    ],
    foreign: &[],
};

/// One of `checks`.
pub(crate) const CHECK: Table = Table {
    owner: "a check",
    words: &[
        word("certificate", "host:port, or file", "When the certificate of a server, or in a file, expires."),
        word("token", "map of source", "When a token expires: `{file}`, `{env}` or `{command}`."),
        word("webhook", "URL, or webhook", "Whether a webhook's receiver answers, and what was not delivered."),
        word("echo", "URL", "Whether a WebSocket server sends `text` back, also after a dropped connection."),
        word("storage", "map of storage", "What files take, and which are beyond what is kept."),
        word("fresh", "map of data", "How old the newest data is; `within` is the limit."),
        word("queue", "URL, or queue", "How much waits, and for how long."),
        word("exec", "text or list", "A command that prints a number, or `{\"value\": 3, \"limit\": 10}`."),
        word("text", "text", "Of `echo`: what is sent. Default: `cas`."),
        word("within", "duration", "Of `fresh`: data that is older is critical. Required there."),
        word("oldest", "duration", "Of `queue`: what has waited so long is critical. Default: never."),
        word("below", "true or false", "Of `exec`: little is bad. Default: `false`."),
        word(
            "warn",
            "number, share, size or time",
            "From here on it is a warning. Default: `14d` of a certificate, `5m` of a token, 1 failed delivery, `80%` of a quota.",
        ),
        word(
            "critical",
            "number, share, size or time",
            "From here on it is critical. Default: `3d` of a certificate, `0s` of a token, 10 failed deliveries, `95%` of a quota.",
        ),
        word(
            "every",
            "duration",
            "From the start of one look to the start of the next, at least `1s`. Default: `1m`; certificate `1h`, storage `5m`, echo `30s`, queue `15s`.",
        ),
        word("timeout", "duration", "A look that has not ended by then has failed. Default: `10s`."),
        word(
            "fix",
            "text or list",
            "What is done where it is critical: a command, `replay` (of a webhook's failed deliveries) or `clean` (of storage). Default: nothing.",
        ),
        word(
            "fix_at",
            "warn, critical",
            "From where on the fix is run. Default: `critical`; of `replay` and `clean` `warn`.",
        ),
        word(
            "cooldown",
            "duration",
            "A fix is run at most once in this time, and three times an hour. Default: `15m`.",
        ),
    ],
    foreign: &[],
};

/// `token` of a check.
pub(crate) const TOKEN: Table = Table {
    owner: "a token",
    words: &[
        word("file", "file", "Has the token, or JSON with `expires_at`, `expires_in` or a token."),
        word("env", "text", "A variable of the service, secrets among them."),
        word("command", "text or list", "Writes it to its standard output, at most 4 KiB."),
    ],
    foreign: &[],
};

/// `webhook` of a check, written as a map.
pub(crate) const RECEIVER: Table = Table {
    owner: "a webhook",
    words: &[
        word("url", "URL", "The receiver. Required."),
        word("send", "true or false", "Each look sends a ping; false: it only asks with OPTIONS. Default: `false`."),
        word("method", "text", "The method of a ping and of what is sent again. Default: `POST`."),
        word("body", "text", "The body of a ping. Default: `{\"event\":\"ping\"}`."),
        word("secret_env", "text", "A variable of the service, secrets among them, whose value signs bodies."),
        word("signature", "text", "The header of the signature. Default: `X-Hub-Signature-256`."),
        word(
            "deadletter",
            "directory",
            "Deliveries that failed: one JSON file each, `{\"headers\": {}, \"body\": …}`.",
        ),
    ],
    foreign: &[],
};

/// `storage` of a check.
pub(crate) const STORAGE: Table = Table {
    owner: "storage",
    words: &[
        word("paths", "text or list", "Directories below the project's. Required."),
        word("quota", "size", "The most that they may take together. Default: no limit."),
        word(
            "keep",
            "duration, or newest",
            "What is kept: `30d`, or `{newest: 10}` of each path. Default: everything.",
        ),
        word("outside", "true or false", "Paths may be outside of the project's directory. Default: `false`."),
    ],
    foreign: &[],
};

/// `keep` of storage, written as a map.
pub(crate) const KEEP: Table = Table {
    owner: "keep",
    words: &[word("newest", "number from 1", "So many files of each path, those changed last.")],
    foreign: &[],
};

/// `fresh` of a check.
pub(crate) const FRESH: Table = Table {
    owner: "fresh",
    words: &[
        word("file", "file", "When it, or the newest file in it, was changed."),
        word("postgres", "URL", "The database that `query` is put to."),
        word("sqlite", "file", "The file that `query` is put to."),
        word("query", "text", "Gives the newest time as its first value; or `postgres://…?query=select …`."),
        word("http", "URL", "Answers JSON that has the newest time."),
        word("pointer", "text", "Of `http`: where in it (RFC 6901), such as `/last/created_at`. Default: the whole."),
    ],
    foreign: &[],
};

/// `queue` of a check, written as a map.
pub(crate) const QUEUE: Table = Table {
    owner: "a queue",
    words: &[
        word("url", "URL", "Redis or PostgreSQL."),
        word("list", "text", "Of Redis: the key of the list, stream, set or sorted set."),
        word("query", "text", "Of PostgreSQL: gives how many wait, and then, if it likes, since when the oldest."),
        word("dir", "directory", "Each file of it waits."),
    ],
    foreign: &[],
};

/// `logs`.
pub(crate) const LOGS: Table = Table {
    owner: "logs",
    words: &[
        word(
            "max_size",
            "size",
            "Bytes on disk, archives included, at least `64K`; the oldest go first. Default: `64M`.",
        ),
        word("max_age", "duration", "Output that is older is removed, at least `1m`. Default: kept until `max_size`."),
        word(
            "on_full",
            "drop, block",
            "On a full disk output is dropped, counted and marked, or the service waits in its write. Default: `drop`.",
        ),
        word(
            "split_streams",
            "true or false",
            "Standard error is shown apart. False: both share one pipe, in exact order. Default: `true`.",
        ),
    ],
    foreign: &[],
};

/// One of `log_files`, written as a map.
pub(crate) const LOG_FILE: Table = Table {
    owner: "a log file",
    words: &[
        word(
            "path",
            "text",
            "The file, relative to `working_dir`; `*` and `?` in its last part mean several. Required.",
        ),
        word("follow", "true or false", "Its lines are shown with the output. Default: `true`."),
        word("rotate", "map", "When and how it is rotated; see *rotate*. Default: it is never touched."),
    ],
    foreign: &[],
};

/// `rotate` of a log file.
pub(crate) const ROTATE: Table = Table {
    owner: "rotate",
    words: &[
        word("max_size", "size", "It is rotated when it is larger, at least `4K`."),
        word("max_age", "duration", "It is rotated so long after the last time, at least `1m`."),
        word("keep", "number from 1 to 1000", "Rotated files that are kept. Default: 7."),
        word(
            "keep_for",
            "duration",
            "Rotated files are kept for so long, at least `1m`. Default: as long as `keep` allows.",
        ),
        word("compress", "true or false", "All but the newest rotated file are compressed. Default: `true`."),
        word("how", "auto, signal, copytruncate", "How it is rotated; see below. Default: `auto`."),
        word("signal", "signal", "For `how: signal`: on which the service opens its files anew, such as `USR1`."),
    ],
    foreign: &[],
};

/// `schedule`, written as a map.
pub(crate) const SCHEDULE: Table = Table {
    owner: "schedule",
    words: &[
        word(
            "cron",
            "cron expression",
            "Five fields, or six with seconds first; also `@hourly`, `@daily` and the like.",
        ),
        word("every", "duration", "Instead of `cron`: each time so long after the last, at least `1s`."),
        word(
            "timezone",
            "text",
            "Zone in which `cron` is meant, such as `Europe/Berlin`. Default: that of the machine.",
        ),
        word("on_overlap", "skip, restart", "Where it still runs when its time comes. Default: `skip`."),
        word(
            "catch_up",
            "true or false",
            "A time that passed while cas did not run, or the machine slept, is made up for, once. Default: `false`.",
        ),
    ],
    foreign: &[],
};

/// `watch`, written as a map.
pub(crate) const WATCH: Table = Table {
    owner: "watch",
    words: &[
        word("paths", "text or list", "Patterns as in a `.gitignore`, below `working_dir`. Required."),
        word("ignore", "text or list", "Patterns of files that do not count, beside those that never do."),
        word("debounce", "duration", "Quiet that ends a burst of changes, `10ms` to `1m`. Default: `300ms`."),
        word("action", "restart, {signal}, {run}", "What a change does; see below. Default: `restart`."),
    ],
    foreign: &[],
};

/// `watch.action`, written as a map.
pub(crate) const ACTION: Table = Table {
    owner: "action",
    words: &[
        word("signal", "signal", "Sent to the main process, such as `HUP`."),
        word(
            "run",
            "text or list",
            "A command that is run beside it. Text is a shell line, a list is executed as it is.",
        ),
    ],
    foreign: &[],
};

/// `deploy`.
pub(crate) const DEPLOY: Table = Table {
    owner: "deploy",
    words: &[
        word("resources", "map", "Has one key, `limits`."),
        word("replicas", "number from 1 to 64", "As `replicas` of a service; not in `defaults`."),
    ],
    foreign: &[
        ("mode", Unused("as many processes run as replicas says")),
        ("endpoint_mode", Unused("processes share the network of this machine")),
        ("placement", Unused("it runs on this machine")),
        ("restart_policy", Unused("use restart and backoff")),
        ("update_config", Unused("use restart and backoff")),
        ("rollback_config", Unused("use restart and backoff")),
        ("labels", Unused("nothing reads them")),
    ],
};

/// `deploy.resources`.
pub(crate) const RESOURCES: Table = Table {
    owner: "resources",
    words: &[word("limits", "map", "What it may use at most.")],
    foreign: &[("reservations", Unused("nothing is reserved; use limits"))],
};

/// `deploy.resources.limits`.
pub(crate) const LIMITS: Table = Table {
    owner: "limits",
    words: &[
        word("cpus", "number", "Cores, such as `0.5`; more than 0. Default: no limit."),
        word(
            "memory",
            "size",
            "Memory, at least `4M`; who needs more is killed, and shown as such. Default: no limit.",
        ),
        word("pids", "number from 1", "Processes and threads. Default: 4096 in cgroups of version 2, else none."),
    ],
    foreign: &[],
};

/// `startup`, `readiness`, `liveness`.
pub(crate) const PROBE: Table = Table {
    owner: "a probe",
    words: &[
        word(
            "exec",
            "text or list",
            "A command; exit code 0 is success. Text is a shell line, a list is executed as it is.",
        ),
        word(
            "http",
            "URL, or {url, status}",
            "GET; 200 to 399 is success, or exactly `status`. `8080/health` is short for `http://localhost:8080/health`.",
        ),
        word("tcp", "port, or host:port", "A connection is accepted."),
        word("log", "regex", "A line of output matches, once. Not for liveness."),
        word("check", "URL", "A server answers in its own protocol that it serves: `redis://localhost:6379`."),
        word(
            "interval",
            "duration",
            "From the start of one round to the start of the next, at least `100ms`. Default: `10s`; startup `1s`.",
        ),
        word("timeout", "duration", "A round without an answer has failed. Default: `5s`."),
        word("retries", "number from 1", "Failures in a row that count. Default: 3; startup 60."),
        word("successes", "number from 1", "Successes in a row that count. Default: 1."),
        word(
            "start_period",
            "duration",
            "Failures this soon after the start, and before the first success, do not count. Default: `0s`.",
        ),
        word("heals", "true or false", "Of `readiness`: the healer acts where it fails for good. Default: `false`."),
        word(
            "honest",
            "true or false",
            "A command that ends with 0 and prints `NOAUTH` and the like, or a page of status 200 that says `degraded`, has failed. Default: `true`.",
        ),
    ],
    foreign: &[],
};

/// `http` of a probe, written as a map.
pub(crate) const HTTP: Table = Table {
    owner: "http",
    words: &[
        word("url", "URL", "What is fetched, as in the short form. Required."),
        word("status", "number from 100 to 599", "The one status that is success."),
    ],
    foreign: &[],
};

/// `healthcheck`.
pub(crate) const HEALTHCHECK: Table = Table {
    owner: "healthcheck",
    words: &[
        word("test", "text or list", "A shell line, or `[CMD, program, …]`, `[CMD-SHELL, line]`, `[NONE]`."),
        word("interval", "duration", "As in a probe. Default: `10s`."),
        word("timeout", "duration", "As in a probe. Default: `5s`."),
        word("retries", "number from 1", "As in a probe. Default: 3."),
        word("start_period", "duration", "As in a probe. Default: `0s`."),
        word("honest", "true or false", "As in a probe. Default: `true`."),
        word("disable", "true or false", "True: as if it were not there."),
    ],
    foreign: &[("start_interval", Unused("write a startup probe, whose interval is 1s"))],
};

/// A command of a hook, written as a map.
pub(crate) const HOOK: Table = Table {
    owner: "a hook",
    words: &[
        word("command", "text or list", "What is executed, without a shell, as in a service."),
        word("shell", "text", "Instead of `command`: a line for `/bin/sh -c`."),
        word(
            "timeout",
            "duration",
            "When it is ended, and has failed. Default: `60s` for `pre_start`, `10s` for the others.",
        ),
    ],
    foreign: &[
        ("user", Unused("it runs as you")),
        ("privileged", Unused("it is not a container")),
        ("working_dir", Refused("write \"cd directory && …\" as shell")),
        ("environment", Refused("write \"NAME=value …\" as shell, or give the service the variables")),
    ],
};

/// `backoff`.
pub(crate) const BACKOFF: Table = Table {
    owner: "backoff",
    words: &[
        word(
            "strategy",
            "exponential, linear, fixed, fibonacci, none",
            "How the delay grows; `none`: no restarts at all, as with `restart: \"no\"`. Default: `exponential`.",
        ),
        word(
            "base",
            "duration",
            "Longest delay before the first restart in a row; `0s`: always at once. Default: `500ms`.",
        ),
        word("factor", "number from 1", "Growth per restart in a row of the exponential strategy. Default: 2."),
        word("ceiling", "duration", "Longest delay of all. Default: `60s`."),
        word("stable", "duration", "A run that lasted this long was stable: counting starts anew. Default: `10s`."),
        word(
            "give_up_after",
            "number from 0",
            "Starts in a row that never became stable; then it gives up. 0: never. Default: 8.",
        ),
    ],
    foreign: &[],
};

/// `depends_on.NAME`.
pub(crate) const DEPENDENCY: Table = Table {
    owner: "a dependency",
    words: &[
        word(
            "condition",
            "service_started, service_healthy, service_completed_successfully, service_log_ready",
            "What must hold before the dependent starts. Default: `service_started`.",
        ),
        word(
            "restart",
            "true or false",
            "Restart the dependent after a person restarted the dependency. Default: `false`.",
        ),
        word(
            "required",
            "true or false",
            "False: an absent or given-up dependency does not hold the dependent. Default: `true`.",
        ),
    ],
    foreign: &[],
};

/// An entry of `env_file`, written as a map.
pub(crate) const ENV_FILE: Table = Table {
    owner: "an env_file entry",
    words: &[
        word("path", "file", "The file; relative to the project file. Required."),
        word("required", "true or false", "False: it may be absent. Default: `true`."),
    ],
    foreign: &[("format", Unused("files are always read as compose reads them"))],
};

/// An entry of `secrets`.
pub(crate) const SECRET: Table = Table {
    owner: "a secret",
    words: &[
        word("file", "file", "A file that holds it; relative to the project file."),
        word(
            "command",
            "text or list",
            "A command that writes it to its standard output. Text is a shell line, a list is executed as it is.",
        ),
        word("env", "text", "A variable of the environment that the project was opened with."),
    ],
    foreign: &[],
};

/// An entry of `ports`, written as a map.
pub(crate) const PORT: Table = Table {
    owner: "a port",
    words: &[
        word("published", "port or range", "The port of this machine. Default: `target`."),
        word("target", "port", "Compose's port within the container; used where `published` is absent."),
        word("protocol", "tcp or udp", "Only tcp is checked. Default: `tcp`."),
    ],
    foreign: &[
        ("host_ip", Unused("the port is checked on every address")),
        ("mode", Unused("it is not a container")),
        ("name", Unused("nothing reads it")),
        ("app_protocol", Unused("nothing reads it")),
    ],
};

/// The user's `config.yaml`.
pub(crate) const USER: Table = Table {
    owner: "the user file",
    words: &[
        word("theme", "text", "Name of a colour theme."),
        word("keys", "map of action to key or list of keys", "Keys that replace the built-in ones of an action."),
        word("mouse", "true or false", "Whether the console takes the mouse. Default: `true`."),
        word("auto_heal", "on or off", "Whether the healer may act. Default: `on`."),
        word("autopilot", "on or off", "The older word for `auto_heal`."),
        word(
            "detach_key",
            "key",
            "Leaves a service's terminal again: `ctrl-` and a letter, `]`, `\\`, `^` or `_`. Default: `ctrl-]`.",
        ),
        word(
            "alert_level",
            "all, warning, critical-only, off",
            "Which news of the timeline that nobody asked for the console shows over everything, with the terminal's bell. Default: `critical-only`.",
        ),
        word(
            "retry_strategy",
            "exponential, linear, fixed, fibonacci, none",
            "`backoff.strategy` of services whose project says nothing of it. Default: `exponential`.",
        ),
        word(
            "max_restarts",
            "number from 0",
            "`backoff.give_up_after` of services whose project says nothing of it. Default: 8.",
        ),
        word(
            "auto_reload",
            "on or off",
            "Whether a changed project file is taken in as soon as it can be; off: its difference is shown, and `cas reload` takes it in. Default: `off`.",
        ),
        word(
            "learning_mode",
            "on or off",
            "Whether engines learn how long each service takes to be ready, and say when a start is slow. Default: `on`.",
        ),
        word(
            "log_formats",
            "list of formats",
            "Forms of log lines beside those that are known; see *Forms of log lines*.",
        ),
        word("mask", "map", "What is masked in output beside secrets; its keys are `emails` and `patterns`."),
        word("api", "map", "Who else may read; its key is `group`."),
        word("alerts", "map", "How you are told of what goes wrong where a project does not say; see *alerts*."),
    ],
    foreign: &[],
};

/// `mask` of the user's file.
pub(crate) const MASK: Table = Table {
    owner: "mask",
    words: &[
        word("emails", "true or false", "Whether addresses of e-mail are masked. Default: `false`."),
        word("patterns", "list", "Regular expressions; what matches one of them is masked."),
    ],
    foreign: &[],
};

/// An entry of `log_formats` of the user's file.
pub(crate) const LOG_FORMAT: Table = Table {
    owner: "a format",
    words: &[
        word("name", "text", "How it is called. Required."),
        word(
            "pattern",
            "regex",
            "What such a line matches; its groups `time`, `level` and `message` are that, every other named group is a field. Required.",
        ),
        word("time", "text", "How `time` is written, as strftime(3) has it. Default: one of the known forms."),
    ],
    foreign: &[],
};

/// `api` of the user's file.
pub(crate) const API: Table = Table {
    owner: "api",
    words: &[word(
        "group",
        "text",
        "A group of this machine whose members may use the read-only socket. Default: nobody.",
    )],
    foreign: &[],
};

/// `alerts`, of a project and of the user.
pub(crate) const ALERTS: Table = Table {
    owner: "alerts",
    words: &[
        word(
            "desktop",
            "auto, osc9, osc777, osc99, notify-send, off",
            "How the route `desktop`, which is always there, tells: the terminals of open consoles and `notify-send`. Default: `auto`.",
        ),
        word(
            "routes",
            "map of name to route",
            "Other ways to people; see *Routes of alerts*. `off` takes away one of the user's file.",
        ),
        word("rules", "map of rule to change", "What is an alarm, and when; see *Rules of alerts*."),
        word("send_to", "list, or {warning, critical}", "Routes that are told. Default: all."),
        word(
            "quiet_hours",
            "hours, or {hours, days, timezone}",
            "Only what is critical is sent, such as `22:00-07:00`; the rest when they end. Default: none.",
        ),
        word(
            "reminder",
            "duration, or off",
            "What is critical and goes on is told again after so long, at least `1m`. Default: `4h`.",
        ),
        word(
            "throttle",
            "duration",
            "At most one message about an incident by each route in this time. Default: `5m`.",
        ),
    ],
    foreign: &[],
};

/// A route of `alerts`.
pub(crate) const ROUTE: Table = Table {
    owner: "a route",
    words: &[
        word(
            "slack",
            "URL",
            "Of an incoming webhook of Slack. Any URL, key, token or password here may be `file:PATH`.",
        ),
        word("discord", "URL", "Of a webhook of Discord."),
        word("teams", "URL", "Of a Workflows webhook of Microsoft Teams."),
        word("webhook", "URL, or {url, method, headers, body}", "Any HTTP endpoint; see *webhook*."),
        word("pagerduty", "key, or {key, url}", "Integration key of PagerDuty's Events API v2."),
        word("opsgenie", "key, or {key, url}", "API key of Opsgenie."),
        word("telegram", "{token, chat, url}", "A bot of Telegram; see *telegram*."),
        word("ntfy", "URL, or {url, token}", "A topic of ntfy, such as `https://ntfy.sh/my-topic`."),
        word("email", "{server, security, user, password, from, to}", "E-mail over SMTP; see *email*."),
        word(
            "command",
            "text or list",
            "A command that reads the message as JSON; text is a shell line, a list is executed as it is.",
        ),
        word("desktop", "auto, osc9, osc777, osc99, notify-send", "A desktop, as the route `desktop` is."),
        word("throttle", "duration", "As `alerts.throttle`, for this route."),
    ],
    foreign: &[],
};

/// `webhook` of a route, written as a map.
pub(crate) const WEBHOOK: Table = Table {
    owner: "webhook",
    words: &[
        word("url", "URL", "Where. Required."),
        word("method", "POST, PUT, PATCH, GET", "Default: `POST`."),
        word("headers", "map of name to value", "Headers; their values are never shown."),
        word(
            "body",
            "text",
            "A template such as `{\"text\": \"{{ title }}\"}`; its names are the fields of the message. Default: the message as JSON.",
        ),
    ],
    foreign: &[],
};

/// `pagerduty` and `opsgenie` of a route, written as maps.
pub(crate) const PAGER: Table = Table {
    owner: "a pager",
    words: &[
        word("key", "text", "The key. Required."),
        word("url", "URL", "Of another region, such as `https://api.eu.opsgenie.com`. Default: the vendor's own."),
    ],
    foreign: &[],
};

/// `telegram` of a route.
pub(crate) const TELEGRAM: Table = Table {
    owner: "telegram",
    words: &[
        word("token", "text", "Of the bot. Required."),
        word("chat", "text", "Chat id or `@channel`. Required."),
        word("url", "URL", "Of a Bot API server of your own. Default: `https://api.telegram.org`."),
    ],
    foreign: &[],
};

/// `ntfy` of a route, written as a map.
pub(crate) const NTFY: Table = Table {
    owner: "ntfy",
    words: &[
        word("url", "URL", "Server and topic. Required."),
        word("token", "text", "An access token. Default: none."),
    ],
    foreign: &[],
};

/// `email` of a route.
pub(crate) const EMAIL: Table = Table {
    owner: "email",
    words: &[
        word(
            "server",
            "host, or host:port",
            "The mail server. Port where none is given: 587, with `tls` 465, with `none` 25. Required.",
        ),
        word(
            "security",
            "starttls, tls, none",
            "How it is spoken to. Default: `starttls`; for a server on this machine `none`.",
        ),
        word("user", "text", "As whom; with `password`."),
        word("password", "text", "With which password."),
        word("from", "address", "Who writes. Required."),
        word("to", "text or list", "To whom. Required."),
    ],
    foreign: &[],
};

/// A rule of `alerts`, and what it is for some services.
pub(crate) const RULE: Table = Table {
    owner: "a rule",
    words: &[
        word("severity", "warning, critical, off", "How bad it is; `off`: it is no alarm."),
        word("for", "duration", "How long it must last until it is told."),
        word("resolve_after", "duration", "How long it must be gone until it is over. Default: `15s`."),
        word("services", "map of pattern to change", "The same keys for services of a name, or of a pattern with `*`."),
    ],
    foreign: &[],
};

/// `alerts.quiet_hours`, written as a map.
pub(crate) const QUIET_HOURS: Table = Table {
    owner: "quiet_hours",
    words: &[
        word("hours", "hours", "From and to, such as `22:00-07:00`; `00:00-24:00` is a whole day. Required."),
        word("days", "list", "Days on which they begin: mon, tue, wed, thu, fri, sat, sun. Default: all."),
        word("timezone", "text", "Zone of their clocks, such as `Europe/Berlin`. Default: that of the machine."),
    ],
    foreign: &[],
};

/// `alerts.send_to`, written as a map.
pub(crate) const SEND_TO: Table = Table {
    owner: "send_to",
    words: &[
        word("warning", "list", "Routes for warnings (sent where `alert_level` is `warning` or `all`). Default: all."),
        word("critical", "list", "Routes for what is critical. Default: all."),
    ],
    foreign: &[],
};

/// The keys of the map that a key holds; none where it holds none of ours.
pub(crate) fn below(name: &str) -> Option<&'static Table> {
    Some(match name {
        "defaults" => &DEFAULTS,
        "backoff" => &BACKOFF,
        "logs" => &LOGS,
        "log_files" => &LOG_FILE,
        "rotate" => &ROTATE,
        "deploy" => &DEPLOY,
        "resources" => &RESOURCES,
        "limits" => &LIMITS,
        "startup" | "readiness" | "liveness" => &PROBE,
        "http" => &HTTP,
        "healthcheck" => &HEALTHCHECK,
        "hook" => &HOOK,
        "deep" => &DEEP,
        "remedies" => &REMEDY,
        "secret" => &SECRET,
        "schedule" => &SCHEDULE,
        "watch" => &WATCH,
        "action" => &ACTION,
        "api" => &API,
        "token" => &TOKEN,
        "webhook" => &RECEIVER,
        "storage" => &STORAGE,
        "keep" => &KEEP,
        "fresh" => &FRESH,
        "queue" => &QUEUE,
        "alerts" => &ALERTS,
        _ => return None,
    })
}

const TABLES: [(&str, &Table); 45] = [
    ("Project", &PROJECT),
    ("Service", &SERVICE),
    ("Defaults", &DEFAULTS),
    ("Dependencies", &DEPENDENCY),
    ("Probes", &PROBE),
    ("http as a map", &HTTP),
    ("healthcheck", &HEALTHCHECK),
    ("deep", &DEEP),
    ("thresholds", &THRESHOLD),
    ("remedies", &REMEDY),
    ("Checks", &CHECK),
    ("token of a check", &TOKEN),
    ("webhook of a check", &RECEIVER),
    ("storage of a check", &STORAGE),
    ("keep of storage", &KEEP),
    ("fresh of a check", &FRESH),
    ("queue of a check", &QUEUE),
    ("Hooks", &HOOK),
    ("backoff", &BACKOFF),
    ("schedule", &SCHEDULE),
    ("watch", &WATCH),
    ("action", &ACTION),
    ("logs", &LOGS),
    ("log_files", &LOG_FILE),
    ("rotate", &ROTATE),
    ("deploy", &DEPLOY),
    ("resources", &RESOURCES),
    ("Limits", &LIMITS),
    ("env_file entries", &ENV_FILE),
    ("Secrets", &SECRET),
    ("Ports as maps", &PORT),
    ("User file", &USER),
    ("api of the user file", &API),
    ("Masks", &MASK),
    ("Forms of log lines", &LOG_FORMAT),
    ("alerts", &ALERTS),
    ("Routes of alerts", &ROUTE),
    ("Rules of alerts", &RULE),
    ("webhook", &WEBHOOK),
    ("pagerduty and opsgenie", &PAGER),
    ("telegram", &TELEGRAM),
    ("ntfy", &NTFY),
    ("email", &EMAIL),
    ("quiet_hours", &QUIET_HOURS),
    ("send_to", &SEND_TO),
];

/// The tables of `docs/cas-yaml.md`, in Markdown, from the table that the reader itself uses: pairs of heading and table.
#[must_use]
pub fn reference() -> Vec<(&'static str, String)> {
    TABLES
        .iter()
        .map(|(heading, table)| {
            let mut text = "| key | form | meaning |\n|---|---|---|\n".to_owned();
            for Word { name, form, about } in table.words {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "| `{name}` | {form} | {about} |");
            }
            (*heading, text)
        })
        .collect()
}
