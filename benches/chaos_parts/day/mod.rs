//! A day of 200 faults over ten real services, compressed: the next comes as soon as everything is well and stable again.
//!
//! `cargo bench --bench chaos -- day=200`, with `seed=7` the same faults in the same order, with `only=NAME` those of one kind. A fault is a file in
//! `day/faults`. Promise: what is printed was seen from outside. Never: a restart of its own, save where a fault was not healed, which is counted.

mod faults;
mod inject;
mod measure;
mod report;
mod town;
mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use cas::{
    host::handle::Handle,
    model::{snapshot::Snapshot, time::Timestamp},
    world::clock,
};

use crate::{
    Count,
    rig::{Rig, pause},
};

use self::{
    faults::{Fault, Follows, Needs},
    inject::{Open, is_well, view},
    report::Day,
    town::{SERVICES, Town, dependents},
    watch::Watcher,
};

/// How often everything is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// A fault that is not healed so long after its time, in seconds, is left to a person.
const PERSON_AFTER: f64 = 20.0;
/// The score of falls, as the engine reckons it: it halves in so many seconds, and from 3.5 on a service is left alone.
const HALF_LIFE: f64 = 600.0;
/// Up to here a service may be made to hang: with room for a fall that comes with another fault.
const MOST_FALLS: f64 = 1.5;

/// Everything of a trial.
struct Trial {
    rig: Rig,
    town: Town,
    handle: Handle,
    watchers: BTreeMap<&'static str, Watcher>,
    rng: fastrand::Rng,
    faults: Vec<Fault>,
    /// Runs that each service has had.
    runs: BTreeMap<&'static str, BTreeSet<u64>>,
    /// Falls from healthy to unhealthy: score, when, and what it was then.
    falls: BTreeMap<&'static str, (f64, Timestamp, bool)>,
    day: Day,
}

/// A value of the command line: `seed=7`.
fn argument(name: &str) -> Option<String> {
    std::env::args().find_map(|argument| argument.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}

/// The trial: `rounds` faults.
pub(crate) fn live(rounds: usize) -> Vec<Count> {
    let seed = argument("seed").and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(1..1_000_000));
    println!("  seed={seed}");
    let mut trial = Trial::begin(seed);
    let from = clock::now();
    while trial.day.outcomes.len() < rounds {
        let plan = trial.plan(rounds - trial.day.outcomes.len());
        trial.round(plan);
    }
    trial.end(from);
    trial.day.judge()
}

impl Trial {
    fn begin(seed: u64) -> Self {
        let mut rig = Rig::new("name: day\nservices: {}\n", &[]);
        let town = Town::build(&rig);
        let names: Vec<&str> = SERVICES.iter().map(|(name, _)| *name).collect();
        let mut day = Day::default();
        for name in &names {
            let start_up = measure::start_up(&town, name);
            println!("  {name}: up {start_up:.2} s after its start, median of {}", measure::STARTS);
            day.lives.entry(name).or_default().start_up = start_up;
        }
        town.end_names();
        println!("  cache and echo are {}", town.what_they_are(&rig));
        rig.start();
        rig.run(&["up", "--detach", "--timeout", "240s"]);
        let handle = rig.connect();
        let watchers = names.iter().map(|name| (*name, Watcher::start(town.asks(name)))).collect();
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/chaos_parts/day/faults");
        let has_limits = !handle.snapshot().services.iter().any(|view| view.why.contains("memory limit does not hold"));
        let only = argument("only");
        let (faults, skipped): (Vec<Fault>, Vec<Fault>) = faults::load(&directory, &names)
            .into_iter()
            .filter(|fault| only.as_ref().is_none_or(|only| *only == fault.name))
            .partition(|fault| match fault.needs {
                None => true,
                Some(Needs::MemoryLimits) => has_limits,
                Some(Needs::Containers) => town.containers,
            });
        day.skipped = skipped.iter().map(|fault| format!("not here: {} ({})", fault.name, fault.about)).collect();
        assert!(!faults.is_empty(), "no fault of that name can be done here");
        let (runs, falls) = (BTreeMap::new(), BTreeMap::new());
        let rng = fastrand::Rng::with_seed(seed);
        let mut trial = Self { rig, town, handle, watchers, rng, faults, runs, falls, day };
        trial.settle();
        trial
    }

