//! A history squeezed into so many columns, without shimmer: a group of samples stays one group while it moves to the left.

use crate::model::history::History;

/// Group sizes that divide a minute: a history forgets whole minutes, so groups counted from its start stay what they are.
const GROUPS: [usize; 12] = [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60];

/// Samples per column so that `seconds` of them fit into `columns`.
pub(super) fn group(seconds: usize, columns: usize) -> usize {
    let needed = seconds.div_ceil(columns.max(1));
    GROUPS.into_iter().find(|size| *size >= needed).unwrap_or_else(|| needed.next_multiple_of(60))
}

/// The newest `columns` groups of `size` samples, oldest first, each as its largest sample (a peak must not vanish); `None` before
/// the first sample and where no sample of the group is a number.
pub(super) fn grouped(history: &History, size: usize, columns: usize) -> Vec<Option<f32>> {
    let mut out = vec![None; columns];
    let len = history.len();
    if len == 0 || columns == 0 {
        return out;
    }
    let last_group = (len - 1) / size;
    let first_group = (last_group + 1).saturating_sub(columns);
    let first = first_group * size;
    for (at, value) in (first..len).zip(history.newest(len - first)) {
        let slot = &mut out[columns - 1 - (last_group - at / size)];
        if value.is_finite() {
            *slot = Some(slot.map_or(value, |peak: f32| peak.max(value)));
        }
    }
    out
}
