//! Several files and the code of one project, made one. Promise: a service that is told in several places is one service, every place is
//! kept, and the more explicit and nearer one wins; what disagrees is said. Never: reads or runs anything.
//!
//! Tellings are the same service where they have the same name, else the same command in the same directory, else the same port of this machine, else
//! where a container is built from the very directory in which a process runs.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use super::import::{Candidate, Note, Role, Runtime, Told, Variable, Weight};
use crate::model::{
    ids::ServiceName,
    probe::ProbeKind,
    service::{CommandLine, Condition, RestartPolicy, Source},
};

/// What tells a service; the more explicit first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tool {
    /// The project file of cas: nothing is added to it.
    Cas,
    /// process-compose.
    ProcessCompose,
    /// mprocs.
    Mprocs,
    /// `Procfile.dev`.
    ProcfileDev,
    /// `Procfile`.
    Procfile,
    /// pm2.
    Pm2,
    /// devbox.
    Devbox,
    /// Compose.
    Compose,
    /// A dev container that names compose files.
    Devcontainer,
    /// The code itself.
    Code,
    /// supervisord.
    Supervisord,
    /// A unit of systemd.
    Systemd,
}

/// What a telling is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It lists what is to run while one works.
    Lists,
    /// It adds what others do not have.
    Adds,
    /// It is for another place than this machine; it counts where nothing else tells a process.
    Deploys,
}

impl Tool {
    /// The word for people and for JSON.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Cas => "cas",
            Self::ProcessCompose => "process-compose",
            Self::Mprocs => "mprocs",
            Self::ProcfileDev | Self::Procfile => "Procfile",
            Self::Pm2 => "pm2",
            Self::Devbox => "devbox",
            Self::Compose => "compose",
            Self::Devcontainer => "devcontainer",
            Self::Code => "code",
            Self::Supervisord => "supervisord",
            Self::Systemd => "systemd",
        }
    }

    const fn standing(self) -> Standing {
        match self {
            Self::Cas | Self::ProcessCompose | Self::Mprocs | Self::ProcfileDev | Self::Procfile | Self::Pm2 => {
                Standing::Lists
            }
            Self::Devbox | Self::Compose | Self::Devcontainer | Self::Code => Standing::Adds,
            Self::Supervisord | Self::Systemd => Standing::Deploys,
        }
    }
}

/// What one file, or the code, tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// Who tells.
    pub tool: Tool,
    /// The file; of code the directory.
    pub file: PathBuf,
    /// Where its services belong: the directory of the file.
    pub directory: PathBuf,
    /// True for a file above the project: it only adds to services that are told elsewhere.
    pub is_above: bool,
    /// The services.
    pub services: Vec<Candidate>,
}

/// One telling of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// Who tells.
    pub tool: Tool,
    /// What.
    pub candidate: Candidate,
}

/// A value that is told differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The key, as in a `cas.yaml`: `ports`, `environment.STAGE`.
    pub key: String,
    /// What counts.
    pub taken: Told<String>,
    /// What does not.
    pub left: Told<String>,
}

/// A service, whoever tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    /// What is taken, each value with its place.
    pub candidate: Candidate,
    /// Every telling, the one whose name is taken first.
    pub accounts: Vec<Account>,
    /// Which of `accounts` is run.
    pub runs: usize,
    /// What disagrees.
    pub conflicts: Vec<Conflict>,
}

/// The whole project.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Whole {
    /// Services and tasks, in the order in which they were told.
    pub services: Vec<Merged>,
    /// What is told and not taken, because others list what is to run.
    pub aside: Vec<Account>,
    /// Alternatives and conflicts, for people.
    pub notes: Vec<Note>,
}

struct Group {
    accounts: Vec<(usize, Account)>,
    is_taken: bool,
}