    /// Looks at everything and keeps what the counts need.
    fn look(&mut self) -> std::sync::Arc<Snapshot> {
        let (snapshot, now) = (self.handle.snapshot(), clock::now());
        for (name, _) in SERVICES {
            let Some(view) = view(&snapshot, name) else { continue };
            if let Some(run) = view.run {
                self.runs.entry(name).or_default().insert(run.0);
            }
            let is_ill = matches!(view.health, cas::model::phase::Health::Unhealthy { .. });
            let (score, at, was_ill) = self.falls.entry(name).or_insert((0.0, now, false));
            if is_ill && !*was_ill {
                *score = decayed(*score, now.since(*at)) + 1.0;
                *at = now;
            }
            *was_ill = is_ill;
        }
        snapshot
    }

    /// Waits until everything is well, and has been for as long as makes it stable.
    fn settle(&mut self) {
        let (begun, mut asked) = (clock::now(), 0_u32);
        loop {
            let (snapshot, now) = (self.look(), clock::now());
            let needed = Duration::from_secs(town::STABLE) + Duration::from_millis(500);
            let restless: Vec<&str> = SERVICES
                .iter()
                .map(|(name, _)| *name)
                .filter(|name| {
                    let is_stable = view(&snapshot, name)
                        .is_some_and(|view| is_well(view) && view.uptime(now).is_some_and(|time| time >= needed));
                    let recent = Timestamp { mono_us: now.mono_us.saturating_sub(2_100_000), ..now };
                    let answers =
                        self.watchers.get(name).is_none_or(|one| one.since(recent) == watch::Verdict::NeverDown);
                    !is_stable || !answers
                })
                .collect();
            if restless.is_empty() {
                return;
            }
            if now.since(begun).as_secs() > 60 * u64::from(asked + 1) {
                asked += 1;
                println!("  {restless:?} are not well and nobody has hurt them: a person restarts them");
                self.tell(&restless);
                for name in restless {
                    self.restart_by_hand(name);
                }
                assert!(asked < 5, "the project does not come to rest");
            }
            pause(LOOK);
        }
    }

    fn restart_by_hand(&self, name: &str) {
        // What comes of it is seen by the watchers.
        let _done = self.rig.cas(&["restart", name, "--no-wait"]).output();
    }

    /// What cas has to say of services lately.
    fn tell(&self, names: &[&str]) {
        for name in names {
            let story = self.rig.cas(&["events", name, "--since", "2m"]).output();
            let story = story.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
            let lines: Vec<&str> = story.lines().collect();
            for line in lines.iter().skip(lines.len().saturating_sub(14)) {
                println!("    {line}");
            }
        }
    }

