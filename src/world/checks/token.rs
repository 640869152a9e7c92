//! When tokens expire. Nothing is verified: a token is read as whoever holds it reads it. Never: a token, or a part of one, in a message.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use super::{Whose, blocking, place, seconds_until, told};
use crate::{
    model::{
        exam::{Measure, Reading, Trouble},
        own::{TokenOf, figures},
    },
    world::{clock, kinds::body::moment_of},
};

/// Most bytes of a file.
const MOST: usize = 256 * 1024;

/// When the token of a source expires.
pub(super) async fn look(whose: &Whose<'_>, of: &TokenOf, timeout: Duration) -> Result<Reading, Trouble> {
    let (source, text, since) = match of {
        TokenOf::File(file) => {
            let path = file.clone();
            let (bytes, changed) = blocking(move || place::read_file_with_time(&path, MOST)).await??;
            (file.display().to_string(), String::from_utf8_lossy(&bytes).into_owned(), changed)
        }
        TokenOf::Env(name) => {
            let value = whose.variable(name).filter(|value| !value.trim().is_empty());
            let value = value.ok_or_else(|| Trouble::Foreign(format!("{name} is not set, so there is no token")))?;
            (name.clone(), value, clock::now().wall_us)
        }
        TokenOf::Command(command) => (command.display(), whose.output(command, timeout).await?, clock::now().wall_us),
    };
    let Some(expires) = expiry(&text, since) else {
        return Err(Trouble::Foreign(format!(
            "{source} has no token that says when it expires: neither a JWT with exp, nor JSON with expires_at or expires_in"
        )));
    };
    let mut reading = Reading::default();
    let left = seconds_until(expires);
    let about =
        if left > 0.0 { format!("it holds until {}", told(expires)) } else { format!("it expired {}", told(expires)) };
    reading.measure(Measure::new(figures::EXPIRES, left).about(about));
    Ok(reading)
}

/// When what a text holds expires, in microseconds since 1970; `since`: when it was written.
///
/// `exp` of a JWT is RFC 7519's (<https://www.rfc-editor.org/rfc/rfc7519#section-4.1.4>), `expires_in` RFC 6749's
/// (<https://www.rfc-editor.org/rfc/rfc6749#section-5.1>), `expiry` what Go's oauth2 writes.
fn expiry(text: &str, since: i64) -> Option<i64> {
    let text = text.trim();
    let text = text.strip_prefix("Bearer ").unwrap_or(text).trim();
    if !text.starts_with('{') {
        return jwt(text);
    }
    let page: Value = serde_json::from_str(text).ok()?;
    let map = page.as_object()?;
    let named = |names: &[&str]| {
        map.iter().find(|(key, _)| names.contains(&key.to_ascii_lowercase().replace(['_', '-'], "").as_str()))
    };
    if let Some(at) =
        named(&["expiresat", "expiry", "expiration", "expires", "exp"]).and_then(|(_, value)| moment_of(value))
    {
        return Some(at);
    }
    if let Some((_, seconds)) = named(&["expiresin"]) {
        let seconds = seconds.as_f64().or_else(|| seconds.as_str()?.trim().parse().ok())?;
        return seconds.is_finite().then(|| since.saturating_add((seconds * 1e6) as i64));
    }
    ["accesstoken", "idtoken", "token", "jwt"].iter().find_map(|name| jwt(named(&[name])?.1.as_str()?))
}

fn jwt(token: &str) -> Option<i64> {
    let mut parts = token.split('.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    let claims: Value = serde_json::from_slice(&base64url(payload)?).ok()?;
    let seconds = claims.get("exp")?.as_f64()?;
    seconds.is_finite().then_some((seconds * 1e6) as i64)
}

/// RFC 4648, section 5, with or without padding; the letters of section 4 are taken for those that they stand for.
fn base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=').replace('+', "-").replace('/', "_")).ok()
}

#[cfg(test)]
mod tests {
    use super::{base64url, expiry};

    /// The example of RFC 7519, section 3.1, which expires at 1300819380.
    const JWT: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    #[test]
    fn a_token_tells_when_it_expires_in_each_form() {
        let exp = Some(1_300_819_380_000_000);
        for text in [
            JWT.to_owned(),
            format!("Bearer {JWT}\n"),
            format!("{{\"access_token\": \"{JWT}\"}}"),
            "{\"expires_at\": 1300819380}".to_owned(),
            "{\"expiresAt\": 1300819380000, \"access_token\": \"x\"}".to_owned(),
            "{\"expiry\": \"2011-03-22T18:43:00Z\"}".to_owned(),
            "{\"expires_in\": 3600, \"access_token\": \"x\"}".to_owned(),
            "{\"expires_in\": \"3600\"}".to_owned(),
        ] {
            assert_eq!(expiry(&text, 1_300_815_780_000_000), exp, "{text}");
        }
        for text in ["", "opaque", "a.b.c", "{}", "{\"token\": \"opaque\"}", "{\"expires_in\": \"soon\"}", "[1]"] {
            assert_eq!(expiry(text, 0), None, "{text}");
        }
    }

    #[test]
    fn base64url_is_read_as_the_standard_writes_it() {
        for (text, bytes) in
            [("", &b""[..]), ("Zg", b"f"), ("Zg==", b"f"), ("Zm9vYmFy", b"foobar"), ("-_8", &[0xfb, 0xff])]
        {
            assert_eq!(base64url(text).as_deref(), Some(bytes), "{text}");
        }
        assert_eq!(base64url("a b"), None);
    }
}
