//! A week of virtual operation: nothing that an engine holds may grow.

use std::time::Duration;

use cas::world::store::Limits;

use crate::{
    Count, Must, count,
    week::{self, Judge, Plan},
};

/// The trial: so many virtual days.
pub(crate) fn live(days: usize) -> Vec<Count> {
    let plan = Plan {
        seed: 7,
        readings: days,
        between: Duration::from_hours(24),
        tick: Duration::from_secs(10),
        sample: Duration::from_secs(1),
        limits: Limits { events: 5000, minutes: 12 * 60, projects: 20, ..Limits::default() },
    };
    let lived = week::live(&plan);
    for (day, reading) in lived.readings.iter().enumerate() {
        let said: Vec<String> = reading.iter().map(|(name, value, _)| format!("{name} {value}")).collect();
        println!("  day {}: {}", day + 1, said.join(", "));
    }
    let mut counts = vec![
        count("virtual days", days as f64, Must::Told),
        count("steps of the engine", lived.steps as f64, Must::Told),
        count("entries of the timeline", lived.entries as f64, Must::Told),
        count("messages that the store dropped", lived.dropped as f64, Must::Zero),
    ];
    let settled = lived.readings.get(2..).unwrap_or_default();
    if settled.len() > 1 {
        for course in week::courses(settled) {
            let growth = (course.growth(1) * 1e4).round() / 100.0;
            let name = |what: &str| format!("{}{what}", course.name);
            match course.judge {
                Judge::Level | Judge::Settle => {
                    let most = if course.judge == Judge::Level { 1.0 } else { 2.0 };
                    counts.push(count(&name(", mean after day 2"), course.level.round(), Must::Told));
                    counts.push(count(&name(": grow a day, percent"), growth, Must::AtMost(most)));
                }
                Judge::AtMost(most) => counts.push(count(course.name, course.most, Must::AtMost(most))),
                Judge::Told => counts.push(count(course.name, course.level.round(), Must::Told)),
            }
        }
    }
    counts
}