    /// A fault, chosen by weight, that may be done to something now.
    fn choose(&mut self, fits: impl Fn(&Fault, &str) -> bool) -> Option<(Fault, &'static str)> {
        let now = clock::now();
        let mut choices: Vec<(&Fault, &'static str, u32)> = Vec::new();
        for fault in &self.faults {
            for (name, _) in SERVICES {
                let falls = self.falls.get(name).map_or(0.0, |(score, at, _)| decayed(*score, now.since(*at)));
                let is_meant = !self.town.is_container(name) || fault.needs == Some(Needs::Containers);
                if is_meant && fault.fits(name) && fits(fault, name) && !(fault.hangs && falls > MOST_FALLS) {
                    choices.push((fault, name, fault.weight * 60 / u32::try_from(fault.to.len()).unwrap_or(1)));
                }
            }
        }
        // One that means all of them weighs as much as one that means a single service.
        let weights: Vec<u32> = choices
            .iter()
            .map(|(fault, _, weight)| if fault.to.iter().any(|name| name == "*") { weight / 10 } else { *weight })
            .collect();
        let mut place = self.rng.u32(0..weights.iter().sum::<u32>().max(1));
        let chosen = weights.iter().position(|weight| {
            let is_it = place < *weight;
            place = place.saturating_sub(*weight);
            is_it
        })?;
        choices.get(chosen).map(|(fault, name, _)| ((*fault).clone(), *name))
    }

    /// What comes next: mostly one fault, now and then two on services that have nothing to do with each other, or on one and on what it needs.
    fn plan(&mut self, most: usize) -> Vec<(Fault, &'static str)> {
        let Some(first) = self.choose(|_, _| true) else {
            pause(Duration::from_secs(5));
            self.look();
            return Vec::new();
        };
        let kind = self.rng.u32(0..100);
        if most < 2 || first.0.alone || kind >= 25 {
            return vec![first];
        }
        let above = dependents(first.1);
        let second = if kind < 12 {
            self.choose(|fault, name| !fault.alone && above.contains(&name))
        } else {
            self.choose(|fault, name| {
                !fault.alone && name != first.1 && !above.contains(&name) && !dependents(name).contains(&first.1)
            })
        };
        [Some(first), second].into_iter().flatten().collect()
    }

    fn round(&mut self, plan: Vec<(Fault, &'static str)>) {
        let snapshot = self.look();
        let before = self.runs.clone();
        let mut open: Vec<Open> = Vec::new();
        let mut done = Vec::new();
        for (fault, service) in plan {
            let start_up = self.day.lives.get(service).map_or(0.0, |life| life.start_up);
            let engine = fault.engine;
            let mut one = Open::inject(fault, service, (&self.rig, &self.town, &snapshot), start_up);
            if let Some(seconds) = engine {
                one.finish();
                self.rig.kill_daemon();
                pause(Duration::from_secs_f64(seconds));
                self.rig.start();
                self.handle = self.rig.connect();
            }
            open.push(one);
        }
        let named: Vec<(String, &'static str, Follows, u32, f64)> = open
            .iter()
            .map(|one| (one.fault.name.clone(), one.service, one.fault.follows, one.fault.starts, one.fault.lasts))
            .collect();
        while !open.is_empty() {
            pause(LOOK);
            let (snapshot, now) = (self.look(), clock::now());
            let mut still = Vec::new();
            for mut one in open {
                let over = self.watchers.get(one.service).and_then(|watcher| one.is_over(&snapshot, watcher, now));
                if let Some((up, was_down)) = over {
                    done.push(one.outcome(up, was_down));
                    continue;
                }
                if !one.helped && now.since(one.injected).as_secs_f64() > one.limit() + PERSON_AFTER {
                    one.helped = true;
                    println!("  {} of {} is not healed; a person restarts it", one.fault.name, one.service);
                    self.tell(&[one.service]);
                    self.restart_by_hand(one.service);
                }
                still.push(one);
            }
            open = still;
        }
        self.settle();
        self.count_restarts(&named, &before);
        let number = self.day.outcomes.len();
        for (place, outcome) in done.iter().enumerate() {
            let down = if outcome.was_down { format!("{:.2} s", outcome.took()) } else { "never down".to_owned() };
            let wrong = outcome.wrong.as_ref().map_or_else(String::new, |wrong| format!(" NOT HEALED: {wrong}"));
            println!("  {:>4} {:<32} {:<10} {down}{wrong}", number + place + 1, outcome.fault, outcome.service);
        }
        self.day.outcomes.extend(done);
        pause(Duration::from_millis(self.rng.u64(100..800)));
    }

    /// New runs of services that nothing was done to, or that should have gone on.
    fn count_restarts(
        &mut self,
        done: &[(String, &'static str, Follows, u32, f64)],
        before: &BTreeMap<&str, BTreeSet<u64>>,
    ) {
        for (name, _) in SERVICES {
            let new = self.runs.get(name).map_or(0, BTreeSet::len) - before.get(name).map_or(0, BTreeSet::len);
            let own: Vec<_> = done.iter().filter(|(_, service, ..)| *service == name).collect();
            let life = self.day.lives.entry(name).or_default();
            life.faults += own.len();
            let needed: u32 = own.iter().filter(|one| one.2 == Follows::Restart).map(|one| one.3).sum();
            if needed == 0 && new > 0 {
                life.false_restarts += new;
                let what: Vec<&str> = done.iter().map(|one| one.0.as_str()).collect();
                println!("  false restart of {name} ({new}) while there was {what:?}");
                self.tell(&[name]);
            } else if needed > 0 && own.iter().all(|one| one.4 <= 0.0) {
                self.day.more_starts += new.saturating_sub(needed as usize);
            }
        }
    }

    /// Adds up what was seen, and stops everything.
    fn end(&mut self, from: Timestamp) {
        let to = clock::now();
        self.day.lasted = to.since(from).as_secs_f64();
        for (name, life) in &mut self.day.lives {
            let own = self.day.outcomes.iter().filter(|outcome| outcome.service == *name);
            life.ideal = own.clone().map(|outcome| outcome.ideal).sum::<f64>().max(0.0);
            let mut down: Vec<(u64, u64)> = own
                .filter(|outcome| outcome.was_down)
                .map(|outcome| (outcome.injected.mono_us, outcome.up.mono_us))
                .collect();
            down.extend(self.watchers.get(name).map(|watcher| watcher.down(from, to)).unwrap_or_default());
            life.down = measure::together(down);
        }
        self.watchers.clear();
        self.rig.run(&["daemon", "stop", "--down"]);
        self.rig.kill_daemon();
        self.town.end_names();
    }
}

fn decayed(score: f64, time: Duration) -> f64 {
    score * (-time.as_secs_f64() / HALF_LIFE).exp2()
}
