//! Against a broker that speaks Kafka's protocol as <https://kafka.apache.org/protocol.html> has it, with the versions of a broker 4.0, so far as the
//! older ones are still taken there.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    sync::{Arc, Mutex},
};

use cas::model::exam::{Grade, Protocol, Trouble};

use super::{about, as_user, assert_known, remark, serve, with};
use crate::kinds::rig::{at, figure, free_port, look, ready};

const KAFKA: Protocol = Protocol::Kafka;

/// Leader, replicas, those in step, those away, first offset, end.
type Partition = (i32, Vec<i32>, Vec<i32>, Vec<i32>, i64, i64);

/// What a group has: its state, and offsets of topic and partition.
type Group = (&'static str, Vec<(&'static str, i32, i64)>);

#[derive(Clone, Default)]
struct World {
    /// Number and port.
    brokers: Vec<(i32, u16)>,
    controller: i32,
    topics: BTreeMap<&'static str, Vec<Partition>>,
    groups: BTreeMap<&'static str, Group>,
    wants_login: bool,
    lists_groups: bool,
}

/// Fields out of a request.
struct Request<'a>(&'a [u8]);

impl Request<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_at(N);
        self.0 = rest;
        taken.try_into().unwrap()
    }

    fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take())
    }

    fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take())
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken.to_vec()
    }

    fn text(&mut self) -> String {
        let length = usize::try_from(self.i16()).unwrap();
        String::from_utf8(self.bytes(length)).unwrap()
    }
}

/// Fields of an answer.
#[derive(Default)]
struct Answer(Vec<u8>);

impl Answer {
    fn i16(&mut self, value: i16) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn i32(&mut self, value: i32) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn i64(&mut self, value: i64) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn count(&mut self, count: usize) -> &mut Self {
        self.i32(i32::try_from(count).unwrap())
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.i16(i16::try_from(text.len()).unwrap());
        self.0.extend(text.bytes());
        self
    }

    fn numbers(&mut self, numbers: &[i32]) -> &mut Self {
        self.count(numbers.len());
        for number in numbers {
            self.i32(*number);
        }
        self
    }
}

/// A broker; what it knows may be changed.
fn start(world: World) -> (u16, Arc<Mutex<World>>) {
    let world = Arc::new(Mutex::new(world));
    let theirs = Arc::clone(&world);
    let port = serve(move |stream| {
        let _gone = talk(stream, &theirs);
    });
    world.lock().unwrap().brokers.insert(0, (1, port));
    (port, world)
}

/// Answers until they go, or do what they may not: then it closes, as Kafka does.
fn talk(mut stream: TcpStream, world: &Arc<Mutex<World>>) -> std::io::Result<()> {
    let mut is_in = !world.lock().unwrap().wants_login;
    loop {
        let mut size = [0; 4];
        stream.read_exact(&mut size)?;
        let mut bytes = vec![0; usize::try_from(i32::from_be_bytes(size)).unwrap()];
        stream.read_exact(&mut bytes)?;
        let mut request = Request(&bytes);
        let (api, version, number) = (request.i16(), request.i16(), request.i32());
        assert_eq!(request.text(), "cas");
        let mut answer = Answer::default();
        answer.i32(number);
        let world = world.lock().unwrap().clone();
        match (api, version) {
            (18, 0) => versions(&mut answer),
            (17, 1) if world.wants_login => {
                let known = request.text() == "PLAIN";
                answer.i16(if known { 0 } else { 33 }).count(1).text("PLAIN");
            }
            (36, 0) if world.wants_login => {
                let length = usize::try_from(request.i32()).unwrap();
                is_in = request.bytes(length) == b"\0cas\0right";
                if is_in {
                    answer.i16(0).i16(-1).i32(0);
                } else {
                    answer.i16(58).text("Authentication failed: Invalid username or password").i32(0);
                }
            }
            _ if !is_in => return Ok(()),
            (3, 5) => metadata(&mut request, &mut answer, &world),
            (16, 2) => {
                answer.i32(0).i16(if world.lists_groups { 0 } else { 31 }).count(world.groups.len());
                for name in world.groups.keys() {
                    answer.text(name).text("consumer");
                }
            }
            (15, 1) => {
                let count = request.i32();
                answer.i32(0).i32(count);
                for _ in 0..count {
                    let name = request.text();
                    let state = world.groups.get(name.as_str()).map_or("Dead", |(state, _)| state);
                    answer.i16(0).text(&name).text(state).text("consumer").text("range");
                    // One member, whose assignment is 3 bytes.
                    answer.count(1).text("member").text("client").text("/127.0.0.1").i32(0).i32(3);
                    answer.0.extend([1, 2, 3]);
                }
            }
            (9, 3) => {
                let name = request.text();
                let none = ("", Vec::new());
                let (_, offsets) = world.groups.get(name.as_str()).unwrap_or(&none);
                answer.i32(0).count(offsets.len());
                for (topic, partition, offset) in offsets {
                    answer.text(topic).count(1).i32(*partition).i64(*offset).text("").i16(0);
                }
                // NOT_COORDINATOR
                answer.i16(if world.groups.contains_key(name.as_str()) { 0 } else { 16 });
            }
            (2, 2) => offsets(&mut request, &mut answer, &world),
            other => panic!("request and version {other:?} are not what brokers of today take"),
        }
        stream.write_all(&i32::try_from(answer.0.len()).unwrap().to_be_bytes())?;
        stream.write_all(&answer.0)?;
    }
}

