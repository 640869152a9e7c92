//! As much of X.509 (RFC 5280, <https://www.rfc-editor.org/rfc/rfc5280#section-4.1>) as tells until when a certificate holds, and whose it is.
//! Pure. Never: verifies anything; reads beyond what is there.

use chrono::NaiveDateTime;

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    /// From when on it holds, microseconds since 1970.
    pub(super) from: i64,
    /// Until when.
    pub(super) until: i64,
    /// The common name of its subject; empty where it has none.
    pub(super) name: String,
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The explicit tag of the version.
const VERSION: u8 = 0xa0;
/// 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// Reads a certificate in DER; none where it is none.
pub(super) fn certificate(der: &[u8]) -> Option<Certificate> {
    let (certificate, _) = expect(der, SEQUENCE)?;
    let (body, _) = expect(certificate, SEQUENCE)?;
    let body = match element(body)? {
        (VERSION, _, rest) => rest,
        _ => body,
    };
    let (_serial, body) = expect(body, INTEGER)?;
    let (_signature, body) = expect(body, SEQUENCE)?;
    let (_issuer, body) = expect(body, SEQUENCE)?;
    let (validity, body) = expect(body, SEQUENCE)?;
    let (subject, _) = expect(body, SEQUENCE)?;
    let (from, rest) = time(validity)?;
    let (until, _) = time(rest)?;
    Some(Certificate { from, until, name: common_name(subject).unwrap_or_default() })
}

/// Tag, content and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 {
            return None;
        }
        let (digits, rest) = rest.split_at_checked(count)?;
        (digits.iter().fold(0_usize, |sum, digit| (sum << 8) | usize::from(*digit)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn expect(bytes: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = element(bytes)?;
    (tag == wanted).then_some((content, rest))
}

/// RFC 5280, 4.1.2.5: two digits of a year are of this century below 50.
fn time(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (tag, content, rest) = element(bytes)?;
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let whole = match tag {
        UTC_TIME => {
            let year: u32 = text.get(..2)?.parse().ok()?;
            format!("{}{text}", if year < 50 { "20" } else { "19" })
        }
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let at = NaiveDateTime::parse_from_str(&whole, "%Y%m%d%H%M%S").ok()?;
    Some((at.and_utc().timestamp_micros(), rest))
}

fn common_name(mut names: &[u8]) -> Option<String> {
    while let Some((_, set, rest)) = element(names) {
        names = rest;
        let (pair, _) = expect(set, SEQUENCE)?;
        let (_, kind, value) = element(pair)?;
        if kind == COMMON_NAME {
            let (_, text, _) = element(value)?;
            return Some(String::from_utf8_lossy(text).into_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{certificate, time};

    #[test]
    fn years_are_of_the_century_that_the_standard_says() {
        let utc = |text: &str| {
            let mut bytes = vec![0x17, u8::try_from(text.len()).unwrap()];
            bytes.extend(text.as_bytes());
            time(&bytes).map(|(at, _)| at / 1_000_000)
        };
        assert_eq!(utc("491231235959Z"), Some(2_524_607_999));
        assert_eq!(utc("700101000000Z"), Some(0));
        assert_eq!(utc("4912312359"), None);
    }

    #[test]
    fn what_is_cut_or_lies_about_its_length_is_no_certificate() {
        for bytes in [&[][..], &[0x30], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 0x80], &[0x30, 0x02, 0x30, 0x00]]
        {
            assert_eq!(certificate(bytes), None, "{bytes:?}");
        }
    }
}
