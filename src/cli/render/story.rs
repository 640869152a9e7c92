//! What happened as a person would tell it: the facts of one mishap in one sentence, from the crash to how it ended. Pure.
//!
//! Never leaves out that something went wrong; leaves out what only says how it was asked for, because who did it stands in the outcome.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use super::super::{
    context::Zone,
    paint::{Paint, Tone},
    text,
};
use crate::model::{
    ids::{ProjectName, ServiceName},
    phase::Exit,
    policy::Origin,
    time::{Timestamp, short_duration},
    timeline::{Entry, Severity, What},
};

/// One sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// When it began, microseconds since the Unix epoch.
    pub wall_us: i64,
    /// About whom: `shop/api`, `shop`, or nobody.
    pub about: String,
    /// What became of it.
    pub sentence: String,
    /// How loudly.
    pub severity: Severity,
}

type Key = (Option<ProjectName>, Option<ServiceName>);

/// Stories that are being told.
#[derive(Debug, Default)]
pub struct Stories {
    open: BTreeMap<Key, Story>,
    told: Vec<Told>,
}

/// What one service is going through.
#[derive(Debug)]
struct Story {
    began: Timestamp,
    /// When something last happened in it.
    last: Timestamp,
    plot: Plot,
}

#[derive(Debug)]
enum Plot {
    Crash(Crash),
    /// It was started on purpose.
    Start {
        who: Origin,
        adopted: Option<Duration>,
    },
    /// It is being ended on purpose.
    Stop {
        who: Origin,
        why: String,
        killed: Option<Duration>,
    },
    /// A probe failed.
    Illness {
        sentence: String,
    },
}

#[derive(Debug)]
struct Crash {
    times: u32,
    exit: Exit,
    ended: Timestamp,
    delay: Option<Duration>,
    restarted: Option<Duration>,
}

impl Stories {
    /// Takes the next entry, oldest first.
    pub fn take(&mut self, entry: &Entry) {
        let key = (entry.project.clone(), entry.service.clone());
        let open = self.open.remove(&key);
        let at = entry.at;
        match (&entry.what, open) {
            (What::Requested { .. } | What::Stable { restarts: 0 }, open) => self.keep(key, open),
            // That it ends is what was asked for.
            (What::Exited { .. }, Some(Story { began, plot: Plot::Stop { who, why, killed }, .. })) => {
                self.open.insert(key, Story { began, last: at, plot: Plot::Stop { who, why, killed } });
            }
            (What::Exited { exit, .. }, Some(Story { began, plot: Plot::Crash(crash), .. })) => {
                let plot =
                    Crash { times: crash.times + 1, exit: exit.clone(), ended: at, delay: None, restarted: None };
                self.open.insert(key, Story { began, last: at, plot: Plot::Crash(plot) });
            }
            (What::Exited { exit, .. }, open) => {
                self.close(&key, open);
                let plot = Crash { times: 1, exit: exit.clone(), ended: at, delay: None, restarted: None };
                self.open.insert(key, Story { began: at, last: at, plot: Plot::Crash(plot) });
            }
            (What::RestartScheduled { delay, .. }, Some(Story { began, plot: Plot::Crash(crash), .. })) => {
                let plot = Plot::Crash(Crash { delay: Some(*delay), ..crash });
                self.open.insert(key, Story { began, last: at, plot });
            }
            (What::Started { attempt: 1.., .. }, Some(Story { began, plot: Plot::Crash(crash), .. })) => {
                let plot = Plot::Crash(Crash { restarted: Some(at.since(crash.ended)), ..crash });
                self.open.insert(key, Story { began, last: at, plot });
            }
            (What::Started { .. }, open) => {
                self.close(&key, open);
                let plot = Plot::Start { who: entry.who, adopted: None };
                self.open.insert(key, Story { began: at, last: at, plot });
            }
            (What::Adopted { away, .. }, open) => {
                self.close(&key, open);
                let plot = Plot::Start { who: entry.who, adopted: Some(*away) };
                self.open.insert(key, Story { began: at, last: at, plot });
            }
            (What::Stopping { .. }, open) => {
                self.close(&key, open);
                let plot = Plot::Stop { who: entry.who, why: entry.why.clone(), killed: None };
                self.open.insert(key, Story { began: at, last: at, plot });
            }
            (What::Killed { after }, Some(Story { began, plot: Plot::Stop { who, why, .. }, .. })) => {
                let plot = Plot::Stop { who, why, killed: Some(*after) };
                self.open.insert(key, Story { began, last: at, plot });
            }
            // What is killed at once was not asked to end before. (After a crash it is what was left of the run.)
            (What::Killed { after }, open) if !matches!(open, Some(Story { plot: Plot::Crash(_), .. })) => {
                self.close(&key, open);
                let plot = Plot::Stop { who: entry.who, why: entry.why.clone(), killed: Some(*after) };
                self.open.insert(key, Story { began: at, last: at, plot });
            }
            (What::Unhealthy { .. }, open) => {
                self.close(&key, open);
                let plot = Plot::Illness { sentence: entry.sentence() };
                self.open.insert(key, Story { began: at, last: at, plot });
            }
            (_, Some(story)) => {
                if let Some(ending) = ending(&story, entry) {
                    self.tell(&key, &story, &ending);
                } else {
                    self.say(entry);
                    self.keep(key, Some(story));
                }
            }
            (_, None) => self.say(entry),
        }
    }

