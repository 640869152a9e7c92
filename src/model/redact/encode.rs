//! The forms in which a value turns up in text: as it is, in URLs, in base64, in JSON.

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A form of base64 that is cut at both ends must still have so many letters.
const LEAST_BASE64: usize = 8;

/// Every form, the value itself first.
pub(super) fn forms(value: &str) -> Vec<String> {
    let mut forms = vec![value.to_owned()];
    forms.push(percent(value, false));
    forms.push(percent(value, true));
    forms.push(percent(value, false).replace("%20", "+"));
    forms.push(json(value));
    for offset in 0..3 {
        let standard = base64(value, offset);
        if standard.len() >= LEAST_BASE64 {
            forms.push(standard.replace('+', "-").replace('/', "_"));
            forms.push(standard);
        }
    }
    forms.sort();
    forms.dedup();
    forms
}

fn percent(value: &str, lower: bool) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let digits: &[u8; 16] = if lower { b"0123456789abcdef" } else { b"0123456789ABCDEF" };
            text.push('%');
            text.push(char::from(digits[usize::from(byte >> 4)]));
            text.push(char::from(digits[usize::from(byte & 15)]));
        }
    }
    text
}

/// As it stands within a JSON string.
fn json(value: &str) -> String {
    let quoted = serde_json::to_string(value).unwrap_or_default();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

/// The letters of base64 that depend on `value` alone where it begins `offset` bytes into a group of three, within something longer.
fn base64(value: &str, offset: usize) -> String {
    let bytes: Vec<u8> = std::iter::repeat_n(0, offset).chain(value.bytes()).collect();
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        // Only whole letters: what follows the value decides the rest of the last one.
        for letter in 0..(group.len() * 8 / 6) {
            let index = (bits >> (18 - 6 * letter)) & 63;
            text.push(char::from(STANDARD[index as usize]));
        }
    }
    // The first letters are of what stands before it, wholly or in part.
    let first = [0, 2, 3][offset];
    text.get(first..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{base64, forms};

    #[test]
    fn a_value_is_known_in_urls_in_json_and_in_base64_wherever_it_begins() {
        let forms = forms("p@ss w\"rd1");
        for form in ["p@ss w\"rd1", "p%40ss%20w%22rd1", "p%40ss+w%22rd1", "p@ss w\\\"rd1"] {
            assert!(forms.iter().any(|known| known == form), "{form}: {forms:?}");
        }
        // base64 of "hunter2hunter2", "a:hunter2hunter2", "ab:hunter2hunter2" and of the same with something after it.
        let whole = ["aHVudGVyMmh1bnRlcjI=", "YTpodW50ZXIyaHVudGVyMg==", "eDpodW50ZXIyaHVudGVyMi4uLg=="];
        let begins = [0, 2, 2];
        for (text, offset) in whole.iter().zip(begins) {
            let form = base64("hunter2hunter2", offset);
            assert!(form.len() >= 15 && text.contains(&form), "{text} {form}");
        }
    }
}