/// Merges what `offers` tell; they need no order.
#[must_use]
pub fn merge(root: &Path, mut offers: Vec<Offer>) -> Whole {
    offers.sort_by_key(|offer| (offer.is_above, offer.tool, offer.directory.components().count()));
    let rule = Rule::of(&offers);
    let mut groups: Vec<Group> = Vec::new();
    let mut known = Index::default();
    for (index, offer) in offers.iter().enumerate() {
        // A task of code or devbox is a script such as build or lint; in a file of services it is a step of the start.
        let has_scripts = matches!(offer.tool, Tool::Code | Tool::Devbox);
        let services: Vec<&Candidate> =
            offer.services.iter().filter(|it| !has_scripts || it.role == Role::Service).collect();
        // Namesakes first: what has one is not taken for another service that happens to be run alike.
        let mut places: Vec<Option<usize>> = Vec::new();
        for candidate in &services {
            let at = known.namesake(root, &groups, index, candidate);
            if let Some(at) = at {
                groups[at].accounts.push((index, Account { tool: offer.tool, candidate: (*candidate).clone() }));
            }
            places.push(at);
        }
        for (candidate, place) in services.iter().zip(places) {
            let at = place.or_else(|| known.likeness(root, &groups, index, candidate)).unwrap_or(groups.len());
            if at == groups.len() {
                groups.push(Group { accounts: Vec::new(), is_taken: false });
            }
            groups[at].is_taken |= rule.takes(root, offer, candidate);
            if place.is_none() {
                groups[at].accounts.push((index, Account { tool: offer.tool, candidate: (*candidate).clone() }));
            }
            known.add(root, at, candidate);
        }
    }
    let mut whole = Whole::default();
    for Group { accounts, is_taken } in groups {
        let accounts: Vec<Account> = accounts.into_iter().map(|(_, account)| account).collect();
        if is_taken {
            whole.services.push(unite(accounts));
        } else {
            whole.aside.extend(accounts.into_iter().next());
        }
    }
    let renamed = name_apart(root, &mut whole.services);
    rename_edges(&mut whole.services, &renamed);
    part_ports(&mut whole);
    soften_edges(&mut whole.services);
    tell(root, &mut whole);
    whole
}

/// Which tellings make a service of their own.
struct Rule {
    /// Directories with a list of what is to run.
    lists: BTreeSet<PathBuf>,
    /// True where nothing but what is meant for other machines tells a process.
    only_deployed: bool,
    /// There is a project file of cas.
    only_cas: bool,
}

impl Rule {
    fn of(offers: &[Offer]) -> Self {
        let here = || offers.iter().filter(|offer| !offer.is_above);
        let has_process = |offer: &&Offer| {
            offer.services.iter().any(|it| matches!(it.runtime, Runtime::Process(_)) && it.role == Role::Service)
        };
        let lists = here().filter(|offer| offer.tool.standing() == Standing::Lists && !offer.services.is_empty());
        let lists: BTreeSet<PathBuf> = lists.map(|offer| offer.directory.clone()).collect();
        let mut telling = here().filter(|offer| offer.tool.standing() != Standing::Deploys);
        Self {
            lists,
            only_deployed: !telling.any(|offer| has_process(&offer)),
            only_cas: here().any(|offer| offer.tool == Tool::Cas),
        }
    }

    fn takes(&self, root: &Path, offer: &Offer, candidate: &Candidate) -> bool {
        if offer.is_above || (self.only_cas && offer.tool != Tool::Cas) {
            return false;
        }
        match offer.tool.standing() {
            Standing::Lists => true,
            Standing::Deploys => self.only_deployed,
            Standing::Adds if offer.tool != Tool::Code => true,
            Standing::Adds => {
                let directory = candidate.working_dir.as_ref().map_or(root, |told| told.value.as_path());
                // A list at the root names what runs anywhere below; one further down speaks for its own directory.
                !self.lists.contains(root) && !self.lists.iter().any(|list| directory.starts_with(list))
            }
        }
    }
}

