//! A console on a screen of letters, driven by key strings.

use std::{collections::BTreeMap, sync::Arc};

use cas::{
    insight::{
        entry::Formats,
        filter::{Filter, Look},
    },
    model::{
        ids::ServiceId,
        log::LogBatch,
        log_search::{Bound, LogFinds, LogSearch, Towards},
        policy::{Plan, Reply, Request, Risk},
        time::Timestamp,
    },
    tui::{Message, Setup, Ui, UiEffect, Zone, draw, key, keymap::Keymap, theme::Theme, update},
};
use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::{Terminal, backend::TestBackend, buffer::Buffer, layout::Size};

use super::fixture::{World, named};

pub(super) const SMALL: (u16, u16) = (80, 24);
pub(super) const MEDIUM: (u16, u16) = (120, 36);
pub(super) const LARGE: (u16, u16) = (200, 50);

/// A console and what it asked for.
pub(super) struct Console {
    pub(super) ui: Ui,
    terminal: Terminal<TestBackend>,
    pub(super) effects: Vec<UiEffect>,
    /// What the engine has that is not in memory.
    pub(super) stored: Stored,
    /// What was asked of it.
    pub(super) searches: Vec<LogSearch>,
}

/// The store of an engine, as far as it can be looked through.
#[derive(Default)]
pub(super) struct Stored {
    /// Lines of services, oldest first, numbered on in each service.
    pub(super) batches: Vec<Arc<LogBatch>>,
}

impl Stored {
    /// As an engine answers: whole lines next to the bounds, and where to go on.
    fn search(&self, search: &LogSearch) -> LogFinds {
        let filter = Filter::of(&search.wish);
        let formats = Formats::builtin();
        let bound = |id: &ServiceId| search.bounds.iter().find(|bound| bound.service == *id).map(|bound| bound.seq);
        let mut lines: Vec<(Arc<LogBatch>, usize, bool)> = Vec::new();
        for batch in &self.batches {
            let in_time = search.wish.since_us.is_none_or(|since| batch.wall_us >= since)
                && search.wish.until_us.is_none_or(|until| batch.wall_us < until);
            for (index, line) in batch.lines.iter().enumerate() {
                let seq = batch.first_seq + index as u64;
                let beyond = bound(&batch.service).is_none_or(|bound| match search.towards {
                    Towards::Older => seq < bound,
                    Towards::Newer => seq >= bound,
                });
                let look = Look::at(batch.service.service.as_str(), line.stream, batch.text_of(*line), &formats);
                if in_time && beyond && search.services.contains(&batch.service) {
                    lines.push((Arc::clone(batch), index, filter.accepts(&look)));
                }
            }
        }
        let meant: Vec<usize> = (0..lines.len()).filter(|place| lines[*place].2).collect();
        let is_complete = meant.len() <= search.lines;
        let given = match search.towards {
            Towards::Older => &meant[meant.len().saturating_sub(search.lines)..],
            Towards::Newer => &meant[..meant.len().min(search.lines)],
        };
        let mut near = vec![false; lines.len()];
        for meant in given {
            let end = (meant + search.near + 1).min(lines.len());
            near[meant.saturating_sub(search.near)..end].fill(true);
        }
        let lines: Vec<(Arc<LogBatch>, usize)> = lines
            .into_iter()
            .zip(near)
            .filter(|(_, near)| *near)
            .map(|((batch, index, _), _)| (batch, index))
            .collect();
        let mut bounds: BTreeMap<ServiceId, u64> = BTreeMap::new();
        for (batch, index) in &lines {
            let seq = batch.first_seq + *index as u64;
            let bound = bounds.entry(batch.service.clone()).or_insert(seq);
            *bound = match search.towards {
                Towards::Older => (*bound).min(seq),
                Towards::Newer => (*bound).max(seq + 1),
            };
        }
        let one = |(batch, index): &(Arc<LogBatch>, usize)| {
            let line = batch.lines[*index];
            Arc::new(LogBatch { first_seq: batch.first_seq + *index as u64, lines: [line].into(), ..(**batch).clone() })
        };
        LogFinds {
            batches: lines.iter().map(one).collect(),
            bounds: bounds.into_iter().map(|(service, seq)| Bound { service, seq }).collect(),
            is_complete,
            looked_bytes: 1 << 20,
            left_bytes: if is_complete { 0 } else { 3 << 20 },
        }
    }
}

impl Console {
    pub(super) fn new(world: World, size: (u16, u16)) -> Self {
        let logs = world.logs.clone();
        let mut console = Self::before_history(world, size);
        console.say(Message::LogHistory(logs));
        console.finish_work();
        console
    }

    /// One that has asked for earlier output and not yet been answered.
    pub(super) fn before_history(world: World, size: (u16, u16)) -> Self {
        Self::themed(world, size, Theme::default())
    }

    /// The same in other colours.
    pub(super) fn themed(world: World, size: (u16, u16), theme: Theme) -> Self {
        Self::with_setup(world, size, setup(theme))
    }

    /// One that reached its engine where commands are refused.
    pub(super) fn only_looking(world: World, size: (u16, u16)) -> Self {
        Self::with_setup(world, size, Setup { read_only: true, ..setup(Theme::default()) })
    }

