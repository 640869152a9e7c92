//! Tells systemd how far the daemon is (`sd_notify(3)`). Nothing where nobody listens; that it cannot be told is no error.

use std::os::unix::net::UnixDatagram;

/// Sends `state`, such as `READY=1`, to the socket that `NOTIFY_SOCKET` names: a path, or with `@` a name in the abstract namespace.
pub(super) fn tell(socket: Option<&String>, state: &str) {
    let Some(socket) = socket.filter(|socket| !socket.is_empty()) else { return };
    if let Err(error) = send(socket, state) {
        tracing::info!(socket, "systemd could not be told {state:?}: {error}");
    }
}

fn send(socket: &str, state: &str) -> std::io::Result<()> {
    let from = UnixDatagram::unbound()?;
    #[cfg(target_os = "linux")]
    if let Some(name) = socket.strip_prefix('@') {
        use std::os::linux::net::SocketAddrExt;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        return from.send_to_addr(state.as_bytes(), &address).map(|_| ());
    }
    from.send_to(state.as_bytes(), socket).map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::tell;

    #[test]
    fn a_listener_hears_it_and_nobody_is_no_trouble() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        tell(Some(&path.to_str().unwrap().to_owned()), "READY=1");
        let mut heard = [0; 32];
        let count = listener.recv(&mut heard).unwrap();
        assert_eq!(&heard[..count], b"READY=1");
        drop(listener);
        tell(Some(&path.to_str().unwrap().to_owned()), "STOPPING=1");
        tell(None, "READY=1");
    }
}
