//! What each format's keys mean, and the sentences about those that mean nothing.

use cas::config::import::{
    Material, Runtime, devbox, mprocs, noted, pm2, process_compose, procfile, supervisord, systemd,
};

use super::{Import, Texts, environment, imported, shown};

/// Every text, and lines that its rendering must have.
#[track_caller]
fn check(import: Import, name: &str, rows: &[(&str, &[&str])]) {
    for (text, lines) in rows {
        let is = shown(import, name, text, &[]);
        for line in *lines {
            assert!(is.lines().any(|there| there.trim() == *line), "{text}\nhas no line\n{line}\nbut\n{is}");
        }
    }
}

#[test]
fn templates_of_process_compose_know_its_own_variables() {
    let rows: &[(&str, &[&str])] = &[
        (
            "processes: {a: {command: 'serve 404{{.PC_REPLICA_NUM}} {{.PC_PROC_NAME}}', readiness_probe: {http_get: {port: '404{{.PC_REPLICA_NUM}}'}}}}",
            &[
                "command Shell(\"serve 4040 a\") @process-compose.yaml:1:26",
                "probe readiness http http://127.0.0.1:4040/ status 200 every 10s timeout 1s retries 3 successes 1 start 0ns @process-compose.yaml:1:93",
            ],
        ),
        (
            "processes: {a: {command: x, replicas: 2, readiness_probe: {http_get: {port: '404{{.PC_REPLICA_NUM}}'}}}}",
            &[
                "lost @process-compose.yaml:1:77: a.http_get.port: {{.PC_REPLICA_NUM}} is not evaluated",
                "replicas 2 @process-compose.yaml:1:39",
            ],
        ),
    ];
    check(process_compose::import, "process-compose.yaml", rows);
}

#[test]
fn keys_of_process_compose_mean_what_its_loader_says() {
    let rows: &[(&str, &[&str])] = &[
        ("processes: {a: {command: 'true'}}", &["command Shell(\"true\") @process-compose.yaml:1:26"]),
        (
            "processes:\n  a:\n    command: '[[ 1 ]] && echo'",
            &["command Argv([\"bash\", \"-c\", \"[[ 1 ]] && echo\"]) @process-compose.yaml:3:14"],
        ),
        ("processes:\n  a:\n    entrypoint: [ls, -l]", &["command Argv([\"ls\", \"-l\"]) @process-compose.yaml:3:17"]),
        (
            "shell: {shell_command: zsh, shell_argument: -c}\nprocesses: {a: {command: x}}",
            &["command Argv([\"zsh\", \"-c\", \"x\"]) @process-compose.yaml:2:26"],
        ),
        (
            "processes:\n  a:\n    command: x\n    availability: {restart: on_failure, max_restarts: 4, backoff_seconds: 2}",
            &["restart on-failure at most 4 @process-compose.yaml:4:29", "restart_delay 2s @process-compose.yaml:4:75"],
        ),
        (
            "processes:\n  a:\n    command: x\n    availability: {restart: exit_on_failure, exit_on_end: true}",
            &[
                "restart no @process-compose.yaml:4:29",
                "lost @process-compose.yaml:4:29: a.availability.restart: exit_on_failure is taken as no",
                "lost @process-compose.yaml:4:59: a.availability.exit_on_end: true is not carried over",
            ],
        ),
        (
            "processes:\n  a:\n    command: x\n    depends_on:\n      b: {condition: process_log_ready}\n      c: {condition: process_completed}\n  b: {command: y, ready_log_line: 'up (1)'}\n  c: {command: z}",
            &[
                "depends_on b service_log_ready @process-compose.yaml:5:22",
                "depends_on c service_completed_successfully @process-compose.yaml:6:22",
                "ready_log_line \"up \\\\(1\\\\)\" @process-compose.yaml:7:35",
                "task \"c\" @process-compose.yaml:8:3",
                "lost @process-compose.yaml:6:22: a.depends_on.c: process_completed is taken as service_completed_successfully",
            ],
        ),
        (
            "processes:\n  a:\n    command: x\n    readiness_probe: {http_get: {port: 80, path: /h}, period_seconds: 2, failure_threshold: 9}",
            &[
                "probe readiness http http://127.0.0.1:80/h status 200 every 2s timeout 1s retries 9 successes 1 start 0ns @process-compose.yaml:4:22",
            ],
        ),
        (
            "processes:\n  a:\n    command: x\n    shutdown: {signal: 2, timeout_seconds: 7, command: stop}",
            &[
                "stop_signal SIGINT @process-compose.yaml:4:24",
                "stop_grace 7s @process-compose.yaml:4:44",
                "lost @process-compose.yaml:4:56: a.shutdown.command: stop is not carried over",
            ],
        ),
        (
            "vars: {P: 80}\nprocesses:\n  a:\n    command: x {{.P}} {{.Q}} ${HOME} $HOME $$HOME $${HOME}",
            &[
                "command Shell(\"x 80 {{.Q}} /home/ada $HOME $HOME ${HOME}\") @process-compose.yaml:4:14",
                "lost @process-compose.yaml:4:14: a.command: {{.Q}} is not evaluated",
            ],
        ),
        (
            "processes:\n  a:\n    command: x\n    schedule: {cron: '0 2 * * *'}\n    replicas: 2\n    is_tty: true\n    disabled: true",
            &[
                "task \"a\" @process-compose.yaml:2:3",
                "schedule cron \"0 2 * * *\" @process-compose.yaml:4:22",
                "replicas 2 @process-compose.yaml:5:15",
                "tty true @process-compose.yaml:6:13",
                "autostart false @process-compose.yaml:7:15",
            ],
        ),
        (
            "processes:\n  a:\n    comand: x",
            &[
                "hint @process-compose.yaml:3:5: a.comand: there is no such key",
                "error @process-compose.yaml:2:3: a: it has no command",
            ],
        ),
        (
            "is_strict: true\nprocesses: {a: {command: x, comand: y}}",
            &["error @process-compose.yaml:2:29: a.comand: there is no such key"],
        ),
        ("version: '0.5'", &["error @process-compose.yaml:1:1: the file has no processes"]),
    ];
    check(process_compose::import, "process-compose.yaml", rows);
}

