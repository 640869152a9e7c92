//! Project files that are edited, with inotify and without.

use std::{fs, os::fd::OwnedFd};

use rustix::fs::inotify;

use super::{daemon, end, good, json};
use crate::{pty::terminal::Project, support::eventually};

const ONE: &str = "  web: {command: [sleep, '1000']}\n";

fn trouble(project: &Project) -> String {
    let view = json(project, &["daemon", "status", "--json"]);
    let checks = view["checks"].as_array().cloned().unwrap_or_default();
    let config = checks.into_iter().find(|check| check["name"] == "config").unwrap_or_default();
    config["detail"].as_str().unwrap_or_default().to_owned()
}

/// Instances of inotify that a process has.
fn instances(pid: rustix::process::Pid) -> usize {
    let links = fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())).unwrap().flatten();
    links.filter(|entry| fs::read_link(entry.path()).is_ok_and(|link| link.ends_with("anon_inode:inotify"))).count()
}

/// Takes what is left of them, as an editor with many windows does.
fn use_up() -> Vec<OwnedFd> {
    let mut taken = Vec::new();
    while let Ok(instance) = inotify::init(inotify::CreateFlags::CLOEXEC) {
        taken.push(instance);
    }
    taken
}

#[test]
fn an_edited_file_is_told_until_it_is_in_force_by_one_instance_for_all_or_by_looking() {
    // Both in one test: the instances belong to the user, and are taken from every test at once.
    let (first, second) = (Project::yaml(ONE), Project::yaml(ONE));
    good(&first, &["up", "--detach"]);
    let elsewhere = second.root();
    good(&first, &["open", elsewhere.to_str().unwrap()]);
    let pid = daemon(&first).unwrap();
    eventually("it watches", || instances(pid) == 1);
    assert_eq!(trouble(&first), "");
    first.write("cas.yaml", &first.yaml_of(&format!("{ONE}  more: {{command: [sleep, '1001']}}\n")));
    eventually("it is told", || trouble(&first).contains("is not in force yet: cas reload takes it in"));
    good(&first, &["reload"]);
    eventually("it is in force", || trouble(&first).is_empty());
    // Saved as editors do: another file takes its name.
    second.write("new", &second.yaml_of("  web: {comand: [sleep]}\n"));
    fs::rename(elsewhere.join("new"), elsewhere.join("cas.yaml")).unwrap();
    eventually("a mistake is told", || trouble(&first).contains("cannot be taken"));
    second.write("cas.yaml", &second.yaml_of(ONE));
    eventually("it is as it was", || trouble(&first).is_empty());
    assert_eq!(instances(pid), 1);
    end(&first);

    // Before it begins: it opens again what was under care, and watches that.
    let mut all = Vec::new();
    loop {
        all.extend(use_up());
        good(&first, &["daemon", "start"]);
        let pid = daemon(&first).unwrap();
        good(&first, &["up", "--detach"]);
        let mut is_told = false;
        eventually("it says which limit to raise, or has an instance", || {
            all.extend(use_up());
            let told = trouble(&first);
            is_told = told.contains("every 2 s") && told.contains("sysctl fs.inotify.max_user_instances=");
            is_told || instances(pid) > 0
        });
        if is_told && instances(pid) == 0 {
            break;
        }
        // Something else of this user gave one back at that moment, and the daemon took it.
        good(&first, &["daemon", "stop"]);
    }
    first.write("cas.yaml", &first.yaml_of(ONE));
    eventually("it is seen all the same", || {
        all.extend(use_up());
        trouble(&first).contains("is not in force yet")
    });
    good(&first, &["reload"]);
    drop(all);
    let pid = daemon(&first).unwrap();
    eventually("the kernel tells again", || trouble(&first).is_empty() && instances(pid) == 1);
    end(&first);
}
