//! From what a person types to services: `web`, `shop/web`, `shop/*`, `worker-*`.
//!
//! Never: guesses. A name that two projects have is refused with both, an unknown one with the nearest.

use std::collections::BTreeSet;

use crate::model::{
    command::{Command, ServiceRef, Targets},
    ids::{ProjectName, ServiceId},
};

use super::Engine;

/// Why names could not be taken.
#[derive(Debug)]
pub(super) struct Unresolved {
    pub(super) reason: String,
    pub(super) hint: Option<String>,
}

/// Candidates named in a refusal.
const CANDIDATES: usize = 8;

impl Engine {
    /// The services that are meant, in the order of the files.
    pub(super) fn resolve(&self, targets: &Targets) -> Result<Vec<ServiceId>, Unresolved> {
        if self.order.is_empty() {
            let hint = Some("open a project first, in a directory with a cas.yaml or a Procfile".to_owned());
            return Err(Unresolved { reason: "no service is known".to_owned(), hint });
        }
        if targets.all {
            return Ok(self.order.clone());
        }
        if targets.services.is_empty() {
            return Err(Unresolved {
                reason: "no service is named".to_owned(),
                hint: Some("name one, or --all".to_owned()),
            });
        }
        let mut meant = BTreeSet::new();
        for reference in &targets.services {
            meant.extend(self.resolve_one(reference)?);
        }
        Ok(self.order.iter().filter(|id| meant.contains(*id)).cloned().collect())
    }

    /// Whoever starts all does not mean what a clock starts, or a profile that is not active.
    pub(super) fn meant_by(&self, command: &Command, mut targets: Vec<ServiceId>) -> Vec<ServiceId> {
        if let Command::Start { targets: named } = command
            && named.means_all()
        {
            targets.retain(|id| self.service(id).is_some_and(|service| service.spec.occasions.is_of_all()));
        }
        targets
    }

    pub(super) fn resolve_one(&self, reference: &ServiceRef) -> Result<Vec<ServiceId>, Unresolved> {
        let text = reference.0.as_str();
        let (project, service) = match text.split_once('/') {
            Some((project, service)) => (Some(project), service),
            None => (None, text),
        };
        let found: Vec<ServiceId> = self
            .order
            .iter()
            .filter(|id| project.is_none_or(|pattern| matches(pattern, id.project.as_str())))
            .filter(|id| matches(service, id.service.as_str()) || self.is_copy_of(id, service))
            .cloned()
            .collect();
        if found.is_empty() {
            return Err(self.unknown(text));
        }
        let projects: BTreeSet<&ProjectName> = found.iter().map(|id| &id.project).collect();
        if projects.len() > 1 && !text.contains('*') {
            let candidates: Vec<String> = found.iter().map(ToString::to_string).collect();
            return Err(Unresolved {
                reason: format!("\"{text}\" is ambiguous: {}", candidates.join(", ")),
                hint: candidates.first().map(|first| format!("write the project too, such as {first}")),
            });
        }
        Ok(found)
    }

    fn is_copy_of(&self, id: &ServiceId, name: &str) -> bool {
        let replica = self.service(id).and_then(|service| service.spec.occasions.replica.as_ref());
        replica.is_some_and(|replica| replica.of.as_str() == name)
    }

    fn unknown(&self, text: &str) -> Unresolved {
        if text.contains('*') {
            return Unresolved { reason: format!("no service matches \"{text}\""), hint: Some(self.known()) };
        }
        let reason = format!("there is no service \"{text}\"");
        let nearest = self
            .order
            .iter()
            .map(|id| if text.contains('/') { id.to_string() } else { id.service.to_string() })
            .map(|name| (distance(text, &name), name))
            .min();
        let hint = match nearest {
            Some((away, name)) if away <= 1 + text.chars().count() / 3 => format!("did you mean {name}?"),
            Some(_) | None => self.known(),
        };
        Unresolved { reason, hint: Some(hint) }
    }

    /// No such project is open.
    pub(super) fn unknown_project(&self, name: &ProjectName) -> Unresolved {
        let reason = format!("no project \"{name}\" is open");
        let nearest = self.projects.keys().map(|open| (distance(name.as_str(), open.as_str()), open)).min();
        let hint = match nearest {
            None => "no project is open at all".to_owned(),
            Some((away, open)) if away <= 1 + name.as_str().chars().count() / 3 => format!("did you mean {open}?"),
            Some(_) => {
                let names: Vec<&str> = self.projects.keys().take(CANDIDATES).map(ProjectName::as_str).collect();
                let more = if self.projects.len() > CANDIDATES { " …" } else { "" };
                format!("open: {}{more}", names.join(", "))
            }
        };
        Unresolved { reason, hint: Some(hint) }
    }

    fn known(&self) -> String {
        let names: Vec<String> = self.order.iter().take(CANDIDATES).map(|id| self.short(id)).collect();
        let more = if self.order.len() > CANDIDATES { " …" } else { "" };
        format!("known: {}{more}", names.join(", "))
    }

    /// The shortest name that means this service alone.
    pub(super) fn short(&self, id: &ServiceId) -> String {
        let twins = self.projects.keys().filter(|project| {
            self.services.contains_key(&ServiceId { project: (*project).clone(), service: id.service.clone() })
        });
        if twins.count() > 1 { id.to_string() } else { id.service.to_string() }
    }
}

/// Whether `text` is what `pattern` means; `*` stands for any run of characters.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    true
}

/// Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`: "optimal string alignment", after Damerau,
/// Communications of the ACM 7:3, 1964.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (above[j] + usize::from(x != y)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{distance, matches};

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, text, is) in [
            ("web", "web", true),
            ("web", "web2", false),
            ("*", "web", true),
            ("worker-*", "worker-1", true),
            ("worker-*", "work", false),
            ("*-1", "worker-1", true),
            ("w*k*1", "worker-1", true),
            ("w*k*2", "worker-1", false),
            ("a*a", "a", false),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern, text), is, "{pattern} {text}");
        }
    }

    #[test]
    fn edits_are_counted() {
        for (a, b, edits) in [
            ("web", "web", 0),
            ("wbe", "web", 1),
            ("abcd", "badc", 2),
            ("we", "web", 1),
            ("", "web", 3),
            ("dbx", "db", 1),
        ] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }
}
