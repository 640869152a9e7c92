//! What came of each service since the store was last told. Never counts a batch twice, or without its cursor.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::{
    model::{
        ids::ServiceId,
        intake::{Cursor, Intake, Minute},
        log::Stream,
    },
    world::output::Taken,
};

/// Microseconds of a minute.
const MINUTE_US: i64 = 60_000_000;

#[derive(Debug, Default)]
struct Account {
    cursor: Cursor,
    minutes: BTreeMap<i64, Minute>,
}

/// One account a service of a place.
#[derive(Debug, Default)]
pub(super) struct Ledger(HashMap<Arc<str>, HashMap<ServiceId, Account>>);

impl Ledger {
    /// Counts a batch of output. Pieces of a very long line are one line. Files that services write themselves are not counted.
    pub(super) fn count(&mut self, taken: &Taken) {
        let batch = &taken.batch;
        let Some(cursor) = taken.cursor() else { return };
        if !self.0.contains_key(&taken.place) {
            self.0.insert(Arc::clone(&taken.place), HashMap::new());
        }
        let Some(accounts) = self.0.get_mut(&taken.place) else { return };
        if !accounts.contains_key(&batch.service) {
            accounts.insert(batch.service.clone(), Account::default());
        }
        let Some(account) = accounts.get_mut(&batch.service) else { return };
        account.cursor = cursor;
        let number = batch.wall_us.div_euclid(MINUTE_US);
        let minute = account.minutes.entry(number).or_insert(Minute { minute: number, ..Minute::default() });
        let whole = batch.lines.iter().filter(|line| !line.continued);
        let (mut all, mut of_stderr) = (0, 0);
        for line in whole {
            all += 1;
            of_stderr += u64::from(line.stream == Stream::Stderr);
        }
        minute.stdout_lines += all - of_stderr;
        minute.stderr_lines += of_stderr;
        minute.bytes += batch.text.len() as u64;
    }

    /// What came since the last time; nothing of services that were silent.
    pub(super) fn take(&mut self) -> Vec<Intake> {
        let mut intake = Vec::new();
        for (place, accounts) in std::mem::take(&mut self.0) {
            for (service, account) in accounts {
                let minutes = account.minutes.into_values().collect();
                intake.push(Intake { place: Arc::clone(&place), service, cursor: account.cursor, minutes });
            }
        }
        intake
    }
}
