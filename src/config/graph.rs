//! What services say about each other: dependencies that exist, hold and end somewhere; ports that nobody shares.

use std::collections::{HashMap, HashSet};

use super::{
    draft::{Draft, Edge},
    nearest::nearest,
    problems::Place,
    reader::Reader,
};
use crate::model::{
    occasion::Replica,
    service::{Condition, RestartPolicy},
};

/// Most names that a hint lists.
const LISTED: usize = 12;
/// Unknown names for which the nearest known one is sought; each search looks at every service.
const GUESSES: usize = 50;

/// Reports everything; removes edges to absent services that are not required.
pub(crate) fn check(reader: &mut Reader<'_>, drafts: &mut [Draft]) {
    check_names(reader, drafts);
    expand_groups(drafts);
    let index: HashMap<String, usize> =
        drafts.iter().enumerate().map(|(at, draft)| (draft.name.to_string(), at)).collect();
    let mut kept: Vec<Vec<Edge>> = Vec::with_capacity(drafts.len());
    let mut strangers = 0;
    for draft in drafts.iter() {
        let edges = draft.edges.iter().filter(|edge| {
            let to = index.get(&edge.to);
            if let Some(to) = to {
                check_condition(reader, edge, &drafts[*to]);
            } else {
                strangers += 1;
                unknown(reader, edge, drafts, if strangers <= GUESSES { drafts } else { &[] });
            }
            to.is_some()
        });
        kept.push(edges.cloned().collect());
    }
    for (draft, edges) in drafts.iter_mut().zip(kept) {
        draft.edges = edges;
    }
    check_ports(reader, drafts);
    let arrows: Vec<Vec<(usize, Place)>> = drafts
        .iter()
        .map(|draft| draft.edges.iter().filter_map(|edge| Some((*index.get(&edge.to)?, edge.at))).collect())
        .collect();
    for cycle in cycles(&arrows) {
        report_cycle(reader, drafts, &cycle);
    }
}

/// The name of a copy is nobody else's.
fn check_names(reader: &mut Reader<'_>, drafts: &[Draft]) {
    let copies: HashMap<&str, &Draft> = drafts
        .iter()
        .filter(|draft| draft.occasions.replica.is_some())
        .map(|draft| (draft.name.as_str(), draft))
        .collect();
    let mut said = HashSet::new();
    for draft in drafts.iter().filter(|draft| draft.occasions.replica.is_none()) {
        let copy = copies.get(draft.name.as_str()).and_then(|copy| copy.occasions.replica.as_ref());
        if let Some(Replica { of, number, .. }) = copy
            && said.insert(&draft.name)
        {
            let message = format!("{}: copy {number} of {of} has this name, too", draft.name);
            reader.error(draft.at, message, "rename one of the two");
        }
    }
    // Copies of two services that are called `web` and `web-1` themselves.
    let mut seen: HashMap<&str, &Draft> = HashMap::new();
    for draft in drafts.iter().filter(|draft| draft.occasions.replica.is_some()) {
        if let Some(other) = seen.insert(draft.name.as_str(), draft)
            && other.at != draft.at
        {
            let message = format!("{}: copies of two services have this name", draft.name);
            reader.error(draft.at, message, "rename one of the two");
        }
    }
}

/// An arrow to the name of several copies is an arrow to each of them.
fn expand_groups(drafts: &mut [Draft]) {
    let mut groups: HashMap<String, Vec<String>> = HashMap::new();
    for draft in drafts.iter() {
        if let Some(replica) = &draft.occasions.replica {
            groups.entry(replica.of.to_string()).or_default().push(draft.name.to_string());
        }
    }
    for draft in drafts.iter_mut().filter(|draft| draft.edges.iter().any(|edge| groups.contains_key(&edge.to))) {
        let mut edges: Vec<Edge> = Vec::new();
        for edge in std::mem::take(&mut draft.edges) {
            let all = groups.get(&edge.to).cloned().unwrap_or_else(|| vec![edge.to.clone()]);
            for to in all {
                if !edges.iter().any(|known| known.to == to) {
                    edges.push(Edge { to, ..edge.clone() });
                }
            }
        }
        draft.edges = edges;
    }
}

fn unknown(reader: &mut Reader<'_>, edge: &Edge, drafts: &[Draft], candidates: &[Draft]) {
    let message = format!("depends_on: there is no service \"{}\"", edge.to);
    if !edge.dependency.required {
        reader.note_in(edge.file.as_deref(), edge.at, message, "it is not required, so it is left out");
        return;
    }
    let hint = match nearest(&edge.to, candidates.iter().map(|draft| draft.name.as_str())) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None if drafts.len() <= LISTED => {
            format!("one of: {}", drafts.iter().map(|draft| draft.name.as_str()).collect::<Vec<_>>().join(", "))
        }
        None => "name a service of this file".to_owned(),
    };
    reader.error_in(edge.file.as_deref(), edge.at, message, hint);
}

fn check_condition(reader: &mut Reader<'_>, edge: &Edge, to: &Draft) {
    let name = &to.name;
    match edge.dependency.condition {
        Condition::ServiceHealthy if !to.has_health => reader.error_in(
            edge.file.as_deref(),
            edge.at,
            format!("depends_on: {name} can never be service_healthy: nothing asks whether it is"),
            format!("give {name} a readiness probe, such as readiness: {{tcp: 5432}}, or use service_started"),
        ),
        Condition::ServiceLogReady if to.ready_log_line.is_none() => reader.error_in(
            edge.file.as_deref(),
            edge.at,
            format!("depends_on: {name} can never be service_log_ready: it has no ready_log_line"),
            format!("give {name} a ready_log_line, such as ready_log_line: \"listening on\""),
        ),
        Condition::ServiceCompletedSuccessfully => match to.restart() {
            RestartPolicy::Always | RestartPolicy::UnlessStopped => reader.note_in(
                edge.file.as_deref(),
                edge.at,
                format!("depends_on: {name} is started again whenever it ends (restart: {})", to.restart().label()),
                format!("a service that completes has restart: \"no\" or on-failure; change it in {name}"),
            ),
            RestartPolicy::No | RestartPolicy::OnFailure { .. } => {}
        },
        Condition::ServiceStarted | Condition::ServiceHealthy | Condition::ServiceLogReady => {}
    }
}

