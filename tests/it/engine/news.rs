//! News of patterns in output, as they come on the timeline.

use cas::model::{
    event::Event,
    level::Level,
    pattern::PatternNews,
    timeline::{Severity, What},
};

use super::world::{World, id, secs, service};

fn new_error(pattern: &str) -> PatternNews {
    PatternNews::New {
        pattern: pattern.to_owned(),
        example: "login with password=hunter22 failed".to_owned(),
        level: Level::Error,
        count: 1,
    }
}

fn told(world: &World) -> Vec<String> {
    let is_news =
        |what: &What| matches!(what, What::NewPattern { .. } | What::RateChanged { .. } | What::MorePatterns { .. });
    world.entries.iter().filter(|entry| is_news(&entry.what)).map(|entry| entry.sentence()).collect()
}

#[test]
fn news_of_output_come_on_the_timeline_without_secrets_and_the_same_not_twice_in_ten_minutes() {
    let mut world = World::new(vec![service("web")]);
    world.say("start web");
    world.run_for(secs(3));
    let tell = |world: &mut World, name: &str, news: PatternNews| {
        world.tell(Event::PatternNews { service: id(name), news });
    };
    tell(&mut world, "web", new_error("login with <*> failed"));
    tell(&mut world, "web", new_error("login with <*> failed"));
    tell(&mut world, "nobody", new_error("x"));
    assert_eq!(told(&world), ["new error in its output: login with password=‹redacted:password› failed"]);
    let entry = world.entries.iter().find(|entry| matches!(entry.what, What::NewPattern { .. })).unwrap();
    assert_eq!((entry.severity(), entry.run.is_some()), (Severity::Warning, true));
    world.run_for(secs(601));
    tell(&mut world, "web", new_error("login with <*> failed"));
    assert_eq!(told(&world).len(), 2);
    let rate = |per_minute, usual_per_hour| PatternNews::Rate {
        pattern: format!("timeout {usual_per_hour}"),
        example: String::new(),
        level: None,
        per_minute,
        usual_per_hour,
    };
    for news in [rate(30, 6), rate(30, 0), rate(0, 600), PatternNews::More { count: 7 }] {
        tell(&mut world, "web", news);
    }
    assert_eq!(
        told(&world)[2..],
        [
            "30 times a minute, usually 6 an hour: timeout 6",
            "30 times a minute, usually not at all: timeout 0",
            "silent, usually 10 a minute: timeout 600",
            "7 more pieces of news in its output are not told one by one",
        ]
    );
}