    fn keep(&mut self, key: Key, story: Option<Story>) {
        if let Some(story) = story {
            self.open.insert(key, story);
        }
    }

    /// Tells a story as far as it went.
    fn close(&mut self, key: &Key, story: Option<Story>) {
        if let Some(story) = story {
            self.tell(key, &story, &Ending::Open);
        }
    }

    fn tell(&mut self, key: &Key, story: &Story, ending: &Ending) {
        let (sentence, severity) = match &story.plot {
            Plot::Crash(crash) => crash.sentence(story, ending),
            Plot::Start { who, adopted } => started(*who, *adopted, ending),
            Plot::Stop { who, why, killed } => stopped(story, *who, why, *killed, ending),
            Plot::Illness { sentence } => ill(sentence, ending),
        };
        self.told.push(Told { wall_us: story.began.wall_us, about: about(key), sentence, severity });
    }

    /// An entry that is a story of its own.
    fn say(&mut self, entry: &Entry) {
        let mut sentence = entry.sentence();
        if !entry.why.is_empty() {
            sentence = format!("{sentence} ({})", entry.why);
        }
        let about = about(&(entry.project.clone(), entry.service.clone()));
        self.told.push(Told { wall_us: entry.at.wall_us, about, sentence, severity: entry.severity() });
    }

    /// Takes what can be told now: stories that are over and, where given, those in which nothing has happened since `stuck_us`.
    pub fn ready(&mut self, stuck_us: Option<i64>) -> Vec<Told> {
        let stuck: Vec<Key> = self
            .open
            .iter()
            .filter(|(_, story)| stuck_us.is_some_and(|stuck| story.last.wall_us <= stuck))
            .map(|(key, _)| key.clone())
            .collect();
        for key in stuck {
            let story = self.open.remove(&key);
            self.close(&key, story);
        }
        let mut told = std::mem::take(&mut self.told);
        told.sort_by_key(|told| told.wall_us);
        together(told)
    }

    /// True while a story goes on.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Everything that was not told yet.
    #[must_use]
    pub fn finish(mut self) -> Vec<Told> {
        self.ready(Some(i64::MAX))
    }
}

/// How a story ends.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ending {
    /// Nothing more is known.
    Open,
    /// Its probes pass.
    Healthy(Duration),
    /// It has held up.
    Stable,
    /// Nobody tries any more.
    GaveUp(u32),
    /// The healer is switched off.
    Withheld,
    /// Nothing of it is left.
    Stopped(Timestamp),
}

