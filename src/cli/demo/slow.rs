//! Needs six seconds to come up, says how far it is, and is well from then on.

use std::{io, time::Duration};

use super::stage::{Stage, burn, pause};

const STEPS: [&str; 6] = [
    "reading segments",
    "checking segments",
    "loading dictionary",
    "building index",
    "warming caches",
    "opening for business",
];

pub(super) fn run(stage: &mut Stage) -> io::Result<u8> {
    for (index, step) in STEPS.iter().enumerate() {
        stage.say(&format!("[{}/{}] {step}", index + 1, STEPS.len()))?;
        burn(20_000);
        pause(Duration::from_secs(1));
    }
    stage.say("search is ready, 48213 documents")?;
    loop {
        stage.idle(2_000, 6_000);
        let (hits, took) = (stage.rng.u32(0..400), stage.rng.u32(1..30));
        let word = stage.pick(&["invoice", "blue shoes", "refund", "größe 42", "coffee"]);
        stage.say(&format!("query \"{word}\" {hits} hits {took}ms"))?;
    }
}
