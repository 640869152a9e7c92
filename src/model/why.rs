//! Why something is as it is: a service, an entry of the timeline, a project. What it says now, what led to it, whom it is up to,
//! what the healer does next, what a person can do. One answer for the console and the command line.
//!
//! Never: guesses. What is not in the picture is not said.

mod can;
mod entries;
mod next;

use super::{
    exam::Grade,
    ids::{ProjectName, ServiceId, ServiceName},
    phase::{Exit, Health, Phase},
    policy::Autopilot,
    snapshot::{ServiceView, Snapshot},
    standing::{Standing, Tally, blame, clause, ended},
    time::{Timestamp, short_duration},
    timeline::Entry,
};

pub use self::{can::Deed, entries::Happened};

/// An answer. All texts are sentences without a full stop and may hold what servers and services wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// About what: `shop/web`, `project shop`, `shop/web at an instant`.
    pub subject: String,
    /// How bad it is.
    pub grade: Grade,
    /// The answer in one sentence.
    pub headline: String,
    /// More of it.
    pub because: Vec<String>,
    /// What led to it, causes first.
    pub led_to: Vec<Happened>,
    /// Whom it is up to: from what it depends on to what is behind it all.
    pub blame: Vec<Blamed>,
    /// What happens by itself, and when.
    pub next: Vec<Next>,
    /// What a person can do.
    pub can: Vec<Step>,
}

/// A service that another is held up by.
#[derive(Debug, Clone, PartialEq)]
pub struct Blamed {
    /// Which.
    pub service: ServiceId,
    /// Its word, as of [`Standing`].
    pub word: &'static str,
    /// How bad it is.
    pub grade: Grade,
    /// What is wrong with it.
    pub sentence: String,
}

/// What happens by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// What.
    pub text: String,
    /// When; none: it depends on something else than time.
    pub at: Option<Timestamp>,
}

impl Next {
    fn when(text: impl Into<String>, at: Timestamp) -> Self {
        Self { text: text.into(), at: Some(at) }
    }

    fn says(text: impl Into<String>) -> Self {
        Self { text: text.into(), at: None }
    }
}

/// What a person can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it does: `start it again, counts from zero`.
    pub what: String,
    /// The command line behind `cas`; none: nothing of cas does it.
    pub command: Option<String>,
    /// The key of the console that does it on the selected service.
    pub deed: Option<Deed>,
}

/// Why a service is as it is; none where it is not in the picture.
#[must_use]
pub fn service(snapshot: &Snapshot, id: &ServiceId) -> Option<Answer> {
    let view = snapshot.service(id)?;
    let standing = Standing::of(snapshot, view);
    let chain = blame(snapshot, view);
    let mut because = Vec::new();
    if !standing.sentence.contains(&view.why) {
        because.push(view.why.clone());
    }
    because.extend(meaning(view));
    because.extend(findings(view));
    let led_to = entries::led_to(snapshot, view, &chain);
    Some(Answer {
        subject: id.to_string(),
        grade: standing.grade,
        headline: format!("{} {}: {}", id.service, standing.clause(), standing.sentence),
        because,
        led_to,
        blame: blamed(snapshot, &chain),
        next: next::of(snapshot, view),
        can: can::of(snapshot, view, &chain),
    })
}

fn blamed(snapshot: &Snapshot, chain: &[&ServiceView]) -> Vec<Blamed> {
    let told = |view: &&ServiceView| {
        let standing = Standing::of(snapshot, view);
        Blamed { service: view.id.clone(), word: standing.word, grade: standing.grade, sentence: standing.sentence }
    };
    chain.iter().map(told).collect()
}

/// Findings that need a look, the first three.
fn findings(view: &ServiceView) -> Vec<String> {
    let findings = view.checkup.iter().flat_map(|checkup| &checkup.findings);
    let bad = findings.filter(|finding| finding.grade >= Grade::Warning);
    bad.take(3).map(|finding| format!("{}: {}", finding.grade.label(), finding.sentence)).collect()
}

/// What the end of its last run is known to mean.
fn meaning(view: &ServiceView) -> Option<String> {
    match &view.phase {
        Phase::BackingOff { exit, .. } | Phase::Exited { exit, .. } | Phase::GaveUp { exit, .. } => exit_meaning(exit),
        Phase::Stopped { .. }
        | Phase::Waiting { .. }
        | Phase::Blocked { .. }
        | Phase::Starting { .. }
        | Phase::Running { .. }
        | Phase::Stopping { .. } => None,
    }
}

