//! Files that services write themselves: `log_files`. Promise: what the engine is handed has absolute directories, a name without a directory in it, and one way
//! of rotating. Never: looks whether a file is there.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
    time::Duration,
};

use super::{
    draft::Draft,
    kinds,
    nearest::did_you_mean,
    problems::Place,
    reader::{Fields, Reader},
    schema,
    tree::{Node, Shape},
};
use crate::model::{
    container::{ContainerSpec, MountSource},
    log_file::{How, LogFiles, MOST_FILES, Rotation},
    service::CommandLine,
    signal::Signal,
};

/// A smaller file is not worth its name.
const LEAST_SIZE: u64 = 4 << 10;
const LEAST_AGE: Duration = Duration::from_mins(1);
/// Rotated files that are kept where nothing is said, and at most.
const KEEP: u32 = 7;
const MOST_KEPT: u32 = 1000;
const HOWS: [&str; 3] = ["auto", "signal", "copytruncate"];

/// One entry as it was written; the paths are understood when it is known where the service runs.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    at: Place,
    path: String,
    follow: bool,
    rotate: Option<WrittenRotation>,
}

#[derive(Debug, Clone)]
struct WrittenRotation {
    at: Place,
    max_size: Option<u64>,
    max_age: Option<Duration>,
    keep: u32,
    keep_for: Option<Duration>,
    compress: bool,
    how: Option<WrittenHow>,
}

#[derive(Debug, Clone, Copy)]
enum WrittenHow {
    Auto,
    Signal(Option<Signal>),
    CopyTruncate,
}

/// What `log_files` of a map says; none where it is not there.
pub(crate) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Vec<Written>> {
    let node = fields.get("log_files")?;
    let items: Vec<&Node> = match &node.shape {
        Shape::List(items) => items.iter().map(|item| &**item).collect(),
        Shape::Scalar { .. } => vec![node],
        Shape::Map(_) => {
            reader.wrong_form("log_files", node, "a list", "write [log/web.log], or entries with \"- path: …\"");
            return Some(Vec::new());
        }
    };
    if items.len() > MOST_FILES {
        let message = format!("log_files: there are {}, at most {MOST_FILES} entries are possible", items.len());
        reader.error(node.at, message, "a pattern such as log/*.log means several files");
    }
    Some(items.into_iter().take(MOST_FILES).filter_map(|item| entry(reader, item)).collect())
}

fn entry(reader: &mut Reader<'_>, node: &Node) -> Option<Written> {
    let Shape::Map(_) = &node.shape else {
        let path = path(reader, "log_files", node)?;
        return Some(Written { at: node.at, path, follow: true, rotate: None });
    };
    let fields = reader.fields("log_files", node, &schema::LOG_FILE)?;
    let Some(named) = fields.get("path") else {
        reader.error(node.at, "log_files: this entry has no path", "write path: log/web.log");
        return None;
    };
    let path = path(reader, "path", named)?;
    let follow = fields.get("follow").and_then(|node| reader.truth("follow", node)).unwrap_or(true);
    let rotate = match fields.get("rotate") {
        Some(node) => Some(rotation(reader, node)?),
        None => None,
    };
    if !follow && rotate.is_none() {
        let message = format!("log_files: nothing is done with {path}");
        reader.note(node.at, message, "write rotate, or leave follow: false out");
    }
    Some(Written { at: named.at, path, follow, rotate })
}

fn path(reader: &mut Reader<'_>, what: &str, node: &Node) -> Option<String> {
    let text = reader.text(what, node)?;
    match usable(&text) {
        Ok(()) => Some(text),
        Err((why, hint)) => {
            reader.error(node.at, format!("{what}: \"{text}\" {why}"), hint);
            None
        }
    }
}

/// Why a path cannot be one, and what to do.
fn usable(text: &str) -> Result<(), (&'static str, &'static str)> {
    let (directory, name) = text.rsplit_once('/').unwrap_or(("", text));
    if text.trim().is_empty() {
        return Err(("is empty", "write a path such as log/web.log"));
    }
    if name.is_empty() || name == "." || name == ".." {
        return Err(("names a directory", "name the files in it, such as log/*.log"));
    }
    if name.contains("**") || directory.contains("**") {
        return Err(("has ** in it", "* means files of one directory: write an entry for each directory"));
    }
    if directory.contains(['*', '?']) {
        return Err((
            "has a wildcard in a directory",
            "* and ? are allowed in the last part: write an entry for each directory",
        ));
    }
    if !text.starts_with(['/', '~']) && Path::new(text).components().any(|part| part == Component::ParentDir) {
        return Err(("leads out of the service's directory", "write an absolute path for a file that lies elsewhere"));
    }
    Ok(())
}

