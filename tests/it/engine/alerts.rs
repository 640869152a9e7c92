//! What becomes an alarm, who is told of it, when, and when not.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cas::{
    engine::Settings,
    model::{
        alarm::{AlarmState, AlarmView, Level, NotSent, NoticeKind, Rule},
        alert::AlertLevel,
        event::{Event, TroubleSlot},
        exam::Hidden,
        phase::Exit,
        policy::Reply,
        project::ProjectSpec,
        redact::{Redactor, Secrets},
        route::{AlertPlan, Concealed, Destination, QuietHours, Route, RuleChange, SendTo},
        schedule::Zone,
        service::{RestartPolicy, ServiceSpec},
        timeline::What,
    },
};

use super::{
    heritage::succeed,
    world::{Build, World, project, secs, service},
};

fn mins(n: u64) -> Duration {
    Duration::from_mins(n)
}

fn route(name: &str) -> Arc<Route> {
    let url = Concealed::Value(Hidden("https://hooks.example/secret-path".to_owned()));
    let to = Destination::Webhook { url, method: "POST".to_owned(), headers: BTreeMap::new(), body: None };
    Arc::new(Route { name: name.to_owned(), to, throttle: None })
}

fn plan(change: impl FnOnce(&mut AlertPlan)) -> AlertPlan {
    let mut plan = AlertPlan { routes: vec![route("ops")], ..AlertPlan::default() };
    change(&mut plan);
    plan
}

/// A service that nobody restarts.
fn once(name: &str) -> ServiceSpec {
    service(name).with(|spec| spec.restart = RestartPolicy::No)
}

fn world(services: Vec<ServiceSpec>, plan: AlertPlan) -> World {
    let mut world = World::empty(Settings { seed: 7, ..Settings::default() });
    let spec = Arc::unwrap_or_clone(project("shop", services));
    world.load_project(Arc::new(ProjectSpec { alerts: Arc::new(plan), ..spec }));
    world.say("start --all");
    world.run_for(secs(1));
    world
}

fn said(world: &World) -> Vec<(NoticeKind, String)> {
    world.letters.iter().map(|(_, _, notice)| (notice.kind, notice.group.clone())).collect()
}

fn alarm(world: &mut World, id: &str) -> Option<AlarmView> {
    let snapshot = world.engine.snapshot(world.now);
    snapshot.alerts.alarms.iter().find(|alarm| alarm.id == id && alarm.state != AlarmState::Resolved).cloned()
}

fn firing(group: &str) -> (NoticeKind, String) {
    (NoticeKind::Firing, group.to_owned())
}

fn over(group: &str) -> (NoticeKind, String) {
    (NoticeKind::Resolved, group.to_owned())
}

fn rule(rule: Rule, change: impl FnOnce(&mut RuleChange)) -> RuleChange {
    let mut changed = RuleChange { rule, services: None, level: None, hold: None, resolve_after: None };
    change(&mut changed);
    changed
}

fn down_is_a_warning(plan: &mut AlertPlan) {
    plan.level = AlertLevel::Warning;
    plan.rules = vec![rule(Rule::Down, |rule| rule.level = Some(Some(Level::Warning)))];
}

#[test]
fn what_is_down_for_ten_seconds_is_told_once_and_that_it_is_over_once() {
    let mut world = world(vec![once("web")], plan(|_| {}));
    world.crash("web", Exit::Code(3));
    world.run_for(secs(9));
    assert_eq!(alarm(&mut world, "shop/web:down").unwrap().state, AlarmState::Pending);
    assert_eq!(said(&world), []);
    world.run_for(secs(60));
    let view = alarm(&mut world, "shop/web:down").unwrap();
    assert_eq!((view.state, view.sent_to, view.not_sent), (AlarmState::Firing, vec!["ops".to_owned()], None));
    let notice = world.letters[0].2.clone();
    assert_eq!((notice.title.as_str(), notice.rule.as_str()), ("CRITICAL: shop/web is down", "down"));
    assert!(notice.text.contains("exit code 3"), "{}", notice.text);
    world.say("start web");
    world.run_for(secs(10));
    assert_eq!(said(&world), [firing("shop/web")], "what is gone for a moment is not over");
    world.run_for(mins(20));
    assert_eq!(said(&world), [firing("shop/web"), over("shop/web")]);
    world.assert_told("web", "alarm (critical): is down: exit code 3");
    world.assert_told("web", "alarm over: down no more");
    assert!(alarm(&mut world, "shop/web:down").is_none());
}

