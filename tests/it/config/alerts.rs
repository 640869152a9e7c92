//! `alerts:` as it is read.

use std::time::Duration;

use cas::model::{
    alarm::{Level, Rule},
    route::{DesktopWay, Destination, MailSecurity},
};

use super::Project;

const START: &str = "services: {web: {shell: sleep 1}}\nalerts:\n";

#[test]
fn every_kind_of_route_is_read() {
    let yaml = format!(
        "{START}  desktop: osc9\n  routes:\n    a: {{slack: \"https://hooks.slack.com/services/x\", throttle: 1m}}\n    b: {{discord: https://discord.com/api/webhooks/1/x}}\n    c: {{teams: https://x.example/y}}\n    d: {{webhook: {{url: https://x.example, method: put, headers: {{X-Key: k3y}}, body: '{{\"a\": \"{{{{ title }}}}\"}}'}}}}\n    e: {{pagerduty: abcdef}}\n    f: {{opsgenie: {{key: \"file:key\", url: https://api.eu.opsgenie.com}}}}\n    g: {{telegram: {{token: t0ken, chat: \"@ops\"}}}}\n    h: {{ntfy: https://ntfy.sh/ops}}\n    i: {{email: {{server: localhost, from: a@example.org, to: [b@example.org]}}}}\n    j: {{command: [cat]}}\n    k: {{desktop: notify-send}}\n"
    );
    let loaded = Project::new().file("cas.yaml", yaml).load("cas.yaml");
    assert_eq!(loaded.errors, []);
    let plan = loaded.project.unwrap().alerts;
    let kinds: Vec<&str> = plan.routes.iter().map(|route| route.to.kind()).collect();
    assert_eq!(
        kinds,
        [
            "desktop",
            "slack",
            "discord",
            "teams",
            "webhook",
            "pagerduty",
            "opsgenie",
            "telegram",
            "ntfy",
            "email",
            "command",
            "desktop"
        ]
    );
    assert_eq!(plan.routes[0].to, Destination::Desktop(DesktopWay::Osc9));
    assert_eq!(plan.routes[1].throttle, Some(Duration::from_mins(1)));
    let Destination::Email(mail) = &plan.routes[9].to else { panic!("{:?}", plan.routes[9]) };
    assert_eq!((mail.port, mail.security), (25, MailSecurity::None));
    assert!(!format!("{plan:?}").contains("hooks.slack.com"), "a debug form shows no URL");
}

#[test]
fn rules_hours_and_names_are_read() {
    let yaml = format!(
        "{START}  rules: {{down: {{for: 1m, services: {{\"w*\": off}}}}, flapping: critical}}\n  quiet_hours: {{hours: \"22:00-07:00\", days: [sat, Sun], timezone: Europe/Berlin}}\n  reminder: off\n  throttle: 1m\n  send_to: {{critical: desktop, warning: []}}\n"
    );
    let loaded = Project::new().file("cas.yaml", yaml).load("cas.yaml");
    assert_eq!(loaded.errors, []);
    let plan = loaded.project.unwrap().alerts;
    assert_eq!(plan.applied(Rule::Down, Some("db"), None).hold, Duration::from_mins(1));
    assert_eq!(plan.applied(Rule::Down, Some("web"), None).level, None);
    assert_eq!(plan.applied(Rule::Flapping, Some("web"), None).level, Some(Level::Critical));
    let quiet = plan.quiet.unwrap();
    assert_eq!((quiet.from, quiet.to, quiet.days[5], quiet.days[0]), (22 * 3600, 7 * 3600, true, false));
    assert_eq!((plan.reminder, plan.throttle), (None, Duration::from_mins(1)));
    assert!(plan.hears("desktop", Level::Critical) && !plan.hears("desktop", Level::Warning));
}

#[test]
fn what_is_wrong_is_said_at_its_place_and_no_secret_is_quoted() {
    for (line, want) in [
        ("  rules: {dwon: off}", "rules: there is no rule \"dwon\""),
        ("  rules: {down: loud}", "down: \"loud\" is not a severity"),
        ("  quiet_hours: late", "quiet_hours: \"late\" is not a span of hours"),
        ("  send_to: [opps]", "send_to: there is no route \"opps\""),
        ("  routes: {a: {slack: hooks-canary-1}}", "slack: what stands here is not a URL of HTTP"),
        ("  routes: {a: {}}", "the route a goes nowhere"),
        ("  routes: {a: {slack: https://a.example, ntfy: https://b.example/c}}", "the route a has several kinds"),
        ("  routes: {a: {ntfy: https://b.example}}", "ntfy: the URL names no topic"),
        ("  routes: {a: {email: {server: m.example, from: x, to: b@c.example}}}", "from: \"x\" is not an address"),
        (
            "  routes: {a: {webhook: {url: https://a.example, body: \"{{ nam }}\"}}}",
            "body: the template cannot be filled in",
        ),
        ("  routes: {desktop: {slack: https://a.example}}", "routes: desktop is the route that is always there"),
        ("  reminder: 1s", "reminder: \"1s\" is too short"),
        ("  rotues: {}", "rotues: not a key of alerts"),
    ] {
        let loaded = Project::new().file("cas.yaml", format!("{START}{line}\n")).load("cas.yaml");
        let errors: Vec<String> = loaded.errors.iter().map(ToString::to_string).collect();
        assert!(
            errors.iter().any(|error| error.starts_with(want) && error.contains("cas.yaml:3:")),
            "{want}: {errors:?}"
        );
        assert!(!format!("{:?}", loaded.errors).contains("canary"), "{:?}", loaded.errors);
    }
}
