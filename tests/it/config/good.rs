//! What every key means when it is right.

use std::{collections::BTreeMap, time::Duration};

use cas::model::{
    ids::ServiceName,
    probe::{Check, Probe, ProbeKind},
    service::{
        Backoff, CommandLine, Condition, Dependency, Limits, LogPolicy, OnFull, Port, RestartPolicy, ServiceSpec,
        StopPlan,
    },
    signal::Signal,
};

use super::{Project, load, sound};

/// The one service of a snippet that begins below its name.
#[track_caller]
fn service(keys: &str) -> ServiceSpec {
    let indented = keys.trim_matches('\n').replace('\n', "\n    ");
    let command = if keys.contains("command:") || keys.contains("shell:") { "" } else { "    command: sleep 1\n" };
    (*sound(&format!("services:\n  web:\n    {indented}\n{command}")).services[0]).clone()
}

fn argv(words: &[&str]) -> CommandLine {
    CommandLine::Argv(words.iter().map(ToString::to_string).collect())
}

#[test]
fn a_service_with_a_command_alone_has_every_default() {
    let project = Project::new().file("cas.yaml", "services: {web: {command: sleep 1}}");
    let loaded = project.load("cas.yaml");
    assert_eq!((loaded.notes.len(), loaded.errors.len()), (0, 0));
    let spec = loaded.project.unwrap();
    assert_eq!(
        (spec.name.as_str(), &spec.root, &spec.file),
        ("shop", &project.root(), &project.root().join("cas.yaml"))
    );
    let web = &spec.services[0];
    assert_eq!(web.id.to_string(), "shop/web");
    assert_eq!(web.working_dir, project.root());
    assert_eq!(web.restart, RestartPolicy::OnFailure { max_retries: None });
    assert_eq!(web.backoff, Backoff::default());
    assert_eq!(web.stop, StopPlan::default());
    assert_eq!((web.limits, web.logs, web.tty), (Limits::default(), LogPolicy::default(), false));
    assert!(!web.autostart && web.environment.is_empty() && web.probes.is_empty() && web.ports.is_empty());
    assert_eq!((web.source.line, web.source.column), (1, 12));
}

#[test]
fn a_command_is_split_as_a_shell_would_and_a_list_is_taken_as_it_is() {
    for (keys, command) in [
        ("command: sleep 'one two' three\\ four", argv(&["sleep", "one two", "three four"])),
        ("command: [sleep, 'a | b', 3]", argv(&["sleep", "a | b", "3"])),
        ("command: sleep 1 'a && b' \"c; d\"", argv(&["sleep", "1", "a && b", "c; d"])),
        ("shell: sleep 1 | cat && true", CommandLine::Shell("sleep 1 | cat && true".to_owned())),
        ("command: /bin/sleep 1", argv(&["/bin/sleep", "1"])),
        ("command: true", argv(&["true"])),
        ("command: >-\n  sleep\n  1", argv(&["sleep", "1"])),
    ] {
        assert_eq!(service(keys).command, command, "{keys}");
    }
}

#[test]
fn a_restart_policy_has_compose_s_words() {
    for (written, policy) in [
        ("no", RestartPolicy::No),
        ("\"no\"", RestartPolicy::No),
        ("on-failure", RestartPolicy::OnFailure { max_retries: None }),
        ("on-failure:5", RestartPolicy::OnFailure { max_retries: Some(5) }),
        ("always", RestartPolicy::Always),
        ("unless-stopped", RestartPolicy::UnlessStopped),
    ] {
        assert_eq!(service(&format!("restart: {written}")).restart, policy, "{written}");
    }
}

