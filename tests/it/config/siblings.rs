//! Variables that name each other, and what the file and its services are called.

use std::collections::BTreeMap;

use cas::{
    config,
    model::{ids::ProjectName, service::ServiceSpec},
};

use super::Project;

/// Service `web` of a file without errors and notes.
#[track_caller]
fn web(project: &Project) -> ServiceSpec {
    let loaded = project.load("cas.yaml");
    assert!(loaded.errors.is_empty() && loaded.notes.is_empty(), "{:?} {:?}", loaded.errors, loaded.notes);
    let spec = loaded.project.unwrap();
    (**spec.services.iter().find(|service| service.id.to_string().ends_with("/web")).unwrap()).clone()
}

/// `environment` of a service, each line at its place.
fn with_environment(lines: &[&str]) -> Project {
    let lines = lines.iter().map(|line| format!("      {line}\n")).collect::<Vec<_>>().concat();
    Project::new().file("cas.yaml", format!("services:\n  web:\n    command: sleep 1\n    environment:\n{lines}"))
}

#[test]
fn values_name_each_other_whatever_their_order() {
    let map = ["URL: \"http://${HOST}/$PORT\"", "HOST: \"h:${PORT:-1}\"", "PORT: 4000"];
    let list = ["- URL=http://${HOST}/$PORT", "- HOST=h:${PORT:-1}", "- PORT=4000"];
    for lines in [map, list] {
        let web = web(&with_environment(&lines).with("PORT", "3000").with("HOST", "outside"));
        assert_eq!(web.environment["URL"], "http://h:4000/4000", "{lines:?}");
    }
}

#[test]
fn a_name_deep_within_a_default_is_waited_for() {
    let web = web(&with_environment(&["A: \"${B:+${C:-${D}}}\"", "B: yes", "C: \"\"", "D: deep"]));
    assert_eq!(web.environment["A"], "deep");
}

#[test]
fn a_variables_own_name_is_what_it_has_without_the_line() {
    let project = Project::new().with("A", "outside").with("B", "outside").with("C", "outside");
    let project = project.file("web.env", "B=file\n").file(
        "cas.yaml",
        "defaults: {environment: {C: defaults}}\nservices:\n  web:\n    command: sleep 1\n    env_file: web.env\n    \
         environment: {A: \"1-${A}\", B: \"2-${B}\", C: \"3-${C}\", D: \"$B $C\"}\n",
    );
    let web = web(&project);
    let of = |name: &str| web.environment[name].clone();
    assert_eq!([of("A"), of("B"), of("C")], ["1-outside", "2-file", "3-defaults"]);
    assert_eq!(of("D"), "2-file 3-defaults");
}

#[test]
fn what_a_variable_contains_is_not_looked_at_again() {
    let web = web(&with_environment(&["A: $B", "B: \"$$C\"", "C: c"]));
    assert_eq!(web.environment["A"], "$C");
}

#[test]
fn a_circle_is_an_error_that_names_its_chain() {
    let lines = ["Z: \"$A\"", "A: \"${NONE:-$B}\"", "B: \"$C\"", "C: \"$A\"", "X: \"$Y\"", "Y: \"$X\""];
    let loaded = with_environment(&lines).load("cas.yaml");
    let errors: Vec<_> = loaded.errors.iter().map(|error| error.message.as_str()).collect();
    let said = "environment: variables that are made of each other:";
    assert_eq!(errors, [format!("{said} A → B → C → A"), format!("{said} X → Y → X")]);
    assert!(loaded.project.is_none());
    assert_eq!(loaded.notes.len(), 0, "{:?}", loaded.notes);
}

#[test]
fn the_project_the_service_and_the_directory_are_known_by_name() {
    let text = "services:\n  web:\n    command: sleep 1\n    description: ${CAS_SERVICE} of ${CAS_PROJECT}\n    \
                environment: {A: \"${CAS_PROJECT} $CAS_SERVICE $CAS_ROOT\"}\n  db: {command: sleep 1, environment: {A: $CAS_SERVICE}}\n";
    // As in a terminal of another service.
    let project = Project::new().with("CAS_SERVICE", "other/one").file("cas.yaml", text);
    let root = project.root();
    let web = web(&project);
    assert_eq!(web.environment["A"], format!("shop web {}", root.display()));
    assert_eq!(web.description.as_deref(), Some("web of shop"));
    let db = &project.load("cas.yaml").project.unwrap().services[1];
    assert_eq!(db.environment["A"], "db");

    let named = config::load(
        &root.join("cas.yaml"),
        Some(ProjectName::new("mine").unwrap()),
        &BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
    );
    assert_eq!(named.project.unwrap().services[0].description.as_deref(), Some("web of mine"));
    let written = Project::new().file("cas.yaml", format!("name: hers\n{text}"));
    assert_eq!(written.load("cas.yaml").project.unwrap().services[0].description.as_deref(), Some("web of hers"));
}

#[test]
fn a_value_of_the_defaults_cannot_name_a_service() {
    let text = "defaults: {environment: {A: $CAS_SERVICE}}\nservices: {web: {command: sleep 1}}";
    let loaded = Project::new().with("CAS_SERVICE", "other/one").file("cas.yaml", text).load("cas.yaml");
    let errors: Vec<_> = loaded.errors.iter().map(|error| error.message.as_str()).collect();
    assert_eq!(errors, ["A: CAS_SERVICE is not known outside of a service"]);
}

#[test]
fn a_message_quotes_no_secret_that_a_sibling_holds() {
    let lines = ["DB_PASSWORD: \"hunter2-and-more\"", "A: \"${NONE:?set it, not $DB_PASSWORD}\""];
    let said = format!("{:?}", with_environment(&lines).load("cas.yaml"));
    assert!(said.contains("NONE is not set"), "{said}");
    assert!(!said.contains("hunter2-and-more"), "{said}");
}