/// Least and most of Kafka 4.0 (`kafka-broker-api-versions.sh`).
fn versions(answer: &mut Answer) {
    let spoken = [
        (0, 3, 13),
        (1, 4, 17),
        (2, 1, 10),
        (3, 0, 13),
        (9, 1, 9),
        (15, 0, 6),
        (16, 0, 5),
        (17, 0, 1),
        (18, 0, 4),
        (36, 0, 2),
    ];
    answer.i16(0).count(spoken.len());
    for (api, least, most) in spoken {
        answer.i16(api).i16(least).i16(most);
    }
}

fn metadata(request: &mut Request<'_>, answer: &mut Answer, world: &World) {
    let all = request.i32() == -1;
    assert_eq!(request.take::<1>(), [0], "it may not make topics");
    answer.i32(0).count(world.brokers.len());
    for (id, port) in &world.brokers {
        answer.i32(*id).text("127.0.0.1").i32(i32::from(*port)).i16(-1);
    }
    answer.text("a-cluster").i32(world.controller);
    let topics = if all { world.topics.clone() } else { BTreeMap::new() };
    answer.count(topics.len());
    for (name, partitions) in topics {
        answer.i16(0).text(name).0.push(u8::from(name.starts_with("__")));
        answer.count(partitions.len());
        for (index, (leader, replicas, in_step, away, ..)) in partitions.iter().enumerate() {
            answer.i16(if *leader < 0 { 5 } else { 0 }).count(index).i32(*leader);
            answer.numbers(replicas).numbers(in_step).numbers(away);
        }
    }
}

fn offsets(request: &mut Request<'_>, answer: &mut Answer, world: &World) {
    assert_eq!((request.i32(), request.take::<1>()), (-1, [0]));
    let topics = request.i32();
    answer.i32(0).i32(topics);
    for _ in 0..topics {
        let (name, count) = (request.text(), request.i32());
        answer.text(&name).i32(count);
        for _ in 0..count {
            let index = request.i32();
            let time = i64::from_be_bytes(request.take());
            let (.., first, end) = &world.topics[name.as_str()][usize::try_from(index).unwrap()];
            answer.i32(index).i16(0).i64(-1).i64(if time == -1 { *end } else { *first });
        }
    }
}

fn world() -> World {
    World {
        controller: 1,
        lists_groups: true,
        topics: BTreeMap::from([
            ("__consumer_offsets", vec![(1, vec![1], vec![1], vec![], 0, 9)]),
            ("orders", vec![(1, vec![1], vec![1], vec![], 0, 100), (1, vec![1], vec![1], vec![], 0, 50)]),
            ("orders.DLT", vec![(1, vec![1], vec![1], vec![], 10, 13)]),
        ]),
        groups: BTreeMap::from([
            ("billing", ("Stable", vec![("orders", 0, 100), ("orders", 1, 50)])),
            ("mail", ("Stable", vec![("orders", 0, 90), ("orders", 1, 45)])),
        ]),
        ..World::default()
    }
}

