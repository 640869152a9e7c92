//! What an engine of this process says of itself, and what is stored of output, for those who ask over its socket.

use std::{collections::BTreeMap, ops::ControlFlow};

use crate::{
    api::{
        server::{SelfFacts, StoredLogs, StoredRange},
        wire::{CheckView, QueueView, SlotsView},
    },
    config::paths::Paths,
    host::{self, handle::Handle},
    model::{
        ids::ServiceId,
        log::{LogBatch, LogLine, Source},
    },
    world::log_files::{self, LogFilter, Slots},
};

/// What is known just now.
pub(super) fn facts(facts: &host::Facts) -> SelfFacts {
    let host::FactsNow { queues, store, slots } = facts.look();
    let queues: BTreeMap<String, QueueView> = queues
        .into_iter()
        .map(|(name, len, capacity)| (name.to_owned(), QueueView { len: len as u64, capacity: capacity as u64 }))
        .collect();
    let full: Vec<&str> =
        queues.iter().filter(|(_, queue)| queue.len * 10 > queue.capacity * 9).map(|(name, _)| name.as_str()).collect();
    let check = |name: &str, ok, detail: String| CheckView { name: name.to_owned(), ok, detail };
    let checks = vec![
        check(
            "queues",
            full.is_empty(),
            if full.is_empty() {
                "none is nearly full".to_owned()
            } else {
                format!("nearly full: {}", full.join(", "))
            },
        ),
        check(
            "store",
            store.queued < 5000,
            format!("{} waiting to be written, {} KiB on disk", store.queued, store.bytes / 1024),
        ),
        check(
            "shims",
            slots.shims >= slots.running,
            format!("{} connected, processes of {} looked after", slots.shims, slots.running),
        ),
    ];
    SelfFacts {
        queues,
        dropped: BTreeMap::from([("store".to_owned(), store.dropped)]),
        last_error: store.last_error,
        checks,
        slots: SlotsView { slots: slots.slots as u64, shims: slots.shims as u64, adopted: slots.adopted as u64 },
    }
}

/// Output that is on disk, of the projects that are open.
pub(super) struct Stored {
    pub(super) paths: Paths,
    pub(super) handle: Handle,
}

impl StoredLogs for Stored {
    fn read(&self, range: &StoredRange, each: &mut dyn FnMut(&LogBatch) -> ControlFlow<()>) -> Result<(), String> {
        let snapshot = self.handle.snapshot();
        let slots: Vec<Slots> = snapshot
            .projects
            .iter()
            .filter(|project| project.open)
            .map(|project| Slots {
                project: project.name.clone(),
                dir: self.paths.project_dir(&Paths::place(&project.name, &project.root)).join("slots"),
            })
            .collect();
        give(&slots, &range.services, (range.since_us, range.until_us), range.tail, each);
        Ok(())
    }
}

/// Gives what is stored to `each`, oldest first, until it breaks off. Both ends of the range are in it; of each service only its newest `tail`
/// lines, where that is given.
pub(super) fn give(
    slots: &[Slots],
    services: &[ServiceId],
    (since_us, until_us): (Option<i64>, Option<i64>),
    tail: Option<usize>,
    each: &mut dyn FnMut(&LogBatch) -> ControlFlow<()>,
) {
    let filter = LogFilter {
        services: services.to_vec(),
        since_wall_us: since_us,
        until_wall_us: until_us.map(|until| until.saturating_add(1)),
        tail,
    };
    for line in log_files::read_lines(slots, &filter) {
        let len = u32::try_from(line.text.len()).unwrap_or(u32::MAX);
        let batch = LogBatch {
            service: line.service,
            source: Source::Output,
            run: line.run,
            wall_us: line.wall_us,
            first_seq: line.seq,
            text: line.text.into_boxed_str(),
            lines: Box::new([LogLine { start: 0, len, stream: line.stream, continued: line.continued }]),
        };
        if each(&batch).is_break() {
            break;
        }
    }
}
