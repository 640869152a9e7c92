//! What a killed engine has told and what it has remembered, with the real binary: an end is told before it is remembered, and told once.

use std::{fs, mem::MaybeUninit, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::inotify::{self, CreateFlags, WatchFlags},
    process::{Pid, Signal, kill_process},
};

use crate::{
    daemon::{json, service},
    pty::terminal::Project,
    remembered::{end, journal, kill_daemon, running, sleeper, start_daemon},
    support::eventually,
};

/// Writes to the spool and to the journal, in their order.
struct Writes {
    inotify: OwnedFd,
}

impl Writes {
    fn watch(project: &Project) -> Self {
        // Another test takes all of this user for a while.
        let mut had = None;
        eventually("an instance of inotify can be had", || {
            had = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok();
            had.is_some()
        });
        let inotify = had.unwrap();
        let spool = project.environment()[0].1.join("spool");
        for directory in [spool.as_path(), journal(project).parent().unwrap()] {
            inotify::add_watch(&inotify, directory, WatchFlags::MODIFY).unwrap();
        }
        Self { inotify }
    }

    /// Names of the files that were written to.
    fn seen(&self) -> Vec<String> {
        let mut room = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.inotify, &mut room);
        let mut seen = Vec::new();
        while let Ok(event) = reader.next() {
            let name = event.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let name =
                if Path::new(&name).extension().is_some_and(|ending| ending == "jsonl") { "spool" } else { &name };
            seen.extend((name == "spool" || name == "journal").then(|| name.to_owned()));
        }
        seen
    }
}

/// Entries of the timeline that tell the end of a run of `web`.
fn ends(project: &Project) -> usize {
    let events = project.cas(&["events", "web", "--json"], &[]);
    let text = String::from_utf8_lossy(&events.stdout).into_owned();
    text.matches(r#""what":"exited""#).count() + text.matches(r#""what": "exited""#).count()
}

fn crashed(project: &Project) {
    eventually("its end is known", || service(project, "web")["phase"] == "failed");
    eventually("and told", || ends(project) == 1);
}

#[test]
fn row_1_an_end_is_told_before_it_is_remembered() {
    let project = Project::yaml(&sleeper("web", 1001, ", restart: 'no'"));
    project.cas(&["up", "--detach"], &[]);
    let web = running(&project, &["web"]);
    eventually("all of the start is written", || json(&project, &["status", "--json"])["engine"].is_object());
    let writes = Writes::watch(&project);
    eventually("nothing more is written", || writes.seen().is_empty());
    kill_process(web[0], Signal::KILL).unwrap();
    let mut seen = Vec::new();
    eventually("both are written", || {
        seen.extend(writes.seen());
        ["spool", "journal"].iter().all(|name| seen.iter().any(|one| one == name))
    });
    assert_eq!(seen[0], "spool", "an engine that was killed before the second would have lost what it knows: {seen:?}");
    crashed(&project);
    end(&project);
}

#[test]
fn row_1_an_end_that_a_killed_engine_told_and_did_not_remember_is_told_once() {
    let project = Project::yaml(&sleeper("web", 1001, ", restart: 'no'"));
    project.cas(&["up", "--detach"], &[]);
    let web = running(&project, &["web"]);
    let file = journal(&project);
    let before = fs::read(&file).unwrap();
    let kill = |pid: Pid| kill_process(pid, Signal::KILL).unwrap();
    kill(web[0]);
    crashed(&project);
    // The second time what was told is in the database, and in no spool any more.
    for _ in 0..2 {
        kill_daemon(&project);
        fs::write(&file, &before).unwrap();
        start_daemon(&project);
        crashed(&project);
        eventually("it is remembered", || fs::read(&file).unwrap().len() > before.len());
    }
    assert_eq!(ends(&project), 1);
    end(&project);
}