#[test]
fn what_comes_back_within_seconds_is_no_news() {
    let mut world = world(vec![service("web")], plan(|_| {}));
    world.crash("web", Exit::Code(1));
    world.run_for(mins(10));
    assert_eq!(said(&world), []);
    assert_eq!(world.story("web").iter().filter(|line| line.contains("alarm")).count(), 0);
}

#[test]
fn what_a_person_has_stopped_is_no_alarm() {
    let mut world = world(vec![service("web")], plan(|_| {}));
    world.say("stop web");
    world.run_for(mins(10));
    assert_eq!(said(&world), []);
}

#[test]
fn a_symptom_is_folded_into_its_root_and_told_when_the_root_is_well_and_it_is_not() {
    let mut world = world(vec![once("db"), once("api").needs("db"), once("web").needs("api")], plan(|_| {}));
    world.crash("web", Exit::Code(1));
    world.crash("db", Exit::Code(1));
    world.run_for(mins(2));
    assert_eq!(said(&world), [firing("shop/db")], "one incident, one message");
    let view = alarm(&mut world, "shop/web:down").unwrap();
    assert_eq!(view.state, AlarmState::Firing, "it is evaluated all the same");
    assert_eq!((view.group.as_str(), view.not_sent.as_deref()), ("shop/db", Some("hidden: follows from shop/db")));
    assert_eq!(world.letters[0].2.symptoms, ["shop/web"]);
    let (critical, _) = world.engine.snapshot(world.now).alerts.firing();
    assert_eq!(critical, 1, "a symptom does not count");
    world.say("start db");
    world.run_for(secs(20));
    assert_eq!(said(&world), [firing("shop/db"), over("shop/db")]);
    world.run_for(secs(20));
    assert_eq!(said(&world), [firing("shop/db"), over("shop/db"), firing("shop/web")]);
}

#[test]
fn a_warning_below_hides_nothing_critical_above() {
    let changes = vec![rule(Rule::Down, |rule| {
        rule.services = Some("d*".to_owned());
        rule.level = Some(Some(Level::Warning));
    })];
    let mut world = world(vec![once("db"), once("web").needs("db")], plan(|plan| plan.rules = changes));
    world.crash("db", Exit::Code(1));
    world.crash("web", Exit::Code(1));
    world.run_for(mins(1));
    assert_eq!(said(&world), [firing("shop/web")]);
    let view = alarm(&mut world, "shop/db:down").unwrap();
    assert_eq!(view.not_sent.as_deref(), Some("alert_level is critical-only"));
}

#[test]
fn a_rule_is_changed_by_name_and_by_pattern_of_services() {
    let changes = vec![
        rule(Rule::Down, |rule| rule.hold = Some(mins(1))),
        rule(Rule::Down, |rule| {
            rule.services = Some("w*".to_owned());
            rule.level = Some(None);
        }),
    ];
    let mut world = world(vec![once("db"), once("web")], plan(|plan| plan.rules = changes));
    world.crash("db", Exit::Code(1));
    world.crash("web", Exit::Code(1));
    world.run_for(secs(55));
    assert_eq!(said(&world), []);
    world.run_for(secs(10));
    assert_eq!(said(&world), [firing("shop/db")]);
    assert!(alarm(&mut world, "shop/web:down").is_none(), "its rule is off");
}

