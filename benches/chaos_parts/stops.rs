//! Stops of trees that do not want to end.

use cas::{
    host::handle::Handle,
    model::{
        command::{Command, ServiceRef, Targets},
        ids::RequestId,
        phase::Phase,
        policy::{Consent, Origin, Reply, Request},
        timeline::What,
    },
};

use crate::{
    Count, Must, count,
    rig::{self, Rig, see},
};

/// Each is a way not to end.
const KINDS: &[(&str, &str)] = &[
    ("deaf", "trap '' TERM; while :; do sleep 1000; done"),
    ("setsid", "setsid sleep 100001 & setsid sh -c 'setsid sleep 100002 & sleep 100003' & sleep 100004"),
    ("twice", "(sh -c 'trap \"\" TERM HUP; sleep 100005 & wait' &) ; (setsid sh -c 'sleep 100006 &' &) ; sleep 100007"),
    ("stopped", "sleep 100008 & kill -STOP $$"),
    ("bomb", "n=0; while [ $n -lt 60 ]; do sleep 100009 & n=$((n+1)); done; trap '' TERM; wait; wait; wait"),
];

/// The trial: `rounds` stops in all.
pub(crate) fn hostile(rounds: usize) -> Vec<Count> {
    let mut yaml = "name: chaos\nservices:\n".to_owned();
    let copies = 2;
    for copy in 0..copies {
        for (name, line) in KINDS {
            let line = line.replace('\'', "''").replace('$', "$$");
            yaml.extend([format!("  {name}{copy}: {{ shell: '{line}', stop_grace_period: 200ms, restart: 'no' }}\n")]);
        }
    }
    let mut rig = Rig::new(&yaml, &[]);
    rig.start();
    rig.run(&["up", "--detach"]);
    let handle = rig.connect();
    let each = KINDS.len() * copies;
    let mut stops = 0;
    let mut survivors = 0;
    while stops < rounds {
        ask(&rig, &handle, |targets| Command::Start { targets });
        see(&handle, "all run", |s| s.services.iter().all(|s| matches!(s.phase, Phase::Running { .. })));
        rig::pause(std::time::Duration::from_millis(60));
        ask(&rig, &handle, |targets| Command::Stop { targets, grace: None });
        see(&handle, "all are stopped", |s| s.services.iter().all(|s| matches!(s.phase, Phase::Stopped { .. })));
        stops += each;
        let left = rig.processes().into_iter().filter(|(_, command)| !command.contains("cas")).collect::<Vec<_>>();
        for (pid, command) in &left {
            println!("  survivor: {pid} {command}");
            rig::kill(*pid, rustix::process::Signal::KILL);
        }
        survivors += left.len();
    }
    let named = handle.snapshot().timeline.iter().filter(|entry| matches!(entry.what, What::Survivors { .. })).count();
    let containment = handle.snapshot().services.first().map(|service| service.containment);
    println!("  held together by {containment:?}");
    drop(handle);
    rig.run(&["daemon", "stop", "--down"]);
    vec![
        count("stops", stops as f64, Must::Told),
        count("survivors", survivors as f64, Must::Zero),
        count("stops after which the timeline names survivors", named as f64, Must::Told),
    ]
}

fn ask(rig: &Rig, handle: &Handle, command: impl Fn(Targets) -> Command) {
    let targets = Targets { services: vec![ServiceRef("chaos/*".to_owned())], all: false };
    let request = Request {
        id: RequestId(0),
        origin: Origin::Api,
        command: command(targets),
        consent: Consent::Ask,
        if_rev: None,
        asker: None,
    };
    match rig.runtime.block_on(handle.request(request)) {
        Ok(Reply::Accepted { .. } | Reply::Unchanged { .. }) => {}
        other => panic!("the daemon says {other:?}"),
    }
}
