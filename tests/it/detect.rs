//! Detection: what a tree of files is taken for, what is said about it, and that no tree does harm.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod hostile;
mod stacks;
mod written;

use std::path::{Path, PathBuf};

use cas::config::{
    detect::{Detected, Limits, detect},
    import::{Candidate, Role, Runtime},
};

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/detect")
}

pub(crate) fn stack(name: &str) -> Detected {
    detect(&fixtures().join(name), &Limits::default())
}

pub(crate) fn names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// `web: pnpm run dev in apps/web :3000 from package.json:4`, one line a service.
pub(crate) fn lines(root: &Path, candidates: &[Candidate], role: Role) -> Vec<String> {
    let shown = |path: &Path| path.strip_prefix(root.canonicalize().unwrap()).unwrap().display().to_string();
    candidates
        .iter()
        .filter(|candidate| candidate.role == role)
        .map(|candidate| {
            let Runtime::Process(command) = &candidate.runtime else { return "no process".to_owned() };
            let directory = shown(&candidate.working_dir.as_ref().unwrap().value);
            let within = if directory.is_empty() { String::new() } else { format!(" in {directory}") };
            let port = candidate.ports.first().map_or_else(String::new, |port| format!(" :{}", port.value.target));
            let from = format!("{}:{}", shown(&command.source.file), command.source.line);
            format!("{}: {}{within}{port} from {from}", candidate.name.value, command.value.display())
        })
        .collect()
}