/// Whether an entry ends a story, and how.
fn ending(story: &Story, entry: &Entry) -> Option<Ending> {
    match (&entry.what, &story.plot) {
        (What::Ready { after }, Plot::Crash(_) | Plot::Start { .. }) => Some(Ending::Healthy(*after)),
        (What::Recovered { after }, Plot::Illness { .. } | Plot::Crash(_)) => Some(Ending::Healthy(*after)),
        (What::Stable { .. }, Plot::Crash(_) | Plot::Start { .. }) => Some(Ending::Stable),
        (What::GaveUp { attempts }, Plot::Crash(_)) => Some(Ending::GaveUp(*attempts)),
        (What::RestartWithheld { .. }, Plot::Crash(_)) => Some(Ending::Withheld),
        (What::Stopped, Plot::Stop { .. }) => Some(Ending::Stopped(entry.at)),
        (_, _) => None,
    }
}

impl Crash {
    fn sentence(&self, story: &Story, ending: &Ending) -> (String, Severity) {
        let mut sentence = match (self.times, &self.exit) {
            (1, Exit::Code(0)) => "ended (exit code 0)".to_owned(),
            (1, exit) => format!("crashed ({})", cause(exit)),
            (times, exit) => {
                let span = short_duration(self.ended.since(story.began));
                format!("crashed {times} times in {span} (last: {})", cause(exit))
            }
        };
        match (self.restarted, self.delay) {
            (Some(after), _) => {
                let _ = write!(sentence, ", restarted after {}", short_duration(after));
            }
            (None, Some(delay)) if *ending == Ending::Open => {
                let _ = write!(sentence, ", restarts after {}", short_duration(delay));
            }
            (None, _) => {}
        }
        let severity = match ending {
            Ending::Healthy(after) => {
                let _ = write!(sentence, ", healthy after {}", short_duration(*after));
                Severity::Warning
            }
            Ending::Stable => {
                sentence.push_str(", and holds");
                Severity::Warning
            }
            Ending::GaveUp(attempts) => {
                let _ = write!(sentence, ", gave up after {attempts} starts that never held");
                Severity::Error
            }
            Ending::Withheld => {
                sentence.push_str(", not restarted: the autopilot is off");
                Severity::Error
            }
            Ending::Open | Ending::Stopped(_) if self.times == 1 && self.exit.is_success() => Severity::Info,
            Ending::Open | Ending::Stopped(_) => Severity::Warning,
        };
        (sentence, severity)
    }
}

/// Why a run ended, in few words: `signal 9, out of memory`.
fn cause(exit: &Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit code {code}"),
        Exit::Signal(number) => format!("signal {number}"),
        Exit::OutOfMemory { limit_bytes, peak_bytes } => {
            let figure = |what: &str, bytes: Option<u64>| bytes.map(|bytes| format!("{what} {} MiB", bytes >> 20));
            let figures: Vec<_> =
                [figure("limit", *limit_bytes), figure("peak", *peak_bytes)].into_iter().flatten().collect();
            let colon = if figures.is_empty() { "" } else { ": " };
            format!("signal 9, out of memory{colon}{}", figures.join(", "))
        }
        Exit::Rebooted => "the machine was restarted".to_owned(),
        Exit::SpawnFailed(why) => format!("could not be started: {why}"),
        Exit::Removed => "its container was removed by someone else".to_owned(),
        Exit::Unknown => "nobody saw how".to_owned(),
    }
}

fn started(who: Origin, adopted: Option<Duration>, ending: &Ending) -> (String, Severity) {
    let mut sentence = match adopted {
        None => format!("started by {}", who.label()),
        Some(away) if away.is_zero() => "taken over".to_owned(),
        Some(away) => format!("taken over after {} without an engine", short_duration(away)),
    };
    if let (None, Ending::Healthy(after)) = (adopted, ending) {
        let _ = write!(sentence, ", healthy after {}", short_duration(*after));
    }
    (sentence, Severity::Info)
}