#[test]
fn ports_in_every_form_of_compose_give_the_published_port() {
    for (written, ports) in [
        ("8080", vec![8080]),
        ("\"8080\"", vec![8080]),
        ("8080:80", vec![8080]),
        ("22:22", vec![22]),
        ("127.0.0.1:8080:80", vec![8080]),
        ("127.0.0.1::80", vec![80]),
        ("\"[::1]:8080:80\"", vec![8080]),
        ("3000-3002", vec![3000, 3001, 3002]),
        ("3000-3001:80-81", vec![3000, 3001]),
        ("8080/tcp", vec![8080]),
        ("8080:80/udp", vec![]),
        ("{target: 80, published: \"8080\"}", vec![8080]),
        ("{target: 80}", vec![80]),
        ("{published: 3000-3001, target: 80, protocol: tcp}", vec![3000, 3001]),
        ("{published: 53, protocol: udp}", vec![]),
    ] {
        let expected: Vec<_> = ports.into_iter().map(Port).collect();
        assert_eq!(service(&format!("ports:\n- {written}")).ports, expected, "{written}");
    }
    assert_eq!(service("ports: [80, 81, 80]").ports, [Port(80), Port(81)]);
}

fn probe(check: Check) -> Probe {
    Probe {
        check,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(5),
        retries: 3,
        successes: 1,
        start_period: Duration::ZERO,
        heals: false,
        honest: true,
    }
}

#[test]
fn a_probe_asks_in_exactly_one_way() {
    let http = |url: &str, status| Check::Http { url: url.to_owned(), status };
    let tcp = |host: &str, port| Check::Tcp { host: host.to_owned(), port };
    for (written, check) in [
        ("exec: test -f x && true", Check::Exec(CommandLine::Shell("test -f x && true".to_owned()))),
        ("exec: [test, -f, x]", Check::Exec(argv(&["test", "-f", "x"]))),
        ("http: 8080", http("http://localhost:8080", None)),
        ("http: 8080/health", http("http://localhost:8080/health", None)),
        ("http: :8080/health", http("http://localhost:8080/health", None)),
        ("http: db:8080/health", http("http://db:8080/health", None)),
        ("http: https://example.org/", http("https://example.org/", None)),
        ("http: {url: 8080/x, status: 204}", http("http://localhost:8080/x", Some(204))),
        ("tcp: 5432", tcp("localhost", 5432)),
        ("tcp: db:5432", tcp("db", 5432)),
        ("tcp: '[::1]:5432'", tcp("::1", 5432)),
        ("log: 'listening on \\d+'", Check::Log { pattern: "listening on \\d+".to_owned() }),
    ] {
        let web = service(&format!("readiness:\n  {written}"));
        assert_eq!(*web.probes[&ProbeKind::Readiness], probe(check), "{written}");
    }
}

#[test]
fn a_probe_s_rhythm_is_its_own() {
    let web = service(
        "startup: {tcp: 80}\nliveness: {tcp: 80, interval: 2s, timeout: 1, retries: 5, successes: 2, start_period: 1m30s}",
    );
    let startup = &web.probes[&ProbeKind::Startup];
    assert_eq!((startup.interval, startup.retries), (Duration::from_secs(1), 60));
    let liveness = &web.probes[&ProbeKind::Liveness];
    assert_eq!((liveness.interval, liveness.timeout), (Duration::from_secs(2), Duration::from_secs(1)));
    assert_eq!((liveness.retries, liveness.successes, liveness.start_period.as_secs()), (5, 2, 90));
}

#[test]
fn a_health_check_of_compose_is_a_readiness_probe() {
    for (test, check) in [
        ("\"true\"", Some(CommandLine::Shell("true".to_owned()))),
        ("[CMD, \"true\", x]", Some(argv(&["true", "x"]))),
        ("[CMD-SHELL, \"true && true\"]", Some(CommandLine::Shell("true && true".to_owned()))),
        ("[NONE]", None),
    ] {
        let web =
            service(&format!("healthcheck: {{test: {test}, interval: 3s, timeout: 1s, retries: 4, start_period: 2s}}"));
        let found = web.probes.get(&ProbeKind::Readiness);
        assert_eq!(found.map(|probe| probe.check.clone()), check.map(Check::Exec), "{test}");
        assert!(found.is_none_or(|probe| probe.interval.as_secs() == 3 && probe.retries == 4));
    }
    assert!(service("healthcheck: {disable: true, test: x}").probes.is_empty());
}

