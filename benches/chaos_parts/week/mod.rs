//! A daemon's life in virtual time: what must not grow is read at equal distances. The engine, store, timeline, journals, spool,
//! intake of output with its rotation and archives, and the socket with its clients are the real ones; processes and the clock are played.

mod gauge;
mod house;
mod slot;
mod specs;
mod visitors;

use std::{sync::Arc, time::Duration};

use cas::{
    model::{
        command::{Command, Starts},
        event::{Event, TroubleSlot},
        ids::ProjectName,
        metric::{HostUsage, RunUsage, Sample},
    },
    world::{limits, store::Limits},
};

pub(crate) use self::gauge::{Judge, Reading, courses};
use self::house::House;

/// How to live.
pub(crate) struct Plan {
    /// Of every random choice.
    pub(crate) seed: u64,
    /// Readings, and the virtual time before each.
    pub(crate) readings: usize,
    pub(crate) between: Duration,
    /// Virtual time in which everything is looked after once.
    pub(crate) tick: Duration,
    /// Between two samples.
    pub(crate) sample: Duration,
    /// What the store keeps: less than is recorded between two readings, so that growth would be seen.
    pub(crate) limits: Limits,
}

/// What came of it.
pub(crate) struct Lived {
    pub(crate) readings: Vec<Vec<Reading>>,
    pub(crate) steps: u64,
    pub(crate) entries: u64,
    pub(crate) dropped: u64,
}

/// Lives as planned, in a process that is set up as that of the daemon.
pub(crate) fn live(plan: &Plan) -> Lived {
    limits::share_one_arena();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(go_on(plan))
}

async fn go_on(plan: &Plan) -> Lived {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut house = House::begin(dir.path(), plan.seed, plan.limits);
    let roots = dir.path().join("projects");
    open(&mut house, &roots, "shop");
    let mut readings = Vec::new();
    let mut life = Life { ticks: 0, visits: 0, guests: 0, roots };
    for _ in 0..plan.readings {
        let end = house.now().plus(plan.between);
        while !house.now().has_reached(end) {
            life.tick(&mut house, plan).await;
        }
        rest().await;
        readings.push(gauge::read(&house.paths.state, &house.state_of("shop"), &house.held()));
    }
    Lived { readings, steps: house.steps, entries: house.entries, dropped: house.dropped() }
}

fn open(house: &mut House, roots: &std::path::Path, name: &str) {
    house.ask(Command::Open { directory: roots.join(name), environment: None, starts: Starts::Autostart });
}

/// Connections that ended are closed by tasks of the server: until the number of descriptors stays the same.
async fn rest() {
    let mut calm = 0;
    let mut before = gauge::descriptors();
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let now = gauge::descriptors();
        calm = if now == before { calm + 1 } else { 0 };
        before = now;
        if calm == 10 {
            return;
        }
    }
}

struct Life {
    ticks: u64,
    visits: u8,
    guests: u64,
    roots: std::path::PathBuf,
}

impl Life {
    async fn tick(&mut self, house: &mut House, plan: &Plan) {
        self.ticks += 1;
        let mut left = plan.tick;
        while !left.is_zero() {
            let span = plan.sample.min(left);
            house.pass(span).await;
            left -= span;
            sample(house);
        }
        talk(house);
        house.settle().await;
        let hour = 3600 / plan.tick.as_secs().max(1);
        // What a person, or a program, does now and then: each about once an hour, at its own minute.
        let deeds = 12;
        let period = (hour / deeds).max(1);
        if self.ticks.is_multiple_of(period) {
            self.deed(house, self.ticks / period % deeds).await;
        }
    }

    async fn deed(&mut self, house: &mut House, which: u64) {
        let service = house.rng.usize(0..specs::SERVICES - 1);
        match which {
            0 => house.say(&format!("stop shop/s{service:02}")),
            1 => house.say("start --all"),
            2 => house.say(&format!("restart shop/s{:02} --with-dependents", service % 5)),
            3 => house.say(&format!("kill shop/s{service:02}")),
            4 => {
                let shop = ProjectName::new("shop").expect("a name");
                *house.editions.entry(shop).or_default() += 1;
                house.say("reload");
            }
            5 => {
                // Nobody has used the name before.
                self.guests += 1;
                open(house, &self.roots, &format!("guest{}", self.guests));
                open(house, &self.roots, "regular");
            }
            6 => flood(house),
            7 => {
                house.tell(Event::Stalled { gap: Duration::from_secs(7) });
                let text = self.guests.is_multiple_of(2).then(|| "the disk is full".to_owned());
                house.tell(Event::Trouble { slot: TroubleSlot::Logs, text });
            }
            8 => house.say(if self.guests.is_multiple_of(2) { "autopilot off" } else { "autopilot on" }),
            9 => {
                for name in [format!("guest{}", self.guests), "regular".to_owned()] {
                    let Ok(project) = ProjectName::new(&name) else { continue };
                    if house.projects.contains_key(&project) {
                        house.ask(Command::Close { project });
                    }
                }
            }
            _ => {
                for _ in 0..3 {
                    self.visits = self.visits.wrapping_add(1);
                    let visit = tokio::spawn(visitors::visit(house.socket.clone(), self.visits));
                    house.serve(visit).await;
                }
            }
        }
    }
}

/// Once a second in life.
fn sample(house: &mut House) {
    let usage = |n: u64| RunUsage { cpu_percent: (n % 7) as f32, memory_bytes: n << 20, processes: 1, threads: 2 };
    let runs = house.running().into_iter().map(|(run, _)| (run, usage(run.0 % 50))).collect();
    let sample = Sample { at: house.now(), host: HostUsage::default(), runs, stopped: Vec::new() };
    house.tell(Event::Sampled(Arc::new(sample)));
}

/// Every service has something to say now and then.
fn talk(house: &mut House) {
    for (run, service) in house.running() {
        if house.rng.bool() {
            let number = house.rng.u32(..);
            let text = format!("took {number} µs to answer a request, as it should be\n");
            house.write(run, &service, text.as_bytes());
        }
    }
}

/// One service writes without end for a moment.
fn flood(house: &mut House) {
    let running = house.running();
    if running.is_empty() {
        return;
    }
    let (run, service) = running[house.rng.usize(..running.len())].clone();
    let text = "a line of a flood, of which there are very many, all of them the same\n".repeat(200);
    for _ in 0..100 {
        house.write(run, &service, text.as_bytes());
    }
}
