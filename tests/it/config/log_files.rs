//! `log_files`: what it means, and what is said where it is wrong.

use std::time::Duration;

use cas::model::{
    log_file::{How, LogFiles, Rotation},
    signal::Signal,
};

use super::{Project, load, sound};

/// The log files of the one service of a snippet that has these keys.
#[track_caller]
fn files(keys: &str) -> Vec<LogFiles> {
    let indented = keys.trim_matches('\n').replace('\n', "\n    ");
    let command = if keys.contains("command:") || keys.contains("image:") { "" } else { "    command: sleep 1\n" };
    sound(&format!("services:\n  web:\n    {indented}\n{command}")).services[0].log_files.to_vec()
}

#[track_caller]
fn rotation(rotate: &str) -> Rotation {
    files(&format!("log_files: [{{path: a.log, rotate: {rotate}}}]"))[0].rotate.unwrap()
}

#[test]
fn a_path_is_meant_from_the_service_s_directory_and_followed() {
    let project = Project::new().file("cas.yaml", "services: {web: {command: sleep 1, working_dir: api, log_files: [./log/*.log, x.log, /var/log/y.log, ~/z.log]}}");
    let spec = project.load("cas.yaml").project.unwrap();
    let root = project.root().join("api");
    let found: Vec<_> = spec.services[0]
        .log_files
        .iter()
        .map(|files| (files.path(&files.name), files.pattern(), files.within.clone(), files.follow, files.rotate))
        .collect();
    let within = Some(root.clone());
    assert_eq!(
        found,
        [
            (root.join("log/*.log"), "log/*.log".to_owned(), within.clone(), true, None),
            (root.join("x.log"), "x.log".to_owned(), within, true, None),
            ("/var/log/y.log".into(), "/var/log/y.log".to_owned(), None, true, None),
            ("/home/ada/z.log".into(), "~/z.log".to_owned(), None, true, None),
        ]
    );
}

#[test]
fn how_a_file_is_rotated_has_defaults_and_every_key() {
    let usual = Rotation {
        max_bytes: Some(50 << 20),
        max_age: None,
        keep: 7,
        keep_for: None,
        compress: true,
        how: How::CopyTruncate,
    };
    assert_eq!(rotation("{max_size: 50MB}"), usual);
    let all = "{max_size: 4K, max_age: 1d, keep: 3, keep_for: 30d, compress: false, how: signal, signal: USR2}";
    let day = Duration::from_hours(24);
    assert_eq!(
        rotation(all),
        Rotation {
            max_bytes: Some(4096),
            max_age: Some(day),
            keep: 3,
            keep_for: Some(day * 30),
            compress: false,
            how: How::Signal(Signal::Usr2),
        }
    );
    assert_eq!(rotation("{max_size: 50M, signal: HUP}").how, How::Signal(Signal::Hup));
}

