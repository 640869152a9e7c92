//! All that a directory tells, as one project.

use std::{collections::BTreeMap, fmt::Write as _, fs};

use cas::{
    config::{self, Explained, Explanation, FOUND, FileKind},
    model::{ids::ServiceName, probe::ProbeKind, project::ProjectSpec, service::RestartPolicy},
};

use super::Project;

const EXPRESS: &str = r#"{"name": "web", "scripts": {"dev": "node server.js"}, "dependencies": {"express": "4"}}"#;
const SERVER: &str = "require('express')().listen(3000)\n";

#[track_caller]
fn opened(project: &Project) -> (ProjectSpec, String) {
    let found = config::find(&project.root()).unwrap();
    assert_eq!((found.kind, found.file), (FileKind::Found, project.root().join(FOUND)));
    let loaded = project.load(FOUND);
    let said = project.said(&loaded);
    (loaded.project.unwrap_or_else(|| panic!("{said}")), said)
}

fn names(spec: &ProjectSpec) -> Vec<&str> {
    spec.services.iter().map(|service| service.id.service.as_str()).collect()
}

fn explanation(project: &Project, file: &str) -> Explanation {
    config::explain(&project.load(file), project.environment())
}

#[track_caller]
fn explained<'e>(explanation: &'e Explanation, name: &str) -> &'e Explained {
    explanation.services.iter().find(|service| service.name == name).unwrap()
}

fn tools(service: &Explained) -> Vec<(&str, bool)> {
    service.sources.iter().map(|told| (told.tool, told.is_run)).collect()
}

#[test]
fn a_script_and_a_container_on_one_port_are_one_service_of_which_the_script_runs() {
    let project = Project::new().file("package.json", EXPRESS).file("server.js", SERVER).file(
        "compose.yaml",
        "services:\n  site: {build: ., ports: ['3000:3000'], depends_on: [db]}\n  db: {image: postgres:16}\n",
    );
    let (spec, said) = opened(&project);
    assert_eq!(names(&spec), ["site", "db"], "{said}");
    let site = &spec.services[0];
    assert_eq!(site.command.display(), "npm run dev");
    assert_eq!(site.ports.iter().map(|port| port.0).collect::<Vec<_>>(), [3000]);
    assert!(site.probes.contains_key(&ProbeKind::Readiness));
    assert!(said.contains("site is told twice: \"npm run dev\" (package.json:1) is run, a container built from . (compose.yaml:2) is not"), "{said}");
    let explanation = explanation(&project, FOUND);
    let explained_site = explained(&explanation, "site");
    assert_eq!(tools(explained_site), [("compose", false), ("code", true)]);
    let db = explained(&explanation, "db");
    assert_eq!((db.is_taken, db.runs), (true, true));
}

#[test]
fn a_container_is_the_service_whose_directory_it_is_built_from() {
    let project = Project::new()
        .file("vote/package.json", EXPRESS)
        .file("vote/server.js", SERVER)
        .file("compose.yaml", "services:\n  ballot: {build: ./vote, ports: ['8080:80']}\n");
    let (spec, said) = opened(&project);
    assert_eq!(names(&spec), ["ballot"]);
    assert_eq!(spec.services[0].working_dir, project.root().join("vote"));
    assert!(
        said.contains("ballot: ports is 3000 at vote/server.js:1 and 8080 at compose.yaml:2: the first is taken"),
        "{said}"
    );
}

