//! Where things are: the project file, the directories of cas, the user's file.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use cas::{
    config::{self, FileKind, paths::Paths, user},
    model::policy::Autopilot,
};

use super::Project;

#[test]
fn the_nearest_cas_yaml_up_to_the_repository_s_root_is_found() {
    let project = Project::new();
    let deep = project.root().join("api/deep");
    fs::create_dir_all(&deep).unwrap();
    let missing = config::find(&deep).unwrap_err();
    assert_eq!(missing.looked_in, std::slice::from_ref(&deep));
    let said = missing.to_string();
    assert!(said.contains("cas init") && said.contains("cas demo") && said.contains(&deep.display().to_string()));

    let project = project.file("Procfile", "web: x");
    assert!(config::find(&deep).is_err(), "without a repository the parents are not searched");
    fs::create_dir(project.root().join(".git")).unwrap();
    assert_eq!(config::find(&deep).unwrap().kind, FileKind::Procfile);
    let project = project.file("api/Procfile.dev", "web: x");
    assert_eq!(config::find(&deep).unwrap().file, project.root().join("api/Procfile.dev"));
    let project = project.file("cas.yml", "services:");
    let found = config::find(&deep).unwrap();
    assert_eq!((found.file, found.kind), (project.root().join("cas.yml"), FileKind::CasYaml));
    let project = project.file("cas.yaml", "services:");
    assert_eq!(config::find(&deep).unwrap().file, project.root().join("cas.yaml"));
}

fn paths(root: &std::path::Path) -> Paths {
    let root = root.to_owned();
    Paths::from_lookup(move |name| match name {
        "CAS_STATE_DIR" => Some(root.join("state")),
        "CAS_RUNTIME_DIR" => Some(root.join("run")),
        "CAS_CONFIG_DIR" => Some(root.join("config")),
        _ => None,
    })
}

#[test]
fn directories_are_made_for_the_user_alone() {
    let dir = tempfile::tempdir().unwrap();
    let paths = paths(dir.path());
    paths.ensure().unwrap();
    for made in [&paths.state, &paths.runtime, &paths.cache] {
        assert_eq!(fs::metadata(made).unwrap().permissions().mode() & 0o777, 0o700, "{}", made.display());
    }
    assert!(!paths.config.exists(), "the user's own directory is the user's to make");
    assert!(paths.database().starts_with(&paths.state) && paths.trace().starts_with(&paths.state));
    assert!(paths.user_config().starts_with(&paths.config) && paths.themes().starts_with(&paths.config));
}

#[test]
fn a_directory_that_others_can_write_is_refused_in_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let paths = paths(dir.path());
    fs::create_dir(&paths.runtime).unwrap();
    fs::set_permissions(&paths.runtime, fs::Permissions::from_mode(0o777)).unwrap();
    let said = paths.ensure().unwrap_err().to_string();
    assert!(said.contains("others can write") && said.contains("chmod go-w"), "{said}");
}

#[test]
fn a_runtime_directory_that_others_can_enter_or_that_is_a_link_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let paths = paths(dir.path());
    paths.ensure().unwrap();
    for (mode, refused) in [(0o755, true), (0o750, true), (0o701, true), (0o710, false), (0o700, false)] {
        fs::set_permissions(&paths.runtime, fs::Permissions::from_mode(mode)).unwrap();
        let said = paths.ensure().map_err(|error| error.to_string());
        assert_eq!(said.is_err(), refused, "{mode:o}: {said:?}");
        if let Err(said) = said {
            assert!(said.contains("chmod 700") && said.contains(&paths.runtime.display().to_string()), "{said}");
        }
    }
    fs::remove_dir(&paths.runtime).unwrap();
    let elsewhere = dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &paths.runtime).unwrap();
    let said = paths.ensure().unwrap_err().to_string();
    assert!(said.contains("symbolic link") && said.contains(&paths.runtime.display().to_string()), "{said}");
    let said = paths.ensure_for_socket(&paths.daemon_socket()).unwrap_err().to_string();
    assert!(said.contains("symbolic link"), "{said}");
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let paths = paths(dir.path());
    fs::write(&paths.state, "").unwrap();
    let said = paths.ensure().unwrap_err().to_string();
    assert!(said.contains(&paths.state.display().to_string()) && said.contains("CAS_STATE_DIR"), "{said}");
}

#[test]
fn a_socket_s_path_is_stable_distinct_and_short() {
    let dir = tempfile::tempdir().unwrap();
    let short = paths(dir.path());
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    fs::create_dir_all(&one).unwrap();
    std::os::unix::fs::symlink(&one, dir.path().join("link")).unwrap();
    assert_eq!(short.socket(&one), short.socket(&one.join("../one")));
    assert_eq!(short.socket(&one), short.socket(&dir.path().join("link")));
    assert_ne!(short.socket(&one), short.socket(&two));
    assert!(short.socket(&one).starts_with(&short.runtime));

    let long = Paths { runtime: PathBuf::from("/tmp").join("x".repeat(120)), ..short };
    assert!(long.socket(&one).as_os_str().len() < 100);
}

