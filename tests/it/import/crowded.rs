//! Large files, full of what nobody knows: they end soon, and are told by the first of it.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, time::Duration};

use cas::config::import::{Imported, Material, compose, mprocs, pm2, process_compose, procfile, supervisord, systemd};

use super::render::Memory;

type Import = fn(&Material<'_>) -> Imported;

/// A format, its file, how the file begins, and one of its many lines, in which `#` is a number.
const CROWDED: &[(&str, &str, &str, Import)] = &[
    ("compose.yaml", "services:\n  web:\n    image: x\n", "    unknwon_key_#: 1\n", compose::import),
    ("compose.yaml", "", "unknwon_key_#: 1\n", compose::import),
    ("mprocs.yaml", "procs:\n  web:\n    shell: x\n", "    unknwon_key_#: 1\n", mprocs::import),
    ("process-compose.yaml", "processes:\n  web:\n    command: x\n", "    unknwon_key_#: 1\n", process_compose::import),
    ("ecosystem.config.js", "module.exports = {apps: [{script: 'x',\n", "unknwon_key_#: 1,\n", pm2::import),
    ("supervisord.conf", "[program:web]\ncommand=x\n", "unknwon_key_#=1\n", supervisord::import),
    ("supervisord.conf", "", "[unknwon_#]\n", supervisord::import),
    ("app.service", "[Service]\nExecStart=x\n", "UnknwonDirective#=1\n", systemd::import),
    ("app.service", "", "[Srevice#]\nA=1\n", systemd::import),
    ("Procfile", "", "web#: run\n", procfile::import),
    ("Procfile", "", "what is this #\n", procfile::import),
];

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap(), u32::try_from(time.tv_nsec).unwrap())
}

/// Most CPU time of one; a build without optimisation is some twenty times slower than the one that people have.
const LONGEST: Duration = Duration::from_secs(8);

/// Very many lines; of a Procfile as many as are read.
fn fill(text: &mut String, line: &str) {
    let most = if line.starts_with("web#") { 1_000_000 } else { 200_000 };
    for number in 0.. {
        if text.len() > most {
            break;
        }
        text.write_str(&line.replace('#', &number.to_string())).unwrap();
    }
}

#[test]
fn a_project_file_full_of_what_nobody_knows_ends_soon() {
    let dir = tempfile::tempdir().unwrap();
    for (name, start, line) in [
        ("cas.yaml", "services:\n  web:\n    command: x\n", "    unknwon_key_#: 1\n"),
        ("cas.yaml", "", "unknwon_key_#: 1\n"),
        ("Procfile", "", "web#: run\n"),
    ] {
        let mut text = start.to_owned();
        fill(&mut text, line);
        let file = dir.path().join(name);
        std::fs::write(&file, text).unwrap();
        let before = cpu_time();
        let loaded = cas::config::load(&file, None, &BTreeMap::new());
        let took = cpu_time().checked_sub(before).unwrap();
        assert_eq!(loaded.errors.is_empty(), name == "Procfile", "{name}");
        assert!(took < LONGEST, "{name}: {line:?} took {took:?}");
    }
}

#[test]
fn a_file_full_of_what_nobody_knows_ends_soon() {
    for (name, start, line, import) in CROWDED {
        let mut text = (*start).to_owned();
        fill(&mut text, line);
        if name.ends_with(".js") {
            text.push_str("}]};");
        }
        let file = Path::new("/p").join(name);
        let files = Memory::default();
        let before = cpu_time();
        let imported = import(&Material { file: &file, text: &text, environment: &BTreeMap::new(), files: &files });
        let took = cpu_time().checked_sub(before).unwrap();
        assert!(imported.notes.len() <= 2000, "{name}: {} notes", imported.notes.len());
        assert!(took < LONGEST, "{name}: {line:?} took {took:?}");
    }
}
