//! What is used now, as JSON and in the text form of Prometheus (its exposition format, version 0.0.4). Never a value of a variable,
//! never a label that a service can choose: projects, services and phases only.

use std::fmt::{Display, Write};

use super::wire::{Metrics, ServiceMetrics};
use crate::model::{metric::HostUsage, snapshot::Snapshot};

/// From a picture.
pub(super) fn of(snapshot: &Snapshot) -> Metrics {
    let services = snapshot.services.iter().map(|service| ServiceMetrics {
        id: service.id.clone(),
        phase: service.phase.label().to_owned(),
        health: service.health.label().to_owned(),
        restarts: service.restarts,
        uptime_s: service.uptime(snapshot.at).map(|uptime| uptime.as_secs_f64()),
        usage: service.usage,
    });
    Metrics { at: snapshot.at, host: snapshot.host.usage, services: services.collect() }
}

/// The text form.
pub(super) fn text(snapshot: &Snapshot) -> String {
    let metrics = of(snapshot);
    let mut page = Page(String::new());
    page.one("cas_info", "gauge", "The engine; always 1.", &[("version", &snapshot.engine.version)], 1);
    let uptime = snapshot.at.since(snapshot.engine.started).as_secs_f64();
    page.one("cas_uptime_seconds", "gauge", "Seconds since the engine began.", &[], uptime);
    if let Some(host) = &metrics.host {
        host_lines(&mut page, host);
    }
    service_lines(&mut page, &metrics.services);
    page.0
}

fn host_lines(page: &mut Page, host: &HostUsage) {
    let figures: [(&str, &str, f64); 13] = [
        ("cas_host_cpu_percent", "CPU in use, all cores together.", f64::from(host.cpu_percent)),
        ("cas_host_cores", "Logical cores.", f64::from(host.cores)),
        ("cas_host_load1", "Load average over a minute.", f64::from(host.load[0])),
        ("cas_host_memory_bytes", "Bytes of memory.", host.memory_total_bytes as f64),
        ("cas_host_memory_used_bytes", "Bytes of memory in use.", host.memory_used_bytes as f64),
        ("cas_host_swap_bytes", "Bytes of swap.", host.swap_total_bytes as f64),
        ("cas_host_swap_used_bytes", "Bytes of swap in use.", host.swap_used_bytes as f64),
        ("cas_host_network_receive_bytes_per_second", "Bytes received.", host.net_rx_bytes_per_s),
        ("cas_host_network_transmit_bytes_per_second", "Bytes sent.", host.net_tx_bytes_per_s),
        ("cas_host_disk_read_bytes_per_second", "Bytes read from disks.", host.disk_read_bytes_per_s),
        ("cas_host_disk_write_bytes_per_second", "Bytes written to disks.", host.disk_write_bytes_per_s),
        ("cas_host_disk_bytes", "Size of the project's file system.", host.disk_total_bytes as f64),
        ("cas_host_disk_free_bytes", "Bytes free there.", host.disk_free_bytes as f64),
    ];
    for (name, help, value) in figures {
        page.one(name, "gauge", help, &[], value);
    }
}

fn service_lines(page: &mut Page, services: &[ServiceMetrics]) {
    page.each("cas_service_up", "gauge", "1 while a run is there.", services, |service| {
        Some(f64::from(u8::from(service.uptime_s.is_some())))
    });
    page.head("cas_service_state", "gauge", "1 for the phase and health that it has.");
    for service in services {
        let (project, name) = (service.id.project.as_str(), service.id.service.as_str());
        let labels = [("project", project), ("service", name), ("phase", &service.phase), ("health", &service.health)];
        page.value("cas_service_state", &labels, 1);
    }
    page.each(
        "cas_service_restarts",
        "gauge",
        "Restarts by the healer since the last start on purpose.",
        services,
        |service| Some(f64::from(service.restarts)),
    );
    page.each("cas_service_uptime_seconds", "gauge", "Seconds since the run began.", services, |service| {
        service.uptime_s
    });
    page.each("cas_service_cpu_percent", "gauge", "Percent of one core, all processes.", services, |service| {
        service.usage.map(|usage| f64::from(usage.cpu_percent))
    });
    page.each("cas_service_memory_bytes", "gauge", "Resident bytes, all processes.", services, |service| {
        service.usage.map(|usage| usage.memory_bytes as f64)
    });
    page.each("cas_service_processes", "gauge", "Processes.", services, |service| {
        service.usage.map(|usage| f64::from(usage.processes))
    });
    page.each("cas_service_threads", "gauge", "Threads.", services, |service| {
        service.usage.map(|usage| f64::from(usage.threads))
    });
}

/// A page being written. Writing to a String cannot fail.
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> = labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escaped(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, labels: &[(&str, &str)], value: impl Display) {
        self.head(name, kind, help);
        self.value(name, labels, value);
    }

    fn each(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        services: &[ServiceMetrics],
        value: impl Fn(&ServiceMetrics) -> Option<f64>,
    ) {
        self.head(name, kind, help);
        for service in services {
            if let Some(value) = value(service) {
                let labels = [("project", service.id.project.as_str()), ("service", service.id.service.as_str())];
                self.value(name, &labels, value);
            }
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