#[test]
fn the_environment_without_overrides_gives_absolute_directories() {
    let paths = Paths::from_lookup(|_| None);
    for path in [&paths.state, &paths.runtime, &paths.config, &paths.cache] {
        assert!(path.is_absolute(), "{}", path.display());
    }
}

#[test]
fn an_absent_user_file_is_all_defaults() {
    let loaded = user::load(&Project::new().root().join("config.yaml"));
    assert_eq!(loaded, user::LoadedUser::default());
    assert!(loaded.config.mouse);
}

#[test]
fn the_user_file_sets_theme_keys_mouse_and_autopilot() {
    let project = Project::new().file(
        "config.yaml",
        "theme: nord\nmouse: off\nautopilot: off\nkeys:\n  quit: q\n  restart: [r, ctrl-r]\n  help: '?'\n  kill:\n",
    );
    let loaded = user::load(&project.root().join("config.yaml"));
    assert!(loaded.errors.is_empty(), "{:?}", loaded.errors);
    let config = loaded.config;
    assert_eq!((config.theme.as_deref(), config.mouse, config.autopilot), (Some("nord"), false, Autopilot::Off));
    assert_eq!(config.keys["restart"], ["r", "ctrl-r"]);
    assert_eq!(config.keys["quit"], ["q"]);
    assert!(config.keys["kill"].is_empty());
    assert_eq!(config.sources["keys.quit"].line, 5);
    assert_eq!(config.sources["theme"].column, 8);
}

#[test]
fn mistakes_in_the_user_file_are_explained_and_the_rest_holds() {
    let project =
        Project::new().file("config.yaml", "theem: nord\nmouse: perhaps\nautopilot: of\nkeys: [q]\ntheme: $HOME\n");
    let loaded = user::load(&project.root().join("config.yaml"));
    let said = super::shortened(&config::render(&loaded.errors, false), &project.root());
    assert_eq!(
        said,
        "\
error: theem: not a key of the user file (config.yaml:1:1)
    1 | theem: nord
      | ^
hint: did you mean \"theme\"? one of: theme, keys, mouse, auto_heal, autopilot, detach_key, alert_level, retry_strategy, max_restarts, auto_reload, learning_mode, log_formats, mask, api, alerts
error: mouse: \"perhaps\" is not true or false (config.yaml:2:8)
    2 | mouse: perhaps
      |        ^
hint: write true or false
error: autopilot: \"of\" is not a mode of the autopilot (config.yaml:3:12)
    3 | autopilot: of
      |            ^
hint: did you mean \"off\"? one of: on, off
error: keys: found a list, not a map (config.yaml:4:7)
    4 | keys: [q]
      |       ^
hint: write action: key, or action: [key, key]
"
    );
    assert_eq!(loaded.config.theme.as_deref(), Some("$HOME"));
}

#[test]
fn the_user_file_names_who_else_may_read_and_how_to_leave_a_terminal() {
    let project = Project::new()
        .file("config.yaml", "detach_key: ctrl-]\napi: {group: wheel}\n")
        .file("other.yaml", "detach_key: Ctrl-Q\n")
        .file("none.yaml", "detach_key: esc\n")
        .file("slips.yaml", "detach_key: ctrl-a\napi: {grup: wheel}\n")
        .file("empty.yaml", "api: {group: ''}\n");
    let loaded = user::load(&project.root().join("config.yaml"));
    assert!(loaded.errors.is_empty() && loaded.notes.is_empty(), "{loaded:?}");
    assert_eq!(loaded.config.detach_key, user::DetachKey::default());
    assert_eq!(loaded.config.api_group.as_deref(), Some("wheel"));
    assert_eq!((loaded.config.sources["api.group"].line, loaded.config.sources["detach_key"].line), (2, 1));
    let other = user::load(&project.root().join("other.yaml")).config.detach_key;
    assert_eq!((other.byte(), other.to_string()), (0x11, "Ctrl-Q".to_owned()));
    let none = user::load(&project.root().join("none.yaml"));
    assert_eq!(none.errors[0].message, "detach_key: \"esc\" is not a key that leaves a terminal");
    let slips = user::load(&project.root().join("slips.yaml"));
    assert_eq!(slips.errors[0].message, "grup: not a key of api");
    assert!(slips.notes[0].message.contains("screen or tmux"));
    assert_eq!(slips.config.api_group, None);
    let empty = user::load(&project.root().join("empty.yaml"));
    assert!(empty.config.api_group.is_none() && empty.errors.len() == 1);
}