/// What an end is known to mean. Codes 126, 127 and above 128 are those of a shell (POSIX, Shell Command Language, 2.8.2:
/// <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_08_02>).
#[must_use]
pub fn exit_meaning(exit: &Exit) -> Option<String> {
    match exit {
        Exit::Code(126) => {
            Some("code 126 is what a shell gives for a file that is there and cannot be executed".to_owned())
        }
        Exit::Code(127) => Some("code 127 is what a shell gives for a program that is not found".to_owned()),
        Exit::Code(code @ 129..=192) => {
            let signal = super::signal::signal_name(code - 128);
            Some(format!("code {code} is what a shell gives for a command that was ended by {signal}"))
        }
        Exit::Signal(9) => Some("SIGKILL is sent by a person, by a supervisor, or by the kernel for memory".to_owned()),
        Exit::Signal(11) => Some("SIGSEGV is a fault of the program: it touched memory that is not its own".to_owned()),
        Exit::Signal(6) => Some("SIGABRT is the program's own: it found itself in a state that must not be".to_owned()),
        Exit::OutOfMemory { limit_bytes: Some(_), .. } => {
            Some("it wanted more memory than its limit: raise the limit, or find what it keeps".to_owned())
        }
        Exit::OutOfMemory { limit_bytes: None, .. } => {
            Some("the machine had no memory left, and the kernel chose this process".to_owned())
        }
        Exit::Code(_) | Exit::Signal(_) | Exit::Rebooted | Exit::SpawnFailed(_) | Exit::Unknown => None,
    }
}

/// Why an entry of the timeline is there: who, what led to it, what followed.
#[must_use]
pub fn entry(snapshot: &Snapshot, entry: &Entry) -> Answer {
    let id = entry.service.clone().zip(entry.project.clone());
    let id = id.map(|(service, project)| ServiceId { project, service });
    let view = id.as_ref().and_then(|id| snapshot.service(id));
    let chain = view.map_or_else(Vec::new, |view| blame(snapshot, view));
    let mut because = vec![format!("by: {}", entry.who.label())];
    if !entry.why.is_empty() {
        because.push(entry.why.clone());
    }
    because.extend(entries::meaning(entry));
    if let Some(run) = entry.run {
        because.push(format!("it was run {run} of the service"));
    }
    let subject = match (&id, &entry.project) {
        (Some(id), _) => id.to_string(),
        (None, Some(project)) => format!("project {project}"),
        (None, None) => "cas".to_owned(),
    };
    let mut next = entries::followed(snapshot, entry);
    if let Some(view) = view {
        let standing = Standing::of(snapshot, view);
        next.push(Next::says(format!("now {} {}: {}", view.id.service, standing.clause(), standing.sentence)));
    }
    Answer {
        subject,
        grade: entries::grade(entry),
        headline: entry.sentence(),
        because,
        led_to: entries::before(snapshot, entry),
        blame: blamed(snapshot, &chain),
        next,
        can: view.map(|view| can::of(snapshot, view, &chain)).unwrap_or_default(),
    }
}

