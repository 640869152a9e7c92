//! Lines of a busy service and of a quiet one, on a disk; few of them may be in memory.

use std::{collections::BTreeMap, sync::Arc};

use ratatui::layout::Size;

use crate::{
    host::handle::Link,
    model::{
        ids::{RunId, ServiceId},
        log::{LogBatch, LogLine, Source, Stream},
        log_search::{Bound, LogFinds, LogSearch, Towards},
    },
    tui::{
        Message, Setup, Ui, UiEffect, Zone,
        keymap::Keymap,
        logs::{row::Row, store::LogStore},
        theme::Theme,
        ui::{Aim, LogPosition, Pane},
        update,
    },
};

/// Bytes that may be loaded: some pages.
const FEW: usize = 1_200_000;

fn id(name: &str) -> ServiceId {
    format!("demo/{name}").parse().unwrap()
}

/// A line that came so many seconds after the first.
fn line(name: &str, seq: u64, seconds: i64) -> Arc<LogBatch> {
    let text = format!("{name} {seq}");
    let whole = LogLine { start: 0, len: u32::try_from(text.len()).unwrap(), stream: Stream::Stdout, continued: false };
    Arc::new(LogBatch {
        service: id(name),
        source: Source::Output,
        run: RunId(1),
        wall_us: (1_000_000 + seconds) * 1_000_000,
        first_seq: seq,
        text: text.into(),
        lines: [whole].into(),
    })
}

struct Bench {
    ui: Ui,
    disk: Vec<Arc<LogBatch>>,
}

impl Bench {
    /// Of `busy` a line every second, the last hundred in memory; of `quiet` at these seconds, none in memory.
    fn new(busy: u64, quiet: &[i64]) -> Self {
        let (theme, keymap) = (Theme::default(), Keymap::default());
        let setup =
            Setup { theme, keymap, zone: Zone::Utc, mouse: false, project: None, project_file: None, read_only: false };
        let mut ui = Ui::new(Size { width: 80, height: 24 }, setup);
        ui.logs.store = LogStore::bounded(1 << 20, 1 << 20, FEW);
        ui.services.marks = ["busy", "quiet"].map(id).into();
        (ui.focus, ui.link) = (Pane::Logs, Link::Local);
        let mut disk: Vec<_> = (0..busy).map(|seq| line("busy", seq, seq.cast_signed())).collect();
        disk.extend((0..).zip(quiet).map(|(seq, seconds)| line("quiet", seq, *seconds)));
        disk.sort_by_key(|batch| batch.wall_us);
        let kept = disk.iter().filter(|batch| batch.service == id("busy") && batch.first_seq + 100 >= busy);
        let mut bench = Self { ui, disk: Vec::new() };
        let kept = kept.cloned().collect();
        bench.disk = disk;
        bench.say(Message::LogHistory(kept));
        bench
    }

    fn say(&mut self, message: Message) {
        let mut effects = update(&mut self.ui, message);
        while let Some(UiEffect::SearchLogs { ticket, search }) = effects.pop() {
            let answer = Ok(self.search(&search));
            effects = update(&mut self.ui, Message::LogFinds { ticket, answer });
            self.is_sound();
        }
    }

    /// As an engine answers: the lines next to the bounds; where a service has none there, nothing is said of it.
    fn search(&self, search: &LogSearch) -> LogFinds {
        let bound = |id: &ServiceId| search.bounds.iter().find(|bound| bound.service == *id).map(|bound| bound.seq);
        let is_meant = |batch: &&Arc<LogBatch>| {
            let is_beyond = bound(&batch.service).is_none_or(|bound| match search.towards {
                Towards::Older => batch.first_seq < bound,
                Towards::Newer => batch.first_seq >= bound,
            });
            is_beyond
                && search.wish.since_us.is_none_or(|since| batch.wall_us >= since)
                && search.wish.until_us.is_none_or(|until| batch.wall_us < until)
        };
        let mut batches: Vec<_> = self.disk.iter().filter(is_meant).cloned().collect();
        let is_complete = batches.len() <= search.lines;
        match search.towards {
            Towards::Older => drop(batches.drain(..batches.len().saturating_sub(search.lines))),
            Towards::Newer => batches.truncate(search.lines),
        }
        let mut reached: BTreeMap<ServiceId, u64> = BTreeMap::new();
        for batch in &batches {
            let seq = batch.first_seq;
            let bound = reached.entry(batch.service.clone()).or_insert(seq);
            *bound = match search.towards {
                Towards::Older => (*bound).min(seq),
                Towards::Newer => (*bound).max(seq + 1),
            };
        }
        let bounds = reached.into_iter().map(|(service, seq)| Bound { service, seq }).collect();
        LogFinds { batches, bounds, is_complete, looked_bytes: 1, left_bytes: 1 }
    }

