//! What the lines of a sample have in common at their heads.

use super::{
    Header, Step,
    column::{Column, Kind, spaces},
    columns,
};

/// Columns among which a time or a level is looked for.
const FAR: usize = 12;
/// Columns among which a tag is looked for.
const NEAR: usize = 4;
/// Nearly every line.
const MOST: f64 = 0.95;

/// The head of the lines of a sample.
pub(super) fn learn(lines: &[&[u8]]) -> Header {
    if let Some(step) = fields(lines) {
        return Header { steps: vec![step] };
    }
    let Some(step) = strong(lines) else { return Header::default() };
    let mut header = Header { steps: vec![step] };
    while header.steps.len() < NEAR + 4 {
        let rests: Vec<(&[u8], usize)> = lines.iter().filter_map(|line| Some((*line, end(&header, line)?))).collect();
        match weak(&rests) {
            Some(step) => header.steps.push(step),
            None => break,
        }
    }
    header
}

/// Where the head ends in a line, if it has this form.
fn end(header: &Header, line: &[u8]) -> Option<usize> {
    header.steps.iter().try_fold(0, |at, step| step.end(line, at))
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Fields with a separator, the first of which is a time.
fn fields(lines: &[&[u8]]) -> Option<Step> {
    [b'|', b'\t'].into_iter().find_map(|separator| {
        let timed = |line: &&&[u8]| {
            let first = line.split(|byte| *byte == separator).next().unwrap_or_default();
            first.len() < line.len()
                && columns(first, 0).next().is_some_and(|column| column.kind == Kind::Time && column.end == first.len())
        };
        let timed: Vec<_> = lines.iter().filter(timed).collect();
        if share(timed.len(), lines.len()) < 0.5 {
            return None;
        }
        let narrow = |count: &usize| {
            let holds = timed.iter().filter(|line| {
                let mut parts = line.split(|byte| *byte == separator);
                parts.nth(*count - 1).is_some_and(|field| !field.trim_ascii().contains(&b' ')) && parts.next().is_some()
            });
            share(holds.count(), timed.len()) >= MOST
        };
        let count = (2..FAR).take_while(narrow).last().unwrap_or(1);
        Some(Step::Fields(separator, count))
    })
}

/// The last column of a fixed place that is a time or a level; what stands before it is head as well.
fn strong(lines: &[&[u8]]) -> Option<Step> {
    let kinds: Vec<Vec<Kind>> =
        lines.iter().map(|line| columns(line, 0).take(FAR).map(|column| column.kind).collect()).collect();
    let headed: Vec<_> =
        kinds.iter().filter(|kinds| kinds.iter().any(|kind| matches!(kind, Kind::Time | Kind::Level))).collect();
    if share(headed.len(), lines.len()) < 0.3 {
        return None;
    }
    let holds = |place: usize, kind: Kind| {
        share(headed.iter().filter(|kinds| kinds.get(place) == Some(&kind)).count(), headed.len()) >= 0.9
    };
    let last = (0..FAR).rev().find_map(|place| {
        [Kind::Time, Kind::Level].into_iter().find(|kind| holds(place, *kind)).map(|kind| (place, kind))
    })?;
    Some(Step::Columns(last.0 + 1, last.1))
}

/// What follows a time or a level and is head on nearly every line.
fn weak(rests: &[(&[u8], usize)]) -> Option<Step> {
    let first = |kind: Kind, most: f64| {
        let same = rests
            .iter()
            .filter(|(line, at)| columns(line, *at).next().is_some_and(|column| column.kind == kind))
            .count();
        (share(same, rests.len()) >= most).then_some(Step::Columns(1, kind))
    };
    first(Kind::Number, MOST)
        .or_else(|| first(Kind::Letter, MOST))
        .or_else(|| first(Kind::Level, MOST))
        .or_else(|| first(Kind::Rule, MOST))
        .or_else(|| first(Kind::Bracket, MOST))
        .or_else(|| until(rests, Kind::Rule))
        .or_else(|| until(rests, Kind::Tag))
        .or_else(|| first(Kind::Dotted, MOST))
        .or_else(|| padded(rests))
}

/// Up to a column of a kind that is near on nearly every line.
fn until(rests: &[(&[u8], usize)], kind: Kind) -> Option<Step> {
    let places: Vec<usize> = rests
        .iter()
        .filter_map(|(line, at)| columns(line, *at).take(NEAR).position(|column| column.kind == kind))
        .collect();
    if share(places.len(), rests.len()) < MOST {
        return None;
    }
    let mut counts = [0_usize; NEAR];
    for place in &places {
        counts[*place] += 1;
    }
    let usual = (0..NEAR).max_by_key(|place| counts[*place])?;
    Some(Step::Until { kind, within: NEAR.min(usual + 3), usual })
}

/// A word after which the message begins at a column of a table.
fn padded(rests: &[(&[u8], usize)]) -> Option<Step> {
    let is_padded = |(line, at): &&(&[u8], usize)| {
        let column: Option<Column> = columns(line, *at).next();
        column.is_some_and(|column| column.kind == Kind::Word && spaces(line, column.end) > 1)
    };
    (share(rests.iter().filter(is_padded).count(), rests.len()) >= MOST).then_some(Step::Columns(1, Kind::Word))
}
