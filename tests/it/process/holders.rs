//! What is told of who holds a port: since when, and which service of cas it is.
#![expect(clippy::wildcard_enum_match_arm, reason = "one event is looked for")]

use std::net::TcpListener;

use cas::{
    model::{
        effect::Effect,
        event::Event,
        ids::Epoch,
        service::{CommandLine, Port},
    },
    world::{clock, ports},
};

use super::rig::{Rig, service};

const SERVER: &str = "import socket, time
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); print('port', s.getsockname()[1], flush=True); time.sleep(1000)";

#[test]
fn a_listener_is_told_with_the_moment_at_which_its_process_began() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = Port(listener.local_addr().unwrap().port());
    let holders = ports::listeners(&[port]);
    let own = holders.iter().find(|holder| holder.pid == Some(std::process::id())).unwrap();
    let now = clock::now().wall_us;
    let since = own.since_us.unwrap();
    // This process began after the machine did, and a test of a day ago is not this one.
    assert!(since <= now + 1_000_000 && now - since < 86_400_000_000, "{since} {now}");
    assert_eq!((own.user.as_deref(), own.service.as_ref()), (None, None), "it is ours, and no service");
    assert_eq!(ports::listeners(&[port]), holders, "a second look says the same");
    let told = own.told_at(now);
    assert!(told.contains(&format!("(pid {}, since ", std::process::id())), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_another_service_is_told_as_that_service() {
    let mut rig = Rig::new();
    let argv = ["/usr/bin/env", "python3", "-c", SERVER].map(str::to_owned).to_vec();
    let run = rig.start_spec(rig.spec("other", CommandLine::Argv(argv)));
    rig.spawned(run).await;
    let port = Port(u16::try_from(rig.number_after("port ").await).unwrap());
    rig.world.perform(Effect::CheckPorts { service: service("web"), epoch: Epoch(7), ports: vec![port] });
    let holders = rig
        .event("ports checked", |event| match event {
            Event::PortsChecked { holders, .. } => Some(holders.clone()),
            _ => None,
        })
        .await;
    assert_eq!(holders[0].service, Some(service("other")), "{holders:?}");
    assert!(holders[0].to_string().contains(&format!("is held by {} (", service("other"))), "{}", holders[0]);
    assert!(rig.end(run, std::time::Duration::ZERO).await.is_empty());
}
