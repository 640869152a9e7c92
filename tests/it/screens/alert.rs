//! News that nobody asked for, over everything and with the bell.

use std::sync::Arc;

use cas::{
    model::{
        alert::AlertLevel,
        policy::Origin,
        timeline::{Entry, What},
    },
    tui::{Message, UiEffect},
};

use super::{
    fixture::named,
    harness::{Console, MEDIUM},
};

/// A console that has seen its first picture, and what a further one with this entry makes it do: whether it rings, and its screen.
fn after(level: AlertLevel, who: Origin, what: What) -> (bool, String) {
    let world = named("demo");
    let mut snapshot = world.snapshot.clone();
    let mut console = Console::new(world, MEDIUM);
    console.ui.alert_at(level);
    console.say(Message::Snapshot(Arc::new(snapshot.clone())));
    assert!(!console.effects.contains(&UiEffect::Ring), "what happened before is no news");
    let last = snapshot.timeline.last().unwrap();
    let entry = Entry { seq: last.seq + 1, who, what, ..(**last).clone() };
    snapshot.timeline.push(Arc::new(entry));
    console.say(Message::Snapshot(Arc::new(snapshot.clone())));
    let rings = console.effects.contains(&UiEffect::Ring);
    console.effects.clear();
    console.say(Message::Snapshot(Arc::new(snapshot)));
    assert!(!console.effects.contains(&UiEffect::Ring), "nothing is told twice");
    (rings, console.text())
}

#[test]
fn the_level_decides_what_rings() {
    let gave_up = || What::GaveUp { attempts: 77 };
    let stalled = || What::Stalled { gap: std::time::Duration::from_secs(9) };
    for (level, what, rings) in [
        (AlertLevel::CriticalOnly, gave_up(), true),
        (AlertLevel::CriticalOnly, stalled(), false),
        (AlertLevel::Warning, stalled(), true),
        (AlertLevel::Warning, What::Steady, false),
        (AlertLevel::All, What::Steady, true),
        (AlertLevel::Off, gave_up(), false),
    ] {
        let shown = format!("{what:?}");
        assert_eq!(after(level, Origin::Healer, what).0, rings, "{level:?} {shown}");
    }
    let (rings, screen) = after(AlertLevel::CriticalOnly, Origin::Healer, gave_up());
    assert!(rings && screen.contains("gave up after 77 starts"), "{screen}");
}

#[test]
fn what_a_person_asked_for_does_not_ring() {
    assert!(!after(AlertLevel::All, Origin::Cli, What::GaveUp { attempts: 77 }).0);
}