#[test]
fn dependencies_are_a_list_or_a_map() {
    let yaml = |depends_on: &str| {
        format!(
            "services:\n  web: {{command: sleep 1, depends_on: {depends_on}}}\n  db: {{command: sleep 1, readiness: {{tcp: 1}}, ready_log_line: up}}\n"
        )
    };
    let dependency = |condition, restart, required| Dependency { condition, restart, required };
    for (written, expected) in [
        ("[db]", dependency(Condition::ServiceStarted, false, true)),
        ("{db: }", dependency(Condition::ServiceStarted, false, true)),
        ("{db: {condition: service_healthy, restart: true}}", dependency(Condition::ServiceHealthy, true, true)),
        ("{db: {condition: service_log_ready, required: false}}", dependency(Condition::ServiceLogReady, false, false)),
        (
            "{db: {condition: service_completed_successfully}}",
            dependency(Condition::ServiceCompletedSuccessfully, false, true),
        ),
    ] {
        let project = sound(&yaml(written));
        let db = ServiceName::new("db").unwrap();
        assert_eq!(project.services[0].depends_on, BTreeMap::from([(db, expected)]), "{written}");
    }
}

#[test]
fn an_absent_dependency_that_is_not_required_is_left_out_with_a_note() {
    let loaded = load("services: {web: {command: sleep 1, depends_on: {cache: {required: false}}}}");
    assert!(loaded.project.unwrap().services[0].depends_on.is_empty());
    assert_eq!(loaded.notes[0].message, "depends_on: there is no service \"cache\"");
}

#[test]
fn the_remaining_keys_mean_what_they_say() {
    let web = service(
        "stop_signal: SIGINT\nstop_grace_period: 1m30s\nautostart: yes\ndescription: The shop window\nready_log_line: listening\nworking_dir: ./api\nbackoff: {base: 0, factor: 1.5, ceiling: 5s, stable: 1s, give_up_after: 0}",
    );
    assert_eq!(web.stop, StopPlan { signal: Signal::Int, grace: Duration::from_secs(90) });
    assert!(web.autostart);
    assert_eq!(web.description.as_deref(), Some("The shop window"));
    assert_eq!(web.ready_log_line.as_deref(), Some("listening"));
    assert!(web.working_dir.ends_with("shop/api"));
    let seconds = Duration::from_secs;
    let backoff = Backoff {
        base: seconds(0),
        factor: 1.5,
        ceiling: seconds(5),
        stable: seconds(1),
        give_up_after: 0,
        ..Backoff::default()
    };
    assert_eq!(web.backoff, backoff);
}

#[test]
fn variables_come_from_files_then_from_the_map_and_pass_on_what_is_outside() {
    let project = Project::new()
        .with("OUTSIDE", "from outside")
        .file("one.env", "A=1\nB=1\n")
        .file("two.env", "B=2\nC=${OUTSIDE}\nOUTSIDE\n")
        .file(
            "cas.yaml",
            "services:\n  web:\n    command: sleep 1\n    env_file: [one.env, {path: two.env}, {path: none.env, required: false}]\n    environment:\n      C: 0123\n      D: true\n      E: ${OUTSIDE}!\n      OUTSIDE:\n      ABSENT:\n  api:\n    command: sleep 1\n    env_file: one.env\n    environment: [A=x=y, OUTSIDE]\n",
        );
    let loaded = project.load("cas.yaml");
    let notes: Vec<_> = loaded.notes.iter().map(|note| note.message.as_str()).collect();
    assert_eq!(notes, ["environment: ABSENT is not set here, so it is not set there"]);
    let spec = loaded.project.unwrap();
    let of = |index: usize| -> Vec<String> {
        spec.services[index].environment.iter().map(|(name, value)| format!("{name}={value}")).collect()
    };
    assert_eq!(of(0), ["A=1", "B=2", "C=0123", "D=true", "E=from outside!", "OUTSIDE=from outside"]);
    assert_eq!(of(1), ["A=x=y", "B=1", "OUTSIDE=from outside"]);
}

