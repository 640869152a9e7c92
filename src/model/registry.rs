//! Projects told apart: how each of several of one name is shown, and how it is named by whoever means it.
//!
//! Never: two projects that are shown alike; a guess where a name means several.

use std::path::{Component, Path, PathBuf};

use super::{ids::ProjectName, project::ProjectRecord, snapshot::ProjectView};

/// The last `count` parts of a directory; the whole of it where it has no more.
fn tail(root: &Path, count: usize) -> PathBuf {
    let parts: Vec<Component<'_>> = root.components().collect();
    parts.get(parts.len().saturating_sub(count)..).unwrap_or_default().iter().collect()
}

/// What tells the project in `root` from the others: the shortest end of its directory that none of theirs has. None where it is the only one.
#[must_use]
pub fn distinction<'a>(root: &Path, others: impl Iterator<Item = &'a Path> + Clone) -> Option<PathBuf> {
    let mut others = others.filter(|other| *other != root).peekable();
    others.peek()?;
    let others: Vec<&Path> = others.collect();
    let most = root.components().count();
    let unique = (1..most).map(|count| tail(root, count)).find(|end| others.iter().all(|other| !other.ends_with(end)));
    Some(unique.unwrap_or_else(|| root.to_owned()))
}

/// How it is shown: `shop`, or `shop (work/shop)` where another has the name, too.
#[must_use]
pub fn display(name: &ProjectName, distinction: Option<&Path>) -> String {
    distinction.map_or_else(|| name.to_string(), |end| format!("{name} ({})", end.display()))
}

/// How it is named: `shop`, or `shop@work/shop` where another has the name, too.
#[must_use]
pub fn reference(name: &ProjectName, distinction: Option<&Path>) -> String {
    distinction.map_or_else(|| name.to_string(), |end| format!("{name}@{}", end.display()))
}

/// Gives each project the name by which it is shown and the one by which it is called.
pub fn tell_apart(projects: &mut [ProjectView]) {
    let known: Vec<(ProjectName, PathBuf)> =
        projects.iter().map(|project| (project.name.clone(), project.root.clone())).collect();
    for project in projects {
        let namesakes = known.iter().filter(|(name, _)| *name == project.name).map(|(_, root)| root.as_path());
        let end = distinction(&project.root, namesakes);
        project.display = display(&project.name, end.as_deref());
        project.reference = reference(&project.name, end.as_deref());
    }
}

/// The name by which one of `records` is called.
#[must_use]
pub fn reference_of(record: &ProjectRecord, records: &[ProjectRecord]) -> String {
    let namesakes = records.iter().filter(|other| other.name == record.name).map(|other| other.root.as_path());
    reference(&record.name, distinction(&record.root, namesakes).as_deref())
}

/// The projects that `text` means: by name, by `NAME@END` where `END` is the end of a directory, by directory, by file. `path` is `text` as a path of
/// the directory where it was typed.
#[must_use]
pub fn meant<'a>(records: &'a [ProjectRecord], text: &str, path: &Path) -> Vec<&'a ProjectRecord> {
    let by_path = records.iter().filter(|record| record.root == path || record.file == path);
    let found: Vec<&ProjectRecord> = by_path.collect();
    if !found.is_empty() {
        return found;
    }
    let (name, end) = text.split_once('@').map_or((text, None), |(name, end)| (name, Some(Path::new(end))));
    records
        .iter()
        .filter(|record| record.name.as_str() == name && end.is_none_or(|end| record.root.ends_with(end)))
        .collect()
}

