//! Row 44: two clients act at once, at random, ten thousand times. Nothing is lost, nothing is done twice, and both end up with the same picture.

use std::collections::BTreeMap;

use cas::{
    api,
    config::paths::Paths,
    host::handle::Handle,
    model::{
        command::Command,
        ids::RequestId,
        policy::{Consent, Origin, Reply, Request},
        snapshot::Snapshot,
        timeline::What,
    },
    world::store::{self, EntryFilter},
};
use tokio::task::JoinSet;

use super::stage::Stage;
use crate::support::eventually_async;

const CLIENTS: u64 = 2;
const COMMANDS: u64 = 5_000;
/// Requests of one client that are under way at a time.
const LANES: u64 = 20;
/// Services that make processes.
const REAL: [&str; 2] = ["a", "b"];
/// Services that wait for a job that does not end: they change as often as one likes, and cost nothing.
const WAITING: [&str; 4] = ["w1", "w2", "w3", "w4"];

/// How often a line was accepted, and how many were about a state that was gone.
#[derive(Default)]
struct Tally {
    accepted: BTreeMap<String, usize>,
    /// What was not answered in time, because the machine stood still: it may have been done or not.
    unknown: BTreeMap<String, usize>,
    outdated: usize,
    answered: u64,
}

/// A command; those that stop carry a number of their own in their grace time.
fn line(rng: &mut fastrand::Rng, number: u64) -> String {
    let service = if rng.u8(..10) == 0 { REAL[rng.usize(..2)] } else { WAITING[rng.usize(..4)] };
    let grace = 10_000 + number;
    match rng.u8(..20) {
        0..=6 => format!("start {service}"),
        7..=10 => format!("stop {service} --grace {grace}ms"),
        11..=13 => format!("restart {service} --grace {grace}ms"),
        14 => format!("kill {service}"),
        15..=17 => format!("signal WINCH {service}"),
        18 => "autopilot on".to_owned(),
        _ => "autopilot off".to_owned(),
    }
}

/// One lane of a client: every third wish is about what its picture shows.
async fn act(client: Handle, lane: u64) -> Tally {
    let mut rng = fastrand::Rng::with_seed(lane);
    let mut tally = Tally::default();
    for turn in 0..COMMANDS / LANES {
        let line = line(&mut rng, lane * COMMANDS + turn);
        let command = Command::parse_line(&line).unwrap();
        let line = command.to_line();
        let snapshot = client.snapshot();
        let target = command.targets().and_then(|targets| targets.services.first());
        let seen = target.and_then(|name| snapshot.services.iter().find(|view| view.id.service.as_str() == name.0));
        let if_rev = seen.map(|view| view.revision).filter(|_| rng.u8(..3) == 0);
        let (id, origin, consent) = (RequestId(0), Origin::Api, Consent::Ask);
        let reply = client.request(Request { id, origin, command, consent, if_rev, asker: None }).await.unwrap();
        tally.answered += 1;
        match reply {
            Reply::Accepted { .. } => *tally.accepted.entry(line).or_default() += 1,
            Reply::Refused { reason, .. } if reason.contains("has changed since") && if_rev.is_some() => {
                tally.outdated += 1;
            }
            Reply::Unchanged { .. } => {}
            Reply::Refused { reason, .. } if reason.contains("no answer within") => {
                *tally.unknown.entry(line).or_default() += 1;
            }
            other @ (Reply::Refused { .. } | Reply::Planned { .. } | Reply::NeedsConsent { .. }) => {
                panic!("{line}: {other:?}")
            }
        }
    }
    tally
}

/// What two pictures must have in common: all but the moment at which they were taken.
fn state(snapshot: &Snapshot) -> serde_json::Value {
    serde_json::json!([snapshot.services, snapshot.projects, snapshot.engine, snapshot.timeline, snapshot.revision])
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_random_commands_of_two_clients_lose_nothing_and_do_nothing_twice() {
    let real = REAL.map(|name| format!("  {name}: {{command: [sleep, '1000'], restart: always}}\n")).concat();
    let needs = "depends_on: {job: {condition: service_completed_successfully}}";
    let waiting = WAITING.map(|name| format!("  {name}: {{command: [sleep, '1001'], {needs}}}\n")).concat();
    let job = "  job: {command: [sleep, '1002'], restart: 'no'}\n";
    let stage = Stage::with(&format!("{job}{real}{waiting}"));
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(api::connect(&stage.socket, cas::world::clock::now).await.unwrap());
    }
    let mut lanes = JoinSet::new();
    for (number, client) in (0..).zip(&clients) {
        for lane in 0..LANES {
            lanes.spawn(act(client.clone(), number * LANES + lane));
        }
    }
    let mut all = Tally::default();
    for tally in lanes.join_all().await {
        all.answered += tally.answered;
        all.outdated += tally.outdated;
        for (tally, all) in [(tally.accepted, &mut all.accepted), (tally.unknown, &mut all.unknown)] {
            for (line, count) in tally {
                *all.entry(line).or_default() += count;
            }
        }
    }
    assert_eq!(all.answered, CLIENTS * COMMANDS, "every one is answered");
    assert!(all.outdated > 0, "the other one was quicker now and then");

    eventually_async("everybody sees the same", || async {
        let engine = state(&stage.host.handle.snapshot());
        clients.iter().all(|client| state(&client.snapshot()) == engine)
    })
    .await;
    let home = stage.home.path().to_owned();
    let database =
        Paths::from_lookup(|name| name.starts_with("CAS_").then(|| home.join(name.to_lowercase()))).database();
    stage.host.handle.leave().await;
    let filter = EntryFilter { limit: 1_000_000, project: None, services: Vec::new(), since_wall_us: None };
    let mut done: BTreeMap<String, usize> = BTreeMap::new();
    for entry in store::read_entries(&database, &filter).unwrap() {
        if let What::Requested { line, from } = entry.what {
            assert_eq!(from.map(|from| from.pid), Some(std::process::id()), "it is known who asked");
            *done.entry(line).or_default() += 1;
        }
    }
    for line in all.accepted.keys().chain(done.keys()) {
        let of = |tally: &BTreeMap<String, usize>| tally.get(line).copied().unwrap_or(0);
        let (asked, done) = (of(&all.accepted), of(&done));
        assert!(asked <= done && done <= asked + of(&all.unknown), "{line}: {asked} accepted, {done} done");
    }
    assert!(
        done.iter().all(|(line, count)| !line.contains("--grace") || *count == 1),
        "what has a number is done once"
    );
    stage.leave().await;
}