#[test]
fn a_second_message_about_an_incident_waits_and_that_it_is_over_does_not() {
    let mut world = world(vec![once("web")], plan(|_| {}));
    let begin = world.now;
    for _ in 0..3 {
        world.crash("web", Exit::Code(1));
        world.run_for(secs(20));
        world.say("start web");
        world.run_for(secs(20));
    }
    assert_eq!(said(&world), [firing("shop/web"), over("shop/web")]);
    world.crash("web", Exit::Code(1));
    world.run_for(secs(30));
    let view = alarm(&mut world, "shop/web:down").unwrap();
    assert!(view.not_sent.as_deref().is_some_and(|why| why.starts_with("throttled")), "{view:?}");
    world.run_for(mins(5));
    assert_eq!(said(&world), [firing("shop/web"), over("shop/web"), firing("shop/web")]);
    let third = world.letters[2].0.since(begin);
    assert_eq!(third, secs(10) + mins(5), "five minutes after the first");
}

#[test]
fn what_stays_critical_is_told_again_after_hours_unless_that_is_off() {
    for (reminder, want) in [(Some(Duration::from_hours(4)), 3), (None, 1)] {
        let mut world = world(vec![once("web")], plan(|plan| plan.reminder = reminder));
        world.crash("web", Exit::Code(1));
        world.run_for(Duration::from_hours(9));
        assert_eq!(said(&world).len(), want, "{reminder:?}");
        assert!(said(&world)[1..].iter().all(|(kind, _)| *kind == NoticeKind::Reminder));
    }
}

/// It is 22:13:20 UTC when a world begins.
fn night(plan: &mut AlertPlan) {
    plan.quiet = Some(QuietHours { from: 22 * 3600, to: 7 * 3600, days: [true; 7], zone: Zone::UTC });
}

#[test]
fn in_quiet_hours_only_what_is_critical_is_sent() {
    let critical = plan(night);
    let mut loud = world(vec![once("web")], critical);
    loud.crash("web", Exit::Code(1));
    loud.run_for(mins(1));
    assert_eq!(said(&loud), [firing("shop/web")]);
    let mut mild = world(
        vec![once("web"), once("db")],
        plan(|plan| {
            down_is_a_warning(plan);
            night(plan);
        }),
    );
    mild.crash("web", Exit::Code(1));
    mild.crash("db", Exit::Code(1));
    mild.run_for(mins(1));
    assert_eq!(said(&mild), []);
    let view = alarm(&mut mild, "shop/web:down").unwrap();
    assert!(view.not_sent.as_deref().is_some_and(|why| why.starts_with("quiet hours, for 8h")), "{view:?}");
    mild.say("start db");
    mild.run_for(Duration::from_hours(8));
    assert_eq!(said(&mild), []);
    mild.run_for(mins(50));
    let digest = (NoticeKind::Digest, "shop".to_owned());
    assert_eq!(said(&mild), [digest, firing("shop/web")]);
    assert!(mild.letters[0].2.text.contains("shop/db is down: exit code 1"), "{}", mild.letters[0].2.text);
    mild.run_for(Duration::from_hours(3));
    assert_eq!(said(&mild).len(), 2, "each once");
}

#[test]
fn a_silence_hides_until_its_end_and_stops_no_evaluation() {
    let mut world = world(vec![once("web")], plan(|_| {}));
    let reply = world.say("silence web --for 1h --because 'we move the disks'");
    assert!(matches!(reply, Reply::Accepted { .. }), "{reply:?}");
    world.crash("web", Exit::Code(1));
    world.run_for(mins(30));
    assert_eq!(said(&world), []);
    let view = alarm(&mut world, "shop/web:down").unwrap();
    assert_eq!(view.state, AlarmState::Firing);
    assert!(view.not_sent.as_deref().is_some_and(|why| why.starts_with("silenced until 2023-11-14 23:13")), "{view:?}");
    let silences = world.engine.snapshot(world.now).alerts.silences.clone();
    assert_eq!(silences[0].silence.because, "we move the disks");
    world.run_for(mins(31));
    assert_eq!(said(&world), [firing("shop/web")], "it is still down when the silence ends");
    world.assert_told("web", "alerts silenced until 2023-11-14 23:13 UTC");
    world.assert_told("web", "alerts no longer silenced");
}

