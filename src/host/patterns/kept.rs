//! What is known of a service's patterns as bytes that can be kept: JSON, compressed. Never: more memory for bytes that make no sense than for those that do.

use std::io::{Read, Write};

use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};

use crate::insight::patterns::{Patterns, Settings, State};

/// Bytes of JSON that are read back; four times what the settings allow.
const LARGEST: u64 = 8 * 1024 * 1024;

/// The bytes; none where they cannot be made, which no state of ours is a reason for.
#[must_use]
pub fn pack(state: &State) -> Option<Vec<u8>> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&serde_json::to_vec(state).ok()?).ok()?;
    packed.finish().ok()
}

/// What is in the bytes; none where they are of another cas, or damaged.
#[must_use]
pub fn unpack(settings: Settings, bytes: &[u8]) -> Option<Patterns> {
    let mut json = Vec::new();
    ZlibDecoder::new(bytes).take(LARGEST).read_to_end(&mut json).ok()?;
    Patterns::restore(settings, &serde_json::from_slice::<State>(&json).ok()?)
}

#[cfg(test)]
mod tests {
    use super::{pack, unpack};
    use crate::{
        insight::patterns::{Patterns, Settings},
        model::ids::RunId,
    };

    #[test]
    fn what_is_kept_comes_back_and_what_is_damaged_is_not_guessed_at() {
        let settings = Settings::default();
        let mut patterns = Patterns::new(settings);
        for line in 0..50 {
            patterns.take(&format!("request {line} took {line} ms"), None, 1_000_000, RunId(1));
        }
        let mut packed = pack(&patterns.state()).unwrap();
        assert_eq!(unpack(settings, &packed).unwrap().state(), patterns.state());
        packed.truncate(packed.len() / 2);
        assert!(unpack(settings, &packed).is_none());
        assert!(unpack(settings, b"").is_none() && unpack(settings, b"{}").is_none());
    }
}
