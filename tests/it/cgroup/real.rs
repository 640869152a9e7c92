//! Real processes in real cgroups: in all hierarchies of this machine, and in those of one version alone, as other machines have them.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use cas::{
    model::{
        ids::ServiceName,
        phase::Exit,
        service::{Containment, Limits},
    },
    world::cgroup::{Cage, Cgroups, DEFAULT_PIDS, Hierarchy, Version, was_oom},
};

use crate::support::eventually;

fn hierarchies() -> Vec<Hierarchy> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    Hierarchy::parse(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"))
}

/// This machine as it is, and as if it had one version only. Empty where no cgroup can be made; that this is said is asserted.
fn machines() -> Vec<(&'static str, Cgroups)> {
    let only = |version| Cgroups::among(hierarchies().into_iter().filter(|one| one.version == version).collect());
    let all = [("all", Cgroups::discover()), ("v1", only(Version::V1)), ("v2", only(Version::V2))];
    all.into_iter().filter(|(_, cgroups)| can_hold(cgroups)).collect()
}

/// Whether cages can be made; where not, the answer must be an honest one.
fn can_hold(cgroups: &Cgroups) -> bool {
    match cgroups.containment() {
        Containment::Cgroup => {
            assert_eq!(cgroups.note(), None);
            true
        }
        Containment::ProcessGroup => {
            let note = cgroups.note().unwrap();
            assert!(note.contains("process group") && note.contains("limits are not enforced"), "{note}");
            let all = Limits { cpus: Some(1.0), memory_bytes: Some(1 << 30), pids: Some(10) };
            let reason = note.split(", so ").next().unwrap();
            assert!(cgroups.unenforced(&all).unwrap().contains(reason), "{note}");
            assert!(cgroups.prepare("none-0", &name("web"), &all).unwrap().is_none());
            false
        }
    }
}

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

/// A cage with a main process in it, if any. Kills, waits and removes when dropped, and fails if anything is left.
struct Held {
    cage: Cage,
    place: String,
    main: Option<Child>,
}

impl Held {
    fn new(cgroups: &Cgroups, limits: &Limits) -> Self {
        let place = format!("castest-{}-{:016x}", std::process::id(), fastrand::u64(..));
        let cage = cgroups.prepare(&place, &name("tasks"), limits).unwrap().unwrap();
        Self { cage, place, main: None }
    }

    fn run(&mut self, program: &[&str]) {
        let mut command = Command::new("sh");
        let join =
            "n=$1; shift; while [ $n -gt 0 ]; do echo 0 >\"$1\" || exit 99; shift; n=$((n-1)); done; exec \"$@\"";
        let files = self.cage.procs_files();
        command.arg("-c").arg(join).arg("sh").arg(files.len().to_string()).args(&files).args(program);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.main = Some(child);
    }

    fn python(&mut self, script: &str) {
        self.run(&["python3", "-c", script]);
    }

    fn pid(&self) -> u32 {
        self.main.as_ref().unwrap().id()
    }

    fn exit(&mut self) -> Exit {
        let status = self.main.take().unwrap().wait().unwrap();
        status.code().map_or_else(|| Exit::Signal(status.signal().unwrap()), Exit::Code)
    }

    fn dirs(&self) -> Vec<PathBuf> {
        self.cage.procs_files().iter().map(|file| file.parent().unwrap().to_owned()).collect()
    }

    /// The text of a file in whichever hierarchy has it.
    fn told(&self, file: &str) -> Option<String> {
        self.dirs().iter().find_map(|dir| fs::read_to_string(dir.join(file)).ok())
    }

    /// Kills once, and waits until nothing is left.
    fn end(&mut self) {
        self.cage.kill().unwrap();
        if let Some(mut main) = self.main.take() {
            main.wait().unwrap();
        }
        eventually("nothing is left in the cage", || self.cage.members().is_empty());
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let dirs = self.dirs();
        let _already = self.cage.kill();
        if let Some(mut main) = self.main.take() {
            let _waited = main.wait();
        }
        eventually("every directory is removed", || {
            self.cage.remove();
            dirs.iter().all(|dir| !dir.exists() && !dir.parent().unwrap().exists())
        });
    }
}

