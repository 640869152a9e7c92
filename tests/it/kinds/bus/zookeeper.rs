//! Against `ZooKeeper` 3.8.0 of Debian 12.

use std::{net::TcpStream, path::Path};

use cas::model::exam::{Grade, Protocol, Trouble};

use super::{assert_known, assert_sign, assert_silent, remark, speaker};
use crate::{
    kinds::rig::{Server, at, dir, figure, free_port, look, program, ready, until_ready},
    support::eventually,
};

const ZOOKEEPER: Protocol = Protocol::Zookeeper;

fn start(more: &str) -> Server {
    let jar = "/usr/share/java/zookeeper.jar";
    assert!(Path::new(jar).is_file(), "{jar} is not installed: apt-get install zookeeper (make test does it)");
    let (port, dir) = (free_port(), dir());
    std::fs::create_dir(dir.path().join("data")).unwrap();
    std::fs::write(dir.path().join("data/myid"), "1\n").unwrap();
    let configuration = format!(
        "tickTime=2000\ninitLimit=5\nsyncLimit=2\ndataDir={}/data\nclientPortAddress=127.0.0.1\nclientPort={port}\n\
         admin.enableServer=false\n{more}\n",
        dir.path().display()
    );
    std::fs::write(dir.path().join("zoo.cfg"), configuration).unwrap();
    let arguments = [
        "-Xmx48m",
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-Dzookeeper.jmx.log4j.disable=true",
        "-cp",
        // Debian's own class path has nothing that writes a log.
        &format!("{jar}:/usr/share/java/slf4j-simple.jar"),
        "org.apache.zookeeper.server.quorum.QuorumPeerMain",
        "zoo.cfg",
    ];
    Server::start(dir, port, &program("java", "default-jre-headless"), &arguments)
}

#[test]
fn zookeeper_tells_of_its_clients_where_that_is_allowed() {
    let server = start("4lw.commands.whitelist=srvr,mntr");
    let target = server.target();
    until_ready(&server, ZOOKEEPER, &target);
    let reading = look(ZOOKEEPER, &target).unwrap();
    assert_eq!(reading.server.as_deref(), Some("ZooKeeper 3.8.0"));
    assert_eq!(remark(&reading, "mode", Grade::Good), "it runs as standalone");
    assert_known("zookeeper", &reading);
    assert!(figure(&reading, "nodes") >= 1.0 && figure(&reading, "file-descriptors") > 3.0);
    let before = figure(&reading, "connections");
    let open: Vec<_> = (0..7).map(|_| TcpStream::connect(("127.0.0.1", server.port)).unwrap()).collect();
    eventually("it counts them", || figure(&look(ZOOKEEPER, &target).unwrap(), "connections") >= before + 7.0);
    drop(open);
    server.signal("STOP");
    assert_silent(ZOOKEEPER, &target);
    server.signal("CONT");
    assert_eq!(ready(ZOOKEEPER, &target), Ok(()));
}

#[test]
fn a_zookeeper_that_allows_only_srvr_tells_less_and_one_without_its_fellows_does_not_serve() {
    let server = start("");
    let target = server.target();
    until_ready(&server, ZOOKEEPER, &target);
    let reading = look(ZOOKEEPER, &target).unwrap();
    assert!(remark(&reading, "mntr", Grade::Notice).contains("4lw.commands.whitelist"));
    assert!(figure(&reading, "nodes") >= 1.0 && figure(&reading, "connections") >= 1.0);
    assert_known("zookeeper", &reading);
    drop(server);
    // What it says where not even srvr is allowed.
    let mute = speaker(b"srvr is not executed because it is not in the whitelist.\n");
    let answer = ready(ZOOKEEPER, &at(mute));
    assert!(matches!(&answer, Err(Trouble::Refused(why)) if why.contains("4lw.commands.whitelist")), "{answer:?}");

    let fellows: Vec<_> =
        (1..=3).map(|number| format!("server.{number}=127.0.0.1:{}:{}", free_port(), free_port())).collect();
    let alone = start(&fellows.join("\n"));
    let mut last = None;
    eventually("it says that it does not serve", || {
        last = Some(ready(ZOOKEEPER, &alone.target()));
        matches!(last, Some(Err(Trouble::Unready(_))))
    });
    assert!(last.unwrap().unwrap_err().to_string().contains("no quorum"));
    assert_sign("zookeeper", &alone, "not reached");
}