#[test]
fn a_project_and_a_process_extend_others() {
    let base = "processes:\n  a: {command: x, environment: [A=1], working_dir: sub}\n";
    let text =
        "extends: base.yaml\nprocesses:\n  b: {extends: a, environment: [B=2]}\n  c: {extends: zz, command: y}\n";
    let is = shown(process_compose::import, "process-compose.yaml", text, &[("base.yaml", base)]);
    for line in [
        "service \"a\" @base.yaml:2:3",
        "service \"b\" @process-compose.yaml:3:3",
        "environment A=\"1\" @base.yaml:2:33",
        "environment B=\"2\" @process-compose.yaml:3:33",
        "error @process-compose.yaml:4:16: c.extends: there is no process \"zz\"",
    ] {
        assert!(is.contains(line), "{line}\n{is}");
    }
}

#[test]
fn foreman_gives_ports_copies_and_files_of_variables() {
    let beside = [(".foreman", "port: 4000\nconcurrency: web=2\nenv: a.env,b.env\nbogus: 1"), ("a.env", "X=1")];
    let is = shown(procfile::import, "Procfile.dev", "web: puma -p $PORT\nworker: sidekiq\nbroken\n", &beside);
    for line in [
        "service \"web\" @Procfile.dev:1:1",
        "environment PORT=\"4000\" @Procfile.dev:1:1",
        "environment PORT=\"4100\" @Procfile.dev:2:1",
        "replicas 2 @.foreman:2:14",
        "autostart false @.foreman:2:14",
        "env_file a.env @a.env:1:1",
        "env_file b.env @b.env:1:1",
        "error @Procfile.dev:3:1: \"broken\" is not \"name: command\"",
        "hint @.foreman:4:1: bogus: there is no such key",
    ] {
        assert!(is.contains(line), "{line}\n{is}");
    }
}