    /// What was loaded, in its order.
    fn loaded(&self) -> Vec<(String, u64)> {
        let view = &self.ui.logs.view;
        let entries = (view.first()..view.live()).filter_map(|number| view.row(number).and_then(Row::entry));
        let named = |batch: &Arc<LogBatch>| (batch.service.service.to_string(), batch.first_seq);
        entries.map(|entry| named(self.ui.logs.store.batch(entry.slot, entry.serial).unwrap())).collect()
    }

    /// What was loaded is a piece of what is on the disk: nothing twice, nothing left out, and no more than may be.
    fn is_sound(&self) {
        assert!(!self.ui.logs.store.past_is_too_much());
        let loaded = self.loaded();
        let disk: Vec<_> = self.disk.iter().map(|batch| (batch.service.service.to_string(), batch.first_seq)).collect();
        let Some(begin) = loaded.first().and_then(|first| disk.iter().position(|line| line == first)) else { return };
        assert!(disk[begin..].starts_with(&loaded), "from {:?} to {:?}", loaded.first(), loaded.last());
    }

    fn stand_at(&mut self, row: i64) {
        self.ui.logs.position = LogPosition::At { row, top: row, anchor: None };
        self.say(Message::Worked);
    }

    fn up_to_the_oldest(&mut self) {
        while !self.ui.logs.past.is_complete {
            self.stand_at(self.ui.logs.view.first());
        }
    }

    fn down_to_memory(&mut self) {
        while self.ui.logs.view.has_gap() {
            self.stand_at(self.ui.logs.view.live() - 1);
        }
    }
}

#[test]
fn however_far_somebody_goes_down_from_the_oldest_line_no_more_is_in_memory_than_may_be() {
    let mut bench = Bench::new(20_000, &[]);
    super::super::logs::scroll(&mut bench.ui, super::super::Motion::Top);
    bench.say(Message::Worked);
    assert_eq!(bench.loaded()[0].1, 0);
    bench.down_to_memory();
    let loaded = bench.loaded();
    assert_eq!(loaded.last().unwrap().1, 19_899);
    assert!(loaded[0].1 > 10_000, "what was at the top is let go: {:?}", loaded[0]);
    bench.up_to_the_oldest();
    assert_eq!(bench.loaded()[0].1, 0);
}

#[test]
fn a_quiet_service_is_not_loaded_twice_where_others_fill_memory() {
    let mut bench = Bench::new(20_000, &[3, 9_000, 9_001, 19_500]);
    bench.up_to_the_oldest();
    assert!(bench.ui.logs.view.has_gap());
    bench.down_to_memory();
    assert_eq!(bench.loaded().last().unwrap(), &("busy".to_owned(), 19_899));
    bench.up_to_the_oldest();
    assert_eq!(bench.loaded()[3], ("busy".to_owned(), 3));
}

#[test]
fn from_a_line_that_is_not_in_memory_one_goes_on_in_both_directions() {
    let mut bench = Bench::new(20_000, &[3, 9_000, 9_001, 19_500]);
    super::load_from(
        &mut bench.ui,
        Aim::Line { service: id("busy"), seq: 10_000, from_us: line("busy", 9_990, 9_990).wall_us },
    );
    bench.say(Message::Worked);
    let LogPosition::At { row, .. } = bench.ui.logs.position else { panic!("it is shown") };
    let place = usize::try_from(row - bench.ui.logs.view.first()).unwrap();
    assert_eq!(bench.loaded()[place], ("busy".to_owned(), 10_000));
    bench.up_to_the_oldest();
    bench.down_to_memory();
    assert_eq!(bench.loaded().last().unwrap(), &("busy".to_owned(), 19_899));
}