/// Which groups tell what a service can be known by.
#[derive(Default)]
struct Index {
    lines: HashMap<(PathBuf, String), Vec<usize>>,
    names: HashMap<String, Vec<usize>>,
    ports: HashMap<u16, Vec<usize>>,
    built_from: HashMap<PathBuf, Vec<usize>>,
    run_in: HashMap<PathBuf, Vec<usize>>,
}

impl Index {
    fn add(&mut self, root: &Path, group: usize, candidate: &Candidate) {
        if let Some(line) = line(candidate) {
            self.lines.entry((directory(root, candidate).to_owned(), line)).or_default().push(group);
            if let Some(told) = &candidate.working_dir {
                self.run_in.entry(told.value.clone()).or_default().push(group);
            }
        }
        self.names.entry(folded(&candidate.name.value)).or_default().push(group);
        for (port, _) in ports(candidate) {
            self.ports.entry(port).or_default().push(group);
        }
        if let Some(context) = context(candidate) {
            self.built_from.entry(context.to_owned()).or_default().push(group);
        }
    }

    /// The group that tells a service of this name. Two tellings of one offer are two services.
    fn namesake(&self, root: &Path, groups: &[Group], offer: usize, candidate: &Candidate) -> Option<usize> {
        let name = folded(&candidate.name.value);
        let same = |other: &Candidate| name == folded(&other.name.value) && !is_apart(root, other, candidate);
        first(groups, offer, self.names.get(&name).filter(|_| !name.is_empty()), &same)
    }

    /// The group that tells a service that runs the same, or at the same port, or of which the one is built where the other runs.
    fn likeness(&self, root: &Path, groups: &[Group], offer: usize, candidate: &Candidate) -> Option<usize> {
        let first = |among: Option<&Vec<usize>>| first(groups, offer, among, &|_| true);
        let own = line(candidate);
        let key = |line: &String| (directory(root, candidate).to_owned(), line.clone());
        own.as_ref()
            .and_then(|line| first(self.lines.get(&key(line))))
            .or_else(|| ports(candidate).find_map(|(port, _)| first(self.ports.get(&port))))
            .or_else(|| {
                let told = candidate.working_dir.as_ref().filter(|_| own.is_some())?;
                first(self.built_from.get(&told.value))
            })
            .or_else(|| first(self.run_in.get(context(candidate)?)))
    }
}

/// The first of some groups that has no telling of this offer, and one that is the same.
fn first(
    groups: &[Group],
    offer: usize,
    among: Option<&Vec<usize>>,
    same: &dyn Fn(&Candidate) -> bool,
) -> Option<usize> {
    among?.iter().copied().find(|at| {
        let accounts = &groups[*at].accounts;
        !accounts.iter().any(|(of, _)| *of == offer) && accounts.iter().any(|(_, account)| same(&account.candidate))
    })
}

