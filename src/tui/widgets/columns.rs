//! Widths of a table's columns: what matters most stays, whatever the width.

/// What a column wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Below this it is of no use.
    pub min: u16,
    /// More than this does not help.
    pub max: u16,
    /// 0 is never left out; of the others the highest number goes first, the last of equals before the others.
    pub priority: u8,
}

/// A width for each column, with `gap` columns between neighbours; `None` for those that there is no room for.
///
/// What is left above the minima goes to the columns by priority, each up to its `max`. Their sum with gaps is never more than
/// `available`.
#[must_use]
pub fn columns(available: u16, gap: u16, wanted: &[Column]) -> Vec<Option<u16>> {
    let mut widths: Vec<Option<u16>> = wanted.iter().map(|column| Some(column.min)).collect();
    let taken = |widths: &[Option<u16>]| {
        let shown = widths.iter().flatten().count() as u32;
        let sum: u32 = widths.iter().flatten().map(|width| u32::from(*width)).sum();
        sum + shown.saturating_sub(1) * u32::from(gap)
    };
    while taken(&widths) > u32::from(available) {
        let least = (0..wanted.len())
            .filter(|index| widths[*index].is_some() && wanted[*index].priority > 0)
            .max_by_key(|index| (wanted[*index].priority, *index));
        let Some(least) = least else { break };
        widths[least] = None;
    }
    // Even what must stay may be too wide together: the widest gives.
    while taken(&widths) > u32::from(available) {
        let widest =
            (0..widths.len()).filter(|index| widths[*index].is_some()).max_by_key(|index| (widths[*index], *index));
        match widest.map(|index| &mut widths[index]) {
            Some(slot @ Some(2..)) => *slot = slot.map(|width| width - 1),
            Some(slot) => *slot = None,
            None => break,
        }
    }
    let mut left = available.saturating_sub(u16::try_from(taken(&widths)).unwrap_or(u16::MAX));
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|index| wanted[*index].priority);
    for index in order {
        if let Some(width) = &mut widths[index] {
            let more = wanted[index].max.saturating_sub(*width).min(left);
            *width += more;
            left -= more;
        }
    }
    widths
}