fn rotation(reader: &mut Reader<'_>, node: &Node) -> Option<WrittenRotation> {
    let fields = reader.fields("rotate", node, &schema::ROTATE)?;
    let max_size = fields.get("max_size").map(|node| reader.size("max_size", node, LEAST_SIZE));
    let max_age = fields.get("max_age").map(|node| reader.duration("max_age", node, LEAST_AGE));
    let keep = fields.get("keep").map_or(Some(KEEP), |node| keep(reader, node));
    let keep_for = fields.get("keep_for").and_then(|node| reader.duration("keep_for", node, LEAST_AGE));
    let compress = fields.get("compress").and_then(|node| reader.truth("compress", node)).unwrap_or(true);
    if max_size.is_none() && max_age.is_none() {
        reader.note(
            node.at,
            "rotate: it has neither max_size nor max_age",
            "it is rotated by cas rotate only; write max_size: 50M, or max_age: 1d",
        );
    }
    let signal = match fields.get("signal") {
        Some(node) => Some(reader.parsed("signal", node, "write HUP, USR1 or a number", |text| {
            text.parse::<Signal>().map_err(|_| "is not a signal".to_owned())
        })?),
        None => None,
    };
    let how = match fields.get("how") {
        Some(node) => Some(how(reader, node, signal)?),
        None => signal.map(|signal| WrittenHow::Signal(Some(signal))),
    };
    Some(WrittenRotation {
        at: node.at,
        max_size: max_size.flatten(),
        max_age: max_age.flatten(),
        keep: keep?,
        keep_for,
        compress,
        how,
    })
}

fn keep(reader: &mut Reader<'_>, node: &Node) -> Option<u32> {
    let kept = reader.number("keep", node, 1)?;
    if kept > MOST_KEPT {
        reader.error(node.at, format!("keep: {kept} files are too many, at most {MOST_KEPT}"), "such as 7");
    }
    Some(kept)
}

fn how(reader: &mut Reader<'_>, node: &Node, signal: Option<Signal>) -> Option<WrittenHow> {
    let text = reader.text("how", node)?;
    let how = match text.as_str() {
        "auto" => WrittenHow::Auto,
        "signal" => return Some(WrittenHow::Signal(signal)),
        "copytruncate" => WrittenHow::CopyTruncate,
        _ => {
            reader.error(node.at, format!("how: \"{text}\" is no way to rotate a file"), did_you_mean(&text, &HOWS));
            return None;
        }
    };
    if signal.is_some() {
        reader.error(node.at, format!("how: {text} takes no signal"), "write how: signal, or leave signal out");
    }
    Some(how)
}

/// Finds out where the files of each service lie and how they are rotated.
pub(crate) fn settle(reader: &mut Reader<'_>, drafts: &mut [Draft]) {
    let mut rotated: BTreeMap<PathBuf, String> = BTreeMap::new();
    let mut settled: Vec<(Written, LogFiles)> = Vec::new();
    for draft in drafts {
        let Some(written) = draft.settings.log_files.take() else { continue };
        let root = draft.settings.working_dir.clone().unwrap_or_else(|| reader.root.clone());
        for one in written {
            let Some(files) = placed(reader, &one, &root, draft) else { continue };
            let path = files.path(&files.name);
            let is_twice = draft.log_files.iter().any(|other| other.path(&other.name) == path);
            let other = files.rotate.and_then(|_| rotated.insert(path, draft.name.to_string()));
            if is_twice {
                reader.error(one.at, format!("log_files: \"{}\" is there twice", one.path), "keep one of them");
            } else if let Some(other) = other {
                let message = format!("log_files: \"{}\" is rotated for {other}, too", one.path);
                reader.error(one.at, message, "leave rotate to one of the two");
            } else {
                settled.push((one, files.clone()));
                draft.log_files.push(files);
            }
        }
    }
    for (one, files) in settled.iter().filter(|(_, files)| !files.is_pattern()) {
        let yields = |other: &LogFiles| other.directory == files.directory && other.sets_aside(&files.name);
        if let Some((other, _)) = settled.iter().find(|(_, other)| yields(other)) {
            let message = format!("log_files: \"{}\" is what rotation makes of \"{}\"", one.path, other.path);
            reader.error(one.at, message, "leave it out, or give one of the two another name");
        }
    }
}

