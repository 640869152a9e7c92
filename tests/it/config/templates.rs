//! Variables of a service in one another.

use std::{collections::BTreeMap, fmt::Write};

use super::{Project, load};

/// The environment of the first service, or what is said against it.
fn environment(project: &Project) -> Result<BTreeMap<String, String>, String> {
    let loaded = project.load("cas.yaml");
    loaded.project.as_ref().map(|spec| spec.services[0].environment.clone()).ok_or_else(|| project.said(&loaded))
}

fn of(project: Project, keys: &str) -> BTreeMap<String, String> {
    let indented = keys.trim_matches('\n').replace('\n', "\n    ");
    let yaml = format!("name: shop\nservices:\n  web:\n    command: sleep 1\n    {indented}\n");
    environment(&project.file("cas.yaml", yaml)).unwrap_or_else(|said| panic!("{said}"))
}

#[test]
fn variables_are_filled_in_whatever_their_order_and_from_files_too() {
    let keys = "
env_file: shop.env
environment:
  A_URL: postgres://${USER_NAME}@${Z_HOST}:$PORT/${CAS_PROJECT}
  Z_HOST: db.${DOMAIN:-local}
  PORT: 5432
  PRICE: 5$$ or $1
  LIST: ${NONE:-${Z_HOST}}
";
    let variables = of(Project::new().file("shop.env", "USER_NAME=ada\n"), keys);
    assert_eq!(variables["A_URL"], "postgres://ada@db.local:5432/shop");
    assert_eq!(variables["Z_HOST"], "db.local");
    assert_eq!(variables["PRICE"], "5$ or $1");
    assert_eq!(variables["LIST"], "db.local");
    let list = "environment: ['A=<${B}>', 'B=${C}=x', 'C=1', 'D=$$C']";
    let variables = of(Project::new(), list);
    assert_eq!(
        variables,
        [("A", "<1=x>"), ("B", "1=x"), ("C", "1"), ("D", "$C")].map(|(n, v)| (n.into(), v.into())).into()
    );
}

#[test]
fn what_cas_says_comes_first_then_who_calls_then_the_service_then_dot_env() {
    let project = || {
        Project::new()
            .with("CALLER", "by the caller")
            .with("CAS_SERVICE", "of another")
            .file(".env", "CALLER=by .env\nOWN=by .env\nDOT=by .env\n")
    };
    let keys = "
environment:
  CALLER: by the service
  OWN: by the service
  SEEN: ${CALLER}, ${OWN}, ${DOT}
  ME: ${CAS_SERVICE} of ${CAS_PROJECT} in ${CAS_ROOT}
";
    let project = project();
    let root = project.root().display().to_string();
    let variables = of(project, keys);
    assert_eq!(variables["SEEN"], "by the caller, by the service, by .env");
    assert_eq!(variables["ME"], format!("shop/web of shop in {root}"));
    assert_eq!(variables["CALLER"], "by the service");
}

#[test]
fn one_that_names_itself_means_what_it_stands_over() {
    let keys = "
env_file: shop.env
environment:
  PATH: /opt/bin:${PATH}
  LEVEL: ${LEVEL:-info}
  FROM_FILE: ${FROM_FILE}/more
  DOT: <${DOT}>
";
    let project = Project::new().file("shop.env", "FROM_FILE=/data\n").file(".env", "DOT=dot\n");
    let variables = of(project, keys);
    assert_eq!(variables["PATH"], "/opt/bin:/usr/bin:/bin");
    assert_eq!(variables["LEVEL"], "info");
    assert_eq!(variables["FROM_FILE"], "/data/more");
    assert_eq!(variables["DOT"], "<dot>");
}

#[test]
fn those_of_the_defaults_are_filled_in_for_each_service() {
    let yaml = "
defaults:
  environment: {LOG: '${DIR}/${CAS_SERVICE}.log', DIR: /var, TWICE: of the defaults, BASE: below}
services:
  web: {command: sleep 1, environment: {DIR: /srv, TWICE: of web, BASE: '${BASE}+'}}
  api: {command: sleep 1}
";
    let loaded = Project::new().file("cas.yaml", yaml).load("cas.yaml");
    let services = loaded.project.unwrap().services;
    assert_eq!(services[0].environment["LOG"], "/srv/shop/web.log");
    assert_eq!(services[0].environment["TWICE"], "of web");
    assert_eq!(services[0].environment["BASE"], "below+");
    assert_eq!(services[1].environment["LOG"], "/var/shop/api.log");
}

#[test]
fn a_circle_is_an_error_that_prints_it() {
    let project = Project::new().file(
        "cas.yaml",
        "services:\n  web:\n    command: sleep 1\n    environment:\n      A: x${B}\n      B: ${C}\n      C: ${B}\n      D: ok\n",
    );
    let said = environment(&project).unwrap_err();
    assert!(said.contains("environment: the variables go in a circle: B → C → B (cas.yaml:6:10)"), "{said}");
    assert_eq!(said.matches("error:").count(), 1, "{said}");
    let outside = Project::new()
        .with("C", "from outside")
        .file("cas.yaml", "services: {web: {command: sleep 1, environment: {B: '${C}', C: '${B}'}}}");
    assert_eq!(environment(&outside).unwrap()["C"], "from outside", "who calls decides, and there is no circle");
}

#[test]
fn what_is_not_there_is_noted_once_and_a_secret_is_refused() {
    let yaml = "services: {web: {command: sleep 1, environment: {A: '${NONE}', B: '${A}${A}'}}}";
    let loaded = load(yaml);
    let notes: Vec<_> = loaded.notes.iter().map(|note| note.message.as_str()).collect();
    assert_eq!(notes, ["A: NONE is not set, so it is empty here"]);
    assert_eq!(loaded.project.unwrap().services[0].environment["B"], "");
    let secret = "services: {web: {command: sleep 1, secrets: {PW: {env: HOME}}, environment: {URL: 'x:${PW}@y'}}}";
    let said = environment(&Project::new().file("cas.yaml", secret)).unwrap_err();
    assert!(said.contains("the variable URL cannot have the secret PW in it"), "{said}");
    let needed = "services: {web: {command: sleep 1, environment: {A: '${NONE:?set NONE}'}}}";
    let said = environment(&Project::new().file("cas.yaml", needed)).unwrap_err();
    assert!(said.contains("A: NONE is not set: set NONE"), "{said}");
}

#[test]
fn neither_depth_nor_size_is_without_bound() {
    let mut deep = String::from("services:\n  web:\n    command: sleep 1\n    environment:\n");
    for n in 0..5000 {
        writeln!(deep, "      V{n:04}: ${{V{:04}}}", n + 1).unwrap();
    }
    let said = environment(&Project::new().file("cas.yaml", deep)).unwrap_err();
    assert!(said.contains("more than 64 deep"), "{}", &said[..said.len().min(500)]);
    let mut wide = String::from("services:\n  web:\n    command: sleep 1\n    environment:\n      W00: xxxxxxxxxx\n");
    for n in 1..60 {
        writeln!(wide, "      W{n:02}: ${{W{0:02}}}${{W{0:02}}}${{W{0:02}}}", n - 1).unwrap();
    }
    let said = environment(&Project::new().file("cas.yaml", wide)).unwrap_err();
    assert!(said.contains("variables make the value longer than"), "{}", &said[..said.len().min(500)]);
}
