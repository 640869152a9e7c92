//! The list of projects, with the real binary: found on disk, told apart, moved, and addressed from anywhere.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::Value;

use crate::pty::terminal::Project;

fn put(root: &Path, name: &str, remote: Option<&str>) {
    fs::create_dir_all(root).unwrap();
    let text =
        format!("name: {name}\nservices:\n  web: {{command: [sh, -c, 'echo said; sleep 1000'], autostart: false}}\n");
    fs::write(root.join("cas.yaml"), text).unwrap();
    if let Some(remote) = remote {
        fs::create_dir_all(root.join(".git")).unwrap();
        fs::write(root.join(".git/config"), format!("[remote \"origin\"]\n\turl = {remote}\n")).unwrap();
    }
}

/// `cas` in a directory, with the state of `project`.
fn cas(project: &Project, directory: &Path, arguments: &[&str]) -> Output {
    project.command(arguments, &[]).current_dir(directory).output().unwrap()
}

fn json(project: &Project, directory: &Path, arguments: &[&str]) -> Value {
    let ran = cas(project, directory, arguments);
    serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

fn said(ran: &Output) -> String {
    String::from_utf8_lossy(&ran.stderr).into_owned()
}

fn names(list: &Value) -> Vec<String> {
    let names = list["projects"].as_array().unwrap().iter();
    names.map(|project| project["ref"].as_str().unwrap().to_owned()).collect()
}

/// A home of its own, and where projects are.
fn home() -> (Project, PathBuf) {
    let project = Project::yaml("  web: {command: [sleep, '1'], autostart: false}\n");
    let code = project.root().parent().unwrap().join("code");
    fs::create_dir(&code).unwrap();
    (project, code.canonicalize().unwrap())
}

#[test]
fn what_a_scan_finds_is_put_on_the_list_only_when_it_is_wanted() {
    let (project, code) = home();
    put(&code.join("work/shop"), "shop", Some("https://ann:hunter2@host/shop.git"));
    put(&code.join("old/shop"), "shop", None);
    put(&code.join("blog"), "blog", None);
    put(&code.join("blog/node_modules/other"), "other", None);
    fs::create_dir(code.join("broken")).unwrap();
    fs::write(code.join("broken/cas.yaml"), "services: 7\n").unwrap();

    let looked = json(&project, &code, &["projects", "scan", "--json"]);
    assert_eq!((&looked["added"], looked["projects"].as_array().unwrap().len()), (&Value::Bool(false), 4), "{looked}");
    assert!(names(&json(&project, &code, &["projects", "--json"])).is_empty());
    let plain = cas(&project, &code, &["projects", "scan"]);
    let shown = String::from_utf8_lossy(&plain.stdout).into_owned();
    assert!(shown.contains("shop@work/shop") && shown.contains("1 problem") && !shown.contains("other"), "{shown}");
    assert!(said(&plain).contains("--yes puts them on the list"), "{}", said(&plain));

    let added = json(&project, &code, &["projects", "scan", "--yes", "--json"]);
    assert_eq!(added["added"], true);
    let list = json(&project, &code, &["projects", "--json"]);
    assert_eq!(names(&list), ["blog", "shop@old/shop", "shop@work/shop"]);
    let shop = &list["projects"][2];
    assert_eq!((&shop["display"], &shop["remote"]), (&"shop (work/shop)".into(), &"https://host/shop.git".into()));
    assert_eq!(shop["last_opened"], Value::Null);
    assert!(!list.to_string().contains("hunter2"), "{list}");
    let again = json(&project, &code, &["projects", "scan", "--yes", "--json"]);
    assert_eq!(again["added"], false, "all are known: {again}");
    let refused = cas(&project, &code, &["--read-only", "projects", "scan", "--yes"]);
    assert_eq!(refused.status.code(), Some(5));
}

#[test]
fn each_of_two_of_a_name_is_addressed_from_anywhere() {
    let (project, code) = home();
    for place in ["work/shop", "old/shop"] {
        put(&code.join(place), "shop", None);
    }
    assert!(cas(&project, &code, &["projects", "add", "work/shop", "old/shop"]).status.success());
    let status = json(&project, Path::new("/"), &["-C", "shop@work/shop", "status", "--json"]);
    let file = code.join("work/shop/cas.yaml");
    assert_eq!(status["services"][0]["source"]["file"], file.to_str().unwrap(), "{status}");
    let both = cas(&project, Path::new("/"), &["-C", "shop", "status"]);
    assert_eq!(both.status.code(), Some(4), "{both:?}");
    assert!(said(&both).contains("shop@old/shop, shop@work/shop"), "{}", said(&both));
    let none = cas(&project, Path::new("/"), &["-C", "nosuch", "status"]);
    assert!(said(&none).contains("there is no directory /nosuch"), "{}", said(&none));

    let removed = json(&project, &code, &["projects", "remove", "shop@old/shop", "--json"]);
    assert_eq!(removed["removed"]["root"], code.join("old/shop").to_str().unwrap());
    assert_eq!(names(&json(&project, &code, &["projects", "--json"])), ["shop"], "alone, its name is enough");
    fs::remove_dir_all(code.join("work")).unwrap();
    let list = json(&project, &code, &["projects", "--json"]);
    assert_eq!(list["projects"][0]["exists"], false);
    let gone = cas(&project, Path::new("/"), &["-C", "shop", "status"]);
    assert!(said(&gone).contains("the directory of shop is gone"), "{}", said(&gone));
    assert!(cas(&project, &code, &["projects", "forget", "shop"]).status.success());
    assert!(names(&json(&project, &code, &["projects", "--json"])).is_empty());
}

#[test]
fn a_moved_project_keeps_its_record_its_output_and_what_is_known_of_its_services() {
    let (project, code) = home();
    let (old, new) = (code.join("shop"), code.join("moved/shop"));
    put(&old, "shop", Some("git@host:shop.git"));
    let up = cas(&project, &old, &["up", "--detach"]);
    assert!(up.status.success(), "{up:?}");
    crate::support::eventually("its line is stored", || {
        String::from_utf8_lossy(&cas(&project, &old, &["logs"]).stdout).contains("said")
    });
    assert!(cas(&project, &old, &["daemon", "stop", "--down"]).status.success());
    fs::create_dir(code.join("moved")).unwrap();
    fs::rename(&old, &new).unwrap();
    let gone = json(&project, &code, &["projects", "--json"]);
    assert_eq!(gone["projects"][0]["exists"], false, "{gone}");
    let scanned = json(&project, &code, &["projects", "scan", "--json"]);
    assert_eq!(scanned["projects"][0]["state"], "moved", "{scanned}");

    let up = cas(&project, &new, &["up", "--detach"]);
    assert!(up.status.success(), "{up:?}");
    crate::support::eventually("it is not doubled", || {
        names(&json(&project, &code, &["projects", "--json"])) == ["shop"]
    });
    let list = json(&project, &code, &["projects", "--json"]);
    assert_eq!(list["projects"][0]["root"], new.to_str().unwrap());
    assert_eq!(list["projects"][0]["moved_from"], old.to_str().unwrap());
    let places: Vec<_> = fs::read_dir(project.state_dir().join("projects")).unwrap().collect();
    assert_eq!(places.len(), 1, "its place has moved with it: {places:?}");
    crate::support::eventually("both runs are in its output", || {
        String::from_utf8_lossy(&cas(&project, &new, &["logs"]).stdout).matches("said").count() == 2
    });
    assert!(cas(&project, &new, &["daemon", "stop", "--down"]).status.success());
}

#[test]
fn a_real_listener_is_named_before_and_while_it_blocks_a_start() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let project = Project::yaml(&format!("  web: {{command: [sleep, '1000'], ports: [{port}]}}\n"));
    let held = format!("port {port} is held by ");
    let own = format!("pid {}, since ", std::process::id());
    let check = project.cas(&["check"], &[]);
    assert!(said(&check).contains(&held) && said(&check).contains(&own), "{}", said(&check));
    let up = project.cas(&["up", "--detach", "--timeout", "1s"], &[]);
    assert!(said(&up).contains(&format!("note: web: {held}")) && said(&up).contains(&own), "{}", said(&up));
    let dry = project.cas(&["start", "web", "--dry-run"], &[]);
    let status = project.cas(&["status"], &[]);
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("blocked") && status.contains(&own) && status.contains("UTC"), "{status}");
    let dry = String::from_utf8_lossy(&dry.stdout).into_owned() + &said(&dry);
    assert!(dry.contains(&format!("web: {held}")), "{dry}");
    drop(listener);
    crate::support::eventually("it starts when the port is free", || {
        String::from_utf8_lossy(&project.cas(&["status"], &[]).stdout).contains("running")
    });
    assert!(project.cas(&["daemon", "stop", "--down"], &[]).status.success());
}