#[test]
fn interpolation_reaches_every_value_and_is_done_once() {
    let project = Project::new()
        .with("PORT", "8080")
        .with("TRICK", "${PORT} $PORT")
        .with("POLICY", "always")
        .file(".env", "PORT=1\nFROM_FILE=file\nEMPTY=\n")
        .file(
            "cas.yaml",
            "services:\n  web:\n    command: sleep ${PORT} $FROM_FILE ${NONE:-none} ${EMPTY:-empty} ${EMPTY-} $$PORT\n    ports: ['${PORT}:80']\n    restart: ${POLICY}\n    environment: {T: '$TRICK', R: '^end$'}\n    readiness: {http: '${PORT}/health', retries: '${RETRIES:-7}'}\n",
        );
    let loaded = project.load("cas.yaml");
    let spec = loaded.project.unwrap();
    let web = &spec.services[0];
    assert_eq!(web.command, argv(&["sleep", "8080", "file", "none", "empty", "$PORT"]));
    assert_eq!((web.ports.as_slice(), web.restart), ([Port(8080)].as_slice(), RestartPolicy::Always));
    assert_eq!((web.environment["T"].as_str(), web.environment["R"].as_str()), ("${PORT} $PORT", "^end$"));
    assert_eq!(web.probes[&ProbeKind::Readiness].retries, 7);
}

#[test]
fn a_variable_that_is_not_set_is_empty_with_a_note_at_its_place() {
    let loaded = load("services:\n  web:\n    shell: echo $NONE\n");
    assert_eq!(loaded.notes[0].message, "shell: NONE is not set, so it is empty here");
    assert!(loaded.notes[0].to_string().ends_with("cas.yaml:3:12)"));
    assert_eq!(loaded.project.unwrap().services[0].command, CommandLine::Shell("echo ".to_owned()));
}

#[test]
fn defaults_stand_below_what_a_service_says() {
    let spec = sound(
        "defaults:\n  restart: always\n  autostart: true\n  stop_signal: INT\n  stop_grace_period: 1s\n  working_dir: api\n  backoff: {base: 1s, factor: 3}\n  environment: {A: default, B: default}\nservices:\n  plain: {command: sleep 1}\n  own: {command: sleep 1, restart: no, autostart: false, working_dir: ., backoff: {factor: 4}, environment: {B: own}}\n",
    );
    let [plain, own] = [&spec.services[0], &spec.services[1]];
    assert_eq!((plain.restart, plain.autostart, plain.stop.signal), (RestartPolicy::Always, true, Signal::Int));
    assert!(plain.working_dir.ends_with("shop/api") && own.working_dir.ends_with("shop"));
    assert_eq!((own.restart, own.autostart, own.stop.grace), (RestartPolicy::No, false, Duration::from_secs(1)));
    assert_eq!((own.backoff.base, own.backoff.factor), (Duration::from_secs(1), 4.0));
    assert_eq!((own.environment["A"].as_str(), own.environment["B"].as_str()), ("default", "own"));
}

#[test]
fn anchors_aliases_and_merge_keys_work() {
    let spec = sound(
        "x-base: &base {restart: always, environment: {A: base}}\nx-more: &more {restart: no, autostart: true}\nservices:\n  one: {<<: *base, command: sleep 1}\n  two: {<<: [*base, *more], command: sleep 1, environment: {A: own}}\n  three: {command: &cmd [sleep, '1']}\n  four: {command: *cmd}\n",
    );
    let [one, two, three, four] = [0, 1, 2, 3].map(|at| &spec.services[at]);
    assert_eq!((one.restart, one.environment["A"].as_str()), (RestartPolicy::Always, "base"));
    assert_eq!((two.restart, two.autostart, two.environment["A"].as_str()), (RestartPolicy::Always, true, "own"));
    assert_eq!(three.command, four.command);
}

