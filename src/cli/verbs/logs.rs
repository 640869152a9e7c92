//! `cas logs`: what services wrote, stored and live, each line once.

mod foreign;
mod outlet;

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use regex::Regex;

use self::outlet::Outlet;
use super::{Place, load, patterns, reach::Reach};
use crate::{
    cli::{
        args::{LineLook, Logs, Template},
        context::Context,
        link::LinkWatch,
        outcome::{Failure, Outcome},
        outside::{Access, LogExtent, Outside},
        render::logs::{Form, LogLook, OneLine, Prefix},
        select,
        sieve::Sought,
        text,
    },
    config,
    host::{
        handle::{Handle, LogSubscription},
        peer,
    },
    insight::{
        entry::Formats,
        filter::{Filter, Term},
    },
    model::{
        ids::{RunId, ServiceId},
        log::{LogBatch, LogNews, Source},
        occasion::Replica,
        policy::Origin,
        query::{Answer, Query},
        secret::SecretValues,
        timeline::{Entry, What},
    },
};

fn copy(id: &ServiceId, replica: Option<&Replica>) -> Option<(ServiceId, Replica)> {
    Some((id.clone(), replica?.clone()))
}

/// Text that is gathered before it is written.
const CHUNK_BYTES: usize = 64 * 1024;

pub(in crate::cli) async fn logs(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    logs: &Logs,
) -> Result<Outcome, Failure> {
    let (formats, faults) = outside.log_formats();
    if !faults.is_empty() {
        let said = config::render_as("note", &faults, ctx.talk_paint().is_colour());
        ctx.say(said.trim_end());
    }
    if !logs.files.is_empty() {
        return foreign::files(ctx, outside.now(), logs, formats, &outside.masks());
    }
    let (handle, known, file, copies) = match place.reach(ctx, outside).await? {
        Reach::Engine(reached) => {
            let snapshot = reached.handle.snapshot();
            let known = reached.ids(&snapshot);
            let is_meant = |name| reached.project.as_ref().is_none_or(|project| project == name);
            let meant = snapshot.projects.iter().find(|project| project.open && is_meant(&project.name));
            let file = meant.map(|project| project.file.clone()).unwrap_or_default();
            let copies = snapshot.services.iter().filter_map(|view| copy(&view.id, view.occasions.replica.as_ref()));
            (Some(reached.handle), known, file, copies.collect::<Vec<_>>())
        }
        Reach::Nobody(_) if logs.follow => return Err(Failure::no_engine()),
        Reach::Nobody(file) => {
            let project = load(ctx, outside, &file)?;
            let copies = project.services.iter().filter_map(|spec| copy(&spec.id, spec.occasions.replica.as_ref()));
            let copies = copies.collect();
            (None, project.services.iter().map(|service| service.id.clone()).collect(), file, copies)
        }
    };
    let named: Vec<_> = logs.services.iter().chain(&logs.more_services).cloned().collect();
    let wanted = select::spelled_out(&named, &copies);
    let services = select::services(&wanted, &known)?;
    let template = match &logs.template {
        Some(Template::Pattern(id, _)) => {
            Some(patterns::lines_of(outside, handle.as_ref(), &file, &services, *id).await?)
        }
        Some(Template::Text(term)) => Some(term.clone()),
        None => None,
    };
    let sought = sought(logs, template);
    let now = outside.now();
    let (known, secrets) =
        known_values(handle.as_ref().filter(|_| !logs.raw && place.access == Access::Full), &services).await?;
    let extent = LogExtent {
        file,
        services: services.clone(),
        since_us: logs.since.map(|when| when.wall_us(now)),
        until_us: logs.until.map(|when| when.wall_us(now)),
        // Of which lines match nobody knows before they are read.
        tail: logs.tail.filter(|_| sought.is_everything()),
        raw: logs.raw,
        known,
        secrets,
    };
    let told = if logs.raw { Some(raw(outside, handle.as_ref(), &services).await?) } else { None };
    // Subscribe first, then read what there is: nothing falls between.
    let feed = handle.as_ref().map(|handle| handle.logs.subscribe());
    let mut reader = Reader::new(look(ctx, services, &logs.lines, logs, formats), &extent, sought, logs.tail);
    reader.stored(ctx, outside, &extent)?;
    match (&handle, told) {
        (_, Some(batches)) => batches.iter().try_for_each(|batch| reader.take_and_write(ctx, batch))?,
        (Some(handle), None) => reader.remembered(ctx, handle).await?,
        (None, None) => {}
    }
    reader.flush(ctx)?;
    match (feed, handle) {
        (Some(feed), Some(handle)) if logs.follow => reader.follow(ctx, outside, feed, LinkWatch::new(&handle)).await,
        (Some(_) | None, _) => Ok(Outcome::Ok),
    }
}

