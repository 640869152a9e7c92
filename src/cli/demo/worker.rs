//! Takes jobs one after the other, remembers them in the cache, and waits for the cache where it is away.

use std::io;

use super::{
    cache::Client,
    stage::{Stage, burn, wave},
};

/// Jobs in one wave of work.
const PERIOD: u64 = 60;

pub(super) fn run(stage: &mut Stage, cache: u16) -> io::Result<u8> {
    stage.say("worker up, queue: default, concurrency 1")?;
    let mut client = None;
    for job in 1.. {
        let kind = stage.pick(&["send receipt", "resize image", "index order", "close invoice", "sync stock"]);
        let size = stage.rng.u64(1..40);
        burn(((wave(job, PERIOD) * 6_000.0) as u64) + size * 20);
        let outcome = remember(&mut client, cache, job, kind);
        match outcome {
            Ok(known) if known => stage.say(&format!("job {job} {kind} ({size} KiB) done, known before"))?,
            Ok(_) => stage.say(&format!("job {job} {kind} ({size} KiB) done"))?,
            Err(error) => {
                client = None;
                stage.say(&format!("WARN cache is away ({error}), job {job} goes back to the queue"))?;
            }
        }
        stage.idle(150, 700);
    }
    Ok(0)
}

/// Whether the cache knew it.
fn remember(client: &mut Option<Client>, cache: u16, job: u64, kind: &str) -> io::Result<bool> {
    let client = match client {
        Some(client) => client,
        None => client.insert(Client::connect(cache)?),
    };
    let key = format!("job:{}", job % 500);
    let known = client.ask(&format!("GET {key}"))? != "NONE";
    client.ask(&format!("SET {key} {kind}"))?;
    Ok(known)
}
