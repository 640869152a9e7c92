//! Prometheus 2.42.0, the node exporter 1.5.0, and fakes of what they look like in other states.

use std::{fs, net::TcpStream};

use super::{
    super::rig::{Server, at, dir, figure, free_port, look, program, ready, until_ready},
    fake::{Fake, Reply, with},
    known, measure, remarks, silent,
};
use crate::support::eventually;
use cas::model::exam::{Grade, Protocol::Prometheus, Trouble};

#[test]
fn prometheus_names_targets_that_are_down_and_rules_that_fail() {
    let (dir, port, dead) = (dir(), free_port(), free_port());
    fs::write(
        dir.path().join("conf"),
        format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [rules]\nscrape_configs:\n\
             - {{ job_name: shop, static_configs: [ {{ targets: ['127.0.0.1:{port}', '127.0.0.1:{dead}'] }} ] }}\n"
        ),
    )
    .unwrap();
    // Two series of the same labels: only known while it is evaluated.
    fs::write(
        dir.path().join("rules"),
        "groups:\n- name: g\n  rules:\n  - { record: broken, expr: 'label_replace(up, \"instance\", \"x\", \"job\", \".*\")' }\n  - { alert: Down, expr: up == 0 }\n",
    )
    .unwrap();
    let listen = format!("--web.listen-address=127.0.0.1:{port}");
    let arguments = ["--config.file=conf", "--storage.tsdb.path=data", &listen];
    let server = Server::start(dir, port, &program("prometheus", "prometheus"), &arguments);
    let target = server.target();
    until_ready(&server, Prometheus, &target);
    eventually("the target and the rule are found", || {
        let reading = look(Prometheus, &target).unwrap();
        figure(&reading, "targets-down") == 1.0
            && figure(&reading, "rules-failing") == 1.0
            && figure(&reading, "alerts") == 1.0
    });
    let reading = look(Prometheus, &target).unwrap();
    known("prometheus", &reading);
    assert_eq!(reading.server.as_deref(), Some("Prometheus 2.42.0+ds"));
    assert_eq!(measure(&reading, "targets-down").limit, Some(2.0));
    let (down, grade) = remarks(&reading, "targets")[0];
    assert!(
        down.starts_with(&format!("http://127.0.0.1:{dead}/metrics of job shop is down: "))
            && down.contains("connection refused"),
        "{down}"
    );
    assert_eq!(grade, Grade::Warning);
    assert!(remarks(&reading, "rules")[0].0.starts_with("the rule broken cannot be evaluated: "), "{reading:?}");
    assert!(figure(&reading, "rule-failures") > 0.0 && figure(&reading, "series") > 100.0);
    assert_eq!(figure(&reading, "compaction-failures"), 0.0);
    assert!(
        figure(&reading, "requests") > 0.0
            && measure(&reading, "open-files").limit.is_some()
            && figure(&reading, "uptime") < 3600.0
    );
    assert!(figure(&reading, "memory") > 1e6 && figure(&reading, "goroutines") > 10.0);

    fs::write(server.dir.path().join("conf"), "scrape_configs: 1\n").unwrap();
    server.signal("HUP");
    eventually("it says that its configuration was not taken", || {
        remarks(&look(Prometheus, &target).unwrap(), "configuration").iter().any(|(_, grade)| *grade == Grade::Critical)
    });
    let foreign = ready(Prometheus, &with(&target, "-/healthy", &[]));
    assert!(
        matches!(&foreign, Err(Trouble::Foreign(why)) if why.contains("another form than Prometheus's metrics")),
        "{foreign:?}"
    );
    server.signal("STOP");
    silent(Prometheus, &target);
}

