//! The way to an engine over SSH, as `docker` goes it: one `ssh` for each connection, which runs `docker system dial-stdio` on the other side. Promise:
//! what the user's own configuration of ssh says counts, and what ssh says when it fails is the reason that is told. Never: asks a question on the
//! terminal, or takes a key of a host that is not known.

use std::{
    io,
    pin::Pin,
    process::Stdio,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bollard::{BollardRequest, ClientVersion, errors::Error};
use hyper::Uri;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connected, Connection},
    },
    rt::{TokioExecutor, TokioIo},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    process::{Child, ChildStdin, ChildStdout, Command},
};
use tokio_util::task::AbortOnDropHandle;

use super::{call::quoted, endpoint::Lookup};

/// Of what ssh says, so many bytes are looked at.
const SAID: u64 = 16 * 1024;
/// Seconds for a connection of its own.
const CONNECT_SECONDS: u32 = 10;

/// A client of the engine at `user@host:port/socket`, of which all but the host may be missing.
pub(super) fn client(
    address: &str,
    lookup: &Lookup,
    seconds: u64,
    version: &ClientVersion,
) -> Result<bollard::Docker, Error> {
    let dial = Dial { call: Arc::new(Call::to(address)), path: lookup.get("PATH").map(str::to_owned) };
    let client = Client::builder(TokioExecutor::new()).build(dial);
    let transport = move |request: BollardRequest| {
        let client = client.clone();
        async move { client.request(request).await.map_err(Error::from) }
    };
    bollard::Docker::connect_with_custom_transport(transport, Some("ssh://docker"), seconds, version)
}

/// How ssh is called.
#[derive(Debug, PartialEq, Eq)]
struct Call {
    host: String,
    arguments: Vec<String>,
}

impl Call {
    fn to(address: &str) -> Self {
        let (place, socket) = match address.split_once('/') {
            Some((place, socket)) => (place, Some(format!("unix:///{socket}"))),
            None => (address, None),
        };
        let (user, place) = match place.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, place),
        };
        let (host, port) = match place.rsplit_once(':') {
            // An IPv6 address has colons of its own, and is in brackets.
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (place, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let timeout = format!("ConnectTimeout={CONNECT_SECONDS}");
        let mut arguments: Vec<String> =
            ["-T", "-o", "BatchMode=yes", "-o", &timeout].map(str::to_owned).into_iter().collect();
        for (option, value) in [("-l", user), ("-p", port)] {
            arguments.extend(value.into_iter().flat_map(|value| [option.to_owned(), value.to_owned()]));
        }
        arguments.extend(["--".to_owned(), host.clone(), "docker".to_owned()]);
        arguments.extend(socket.into_iter().flat_map(|socket| ["--host".to_owned(), socket]));
        arguments.extend(["system".to_owned(), "dial-stdio".to_owned()]);
        Self { host, arguments }
    }

    /// What is wrong, a clause, from what ssh or the other side said.
    fn reason(&self, said: &str) -> String {
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let (host, last) = (quoted(&self.host), quoted(last));
        if said.contains("HOST IDENTIFICATION HAS CHANGED") {
            format!(
                "the host key of {host} is not the one that is known for it: another may answer in its place (see known_hosts)"
            )
        } else if said.contains("Host key verification failed") {
            format!("the host key of {host} is not known yet: ssh to it once by hand, and compare the key")
        } else if said.contains("Permission denied (") {
            format!(
                "ssh is not let in without a question: {last}; give ssh-agent a key, or name one in ssh's configuration"
            )
        } else if last.is_empty() {
            format!("ssh to {host} ended without a word")
        } else if last.starts_with("ssh: ") {
            last
        } else {
            format!("over ssh to {host}: {last}")
        }
    }
}

/// Opens connections.
#[derive(Debug, Clone)]
struct Dial {
    call: Arc<Call>,
    path: Option<String>,
}

impl Dial {
    fn dial(&self) -> io::Result<TokioIo<Pipe>> {
        let mut command = Command::new("ssh");
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        // A group of its own: Ctrl-C in our terminal is not meant for it.
        command.args(&self.call.arguments).process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| io::Error::other(format!("ssh cannot be run: {error}")))?;
        let (Some(input), Some(output), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("ssh has no pipes"));
        };
        let said = tokio::spawn(async move {
            let mut said = Vec::new();
            let mut errors = errors;
            let _cut = (&mut errors).take(SAID).read_to_end(&mut said).await;
            // What comes after that is of no interest, and must not hold it up.
            let _rest = tokio::io::copy(&mut errors, &mut tokio::io::sink()).await;
            String::from_utf8_lossy(&said).into_owned()
        });
        let said = Some(AbortOnDropHandle::new(said));
        Ok(TokioIo::new(Pipe { call: Arc::clone(&self.call), _child: child, input, output, said, is_answered: false }))
    }
}

impl tower_service::Service<Uri> for Dial {
    type Response = TokioIo<Pipe>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        std::future::ready(self.dial())
    }
}

/// One connection: the standard input and output of an `ssh`, which ends with it.
struct Pipe {
    call: Arc<Call>,
    _child: Child,
    input: ChildStdin,
    output: ChildStdout,
    said: Option<AbortOnDropHandle<String>>,
    is_answered: bool,
}

impl Pipe {
    /// Why it ended before the engine said anything.
    fn poll_reason(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let Some(said) = &mut self.said else { return Poll::Ready(io::ErrorKind::UnexpectedEof.into()) };
        let said = ready!(Pin::new(said).poll(context)).unwrap_or_default();
        self.said = None;
        Poll::Ready(io::Error::other(self.call.reason(&said)))
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.remaining();
        ready!(Pin::new(&mut self.output).poll_read(context, buffer))?;
        if buffer.remaining() < before {
            self.is_answered = true;
        } else if !self.is_answered && before > 0 {
            return self.poll_reason(context).map(Err);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match ready!(Pin::new(&mut self.input).poll_write(context, bytes)) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe && !self.is_answered => {
                self.poll_reason(context).map(Err)
            }
            written => Poll::Ready(written),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(context)
    }
}

impl Connection for Pipe {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_is_called_as_docker_calls_it() {
        let first = format!("-T -o BatchMode=yes -o ConnectTimeout={CONNECT_SECONDS} ");
        for (address, rest) in [
            ("box", "-- box docker system dial-stdio"),
            ("me@box", "-l me -- box docker system dial-stdio"),
            ("me@box:22", "-l me -p 22 -- box docker system dial-stdio"),
            ("[::1]:22", "-p 22 -- ::1 docker system dial-stdio"),
            ("[::1]", "-- ::1 docker system dial-stdio"),
            ("box/run/d.sock", "-- box docker --host unix:///run/d.sock system dial-stdio"),
            ("-oProxyCommand=x", "-- -oProxyCommand=x docker system dial-stdio"),
        ] {
            assert_eq!(Call::to(address).arguments.join(" "), format!("{first}{rest}"));
        }
    }

    #[test]
    fn what_ssh_says_becomes_a_clause() {
        let call = Call::to("me@box");
        for (said, reason) in [
            ("", "ssh to box ended without a word"),
            ("bash: line 1: docker: command not found\n", "over ssh to box: bash: line 1: docker: command not found"),
            (
                "ssh: connect to host box port 22: No route to host\r\n",
                "ssh: connect to host box port 22: No route to host",
            ),
        ] {
            assert_eq!(call.reason(said), reason);
        }
        assert!(call.reason("me@box: Permission denied (publickey).\n").contains("ssh-agent"));
    }
}