fn stopped(story: &Story, who: Origin, why: &str, killed: Option<Duration>, ending: &Ending) -> (String, Severity) {
    let at_once = killed.is_some_and(|after| after.is_zero());
    let verb = if at_once { "killed" } else { "stopped" };
    let by = who.label();
    let why = beyond(who, why);
    let mut sentence = match ending {
        Ending::Stopped(at) => format!("{verb} by {by}{why} within {}", short_duration(at.since(story.began))),
        Ending::Open | Ending::Healthy(_) | Ending::Stable | Ending::GaveUp(_) | Ending::Withheld => {
            format!("{}, asked by {by}{why}", if at_once { "killed" } else { "stopping" })
        }
    };
    match killed {
        Some(after) if after.is_zero() => {}
        Some(after) => {
            let _ = write!(sentence, ", killed: it was still there after {}", short_duration(after));
        }
        None => {}
    }
    (sentence, if killed.is_some() { Severity::Warning } else { Severity::Info })
}

/// A reason without what is said anyway, in brackets: of `stopped by command line (pts/3, pid 12)` only the program.
fn beyond(who: Origin, why: &str) -> String {
    let said = ["stopped", "killed"].map(|verb| format!("{verb} by {}", who.label()));
    let rest = said.iter().find_map(|said| why.strip_prefix(said.as_str())).unwrap_or(why);
    let rest = rest.trim_start_matches([' ', ':', ';', ',']);
    if rest.is_empty() || rest.starts_with('(') {
        format!(" {rest}").trim_end().to_owned()
    } else {
        format!(" ({rest})")
    }
}

fn ill(sentence: &str, ending: &Ending) -> (String, Severity) {
    match ending {
        Ending::Healthy(after) => {
            (format!("{sentence}; healthy again after {}", short_duration(*after)), Severity::Warning)
        }
        Ending::Open | Ending::Stable | Ending::GaveUp(_) | Ending::Withheld | Ending::Stopped(_) => {
            (sentence.to_owned(), Severity::Warning)
        }
    }
}

fn about((project, service): &Key) -> String {
    match (project, service) {
        (Some(project), Some(service)) => format!("{project}/{service}"),
        (Some(project), None) => project.to_string(),
        (None, _) => String::new(),
    }
}

/// Services of one project of which the same is told at the same second: one sentence for all.
fn together(told: Vec<Told>) -> Vec<Told> {
    let mut groups: Vec<(Told, Vec<String>)> = Vec::new();
    for next in told {
        let (project, service) = match next.about.split_once('/') {
            Some((project, service)) => (project.to_owned(), Some(service.to_owned())),
            None => (next.about.clone(), None),
        };
        let same = |(first, services): &&mut (Told, Vec<String>)| {
            !services.is_empty()
                && first.sentence == next.sentence
                && first.about == project
                && next.wall_us - first.wall_us < 1_000_000
        };
        match (service, groups.iter_mut().rev().take(50).find(same)) {
            (Some(service), Some((_, services))) => services.push(service),
            (Some(service), None) => groups.push((Told { about: project, ..next }, vec![service])),
            (None, _) => groups.push((next, Vec::new())),
        }
    }
    groups
        .into_iter()
        .map(|(mut told, services)| {
            match services.as_slice() {
                [] => {}
                [only] => told.about = format!("{}/{only}", told.about),
                several => told.about = format!("{} ({})", told.about, several.join(", ")),
            }
            told
        })
        .collect()
}

/// `04:12 shop/api crashed …`, with the day where it was another one than `now_us`.
#[must_use]
pub fn line(told: &Told, zone: Zone, now_us: i64, paint: Paint) -> String {
    let day = "%Y-%m-%d";
    let format = if zone.show(told.wall_us, day) == zone.show(now_us, day) { "%H:%M" } else { "%b %e %H:%M" };
    let at = paint.text(Tone::Dim, &zone.show(told.wall_us, format));
    let sentence = text::plain(&told.sentence);
    let sentence = paint.text(Tone::of_severity(told.severity), &sentence);
    if told.about.is_empty() { format!("{at} {sentence}\n") } else { format!("{at} {} {sentence}\n", told.about) }
}