/// Takes `record` in among `records`: it takes the place of the one in its directory, and of the one that was moved there.
pub fn take_in(records: &mut Vec<ProjectRecord>, mut record: ProjectRecord) {
    let moved = records.iter().filter(|old| old.is_moved_to(&record)).max_by_key(|old| old.last_opened_us);
    if let Some(from) = moved.map(|old| old.root.clone()) {
        records.retain(|old| old.root != from);
        record.moved_from = Some(from);
    }
    match records.iter_mut().find(|old| old.root == record.root) {
        Some(old) => {
            record.moved_from = record.moved_from.or_else(|| old.moved_from.take());
            *old = record;
        }
        None => records.push(record),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{distinction, meant, reference_of, take_in};
    use crate::model::{ids::ProjectName, project::ProjectRecord};

    fn record(name: &str, root: &str) -> ProjectRecord {
        ProjectRecord {
            name: ProjectName::new(name).unwrap(),
            root: PathBuf::from(root),
            file: Path::new(root).join("cas.yaml"),
            services: 1,
            last_opened_us: 1,
            exists: true,
            remote: Some("git.example/shop".to_owned()),
            moved_from: None,
        }
    }

    #[test]
    fn the_shortest_end_that_no_other_has_tells_projects_apart() {
        let end = |root: &str, others: &[&str]| {
            distinction(Path::new(root), others.iter().map(Path::new)).map(|end| end.display().to_string())
        };
        assert_eq!(end("/a/shop", &["/a/shop"]), None, "only itself");
        assert_eq!(end("/home/work/shop", &["/home/old/shop"]).as_deref(), Some("work/shop"));
        assert_eq!(end("/srv/x", &["/srv/y"]).as_deref(), Some("x"));
        assert_eq!(end("/shop", &["/a/shop"]).as_deref(), Some("/shop"), "no end of it is its own");
        assert_eq!(end("/a/shop", &["/shop"]).as_deref(), Some("a/shop"));
        assert_eq!(end("/a/b/shop", &["/x/b/shop", "/a/c/shop"]).as_deref(), Some("a/b/shop"));
    }

    #[test]
    fn every_reference_means_its_own_project_alone() {
        let all = [
            record("shop", "/shop"),
            record("shop", "/work/shop"),
            record("shop", "/old/work/shop"),
            record("blog", "/srv/blog"),
        ];
        for one in &all {
            let reference = reference_of(one, &all);
            assert_eq!(meant(&all, &reference, &Path::new("/nowhere").join(&reference)), [one], "{reference}");
        }
        assert_eq!(meant(&all, "shop", Path::new("/nowhere/shop")).len(), 3);
        assert_eq!(meant(&all, "shop", Path::new("/work/shop")), [&all[1]], "a directory that is meant is meant first");
        assert_eq!(meant(&all, "cas.yaml", Path::new("/srv/blog/cas.yaml")), [&all[3]]);
        assert!(meant(&all, "shop@k/shop", Path::new("/x")).is_empty(), "an end is of whole parts");
    }

    #[test]
    fn a_moved_project_takes_the_place_of_the_one_that_is_gone() {
        let gone = ProjectRecord { exists: false, ..record("shop", "/old/shop") };
        let mut records = vec![gone.clone(), record("blog", "/srv/blog")];
        take_in(&mut records, record("shop", "/new/shop"));
        assert_eq!(records.len(), 2);
        let moved = records.iter().find(|record| record.name.as_str() == "shop").unwrap();
        assert_eq!(
            (moved.root.as_path(), moved.moved_from.as_deref()),
            (Path::new("/new/shop"), Some(Path::new("/old/shop")))
        );
        // Opened there again: where it came from is still known.
        take_in(&mut records, record("shop", "/new/shop"));
        let again = records.iter().find(|record| record.name.as_str() == "shop").unwrap();
        assert_eq!(again.moved_from.as_deref(), Some(Path::new("/old/shop")));
    }

    #[test]
    fn a_copy_another_remote_and_none_are_not_taken_for_a_move() {
        let gone = ProjectRecord { exists: false, ..record("shop", "/old/shop") };
        let there = record("shop", "/old/shop");
        let other = ProjectRecord { remote: Some("git.example/other".to_owned()), ..gone.clone() };
        let unknown = ProjectRecord { remote: None, ..gone.clone() };
        let renamed = ProjectRecord { name: ProjectName::new("shop2").unwrap(), ..gone.clone() };
        let another_file = ProjectRecord { file: PathBuf::from("/old/shop/Procfile"), ..gone };
        for old in [there, other, unknown, renamed, another_file] {
            let mut records = vec![old.clone()];
            take_in(&mut records, record("shop", "/new/shop"));
            assert_eq!(records.len(), 2, "{old:?}");
        }
    }
}
