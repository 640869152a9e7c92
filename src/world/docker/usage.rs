//! What a container uses, as Docker counts it once a second. Never: asks; it listens.

use bollard::{models::ContainerStatsResponse, query_parameters::StatsOptions};
use futures_util::StreamExt;

use super::{Docker, follow::nanoseconds};
use crate::{model::container::ContainerUsage, world::lock};

/// What one container uses is known while this is there.
struct Known<'d> {
    docker: &'d Docker,
    id: &'d str,
}

impl Drop for Known<'_> {
    fn drop(&mut self) {
        lock(&self.docker.usage).remove(self.id);
    }
}

/// Listens until the container ends, the engine hangs up, or nobody wants to know any more.
pub(super) async fn listen(docker: &Docker, id: &str) {
    let Some(client) = docker.client() else { return };
    let _known = Known { docker, id };
    let mut stats = Box::pin(client.stats(id, Some(StatsOptions { stream: true, one_shot: false })));
    let mut before: Option<Counters> = None;
    while let Some(Ok(said)) = stats.next().await {
        let Some(now) = Counters::of(&said) else { continue };
        let usage = now.usage(before.as_ref());
        before = Some(now);
        lock(&docker.usage).insert(id.to_owned(), usage);
    }
}

/// As people see it: a tenth of a percent and whole bytes. What is idle stays the same from second to second, so that nothing is told anew.
pub(super) fn shown(usage: ContainerUsage) -> ContainerUsage {
    ContainerUsage {
        cpu_percent: (usage.cpu_percent * 10.0).round() / 10.0,
        net_rx_bytes_per_s: usage.net_rx_bytes_per_s.round(),
        net_tx_bytes_per_s: usage.net_tx_bytes_per_s.round(),
        disk_read_bytes_per_s: usage.disk_read_bytes_per_s.round(),
        disk_write_bytes_per_s: usage.disk_write_bytes_per_s.round(),
        ..usage
    }
}

/// What only grows, and what is.
#[derive(Debug, Clone)]
struct Counters {
    at_ns: u64,
    cpu_ns: u64,
    memory: u64,
    limit: u64,
    pids: u32,
    net: (u64, u64),
    disk: (u64, u64),
}

impl Counters {
    /// None of a container that does not run: then Docker gives no time.
    fn of(said: &ContainerStatsResponse) -> Option<Self> {
        let at_ns = nanoseconds(said.read.as_deref()?)?;
        let memory = said.memory_stats.as_ref();
        let stat = |name: &str| memory.and_then(|memory| memory.stats.as_ref()?.get(name).copied());
        // As `docker stats` has it: cgroup v2's name, else v1's (`cli/command/container/stats_helpers.go` of <https://github.com/docker/cli>).
        let cache = stat("total_inactive_file").or_else(|| stat("inactive_file")).unwrap_or(0);
        let networks = said.networks.iter().flatten();
        let net = networks
            .fold((0, 0), |(rx, tx), (_, one)| (rx + one.rx_bytes.unwrap_or(0), tx + one.tx_bytes.unwrap_or(0)));
        let blocks = said.blkio_stats.as_ref().and_then(|io| io.io_service_bytes_recursive.as_ref());
        let disk = blocks.into_iter().flatten().fold((0, 0), |(read, written), entry| {
            let bytes = entry.value.unwrap_or(0);
            match entry.op.as_deref().map(str::to_ascii_lowercase).as_deref() {
                Some("read") => (read + bytes, written),
                Some("write") => (read, written + bytes),
                Some(_) | None => (read, written),
            }
        });
        Some(Self {
            at_ns,
            cpu_ns: said.cpu_stats.as_ref().and_then(|cpu| cpu.cpu_usage.as_ref()?.total_usage).unwrap_or(0),
            memory: memory.and_then(|memory| memory.usage).unwrap_or(0).saturating_sub(cache),
            limit: memory.and_then(|memory| memory.limit).unwrap_or(0),
            pids: said
                .pids_stats
                .as_ref()
                .and_then(|pids| pids.current)
                .and_then(|pids| u32::try_from(pids).ok())
                .unwrap_or(0),
            net,
            disk,
        })
    }

    fn usage(&self, before: Option<&Self>) -> ContainerUsage {
        let seconds = before.map_or(0.0, |before| self.at_ns.saturating_sub(before.at_ns) as f64 / 1e9);
        let rate = |now: u64, then: Option<u64>| {
            let grown = now.saturating_sub(then.unwrap_or(now)) as f64;
            if seconds > 0.0 { grown / seconds } else { 0.0 }
        };
        ContainerUsage {
            cpu_percent: (rate(self.cpu_ns, before.map(|it| it.cpu_ns)) / 1e7) as f32,
            memory_bytes: self.memory,
            memory_limit_bytes: self.limit,
            pids: self.pids,
            net_rx_bytes_per_s: rate(self.net.0, before.map(|it| it.net.0)),
            net_tx_bytes_per_s: rate(self.net.1, before.map(|it| it.net.1)),
            disk_read_bytes_per_s: rate(self.disk.0, before.map(|it| it.disk.0)),
            disk_write_bytes_per_s: rate(self.disk.1, before.map(|it| it.disk.1)),
        }
    }
}
