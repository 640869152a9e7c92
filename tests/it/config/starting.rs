//! `cas init`: what it writes can be loaded and says the same as what it was made from.

use std::fs;

use cas::{config, model::service::CommandLine};

use super::Project;

#[track_caller]
fn init(project: &Project) -> (String, config::Loaded) {
    let (file, sentence) = config::init(&project.root(), project.environment()).unwrap();
    assert_eq!(file, project.root().join("cas.yaml"));
    let loaded = project.load("cas.yaml");
    assert!(loaded.errors.is_empty(), "{}\n{}", project.said(&loaded), fs::read_to_string(file).unwrap());
    assert!(loaded.notes.is_empty(), "{}", project.said(&loaded));
    (sentence, loaded)
}

#[test]
fn an_empty_directory_gets_one_example() {
    let project = Project::new();
    let (sentence, loaded) = init(&project);
    assert!(sentence.starts_with("one example service"), "{sentence}");
    let spec = loaded.project.unwrap();
    assert_eq!(spec.services.len(), 1);
    let CommandLine::Shell(line) = &spec.services[0].command else { panic!("not a shell line") };
    assert!(line.contains("$(date"), "{line}");
}

#[test]
fn a_procfile_s_processes_keep_their_lines_ports_and_variables() {
    let lines = [
        "bundle exec rails s -p $PORT",
        "echo \"it's: # here\" | cat",
        "node -e 'console.log({a: 1})' & wait",
        "true",
        "- dash",
        "${X:-y} \\n * ? !",
        "5000",
        "ünï ✓",
    ];
    let named: Vec<_> = lines.iter().enumerate().map(|(at, line)| format!("p{at}: {line}")).collect();
    let procfile = named.join("\n");
    let project = Project::new().file("Procfile", procfile).file(".env", "SECRET=s\n");
    let as_procfile = project.load("Procfile").project.unwrap();
    let (sentence, loaded) = init(&project);
    assert_eq!(sentence, "8 services from Procfile");
    let as_yaml = loaded.project.unwrap();
    for (yaml, procfile) in as_yaml.services.iter().zip(&as_procfile.services) {
        assert_eq!((&yaml.id, &yaml.command), (&procfile.id, &procfile.command));
        assert_eq!(yaml.environment, procfile.environment);
    }
    assert_eq!(as_yaml.services.len(), lines.len());
}

#[test]
fn a_package_s_dev_script_becomes_a_service() {
    let project = Project::new()
        .file("package.json", r#"{"name": "@shop/web", "scripts": {"start": "x", "dev": "y"}}"#)
        .file("pnpm-lock.yaml", "");
    let (sentence, loaded) = init(&project);
    assert_eq!(sentence, "1 service from package.json");
    let service = loaded.project.unwrap().services[0].clone();
    assert_eq!((service.id.service.as_str(), service.command.display().as_str()), ("web", "pnpm run dev"));
}

#[test]
fn a_file_that_is_there_is_never_overwritten() {
    for name in ["cas.yaml", "cas.yml"] {
        let project = Project::new().file(name, "mine");
        let said = config::init(&project.root(), project.environment()).unwrap_err().to_string();
        assert!(said.contains("stays as it is"), "{said}");
        assert_eq!(fs::read_to_string(project.root().join(name)).unwrap(), "mine");
    }
}
