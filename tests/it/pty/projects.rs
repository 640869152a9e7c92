//! Several projects in one console: opened by line and from their pane, started and stopped by full names.

use std::fs;

use super::terminal::{Project, Terminal};

/// A project beside the first, with one service that sleeps.
fn second(first: &Project, name: &str, service: &str) -> std::path::PathBuf {
    let root = first.root().parent().unwrap().join(name);
    fs::create_dir(&root).unwrap();
    let text = format!("name: {name}\nservices:\n  {service}: {{command: [sleep, '1000'], autostart: false}}\n");
    fs::write(root.join("cas.yaml"), text).unwrap();
    root
}

#[test]
fn a_second_project_is_opened_by_line_and_a_third_from_the_pane() {
    let project = Project::yaml("  web: {command: [sleep, '1000'], autostart: false}\n");
    let (blog, shop) = (format!("{}-blog", project.name), format!("{}-shop", project.name));
    let (blog_root, shop_root) = (second(&project, &blog, "api"), second(&project, &shop, "till"));
    let added = project.cas(&["projects", "add", shop_root.to_str().unwrap()], &[]);
    assert!(added.status.success(), "{added:?}");

    let mut console = Terminal::open(&project);
    console.eventually("it is shown", |s| s.is("web", "stopped"));
    console.type_keys(&format!(":open ../{blog}\r"));
    console.eventually("the second is there", |s| s.is("api", "stopped") && s.is("web", "stopped"));
    console.type_keys(&format!(":start {blog}/api\r"));
    console.eventually("it runs", |s| s.is("api", "running") && s.is("web", "stopped"));
    // Whoever asks in its directory is answered by this console's engine.
    let mut status = project.command(&["status", "--json"], &[]);
    let status = status.current_dir(&blog_root).output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["services"][0]["phase"], "running", "{status}");
    assert_eq!(status["services"].as_array().unwrap().len(), 1, "{status}");
    console.type_keys(&format!(":stop {blog}/api\r"));
    console.until_shows("are you sure?");
    console.type_keys("y");
    console.eventually("it is stopped", |s| s.is("api", "stopped"));

    console.type_keys("1/shop\r");
    console.until_shows(&format!("opened {shop}"));
    // The answer may come before the picture that has its services, and only with that are they selected.
    console.eventually("its services are there", |s| s.is("till", "stopped"));
    console.type_keys("s");
    console.eventually("its service runs", |s| s.is("till", "running"));
    let mut list = project.command(&["projects", "--json"], &[]);
    let list: serde_json::Value = serde_json::from_slice(&list.output().unwrap().stdout).unwrap();
    let open = list["projects"].as_array().unwrap().iter().filter(|project| project["open"] == true).count();
    assert_eq!(open, 3, "{list}");
    let running = list["projects"].as_array().unwrap().iter().find(|one| one["name"] == shop.as_str()).unwrap();
    assert_eq!(running["running"], 1, "{list}");

    console.type_keys("qs");
    assert_eq!(console.ends(), 0);
}

#[test]
fn a_project_that_another_console_runs_is_not_run_twice() {
    let project = Project::yaml("  web: {command: [sleep, '1000'], autostart: false}\n");
    let blog = format!("{}-blog", project.name);
    let root = second(&project, &blog, "api");
    let mut console = Terminal::open(&project);
    console.eventually("it is shown", |s| s.is("web", "stopped"));
    let mut other = project.command(&["up", "--no-tui"], &[]);
    let mut other = other
        .current_dir(&root)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    crate::support::eventually("the other runs it", || {
        let mut status = project.command(&["status", "--json"], &[]);
        let status = status.current_dir(&root).output().unwrap();
        serde_json::from_slice::<serde_json::Value>(&status.stdout)
            .is_ok_and(|status| status["services"][0]["phase"] == "running")
    });
    console.type_keys(&format!(":open ../{blog}\r"));
    console.until_shows("another cas");
    let pid = rustix::process::Pid::from_child(&other);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    other.wait().unwrap();
    console.type_keys("q");
    assert_eq!(console.ends(), 0);
}
