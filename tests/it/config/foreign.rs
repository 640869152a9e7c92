//! Files of other tools, opened as they are.

use std::{os::unix::fs::PermissionsExt, time::Duration};

use cas::{
    config,
    model::{
        ids::ServiceName,
        probe::{Check, ProbeKind},
        service::{CommandLine, Condition, RestartPolicy},
        signal::Signal,
    },
};

use super::Project;

const PROCESS_COMPOSE: &str = include_str!("../../fixtures/import/process-compose/process-compose.yaml");

#[track_caller]
fn names(project: &Project, file: &str) -> Vec<String> {
    let loaded = project.load(file);
    assert!(loaded.errors.is_empty(), "{}", project.said(&loaded));
    loaded.project.unwrap().services.iter().map(|service| service.id.service.to_string()).collect()
}

#[test]
fn a_project_of_process_compose_runs_as_its_file_says() {
    let project = Project::new().file("process-compose.yaml", PROCESS_COMPOSE).file("api/server.js", "");
    assert_eq!(names(&project, "process-compose.yaml"), ["schema", "api", "worker-1", "worker-2"]);
    let spec = project.load("process-compose.yaml").project.unwrap();
    let service = |name: &str| spec.service(&ServiceName::new(name).unwrap()).unwrap();
    let api = service("api");
    assert_eq!(api.working_dir, spec.root.join("api"));
    assert_eq!((&*api.environment["STAGE"], &*api.environment["LOG_LEVEL"]), ("dev", "debug"));
    assert_eq!(api.restart, RestartPolicy::OnFailure { max_retries: Some(5) });
    assert_eq!([api.backoff.bound(1), api.backoff.bound(9)], [Duration::from_secs(3); 2]);
    assert_eq!((api.stop.signal, api.stop.grace), (Signal::Int, Duration::from_secs(15)));
    assert_eq!(api.depends_on[&ServiceName::new("schema").unwrap()].condition, Condition::ServiceCompletedSuccessfully);
    assert!(
        matches!(&api.probes[&ProbeKind::Readiness].check, Check::Http { url, .. } if url == "http://127.0.0.1:4000/health")
    );
    assert_eq!(service("schema").restart, RestartPolicy::No);
    let worker = service("worker-2");
    assert_eq!(worker.depends_on[&ServiceName::new("api").unwrap()].condition, Condition::ServiceHealthy);
    assert!(matches!(&worker.probes[&ProbeKind::Liveness].check, Check::Exec(_)));
    assert_eq!(api.source.to_string(), format!("{}:8:3", spec.file.display()));
}

#[test]
fn a_compose_yaml_with_processes_is_read_as_such() {
    let project = Project::new().file("compose.yaml", "processes:\n  web: {command: sleep 5}\n");
    assert_eq!(names(&project, "compose.yaml"), ["web"]);
}

#[test]
fn files_of_mprocs_pm2_and_supervisor_run_too() {
    let project = Project::new()
        .file("mprocs.yaml", include_str!("../../fixtures/import/mprocs/mprocs.yaml"))
        .file("site/package.json", "{}")
        .file("ecosystem.config.js", include_str!("../../fixtures/import/pm2/ecosystem.config.js"))
        .file("supervisord.conf", include_str!("../../fixtures/import/supervisord/supervisord.conf"))
        .file("public/index.html", "");
    assert_eq!(names(&project, "mprocs.yaml"), ["site", "api", "notes"]);
    assert_eq!(names(&project, "ecosystem.config.js"), ["api-1", "api-2", "jobs"]);
    let supervised = project.load("supervisord.conf");
    assert!(supervised.errors.is_empty(), "{}", project.said(&supervised));
    let spec = supervised.project.as_ref().unwrap();
    let web = spec.service(&ServiceName::new("web").unwrap()).unwrap();
    assert_eq!(web.environment["NAME"], "a,b");
    let CommandLine::Argv(argv) = &web.command else { panic!("{:?}", web.command) };
    assert_eq!(argv.last().unwrap(), "8080");
    let said = project.said(&supervised);
    let is_carried = rustix::process::geteuid().is_root();
    let users: Vec<_> = spec.services.iter().filter_map(|service| service.attributes.user.as_deref()).collect();
    assert_eq!(users.contains(&"nobody"), is_carried, "{users:?}");
    assert_eq!(said.contains("user nobody is not carried over: only root may"), !is_carried, "{said}");
}

/// What makes a service, its place left out.
fn meaning(spec: &cas::model::project::ProjectSpec) -> Vec<String> {
    let of = |service: &std::sync::Arc<cas::model::service::ServiceSpec>| {
        format!(
            "{} {:?} {} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {} {} {:?} {:?}",
            service.id.service,
            service.command,
            service.working_dir.display(),
            service.environment,
            service.limits,
            service.depends_on,
            service.probes,
            service.ready_log_line,
            service.restart,
            service.backoff,
            service.stop,
            service.tty,
            service.autostart,
            service.ports,
            service.description,
        )
    };
    spec.services.iter().map(of).collect()
}

