//! The machine: processor, memory and swap through sysinfo; network and disks from `/proc`, because sysinfo opens some ten files per
//! interface and counts what passes a bridge twice.
//!
//! Promise: rates never go negative or jump when a device comes, goes or starts its counters anew. Never: counts a byte on a
//! partition and again on its disk, or on a container's interface and again on the card that it leaves by.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use sysinfo::{Networks, System};

use super::{Look, SamplerError, stat::number};
use crate::model::metric::{HostUsage, Pressure};

/// Unit of `/proc/diskstats`, whatever the device's own (kernel documentation, iostats.rst).
const SECTOR_BYTES: u64 = 512;

/// What has been read so far.
#[derive(Debug)]
pub struct Host {
    system: System,
    disk_path: PathBuf,
    cores: u32,
    net: Counters,
    disks: Counters,
    /// Where there is no `/proc/net/dev`.
    networks: Option<Networks>,
}

impl Host {
    /// Takes the first reading; `disk_path` is on the file system whose size is reported.
    ///
    /// # Errors
    /// Where sysinfo does not know this operating system.
    pub fn new(disk_path: PathBuf) -> Result<Self, SamplerError> {
        let mut system = System::new()?;
        system.refresh_cpu_usage();
        let cores = u32::try_from(system.cpus().len()).unwrap_or(u32::MAX).max(1);
        let networks =
            if Path::new("/proc/net/dev").exists() { None } else { Networks::new_with_refreshed_list().ok() };
        Ok(Self {
            system,
            disk_path,
            cores,
            net: Counters::new("/sys/class/net"),
            disks: Counters::new("/sys/block"),
            networks,
        })
    }

    /// The figures now.
    pub(super) fn usage(&mut self, look: &Look) -> HostUsage {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        let cpu = self.system.global_cpu_usage();
        let load =
            System::load_average().map_or([0.0; 3], |load| [load.one as f32, load.five as f32, load.fifteen as f32]);
        let (received, sent) = self.network();
        let lines = fs::read("/proc/diskstats").unwrap_or_default();
        let (read, written) = self.disks.advance(lines.split(|byte| *byte == b'\n').filter_map(disk_line));
        let (disk_total_bytes, disk_free_bytes) = file_system(&self.disk_path);
        HostUsage {
            cpu_percent: if cpu.is_finite() { cpu.clamp(0.0, 100.0) } else { 0.0 },
            cores: self.cores,
            load,
            memory_total_bytes: self.system.total_memory(),
            memory_used_bytes: self.system.total_memory().saturating_sub(self.system.available_memory()),
            swap_total_bytes: self.system.total_swap(),
            swap_used_bytes: self.system.total_swap().saturating_sub(self.system.free_swap()),
            net_rx_bytes_per_s: look.per_second(received),
            net_tx_bytes_per_s: look.per_second(sent),
            disk_read_bytes_per_s: look.per_second(read.saturating_mul(SECTOR_BYTES)),
            disk_write_bytes_per_s: look.per_second(written.saturating_mul(SECTOR_BYTES)),
            disk_total_bytes,
            disk_free_bytes,
            pressure: pressure(),
        }
    }

    fn network(&mut self) -> (u64, u64) {
        if let Some(networks) = &mut self.networks {
            networks.refresh(true);
            return networks
                .iter()
                .filter(|(name, _)| !name.to_string_lossy().starts_with("lo"))
                .fold((0, 0), |(rx, tx), (_, data)| (rx + data.received(), tx + data.transmitted()));
        }
        let lines = fs::read("/proc/net/dev").unwrap_or_default();
        self.net.advance(lines.split(|byte| *byte == b'\n').filter_map(net_line))
    }
}

/// Bytes of the file system that holds `path`, and bytes free on it for this user; zeros where it cannot be told.
fn file_system(path: &Path) -> (u64, u64) {
    rustix::fs::statvfs(path).map_or((0, 0), |found| {
        (found.f_blocks.saturating_mul(found.f_frsize), found.f_bavail.saturating_mul(found.f_frsize))
    })
}

/// Pressure of the last ten seconds; none where the kernel does not tell it.
fn pressure() -> Option<Pressure> {
    let read = |of: &str| fs::read_to_string(format!("/proc/pressure/{of}")).ok();
    let (cpu, memory, io) = (read("cpu")?, read("memory")?, read("io")?);
    Some(Pressure {
        cpu_some_percent: average(&cpu, "some")?,
        memory_full_percent: average(&memory, "full")?,
        io_full_percent: average(&io, "full")?,
    })
}

/// `avg10` of a line such as `some avg10=1.53 avg60=0.87 avg300=0.73 total=1234`.
fn average(text: &str, kind: &str) -> Option<f32> {
    let line = text.lines().find_map(|line| line.strip_prefix(kind))?;
    line.split_ascii_whitespace().find_map(|word| word.strip_prefix("avg10=")?.parse().ok())
}

/// A device and its two counters.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reading {
    name: String,
    incoming: u64,
    outgoing: u64,
}

/// A line of `/proc/net/dev`: `  eth0: bytes packets errs drop fifo frame compressed multicast  bytes packets …`. Not the loopback.
fn net_line(line: &[u8]) -> Option<Reading> {
    let colon = memchr::memchr(b':', line)?;
    let name = String::from_utf8_lossy(line[..colon].trim_ascii()).into_owned();
    let mut fields = line[colon + 1..].split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
    let incoming = number(fields.next()?)?;
    let outgoing = number(fields.nth(7)?)?;
    (name != "lo").then_some(Reading { name, incoming, outgoing })
}