#[test]
fn keys_of_mprocs_mean_what_it_says() {
    let rows: &[(&str, &[&str])] = &[
        (
            "procs: {a: ls -l, b: [ls, -l], c: null}",
            &["command Shell(\"ls -l\") @mprocs.yaml:1:12", "command Argv([\"ls\", \"-l\"]) @mprocs.yaml:1:22"],
        ),
        (
            "procs:\n  a:\n    cmd: {$select: os, windows: [x], $else: [y]}\n    cwd: <CONFIG_DIR>/sub",
            &["command Argv([\"y\"]) @mprocs.yaml:3:45", "working_dir sub @mprocs.yaml:4:10"],
        ),
        (
            "procs:\n  a:\n    shell: x\n    env: {A: b, C: null}\n    add_path: bin",
            &[
                "environment A=\"b\" @mprocs.yaml:4:14",
                "environment PATH=\"/usr/bin:bin\" @mprocs.yaml:5:15",
                "lost @mprocs.yaml:4:17: a.env.C: the variable is not removed",
            ],
        ),
        (
            "procs:\n  a: {shell: x, autostart: false, autorestart: true, stop: SIGINT}",
            &[
                "autostart false @mprocs.yaml:2:28",
                "restart always @mprocs.yaml:2:48",
                "stop_signal SIGINT @mprocs.yaml:2:60",
            ],
        ),
        (
            "procs:\n  a: {shell: x, stop: {send-keys: [<C-c>]}}\n  b: {shell: x, stop: {send-keys: [q]}}",
            &["stop_signal SIGINT @mprocs.yaml:2:23", "lost @mprocs.yaml:3:35: b.stop.send-keys is not carried over"],
        ),
        (
            "procs:\n  a: {shell: x, cmd: [y]}\n  b: {}\n  c: {shell: x, autostrt: true}",
            &[
                "error @mprocs.yaml:2:7: a: it has shell and cmd at once",
                "error @mprocs.yaml:3:6: b: it has neither shell nor cmd",
                "hint @mprocs.yaml:4:17: c.autostrt: there is no such key",
            ],
        ),
    ];
    check(mprocs::import, "mprocs.yaml", rows);
}

#[test]
fn keys_of_pm2_mean_what_it_says() {
    let rows: &[(&str, &[&str])] = &[
        (
            "// a comment\nmodule.exports = {\n  apps: [{ name: 'api', script: './a.js', args: \"-x 'y z'\", instances: 2, }],\n};",
            &[
                "service \"api\" @ecosystem.config.js:3:18",
                "command Argv([\"node\", \"./a.js\", \"-x\", \"y z\"]) @ecosystem.config.js:3:33",
                "replicas 2 @ecosystem.config.js:3:72",
                "restart always @ecosystem.config.js:3:18",
            ],
        ),
        (
            "const port = process.env.PORT || 3000;\nmodule.exports = {apps: [{script: 'a.py', env: {PORT: port, H: `${process.env.HOME}/x`}}]}",
            &[
                "service \"a\" @ecosystem.config.js:2:35",
                "environment PORT=\"3000\" @ecosystem.config.js:2:55",
                "environment H=\"/home/ada/x\" @ecosystem.config.js:2:64",
            ],
        ),
        (
            "const os = require('os');\nmodule.exports = {apps: [{script: 'x', instances: os.cpus().length}]}",
            &["error @ecosystem.config.js:2:51: \"os.cpus(\" can be read by node alone"],
        ),
        (
            "module.exports = {apps: [{script: 'x', interpreter: 'none', max_memory_restart: '1G', kill_timeout: 3000, exec_mode: 'cluster', wach: true}]}",
            &[
                "command Argv([\"x\"]) @ecosystem.config.js:1:35",
                "memory 1073741824 @ecosystem.config.js:1:81",
                "stop_grace 3s @ecosystem.config.js:1:101",
                "lost @ecosystem.config.js:1:118: x.exec_mode: cluster is not carried over",
                "hint @ecosystem.config.js:1:129: x.wach: there is no such key",
            ],
        ),
        ("module.exports = {apps: [{name: 'x'}]}", &["error @ecosystem.config.js:1:26: apps[0]: it has no script"]),
    ];
    check(pm2::import, "ecosystem.config.js", rows);
}

