//! A day and a half of a daemon in virtual time: nothing that it holds grows. The whole week: `cargo bench --bench chaos -- week`.

#[path = "../../benches/chaos_parts/week/mod.rs"]
mod life;

use std::{process::Command, time::Duration};

use cas::world::store::Limits;

use self::life::{Judge, Plan};

/// How much a figure may grow over the whole of the readings that count, as a part of its level.
const TOLERANCE: f64 = 0.05;

/// It has a process of its own, for memory and descriptors are counted by process.
#[test]
fn a_virtual_day_and_a_half_of_a_daemon_leave_memory_and_descriptors_as_they_were() {
    let own = std::env::current_exe().unwrap();
    let ran = Command::new(own)
        .args(["--exact", "week::the_day_itself", "--ignored", "--nocapture", "--test-threads=1"])
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}\n{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
}

#[test]
#[ignore = "half of the test above: it needs a process of its own"]
fn the_day_itself() {
    let plan = Plan {
        seed: 11,
        readings: 18,
        between: Duration::from_hours(2),
        tick: Duration::from_secs(100),
        sample: Duration::from_secs(25),
        limits: Limits { events: 500, minutes: 60, projects: 4, ..Limits::default() },
    };
    let lived = life::live(&plan);
    let counted = &lived.readings[12..];
    let said: Vec<String> = lived.readings.iter().map(|reading| format!("{reading:?}")).collect();
    assert_eq!(lived.dropped, 0);
    assert!(lived.entries > 2000 && lived.steps > 10_000, "much happened: {} {}", lived.entries, lived.steps);
    for course in life::courses(counted) {
        let growth = course.growth(counted.len());
        match course.judge {
            Judge::Level => assert!(growth <= TOLERANCE, "{} grows by {growth:.3}\n{}", course.name, said.join("\n")),
            // That takes some days.
            Judge::Settle => assert!(growth <= 0.3, "{} grows by {growth:.3}\n{}", course.name, said.join("\n")),
            Judge::AtMost(most) => {
                assert!(course.most <= most, "{} is {}\n{}", course.name, course.most, said.join("\n"));
            }
            Judge::Told => {}
        }
    }
}