/// A line of `/proc/diskstats`: `major minor name reads merged sectors-read ms writes merged sectors-written …`.
fn disk_line(line: &[u8]) -> Option<Reading> {
    let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()).skip(2);
    let name = String::from_utf8_lossy(fields.next()?).into_owned();
    let incoming = number(fields.nth(2)?)?;
    let outgoing = number(fields.nth(3)?)?;
    Some(Reading { name, incoming, outgoing })
}

#[derive(Debug)]
struct Device {
    incoming: u64,
    outgoing: u64,
    physical: bool,
    listed: bool,
    seen: u64,
}

/// The counters of a kind of device as they were at the last look.
#[derive(Debug)]
struct Counters {
    class: &'static str,
    devices: HashMap<String, Device>,
    looks: u64,
}

impl Counters {
    fn new(class: &'static str) -> Self {
        Self { class, devices: HashMap::new(), looks: 0 }
    }

    /// What all devices that count have done since the last look. A device that is new counts from the next look on.
    ///
    /// Those count that stand for hardware (they have a `device` in sysfs): everything else (partitions, bridges, the interfaces of
    /// containers, device mapper, loop) hands its work on to one of them. Where nothing is hardware, as inside a container, all
    /// count that sysfs lists as whole devices.
    fn advance(&mut self, readings: impl Iterator<Item = Reading>) -> (u64, u64) {
        self.looks += 1;
        let mut physical = None;
        let mut listed = (0_u64, 0_u64);
        for reading in readings {
            let Some(device) = self.devices.get_mut(&reading.name) else {
                let at = Path::new(self.class).join(reading.name.replace('/', "!"));
                let device = Device {
                    incoming: reading.incoming,
                    outgoing: reading.outgoing,
                    physical: at.join("device").exists(),
                    listed: at.exists(),
                    seen: self.looks,
                };
                if device.physical {
                    physical.get_or_insert((0, 0));
                }
                self.devices.insert(reading.name, device);
                continue;
            };
            let incoming = reading.incoming.saturating_sub(device.incoming);
            let outgoing = reading.outgoing.saturating_sub(device.outgoing);
            (device.incoming, device.outgoing, device.seen) = (reading.incoming, reading.outgoing, self.looks);
            if device.physical {
                let sum: &mut (u64, u64) = physical.get_or_insert((0, 0));
                *sum = (sum.0.saturating_add(incoming), sum.1.saturating_add(outgoing));
            } else if device.listed {
                listed = (listed.0.saturating_add(incoming), listed.1.saturating_add(outgoing));
            }
        }
        let looks = self.looks;
        self.devices.retain(|_, device| device.seen == looks);
        physical.unwrap_or(listed)
    }
}

#[cfg(test)]
mod tests {
    use super::{Counters, Reading, disk_line, net_line};

    fn reading(name: &str, incoming: u64, outgoing: u64) -> Reading {
        Reading { name: name.to_owned(), incoming, outgoing }
    }

    #[test]
    fn pressure_is_the_average_of_ten_seconds() {
        let text =
            "some avg10=1.53 avg60=0.87 avg300=0.73 total=1234\nfull avg10=0.25 avg60=0.00 avg300=0.00 total=9\n";
        assert_eq!(super::average(text, "some"), Some(1.53));
        assert_eq!(super::average(text, "full"), Some(0.25));
        assert_eq!(super::average("", "full"), None);
    }

    #[test]
    fn the_loopback_and_the_headings_are_no_interfaces() {
        assert_eq!(net_line(b"    lo: 10 1 0 0 0 0 0 0 10 1 0 0 0 0 0 0"), None);
        assert_eq!(net_line(b" face |bytes    packets errs drop fifo frame compressed multicast|bytes"), None);
        assert_eq!(net_line(b"  eth0:1000 9 0 0 0 0 0 0 2000 8 0 0 0 0 0 0"), Some(reading("eth0", 1000, 2000)));
    }

    #[test]
    fn a_disk_line_gives_sectors() {
        assert_eq!(
            disk_line(b" 254 0 vda 59448 9637 5839010 41176 6915 76829 15319208 56782 0"),
            Some(reading("vda", 5_839_010, 15_319_208))
        );
        assert_eq!(disk_line(b""), None);
        assert_eq!(disk_line(b" 254 0 vda 1"), None);
    }

    #[test]
    fn a_counter_that_starts_anew_or_a_device_that_comes_gives_no_jump() {
        let mut counters = Counters::new("/nowhere");
        for device in ["a", "b"] {
            counters.devices.insert(
                device.to_owned(),
                super::Device { incoming: 1000, outgoing: 1000, physical: false, listed: true, seen: 0 },
            );
        }
        let readings = [reading("a", 10, 1200), reading("b", 1100, 1000), reading("new", 1 << 60, 1 << 60)];
        assert_eq!(counters.advance(readings.into_iter()), (100, 200));
        assert_eq!(counters.advance([reading("a", 30, 1200)].into_iter()), (20, 0));
        assert_eq!(counters.devices.len(), 1, "what is gone is forgotten");
    }
}