#[test]
fn what_node_printed_is_read_as_the_file() {
    let file = std::path::Path::new("/shop/ecosystem.config.js");
    let texts = Texts(std::collections::BTreeMap::new());
    let material = Material { file, text: "require('x')", environment: &environment(), files: &texts };
    let given =
        pm2::import_json(&material, "\n\n{\"apps\": [{\"name\": \"a\", \"script\": \"b.js\", \"env\": {\"A\": 1}}]}");
    assert_eq!(given.services.len(), 1);
    assert_eq!(given.services[0].name.source.to_string(), "/shop/ecosystem.config.js:1:1");
    let Runtime::Process(command) = &given.services[0].runtime else { panic!() };
    assert_eq!(command.value.display(), "node b.js");
}

#[test]
fn keys_of_supervisor_mean_what_it_says() {
    let rows: &[(&str, &[&str])] = &[
        (
            "[program:a]\ncommand=ls -l '%(ENV_HOME)s' %(here)s ; comment",
            &[
                "service \"a\" @supervisord.conf:1:1",
                "command Argv([\"ls\", \"-l\", \"/home/ada\", \".\"]) @supervisord.conf:2:9",
                "restart on-failure @supervisord.conf:1:1",
            ],
        ),
        (
            "[program:a]\ncommand = w %(process_num)d\nprocess_name = %(program_name)s_%(process_num)02d\nnumprocs = 2",
            &[
                "service \"a_00\" @supervisord.conf:1:1",
                "service \"a_01\" @supervisord.conf:1:1",
                "command Argv([\"w\", \"1\"]) @supervisord.conf:2:11",
            ],
        ),
        (
            "[program:a]\ncommand=x\nenvironment=A=\"1,2\",B='3'\nautorestart=true\nstopsignal=QUIT\nstopwaitsecs=30\nuser=ada\nautostart=false",
            &[
                "environment A=\"1,2\" @supervisord.conf:3:13",
                "environment B=\"3\" @supervisord.conf:3:13",
                "restart always @supervisord.conf:4:13",
                "stop_signal SIGQUIT @supervisord.conf:5:12",
                "stop_grace 30s @supervisord.conf:6:14",
                "user ada @supervisord.conf:7:6",
                "autostart false @supervisord.conf:8:11",
            ],
        ),
        (
            "[program:a]\ncommand=%(ENV_NONE)s\nexitcodes=0,2\nprioritty=3",
            &[
                "error @supervisord.conf:2:9: a.command: %(ENV_NONE) cannot be filled in",
                "lost @supervisord.conf:3:11: a.exitcodes: 0,2 is not carried over",
                "hint @supervisord.conf:4:1: a.prioritty: there is no such key",
            ],
        ),
        (
            "[eventlistener:e]\ncommand=x\n[group:g]\nprograms=a,b\n[progam:z]\ncommand=y\n[program:n]\n",
            &[
                "lost @supervisord.conf:1:1: eventlistener e is not carried over",
                "lost @supervisord.conf:3:1: group g of a,b is not carried over",
                "hint @supervisord.conf:5:1: [progam]: supervisor reads no such section",
                "error @supervisord.conf:7:1: n: it has no command",
            ],
        ),
    ];
    check(supervisord::import, "supervisord.conf", rows);
    let is = shown(
        supervisord::import,
        "supervisord.conf",
        "[include]\nfiles = conf.d/*.conf",
        &[("conf.d/a.conf", "[program:a]\ncommand=x"), ("conf.d/b.txt", "")],
    );
    assert!(is.contains("service \"a\" @conf.d/a.conf:1:1"), "{is}");
}

