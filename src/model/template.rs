//! Templates of bodies that are posted: the fields of a notice by name, `{{ title }}`.
//!
//! Promise: what a service says stays a text in the JSON that is posted. Never: a template that runs without end.

use minijinja::{Environment, Error, UndefinedBehavior, Value, value::Serde};

use super::{alarm::Notice, time::Timestamp};

/// Instructions of one template.
const FUEL: u64 = 50_000;

/// Fills a template in.
///
/// # Errors
/// What is wrong with it, with its line.
pub fn fill(template: &str, notice: &Notice, json: bool) -> Result<String, String> {
    filled(template, notice, json).map_err(|error| said(&error))
}

/// Checks a template by filling it in.
///
/// # Errors
/// What is wrong, with its line.
pub fn check(template: &str) -> Result<(), String> {
    let notice = Notice::test("route", "project", Timestamp::default());
    filled(template, &notice, true).map(drop).map_err(|error| said(&error))
}

fn said(error: &Error) -> String {
    let line = error.line().map(|line| format!(" (line {line} of it)")).unwrap_or_default();
    format!("{}{line}", error.detail().map_or_else(|| error.kind().to_string(), str::to_owned))
}

/// The template with the notice's fields in the places of their names. In JSON a text is escaped as one between quotes has to be
/// (RFC 8259, section 7); `{{ title | tojson }}` brings quotes of its own.
fn filled(template: &str, notice: &Notice, json: bool) -> Result<String, Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    if json {
        environment.set_formatter(|out, state, value: &Value| match value.as_str() {
            Some(text) if !value.is_safe() => {
                let quoted = serde_json::to_string(text).unwrap_or_default();
                let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
                out.write_str(inner).map_err(Error::from)
            }
            Some(_) => minijinja::escape_formatter(out, state, value),
            None => {
                let written = serde_json::to_string(value).unwrap_or_default();
                out.write_str(&written).map_err(Error::from)
            }
        });
    }
    environment.render_str(template, Serde(notice))
}

#[cfg(test)]
mod tests {
    use super::{check, filled};
    use crate::model::{alarm::Notice, time::Timestamp};

    #[test]
    fn what_a_service_says_stays_a_text_in_json() {
        let mut notice = Notice::test("hook", "shop", Timestamp::default());
        notice.text = "he said \"no\"\n\\ }{{ title }}".to_owned();
        let body =
            filled(r#"{"a": "{{ text }}", "b": {{ text | tojson }}, "c": {{ symptoms }}}"#, &notice, true).unwrap();
        let read: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((read["a"].as_str(), read["b"].as_str()), (Some(notice.text.as_str()), Some(notice.text.as_str())));
        assert!(read["c"].as_array().unwrap().is_empty());
        let plain = filled("{{ severity }} {{ text }}", &notice, false).unwrap();
        assert_eq!(plain, format!("warning {}", notice.text));
    }

    #[test]
    fn a_template_that_is_wrong_or_without_end_is_refused() {
        assert!(check("{{ servise }}").is_err(), "an unknown name");
        assert!(check("{{ service").is_err(), "not closed");
        let end = check("{% for a in range(9000) %}{% for b in range(9000) %}x{% endfor %}{% endfor %}");
        assert!(end.is_err(), "{end:?}");
    }
}
