//! Who listens on a port. Never binds to find out: that would take the port from whoever comes a moment later.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Shared,
    tree::stat::{all_pids, command_line},
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
    for (inode, port) in listening {
        if holders.iter().any(|holder| holder.port == port && holder.pid.is_some()) {
            continue;
        }
        let pid = owners.get(&inode).copied();
        if pid.is_some_and(&is_ours) {
            continue;
        }
        let command = pid.and_then(command_line).map(|line| short(&line));
        holders.retain(|holder| holder.port != port);
        holders.push(PortHolder { port, pid, command });
    }
    holders.sort_by_key(|holder| holder.port);
    holders
}

fn is_run_of(shared: &Shared, service: &ServiceId, pid: u32) -> bool {
    let Some(tree) = shared.forest.tree_of(pid) else { return false };
    shared.runs().values().any(|running| running.tree == tree && running.service == *service)
}

fn short(line: &str) -> String {
    let text = plain(line);
    if text.chars().count() <= COMMAND_CHARACTERS {
        return text.into_owned();
    }
    text.chars().take(COMMAND_CHARACTERS - 1).chain(['…']).collect()
}

/// Inode and port of every listening socket on one of `ports`.
fn listening_sockets(ports: &[Port]) -> Vec<(u64, u16)> {
    if ports.is_empty() {
        return Vec::new();
    }
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|file| fs::read_to_string(file).unwrap_or_default());
    let sockets = tables.iter().flat_map(|table| table.lines().skip(1)).filter_map(listening_socket);
    sockets.filter(|(_, port)| ports.contains(&Port(*port))).collect()
}

/// Columns: number, local address, remote address, state, …, inode as the tenth.
fn listening_socket(line: &str) -> Option<(u64, u16)> {
    let mut columns = line.split_ascii_whitespace();
    let port = u16::from_str_radix(columns.nth(1)?.rsplit_once(':')?.1, 16).ok()?;
    if columns.nth(1)? != LISTEN {
        return None;
    }
    Some((columns.nth(5)?.parse().ok()?, port))
}

/// The process that holds each socket; the one with the lowest number where several share it.
fn owners_of(sockets: &[(u64, u16)]) -> HashMap<u64, u32> {
    let names: HashMap<PathBuf, u64> =
        sockets.iter().map(|(inode, _)| (PathBuf::from(format!("socket:[{inode}]")), *inode)).collect();
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
    use super::listening_socket;

    #[test]
    fn only_listening_sockets_count() {
        let listen =
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100";
        assert_eq!(listening_socket(listen), Some((4711, 8080)));
        assert_eq!(listening_socket(&listen.replace(" 0A ", " 01 ")), None);
        assert_eq!(listening_socket("garbage"), None);
    }
}