#[test]
fn keys_of_systemd_mean_what_it_says() {
    let rows: &[(&str, &[&str])] = &[
        (
            "[Service]\nExecStart=/bin/a \"b c\" \\\n  d%%\nUser=ada\nRestart=on-failure\nRestartSec=5min 20s\nTimeoutStopSec=90\nKillSignal=SIGINT",
            &[
                "command Argv([\"/bin/a\", \"b c\", \"d%\"]) @app.service:2:11",
                "user ada @app.service:4:6",
                "restart on-failure @app.service:5:9",
                "restart_delay 320s @app.service:6:12",
                "stop_grace 90s @app.service:7:16",
                "stop_signal SIGINT @app.service:8:12",
            ],
        ),
        (
            "[Service]\nExecStart=-/bin/a $ARGS ${ONE} x$$y\nEnvironment=A=1 \"B=2 3\"\nEnvironmentFile=-/etc/a.env",
            &[
                "command Shell(\"exec /bin/a $ARGS \\\"${ONE}\\\" \\\"x\\\\$y\\\"\") @app.service:2:11",
                "environment B=\"2 3\" @app.service:3:13",
                "env_file /etc/a.env if there @app.service:4:17",
                "lost @app.service:2:11: ExecStart: its prefix - is not carried over",
            ],
        ),
        (
            "[Service]\nExecStart=a\nMemoryMax=1.5G\nCPUQuota=150%\nTasksMax=64\nType=oneshot\nWorkingDirectory=~\nProtectSystem=full\nFoo=1",
            &[
                "task \"app\" @app.service:1:1",
                "memory 1610612736 @app.service:3:11",
                "cpus 1.5 @app.service:4:10",
                "pids 64 @app.service:5:10",
                "working_dir /home/ada @app.service:7:18",
                "lost @app.service:8:15: ProtectSystem: full is not carried over",
                "hint @app.service:9:1: Service.Foo: cas does not know this key",
            ],
        ),
        (
            "[Unit]\nRequires=db.service\nAfter=network.target\n[Service]\nType=forking\nRestart=sometimes",
            &[
                "lost @app.service:2:10: Requires: db.service is no service of this project",
                "lost @app.service:5:6: Type: forking is not carried over",
                "error @app.service:6:9: Restart: \"sometimes\" is no restart policy",
                "error @app.service:1:1: app: the unit has no ExecStart",
            ],
        ),
    ];
    check(systemd::import, "app.service", rows);
    let is =
        shown(systemd::import, "a.service", "[Unit]\nWants=b.service\n[Service]\nExecStart=x", &[("b.service", "")]);
    assert!(is.contains("depends_on b service_started optional @a.service:2:7"), "{is}");
}

#[test]
fn devbox_runs_scripts_and_services_in_its_environment() {
    let text = "{\n  // a comment\n  \"packages\": [\"postgresql@latest\", \"go\"],\n  \"shell\": {\"scripts\": {\"test\": [\"go vet\", \"go test\"]}},\n  \"packges\": []\n}";
    let is = shown(devbox::import, "devbox.json", text, &[("process-compose.yml", "processes: {web: {command: x}}")]);
    for line in [
        "service \"web\" @process-compose.yml:1:13",
        "command Argv([\"devbox\", \"run\", \"--\", \"/bin/sh\", \"-c\", \"x\"]) @process-compose.yml:1:28",
        "task \"test\" @devbox.json:4:25",
        "command Argv([\"devbox\", \"run\", \"test\"]) @devbox.json:4:33",
        "lost @devbox.json:3:16: packages: the service of devbox's plugin for postgresql is not carried over",
        "error @devbox.json:5:3: packges: there is no such key",
    ] {
        assert!(is.contains(line), "{line}\n{is}");
    }
}

#[test]
fn tilt_and_skaffold_are_only_noted() {
    let tilt = imported(noted::import, "Tiltfile", "local_resource('a', 'x')\nk8s_yaml(['b.yaml'])\n", &[]);
    assert!(tilt.services.is_empty());
    assert_eq!(tilt.notes[0].message, "a Tiltfile with 1 local_resource (a), 1 k8s_yaml (b.yaml)");
    let skaffold = imported(
        noted::import,
        "skaffold.yaml",
        "build:\n  artifacts:\n    - image: web\ndeploy:\n  kubectl: {}\n",
        &[],
    );
    assert_eq!(skaffold.notes[0].message, "a skaffold file with 1 images (web), deploy (kubectl)");
}
