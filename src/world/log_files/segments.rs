//! Names and order of segments.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::model::ids::{ProjectName, ServiceId, ServiceName};

/// The directory of a service. Names cannot leave `dir`: they have no `/` and do not begin with a dot.
pub(super) fn directory(dir: &Path, service: &ServiceId) -> PathBuf {
    dir.join(service.project.as_str()).join(service.service.as_str())
}

/// The file of a segment.
pub(super) fn file(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:06}.log"))
}

/// Numbers of the segments that are there, oldest first.
pub(super) fn list(directory: &Path) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut numbers: Vec<u64> = entries.flatten().filter_map(|entry| number_of(entry.file_name().to_str()?)).collect();
    numbers.sort_unstable();
    numbers
}

/// `000012.log` → 12. Other files are none of ours.
fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    let whole = digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole { digits.parse().ok() } else { None }
}

/// Deletes the oldest of `numbers` until `keep` are left.
pub(super) fn prune(directory: &Path, numbers: &[u64], keep: usize) {
    for number in numbers.iter().take(numbers.len().saturating_sub(keep.max(1))) {
        // Gone already is as good; anything else is tried again with the next segment.
        let _gone: io::Result<()> = fs::remove_file(file(directory, *number));
    }
}

/// Services that have a directory.
pub(super) fn services(dir: &Path, project: Option<&ProjectName>) -> Vec<ServiceId> {
    let projects: Vec<ProjectName> = match project {
        Some(project) => vec![project.clone()],
        None => names(dir).filter_map(|name| ProjectName::new(&name).ok()).collect(),
    };
    let mut found: Vec<ServiceId> = projects
        .into_iter()
        .flat_map(|project| {
            names(&dir.join(project.as_str()))
                .filter_map(|name| ServiceName::new(&name).ok())
                .map(move |service| ServiceId { project: project.clone(), service })
        })
        .collect();
    found.sort();
    found
}

fn names(dir: &Path) -> impl Iterator<Item = String> + use<> {
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
}

#[cfg(test)]
mod tests {
    use super::number_of;

    #[test]
    fn only_six_or_more_digits_name_a_segment() {
        assert_eq!(number_of("000012.log"), Some(12));
        assert_eq!(number_of("1000012.log"), Some(1_000_012));
        for other in ["12.log", "000012.log.gz", "+00012.log", "000012", ".log", "99999999999999999999999.log"] {
            assert_eq!(number_of(other), None, "{other}");
        }
    }
}