#[test]
fn a_silence_is_ended_by_hand_and_one_that_is_not_there_is_said() {
    let mut world = world(vec![once("web")], plan(|_| {}));
    assert_eq!(world.say("unsilence web"), Reply::Unchanged { note: "web is not silenced".to_owned() });
    world.say("silence web --for 2h");
    world.crash("web", Exit::Code(1));
    world.run_for(mins(1));
    assert_eq!(said(&world), []);
    world.say("unsilence web");
    world.run_for(secs(1));
    assert_eq!(said(&world), [firing("shop/web")]);
}

#[test]
fn a_route_hears_what_it_is_to_hear() {
    let send_to = SendTo { warning: Some(vec!["chat".to_owned()]), critical: Some(vec!["pager".to_owned()]) };
    let mut world = world(
        vec![once("web"), once("db")],
        plan(|plan| {
            plan.routes = vec![route("chat"), route("pager")];
            plan.level = AlertLevel::All;
            plan.send_to = send_to;
            plan.rules = vec![rule(Rule::Down, |rule| {
                rule.services = Some("db".to_owned());
                rule.level = Some(Some(Level::Warning));
            })];
        }),
    );
    world.crash("web", Exit::Code(1));
    world.crash("db", Exit::Code(1));
    world.run_for(mins(1));
    let mut by: Vec<(String, String)> =
        world.letters.iter().map(|(_, route, notice)| (route.clone(), notice.service.clone())).collect();
    by.sort();
    assert_eq!(by, [("chat".to_owned(), "db".to_owned()), ("pager".to_owned(), "web".to_owned())]);
}

#[test]
fn a_message_that_is_not_taken_is_tried_three_more_times_and_told_twice() {
    let mut world = world(vec![once("web")], plan(|_| {}));
    world.mail.insert("ops".to_owned(), Err(NotSent::for_now("answered 500")));
    let begin = world.now;
    world.crash("web", Exit::Code(1));
    world.run_for(mins(30));
    let tries: Vec<u64> = world.letters.iter().map(|(at, ..)| at.since(begin).as_secs()).collect();
    assert_eq!(tries, [10, 20, 80, 380]);
    let told: Vec<String> = world
        .entries
        .iter()
        .filter(|entry| matches!(entry.what, What::NotSent { .. }))
        .map(|entry| entry.sentence())
        .collect();
    assert_eq!(
        told,
        ["alert not sent by ops: answered 500; tried again in 10 s", "alert not sent by ops, given up: answered 500"]
    );
    let routes = world.engine.snapshot(world.now).alerts.routes.clone();
    assert_eq!(routes[0].last.as_deref(), Some("answered 500"));
}

#[test]
fn what_will_never_be_taken_is_not_tried_again_and_a_server_may_ask_for_a_pause() {
    let mut world = world(vec![once("web")], plan(|_| {}));
    world.mail.insert("ops".to_owned(), Err(NotSent::for_good("answered 404")));
    world.crash("web", Exit::Code(1));
    world.run_for(mins(30));
    assert_eq!(world.letters.len(), 1);
    let busy = NotSent { why: "answered 429".to_owned(), retry_after: Some(secs(90)), is_final: false };
    let mut world = self::world(vec![once("web")], plan(|_| {}));
    world.mail.insert("ops".to_owned(), Err(busy));
    let begin = world.now;
    world.crash("web", Exit::Code(1));
    world.run_for(mins(3));
    let tries: Vec<u64> = world.letters.iter().map(|(at, ..)| at.since(begin).as_secs()).collect();
    assert_eq!(tries, [10, 100]);
}

#[test]
fn trouble_of_cas_itself_is_an_alarm_and_nothing_secret_leaves_in_it() {
    let changes = vec![rule(Rule::Trouble, |rule| rule.level = Some(Some(Level::Critical)))];
    let mut world = world(vec![once("web")], plan(|plan| plan.rules = changes));
    let mut secrets = Secrets::default();
    let environment = BTreeMap::from([("API_TOKEN".to_owned(), "canary-7d1f0c".to_owned())]);
    secrets.learn_environment(&environment);
    world.engine.redact_with(Arc::new(Redactor::of(&secrets)));
    let text = Some("the store refused canary-7d1f0c".to_owned());
    world.tell(Event::Trouble { slot: TroubleSlot::Store, text });
    world.run_for(mins(2));
    assert_eq!(said(&world), [firing("cas")]);
    let notice = world.letters[0].2.clone();
    assert!(notice.text.contains("‹redacted:API_TOKEN›") && !notice.text.contains("canary"), "{}", notice.text);
    let whole = format!("{:?}", world.engine.snapshot(world.now).alerts);
    assert!(!whole.contains("canary") && !whole.contains("hooks.example"), "{whole}");
    world.tell(Event::Trouble { slot: TroubleSlot::Store, text: None });
    world.run_for(mins(1));
    assert_eq!(said(&world), [firing("cas"), over("cas")]);
}

