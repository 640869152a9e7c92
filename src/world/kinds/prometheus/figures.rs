//! What well-known metrics say. Names: <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>, Micrometer
//! (<https://docs.micrometer.io/micrometer/reference/>), prom-client, `node_exporter` (<https://github.com/prometheus/node_exporter>).
//!
//! Never: makes up a figure that is not there.

use super::{
    clause,
    exposition::{Metrics, Sample},
};
use crate::model::exam::{Grade, Measure, Reading};

/// Counters of requests, the first that is there counts.
const REQUESTS: [&str; 6] = [
    "http_requests_total",
    "http_server_requests_seconds_count",
    "http_server_request_duration_seconds_count",
    "http_request_duration_seconds_count",
    "prometheus_http_requests_total",
    "vm_http_requests_total",
];
/// Histograms of their times.
const TIMES: [&str; 4] = [
    "http_request_duration_seconds_bucket",
    "http_server_requests_seconds_bucket",
    "http_server_request_duration_seconds_bucket",
    "prometheus_http_request_duration_seconds_bucket",
];
/// Labels that hold the status.
const STATUSES: [&str; 5] = ["code", "status", "status_code", "http_status_code", "http_response_status_code"];
/// File systems that are none of a disk.
const NO_DISKS: [&str; 8] = ["tmpfs", "ramfs", "overlay", "squashfs", "iso9660", "devtmpfs", "proc", "nsfs"];
/// Pairs of a figure and its most: measure, metric, metric of its limit.
const PAIRS: [(&str, &str, &str); 5] = [
    ("open-files", "process_open_fds", "process_max_fds"),
    ("open-files", "process_files_open_files", "process_files_max_files"),
    ("pool", "hikaricp_connections_active", "hikaricp_connections_max"),
    ("pool", "db_pool_connections_in_use", "db_pool_connections_max"),
    ("pool", "go_sql_in_use_connections", "go_sql_max_open_connections"),
];
/// Figures that are taken as they are.
const ALONE: [(&str, &str); 6] = [
    ("memory", "process_resident_memory_bytes"),
    ("goroutines", "go_goroutines"),
    ("threads", "jvm_threads_live_threads"),
    ("pool-waiting", "hikaricp_connections_pending"),
    ("event-loop-lag", "nodejs_eventloop_lag_p99_seconds"),
    ("series", "prometheus_tsdb_head_series"),
];

/// What answers, by the metric in which programs tell their version.
pub(super) fn server(metrics: &Metrics<'_>) -> Option<String> {
    if let Some(version) = metrics.all("vm_app_version").first().and_then(|one| one.label("short_version")) {
        return Some(clause(&format!("VictoriaMetrics {version}")));
    }
    let names = metrics.ending("_build_info");
    let name = names.into_iter().find(|name| !matches!(*name, "go_build_info" | "jvm_build_info"))?;
    let version = metrics.all(name).first()?.label("version")?;
    let title = match name {
        "prometheus_build_info" => "Prometheus",
        "alertmanager_build_info" => "Alertmanager",
        other => other.trim_end_matches("_build_info"),
    };
    Some(clause(&format!("{title} {version}")))
}

/// The process itself; `now` in seconds since 1970.
pub(super) fn process(metrics: &Metrics<'_>, now: f64, reading: &mut Reading) {
    if let Some(start) = metrics.sum("process_start_time_seconds").filter(|start| *start > 0.0) {
        reading.measure(Measure::new("uptime", (now - start).max(0.0)));
    }
    for (name, metric, most) in PAIRS {
        let Some(value) = metrics.sum(metric) else { continue };
        let limit = metrics.sum(most).filter(|limit| *limit > 0.0);
        reading.measure(Measure { limit, ..Measure::new(name, value) });
    }
    for (name, metric) in ALONE {
        if let Some(value) = metrics.sum(metric) {
            reading.measure(Measure::new(name, value));
        }
    }
}

/// Requests over HTTP, how many of them failed, and how long they took, since the process runs.
pub(super) fn requests(metrics: &Metrics<'_>, reading: &mut Reading) {
    let status = |sample: &Sample<'_>| {
        STATUSES
            .iter()
            .find_map(|label| sample.label(label))
            .is_some_and(|code| code.len() == 3 && code.starts_with('5'))
    };
    if let Some(name) = REQUESTS.into_iter().find(|name| metrics.has(name)) {
        let total = metrics.sum(name).unwrap_or(0.0);
        let failed: f64 = metrics.all(name).iter().filter(|one| status(one)).map(|one| one.value).sum();
        reading.measure(Measure::new("requests", total));
        if metrics.all(name).iter().any(|one| STATUSES.iter().any(|label| one.label(label).is_some())) {
            reading.measure(Measure::new("server-errors", failed).of(total));
            reading.measure(Measure::new("server-error-rate", failed));
        }
    }
    if let Some(name) = TIMES.into_iter().find(|name| metrics.has(name)) {
        let buckets = buckets(metrics.all(name));
        for (measure, share) in [("request-time", 0.95), ("request-time-median", 0.5)] {
            if let Some(time) = quantile(&buckets, share) {
                reading.measure(Measure::new(measure, time).about("since it runs"));
            }
        }
    }
}

