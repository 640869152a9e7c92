//! What is kept on disk: the database and the output of services, with the faults that disks have.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails there")]

mod database;
mod faults;

use std::sync::{Arc, Mutex};

use cas::model::{
    ids::{ProjectName, RunId, ServiceName},
    policy::Origin,
    time::Timestamp,
    timeline::{Entry, What},
};

/// What a store or a log writer said, newest last.
#[derive(Clone, Default)]
struct Troubles(Arc<Mutex<Vec<Option<String>>>>);

impl Troubles {
    fn listener(&self) -> impl Fn(Option<String>) + Send + 'static {
        let said = Arc::clone(&self.0);
        move |text| said.lock().unwrap().push(text)
    }

    fn all(&self) -> Vec<Option<String>> {
        self.0.lock().unwrap().clone()
    }

    /// What is wrong now.
    fn now(&self) -> Option<String> {
        self.all().last().cloned().flatten()
    }

    fn has_said(&self, words: &str) -> bool {
        self.all().iter().flatten().any(|text| text.contains(words))
    }
}

fn entry(seq: u64, project: &str, service: &str, what: What) -> Entry {
    Entry {
        seq,
        at: Timestamp { mono_us: seq * 10, wall_us: 1_700_000_000_000_000 + i64::try_from(seq).unwrap() },
        project: Some(ProjectName::new(project).unwrap()),
        service: Some(ServiceName::new(service).unwrap()),
        run: Some(RunId(seq)),
        who: Origin::Healer,
        what,
        why: format!("reason {seq}"),
    }
}

fn simple(seq: u64) -> Entry {
    entry(seq, "shop", "web", What::Stopped)
}