#[test]
fn the_node_exporter_tells_of_the_machine_and_of_itself() {
    let (dir, port) = (dir(), free_port());
    let listen = format!("--web.listen-address=127.0.0.1:{port}");
    let exporter = program("prometheus-node-exporter", "prometheus-node-exporter");
    let server = Server::start(dir, port, &exporter, &[&listen]);
    let target = server.target();
    until_ready(&server, Prometheus, &target);
    let reading = look(Prometheus, &target).unwrap();
    known("node-exporter", &reading);
    assert_eq!(reading.server.as_deref(), Some("node_exporter 1.5.0"));
    let memory = measure(&reading, "host-memory");
    assert!(memory.value > 0.0 && memory.value < memory.limit.unwrap(), "{memory:?}");
    assert!(measure(&reading, "load").limit.is_some_and(|processors| processors >= 1.0));
    let open = figure(&reading, "open-files");
    let held: Vec<_> = (0..30).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    eventually("open connections are open files", || {
        figure(&look(Prometheus, &target).unwrap(), "open-files") >= open + 25.0
    });
    drop(held);
    eventually("closed ones are none", || figure(&look(Prometheus, &target).unwrap(), "open-files") < open + 10.0);
}

/// Metrics as Alertmanager has them (<https://prometheus.io/docs/alerting/latest/alertmanager/>), and a Prometheus that replays its log
/// (<https://prometheus.io/docs/prometheus/latest/management_api/>).
#[test]
fn alertmanager_and_a_prometheus_that_starts_say_that_they_are_not_ready() {
    for (name, title) in [("alertmanager", "Alertmanager"), ("prometheus", "Prometheus")] {
        let fake = Fake::new(move |question| match question.path.as_str() {
            "/sub/metrics" => Reply::new(
                200,
                format!(
                    "{name}_build_info{{version=\"0.25.0\"}} 1\nalertmanager_notifications_failed_total{{integration=\"email\"}} 3\n"
                ),
            ),
            "/sub/-/ready" => Reply::new(503, "Service Unavailable"),
            "/sub/-/healthy" => Reply::new(200, "OK"),
            _ => Reply::new(404, ""),
        });
        let target = with(&fake.target(), "sub/metrics", &[]);
        let place = target.place();
        assert_eq!(
            ready(Prometheus, &target),
            Err(Trouble::Unready(format!(
                "{place} answers 503 Service Unavailable for /sub/-/ready: Service Unavailable"
            )))
        );
        let reading = look(Prometheus, &target).unwrap();
        known("prometheus", &reading);
        assert_eq!(reading.server, Some(format!("{title} 0.25.0")));
        assert_eq!(remarks(&reading, "ready"), [("it is not ready: 503: Service Unavailable", Grade::Critical)]);
        assert_eq!(figure(&reading, "notifications-failed"), 3.0);
        assert_eq!(
            ready(Prometheus, &fake.target()),
            Err(Trouble::Foreign(format!(
                "{place} has no metrics at /metrics (404): name their path in its check, as prometheus://{place}/actuator/prometheus"
            )))
        );
    }
}

#[test]
fn endless_broken_and_closed_metrics_are_told() {
    let fake = Fake::new(|question| match question.path.as_str() {
        "/endless" => Reply::new(200, "a_metric_of_some_length{label=\"value\"} 1\n".repeat(200_000)),
        "/broken" => Reply::new(200, "good 1\nbad{ 2\n"),
        "/closed" => Reply::new(401, ""),
        _ => Reply::new(200, "<!doctype html><h1>Welcome</h1>"),
    });
    let at_path = |path: &str| with(&fake.target(), path, &[]);
    assert_eq!(ready(Prometheus, &at_path("endless")), Ok(()));
    let endless = look(Prometheus, &at_path("endless")).unwrap();
    assert_eq!(
        remarks(&endless, "samples"),
        [("its metrics are longer than 1 MiB: only the first are judged", Grade::Notice)]
    );
    let broken = look(Prometheus, &at_path("broken")).unwrap();
    assert_eq!(remarks(&broken, "samples"), [("a line of its metrics cannot be understood: bad{ 2", Grade::Warning)]);
    assert!(
        matches!(ready(Prometheus, &at_path("closed")), Err(Trouble::Refused(why)) if why.contains("write check: prometheus://USER:PASSWORD@"))
    );
    assert!(matches!(ready(Prometheus, &at_path("page")), Err(Trouble::Foreign(why)) if why.ends_with(": Welcome")));
    assert!(matches!(ready(Prometheus, &at(free_port())), Err(Trouble::Unreachable(_))));
}
