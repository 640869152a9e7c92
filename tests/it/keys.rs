//! The page of keys and the keymap are one.

use cas::tui::keymap::{DEFAULTS, Keymap};

#[test]
fn the_page_of_keys_lists_every_action_with_its_keys_and_help() {
    let page = std::fs::read_to_string("docs/keys.md").unwrap();
    let table: toml::Table = DEFAULTS.parse().unwrap();
    let mut rows = 0;
    for (section, actions) in &table {
        let heading = format!("(`{section}`)\n");
        assert!(page.contains(&heading), "docs/keys.md: no section {section}");
        let part = page.split(&heading).nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
        for (action, entry) in actions.as_table().unwrap() {
            let keys: Vec<String> =
                entry["keys"].as_array().unwrap().iter().map(|key| format!("`{}`", key.as_str().unwrap())).collect();
            let row = format!("| `{action}` | {} | {} |\n", keys.join(" "), entry["help"].as_str().unwrap());
            assert!(format!("{part}\n").contains(&row), "docs/keys.md: {section} should have the row\n{row}");
            rows += 1;
        }
    }
    assert_eq!(rows, page.lines().filter(|line| line.starts_with("| `")).count(), "the page has rows of its own");
    assert_eq!(rows, Keymap::default().bindings().len());
}

#[test]
fn the_example_of_the_page_of_keys_is_sound() {
    let page = std::fs::read_to_string("docs/keys.md").unwrap();
    let example = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.yaml");
    std::fs::write(&file, example).unwrap();
    let user = cas::config::user::load(&file);
    assert_eq!(user.errors, []);
    assert_eq!(user.config.keys.len(), 4);
    let keymap = Keymap::with_user_keys(&user.config.keys, "config.yaml").unwrap();
    assert_ne!(keymap, Keymap::default());
}