#[test]
fn what_this_machine_allows_is_said() {
    let cgroups = Cgroups::discover();
    if can_hold(&cgroups) {
        let held = Held::new(&cgroups, &Limits::default());
        assert!(held.dirs().iter().all(|dir| dir.is_dir() && dir.ends_with(format!("cas/{}/tasks.svc", held.place))));
        assert!(held.cage.members().is_empty());
        assert_eq!(cgroups.unenforced(&Limits::default()), None);
    }
    let nothing = Cgroups::among(Vec::new());
    assert!(!can_hold(&nothing));
    assert!(nothing.note().unwrap().contains("no cgroup file system"));
}

#[test]
fn a_directory_that_cannot_be_written_is_named_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let lost = Hierarchy {
        version: Version::V2,
        controllers: Vec::new(),
        mount: dir.path().join("file"),
        root: PathBuf::from("/"),
        own: PathBuf::from("/"),
    };
    let cgroups = Cgroups::among(vec![lost.clone()]);
    assert!(!can_hold(&cgroups));
    assert!(cgroups.note().unwrap().contains(&dir.path().display().to_string()));
    // A directory in which files can be made, and which is no cgroup: nothing can join.
    let plain = Hierarchy { mount: dir.path().join("plain"), ..lost };
    fs::create_dir(&plain.mount).unwrap();
    let cgroups = Cgroups::among(vec![plain.clone()]);
    assert!(!can_hold(&cgroups), "a plain directory is no cgroup");
    assert_eq!(fs::read_dir(&plain.mount).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn a_place_that_is_no_name_reaches_no_path() {
    for (_, cgroups) in machines() {
        for place in ["..", "../../x-1", "/etc-1", "tasks", "a\nb-1"] {
            assert!(cgroups.prepare(place, &name("web"), &Limits::default()).is_err(), "{place:?}");
        }
    }
}

#[test]
fn a_service_over_its_memory_limit_is_killed_and_recognised() {
    let limits = Limits { memory_bytes: Some(32 << 20), ..Limits::default() };
    for (machine, cgroups) in machines() {
        if let Some(why) = cgroups.unenforced(&limits) {
            assert!(why.starts_with("its memory limit does not hold: "), "{machine}: {why}");
            continue;
        }
        let mut held = Held::new(&cgroups, &limits);
        assert_eq!(held.cage.memory_limit(), Some(32 << 20), "{machine}");
        let before = held.cage.oom_kills();
        held.python("b = bytearray(200 << 20)\nfor i in range(0, len(b), 4096): b[i] = 1\nprint('kept')");
        let exit = held.exit();
        let usage = held.cage.usage().unwrap();
        assert_eq!(exit, Exit::Signal(9), "{machine}: {usage:?}");
        let what = was_oom(before, usage.oom_kills, usage.memory_limit, &exit);
        assert_eq!(
            what,
            Some(Exit::OutOfMemory { limit_bytes: Some(32 << 20), peak_bytes: None }),
            "{machine}: {usage:?}"
        );
        assert!(usage.memory_peak.is_none_or(|peak| peak > 16 << 20), "{machine}: {usage:?}");
        assert_eq!(was_oom(usage.oom_kills, held.cage.oom_kills(), None, &exit), None, "the next run begins anew");
    }
}

#[test]
fn row_28_the_peak_that_is_told_is_that_of_the_run_and_not_of_an_earlier_one() {
    let limits = Limits { memory_bytes: Some(96 << 20), ..Limits::default() };
    for (machine, cgroups) in machines() {
        if cgroups.unenforced(&limits).is_some() {
            continue;
        }
        let mut held = Held::new(&cgroups, &limits);
        for _ in 0..2 {
            let mark = held.cage.mark_memory();
            held.python("b = bytearray(400 << 20)\nfor i in range(0, len(b), 4096): b[i] = 1");
            let exit = held.exit();
            let told = held.cage.oom_of(&mark, &exit).unwrap();
            let Exit::OutOfMemory { limit_bytes: Some(limit), peak_bytes: Some(peak) } = told else {
                panic!("{machine}: {told:?}")
            };
            assert_eq!(limit, 96 << 20, "{machine}");
            assert!((80 << 20..=96 << 20).contains(&peak), "{machine}: {peak}");
        }
        // A run that is killed for less by somebody else's limit: here by hand, as if the killer had come.
        let mark = held.cage.mark_memory();
        held.python("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)");
        let exit = held.exit();
        assert_eq!(held.cage.oom_of(&mark, &exit), None, "{machine}: {exit}");
    }
}

#[test]
fn a_fork_bomb_stays_within_its_limit_and_ends_at_once() {
    let limits = Limits { pids: Some(50), ..Limits::default() };
    for (machine, cgroups) in machines() {
        let bomb = "import os, time\nfor _ in range(300):\n try:\n  if os.fork() == 0:\n   while True: time.sleep(600)\n except OSError:\n  pass\nwhile True: time.sleep(600)";
        let mut held = Held::new(&cgroups, &limits);
        held.python(bomb);
        if let Some(why) = cgroups.unenforced(&limits) {
            assert!(why.starts_with("its pids limit ") && why.contains("not handed down"), "{machine}: {why}");
            eventually("all of them are there", || held.cage.members().len() == 301);
        } else {
            eventually("the limit is reached", || held.cage.usage().unwrap().pids == 50);
            assert_eq!(held.told("pids.max").unwrap().trim(), "50");
            assert!(held.cage.members().len() <= 50, "{machine}");
        }
        held.end();
    }
}

#[test]
fn a_bomb_that_goes_on_forking_is_ended_while_it_does() {
    for (machine, cgroups) in machines() {
        let limits = Limits { pids: Some(200), ..Limits::default() };
        if cgroups.unenforced(&limits).is_some() {
            // Without a limit this would be a bomb under the machine that runs the test.
            continue;
        }
        let mut held = Held::new(&cgroups, &limits);
        held.python("import os\nwhile True:\n try: os.fork()\n except OSError: pass");
        eventually(machine, || held.cage.usage().unwrap().pids > 150);
        held.end();
    }
}

#[test]
fn without_a_limit_of_its_own_a_service_still_cannot_take_every_process_number() {
    for (_, cgroups) in machines() {
        let held = Held::new(&cgroups, &Limits::default());
        if let Some(text) = held.told("pids.max") {
            assert_eq!(text.trim(), DEFAULT_PIDS.to_string());
        }
    }
}

#[test]
fn sixty_sessions_that_ignore_everything_are_gone_after_one_kill() {
    for (machine, cgroups) in machines() {
        // A duration that nobody else sleeps for.
        let nap = format!("7{:05}.{}", std::process::id(), machine.len() + usize::from(machine == "v2"));
        let script = format!(
            "import os, signal\nfor _ in range(60):\n if os.fork() == 0:\n  os.setsid()\n  if os.fork(): os._exit(0)\n  for s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)\n  os.execvp('sleep', ['sleep', '{nap}'])\nfor _ in range(60): os.wait()\nos.kill(os.getpid(), signal.SIGSTOP)"
        );
        let mut held = Held::new(&cgroups, &Limits::default());
        held.python(&script);
        eventually("the tree has grown", || sleepers(&nap) == 60);
        assert!(held.cage.members().len() >= 60, "{machine}");
        held.end();
        assert_eq!(sleepers(&nap), 0, "{machine}");
    }
}

fn sleepers(nap: &str) -> usize {
    let found = Command::new("pgrep").args(["-c", "-f", &format!("^sleep {nap}$")]).output().unwrap();
    String::from_utf8(found.stdout).unwrap().trim().parse().unwrap()
}

#[test]
fn a_share_of_a_core_is_all_that_a_service_gets() {
    let limits = Limits { cpus: Some(0.2), ..Limits::default() };
    for (machine, cgroups) in machines() {
        if let Some(why) = cgroups.unenforced(&limits) {
            assert!(why.starts_with("its cpus limit does not hold: "), "{machine}: {why}");
            continue;
        }
        let mut held = Held::new(&cgroups, &limits);
        held.run(&["sh", "-c", "while :; do :; done"]);
        let throttled = |held: &Held| {
            let texts = held.dirs().into_iter().filter_map(|dir| fs::read_to_string(dir.join("cpu.stat")).ok());
            texts
                .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
                .any(|line| line.strip_prefix("nr_throttled ").is_some_and(|count| count.parse::<u64>().unwrap() > 3))
        };
        eventually("the kernel holds it back", || throttled(&held));
        held.end();
        // A limit that was taken out of the file does not stay.
        let again = cgroups.prepare(&held.place, &name("tasks"), &Limits::default()).unwrap().unwrap();
        if again.procs_files().len() == held.cage.procs_files().len() {
            let quota = held.told("cpu.max").or_else(|| held.told("cpu.cfs_quota_us")).unwrap();
            assert!(quota.starts_with("max") || quota.starts_with("-1"), "{machine}: {quota}");
        }
    }
}

#[test]
fn what_is_frozen_or_stopped_is_killed_too() {
    for (machine, cgroups) in machines() {
        let mut held = Held::new(&cgroups, &Limits::default());
        held.run(&["sh", "-c", "sleep 600 & sleep 600 & kill -STOP $$"]);
        eventually("all are there", || held.cage.members().len() == 3);
        let freezer = [("cgroup.freeze", "1"), ("freezer.state", "FROZEN")];
        let files =
            freezer.iter().flat_map(|(file, value)| held.dirs().into_iter().map(move |dir| (dir.join(file), value)));
        let frozen =
            files.filter(|(file, _)| file.exists()).map(|(file, value)| fs::write(file, value).unwrap()).count();
        assert!(frozen > 0 || machine == "v1", "{machine}: nothing can freeze here");
        held.end();
    }
}

#[test]
fn cgroups_that_a_service_made_within_its_own_are_killed_counted_and_removed_with_it() {
    for (machine, cgroups) in machines() {
        let mut held = Held::new(&cgroups, &Limits::default());
        let inner = held.cage.dir().join("inner/most");
        fs::create_dir_all(&inner).unwrap();
        held.run(&["sleep", "600"]);
        eventually("it is in", || held.cage.members() == [held.pid()]);
        fs::write(inner.join("cgroup.procs"), held.pid().to_string()).unwrap();
        assert_eq!(held.cage.members(), [held.pid()], "{machine}");
        held.cage.remove();
        assert!(inner.exists(), "a cgroup in use stays");
        held.end();
    }
}

#[test]
fn the_next_engine_finds_the_cage_and_who_is_in_it() {
    for (machine, cgroups) in machines() {
        let mut held = Held::new(&cgroups, &Limits { pids: Some(20), ..Limits::default() });
        held.run(&["sleep", "600"]);
        eventually("it is in", || held.cage.members() == [held.pid()]);
        let next = Cgroups::among(hierarchies());
        let found = next.holding(&held.place, &name("tasks"), held.pid()).unwrap();
        assert_eq!(found.members(), [held.pid()], "{machine}");
        assert!(next.holding(&held.place, &name("other"), held.pid()).is_none());
        assert!(next.holding(&held.place, &name("tasks"), std::process::id()).is_none());
        if let Some(text) = held.told("pids.max") {
            assert_eq!(text.trim(), "20", "looking changes no limit");
        }
        let again = cgroups.prepare(&held.place, &name("tasks"), &Limits::default()).unwrap().unwrap();
        assert_eq!(again.dir(), held.cage.dir());
        assert_eq!(again.members(), [held.pid()], "who is in stays in");
        again.kill().unwrap();
        held.end();
    }
}

#[test]
fn time_counts_exactly_also_of_what_has_ended() {
    for (machine, cgroups) in machines() {
        let mut held = Held::new(&cgroups, &Limits::default());
        held.run(&["sh", "-c", "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; exec sleep 600"]);
        eventually("the child has ended", || {
            fs::read_to_string(format!("/proc/{}/comm", held.pid())).is_ok_and(|comm| comm == "sleep\n")
        });
        let Some(usage) = held.cage.usage() else {
            assert_eq!(machine, "v1", "only without cpuacct nothing counts time");
            continue;
        };
        assert!(usage.cpu_us > 10_000 && usage.memory_bytes > 0 && usage.pids == 1, "{machine}: {usage:?}");
        eventually("who sleeps uses nothing", || {
            held.cage.usage().unwrap().cpu_us == held.cage.usage().unwrap().cpu_us
        });
        held.end();
        assert_eq!(held.cage.usage().unwrap().pids, 0);
        held.cage.remove();
        assert_eq!(held.cage.usage(), None, "what is gone is not zero");
    }
}

#[test]
fn a_plain_file_in_the_way_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    let mount = dir.path().join("mount");
    fs::create_dir_all(mount.join("cas")).unwrap();
    std::os::unix::fs::symlink(&victim, mount.join("cgroup.subtree_control")).unwrap();
    fs::write(mount.join("cgroup.controllers"), "cpu memory pids\n").unwrap();
    let planted = Hierarchy { version: Version::V2, controllers: Vec::new(), mount, root: "/".into(), own: "/".into() };
    assert!(!can_hold(&Cgroups::among(vec![planted])));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
}
