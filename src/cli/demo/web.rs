//! A web API on loopback and the load that is put on it: latency, statuses and CPU that come and go in waves.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use fastrand::Rng;

use super::stage::{Stage, burn, pause, wave};

/// A client or server that is silent for so long is left.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of a request.
const LONGEST: u64 = 8192;
/// Requests in one wave of load.
const PERIOD: u64 = 240;

pub(super) fn run(stage: &mut Stage, port: u16) -> io::Result<u8> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let address = listener.local_addr()?;
    stage.say(&format!("\x1b[32mINFO\x1b[0m  api 2.8.0 listening on http://{address}"))?;
    let dice = stage.rng.fork();
    std::thread::spawn(move || serve(&listener, dice));
    load(stage, address)
}

/// Answers one request after the other, for ever.
fn serve(listener: &TcpListener, mut dice: Rng) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { return };
        // A client that breaks off is the client's matter.
        let _broken_off = answer(stream, &mut dice);
    }
}

fn answer(mut stream: TcpStream, dice: &mut Rng) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream.try_clone()?.take(LONGEST));
    let mut request = String::new();
    reader.read_line(&mut request)?;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim_end().is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or("/");
    let (status, body) = match path {
        "/health" => ("200 OK", "{\"status\":\"ok\"}".to_owned()),
        "/orders" => {
            burn(dice.u64(200..900));
            pause(Duration::from_millis(dice.u64(2..12)));
            ("200 OK", format!("{{\"orders\":{}}}", dice.u32(10..500)))
        }
        order if order.starts_with("/orders/") => match dice.u8(..100) {
            0..=1 => ("500 Internal Server Error", "{\"error\":\"upstream timed out\"}".to_owned()),
            2..=8 => ("404 Not Found", "{\"error\":\"no such order\"}".to_owned()),
            _ => {
                burn(dice.u64(50..300));
                ("200 OK", "{\"state\":\"paid\"}".to_owned())
            }
        },
        _ => ("404 Not Found", "{\"error\":\"no such page\"}".to_owned()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes())
}

/// Customers: few, then many, then few again.
fn load(stage: &mut Stage, address: SocketAddr) -> io::Result<u8> {
    for step in 0.. {
        let path = match stage.rng.u8(..10) {
            0..=2 => "/orders".to_owned(),
            _ => format!("/orders/{}", stage.rng.u32(1..2000)),
        };
        let took = stage.rng.u32(3..20) + (wave(step, PERIOD) * 60.0) as u32;
        match get(address, &path) {
            Ok(status) => stage.say(&line(&path, status, took))?,
            Err(error) => stage.say(&format!("\x1b[31mERROR\x1b[0m GET {path} failed: {error}"))?,
        }
        let busy = (wave(step, PERIOD) * 160.0) as u64;
        stage.idle(40, 220 - busy);
    }
    Ok(0)
}

fn line(path: &str, status: u16, took: u32) -> String {
    let colour = match status {
        ..400 => 32,
        400..500 => 33,
        500.. => 31,
    };
    format!("\x1b[2mGET\x1b[0m {path} \x1b[{colour}m{status}\x1b[0m {took}ms")
}

/// The status of a GET.
fn get(address: SocketAddr, path: &str) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(LONGEST).read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::Error::other("no status in the answer"))
}
