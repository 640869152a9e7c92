//! What a byte may be in a log line, and a hash of bytes that is the same on every machine.

/// Stands for a value in a masked line. Control bytes are never copied from a line, so it cannot be confused with text.
pub(super) const VALUE: u8 = 1;

/// White space and control bytes.
pub(super) const SPACE: u8 = 1;
/// Ends a chunk: brackets, quotes, `,`, `;`, `=`, `|`.
pub(super) const DELIMITER: u8 = 2;
/// `0` to `9`.
pub(super) const DIGIT: u8 = 4;
/// Letters; of any language but English, every byte of them.
pub(super) const LETTER: u8 = 8;
/// Digits of hexadecimal numbers.
pub(super) const HEX: u8 = 16;
/// `:`, `/`, `\`, `@`: the chunk may be an address or a path.
pub(super) const MARK: u8 = 32;
/// Joins the parts of a name: `.`, `-`, `+`, `#`, `$`, `%`, `&`.
pub(super) const JOINT: u8 = 64;

const fn class_of(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => DIGIT | HEX,
        b'a'..=b'f' | b'A'..=b'F' => LETTER | HEX,
        b'g'..=b'z' | b'G'..=b'Z' | 128..=255 => LETTER,
        b',' | b';' | b'=' | b'|' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'<' | b'>' | b'"' | b'\'' | b'`' => {
            DELIMITER
        }
        b':' | b'/' | b'\\' | b'@' => MARK,
        b'.' | b'-' | b'+' | b'#' | b'$' | b'%' | b'&' => JOINT,
        0..=32 | 127 => SPACE,
        b'!' | b'*' | b'?' | b'^' | b'_' | b'~' => 0,
    }
}

const fn classes() -> [u8; 256] {
    let mut table = [0_u8; 256];
    let mut byte = 0_usize;
    while byte < 256 {
        table[byte] = class_of(byte as u8);
        byte += 1;
    }
    table
}

static CLASSES: [u8; 256] = classes();

/// The classes that a byte is in.
#[inline]
pub(super) fn class(byte: u8) -> u8 {
    CLASSES[byte as usize]
}

/// Whether a byte is in one of these classes.
#[inline]
pub(super) fn is(byte: u8, classes: u8) -> bool {
    CLASSES[byte as usize] & classes != 0
}

/// How many bytes are in one of these classes.
pub(super) fn count(bytes: &[u8], classes: u8) -> usize {
    bytes.iter().filter(|byte| is(**byte, classes)).count()
}

/// Whether all bytes are in one of these classes.
pub(super) fn all(bytes: &[u8], classes: u8) -> bool {
    bytes.iter().all(|byte| is(*byte, classes))
}

/// One more number into a hash: the folded multiplication of wyhash (Wang Yi, 2019).
#[inline]
pub(super) fn mix(hash: u64, more: u64) -> u64 {
    let product = u128::from(hash ^ 0x9E37_79B9_7F4A_7C15) * u128::from(more ^ 0xD6E8_FEB8_6659_FD93);
    (product as u64) ^ ((product >> 64) as u64)
}

/// A hash of bytes: eight at a time.
#[inline]
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut hash = mix(0x51_7CC1_B727_220A, bytes.len() as u64);
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    let mut last = [0_u8; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(hash, u64::from_le_bytes(last))
}