#[test]
fn kafka_tells_of_partitions_and_of_groups_that_are_behind() {
    let (port, world) = start(world());
    let target = at(port);
    assert_eq!(ready(KAFKA, &target), Ok(()));
    let reading = look(KAFKA, &target).unwrap();
    assert_eq!(reading.server.as_deref(), Some("Kafka a-cluster"));
    assert!(reading.remarks.is_empty(), "{reading:?}");
    assert_known("kafka", &reading);
    let of = |name| figure(&reading, name);
    assert_eq!((of("brokers"), of("topics"), of("partitions"), of("groups")), (1.0, 2.0, 4.0, 2.0));
    assert_eq!((of("consumer-lag"), about(&reading, "consumer-lag")), (15.0, "group mail, most in orders/0: 10"));
    assert_eq!((of("dead-letters"), about(&reading, "dead-letters")), (3.0, "most in topic orders.DLT"));
    assert_eq!((of("leaderless-partitions"), of("under-replicated"), of("offline-replicas")), (0.0, 0.0, 0.0));
    assert_eq!(of("unattended-groups"), 0.0);

    let reading = look(KAFKA, &with(&target, "groups", "billing, nobody")).unwrap();
    assert_eq!((figure(&reading, "groups"), figure(&reading, "consumer-lag")), (1.0, 0.0));
    assert!(remark(&reading, "groups", Grade::Warning).contains("nobody"));

    // A broker goes, a consumer too, and more is written.
    {
        let mut world = world.lock().unwrap();
        let orders = world.topics.get_mut("orders").unwrap();
        orders[0] = (1, vec![1, 2], vec![1], vec![2], 0, 1100);
        orders[1] = (-1, vec![2], vec![], vec![2], 0, 50);
        world.groups.get_mut("mail").unwrap().0 = "Empty";
        world.groups.get_mut("billing").unwrap().0 = "PreparingRebalance";
        world.controller = -1;
    }
    let reading = look(KAFKA, &target).unwrap();
    let of = |name| figure(&reading, name);
    assert_eq!((of("leaderless-partitions"), about(&reading, "leaderless-partitions")), (1.0, "orders/1"));
    assert_eq!((of("under-replicated"), about(&reading, "under-replicated")), (1.0, "orders/0"));
    assert_eq!((of("offline-replicas"), about(&reading, "offline-replicas")), (2.0, "broker 2"));
    assert_eq!((of("consumer-lag"), about(&reading, "unattended-groups")), (1010.0, "mail"));
    assert!(remark(&reading, "controller", Grade::Critical).contains("no controller"));
    assert!(remark(&reading, "rebalance", Grade::Notice).contains("billing"));
}

#[test]
fn each_broker_is_asked_for_its_own_and_one_that_is_not_reached_is_named() {
    // The second broker coordinates another group and leads a partition of its own.
    let mut first = world();
    first.topics.insert("mails", vec![(2, vec![2], vec![2], vec![], 0, 7)]);
    let mut other = first.clone();
    other.groups = BTreeMap::from([("archive", ("Stable", vec![("mails", 0, 3), ("orders", 0, 0)]))]);
    let (second, _) = start(other);
    let away = free_port();
    first.brokers = vec![(2, second), (3, away)];
    let (port, _) = start(first);
    let reading = look(KAFKA, &at(port)).unwrap();
    assert_eq!(figure(&reading, "groups"), 3.0);
    assert_eq!(about(&reading, "consumer-lag"), "group archive, most in orders/0: 100");
    assert_eq!(figure(&reading, "consumer-lag"), 104.0);
    assert!(remark(&reading, "advertised-listeners", Grade::Notice).contains(&away.to_string()));
}

#[test]
fn kafka_lets_in_who_knows_the_password_and_says_what_may_not_be_seen() {
    let (port, world) = start(World { wants_login: true, ..world() });
    let target = at(port);
    assert_eq!(ready(KAFKA, &as_user(&target, "cas", "right")), Ok(()));
    assert_eq!(figure(&look(KAFKA, &as_user(&target, "cas", "right")).unwrap(), "consumer-lag"), 15.0);
    let answer = ready(KAFKA, &as_user(&target, "cas", "not-this-one"));
    let Err(Trouble::Refused(why)) = answer else { panic!("{answer:?}") };
    assert!(why.contains("user cas") && !why.contains("not-this-one"), "{why}");
    let answer = ready(KAFKA, &target);
    let Err(Trouble::Refused(why)) = answer else { panic!("{answer:?}") };
    assert!(why.contains("write check: kafka://USER:PASSWORD@"), "{why}");

    world.lock().unwrap().wants_login = false;
    let answer = ready(KAFKA, &as_user(&target, "cas", "right"));
    assert!(matches!(&answer, Err(Trouble::Refused(why)) if why.contains("without a password")), "{answer:?}");
    world.lock().unwrap().lists_groups = false;
    let reading = look(KAFKA, &target).unwrap();
    assert!(remark(&reading, "groups", Grade::Notice).contains("may not list groups"));
    world.lock().unwrap().brokers.clear();
    let answer = ready(KAFKA, &target);
    assert!(matches!(answer, Err(Trouble::Unready(_))), "{answer:?}");
}