fn look(ctx: &Context<'_>, services: Vec<ServiceId>, lines: &LineLook, logs: &Logs, formats: Formats) -> LogLook {
    LogLook {
        prefix: prefix(&services, lines),
        services,
        timestamps: lines.timestamps,
        zone: ctx.zone,
        paint: ctx.paint(),
        marks: marks(logs),
        formats: Arc::new(formats),
        files: Vec::new(),
        form: if logs.json { Form::Json } else { Form::Text },
    }
}

/// What is asked for.
pub(super) fn sought(logs: &Logs, template: Option<Term>) -> Sought {
    let terms = logs.filters.iter().cloned().chain(template).collect();
    Sought { grep: logs.grep.clone(), filter: Filter::new(terms, logs.level), context: logs.context }
}

/// What is shown as found.
fn marks(logs: &Logs) -> Vec<Regex> {
    let of_filters = logs.filters.iter().filter_map(|term| term.highlight().cloned());
    logs.grep.iter().cloned().chain(of_filters).collect()
}

/// Names alone where they are enough.
pub(in crate::cli) fn prefix(services: &[ServiceId], lines: &LineLook) -> Prefix {
    if lines.no_prefix {
        Prefix::Nothing
    } else if services.windows(2).any(|pair| pair[0].project != pair[1].project) {
        Prefix::ProjectAndService
    } else {
        Prefix::Service
    }
}

/// The values that the engine has set for services, so that they are found in what is stored.
async fn known_values(
    handle: Option<&Handle>,
    services: &[ServiceId],
) -> Result<(BTreeMap<String, String>, SecretValues), Failure> {
    let (mut known, mut given) = (BTreeMap::new(), SecretValues::default());
    let Some(handle) = handle else { return Ok((known, given)) };
    for service in services {
        let answer = handle.query(Query::ShellContext { service: service.clone() }).await?;
        let Answer::ShellContext { environment, secrets, .. } = answer else { continue };
        given.0.extend(secrets.0);
        for (name, value) in environment {
            // Several services may have another value of the same name.
            let name = if known.contains_key(&name) { format!("{name}_{}", known.len()) } else { name };
            known.insert(name, value);
        }
    }
    Ok((known, given))
}

/// Tells the timeline that output is read as it was written; what the engine has of it in memory. Without that on record nothing is shown.
async fn raw(
    outside: &impl Outside,
    handle: Option<&Handle>,
    services: &[ServiceId],
) -> Result<Vec<Arc<LogBatch>>, Failure> {
    let service = if let [only] = services { Some(only.clone()) } else { None };
    let asker = peer::asker(std::process::id(), None);
    let Some(handle) = handle else {
        let of = service.as_ref().map_or_else(String::new, |service| format!(" {service}"));
        let entry = Entry {
            seq: 0,
            at: outside.now(),
            project: services.first().map(|service| service.project.clone()),
            service: service.map(|service| service.service),
            run: None,
            who: Origin::Cli,
            what: What::Requested { line: format!("logs --raw{of}"), from: Some(asker) },
            why: "shown with the secrets in it".to_owned(),
        };
        return outside.note(entry).map(|()| Vec::new()).map_err(Failure::failed);
    };
    let answer = handle.query(Query::RawLogs { service, origin: Origin::Cli, asker: Some(asker) }).await?;
    if let Answer::Unavailable(why) = answer {
        return Err(Failure::new(Outcome::Refused, why));
    }
    let Answer::Logs(batches) = answer else { return Err(Failure::odd_answer()) };
    Ok(batches)
}

struct Reader {
    outlet: Outlet,
    extent: LogExtent,
    /// The next number that was not yet seen of each source in each run: what is stored and what is in memory overlap.
    next: BTreeMap<(ServiceId, Source, RunId), u64>,
}

