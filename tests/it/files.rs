//! Files of services that change, on a real disk.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use cas::{
    model::{
        event::Change,
        ids::{ProjectName, ServiceId, ServiceName},
        occasion::{OnChange, Watch},
        time::Timestamp,
    },
    world::clock,
    world::files::{FilesWatch, News, Watched},
};

use crate::{api::stage::Stage, support::eventually};

/// A service `shop/web` whose files are watched.
struct Seen {
    place: tempfile::TempDir,
    news: mpsc::Receiver<News>,
    watch: FilesWatch,
}

fn watched(root: &Path, paths: &[&str]) -> Watched {
    let service = ServiceId { project: ProjectName::new("shop").unwrap(), service: ServiceName::new("web").unwrap() };
    let watch = Watch {
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        ignore: vec!["*.md".to_owned()],
        debounce: Duration::from_millis(50),
        action: OnChange::Restart,
    };
    Watched { service, root: root.to_owned(), watch }
}

impl Seen {
    /// Watches `paths` of a directory in which these files are; it is sure that it does.
    fn new(paths: &[&str], files: &[&str]) -> Self {
        let place = tempfile::tempdir().unwrap();
        for file in files {
            write(&place.path().join(file));
        }
        let (sender, news) = mpsc::channel();
        let watch = FilesWatch::start(move |told| drop(sender.send(told))).unwrap();
        watch.watch(vec![watched(&place.path().canonicalize().unwrap(), paths)]);
        let seen = Self { place, news, watch };
        seen.begins(paths[0]);
        seen
    }

    fn path(&self, file: &str) -> PathBuf {
        self.place.path().join(file)
    }

    /// Writes a file until somebody notices, and takes all that is told of it.
    fn begins(&self, below: &str) {
        let probe = self.path(below).join("begun.txt");
        eventually("it is watched", || {
            write(&probe);
            // Another test may have taken all that the kernel had to give, for a while.
            matches!(self.news.recv_timeout(Duration::from_millis(200)), Ok(News::Changed(..)))
        });
        while self.news.recv_timeout(Duration::from_millis(300)).is_ok() {}
    }

    #[track_caller]
    fn told(&self) -> Change {
        loop {
            if let News::Changed(_, change) = self.news.recv_timeout(Duration::from_mins(1)).expect("something is told")
            {
                return change;
            }
        }
    }

    /// Nothing but `file` is told, which is written now.
    #[track_caller]
    fn is_next(&self, file: &str) {
        write(&self.path(file));
        let change = self.told();
        assert_eq!((change.first.as_str(), change.more), (file, 0));
    }
}

/// Writes a file from time to time: whoever watches it may not have begun, and a burst has to end.
fn nudge(file: &Path, last: &mut Option<Timestamp>) {
    let now = clock::now();
    if last.is_none_or(|last| now.since(last) > Duration::from_millis(500)) {
        *last = Some(now);
        write(file);
    }
}

fn write(file: &Path) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, "changed").unwrap();
}

#[test]
fn a_burst_of_changes_is_told_once_with_the_first_file_and_how_many() {
    let seen = Seen::new(&["src"], &["src/a.py"]);
    for file in ["src/a.py", "src/b.py", "src/a.py", "src/c.py"] {
        write(&seen.path(file));
    }
    let mut change = seen.told();
    // On a machine that is busy a burst may be cut in two.
    while change.more < 2 {
        change = change.and(&seen.told());
    }
    assert_eq!((change.first.as_str(), change.more), ("src/a.py", 2));
    assert_eq!(change.words(), "src/a.py and 2 more files changed");
}

#[test]
fn what_does_not_count_is_not_told() {
    let seen = Seen::new(&["."], &["src/a.py", ".gitignore"]);
    fs::write(seen.path(".gitignore"), "*.log\n/dist/\n").unwrap();
    while seen.told().first != ".gitignore" {}
    for file in
        ["a.log", "dist/app.js", "node_modules/x/y.js", "target/debug/app", ".git/index", "src/.a.py.swp", "notes.md"]
    {
        write(&seen.path(file));
    }
    seen.is_next("src/a.py");
}

#[test]
fn a_file_that_is_saved_by_renaming_moved_or_removed_has_changed() {
    let seen = Seen::new(&["src"], &["src/a.py"]);
    write(&seen.path("src/.a.py.tmp"));
    fs::rename(seen.path("src/.a.py.tmp"), seen.path("src/a.py")).unwrap();
    assert_eq!(seen.told().first, "src/a.py");
    fs::remove_file(seen.path("src/a.py")).unwrap();
    assert_eq!(seen.told().first, "src/a.py");
}