#[test]
fn consoles_are_told_by_the_picture_and_nothing_is_sent_where_alerts_are_off() {
    let mut world = world(vec![once("web")], AlertPlan::default());
    world.crash("web", Exit::Code(1));
    world.run_for(mins(1));
    let desktop = world.engine.snapshot(world.now).alerts.desktop.clone();
    assert_eq!((desktop.len(), desktop[0].title.as_str()), (1, "CRITICAL: shop/web is down"));
    assert!(desktop[0].urgent);
    let mut world = self::world(vec![once("web")], plan(|plan| plan.level = AlertLevel::Off));
    world.crash("web", Exit::Code(1));
    world.run_for(mins(1));
    assert_eq!(said(&world), []);
    assert_eq!(alarm(&mut world, "shop/web:down").unwrap().not_sent.as_deref(), Some("alert_level is off"));
}

#[test]
fn a_crash_loop_is_one_incident() {
    let mut world = world(vec![service("web")], plan(|plan| plan.level = AlertLevel::Warning));
    world.behave("web", |web| web.then = super::script::Life::Ends(secs(2), Exit::Code(1)));
    world.crash("web", Exit::Code(1));
    world.run_for(Duration::from_hours(1));
    let kinds = said(&world);
    assert!(kinds.iter().all(|(_, group)| group == "shop/web"), "{kinds:?}");
    assert!((1..=4).contains(&kinds.len()), "{kinds:?}");
}

#[test]
fn a_silence_goes_over_to_the_next_engine() {
    let mut world = super::heritage::up(vec![service("web")]);
    world.say("silence web --for 2h --because disks");
    succeed(&mut world, secs(5));
    let silences = world.engine.snapshot(world.now).alerts.silences.clone();
    assert_eq!((silences.len(), silences[0].silence.because.as_str()), (1, "disks"));
    world.run_for(Duration::from_hours(2));
    assert!(world.engine.snapshot(world.now).alerts.silences.is_empty());
    world.assert_told("web", "alerts no longer silenced");
}

#[test]
fn the_next_engine_tells_nobody_again_of_what_still_goes_on_and_everybody_that_it_is_over() {
    let mut world = world(vec![once("web"), once("api")], plan(|_| ()));
    world.crash("web", Exit::Code(1));
    world.run_for(secs(30));
    assert_eq!(said(&world), [firing("shop/web")]);
    for away in [secs(60), mins(3)] {
        succeed(&mut world, away);
        world.run_for(mins(20));
        assert_eq!(said(&world), [firing("shop/web")], "after {away:?}");
        assert_eq!(alarm(&mut world, "shop/web:down").unwrap().state, AlarmState::Firing);
    }
    world.say("start web");
    world.run_for(mins(5));
    assert_eq!(said(&world), [firing("shop/web"), over("shop/web")]);
    let resolved = world.letters.last().unwrap().2.text.clone();
    assert!(resolved.contains("it is over, after 4"), "it counts from its beginning: {resolved}");
    // What was over is not told again either.
    succeed(&mut world, secs(5));
    world.run_for(mins(5));
    assert_eq!(said(&world).len(), 2);
    world.crash("api", Exit::Code(1));
    world.run_for(secs(30));
    assert_eq!(said(&world).last(), Some(&firing("shop/api")));
    // It is well again while nobody looks: that is told by the engine that sees it.
    world.say("start api");
    world.run_for(secs(1));
    succeed(&mut world, mins(10));
    world.run_for(mins(5));
    assert_eq!(said(&world).last(), Some(&over("shop/api")));
}
