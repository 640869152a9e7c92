//! Who listens on a port. Never binds to find out: that would take the port from whoever comes a moment later.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Shared,
    tree::TreeId,
    tree::stat::{Stat, all_pids, command_line, environment, value_in},
};
use crate::model::{ids::ServiceId, phase::PortHolder, service::Port, text::plain};

/// A socket in state `LISTEN`, as `/proc/net/tcp` writes it.
const LISTEN: &str = "0A";
/// A holder's command is cut to so many characters.
const COMMAND_CHARACTERS: usize = 80;

/// Those of `ports` on which something listens that is not a run of `service` itself.
pub(super) async fn find_holders(shared: &Arc<Shared>, service: &ServiceId, ports: Vec<Port>) -> Vec<PortHolder> {
    // An error means that cas is ending: then nobody minds how many look.
    let turn = shared.launches.clone().acquire_owned().await.ok();
    let (shared, service) = (Arc::clone(shared), service.clone());
    let looking = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        holders(&ports, |pid| is_run_of(&shared, &service, pid))
    });
    looking.await.unwrap_or_default()
}

/// Who listens on these ports, sorted by port.
#[must_use]
pub fn listeners(ports: &[Port]) -> Vec<PortHolder> {
    holders(ports, |_| false)
}

/// The same, without processes for which `is_ours` holds.
fn holders(ports: &[Port], is_ours: impl Fn(u32) -> bool) -> Vec<PortHolder> {
    let listening = listening_sockets(ports);
    if listening.is_empty() {
        return Vec::new();
    }
    let owners = owners_of(&listening);
    let mut holders: Vec<PortHolder> = Vec::new();
    for inode in listening {
        let port = inode.port;
        if holders.iter().any(|holder| holder.port == port && holder.pid.is_some()) {
            continue;
        }
        let pid = owners.get(&inode.number).copied();
        if pid.is_some_and(&is_ours) {
            continue;
        }
        holders.retain(|holder| holder.port != port);
        holders.push(PortHolder {
            port,
            pid,
            command: pid.and_then(command_line).map(|line| short(&line)),
            since_us: pid.and_then(since),
            user: other_user(pid.and_then(owner).unwrap_or(inode.uid)),
            service: pid.and_then(service_of),
            because: None,
        });
    }
    holders.sort_by_key(|holder| holder.port);
    holders
}

fn is_run_of(shared: &Shared, service: &ServiceId, pid: u32) -> bool {
    let Some(tree) = shared.forest.tree_of(pid) else { return false };
    shared.runs().values().any(|running| running.tree == tree && running.service == *service)
}

/// When a process began, microseconds since the Unix epoch, to the second: a look a moment later says the same.
fn since(pid: u32) -> Option<i64> {
    let stat = Stat::read(pid)?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let after_boot = i64::try_from(stat.start / per_second).ok()?;
    Some(boot_time()?.saturating_add(after_boot).saturating_mul(1_000_000))
}

/// When the machine was started, seconds since the Unix epoch (proc(5): `btime`).
fn boot_time() -> Option<i64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

fn owner(pid: u32) -> Option<u32> {
    fs::metadata(format!("/proc/{pid}")).ok().map(|about| about.uid())
}

/// The name of a user who is not this one.
fn other_user(uid: u32) -> Option<String> {
    if uid == rustix::process::geteuid().as_raw() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    Some(user_named(&users, uid).unwrap_or_else(|| format!("uid {uid}")))
}

/// `name:password:uid:…` (passwd(5)).
fn user_named(users: &str, uid: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| plain(name).into_owned())
    })
}

/// The service of a process that cas started, by the marks in its environment.
fn service_of(pid: u32) -> Option<ServiceId> {
    let environment = environment(pid).ok()?;
    value_in(&environment, "CAS_RUN")?;
    value_in(&environment, "CAS_SERVICE")?.parse().ok()
}

fn short(line: &str) -> String {
    let text = plain(line);
    if text.chars().count() <= COMMAND_CHARACTERS {
        return text.into_owned();
    }
    text.chars().take(COMMAND_CHARACTERS - 1).chain(['…']).collect()
}

/// The TCP ports on which a tree of processes listens, sorted.
pub(super) fn listening_of(shared: &Shared, tree: TreeId) -> Vec<u16> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|file| fs::read_to_string(file).unwrap_or_default());
    let sockets: HashMap<PathBuf, u16> = tables
        .iter()
        .flat_map(|table| table.lines().skip(1))
        .filter_map(listening_socket)
        .map(|socket| (PathBuf::from(format!("socket:[{}]", socket.number)), socket.port))
        .collect();
    let mut ports = BTreeSet::new();
    for member in shared.forest.living(tree) {
        // Gone meanwhile, or not ours to look into.
        let Ok(held) = fs::read_dir(Path::new("/proc").join(member.pid.to_string()).join("fd")) else { continue };
        let links = held.flatten().filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
        ports.extend(links.filter_map(|link| sockets.get(&link)));
    }
    ports.into_iter().collect()
}

/// A listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Socket {
    /// Its inode.
    number: u64,
    port: u16,
    /// Who made it.
    uid: u32,
}

/// Every listening socket on one of `ports`.
fn listening_sockets(ports: &[Port]) -> Vec<Socket> {
    if ports.is_empty() {
        return Vec::new();
    }
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|file| fs::read_to_string(file).unwrap_or_default());
    let sockets = tables.iter().flat_map(|table| table.lines().skip(1)).filter_map(listening_socket);
    sockets.filter(|socket| ports.contains(&Port(socket.port))).collect()
}

/// Columns: number, local address, remote address, state, …, uid as the eighth, inode as the tenth.
fn listening_socket(line: &str) -> Option<Socket> {
    let mut columns = line.split_ascii_whitespace();
    let port = u16::from_str_radix(columns.nth(1)?.rsplit_once(':')?.1, 16).ok()?;
    if columns.nth(1)? != LISTEN {
        return None;
    }
    Some(Socket { port, uid: columns.nth(3)?.parse().ok()?, number: columns.nth(1)?.parse().ok()? })
}

/// The process that holds each socket; the one with the lowest number where several share it.
fn owners_of(sockets: &[Socket]) -> HashMap<u64, u32> {
    let names: HashMap<PathBuf, u64> =
        sockets.iter().map(|socket| (PathBuf::from(format!("socket:[{}]", socket.number)), socket.number)).collect();
    let mut owners = HashMap::new();
    let mut pids = all_pids();
    pids.sort_unstable();
    for pid in pids {
        // Not ours to look into, or gone: then others are asked.
        let Ok(descriptors) = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fd")) else { continue };
        for descriptor in descriptors.flatten() {
            let held = fs::read_link(descriptor.path()).ok().and_then(|target| names.get(&target));
            if let Some(inode) = held {
                owners.entry(*inode).or_insert(pid);
            }
        }
        if owners.len() == names.len() {
            break;
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::{Socket, listening_socket, user_named};

    #[test]
    fn only_listening_sockets_count() {
        let listen =
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000    33        0 4711 1 0 100";
        assert_eq!(listening_socket(listen), Some(Socket { number: 4711, port: 8080, uid: 33 }));
        assert_eq!(listening_socket(&listen.replace(" 0A ", " 01 ")), None);
        assert_eq!(listening_socket("garbage"), None);
    }

    #[test]
    fn a_user_is_named_by_the_file_of_users() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nwww:x:33:33::/:/bin/false\n";
        assert_eq!(user_named(users, 33).as_deref(), Some("www"));
        assert_eq!(user_named(users, 34), None);
    }
}
