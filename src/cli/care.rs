//! Projects that a daemon has under care: what it opens again when it starts. Plain lists; whoever hosts the daemon keeps them on disk.
//! Never holds an environment: those are secret, and are kept apart.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::{ids::ProjectName, project::ProjectSpec};

/// A project under care.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its name.
    pub name: ProjectName,
    /// Absolute directory.
    pub root: PathBuf,
    /// Its file.
    pub file: PathBuf,
    /// Microseconds since the Unix epoch when it was first opened, over all restarts of the daemon since.
    pub since_us: i64,
}

/// All of them, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnderCare {
    kept: Vec<Kept>,
    /// Roots of those that were open when we were last told.
    open: Vec<PathBuf>,
}

impl UnderCare {
    /// What an earlier daemon kept.
    #[must_use]
    pub const fn of(kept: Vec<Kept>) -> Self {
        Self { kept, open: Vec::new() }
    }

    /// The list.
    #[must_use]
    pub fn kept(&self) -> &[Kept] {
        &self.kept
    }

    /// These are open now. One that was open and is not any more is no longer under care; one that an earlier daemon kept and that could
    /// not yet be opened (its file is broken, its disk is not mounted) stays. Gives true where the list is another now.
    pub fn has_open<'a>(&mut self, specs: impl Iterator<Item = &'a ProjectSpec>, now_us: i64) -> bool {
        let before = self.kept.clone();
        let specs: Vec<&ProjectSpec> = specs.collect();
        let is_open = |root: &PathBuf| specs.iter().any(|spec| spec.root == *root);
        self.kept.retain(|kept| is_open(&kept.root) || !self.open.contains(&kept.root));
        for spec in &specs {
            let since_us = self.kept.iter().find(|kept| kept.root == spec.root).map_or(now_us, |kept| kept.since_us);
            self.kept.retain(|kept| kept.root != spec.root);
            let (name, root, file) = (spec.name.clone(), spec.root.clone(), spec.file.clone());
            self.kept.push(Kept { name, root, file, since_us });
        }
        self.kept.sort_by(|a, b| (&a.name, &a.root).cmp(&(&b.name, &b.root)));
        self.open = specs.iter().map(|spec| spec.root.clone()).collect();
        self.kept != before
    }
}

/// From the text of the file; what cannot be read is an error with a sentence.
///
/// # Errors
/// Where it is damaged, in the parser's words.
pub fn parse(text: &str) -> Result<Vec<Kept>, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::{Kept, UnderCare, parse};
    use crate::model::{ids::ProjectName, project::ProjectSpec};

    fn spec(name: &str) -> ProjectSpec {
        ProjectSpec {
            name: ProjectName::new(name).unwrap(),
            root: format!("/srv/{name}").into(),
            file: format!("/srv/{name}/cas.yaml").into(),
            services: Vec::new(),
            alerts: std::sync::Arc::default(),
        }
    }

    fn names(care: &UnderCare) -> Vec<&str> {
        care.kept().iter().map(|kept| kept.name.as_str()).collect()
    }

    #[test]
    fn what_an_earlier_daemon_kept_stays_until_it_was_open_and_is_closed() {
        let mut first = UnderCare::default();
        assert!(first.has_open([&spec("shop"), &spec("blog")].into_iter(), 7));
        assert_eq!(names(&first), ["blog", "shop"]);
        let text = serde_json::to_string(first.kept()).unwrap();

        let mut second = UnderCare::of(parse(&text).unwrap());
        assert!(!second.has_open([&spec("shop")].into_iter(), 99), "blog is still to be opened");
        assert_eq!(names(&second), ["blog", "shop"]);
        assert_eq!(second.kept().iter().map(|kept: &Kept| kept.since_us).collect::<Vec<_>>(), [7, 7]);
        assert!(second.has_open(std::iter::empty(), 99), "shop was closed");
        assert_eq!(names(&second), ["blog"]);
    }

    #[test]
    fn a_damaged_list_is_an_error_and_not_an_empty_one() {
        assert!(parse("[{\"name\": \"shop\"").is_err());
        assert!(parse("").is_err());
        assert_eq!(parse("[]"), Ok(Vec::new()));
    }
}
