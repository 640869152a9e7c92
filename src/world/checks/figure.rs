//! Figures that commands print. Never: takes a word for a number.

use std::time::Duration;

use serde_json::Value;

use super::Whose;
use crate::{
    model::{
        exam::{Measure, Reading, Trouble},
        own::figures,
        service::CommandLine,
    },
    world::kinds::body::quoted,
};

/// The figure that a command prints.
pub(super) async fn look(whose: &Whose<'_>, command: &CommandLine, timeout: Duration) -> Result<Reading, Trouble> {
    let text = whose.output(command, timeout).await?;
    let Some((value, limit)) = figure(&text) else {
        return Err(Trouble::Foreign(format!(
            "{} prints neither a number nor {{\"value\": 3, \"limit\": 10}}: {}",
            command.display(),
            quoted(&text)
        )));
    };
    let measure = Measure::new(figures::VALUE, value);
    let measure = match limit {
        Some(limit) => measure.of(limit),
        None => measure,
    };
    Ok(Reading { measures: vec![measure], ..Reading::default() })
}

/// Value and limit.
fn figure(text: &str) -> Option<(f64, Option<f64>)> {
    let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
    let (value, limit) = match serde_json::from_str::<Value>(text.trim()) {
        Ok(Value::Object(map)) => (number(map.get("value")?)?, map.get("limit").and_then(number)),
        Ok(Value::Number(value)) => (value.as_f64()?, None),
        Ok(Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_)) => return None,
        // The last line, as `wc -l` and `du -s` have it: a number, and then perhaps a name.
        Err(_) => {
            let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
            (line.split_whitespace().next()?.parse().ok()?, None)
        }
    };
    (value.is_finite() && limit.is_none_or(f64::is_finite)).then_some((value, limit))
}

#[cfg(test)]
mod tests {
    use super::figure;

    #[test]
    fn a_number_is_read_in_each_form_and_words_are_none() {
        for (text, found) in [
            ("42\n", Some((42.0, None))),
            (" 4.5 ", Some((4.5, None))),
            ("-3", Some((-3.0, None))),
            ("noise\n17 /var/spool\n\n", Some((17.0, None))),
            ("{\"value\": 3, \"limit\": 10}", Some((3.0, Some(10.0)))),
            ("{\"value\": \"3\"}", Some((3.0, None))),
            ("", None),
            ("none", None),
            ("NaN", None),
            ("[1]", None),
            ("{\"limit\": 1}", None),
            ("true", None),
        ] {
            assert_eq!(figure(text), found, "{text}");
        }
    }
}