#[test]
fn directories_that_are_made_later_are_watched_and_those_that_go_are_forgotten() {
    let seen = Seen::new(&["src"], &["src/a.py"]);
    write(&seen.path("src/new/deep/b.py"));
    assert_eq!(seen.told().first, "src/new/deep/b.py");
    seen.is_next("src/new/deep/c.py");
    // With its files from elsewhere, as version control does it.
    write(&seen.path("aside/d.py"));
    fs::rename(seen.path("aside"), seen.path("src/moved")).unwrap();
    assert_eq!(seen.told().first, "src/moved/d.py");
    fs::rename(seen.path("src/moved"), seen.path("aside")).unwrap();
    write(&seen.path("aside/e.py"));
    fs::remove_dir_all(seen.path("src/new")).unwrap();
    let gone = seen.told();
    assert!(gone.first.starts_with("src/new/deep/"), "{gone:?}");
    seen.is_next("src/a.py");
}

#[test]
fn symbolic_links_are_not_followed() {
    let seen = Seen::new(&["src"], &["src/a.py", "elsewhere/b.py"]);
    std::os::unix::fs::symlink(seen.path("src"), seen.path("src/loop")).unwrap();
    std::os::unix::fs::symlink(seen.path("elsewhere"), seen.path("src/out")).unwrap();
    let mut made = seen.told();
    while made.more < 1 {
        made = made.and(&seen.told());
    }
    assert_eq!(made.first, "src/loop");
    write(&seen.path("elsewhere/b.py"));
    seen.is_next("src/a.py");
}

#[test]
fn who_is_no_longer_watched_is_not_told_of() {
    let seen = Seen::new(&["src"], &["src/a.py"]);
    seen.watch.watch(Vec::new());
    // Told of as soon as it is watched again, and only then.
    write(&seen.path("src/a.py"));
    let root = seen.place.path().canonicalize().unwrap();
    seen.watch.watch(vec![watched(&root, &["lib"])]);
    seen.begins("lib");
    write(&seen.path("src/a.py"));
    seen.is_next("lib/b.py");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_service_is_restarted_for_its_files() {
    let stage =
        Stage::with("  web: {command: [sleep, '1000'], autostart: true, watch: {paths: [src], debounce: 50ms}}\n");
    let web = || stage.host.handle.snapshot().services[0].clone();
    eventually("it runs", || web().pid.is_some());
    let first = web().pid;
    let file = stage.home.path().join("src/app.py");
    let mut last = None;
    eventually("it is restarted", || {
        nudge(&file, &mut last);
        web().why.contains("src/app.py") && web().pid.is_some_and(|pid| Some(pid) != first)
    });
    let story: Vec<String> = stage.host.handle.snapshot().timeline.iter().map(|entry| entry.why.clone()).collect();
    assert!(story.iter().any(|why| why.starts_with("stopped because src/app.py")), "{story:?}");
    stage.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_beside_a_real_service_where_it_runs() {
    let stage = Stage::with(
        "  web: {command: [sleep, '1000'], autostart: true, environment: {WORD: made}, watch: {paths: [src], debounce: 50ms, action: {run: 'echo $$WORD > made.txt'}}}\n",
    );
    let web = || stage.host.handle.snapshot().services[0].clone();
    eventually("it runs", || web().pid.is_some());
    let before = web().pid;
    let (file, mut last) = (stage.home.path().join("src/app.py"), None);
    eventually("the command has run", || {
        nudge(&file, &mut last);
        fs::read_to_string(stage.home.path().join("made.txt")).is_ok_and(|text| text == "made\n")
    });
    assert_eq!(web().pid, before);
    stage.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_clock_starts_a_task_again_and_again() {
    let stage = Stage::with("  tick: {shell: 'echo tick >> ticks.txt', schedule: every 1s}\n");
    let tick = || stage.host.handle.snapshot().services[0].clone();
    eventually("it has ticked twice", || {
        fs::read_to_string(stage.home.path().join("ticks.txt")).is_ok_and(|text| text.lines().count() >= 2)
    });
    let view = tick();
    assert!(view.occasions.next_at.is_some() && view.restarts == 0, "{view:?}");
    stage.leave().await;
}
