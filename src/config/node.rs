//! pm2's JavaScript, evaluated by node because somebody asked for it (`cas import --evaluate`). Promise: ends after five seconds, with everything
//! that it began; what it prints is bounded. Never: runs a file that can be read without it, or unasked.

use std::{
    collections::BTreeMap,
    io::Read,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use super::{
    Sentence, Translation,
    foreign::Disk,
    import::{Files as _, Material, pm2},
    translation, unread,
};

/// How long node may take.
const LIMIT: Duration = Duration::from_secs(5);
/// Most bytes that are taken from it.
const MOST: u64 = 1 << 20;
/// What stands before the answer, so that lines of the file's own are told apart.
const MARK: &str = "\u{1}cas:exports\u{1}";
/// A module of either kind; a function is called as pm2 calls it.
const SCRIPT: &str = r"
import(require('url').pathToFileURL(process.argv[1])).then(module => {
  let value = module.default ?? { ...module };
  if (typeof value === 'function') value = value();
  return value;
}).then(value => {
  process.stdout.write('\u0001cas:exports\u0001' + JSON.stringify(value) + '\n', () => process.exit(0));
}).catch(error => {
  process.stderr.write(String(error && error.message || error) + '\n', () => process.exit(1));
});
";

/// Translates a JavaScript file of pm2; what is not literal in it is evaluated by the `node` that is found on the `PATH` of `env`. This runs the file.
///
/// # Errors
/// A sentence: it cannot be read, is none of pm2's, or node cannot tell what it exports.
pub fn translate_evaluated(file: &Path, env: &BTreeMap<String, String>) -> Result<Translation, Sentence> {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    if !file.extension().is_some_and(|end| end == "js" || end == "cjs" || end == "mjs") {
        let message = format!("{} has nothing to evaluate: leave --evaluate out", file.display());
        return Err(Sentence(format!("{message}; it is for the JavaScript of pm2, such as ecosystem.config.js")));
    }
    let text = Disk.read(&file).map_err(|why| unread(&file, why))?;
    let material = Material { file: &file, text: &text, environment: env, files: &Disk };
    let imported = if pm2::is_literal(&material) {
        pm2::import(&material)
    } else {
        pm2::import_json(&material, &exports(&file, env, LIMIT)?)
    };
    Ok(translation(&file, imported))
}

/// What node says that a file exports, as JSON.
fn exports(file: &Path, env: &BTreeMap<String, String>, limit: Duration) -> Result<String, Sentence> {
    let Some(node) = program("node", env) else {
        let message = "there is no node on the PATH, so the file cannot be evaluated";
        return Err(Sentence(format!("{message}: install Node.js, or write what is not literal into cas.yaml")));
    };
    let mut child = Command::new(&node)
        .args(["-e", SCRIPT])
        .arg(file)
        .current_dir(file.parent().unwrap_or(Path::new("/")))
        .env_clear()
        .envs(env)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Sentence(format!("{} cannot be started: {error}", node.display())))?;
    let (send, received) = mpsc::channel();
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let send_too = send.clone();
    std::thread::spawn(move || send.send((true, read(out, MOST))));
    std::thread::spawn(move || send_too.send((false, read(err, 4096))));
    let (mut said, mut complaint) = (None, String::new());
    // Both ends, or one of them and then the limit.
    for _ in 0..2 {
        match received.recv_timeout(limit) {
            Ok((true, text)) => said = Some(text),
            Ok((false, text)) => complaint = text,
            Err(_) => break,
        }
    }
    end(&mut child);
    let Some(said) = said else {
        let seconds = limit.as_secs_f64();
        return Err(Sentence(format!("node did not end within {seconds} s, and was ended: {}", file.display())));
    };
    let answer = said.rsplit_once(MARK).and_then(|(_, answer)| answer.split_once('\n'));
    match answer {
        Some((json, _)) if json != "undefined" => Ok(json.to_owned()),
        Some(_) => Err(Sentence(format!("{} exports nothing", file.display()))),
        None if said.len() as u64 >= MOST => {
            Err(Sentence(format!("{} prints more than 1 MiB when it is evaluated", file.display())))
        }
        None => {
            let why = complaint.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it says nothing");
            let why: String = why.chars().take(300).collect();
            Err(Sentence(format!("node cannot evaluate {}: {why}", file.display())))
        }
    }
}

fn read(from: Option<impl Read>, most: u64) -> String {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // What was read before an error counts.
        let _cut = from.take(most).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Ends it and what it began.
fn end(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        // An error means that nothing of it is left.
        let _gone = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _status = child.wait();
}

/// A program on the `PATH` of an environment.
fn program(name: &str, env: &BTreeMap<String, String>) -> Option<PathBuf> {
    let directories = env.get("PATH")?.split(':').filter(|directory| directory.starts_with('/'));
    directories.map(|directory| Path::new(directory).join(name)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// What a program called `node` makes of a file.
    fn by(node: &str, limit: Duration) -> Result<String, Sentence> {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("node");
        std::fs::write(&program, format!("#!/bin/sh\n{node}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", dir.path().display());
        exports(&dir.path().join("ecosystem.config.js"), &BTreeMap::from([("PATH".to_owned(), path)]), limit)
    }

    #[test]
    fn the_answer_is_told_apart_from_what_the_file_prints() {
        let node = "echo loading; printf '\\001cas:exports\\001{\"apps\":[]}\\n'; echo bye";
        assert_eq!(by(node, LIMIT).unwrap(), "{\"apps\":[]}");
    }

    #[test]
    fn why_node_failed_is_told_in_its_words() {
        let error = by("echo 'no such module: shop' >&2; exit 1", LIMIT).unwrap_err();
        assert!(error.0.ends_with("no such module: shop"), "{error}");
    }

    #[test]
    fn one_that_never_ends_is_ended_with_what_it_began() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let node = format!("sleep 1000 & echo $! > {}; wait", pid.display());
        // Long enough that the shell has begun the other, also on a busy machine.
        let error = by(&node, Duration::from_secs(2)).unwrap_err();
        assert!(error.0.contains("did not end within 2 s"), "{error}");
        let pid = std::fs::read_to_string(pid).unwrap();
        // What was killed takes a moment to die on a busy machine; one that has no number any more is dead.
        let number = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        if let Ok(handle) = rustix::process::pidfd_open(number, rustix::process::PidfdFlags::empty()) {
            let mut ends = [rustix::event::PollFd::new(&handle, rustix::event::PollFlags::IN)];
            let within = rustix::event::Timespec { tv_sec: 20, tv_nsec: 0 };
            assert_eq!(rustix::event::poll(&mut ends, Some(&within)), Ok(1), "{number:?} still runs");
        }
    }

    #[test]
    fn one_that_prints_without_end_is_ended() {
        let error = by("exec yes", LIMIT).unwrap_err();
        assert!(error.0.contains("more than 1 MiB"), "{error}");
    }

    #[test]
    fn without_node_it_says_what_to_install() {
        let error = exports(Path::new("/p/a.js"), &BTreeMap::new(), LIMIT).unwrap_err();
        assert!(error.0.contains("install Node.js"), "{error}");
    }
}