fn folded(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn directory<'c>(root: &'c Path, candidate: &'c Candidate) -> &'c Path {
    candidate.working_dir.as_ref().map_or(root, |told| told.value.as_path())
}

fn line(candidate: &Candidate) -> Option<String> {
    match &candidate.runtime {
        Runtime::Process(command) => Some(command.value.display().split_whitespace().collect::<Vec<_>>().join(" ")),
        Runtime::Container(_) => None,
    }
}

/// Processes in two different directories below the root.
fn is_apart(root: &Path, a: &Candidate, b: &Candidate) -> bool {
    let is_process = |it: &Candidate| matches!(it.runtime, Runtime::Process(_));
    let (of_a, of_b) = (directory(root, a), directory(root, b));
    is_process(a) && is_process(b) && of_a != of_b && of_a != root && of_b != root
}

/// The directory of which a container is made.
fn context(candidate: &Candidate) -> Option<&Path> {
    let Runtime::Container(container) = &candidate.runtime else { return None };
    container.build.as_ref().map(|build| Path::new(build.value.context.as_str()))
}

/// TCP ports of this machine.
pub(super) fn ports(candidate: &Candidate) -> impl Iterator<Item = (u16, &Source)> {
    let is_process = matches!(candidate.runtime, Runtime::Process(_));
    candidate.ports.iter().filter(|told| !told.value.is_udp).filter_map(move |told| {
        let port = told.value.host.or(is_process.then_some(told.value.target))?;
        Some((port, &told.source))
    })
}

/// One service of all that is told of it.
fn unite(accounts: Vec<Account>) -> Merged {
    let is_process = |account: &Account| matches!(account.candidate.runtime, Runtime::Process(_));
    let runs = accounts.iter().position(is_process).unwrap_or(0);
    let mut candidate = accounts[runs].candidate.clone();
    candidate.name = accounts[0].candidate.name.clone();
    // foreman ends everything when one process ends; whoever has the file opened here wants it healed.
    if matches!(accounts[runs].tool, Tool::Procfile | Tool::ProcfileDev)
        && candidate.restart.as_ref().is_some_and(|told| told.value == RestartPolicy::No)
    {
        candidate.restart = None;
    }
    let mut conflicts = Vec::new();
    for (index, account) in accounts.iter().enumerate() {
        if index != runs {
            add(&mut candidate, account, &mut conflicts);
        }
    }
    Merged { candidate, accounts, runs, conflicts }
}

/// What the telling that is run leaves open. Variables and restarts of a container mean the inside of one and are left there.
fn add(candidate: &mut Candidate, account: &Account, conflicts: &mut Vec<Conflict>) {
    let other = &account.candidate;
    let own: Option<(u16, Source)> =
        given_port(candidate).or_else(|| ports(candidate).next().map(|(port, at)| (port, at.clone())));
    match (&own, ports(other).next()) {
        (Some((port, at)), Some((left, left_at))) if *port != left => conflicts.push(Conflict {
            key: "ports".to_owned(),
            taken: Told { value: port.to_string(), source: at.clone() },
            left: Told { value: left.to_string(), source: left_at.clone() },
        }),
        (None, Some(_)) => {
            candidate.ports.clone_from(&other.ports);
            take_probes(candidate, other);
        }
        (Some(_), Some(_)) => {
            if candidate.ports.is_empty() {
                candidate.ports.clone_from(&other.ports);
            }
            take_probes(candidate, other);
        }
        (_, None) => {}
    }
    if candidate.description.is_none() {
        candidate.description.clone_from(&other.description);
    }
    for (name, told) in &other.depends_on {
        candidate.depends_on.entry(name.clone()).or_insert_with(|| told.clone());
    }
    if line(other).is_some() {
        differing_values(candidate, other, conflicts);
    }
}

/// A container's probe that is executed runs inside of it.
fn take_probes(candidate: &mut Candidate, other: &Candidate) {
    if candidate.probes.is_empty() && line(other).is_some() {
        candidate.probes.clone_from(&other.probes);
    }
}

/// `PORT`, where the telling that is run sets it: a program that is told a port listens there.
fn given_port(candidate: &Candidate) -> Option<(u16, Source)> {
    let told = candidate.environment.get("PORT")?;
    let Variable::Text(text) = &told.value else { return None };
    Some((text.parse().ok()?, told.source.clone()))
}

fn differing_values(candidate: &Candidate, other: &Candidate, conflicts: &mut Vec<Conflict>) {
    for (name, told) in &candidate.environment {
        let Some(left) = other.environment.get(name).filter(|left| left.value != told.value) else { continue };
        // Values of variables may be secrets: that they differ is enough.
        let shown = |told: &Told<Variable>| Told { value: "another value".to_owned(), source: told.source.clone() };
        conflicts.push(Conflict { key: format!("environment.{name}"), taken: shown(told), left: shown(left) });
    }
    if let (Some(taken), Some(left)) = (&candidate.restart, &other.restart)
        && taken.value != left.value
    {
        let shown =
            |told: &Told<RestartPolicy>| Told { value: told.value.label().to_owned(), source: told.source.clone() };
        conflicts.push(Conflict { key: "restart".to_owned(), taken: shown(taken), left: shown(left) });
    }
}

/// Gives every service a name of its own. Returns what was renamed, by directory and old name.
fn name_apart(root: &Path, services: &mut [Merged]) -> BTreeMap<(PathBuf, String), String> {
    let mut renamed = BTreeMap::new();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for merged in services {
        let own = merged.candidate.name.value.clone();
        let directory = directory(root, &merged.candidate).to_owned();
        if taken.insert(own.clone()) {
            continue;
        }
        let below =
            directory.strip_prefix(root).ok().and_then(|below| below.file_name()).map(|name| name.to_string_lossy());
        let prefixed = below.map(|below| format!("{below}-{own}")).filter(|name| ServiceName::new(name).is_ok());
        let base = prefixed.unwrap_or_else(|| own.clone());
        let numbered = (2..).map(|number| format!("{own}-{number}"));
        let Some(name) = std::iter::once(base).chain(numbered).find(|name| taken.insert(name.clone())) else {
            continue;
        };
        renamed.insert((directory, own), name.clone());
        merged.candidate.name.value = name;
    }
    renamed
}

/// Arrows follow what was renamed within their directory, and lead to the name that a merged service took.
fn rename_edges(services: &mut [Merged], renamed: &BTreeMap<(PathBuf, String), String>) {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for merged in services.iter() {
        for account in &merged.accounts {
            names.entry(account.candidate.name.value.clone()).or_insert_with(|| merged.candidate.name.value.clone());
        }
    }
    let taken: BTreeSet<String> = services.iter().map(|merged| merged.candidate.name.value.clone()).collect();
    for merged in services {
        let own = merged.candidate.name.value.clone();
        let here = merged.candidate.working_dir.as_ref().map(|told| told.value.clone());
        let edges = std::mem::take(&mut merged.candidate.depends_on);
        for (to, told) in edges {
            let local = here.as_ref().and_then(|here| renamed.get(&(here.clone(), to.clone())));
            let to = local.cloned().unwrap_or_else(|| match names.get(&to) {
                Some(name) if !taken.contains(&to) => name.clone(),
                Some(_) | None => to,
            });
            if to != own {
                merged.candidate.depends_on.entry(to).or_insert(told);
            }
        }
    }
}

/// What was told of another way to run a service need not hold for this one: one that nothing asks whether it is well is only waited for until it runs.
fn soften_edges(services: &mut [Merged]) {
    let mut unasked: BTreeMap<String, PathBuf> = BTreeMap::new();
    for merged in services.iter() {
        let Merged { candidate, accounts, runs, .. } = merged;
        let is_asked =
            [ProbeKind::Startup, ProbeKind::Readiness].iter().any(|kind| candidate.probes.contains_key(kind));
        if !is_asked {
            let file = accounts[*runs].candidate.name.source.file.clone();
            unasked.insert(candidate.name.value.clone(), file);
        }
    }
    for merged in services {
        for (to, told) in &mut merged.candidate.depends_on {
            let is_of_other = unasked.get(to).is_some_and(|file| *file != told.source.file);
            if is_of_other && told.value.condition == Condition::ServiceHealthy {
                told.value.condition = Condition::ServiceStarted;
            }
        }
    }
}

/// A port can be had once: a service that was told by code alone gives way, as its port is a guess from its framework's default.
fn part_ports(whole: &mut Whole) {
    let mut owners: BTreeMap<u16, String> = BTreeMap::new();
    let Whole { services, notes, .. } = whole;
    for merged in services {
        let name = merged.candidate.name.value.clone();
        let Some((port, at)) = ports(&merged.candidate).next().map(|(port, at)| (port, at.clone())) else { continue };
        match owners.get(&port) {
            None => {
                owners.insert(port, name);
            }
            Some(owner) if merged.accounts[merged.runs].tool == Tool::Code => {
                let message = format!("{name} would listen on port {port}, as {owner} does");
                let hint = Some("give one of them another port in a cas.yaml (cas init writes one)".to_owned());
                notes.push(Note { weight: Weight::Hint, source: at, message, hint });
                merged.candidate.ports.clear();
                merged.candidate.probes.clear();
            }
            Some(_) => {}
        }
    }
}

/// A telling in a few words, with its place.
fn shown(root: &Path, account: &Account) -> String {
    format!("{} ({})", what(root, &account.candidate), place(root, &account.candidate.name.source))
}

/// What it would run, in a few words.
pub(super) fn what(root: &Path, candidate: &Candidate) -> String {
    match &candidate.runtime {
        Runtime::Process(command) => format!("\"{}\"", brief(&command.value)),
        Runtime::Container(container) => match (&container.image, &container.build) {
            (Some(image), _) => format!("a container of {}", image.value),
            (None, Some(build)) => {
                let context = Path::new(&build.value.context);
                let below = context.strip_prefix(root).unwrap_or(context).display().to_string();
                format!("a container built from {}", if below.is_empty() { "." } else { &below })
            }
            (None, None) => "a container".to_owned(),
        },
    }
}

fn brief(command: &CommandLine) -> String {
    const MOST: usize = 60;
    let line = command.display();
    if line.chars().count() <= MOST { line } else { line.chars().take(MOST - 1).chain(['…']).collect() }
}

/// File, as seen from the root, and line.
pub(super) fn place(root: &Path, source: &Source) -> String {
    format!("{}:{}", source.file.strip_prefix(root).unwrap_or(&source.file).display(), source.line)
}

fn tell(root: &Path, whole: &mut Whole) {
    let mut notes = Vec::new();
    for merged in &whole.services {
        let name = &merged.candidate.name.value;
        let others = merged.accounts.iter().enumerate().filter(|(index, _)| *index != merged.runs);
        let others: Vec<&Account> =
            others.map(|(_, account)| account).filter(|it| is_alternative(root, merged, it)).collect();
        for account in &others {
            notes.push(Note {
                weight: Weight::Hint,
                source: account.candidate.name.source.clone(),
                message: format!(
                    "{name} is told twice: {} is run, {} is not",
                    shown(root, &merged.accounts[merged.runs]),
                    shown(root, account)
                ),
                hint: Some(format!("cas explain {name} lists all that is known of it")),
            });
        }
        for conflict in &merged.conflicts {
            let Conflict { key, taken, left } = conflict;
            notes.push(Note {
                weight: Weight::Hint,
                source: left.source.clone(),
                message: match key.strip_prefix("environment.") {
                    Some(variable) => format!(
                        "{name}: {variable} has one value at {} and another at {}: the first is taken",
                        place(root, &taken.source),
                        place(root, &left.source)
                    ),
                    None => format!(
                        "{name}: {key} is {} at {} and {} at {}: the first is taken",
                        taken.value,
                        place(root, &taken.source),
                        left.value,
                        place(root, &left.source)
                    ),
                },
                hint: Some("say it once, or in a cas.yaml, which wins over all others".to_owned()),
            });
        }
    }
    for account in &whole.aside {
        notes.push(Note {
            weight: Weight::Hint,
            source: account.candidate.name.source.clone(),
            message: format!("{} is not taken: {}", account.candidate.name.value, shown(root, account)),
            hint: Some("other files list what is to run here; a cas.yaml may name it, too".to_owned()),
        });
    }
    whole.notes.append(&mut notes);
}

/// Whether a telling would run something else than what is run.
fn is_alternative(root: &Path, merged: &Merged, account: &Account) -> bool {
    let (taken, other) = (&merged.accounts[merged.runs].candidate, &account.candidate);
    line(taken) != line(other) || directory(root, taken) != directory(root, other)
}