fn placed(reader: &mut Reader<'_>, written: &Written, root: &Path, draft: &Draft) -> Option<LogFiles> {
    let (prefix, name) = match written.path.rsplit_once('/') {
        Some((directory, name)) => (format!("{directory}/"), name),
        None => (String::new(), written.path.as_str()),
    };
    let prefix = prefix.strip_prefix("./").map_or_else(|| prefix.clone(), str::to_owned);
    let (directory, within) = match &draft.container {
        Some(container) => (on_this_machine(reader, written, Path::new(&prefix), container)?, None),
        None if prefix.starts_with('/') => (PathBuf::from(&prefix), None),
        None => match (prefix.strip_prefix("~/"), reader.variable("HOME")) {
            (Some(below), Some(home)) => (Path::new(&home).join(below), None),
            (Some(_) | None, _) => (root.join(&prefix), Some(root.to_owned())),
        },
    };
    let rotate = match &written.rotate {
        Some(rotation) => Some(complete(reader, rotation, draft)?),
        None => None,
    };
    // Without what means nothing, so that the same place is the same path.
    let directory = directory.components().filter(|part| *part != Component::CurDir).collect();
    Some(LogFiles { directory, name: name.to_owned(), within, prefix, follow: written.follow, rotate })
}

/// Where a directory of a container lies on this machine; an error where it does not.
fn on_this_machine(
    reader: &mut Reader<'_>,
    written: &Written,
    directory: &Path,
    container: &ContainerSpec,
) -> Option<PathBuf> {
    let hint = "mount a directory of this machine there (volumes: [./log:/var/log/app]), and name the file as the container does";
    if !directory.is_absolute() {
        let message = format!("log_files: \"{}\" of a container is no absolute path", written.path);
        reader.error(written.at, message, hint);
        return None;
    }
    let bound = container.mounts.iter().filter_map(|mount| match &mount.source {
        MountSource::Bind(source) => Some((directory.strip_prefix(&mount.target).ok()?, source, &mount.target)),
        MountSource::Volume(_) | MountSource::Anonymous | MountSource::Tmpfs => None,
    });
    // The innermost of several counts, and something else may be mounted within it.
    let bound = bound.max_by_key(|(_, _, target)| target.len());
    let hides = |target: &String| {
        let is_within = |other: &str| directory.starts_with(other) && other.len() > target.len();
        container.mounts.iter().any(|mount| is_within(&mount.target))
    };
    let Some((below, source, _)) = bound.filter(|(_, _, target)| !hides(target)) else {
        let message = format!("log_files: \"{}\" lies inside of the container, where cas does not look", written.path);
        reader.error(written.at, message, hint);
        return None;
    };
    Some(Path::new(source).join(below))
}

fn complete(reader: &mut Reader<'_>, written: &WrittenRotation, draft: &Draft) -> Option<Rotation> {
    let known = reopens_on(draft);
    let how = match written.how {
        Some(WrittenHow::CopyTruncate) => How::CopyTruncate,
        Some(WrittenHow::Signal(Some(signal))) => How::Signal(signal),
        Some(WrittenHow::Signal(None)) => {
            let Some(signal) = known else {
                let message = "how: it is not known on which signal this service opens its log files anew";
                reader.error(written.at, message, "write signal: USR1 or what its manual says, or how: copytruncate");
                return None;
            };
            How::Signal(signal)
        }
        Some(WrittenHow::Auto) | None => known.map_or(How::CopyTruncate, How::SignalIfCaught),
    };
    let WrittenRotation { at: _, max_size, max_age, keep, keep_for, compress, how: _ } = *written;
    Some(Rotation { max_bytes: max_size, max_age, keep, keep_for, compress, how })
}

/// The signal on which a service opens its log files anew, as far as that is known of its kind or program.
fn reopens_on(draft: &Draft) -> Option<Signal> {
    let of_kind = draft.nature.as_ref().and_then(|nature| kinds::named(&nature.kind)).and_then(|kind| kind.reopen);
    of_kind.or_else(|| kinds::reopens_on(&draft.command.as_ref().map(CommandLine::argv)?))
}

/// A way to rotate in the words of the file.
pub(crate) fn how_label(how: How) -> String {
    match how {
        How::Signal(signal) => format!("signal {}", signal.name()),
        How::SignalIfCaught(signal) => format!("auto: signal {}, else copytruncate", signal.name()),
        How::CopyTruncate => "copytruncate".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::usable;

    #[test]
    fn a_path_names_files_of_one_directory() {
        for good in
            ["web.log", "log/web.log", "./log/*.log", "/var/log/nginx/*.log", "~/x.log", "log/a?.log", "/a/../b.log"]
        {
            assert!(usable(good).is_ok(), "{good}");
        }
        for bad in
            ["", " ", "log/", ".", "log/..", "log/**", "**/web.log", "log/*/web.log", "../web.log", "log/../../x.log"]
        {
            assert!(usable(bad).is_err(), "{bad}");
        }
    }
}