#[test]
fn a_compose_file_s_other_keys_are_noted_and_not_used() {
    let loaded = load(
        "version: '3'\nx-anything: {a: 1}\nnetworks: {}\nservices:\n  web: {command: sleep 1, container_name: w, labels: [a], logging: {}, x-own: 1}\n",
    );
    assert!(loaded.errors.is_empty());
    let notes: Vec<_> = loaded.notes.iter().map(|note| note.message.as_str()).collect();
    assert_eq!(
        notes,
        [
            "version: not used",
            "networks: not used",
            "container_name: not used",
            "labels: not used",
            "logging: not used"
        ]
    );
}

#[test]
fn a_program_that_another_service_may_build_is_only_noted() {
    let loaded = load(
        "services:\n  build: {shell: make}\n  app: {command: ./target/app, depends_on: {build: {condition: service_completed_successfully}}}\n",
    );
    assert!(loaded.project.is_some());
    assert_eq!(loaded.notes[0].message, "command: there is no program \"./target/app\" yet");
}

#[test]
fn a_name_is_given_by_flag_then_file_then_directory() {
    let project = Project::new().file("cas.yaml", "name: file\nservices: {web: {command: sleep 1}}");
    let file = project.root().join("cas.yaml");
    let flag = cas::model::ids::ProjectName::new("flag").unwrap();
    let named = cas::config::load(&file, Some(flag), project.environment());
    assert_eq!(named.project.unwrap().name.as_str(), "flag");
    assert_eq!(project.load("cas.yaml").project.unwrap().name.as_str(), "file");
}

#[test]
fn procfile_lines_are_shell_services_with_foreman_s_ports() {
    for (procfile, dot_env, expected) in [
        ("web: run $PORT | cat\nworker: run", "", vec![("web", "run $PORT | cat", "5000"), ("worker", "run", "5100")]),
        ("# c\r\n\r\nweb:  run\r\n", "", vec![("web", "run", "5000")]),
        ("web: run", "PORT=3000\n", vec![("web", "run", "3000")]),
        ("a-b_c: echo a: b", "", vec![("a-b_c", "echo a: b", "5000")]),
    ] {
        let project = Project::new().file("Procfile", procfile).file(".env", format!("{dot_env}SECRET=s\n"));
        let loaded = project.load("Procfile");
        let spec = loaded.project.unwrap_or_else(|| panic!("{:?}", loaded.errors));
        let found: Vec<_> = spec
            .services
            .iter()
            .map(|service| {
                (service.id.service.to_string(), service.command.display(), service.environment["PORT"].clone())
            })
            .collect();
        let expected: Vec<_> =
            expected.into_iter().map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())).collect();
        assert_eq!(found, expected, "{procfile}");
        assert!(spec.services.iter().all(|service| service.environment["SECRET"] == "s" && service.ports.is_empty()));
        assert!(loaded.notes[0].message.starts_with("PORT is set as foreman sets it: "));
    }
}

#[test]
fn the_json_of_a_checked_file_is_stable() {
    let project = Project::new().file(
        "cas.yaml",
        "name: shop\nservices:\n  web:\n    command: sleep 'a b'\n    environment: {SECRET: hidden}\n    ports: [8080]\n    readiness: {http: 8080/health}\n    depends_on: {db: {condition: service_healthy, required: false}}\n    labels: [x]\n  db: {shell: sleep 1, readiness: {tcp: 5432}, autostart: true, restart: no}\n",
    );
    let json = serde_json::to_string_pretty(&cas::config::check_json(&project.load("cas.yaml"))).unwrap();
    assert!(!json.contains("hidden"));
    let broken = Project::new().file("cas.yaml", "services: {web: {comand: x}}");
    let failed = serde_json::to_string_pretty(&cas::config::check_json(&broken.load("cas.yaml"))).unwrap();
    let both = format!("{}\n{}", super::shortened(&json, &project.root()), super::shortened(&failed, &broken.root()));
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("check_json", both);
    });
}

