//! The y axis: round ends, few marks.

use super::Unit;

/// How far up the y axis goes. It always begins at zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// 0 to 100.
    Percent,
    /// To a round number above the largest sample in sight, but at least to a round number above `floor`, in the chart's unit: what
    /// is below the floor is noise and shall look small.
    Auto {
        /// The least top.
        floor: f32,
    },
}

impl Scale {
    pub(super) fn top(self, values: impl Iterator<Item = f32>, unit: Unit) -> f64 {
        match self {
            Self::Percent => 100.0,
            Self::Auto { floor } => {
                let largest = values.fold(floor.max(f32::MIN_POSITIVE), f32::max);
                round_up(f64::from(largest), unit)
            }
        }
    }
}

/// The least round number that is not below `value`: bytes in powers of two, so that a half and a quarter are round as well; others
/// in 1, 2, 4, 6, 8, 10.
fn round_up(value: f64, unit: Unit) -> f64 {
    match unit {
        Unit::Bytes | Unit::BytesPerSecond => {
            let mut top = 1.0;
            while top < value && top < 1e18 {
                top *= 2.0;
            }
            top
        }
        Unit::Percent | Unit::Count => {
            let decade = 10_f64.powf(value.max(1e-6).log10().floor());
            let steps = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0];
            let step = steps.into_iter().find(|step| step * decade >= value * (1.0 - 1e-9)).unwrap_or(10.0);
            step * decade
        }
    }
}

/// Into how many parts a plot of so many rows is divided.
pub(super) const fn ticks(rows: u16) -> u16 {
    match rows {
        0..5 => 1,
        5..9 => 2,
        9.. => 4,
    }
}