#[test]
fn who_opens_files_anew_on_a_signal_is_known_and_others_are_copied() {
    for (command, how) in [
        ("[./nginx, -g, daemon off;]", How::SignalIfCaught(Signal::Usr1)),
        ("[sh, -c, exec apache2 -DFOREGROUND]", How::SignalIfCaught(Signal::Usr1)),
        ("[./bundle, exec, unicorn, -c, unicorn.rb]", How::SignalIfCaught(Signal::Usr1)),
        ("[./rsyslogd, -n]", How::SignalIfCaught(Signal::Hup)),
        ("[./bundle, exec, puma]", How::CopyTruncate),
        ("[./postgres, -D, data]", How::CopyTruncate),
        ("[./redis-server]", How::CopyTruncate),
        ("[sleep, '1']", How::CopyTruncate),
    ] {
        let yaml = format!(
            "services: {{web: {{command: {command}, log_files: [{{path: a.log, rotate: {{max_size: 1M}}}}]}}}}"
        );
        let mut project = Project::new().file("cas.yaml", &yaml);
        for program in ["nginx", "bundle", "rsyslogd", "postgres", "redis-server"] {
            project = project.file(program, "");
            let file = project.root().join(program);
            std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        let loaded = project.load("cas.yaml");
        let services = loaded.project.unwrap_or_else(|| panic!("{command}: {:?}", loaded.errors)).services;
        assert_eq!(services[0].log_files[0].rotate.unwrap().how, how, "{command}");
    }
}

#[test]
fn defaults_are_meant_from_each_service_and_its_own_list_takes_their_place() {
    let spec = sound(
        "defaults: {log_files: [log/x.log]}
services:
  web: {command: sleep 1}
  api: {command: sleep 1, working_dir: api}
  own: {command: sleep 1, log_files: []}
",
    );
    let paths = |at: usize| spec.services[at].log_files.iter().map(|one| one.path(&one.name)).collect::<Vec<_>>();
    assert!(paths(0)[0].ends_with("shop/log/x.log") && paths(1)[0].ends_with("shop/api/log/x.log"));
    assert!(paths(2).is_empty());
}

#[test]
fn a_file_of_a_container_must_lie_in_a_mounted_directory() {
    let found =
        files("image: nginx\nvolumes: [./log:/var/log/nginx, data:/var/lib]\nlog_files: [/var/log/nginx/access.log]");
    assert!(found[0].directory.ends_with("shop/log") && found[0].within.is_none(), "{found:?}");
    assert_eq!(found[0].pattern(), "/var/log/nginx/access.log");
    for (path, volumes) in [
        ("/var/lib/x.log", "[data:/var/lib]"),
        ("/etc/x.log", "[./log:/var/log]"),
        ("log/x.log", "[./log:/var/log]"),
        ("/var/log/deep/x.log", "[./log:/var/log, data:/var/log/deep]"),
    ] {
        let yaml = format!("services: {{web: {{image: nginx, volumes: {volumes}, log_files: [{path}]}}}}");
        let loaded = load(&yaml);
        let error = loaded.errors.first().unwrap_or_else(|| panic!("{path} {volumes}")).to_string();
        assert!(error.contains(path) && error.contains("container"), "{error}");
    }
}

#[test]
fn what_is_wrong_is_said_where_it_stands() {
    for (keys, message) in [
        ("[log/**]", "has ** in it"),
        ("[\"log/*/x.log\"]", "has a wildcard in a directory"),
        ("[../x.log]", "leads out of the service's directory"),
        ("[log/]", "names a directory"),
        ("[{rotate: {max_size: 1M}}]", "this entry has no path"),
        ("[x.log, ./x.log]", "is there twice"),
        ("[{path: x.log, rotate: {max_size: 1}}]", "is too small, at least 4K is needed"),
        ("[{path: x.log, rotate: {keep: 0}}]", "is less than 1"),
        ("[{path: x.log, rotate: {keep: 5000}}]", "too many"),
        ("[{path: x.log, rotate: {max_size: 1M, how: rename}}]", "\"rename\" is no way to rotate a file"),
        ("[{path: x.log, rotate: {max_size: 1M, how: signal}}]", "it is not known on which signal"),
        ("[{path: x.log, rotate: {max_size: 1M, how: copytruncate, signal: HUP}}]", "copytruncate takes no signal"),
        ("[{path: x.log, rotate: {max_size: 1M, signal: NOPE}}]", "is not a signal"),
        ("[{path: x.log, rotates: {}}]", "rotates: not a key of a log file"),
        ("{path: x.log}", "not a list"),
    ] {
        let loaded = load(&format!("services:\n  web:\n    command: sleep 1\n    log_files: {keys}\n"));
        let found = loaded.errors.first().unwrap_or_else(|| panic!("{keys}: no error"));
        assert!(found.message.contains(message), "{keys}: {}", found.message);
        assert_eq!(found.source.as_ref().map(|at| at.line), Some(4), "{keys}");
        assert!(found.hint.is_some(), "{keys}");
    }
    let two = "services:\n  a: {command: sleep 1, log_files: [{path: x.log, rotate: {max_size: 1M}}]}\n  b: {command: sleep 1, log_files: [{path: x.log, rotate: {max_size: 1M}}]}\n";
    assert!(load(two).errors[0].message.contains("is rotated for a, too"));
    for (rotated, other) in [("x.log", "x.log.2024"), ("\"*.log\"", "./x.log.3.gz")] {
        let yaml = format!(
            "services:\n  a: {{command: sleep 1, log_files: [{{path: {rotated}, rotate: {{max_size: 1M}}}}]}}\n  b: {{command: sleep 1, log_files: [{other}]}}\n"
        );
        let loaded = load(&yaml);
        let error = loaded.errors.first().unwrap_or_else(|| panic!("{other}: no error"));
        assert!(error.message.contains(other) && error.message.contains("is what rotation makes of"), "{error:?}");
        assert_eq!(error.source.as_ref().map(|at| at.line), Some(3), "{other}");
    }
    assert!(load("services: {web: {command: sleep 1, log_files: [x.log, x.log.1]}}").errors.is_empty());
    let loaded = load(
        "services: {web: {command: sleep 1, log_files: [{path: x.log, rotate: {keep: 3}}, {path: y.log, follow: false}]}}",
    );
    let notes: Vec<_> = loaded.notes.iter().map(|note| note.message.as_str()).collect();
    assert_eq!(notes, ["rotate: it has neither max_size nor max_age", "log_files: nothing is done with y.log"]);
}
