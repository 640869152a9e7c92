//! Who holds a port.
#![expect(clippy::wildcard_enum_match_arm, reason = "one event is looked for")]

use std::{net::TcpListener, time::Duration};

use cas::model::{
    effect::Effect,
    event::Event,
    ids::Epoch,
    phase::PortHolder,
    service::{CommandLine, Port},
};

use super::rig::{Rig, service};
use crate::support::eventually;

const SERVER: &str = "import socket, sys, time
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); print('port', s.getsockname()[1], flush=True); time.sleep(1000)";

async fn check(rig: &mut Rig, name: &str, ports: &[u16]) -> Vec<PortHolder> {
    let ports = ports.iter().copied().map(Port).collect();
    rig.world.perform(Effect::CheckPorts { service: service(name), epoch: Epoch(7), ports });
    rig.event("ports checked", |event| match event {
        Event::PortsChecked { epoch: Epoch(7), holders, .. } => Some(holders.clone()),
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_on_the_port_is_named_with_pid_and_command() {
    let mut rig = Rig::new();
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let holders = check(&mut rig, "web", &[port]).await;
    assert_eq!(holders.len(), 1);
    assert_eq!((holders[0].port, holders[0].pid), (port, Some(std::process::id())));
    let command = holders[0].command.as_deref().unwrap();
    assert!(command.chars().count() <= 80 && !command.is_empty(), "{command}");
    drop(listener);
    // A child of another test may hold it between its fork and its exec.
    for _ in 0..12_000 {
        if check(&mut rig, "web", &[port]).await.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the port is free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_the_same_service_is_no_stranger_but_another_service_is() {
    let mut rig = Rig::new();
    let argv = ["/usr/bin/env", "python3", "-c", SERVER].map(str::to_owned).to_vec();
    let run = rig.start_spec(rig.spec("other", CommandLine::Argv(argv)));
    rig.spawned(run).await;
    let port = u16::try_from(rig.number_after("port ").await).unwrap();
    assert!(check(&mut rig, "other", &[port]).await.is_empty());
    let holders = check(&mut rig, "web", &[port]).await;
    assert_eq!(holders.len(), 1);
    assert!(holders[0].command.as_deref().unwrap().contains("python3 -c import socket"), "{holders:?}");
    assert!(!holders[0].command.as_deref().unwrap().contains('\n'));
    assert!(rig.end(run, Duration::ZERO).await.is_empty());
    assert!(check(&mut rig, "web", &[port]).await.is_empty());
}

/// A process that bears a service's mark, as one that an earlier run has left.
struct Orphan(std::process::Child);

impl Orphan {
    fn of(name: &str) -> Self {
        let child = std::process::Command::new("sleep")
            .arg("1000")
            .env("CAS_RUN", "1")
            .env("CAS_SERVICE", service(name).to_string())
            .spawn();
        Self(child.unwrap())
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        // An error means that it is gone.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_of_the_service_is_ended_and_nobody_elses_process_is() {
    let rig = Rig::new();
    let (mut own, mut others) = (Orphan::of("web"), Orphan::of("db"));
    let mut stranger = std::process::Command::new("sleep").arg("1000").spawn().map(Orphan).unwrap();
    for pid in [others.0.id(), stranger.0.id(), own.0.id()] {
        rig.world.perform(Effect::EndOrphan { service: service("web"), pid });
    }
    eventually("the orphan is gone", || own.has_ended());
    assert!(!others.has_ended() && !stranger.has_ended());
}
