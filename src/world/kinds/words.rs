//! Words and figures out of what servers say. Never: passes on a control character, a second line or more than a sentence of it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

use crate::{
    model::{exam::Target, text, time::Timestamp},
    world::clock,
};

/// Columns that words of a server take in a message at most.
const MOST_COLUMNS: usize = 200;

/// What a server says, fit for a message: plain text of one line, trimmed, at most 200 columns.
pub(super) fn said(words: &str) -> String {
    said_in(words, MOST_COLUMNS)
}

/// The same with another length.
pub(super) fn said_in(words: &str, columns: usize) -> String {
    // Far more than is kept, so that what is cut is never a character's half.
    let start: String = words.chars().take(columns * 8).collect();
    // Line by line: one that returns to its begin is no end of what stood there.
    let lines: Vec<_> = start.split(['\r', '\n']).map(text::plain).collect();
    let line = lines.iter().flat_map(|line| line.split_whitespace()).collect::<Vec<_>>().join(" ");
    text::truncate(&line, columns).into_owned()
}

/// As [`said`], without the password of the target, should the server repeat it (as it is, or in Base64 as SMTP and HTTP send it).
/// Passwords of less than four bytes are not looked for: they are in every other word.
pub(super) fn hushed(words: &str, target: &Target) -> String {
    let Some(password) = target.password.as_ref().map(|hidden| hidden.0.as_str()).filter(|word| word.len() > 3) else {
        return said(words);
    };
    let user = target.user.as_deref().unwrap_or_default();
    let forms = [
        password.to_owned(),
        base64(password.as_bytes()),
        base64(format!("\0{user}\0{password}").as_bytes()),
        base64(format!("{user}:{password}").as_bytes()),
    ];
    said(&forms.iter().fold(words.to_owned(), |words, form| words.replace(form, "…")))
}

/// Bytes that a server says, as [`said`].
pub(super) fn said_bytes(bytes: &[u8]) -> String {
    said(&String::from_utf8_lossy(&bytes[..bytes.len().min(MOST_COLUMNS * 8)]))
}

/// A figure in JSON behind names joined by dots; numbers, and numbers in strings as Protobuf's JSON writes 64 bits.
pub(super) fn figure(value: &Value, path: &str) -> Option<f64> {
    let found = path.split('.').try_fold(value, |at, name| at.get(name))?;
    found.as_f64().or_else(|| found.as_str().and_then(|text| text.parse().ok())).filter(|figure| figure.is_finite())
}

/// A text in JSON behind names joined by dots; empty where there is none.
pub(super) fn word<'a>(value: &'a Value, path: &str) -> &'a str {
    path.split('.').try_fold(value, |at, name| at.get(name)).and_then(Value::as_str).unwrap_or_default()
}

/// The elements of a list in JSON; none where it is none.
pub(super) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Seconds since an instant.
pub(super) fn seconds_since(begun: Timestamp) -> f64 {
    clock::now().since(begun).as_secs_f64()
}

/// All but what RFC 3986, section 2.3, calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A part of a URL with `%2F` and its like resolved; what is no such is kept.
pub(in crate::world) fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

/// Text as one part of a URL: all but letters, digits and `-._~` as `%XX`.
pub(in crate::world) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The same of a path, whose slashes stay.
pub(super) fn encoded_path(path: &str) -> String {
    const OF_PATH: &AsciiSet = &RESERVED.remove(b'/');
    utf8_percent_encode(path, OF_PATH).to_string()
}

/// The number of an option of the target.
///
/// # Errors
/// What is wrong with it, naming the option.
pub(super) fn port_option(target: &Target, name: &str) -> Result<Option<u16>, String> {
    let Some(text) = target.options.get(name) else { return Ok(None) };
    match text.parse() {
        Ok(port) if port > 0 => Ok(Some(port)),
        _ => Err(format!("the option {name}={} is not a port: write a number from 1 to 65535", said(text))),
    }
}

/// The key of the configuration that lets in, with an example.
pub(super) fn with_credentials(scheme: &str, target: &Target) -> String {
    format!("write check: {scheme}://USER:PASSWORD@{} in cas.yaml", target.place())
}

/// Whether people give such a name to a queue or topic of dead letters.
pub(super) fn is_grave(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let last = name.rsplit(['.', '_', '-', ':', '/']).next().unwrap_or_default();
    matches!(last, "dlq" | "dlt" | "dlx" | "dead" | "deadletter" | "deadletters")
        || name.ends_with("dead-letter")
        || name.ends_with("dead-letters")
}

/// Base64 with padding (RFC 4648, section 4).
pub(in crate::world) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::{base64, decoded, encoded, figure, is_grave, said};
    use crate::model::exam::Target;

    #[test]
    fn what_a_server_says_is_one_short_plain_line() {
        assert_eq!(said("  no\x1b[31m way\r\n  in\u{7} "), "no way in");
        assert_eq!(super::said_in(&"x".repeat(1 << 20), 10).chars().count(), 10);
        let long = said(&"é".repeat(5000));
        assert_eq!(long.chars().count(), 200);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn a_password_that_a_server_repeats_is_not_passed_on() {
        let password = Some(crate::model::exam::Hidden("hunter2".to_owned()));
        let target = Target { user: Some("ann".to_owned()), password, ..Target::default() };
        let repeated = format!("no hunter2, no {}", base64(b"\0ann\0hunter2"));
        assert_eq!(super::hushed(&repeated, &target), "no …, no …");
        assert_eq!(super::hushed("user ann may not", &target), "user ann may not");
    }

    #[test]
    fn parts_of_urls_are_resolved_and_written() {
        assert_eq!(decoded("%2F"), "/");
        assert_eq!(decoded("100%"), "100%");
        assert_eq!(decoded("a%zzb%4"), "a%zzb%4");
        assert_eq!(encoded("a/b c~é"), "a%2Fb%20c~%C3%A9");
        assert_eq!(decoded(&encoded("ä/%?&")), "ä/%?&");
        assert_eq!(super::encoded_path("a/b?c"), "a/b%3Fc");
    }

    #[test]
    fn figures_are_numbers_or_numbers_in_strings() {
        let value = serde_json::json!({"a": {"b": "17"}, "c": 2.5, "d": "NaN"});
        assert_eq!(figure(&value, "a.b"), Some(17.0));
        assert_eq!(figure(&value, "c"), Some(2.5));
        assert_eq!(figure(&value, "d"), None);
        assert_eq!(figure(&value, "a.x"), None);
    }

    #[test]
    fn base64_is_as_in_the_vectors_of_rfc_4648() {
        for (plain, written) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), written);
        }
    }

    #[test]
    fn queues_of_dead_letters_are_known_by_name() {
        for name in ["orders.dlq", "orders.DLT", "orders_dlx", "mail-dead", "DLQ", "x.dead-letters"] {
            assert!(is_grave(name), "{name}");
        }
        for name in ["orders", "deadline", "undead.queue"] {
            assert!(!is_grave(name), "{name}");
        }
    }
}
