//! A minute in a few columns.

use super::samples::{group, grouped};
use crate::model::history::History;

const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The newest `seconds` of `history` in exactly `columns` columns, each the largest of its samples. Zero is blank, anything above
/// zero shows. `full` is the value of a full column; without one it is the largest that is shown, but at least `1.0`.
#[must_use]
pub fn sparkline(history: &History, seconds: usize, columns: usize, full: Option<f32>) -> String {
    let peaks = grouped(history, group(seconds, columns), columns);
    let largest = peaks.iter().flatten().copied().fold(1.0_f32, f32::max);
    let full = full.filter(|full| *full > 0.0).unwrap_or(largest);
    peaks
        .into_iter()
        .map(|peak| {
            let part = (peak.unwrap_or(0.0) / full).clamp(0.0, 1.0);
            LEVELS[(part * 8.0).ceil() as usize]
        })
        .collect()
}