#[test]
fn a_procfile_lists_what_runs_and_code_only_adds_to_it() {
    let project = Project::new()
        .file("Procfile", "web: npm run dev\n")
        .file("package.json", r#"{"name": "shop", "scripts": {"dev": "node server.js", "worker": "node worker.js"}, "dependencies": {"express": "4"}}"#)
        .file("server.js", "require('express')().listen(process.env.PORT || 3000)\n")
        .file("worker.js", "");
    let (spec, said) = opened(&project);
    assert_eq!(names(&spec), ["web"], "{said}");
    let web = &spec.services[0];
    assert_eq!(web.environment["PORT"], "5000");
    assert_eq!(web.restart, RestartPolicy::OnFailure { max_retries: None }, "foreman's way would heal nothing");
    let explanation = explanation(&project, FOUND);
    assert_eq!(tools(explained(&explanation, "web")), [("Procfile", true), ("code", false)]);
    assert!(explanation.services.iter().filter(|service| service.name != "web").all(|service| !service.is_taken));
}

#[test]
fn several_lists_are_one_project_and_the_more_explicit_one_wins() {
    let project = Project::new().file("Procfile", "web: sleep 1\nclock: sleep 2\n").file(
        "process-compose.yaml",
        "processes:\n  web: {command: sleep 3, environment: ['PORT=7000']}\n  mail: {command: sleep 4}\n",
    );
    let (spec, said) = opened(&project);
    assert_eq!(names(&spec), ["web", "mail", "clock"], "{said}");
    let web = spec.service(&ServiceName::new("web").unwrap()).unwrap();
    assert_eq!(web.command.display(), "sleep 3");
    assert!(said.contains("web: PORT has one value at process-compose.yaml:2 and another at Procfile:1"), "{said}");
    assert_eq!(
        names(&project.load("Procfile").project.unwrap()),
        ["web", "clock"],
        "a file that is named speaks alone"
    );
}

#[test]
fn files_above_add_to_services_and_make_none() {
    let project = Project::new()
        .file("compose.yaml", "services:\n  api: {build: ./api, ports: ['9000:9000']}\n  db: {image: postgres}\n")
        .file("api/Procfile", "api: sleep 1\n")
        .file("api/mprocs.yaml", "procs: {extra: {shell: sleep 2}}\n");
    fs::create_dir(project.root().join(".git")).unwrap();
    let found = config::find(&project.root().join("api")).unwrap();
    assert_eq!(found.file, project.root().join("api").join(FOUND));
    let loaded = project.load(&format!("api/{FOUND}"));
    let spec = loaded.project.unwrap();
    assert_eq!(names(&spec), ["extra", "api"]);
    let api = spec.service(&ServiceName::new("api").unwrap()).unwrap();
    let explanation = explanation(&project, &format!("api/{FOUND}"));
    assert_eq!(tools(explained(&explanation, "api")), [("Procfile", true), ("compose", false)]);
    assert!(api.depends_on.is_empty());
}

#[test]
fn code_alone_is_a_project_at_the_root_of_its_repository() {
    let project = Project::new().file("web/package.json", EXPRESS).file("web/server.js", SERVER).file("docs/a.md", "");
    fs::create_dir(project.root().join(".git")).unwrap();
    let found = config::find(&project.root().join("docs")).unwrap();
    assert_eq!(found.file, project.root().join(FOUND));
    let (spec, _) = opened(&project);
    assert_eq!((names(&spec), spec.name.as_str()), (vec!["web"], "shop"));
    assert!(!spec.services[0].autostart, "nothing that nobody asked for is started");
    assert_eq!(spec.services[0].source.file, project.root().join("web/package.json"));
}

#[test]
fn members_with_services_of_one_name_are_told_apart_and_a_list_speaks_for_its_directory() {
    let project = Project::new()
        .file("shop/package.json", EXPRESS)
        .file("shop/server.js", SERVER)
        .file("blog/package.json", EXPRESS)
        .file("blog/server.js", "require('express')().listen(3001)\n")
        .file("jobs/Procfile", "worker: sleep 1\n")
        .file("jobs/package.json", EXPRESS)
        .file("jobs/server.js", "require('express')().listen(3002)\n");
    fs::create_dir(project.root().join(".git")).unwrap();
    let (spec, said) = opened(&project);
    let names = names(&spec);
    assert_eq!(names.len(), 3, "{names:?}\n{said}");
    assert!(names.contains(&"worker") && !names.contains(&"jobs"), "{names:?}");
    let directories: Vec<_> = spec.services.iter().map(|service| service.working_dir.clone()).collect();
    assert!(directories.contains(&project.root().join("shop")) && directories.contains(&project.root().join("blog")));
}

#[test]
fn a_unit_of_systemd_is_taken_only_where_nothing_else_tells_a_process() {
    let unit = "[Service]\nExecStart=/bin/sleep 9\n";
    let project =
        Project::new().file("deploy/shop.service", unit).file("mprocs.yaml", "procs: {web: {shell: sleep 1}}\n");
    let (spec, said) = opened(&project);
    assert_eq!(names(&spec), ["web"]);
    assert!(said.contains("shop is not taken: \"/bin/sleep 9\" (deploy/shop.service:"), "{said}");
    let alone = Project::new().file("deploy/shop.service", unit).file("Makefile", "all:\n\ttrue\n");
    assert_eq!(names(&opened(&alone).0), ["shop"]);
}

#[test]
fn a_cas_yaml_that_is_written_later_takes_the_place_of_what_was_found() {
    let project = Project::new().file("package.json", EXPRESS).file("server.js", SERVER);
    assert_eq!(names(&opened(&project).0), ["web"]);
    let project = project.file("cas.yaml", "services: {own: {command: sleep 1}}\n");
    let loaded = project.load(FOUND);
    assert_eq!(loaded.file, project.root().join("cas.yaml"));
    assert_eq!(names(&loaded.project.unwrap()), ["own"]);
}

#[test]
fn a_directory_that_tells_nothing_is_no_project_and_one_with_code_but_no_service_says_so() {
    let project = Project::new().file("notes/a.txt", "");
    assert!(config::find(&project.root()).is_err());
    let project = project.file("Cargo.toml", "[package]\nname = \"lib\"\nversion = \"0.1.0\"\n").file("src/lib.rs", "");
    let loaded = project.load(FOUND);
    assert!(loaded.project.is_none());
    let said = project.said(&loaded);
    assert!(said.contains("tells a service") && said.contains("cas init"), "{said}");
}

#[test]
fn every_value_of_a_cas_yaml_says_where_it_stands() {
    let project = Project::new().file(
        "cas.yaml",
        "defaults:\n  restart: always\n  environment: {STAGE: dev}\nservices:\n  web:\n    command: sleep 1\n    environment:\n      TOKEN: s3cr3t-canary-value\n    backoff: {base: 2s}\n",
    );
    let explanation = explanation(&project, "cas.yaml");
    let web = explained(&explanation, "web");
    let at = |key: &str| {
        let value = web.values.iter().find(|value| value.key == key).unwrap_or_else(|| panic!("{key}: {web:#?}"));
        (value.source.as_ref().map(|source| source.line), value.is_default)
    };
    assert_eq!(at("command"), (Some(6), false));
    assert_eq!(at("environment.TOKEN"), (Some(8), false));
    assert_eq!(at("environment.STAGE"), (Some(3), true));
    assert_eq!(at("restart"), (Some(2), true));
    assert_eq!(at("backoff.base"), (Some(9), false));
    assert_eq!(at("stop_signal"), (None, false));
    assert!(!format!("{explanation:?}").contains("s3cr3t-canary-value"), "{explanation:#?}");
}

#[test]
fn what_a_cas_yaml_has_is_found_in_other_files_too_and_what_it_has_not_is_left_aside() {
    let project = Project::new()
        .file("cas.yaml", "services: {web: {command: npm run dev, ports: [3000]}}\n")
        .file("package.json", EXPRESS)
        .file("server.js", SERVER)
        .file("compose.yaml", "services:\n  db: {image: postgres}\n");
    let explanation = explanation(&project, "cas.yaml");
    assert_eq!(tools(explained(&explanation, "web")), [("cas", true), ("code", false)]);
    let db = explained(&explanation, "db");
    assert_eq!((db.is_taken, tools(db)), (false, vec![("compose", false)]));
}

#[test]
fn what_the_code_needs_is_matched_with_what_compose_offers() {
    let project = Project::new()
        .file("package.json", EXPRESS)
        .file("server.js", SERVER)
        .file(".env.example", "DATABASE_URL=postgres://u:p@localhost:5433/shop\nREDIS_URL=redis://localhost:6379\n")
        .file(
            "compose.yaml",
            "services:\n  other: {image: 'postgres:16', ports: ['5432:5432']}\n  main: {image: 'postgis/postgis', ports: ['5433:5432']}\n  exporter: {image: oliver006/redis_exporter}\n",
        );
    let explanation = explanation(&project, FOUND);
    let offered: BTreeMap<&str, Option<&str>> = explanation
        .needs
        .iter()
        .map(|needed| (needed.need.variable.as_str(), needed.offered.as_ref().map(|by| by.service.as_str())))
        .collect();
    assert_eq!(offered, BTreeMap::from([("DATABASE_URL", Some("main")), ("REDIS_URL", None)]));
}

#[test]
fn thousands_of_services_in_two_files_are_matched_one_by_one() {
    let mut lists = (String::from("processes:\n"), String::new());
    for number in 0..5000 {
        writeln!(lists.0, "  s{number}: {{command: sleep {number}}}").unwrap();
        writeln!(lists.1, "s{number}: sleep {number}0").unwrap();
    }
    let project = Project::new().file("process-compose.yaml", &lists.0).file("Procfile", &lists.1);
    let (spec, _) = opened(&project);
    assert_eq!(spec.services.len(), 5000);
    assert_eq!(spec.services[4999].command.display(), "sleep 4999");
}

#[test]
fn a_half_written_file_is_an_error_at_its_line_and_one_for_other_machines_is_a_note() {
    let project =
        Project::new().file("Procfile", "web: sleep 1\n").file("compose.yaml", "services:\n  db: {image: [\n");
    let loaded = project.load(FOUND);
    let said = project.said(&loaded);
    assert!(loaded.project.is_none() && said.contains("compose.yaml:"), "{said}");
    let project =
        Project::new().file("Procfile", "web: sleep 1\n").file("supervisord.conf", "[program:web\ncommand=x\n");
    let (spec, said) = opened(&project);
    assert_eq!(names(&spec), ["web"]);
    assert!(said.contains("supervisord.conf:1"), "{said}");
}

#[test]
fn what_must_be_installed_first_is_noted() {
    let project = Project::new()
        .file("web/package.json", EXPRESS)
        .file("web/server.js", SERVER)
        .file("requirements.txt", "gunicorn\n")
        .file("Procfile", "api: PORT=1 exec no-such-gunicorn app\nweb: cd web && npm run dev\nok: sleep 1\n")
        .file("mprocs.yaml", "procs: {site: {shell: npm run dev, cwd: web}}\n");
    let loaded = project.load(FOUND);
    let said = project.said(&loaded);
    assert!(said.contains("api: there is no program \"no-such-gunicorn\" here yet (Procfile:1:1)"), "{said}");
    assert!(said.contains("pip install -r requirements.txt may bring it"), "{said}");
    assert!(!said.contains("web: there is no program") && !said.contains("ok: there"), "{said}");
    let npm = project.environment()["PATH"].split(':').any(|dir| std::path::Path::new(dir).join("npm").exists());
    let lack =
        if npm { "site: what web/package.json names is not installed" } else { "site: there is no program \"npm\"" };
    assert!(said.contains(lack), "{said}");
}

#[test]
fn a_condition_that_was_told_of_a_container_does_not_hold_a_process_for_ever() {
    let project = Project::new()
        .file("api/Procfile", "api: sleep 1\n")
        .file("web/package.json", EXPRESS)
        .file("web/server.js", SERVER)
        .file("worker/main.py", "import celery\napp = celery.Celery('jobs')\n")
        .file("worker/requirements.txt", "celery\n")
        .file(
            "compose.yaml",
            "services:\n  web: {build: ./web, depends_on: {worker: {condition: service_healthy}}}\n  worker: {build: ./worker, healthcheck: {test: curl x}}\n",
        );
    let (spec, said) = opened(&project);
    let web = spec.service(&ServiceName::new("web").unwrap()).unwrap_or_else(|| panic!("{said}"));
    let worker = ServiceName::new("worker").unwrap();
    assert!(spec.service(&worker).is_some(), "{said}");
    assert_eq!(web.depends_on[&worker].condition, cas::model::service::Condition::ServiceStarted, "{said}");
}

#[test]
fn what_is_wrong_between_services_is_told_in_the_file_that_says_it() {
    let project = Project::new()
        .file("process-compose.yaml", "processes:\n  a:\n    command: sleep 1\n    depends_on:\n      b: {condition: process_healthy}\n  b: {command: sleep 2}\n")
        .file("Procfile", "c: sleep 3\n");
    let loaded = project.load(FOUND);
    let said = project.said(&loaded);
    assert!(said.contains("can never be service_healthy") && said.contains("(process-compose.yaml:5:"), "{said}");
}

#[test]
fn copies_are_explained_as_the_one_service_that_the_file_has() {
    let project = Project::new().file("cas.yaml", "services:\n  web:\n    command: sleep 1\n    replicas: 3\n");
    let explanation = explanation(&project, "cas.yaml");
    assert_eq!(explanation.services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>(), ["web"]);
    let web = explained(&explanation, "web");
    let said = |key: &str| web.values.iter().any(|value| value.key == key && value.source.is_some());
    assert!(said("replicas") && said("command"), "{web:#?}");
}

#[test]
fn what_the_environment_says_of_all_projects_counts_for_a_found_one_too() {
    let project = Project::new().with("CAS_MAX_RESTARTS", "3").file("package.json", EXPRESS).file("server.js", SERVER);
    assert_eq!(opened(&project).0.services[0].backoff.give_up_after, 3);
}

#[test]
fn the_same_command_in_the_same_directory_is_no_second_way_to_run_it() {
    let project =
        Project::new().file("Procfile", "web: npm run dev\n").file("package.json", EXPRESS).file("server.js", SERVER);
    let (_, said) = opened(&project);
    assert!(!said.contains("told twice"), "{said}");
    assert_eq!(tools(explained(&explanation(&project, FOUND), "web")), [("Procfile", true), ("code", false)]);
}
