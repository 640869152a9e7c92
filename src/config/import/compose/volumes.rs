//! `volumes` of a service in compose's short form, sources absolute.

use std::sync::Arc;

use super::{
    item::{Form, Item},
    keys,
    merge::unique,
    values::Values,
};
use crate::config::import::Told;

/// Source, target and mode of a mount in the short form; a source may begin with a Windows drive.
pub(super) fn split(text: &str) -> (Option<&str>, &str, Option<&str>) {
    let drive = |text: &str| {
        let bytes = text.as_bytes();
        bytes.len() > 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' && matches!(bytes[2], b'\\' | b'/')
    };
    let colon = |text: &str, from: usize| text[from..].find(':').map(|at| at + from);
    let begin = if drive(text) { 2 } else { 0 };
    let Some(first) = colon(text, begin) else { return (None, text, None) };
    let (source, rest) = (&text[..first], &text[first + 1..]);
    let begin = if drive(rest) { 2 } else { 0 };
    match colon(rest, begin) {
        Some(second) => (Some(source), &rest[..second], Some(&rest[second + 1..])),
        None => (Some(source), rest, None),
    }
}

/// The mounts of a service.
pub(super) fn read(values: &mut Values, item: &Arc<Item>) -> Vec<Told<String>> {
    let Form::List(items) = &item.form else {
        values.wrong("volumes", item, "a list", "write one mount a line after \"- \"");
        return Vec::new();
    };
    let mut mounts = Vec::new();
    for item in unique(&["services", "", "volumes"], items.iter()) {
        let mount = match &item.form {
            Form::Map(_) => long(values, &item),
            Form::Null | Form::Text(_) | Form::List(_) => short(values, &item),
        };
        mounts.extend(mount.map(|mount| item.told(mount)));
    }
    mounts
}

/// True for a source that is a path of this machine rather than the name of a volume.
fn is_path(source: &str) -> bool {
    source.starts_with(['/', '.', '~'])
}

fn short(values: &mut Values, item: &Arc<Item>) -> Option<String> {
    let text = values.text("volumes", item)?;
    let (source, target, mode) = split(&text);
    if target.is_empty() || source == Some("") {
        values.wrong("volumes", item, "a mount", "write ./source:/target, name:/target or /target");
        return None;
    }
    let mut mount = String::new();
    if let Some(source) = source {
        if is_path(source) {
            mount.push_str(&values.path(source, item).display().to_string());
        } else {
            mount.push_str(source);
        }
        mount.push(':');
    }
    mount.push_str(target);
    if let Some(mode) = mode {
        mount.push(':');
        mount.push_str(mode);
    }
    Some(mount)
}

fn long(values: &mut Values, item: &Arc<Item>) -> Option<String> {
    let kind = item.get("type").and_then(|item| item.as_text()).unwrap_or("volume").to_owned();
    if !matches!(&*kind, "bind" | "volume") {
        values.notes.lost("volumes", item);
        return None;
    }
    values.keys("volumes", item, &keys::VOLUME);
    let Some(target) = item.get("target") else {
        values.notes.error(item.source(), "volumes: a mount without a target", "write target: /path/in/the/container");
        return None;
    };
    let target = values.text("volumes.target", target)?;
    let source = match item.get("source") {
        Some(source) => Some((values.text("volumes.source", source)?, source)),
        None => None,
    };
    let mut mount = String::new();
    match source {
        Some((text, source)) if kind == "bind" || is_path(&text) => {
            mount.push_str(&values.path(&text, source).display().to_string());
            mount.push(':');
        }
        Some((text, _)) => {
            mount.push_str(&text);
            mount.push(':');
        }
        None if kind == "bind" => {
            values.notes.error(item.source(), "volumes: a bind mount without a source", "write source: ./path");
            return None;
        }
        None => {}
    }
    mount.push_str(&target);
    if item.get("read_only").and_then(|item| values.truth("volumes.read_only", item)) == Some(true) {
        mount.push_str(":ro");
    }
    Some(mount)
}