#[test]
fn services_with_errors_are_listed_with_what_is_known_of_them() {
    let yaml = "services:\n  web: {command: sleep 1, restat: no, ports: [80], depends_on: [db, nosuch]}\n  db: {comand: x, autostart: maybe}\n  fine: {command: sleep 2}\n";
    let loaded = load(yaml);
    assert!(loaded.project.is_none() && loaded.errors.len() == 4, "{:#?}", loaded.errors);
    let json = cas::config::check_json(&loaded);
    let names: Vec<_> = json["services"].as_array().unwrap().iter().map(|service| &service["name"]).collect();
    assert_eq!(names, ["web", "db", "fine"]);
    assert_eq!(json["services"][0]["command"], "sleep 1");
    assert_eq!(json["services"][0]["ports"][0], 80);
    assert_eq!(json["services"][0]["depends_on"][0]["service"], "db");
    assert_eq!(json["services"][1]["command"], serde_json::Value::Null);
    assert_eq!(json["services"][1]["autostart"], false);
}

/// The page with each table in the place of the one that has most of its keys.
fn with_tables(page: &str) -> String {
    let keys = |table: &str| -> Vec<String> {
        table.lines().skip(2).filter_map(|line| Some(line.split('`').nth(1)?.to_owned())).collect()
    };
    let mut blocks: Vec<String> = page.split("\n\n").map(str::to_owned).collect();
    let mut written = std::collections::BTreeSet::new();
    for (_, table) in cas::config::reference() {
        let new = keys(&table);
        let shared = |block: &String| {
            if block.starts_with("| key | form | meaning |") {
                let old = keys(block);
                let both = old.iter().filter(|key| new.contains(key)).count();
                both * 100 / old.len().max(new.len()).max(1)
            } else {
                0
            }
        };
        // Tables of the same keys stand in the same order; each is written once.
        let free = blocks.iter().enumerate().rev().filter(|(place, _)| !written.contains(place));
        let best = free.max_by_key(|(_, block)| shared(block)).filter(|(_, block)| shared(block) > 0);
        if let Some(place) = best.map(|(place, _)| place) {
            table.trim_end().clone_into(&mut blocks[place]);
            written.insert(place);
        }
    }
    blocks.join("\n\n")
}

#[test]
fn tables_are_written_each_in_its_own_place() {
    let page = std::fs::read_to_string("docs/cas-yaml.md").unwrap();
    assert_eq!(with_tables(&page), page);
}

#[test]
fn the_reference_page_has_every_key() {
    let mut page = std::fs::read_to_string("docs/cas-yaml.md").unwrap();
    if std::env::var_os("CAS_UPDATE_PAGES").is_some() {
        page = with_tables(&page);
        std::fs::write("docs/cas-yaml.md", &page).unwrap();
    }
    for (heading, table) in cas::config::reference() {
        assert!(page.contains(&table), "docs/cas-yaml.md: the table \"{heading}\" should be\n{table}");
    }
}

#[test]
fn the_example_of_the_reference_page_is_sound() {
    let page = std::fs::read_to_string("docs/cas-yaml.md").unwrap();
    let examples: Vec<_> = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!examples.is_empty());
    for example in examples {
        sound(example);
    }
}

#[test]
fn a_bad_line_of_dot_env_is_a_note_unless_a_service_names_the_file() {
    let yaml = |more: &str| format!("services: {{web: {{command: sleep 1, description: $A{more}}}}}");
    let project = Project::new().file(".env", "A=1\n{\"json\": 1}\n").file("cas.yaml", yaml(""));
    let loaded = project.load("cas.yaml");
    assert_eq!((loaded.errors.len(), loaded.notes.len()), (0, 1));
    assert_eq!(loaded.project.unwrap().services[0].description.as_deref(), Some("1"));
    let project = project.file("cas.yaml", yaml(", env_file: .env"));
    assert_eq!(project.load("cas.yaml").errors.len(), 1);
}

