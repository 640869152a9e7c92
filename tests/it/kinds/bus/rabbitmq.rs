//! Against `RabbitMQ` 3.10.8 of Debian 12.

use std::process::Command;

use cas::{
    model::exam::{Grade, Protocol, Reading, Target, Trouble},
    world::kinds::web,
};
use reqwest::Method;

use super::{about, as_user, assert_known, assert_sign, assert_silent, remark, with};
use crate::{
    kinds::rig::{Server, at, dir, figure, free_port, look, program, ready, run, until_ready},
    support::eventually,
};

const RABBITMQ: Protocol = Protocol::Rabbitmq;
const BIN: &str = "/usr/lib/rabbitmq/bin";

/// A broker, and the mapper of ports that Erlang wants.
struct Broker {
    server: Server,
    mapper: Server,
    management: u16,
}

impl Broker {
    fn start() -> Self {
        program("rabbitmq-server", "rabbitmq-server");
        let (port, management, mapped) = (free_port(), free_port(), free_port());
        let mapper = Server::start(dir(), mapped, &program("epmd", "erlang-base"), &["-port", &mapped.to_string()]);
        let dir = dir();
        std::fs::write(dir.path().join("plugins"), "[rabbitmq_management].\n").unwrap();
        let conf = format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {management}\n\
             collect_statistics_interval = 1000\n"
        );
        std::fs::write(dir.path().join("rabbitmq.conf"), conf).unwrap();
        let mut command = Command::new(format!("{BIN}/rabbitmq-server"));
        surroundings(&mut command, dir.path(), mapped);
        let server = Server::start_with(dir, port, &mut command);
        Self { server, mapper, management }
    }

    fn target(&self) -> Target {
        with(&self.server.target(), "management", &self.management.to_string())
    }

    fn api(&self, method: Method, path: &str, body: &str) {
        let target = as_user(&at(self.management), "guest", "guest");
        let headers = [("content-type", "application/json")];
        let answer = run(web::ask(method, &target, path, &headers, Some(body.as_bytes().to_vec()))).unwrap();
        assert!(answer.status.is_success(), "{path}: {}", answer.text());
    }

    fn publish(&self, queue: &str) {
        let body = format!(
            r#"{{"properties":{{"timestamp":1700000000}},"routing_key":"{queue}","payload":"x","payload_encoding":"string"}}"#
        );
        self.api(Method::POST, "/api/exchanges/%2F/amq.default/publish", &body);
    }

    fn ctl(&self, arguments: &[&str]) {
        let mut command = Command::new(format!("{BIN}/rabbitmqctl"));
        surroundings(&mut command, self.server.dir.path(), self.mapper.port);
        let done = command.args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

/// Everything of its own: node, mapper, directories, cookie.
fn surroundings(command: &mut Command, dir: &std::path::Path, mapper: u16) {
    command
        .env("HOME", dir)
        .env("RABBITMQ_NODENAME", format!("cas{mapper}@localhost"))
        .env("RABBITMQ_MNESIA_BASE", dir.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", dir.join("log"))
        .env("RABBITMQ_LOGS", "-")
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", dir.join("plugins"))
        .env("RABBITMQ_CONFIG_FILE", dir.join("rabbitmq.conf"))
        .env("RABBITMQ_CONF_ENV_FILE", dir.join("none"))
        .env("RABBITMQ_DIST_PORT", free_port().to_string())
        .env("ERL_EPMD_PORT", mapper.to_string());
}

#[test]
fn rabbitmq_tells_of_its_queues_its_dead_letters_and_its_alarms() {
    let broker = Broker::start();
    let target = broker.target();
    until_ready(&broker.server, RABBITMQ, &target);
    let mut reading = Reading::default();
    eventually("its nodes have been measured", || {
        reading = look(RABBITMQ, &target).unwrap();
        reading.measures.iter().any(|measure| measure.name == "memory")
    });
    assert_eq!(reading.server.as_deref(), Some("RabbitMQ 3.10.8"));
    assert!(reading.remarks.is_empty(), "{reading:?}");
    assert!(figure(&reading, "memory") > 1e6 && figure(&reading, "disk-free") > 1e6);

    queues_fill(&broker, &target);
    who_may_not_come_in(&broker, &target);
    only_over_amqp(&broker);

    broker.server.signal("STOP");
    assert_silent(RABBITMQ, &target);
    broker.server.signal("CONT");

    // Less memory than it has taken already.
    broker.ctl(&["set_vm_memory_high_watermark", "absolute", "1MB"]);
    eventually("it raises an alarm", || has_alarm(&look(RABBITMQ, &target).unwrap()));
    let reading = look(RABBITMQ, &target).unwrap();
    assert!(remark(&reading, "alarm", Grade::Critical).contains("memory alarm"));
    assert_sign("rabbitmq", &broker.server, "too little memory");
    assert_sign("rabbitmq", &broker.server, "wrong name or password");
}

fn has_alarm(reading: &Reading) -> bool {
    reading.remarks.iter().any(|remark| remark.check == "alarm")
}

fn queues_fill(broker: &Broker, target: &Target) {
    let arguments = r#"{"arguments":{"x-dead-letter-exchange":"","x-dead-letter-routing-key":"graves"}}"#;
    broker.api(Method::PUT, "/api/queues/%2F/orders", arguments);
    broker.api(Method::PUT, "/api/queues/%2F/graves", "{}");
    for queue in ["orders", "orders", "orders", "graves", "graves"] {
        broker.publish(queue);
    }
    let mut reading = Reading::default();
    eventually("its figures show five messages", || {
        reading = look(RABBITMQ, target).unwrap();
        let of = |name| reading.measures.iter().find(|measure| measure.name == name).map(|measure| measure.value);
        of("queue-depth") == Some(3.0) && of("dead-letters") == Some(2.0) && of("published") == Some(5.0)
    });
    assert_known("rabbitmq", &reading);
    assert_eq!(about(&reading, "queue-depth"), "queue orders");
    assert_eq!(about(&reading, "dead-letters"), "most in queue graves");
    assert_eq!((figure(&reading, "unconsumed-queues"), about(&reading, "unconsumed-queues")), (1.0, "orders"));
    assert!(figure(&reading, "oldest-job") > 86_400.0);
}

fn who_may_not_come_in(broker: &Broker, target: &Target) {
    let answer = ready(RABBITMQ, &as_user(target, "guest", "not-this-one"));
    let Err(Trouble::Refused(why)) = answer else { panic!("{answer:?}") };
    assert!(why.contains("user guest") && !why.contains("not-this-one"), "{why}");
    let answer = ready(RABBITMQ, &Target { path: "nowhere".to_owned(), ..target.clone() });
    let Err(Trouble::Refused(why)) = answer else { panic!("{answer:?}") };
    assert!(why.contains("no such virtual host"), "{why}");
    assert_eq!(ready(RABBITMQ, &Target { path: "%2F".to_owned(), ..target.clone() }), Ok(()));

    broker.api(Method::PUT, "/api/vhost-limits/%2F/max-connections", r#"{"value":0}"#);
    let answer = ready(RABBITMQ, target);
    assert!(matches!(answer, Err(Trouble::Busy(_))), "{answer:?}");
    broker.api(Method::DELETE, "/api/vhost-limits/%2F/max-connections", "");

    // Someone who may use the broker, and may not look at it.
    broker.api(Method::PUT, "/api/users/worker", r#"{"password":"spade","tags":""}"#);
    broker.api(Method::PUT, "/api/permissions/%2F/worker", r#"{"configure":".*","write":".*","read":".*"}"#);
    let worker = as_user(target, "worker", "spade");
    assert!(remark(&look(RABBITMQ, &worker).unwrap(), "management", Grade::Warning).contains("lets nobody in"));
}

fn only_over_amqp(broker: &Broker) {
    let target = with(&broker.server.target(), "management", &free_port().to_string());
    let reading = look(RABBITMQ, &with(&target, "queues", "orders, nowhere, graves")).unwrap();
    assert!(remark(&reading, "management", Grade::Notice).contains("does not answer"));
    assert!(remark(&reading, "queue", Grade::Warning).contains("nowhere"));
    assert_eq!((figure(&reading, "queue-depth"), about(&reading, "queue-depth")), (3.0, "queue orders"));
    assert_eq!(figure(&reading, "unconsumed-queues"), 2.0);
    assert_known("rabbitmq", &reading);
    let answer = look(RABBITMQ, &with(&target, "management", "many"));
    assert!(matches!(answer, Err(Trouble::Refused(_))), "{answer:?}");
}
