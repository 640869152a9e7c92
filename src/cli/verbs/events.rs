//! `cas events`: the timeline, stored and live, each entry once.

use std::sync::Arc;

use super::{
    Place, ids, load,
    reach::{Reach, Reached},
};
use crate::{
    cli::{
        args::Events,
        context::Context,
        link::LinkWatch,
        offline,
        outcome::{Failure, Outcome},
        outside::Outside,
        render::{
            events::{EventLook, document, lines},
            json_line,
            status::has_several_projects,
        },
        select, text,
    },
    model::{
        ids::ServiceId,
        query::{Answer, Query},
        snapshot::Snapshot,
        timeline::Entry,
    },
};

/// Entries that are asked for: all that anybody would read at once.
const LIMIT: usize = 10_000;

pub(in crate::cli) async fn events(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    events: &Events,
) -> Result<Outcome, Failure> {
    let since_us = events.since.map(|when| when.wall_us(outside.now()));
    let reached = match place.reach(ctx, outside).await? {
        Reach::Engine(reached) => reached,
        Reach::Nobody(_) if events.follow => return Err(Failure::no_engine()),
        Reach::Nobody(file) => {
            let project = load(ctx, outside, &file)?;
            let entries = outside.stored_entries(Some(&project.name), since_us, LIMIT).map_err(Failure::failed)?;
            let snapshot = offline::snapshot(Some(&project), &[], &[], &[], outside.now());
            let teller = Teller::new(ctx, &snapshot, events, since_us)?;
            teller.tell(ctx, entries.iter())?;
            return Ok(Outcome::Ok);
        }
    };
    let mut snapshots = reached.handle.snapshots.clone();
    let snapshot: Arc<Snapshot> = reached.part(&snapshots.borrow_and_update());
    let teller = Teller::new(ctx, &snapshot, events, since_us)?;
    let older = older(ctx, &reached, &snapshot).await?;
    teller.tell(ctx, older.iter().chain(snapshot.timeline.iter().map(AsRef::as_ref)))?;
    if !events.follow {
        return Ok(Outcome::Ok);
    }
    let mut interrupts = outside.interrupts().map_err(Failure::failed)?;
    let mut link = LinkWatch::new(&reached.handle);
    let mut told = snapshot.timeline.last().map_or(0, |entry| entry.seq);
    loop {
        let interrupted = tokio::select! {
            biased;
            Some(_) = interrupts.recv() => true,
            sentence = link.news() => {
                ctx.say(sentence);
                false
            }
            changed = snapshots.changed() => {
                if changed.is_err() {
                    ctx.say("cas: the engine has ended");
                    return Ok(Outcome::Ok);
                }
                false
            }
        };
        let snapshot = reached.part(&snapshots.borrow_and_update());
        teller.tell(ctx, newer(&snapshot, told))?;
        told = snapshot.timeline.last().map_or(told, |entry| entry.seq.max(told));
        if interrupted {
            return Ok(Outcome::Interrupted);
        }
    }
}

/// Entries of a picture after number `told`.
pub(in crate::cli) fn newer(snapshot: &Snapshot, told: u64) -> impl Iterator<Item = &Entry> {
    snapshot.timeline.iter().map(AsRef::as_ref).filter(move |entry| entry.seq > told)
}

/// Stored entries from before the picture's first.
async fn older(ctx: &mut Context<'_>, reached: &Reached, snapshot: &Snapshot) -> Result<Vec<Entry>, Failure> {
    let answer = reached.handle.query(Query::Entries { limit: LIMIT }).await?;
    if let Answer::Unavailable(why) = &answer {
        ctx.say(&format!("cas: what happened before cannot be read: {}", text::plain(why)));
    }
    let Answer::Entries(mut entries) = answer else { return Ok(Vec::new()) };
    // Numbers begin anew with each engine: an entry of this one is known by number and time together.
    let shown = |entry: &Entry| snapshot.timeline.iter().any(|other| other.seq == entry.seq && other.at == entry.at);
    let first = snapshot.timeline.first().map_or(i64::MAX, |entry| entry.at.wall_us);
    entries.retain(|entry| entry.at.wall_us <= first && !shown(entry) && reached.concerns(entry));
    Ok(entries)
}

struct Teller {
    look: EventLook,
    /// Only about these; none: about anything.
    only: Option<Vec<ServiceId>>,
    since_us: Option<i64>,
    json: bool,
}

impl Teller {
    fn new(ctx: &Context<'_>, snapshot: &Snapshot, events: &Events, since_us: Option<i64>) -> Result<Self, Failure> {
        let wanted = select::in_picture(&events.services, &ids(snapshot), snapshot)?;
        let with_project = has_several_projects(snapshot);
        let width = |id: &ServiceId| if with_project { id.to_string().len() } else { id.service.as_str().len() };
        let look = EventLook {
            name_width: wanted.iter().map(width).max().unwrap_or(0),
            with_project,
            zone: ctx.zone,
            paint: ctx.paint(),
        };
        let only = if events.services.is_empty() { None } else { Some(wanted) };
        Ok(Self { look, only, since_us, json: events.json })
    }

    fn wants(&self, entry: &Entry) -> bool {
        let about =
            |id: &ServiceId| entry.service.as_ref() == Some(&id.service) && entry.project.as_ref() == Some(&id.project);
        self.since_us.is_none_or(|since| entry.at.wall_us >= since)
            && self.only.as_ref().is_none_or(|only| only.iter().any(about))
    }

    fn tell<'e>(&self, ctx: &mut Context<'_>, entries: impl Iterator<Item = &'e Entry>) -> Result<(), Failure> {
        let mut told = String::new();
        for entry in entries.filter(|entry| self.wants(entry)) {
            told.push_str(&if self.json { json_line(&document(entry)) } else { lines(entry, &self.look) });
        }
        if told.is_empty() { Ok(()) } else { ctx.data(&told) }
    }
}