    fn with_setup(world: World, size: (u16, u16), setup: Setup) -> Self {
        let ui = Ui::new(Size { width: size.0, height: size.1 }, setup);
        let terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
        let mut console = Self { ui, terminal, effects: vec![], stored: Stored::default(), searches: vec![] };
        console.say(Message::Snapshot(Arc::new(world.snapshot)));
        console.say(Message::Link(world.link));
        console
    }

    pub(super) fn open(name: &str, size: (u16, u16)) -> Self {
        Self::new(named(name), size)
    }

    pub(super) fn say(&mut self, message: Message) {
        let mut effects = update(&mut self.ui, message);
        while let Some(place) = effects.iter().position(|effect| matches!(effect, UiEffect::SearchLogs { .. })) {
            let UiEffect::SearchLogs { ticket, search } = effects.remove(place) else { continue };
            let answer = Ok(self.stored.search(&search));
            self.searches.push(search);
            effects.extend(update(&mut self.ui, Message::LogFinds { ticket, answer }));
        }
        self.effects.extend(effects);
    }

    fn finish_work(&mut self) {
        while self.ui.is_behind() {
            self.ui.work();
            self.say(Message::Worked);
        }
    }

    /// Types keys, such as `jj<enter>`.
    pub(super) fn keys(&mut self, keys: &str) -> &mut Self {
        for chord in key::sequence(keys).unwrap() {
            self.say(Message::Key(chord.event()));
            if self.effects.contains(&UiEffect::LoadThemes) {
                self.effects.clear();
                let themes = Theme::names(None).iter().map(|name| Theme::load(name, None).unwrap()).collect();
                self.say(Message::Themes(themes));
            }
        }
        self.finish_work();
        self
    }

    pub(super) fn mouse(&mut self, kind: MouseEventKind, column: u16, row: u16) -> &mut Self {
        let event = MouseEvent { kind, column, row, modifiers: crossterm::event::KeyModifiers::NONE };
        self.say(Message::Mouse(event));
        self
    }

    pub(super) fn click(&mut self, column: u16, row: u16) -> &mut Self {
        self.mouse(MouseEventKind::Down(MouseButton::Left), column, row);
        self.mouse(MouseEventKind::Up(MouseButton::Left), column, row)
    }

    pub(super) fn resize(&mut self, width: u16, height: u16) -> &mut Self {
        self.terminal.backend_mut().resize(width, height);
        self.say(Message::Resized(Size { width, height }));
        self
    }

    pub(super) fn draw(&mut self) -> &Buffer {
        let Self { ui, terminal, .. } = self;
        terminal.draw(|frame| draw(frame, ui)).unwrap();
        terminal.backend().buffer()
    }

    /// The screen as text, trailing spaces cut.
    pub(super) fn text(&mut self) -> String {
        let buffer = self.draw();
        let area = buffer.area;
        let mut text = String::new();
        for y in 0..area.height {
            let mut line = String::new();
            let mut skip = 0_usize;
            for x in 0..area.width {
                let symbol = buffer[(x, y)].symbol();
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                skip = cas::model::text::width(symbol).saturating_sub(1);
                line.push_str(symbol);
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// The requests that were made.
    pub(super) fn requests(&self) -> Vec<Request> {
        let request = |effect: &UiEffect| match effect {
            UiEffect::Request(request) => Some(request.clone()),
            _ => None,
        };
        self.effects.iter().filter_map(request).collect()
    }

    /// The commands that were asked for, as lines.
    pub(super) fn lines(&self) -> Vec<String> {
        self.requests().iter().map(|request| request.command.to_line()).collect()
    }

    /// Answers the last request as the door does for what disrupts.
    pub(super) fn ask_consent(&mut self) -> &mut Self {
        let request = self.requests().pop().expect("something was asked for");
        let title = request.command.to_line();
        let steps = vec![
            "stop worker (SIGTERM, 10 s, then SIGKILL)".to_owned(),
            "stop api (SIGTERM, 10 s, then SIGKILL)".to_owned(),
        ];
        let plan = Plan { title, steps, risk: Risk::Disruptive, fingerprint: 42, revision: 0 };
        self.say(Message::Replied { request, reply: Ok(Reply::NeedsConsent { plan }) });
        self
    }

    pub(super) fn reply(&mut self, reply: Reply) -> &mut Self {
        let request = self.requests().pop().expect("something was asked for");
        self.say(Message::Replied { request, reply: Ok(reply) });
        self
    }

    /// The same picture, later.
    pub(super) fn later(&mut self, at: Timestamp) -> &mut Self {
        let mut snapshot = (**self.ui.snapshot()).clone();
        snapshot.at = at;
        snapshot.revision += 1;
        self.say(Message::Snapshot(Arc::new(snapshot)));
        self
    }
}

fn setup(theme: Theme) -> Setup {
    let (keymap, zone) = (Keymap::default(), Zone::Utc);
    Setup { theme, keymap, zone, mouse: true, project: None, project_file: None, read_only: false }
}

/// The screen after those keys.
pub(super) fn screen(name: &str, size: (u16, u16), keys: &str) -> String {
    Console::open(name, size).keys(keys).text()
}
