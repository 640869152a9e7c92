//! Keeps what it should let go, a mebibyte a second, and ends at a bound far below what could harm the machine.

use std::{io, time::Duration};

use super::stage::{Stage, pause};

/// Bytes at a time, four times a second.
const PIECE: usize = 256 * 1024;
/// Bytes at which it ends.
const BOUND: usize = 64 * 1024 * 1024;

pub(super) fn run(stage: &mut Stage) -> io::Result<u8> {
    run_to(stage, BOUND, Duration::from_millis(250))
}

fn run_to(stage: &mut Stage, bound: usize, pace: Duration) -> io::Result<u8> {
    stage.say("thumbnails up, cache of images without a bound (what could go wrong)")?;
    let mut images: Vec<Vec<u8>> = Vec::new();
    while images.len() * PIECE < bound {
        // Written to, so that it is resident and not only promised.
        images.push(vec![stage.rng.u8(1..); PIECE]);
        if (images.len() * PIECE).is_multiple_of(4 * 1024 * 1024) {
            let kept = images.len() * PIECE / (1024 * 1024);
            stage.say(&format!("rendered {} images, cache holds {kept} MiB", images.len()))?;
        }
        pause(pace);
    }
    let kept = images.len() * PIECE / (1024 * 1024);
    stage.say(&format!("fatal: image cache is {kept} MiB, limit is {} MiB", bound / (1024 * 1024)))?;
    Ok(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Stage, run_to};

    #[test]
    fn it_ends_at_its_bound() {
        let mut stage = Stage::new(Box::new(std::io::sink()), 1);
        assert_eq!(run_to(&mut stage, 1024 * 1024, Duration::ZERO).unwrap(), 1);
    }
}