/// Upper bounds with the count of all below them, ascending, over all label sets.
fn buckets(samples: &[Sample<'_>]) -> Vec<(f64, f64)> {
    let mut found: Vec<(f64, f64)> = Vec::new();
    for sample in samples {
        let bound = match sample.label("le") {
            Some("+Inf") => f64::INFINITY,
            Some(text) => match text.parse() {
                Ok(bound) => bound,
                Err(_) => continue,
            },
            None => continue,
        };
        match found.iter_mut().find(|(known, _)| known.total_cmp(&bound).is_eq()) {
            Some((_, count)) => *count += sample.value,
            None => found.push((bound, sample.value)),
        }
        if found.len() > 500 {
            break;
        }
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found
}

/// As `histogram_quantile` (<https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile>): linear in a bucket; the last
/// finite bound where it lies above that.
fn quantile(buckets: &[(f64, f64)], share: f64) -> Option<f64> {
    let total = buckets.last()?.1;
    if total <= 0.0 {
        return None;
    }
    let rank = share * total;
    let mut below = (0.0, 0.0);
    for &(bound, count) in buckets {
        if count >= rank && bound.is_finite() {
            let inside = count - below.1;
            let part = if inside > 0.0 { (rank - below.1) / inside } else { 1.0 };
            return Some(below.0 + (bound - below.0) * part);
        }
        if bound.is_finite() {
            below = (bound, count);
        }
    }
    Some(below.0)
}

/// Heaps of virtual machines.
pub(super) fn runtimes(metrics: &Metrics<'_>, reading: &mut Reading) {
    let heap = |name: &str| -> Option<f64> {
        let of_heap = metrics.all(name).iter().filter(|one| one.label("area") == Some("heap") && one.value >= 0.0);
        let values: Vec<_> = of_heap.map(|one| one.value).collect();
        (!values.is_empty()).then(|| values.iter().sum())
    };
    let used = heap("jvm_memory_used_bytes").or_else(|| heap("jvm_memory_bytes_used"));
    let most = heap("jvm_memory_max_bytes").or_else(|| heap("jvm_memory_bytes_max"));
    if let Some(used) = used {
        reading.measure(Measure { limit: most.filter(|most| *most > 0.0), ..Measure::new("heap", used) });
    } else if let (Some(used), total) =
        (metrics.sum("nodejs_heap_size_used_bytes"), metrics.sum("nodejs_heap_size_total_bytes"))
    {
        // What it has now is no limit: it grows.
        let about = total.map(|total| format!("of {:.0} MiB reserved", total / 1_048_576.0));
        reading.measure(Measure { about, ..Measure::new("heap", used) });
    }
}

/// The machine, as `node_exporter` tells it.
pub(super) fn machine(metrics: &Metrics<'_>, reading: &mut Reading) {
    if let (Some(total), Some(free)) =
        (metrics.sum("node_memory_MemTotal_bytes"), metrics.sum("node_memory_MemAvailable_bytes"))
    {
        reading.measure(Measure::new("host-memory", total - free).of(total));
    }
    if let Some(load) = metrics.sum("node_load5") {
        let idle = metrics.all("node_cpu_seconds_total").iter().filter(|one| one.label("mode") == Some("idle")).count();
        let limit = (idle > 0).then_some(idle as f64);
        reading.measure(Measure { limit, ..Measure::new("load", load) });
    }
    if let Some(fullest) = fullest(metrics) {
        reading.measure(fullest);
    }
    let mut failed: Vec<_> = metrics
        .all("node_scrape_collector_success")
        .iter()
        .filter(|one| one.value == 0.0)
        .filter_map(|one| one.label("collector"))
        .collect();
    failed.sort_unstable();
    if !failed.is_empty() {
        let sentence = format!("some of its collectors fail: {}", clause(&failed.join(", ")));
        reading.remark(
            "collectors",
            Grade::Notice,
            sentence,
            Some("where they are not needed, switch them off with --no-collector.NAME"),
        );
    }
}

/// The file system with the largest share in use.
fn fullest(metrics: &Metrics<'_>) -> Option<Measure> {
    let mut worst: Option<(f64, Measure)> = None;
    let avail = metrics.all("node_filesystem_avail_bytes");
    for size in metrics.all("node_filesystem_size_bytes").iter().take(1000) {
        let (mount, kind) = (size.label("mountpoint"), size.label("fstype").unwrap_or_default());
        if NO_DISKS.contains(&kind) || size.value <= 0.0 {
            continue;
        }
        let Some(left) = avail.iter().find(|one| one.label("mountpoint") == mount) else { continue };
        let share = 1.0 - left.value / size.value;
        if worst.as_ref().is_none_or(|(most, _)| share > *most) {
            let measure = Measure::new("disk", size.value - left.value).of(size.value);
            worst = Some((share, measure.about(clause(mount.unwrap_or_default()))));
        }
    }
    worst.map(|(_, measure)| measure)
}

#[cfg(test)]
mod tests {
    use super::{Metrics, Reading, buckets, machine, process, quantile, requests, runtimes, server};

    fn all(text: &str) -> Reading {
        let metrics = Metrics::parse(text);
        let mut reading = Reading { server: server(&metrics), ..Reading::default() };
        process(&metrics, 1000.0, &mut reading);
        requests(&metrics, &mut reading);
        runtimes(&metrics, &mut reading);
        machine(&metrics, &mut reading);
        reading
    }

    fn value(reading: &Reading, name: &str) -> (f64, Option<f64>) {
        let measure =
            reading.measures.iter().find(|one| one.name == name).unwrap_or_else(|| panic!("{name}: {reading:?}"));
        (measure.value, measure.limit)
    }

    #[test]
    fn an_application_of_java_is_understood() {
        let reading = all(
            "process_start_time_seconds 400\nprocess_files_open_files 50\nprocess_files_max_files 1024\n\
            jvm_memory_used_bytes{area=\"heap\",id=\"a\"} 10\njvm_memory_used_bytes{area=\"heap\",id=\"b\"} 20\n\
            jvm_memory_used_bytes{area=\"nonheap\",id=\"c\"} 99\njvm_memory_max_bytes{area=\"heap\",id=\"a\"} -1\njvm_memory_max_bytes{area=\"heap\",id=\"b\"} 64\n\
            hikaricp_connections_active{pool=\"p\"} 9\nhikaricp_connections_max{pool=\"p\"} 10\nhikaricp_connections_pending{pool=\"p\"} 4\n\
            http_server_requests_seconds_count{status=\"200\",uri=\"/\"} 90\nhttp_server_requests_seconds_count{status=\"503\",uri=\"/\"} 10\n",
        );
        assert_eq!(value(&reading, "uptime"), (600.0, None));
        assert_eq!(value(&reading, "open-files"), (50.0, Some(1024.0)));
        assert_eq!(value(&reading, "heap"), (30.0, Some(64.0)));
        assert_eq!(value(&reading, "pool"), (9.0, Some(10.0)));
        assert_eq!(value(&reading, "pool-waiting"), (4.0, None));
        assert_eq!(value(&reading, "server-errors"), (10.0, Some(100.0)));
    }

    #[test]
    fn quantiles_of_histograms_are_those_of_prometheus() {
        let text = "b{le=\"0.1\",a=\"1\"} 10\nb{le=\"0.5\",a=\"1\"} 20\nb{le=\"+Inf\",a=\"1\"} 20\nb{le=\"0.1\",a=\"2\"} 10\nb{le=\"0.5\",a=\"2\"} 20\nb{le=\"+Inf\",a=\"2\"} 20\n";
        let metrics = Metrics::parse(text);
        let buckets = buckets(metrics.all("b"));
        assert_eq!(buckets, [(0.1, 20.0), (0.5, 40.0), (f64::INFINITY, 40.0)]);
        let close = |share: f64, expected: f64| (quantile(&buckets, share).unwrap() - expected).abs() < 1e-9;
        assert!(close(0.5, 0.1) && close(0.75, 0.3) && close(0.25, 0.05));
        assert_eq!(
            quantile(&[(0.1, 0.0), (f64::INFINITY, 5.0)], 0.5),
            Some(0.1),
            "above the last bound it is that bound"
        );
        assert_eq!(quantile(&[(0.1, 0.0), (f64::INFINITY, 0.0)], 0.5), None);
    }

    #[test]
    fn the_fullest_disk_is_that_of_a_disk() {
        let reading = all(
            "node_filesystem_size_bytes{fstype=\"ext4\",mountpoint=\"/\"} 100\nnode_filesystem_avail_bytes{fstype=\"ext4\",mountpoint=\"/\"} 40\n\
            node_filesystem_size_bytes{fstype=\"ext4\",mountpoint=\"/data\"} 100\nnode_filesystem_avail_bytes{fstype=\"ext4\",mountpoint=\"/data\"} 10\n\
            node_filesystem_size_bytes{fstype=\"tmpfs\",mountpoint=\"/run\"} 100\nnode_filesystem_avail_bytes{fstype=\"tmpfs\",mountpoint=\"/run\"} 0\n\
            node_exporter_build_info{version=\"1.5.0\"} 1\ngo_build_info{version=\"x\"} 1\n",
        );
        assert_eq!(value(&reading, "disk"), (90.0, Some(100.0)));
        assert_eq!(reading.server.as_deref(), Some("node_exporter 1.5.0"));
    }
}
