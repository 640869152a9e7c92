//! Five hundred services that are asked over HTTP each second.

use std::{
    net::SocketAddr,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use cas::world::clock;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    Figure,
    measure::{CAS, Project, cpu_seconds, ms_since, pause, resident_mib, wait_until},
};

const SERVICES: usize = 500;

/// What the server has seen.
#[derive(Debug, Default)]
struct Seen {
    answers: AtomicUsize,
    open: AtomicUsize,
    most: AtomicUsize,
}

async fn answer(mut client: TcpStream, seen: Arc<Seen>) {
    let open = seen.open.fetch_add(1, Ordering::Relaxed) + 1;
    seen.most.fetch_max(open, Ordering::Relaxed);
    let mut request = vec![0; 4096];
    let mut length = 0;
    while let Ok(count @ 1..) = client.read(&mut request[length..]).await {
        length += count;
        if !request[..length].ends_with(b"\r\n\r\n") {
            continue;
        }
        length = 0;
        let words = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwell\n";
        if client.write_all(words).await.is_err() {
            break;
        }
        seen.answers.fetch_add(1, Ordering::Relaxed);
    }
    seen.open.fetch_sub(1, Ordering::Relaxed);
}

/// A server with a path for each service, on a thread of its own.
fn serve(seen: &Arc<Seen>) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.set_nonblocking(true).expect("it need not block");
    let address = listener.local_addr().expect("it is bound");
    let seen = seen.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).expect("it is a listener");
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(answer(client, seen.clone()));
            }
        });
    });
    address
}

/// What the same questions cost bare sockets that block, each with a connection of its own: percent of a core for [`SERVICES`] a second. What nobody who asks so
/// can stay below.
fn bare_sockets(address: SocketAddr) -> f64 {
    use std::io::{Read, Write};
    let mine = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let begun = mine();
    let rounds = SERVICES * 4;
    for n in 0..rounds {
        let mut stream = std::net::TcpStream::connect(address).expect("it listens");
        let request = format!("GET /{n} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = [0; 512];
        assert!(stream.read(&mut answer).expect("it answers") > 0);
    }
    (mine() - begun) / rounds as f64 * SERVICES as f64 * 100.0
}

pub(crate) fn five_hundred_probes() -> Vec<Figure> {
    let seen = Arc::new(Seen::default());
    let address = serve(&seen);
    let mut yaml = "name: bench\nservices:\n".to_owned();
    for n in 0..SERVICES {
        yaml.extend([format!(
            "  s{n:03}: {{ command: [sleep, '100000'], kind: none, autostart: true, liveness: {{ http: 'http://{address}/{n}', interval: 1s, timeout: 1s, retries: 2 }} }}\n"
        )]);
    }
    let project = Project::new(&yaml);
    let mut cas = Command::new(CAS)
        .args(["up", "--no-tui"])
        .current_dir(project.path())
        .envs(project.environment())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("cas can be spawned");
    wait_until("each service was asked", 20, || seen.answers.load(Ordering::Relaxed) >= 2 * SERVICES);
    pause(5000);
    let bare = bare_sockets(address);
    pause(1000);
    let (cpu, from, answered) = (cpu_seconds(cas.id()), clock::now(), seen.answers.load(Ordering::Relaxed));
    pause(20_000);
    let seconds = ms_since(from) / 1000.0;
    let percent = (cpu_seconds(cas.id()) - cpu) / seconds * 100.0;
    let each = (seen.answers.load(Ordering::Relaxed) - answered) as f64 / SERVICES as f64 / seconds;
    let memory = resident_mib(cas.id());
    let mut down = Command::new(CAS);
    let _down = down.arg("down").current_dir(project.path()).envs(project.environment()).output();
    // An error means that it has ended.
    let _ended = kill_process(Pid::from_raw(cas.id().cast_signed()).expect("a pid"), Signal::TERM);
    cas.wait().expect("it ends");
    vec![
        Figure { name: "500 probes a second: engine", value: percent, unit: "%", target: 3.0 },
        Figure { name: "500 probes a second: bare sockets that block", value: bare, unit: "%", target: 100.0 },
        Figure {
            name: "500 probes a second: engine over bare sockets", value: percent / bare, unit: "×", target: 3.0
        },
        Figure { name: "500 probes a second: resident", value: memory, unit: "MiB", target: 95.4 },
        Figure {
            name: "500 probes a second: from one to the next of one service",
            value: 1.0 / each.max(0.001),
            unit: "s",
            target: 1.1,
        },
        // 256 are asked at once; some more are closed by cas and not yet by the server.
        Figure {
            name: "500 probes a second: open at once",
            value: seen.most.load(Ordering::Relaxed) as f64,
            unit: "",
            target: 320.0,
        },
    ]
}