#[test]
fn limits_are_read_in_compose_s_long_and_short_form() {
    let all = Limits { cpus: Some(1.5), memory_bytes: Some(512 << 20), pids: Some(100) };
    for (written, limits) in [
        ("deploy: {resources: {limits: {cpus: \"1.5\", memory: 512M, pids: 100}}}", all),
        ("cpus: 1.5\nmem_limit: 512m\npids_limit: 100", all),
        ("cpus: 1.5\nmem_limit: 524288k\ndeploy: {resources: {limits: {cpus: 1.5, pids: 100}}}", all),
        ("mem_limit: 0.5g\ncpus: 1.5\npids_limit: 100\ndeploy: {resources: {limits: }}", all),
        ("pids_limit: 1", Limits { pids: Some(1), ..Limits::default() }),
        ("deploy: {}", Limits::default()),
    ] {
        assert_eq!(service(written).limits, limits, "{written}");
    }
    for (written, bytes) in [
        ("4194304", 4 << 20),
        ("4M", 4 << 20),
        ("4 MiB", 4 << 20),
        ("1.5G", 3 << 29),
        ("1TB", 1 << 40),
        ("5242880b", 5 << 20),
    ] {
        assert_eq!(service(&format!("mem_limit: {written}")).limits.memory_bytes, Some(bytes), "{written}");
    }
}

#[test]
fn logs_and_limits_count_where_they_are_written_closest_to_the_service() {
    let yaml = "\
        logs: {max_size: 1M, max_age: 7d, on_full: block}\n\
        defaults: {logs: {max_size: 2M, split_streams: false}, cpus: 2, mem_limit: 64M}\n\
        services:\n\
        \x20 web: {command: sleep 1, logs: {max_size: 64K}, deploy: {resources: {limits: {cpus: 0.5}}}}\n\
        \x20 api: {command: sleep 1, logs: , tty: true}\n";
    let project = sound(yaml);
    let policy = LogPolicy {
        max_size: 64 << 10,
        max_age: Some(Duration::from_hours(7 * 24)),
        on_full: OnFull::Block,
        split_streams: false,
    };
    assert_eq!(project.services[0].logs, policy);
    assert_eq!(project.services[1].logs, LogPolicy { max_size: 2 << 20, ..policy });
    assert_eq!(project.services[0].limits, Limits { cpus: Some(0.5), memory_bytes: Some(64 << 20), pids: None });
    assert_eq!(project.services[1].limits, Limits { cpus: Some(2.0), memory_bytes: Some(64 << 20), pids: None });
    assert!(!project.services[0].tty && project.services[1].tty);
}

#[test]
fn compose_s_words_about_restarts_are_noted_and_a_terminal_has_one_stream() {
    let loaded = load(
        "services: {web: {command: sleep 1, deploy: {mode: replicated, restart_policy: {}}, tty: true, logs: {split_streams: true}}}",
    );
    let notes: Vec<_> = loaded.notes.iter().map(|note| note.message.as_str()).collect();
    assert_eq!(notes, ["mode: not used", "restart_policy: not used", "tty: split_streams has no effect"]);
    assert!(loaded.errors.is_empty());
}

#[test]
fn as_what_a_service_begins_is_read_and_defaults_are_below_it() {
    use cas::model::attributes::{Resource, Ulimit};
    let own = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    let spec = sound(&format!(
        "defaults: {{umask: \"027\", ulimits: {{nofile: 64, core: unlimited}}}}\nservices:\n  web: {{command: sleep 1, user: \"{own}:{group}\", nice: 3, ulimits: {{nofile: {{soft: 32, hard: 128}}}}}}\n",
    ));
    let attributes = &spec.services[0].attributes;
    assert_eq!((attributes.umask, attributes.nice), (Some(0o27), Some(3)));
    assert_eq!(attributes.user.as_deref(), Some(format!("{own}:{group}").as_str()));
    assert_eq!(attributes.ulimits[&Resource::Nofile], Ulimit { soft: Some(32), hard: Some(128) });
    assert_eq!(attributes.ulimits[&Resource::Core], Ulimit { soft: None, hard: None });
}