fn check_ports(reader: &mut Reader<'_>, drafts: &[Draft]) {
    let mut owners: HashMap<u16, &Draft> = HashMap::new();
    for draft in drafts {
        for (port, at) in &draft.ports {
            match owners.get(port) {
                Some(first) if are_copies(first, draft) => {}
                Some(first) => reader.error_in(
                    draft.file.as_deref(),
                    *at,
                    format!("ports: {} and {} both want port {port}", first.name, draft.name),
                    "only one process can listen on a port: change one of them",
                ),
                None => {
                    owners.insert(*port, draft);
                }
            }
        }
    }
}

/// What several copies of one service do with a port is told where they are read.
fn are_copies(one: &Draft, other: &Draft) -> bool {
    let of = |draft: &Draft| draft.occasions.replica.as_ref().map(|replica| replica.of.clone());
    of(one).is_some() && of(one) == of(other)
}

/// An arrow of a cycle: from which service, and where it is written.
type Step = (usize, Place);

/// Cycles that share no service, in the order of the file: at least one of every knot of services that wait for each other.
/// Depth-first with a stack of its own: a chain of any length is walked.
fn cycles(arrows: &[Vec<(usize, Place)>]) -> Vec<Vec<Step>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; arrows.len()];
    let mut told = vec![false; arrows.len()];
    let mut found = Vec::new();
    for start in 0..arrows.len() {
        if marks[start] != Mark::New {
            continue;
        }
        marks[start] = Mark::Open;
        // Per service on the way: which arrow is followed next.
        let mut way: Vec<(usize, usize)> = vec![(start, 0)];
        while let Some((service, next)) = way.last_mut() {
            let Some((to, _)) = arrows[*service].get(*next) else {
                marks[*service] = Mark::Done;
                way.pop();
                continue;
            };
            *next += 1;
            match marks[*to] {
                Mark::New => {
                    marks[*to] = Mark::Open;
                    way.push((*to, 0));
                }
                Mark::Open if !told[*to] && !told[*service] => {
                    // Whatever comes of it, each service begins this search once at most.
                    told[*service] = true;
                    let begin = way.iter().position(|(service, _)| service == to).unwrap_or(0);
                    let (last, before) = way[begin..].split_last().expect("the way is not empty here");
                    if before.iter().all(|(service, _)| !told[*service]) {
                        for (service, _) in before {
                            told[*service] = true;
                        }
                        let steps = before.iter().chain([last]);
                        found.push(steps.map(|(from, next)| (*from, arrows[*from][next - 1].1)).collect());
                    }
                }
                Mark::Open | Mark::Done => {}
            }
        }
    }
    found
}

fn report_cycle(reader: &mut Reader<'_>, drafts: &[Draft], cycle: &[Step]) {
    let Some((first, at)) = cycle.first() else { return };
    let names: Vec<&str> = cycle.iter().map(|(service, _)| drafts[*service].name.as_str()).collect();
    let back = drafts[*first].name.as_str();
    let places: Vec<String> = cycle
        .iter()
        .zip(names.iter().skip(1).copied().chain([back]))
        .take(LISTED)
        .map(|((from, place), to)| format!("{} → {to} at {}:{}", drafts[*from].name, place.line, place.column))
        .collect();
    let more = if cycle.len() > LISTED { format!(" and {} more", cycle.len() - LISTED) } else { String::new() };
    let message = if let [name] = names.as_slice() {
        format!("depends_on: {name} waits for itself: {name} → {name}")
    } else {
        format!("depends_on: services wait for each other: {} → {back}", names.join(" → "))
    };
    let file = drafts[*first].file.as_deref();
    reader.error_in(file, *at, message, format!("remove one of: {}{more}", places.join(", ")));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrows(of: &[&[usize]]) -> Vec<Vec<(usize, Place)>> {
        of.iter().map(|to| to.iter().map(|to| (*to, Place::START)).collect()).collect()
    }

    fn found(of: &[&[usize]]) -> Vec<Vec<usize>> {
        cycles(&arrows(of)).into_iter().map(|cycle| cycle.into_iter().map(|(service, _)| service).collect()).collect()
    }

    #[test]
    fn cycles_are_found_and_diamonds_are_not_cycles() {
        assert_eq!(found(&[&[1, 2], &[3], &[3], &[]]), Vec::<Vec<usize>>::new());
        assert_eq!(found(&[&[0]]), [[0]]);
        assert_eq!(found(&[&[1], &[2], &[0]]), [[0, 1, 2]]);
        assert_eq!(found(&[&[1], &[2], &[1]]), [[1, 2]]);
        assert_eq!(found(&[&[1], &[0], &[3], &[2]]), [[0, 1], [2, 3]]);
    }

    #[test]
    fn a_very_long_chain_is_walked() {
        let chain: Vec<Vec<(usize, Place)>> =
            (0..100_000).map(|at| if at == 99_999 { vec![] } else { vec![(at + 1, Place::START)] }).collect();
        assert!(cycles(&chain).is_empty());
    }
}