#[test]
fn what_is_translated_is_read_back_as_the_same_services() {
    let fixtures = [
        ("process-compose.yaml", PROCESS_COMPOSE),
        ("mprocs.yaml", include_str!("../../fixtures/import/mprocs/mprocs.yaml")),
        ("ecosystem.config.js", include_str!("../../fixtures/import/pm2/ecosystem.config.js")),
        ("supervisord.conf", include_str!("../../fixtures/import/supervisord/supervisord.conf")),
        (
            "process-compose.yml",
            "processes:\n  a b:\n    command: 'echo \"$HOME\" ${NAME-x} # no'\n    environment: ['A=1: 2', 'B=$$x\\n', 'yes=no']\n    is_tty: true\n    ready_log_line: 'up (1)'\n",
        ),
    ];
    for (name, text) in fixtures {
        let mut project = Project::new().file(name, text).with("PATH", "bin");
        for directory in ["api/x", "site/x", "public/x"] {
            project = project.file(directory, "");
        }
        // Programs that a cas.yaml wants to be there.
        for program in ["node", "cargo", "python3"] {
            project = project.file(&format!("api/bin/{program}"), "").file(&format!("bin/{program}"), "");
            for file in [format!("bin/{program}"), format!("api/bin/{program}")] {
                std::fs::set_permissions(project.root().join(file), std::fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
        let as_it_is = project.load(name);
        assert!(as_it_is.errors.is_empty(), "{}", project.said(&as_it_is));
        let translation = config::translate(&project.root().join(name), project.environment()).unwrap();
        config::write_beside(&project.root().join(name), &translation.cas_yaml).unwrap();
        let translated = project.load("cas.yaml");
        assert!(translated.errors.is_empty(), "{}\n{}", project.said(&translated), translation.cas_yaml);
        assert_eq!(
            meaning(translated.project.as_ref().unwrap()),
            meaning(as_it_is.project.as_ref().unwrap()),
            "{name}:\n{}",
            translation.cas_yaml
        );
        assert!(config::write_beside(&project.root().join(name), "").is_err(), "nothing is overwritten");
    }
}

#[test]
fn a_unit_of_systemd_is_translated_and_a_file_of_nobody_is_refused() {
    let project = Project::new()
        .file("app.service", include_str!("../../fixtures/import/systemd/app.service"))
        .file("notes.txt", "");
    let translate = |name: &str| config::translate(&project.root().join(name), project.environment());
    let text = translate("app.service").unwrap().cas_yaml;
    for line in [
        "  # from app.service:1",
        "    working_dir: /srv/app",
        "    restart: \"on-failure\"",
        "    stop_signal: INT",
        "    cpus: 1.5",
        "    mem_limit: 268435456",
    ] {
        assert!(text.lines().any(|other| other == line), "{line}\n{text}");
    }
    let refused = translate("notes.txt").unwrap_err().to_string();
    assert!(refused.contains("is of no tool that is known"), "{refused}");
    assert!(translate("absent.conf").unwrap_err().to_string().contains("there is no file"));
}

#[test]
fn a_file_of_containers_alone_is_a_project() {
    let only = Project::new().file("compose.yaml", "services:\n  db: {image: postgres}\n  web: {image: nginx}\n");
    let loaded = only.load("compose.yaml");
    let project = loaded.project.unwrap();
    let kinds: Vec<_> = project.services.iter().map(|spec| (spec.id.service.as_str(), spec.kind)).collect();
    let container = cas::model::service::ServiceKind::Container;
    assert_eq!(kinds, [("db", container), ("web", container)]);
}

#[test]
fn what_is_missing_beside_such_a_file_is_an_error_at_its_line() {
    let project = Project::new().file("mprocs.yaml", "procs:\n  web:\n    shell: x\n    cwd: nowhere\n");
    let loaded = project.load("mprocs.yaml");
    assert!(loaded.project.is_none());
    let said = project.said(&loaded);
    assert!(said.contains("web: there is no directory") && said.contains("mprocs.yaml:4:"), "{said}");
}

#[test]
fn the_project_s_own_file_wins_and_then_the_more_explicit() {
    let project = Project::new()
        .file("compose.yaml", "services: {a: {image: x}}\n")
        .file("Procfile", "b: sleep 1\n")
        .file("process-compose.yaml", "processes: {c: {command: sleep 1}}\n");
    let found = || config::find(&project.root()).unwrap();
    assert_eq!(found().kind, config::FileKind::Found);
    std::fs::remove_file(project.root().join("process-compose.yaml")).unwrap();
    std::fs::remove_file(project.root().join("compose.yaml")).unwrap();
    assert_eq!(found().kind, config::FileKind::Procfile, "one file alone is opened by its name");
    std::fs::write(project.root().join("cas.yaml"), "services: {d: {command: sleep 1}}\n").unwrap();
    assert_eq!(found().kind, config::FileKind::CasYaml);
}