/// Why a project as a whole, or everything where none is named, is as it is.
#[must_use]
pub fn project(snapshot: &Snapshot, project: Option<&ProjectName>) -> Answer {
    let own = |view: &ServiceView| project.is_none_or(|project| view.id.project == *project);
    let views: Vec<&ServiceView> = snapshot.services.iter().map(AsRef::as_ref).filter(|view| own(view)).collect();
    let standings: Vec<Standing> = views.iter().map(|view| Standing::of(snapshot, view)).collect();
    let tally = Tally::of(&standings);
    let subject = project.map_or_else(|| "everything".to_owned(), |project| format!("project {project}"));
    let mut roots: Vec<(&ServiceView, Vec<ServiceName>)> = Vec::new();
    let mut stuck: Vec<(&ServiceView, &Standing)> =
        views.iter().copied().zip(&standings).filter(|(_, standing)| standing.grade >= Grade::Warning).collect();
    stuck.sort_by_key(|(_, standing)| std::cmp::Reverse(standing.grade));
    for (view, _) in &stuck {
        let chain = blame(snapshot, view);
        let root = chain.last().copied().unwrap_or(view);
        let held = (root.id != view.id).then(|| view.id.service.clone());
        match roots.iter_mut().find(|(known, _)| known.id == root.id) {
            Some((_, behind)) => behind.extend(held),
            None => roots.push((root, held.into_iter().collect())),
        }
    }
    let mut because = own_troubles(snapshot);
    because.extend(
        roots
            .iter()
            .skip(MANY)
            .map(|(root, _)| format!("also {}, which {}", root.id.service, clause(root.phase.label()))),
    );
    let blame = roots.iter().take(MANY).map(|(root, behind)| {
        let standing = Standing::of(snapshot, root);
        let held = behind.iter().map(ServiceName::as_str).collect::<Vec<_>>().join(", ");
        let verb = if behind.len() == 1 { "depends" } else { "depend" };
        let held = if held.is_empty() { String::new() } else { format!("; {held} {verb} on it") };
        Blamed {
            service: root.id.clone(),
            word: standing.word,
            grade: standing.grade,
            sentence: format!("{}{held}", standing.sentence),
        }
    });
    let blame: Vec<Blamed> = blame.collect();
    let headline = match blame.first() {
        None if views.is_empty() => "no service is there".to_owned(),
        None => format!("nothing needs a look: {}", tally.sentence()),
        Some(_) if roots.len() == 1 => format!("one thing is wrong: {}", tally.sentence()),
        Some(_) => format!("{} things are wrong: {}", roots.len(), tally.sentence()),
    };
    let next = roots.iter().take(MANY).flat_map(|(root, _)| {
        let due = next::of(snapshot, root).into_iter().filter(|next| next.text != next::NOTHING);
        due.map(|next| Next { text: format!("{}: {}", root.id.service, next.text), ..next })
    });
    let mut led_to: Vec<Happened> =
        roots.iter().take(MANY).filter_map(|(root, _)| entries::last_cause(snapshot, root)).collect();
    led_to.sort_by_key(|happened| happened.at.mono_us);
    let can = roots.iter().take(MANY).filter_map(|(root, _)| {
        let first = can::of(snapshot, root, &[]).into_iter().next()?;
        Some(Step { what: format!("{}: {}", root.id.service, first.what), deed: None, ..first })
    });
    Answer {
        subject,
        grade: tally.worst().max(if because.is_empty() { Grade::Good } else { Grade::Warning }),
        headline,
        because,
        led_to,
        blame,
        next: next.collect(),
        can: can.collect(),
    }
}

/// Things that are wrong at once and told each in full.
const MANY: usize = 5;

/// What is wrong with cas itself or its files.
fn own_troubles(snapshot: &Snapshot) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    if let Some(first) = snapshot.problems.first() {
        let count = snapshot.problems.len();
        let more = if count > 1 { format!(" (the first of {count} problems)") } else { String::new() };
        told.push(format!("the project file was not taken, the earlier one counts: {first}{more}"));
    }
    told.extend(snapshot.troubles.values().map(|trouble| format!("cas itself: {trouble}")));
    if snapshot.engine.autopilot == Autopilot::Off && snapshot.engine.pid != 0 {
        told.push("the autopilot is off: nothing is started again by itself".to_owned());
    }
    told
}

/// `unhealthy for 20 s`, for sentences about now.
fn ill_for(snapshot: &Snapshot, view: &ServiceView) -> Option<String> {
    match &view.health {
        Health::Unhealthy { since, .. } => Some(short_duration(snapshot.at.since(*since))),
        Health::Unknown | Health::Starting { .. } | Health::Healthy { .. } | Health::Misconfigured { .. } => None,
    }
}

/// How a dependency is told that has ended.
fn end_of(view: &ServiceView) -> Option<String> {
    match &view.phase {
        Phase::BackingOff { exit, .. } | Phase::Exited { exit, .. } | Phase::GaveUp { exit, .. } => Some(ended(exit)),
        Phase::Stopped { .. }
        | Phase::Waiting { .. }
        | Phase::Blocked { .. }
        | Phase::Starting { .. }
        | Phase::Running { .. }
        | Phase::Stopping { .. } => None,
    }
}