impl Reader {
    fn new(look: LogLook, extent: &LogExtent, sought: Sought, tail: Option<usize>) -> Self {
        Self { outlet: Outlet::new(look, sought, tail), extent: extent.clone(), next: BTreeMap::new() }
    }

    fn stored(&mut self, ctx: &mut Context<'_>, outside: &impl Outside, extent: &LogExtent) -> Result<(), Failure> {
        let mut written = Ok(());
        let read = outside.stored_logs(extent, &mut |batch| {
            self.take(batch);
            written = self.write_if(ctx, CHUNK_BYTES);
            if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        written?;
        read.or_else(|why| {
            ctx.say(&format!("cas: stored output cannot be read: {}", text::plain(&why)));
            Ok(())
        })
    }

    async fn remembered(&mut self, ctx: &mut Context<'_>, handle: &Handle) -> Result<(), Failure> {
        let answer = handle.query(Query::Logs { service: None }).await?;
        if let Answer::Unavailable(why) = &answer {
            ctx.say(&format!("cas: {}", text::plain(why)));
        }
        let Answer::Logs(batches) = answer else { return Ok(()) };
        batches.iter().try_for_each(|batch| self.take_and_write(ctx, batch))
    }

    fn take_and_write(&mut self, ctx: &mut Context<'_>, batch: &LogBatch) -> Result<(), Failure> {
        self.take(batch);
        self.write_if(ctx, CHUNK_BYTES)
    }

    /// Takes what is wanted of a batch and was not yet seen.
    fn take(&mut self, batch: &LogBatch) {
        let extent = &self.extent;
        let in_time = extent.since_us.is_none_or(|since| batch.wall_us >= since)
            && extent.until_us.is_none_or(|until| batch.wall_us <= until);
        if !in_time || !extent.services.contains(&batch.service) {
            return;
        }
        let next = self.next.entry((batch.service.clone(), batch.source.clone(), batch.run)).or_insert(0);
        let end = batch.first_seq + batch.lines.len() as u64;
        let skip = usize::try_from(next.saturating_sub(batch.first_seq)).unwrap_or(usize::MAX);
        *next = end.max(*next);
        for (index, line) in batch.lines.iter().enumerate().skip(skip) {
            self.outlet.take(OneLine::of(batch, index, *line));
        }
    }

    /// Writes what was gathered; from now on lines come as they are.
    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), Failure> {
        self.outlet.settle();
        self.write_if(ctx, 0)
    }

    fn write_if(&mut self, ctx: &mut Context<'_>, at_least: usize) -> Result<(), Failure> {
        self.outlet.text(at_least).map_or(Ok(()), |text| ctx.data(&text))
    }

    async fn follow(
        mut self,
        ctx: &mut Context<'_>,
        outside: &impl Outside,
        mut feed: LogSubscription,
        mut link: LinkWatch,
    ) -> Result<Outcome, Failure> {
        let mut interrupts = outside.interrupts().map_err(Failure::failed)?;
        loop {
            let news = tokio::select! {
                biased;
                Some(_) = interrupts.recv() => {
                    self.drain(ctx, &mut feed)?;
                    return Ok(Outcome::Interrupted);
                }
                sentence = link.news() => {
                    ctx.say(sentence);
                    continue;
                }
                news = feed.next() => news,
            };
            let Some(news) = news else {
                ctx.say("cas: the engine has ended");
                return Ok(Outcome::Ok);
            };
            self.news(ctx, &news);
            self.drain(ctx, &mut feed)?;
        }
    }

    /// Writes all that is there.
    fn drain(&mut self, ctx: &mut Context<'_>, feed: &mut LogSubscription) -> Result<(), Failure> {
        while let Some(more) = feed.try_next() {
            self.news(ctx, &more);
            self.write_if(ctx, CHUNK_BYTES)?;
        }
        self.write_if(ctx, 0)
    }

    fn news(&mut self, ctx: &mut Context<'_>, news: &LogNews) {
        match news {
            LogNews::Batch(batch) => self.take(batch),
            LogNews::Missed { batches } => ctx.say(&missed(*batches)),
        }
    }
}

/// What is said where output came faster than it could be written.
pub(in crate::cli) fn missed(batches: u64) -> String {
    format!(
        "cas: output came faster than it could be written; {batches} parts are left out here, \"cas logs\" has them"
    )
}
