//! `cas import --evaluate`: pm2's JavaScript by node, where somebody asks for it.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use cas::config;

const COMPUTED: &str = "const os = require('os');
console.log('loading');
const names = ['api', 'mails'];
module.exports = {
  apps: names.map(name => ({ name, script: `${name}.js`, env: { CORES: Math.max(1, os.cpus().length * 0) } })),
};
";

fn environment(path: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("PATH".to_owned(), path.to_owned()), ("HOME".to_owned(), "/home/ada".to_owned())])
}

/// A program called `node` that leaves a mark and answers with one application.
fn fake_node(directory: &Path) {
    let node = directory.join("node");
    let answer = r#"printf '\001cas:exports\001{"apps":[{"name":"api","script":"api.js"}]}\n'"#;
    fs::write(&node, format!("#!/bin/sh\necho ran >> '{}'\n{answer}\n", directory.join("ran").display())).unwrap();
    fs::set_permissions(&node, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn what_is_computed_is_evaluated_only_where_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    fake_node(dir.path());
    let file = dir.path().join("ecosystem.config.js");
    fs::write(&file, COMPUTED).unwrap();
    let environment = environment(&format!("{}:/usr/bin:/bin", dir.path().display()));

    let unasked = config::translate(&file, &environment).unwrap();
    assert_eq!(unasked.services, 0);
    let hint = unasked.errors[0].hint.clone().unwrap();
    assert!(hint.contains("\"cas import --evaluate\""), "{hint}");
    assert!(!dir.path().join("ran").exists());

    let asked = config::translate_evaluated(&file, &environment).unwrap();
    assert_eq!(asked.services, 1, "{asked:?}");
    assert!(asked.cas_yaml.contains("  api:\n"), "{}", asked.cas_yaml);
    assert!(dir.path().join("ran").exists());
}

#[test]
fn what_is_literal_is_never_run() {
    let dir = tempfile::tempdir().unwrap();
    fake_node(dir.path());
    let file = dir.path().join("ecosystem.config.js");
    fs::write(&file, "module.exports = {apps: [{name: 'web', script: 'web.js'}]};").unwrap();
    let environment = environment(&format!("{}:/usr/bin:/bin", dir.path().display()));
    let asked = config::translate_evaluated(&file, &environment).unwrap();
    assert!(asked.cas_yaml.contains("  web:\n"), "{}", asked.cas_yaml);
    assert!(!dir.path().join("ran").exists());
    let other = dir.path().join("Procfile");
    fs::write(&other, "web: x\n").unwrap();
    let error = config::translate_evaluated(&other, &environment).unwrap_err();
    assert!(error.0.contains("leave --evaluate out"), "{error}");
}

#[test]
fn node_itself_tells_what_a_file_exports() {
    let path = std::env::var("PATH").unwrap_or_default();
    if !path.split(':').any(|directory| Path::new(directory).join("node").is_file()) {
        eprintln!("there is no node on the PATH, so nothing is shown here: install Node.js");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("ecosystem.config.js"), COMPUTED).unwrap();
    let run = |arguments: &[&str]| {
        let mut cas = Command::new(env!("CARGO_BIN_EXE_cas"));
        cas.args(arguments).current_dir(dir.path());
        for name in ["CAS_STATE_DIR", "CAS_RUNTIME_DIR", "CAS_CONFIG_DIR"] {
            cas.env(name, dir.path().join(name));
        }
        cas.output().unwrap()
    };
    let output = run(&["import", "--evaluate", "ecosystem.config.js"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for line in ["  api:\n", "  mails:\n", "CORES"] {
        assert!(text.contains(line), "{line:?} is missing in {text}");
    }
    let refused = run(&["--read-only", "import", "--evaluate", "ecosystem.config.js"]);
    assert!(!refused.status.success() && refused.stdout.is_empty());
}
