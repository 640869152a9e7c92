//! The text format of metrics (<https://prometheus.io/docs/instrumenting/exposition_formats/>) and what `OpenMetrics` adds to it.
//!
//! Never: fails; a line that is not understood is counted. Time and memory are linear in the text.

use std::{borrow::Cow, collections::HashMap};

use super::clause;

/// Most samples that are kept.
const MOST: usize = 50_000;

/// One line: `name{label="value"} 1.5`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample<'t> {
    labels: Vec<(&'t str, Cow<'t, str>)>,
    pub(super) value: f64,
}

impl Sample<'_> {
    /// The value of a label.
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_ref())
    }
}

/// All lines by name.
#[derive(Debug, Default)]
pub(super) struct Metrics<'t> {
    samples: HashMap<&'t str, Vec<Sample<'t>>>,
    count: usize,
    wrong: Option<&'t str>,
}

impl<'t> Metrics<'t> {
    /// Reads a text.
    pub(super) fn parse(text: &'t str) -> Self {
        let mut metrics = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if metrics.count >= MOST {
                break;
            }
            if let Some((name, sample)) = sample(line) {
                metrics.samples.entry(name).or_default().push(sample);
                metrics.count += 1;
            } else if metrics.wrong.is_none() {
                metrics.wrong = Some(line);
            }
        }
        metrics
    }

    /// How many samples there are.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// The first line that was not understood, safe to be shown.
    pub(super) fn wrong(&self) -> Option<String> {
        self.wrong.map(clause)
    }

    /// Every sample of a name.
    pub(super) fn all(&self, name: &str) -> &[Sample<'t>] {
        self.samples.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether there is one.
    pub(super) fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }

    /// The sum of the samples of a name; none where there are none.
    pub(super) fn sum(&self, name: &str) -> Option<f64> {
        let all = self.all(name);
        (!all.is_empty()).then(|| all.iter().map(|sample| sample.value).filter(|value| value.is_finite()).sum())
    }

    /// The names that end so, in order.
    pub(super) fn ending(&self, end: &str) -> Vec<&'t str> {
        let mut names: Vec<_> = self.samples.keys().copied().filter(|name| name.ends_with(end)).collect();
        names.sort_unstable();
        names
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.'))
}

fn sample(line: &str) -> Option<(&str, Sample<'_>)> {
    let end = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, rest) = line.split_at(end);
    if !is_name(name) {
        return None;
    }
    let rest = rest.trim_start();
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Vec::new(), rest),
    };
    let value = rest.split_whitespace().next()?;
    Some((name, Sample { labels, value: number(value)? }))
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok(),
    }
}

type Labels<'t> = Vec<(&'t str, Cow<'t, str>)>;

/// Labels up to the closing brace, and what stands behind it.
fn labels(text: &str) -> Option<(Labels<'_>, &str)> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    loop {
        if let Some(behind) = rest.strip_prefix('}') {
            return Some((found, behind));
        }
        let (name, behind) = rest.split_once('=')?;
        let quoted = behind.trim_start().strip_prefix('"')?;
        let (value, behind) = quoted_value(quoted)?;
        found.push((name.trim(), value));
        rest = behind.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
}

/// A value up to its closing quote, with `\\`, `\"` and `\n` replaced, and what stands behind it.
fn quoted_value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut escaped = false;
    let end = text.char_indices().find_map(|(at, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })?;
    let (raw, behind) = (&text[..end], &text[end + 1..]);
    if !raw.contains('\\') {
        return Some((Cow::Borrowed(raw), behind));
    }
    let mut value = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => value.push('\n'),
                Some(other) => value.push(other),
                None => {}
            },
            (c, false) => value.push(c),
        }
    }
    Some((Cow::Owned(value), behind))
}

#[cfg(test)]
mod tests {
    use super::Metrics;

    #[test]
    fn lines_are_read_as_documented() {
        let text = "# HELP a b\n# TYPE http_requests_total counter\nhttp_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n\
                    http_requests_total{method=\"post\",code=\"400\",}    3 1395066363000\n\
                    msdos_file_access_time_seconds{path=\"C:\\\\DIR\\\\FILE.TXT\",error=\"Cannot find file:\\n\\\"FILE.TXT\\\"\"} 1.458255915e9\n\
                    metric_without_timestamp_and_labels 12.47\nsomething_weird{problem=\"division by zero\"} +Inf -3982045\n\
                    le_bucket{le=\"+Inf\"} 4 # {trace_id=\"x\"} 0.67\nnan NaN\n# EOF\n";
        let metrics = Metrics::parse(text);
        assert_eq!((metrics.len(), metrics.wrong()), (7, None));
        assert_eq!(metrics.sum("http_requests_total"), Some(1030.0));
        let file = &metrics.all("msdos_file_access_time_seconds")[0];
        assert_eq!(
            (file.label("path"), file.label("error")),
            (Some("C:\\DIR\\FILE.TXT"), Some("Cannot find file:\n\"FILE.TXT\""))
        );
        assert!(metrics.all("something_weird")[0].value.is_infinite());
        assert_eq!(metrics.all("le_bucket")[0].label("le"), Some("+Inf"));
        assert_eq!(metrics.sum("nan"), Some(0.0), "what is no number counts for nothing");
        assert_eq!(metrics.sum("absent"), None);
    }

    #[test]
    fn lines_that_are_none_are_told() {
        for line in ["<!DOCTYPE html>", "a{b=\"c\" 1", "a{b=c} 1", "a one", "a{b=\"c\"}", "1a 1", "a", "{a=\"b\"} 1"] {
            let metrics = Metrics::parse(line);
            assert_eq!((metrics.len(), metrics.wrong().as_deref()), (0, Some(line)));
        }
    }

    #[test]
    fn there_is_an_end_to_it() {
        let text = "a 1\n".repeat(200_000);
        assert_eq!(Metrics::parse(&text).len(), super::MOST);
    }
}
