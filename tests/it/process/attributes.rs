//! As what a service begins.

use std::{collections::BTreeMap, time::Duration};

use cas::model::{
    attributes::{Attributes, Resource, Ulimit},
    phase::Exit,
    service::CommandLine,
};

use super::rig::Rig;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// What a service of this name says of itself, line by line.
async fn said(rig: &mut Rig, name: &str, attributes: Attributes, line: &str) -> Vec<String> {
    let mut spec = rig.spec(name, CommandLine::Shell(format!("{line}; echo end of $CAS_TEST")));
    spec.attributes = attributes;
    let mark = format!("{name}{}", rig.count_lines());
    spec.environment.insert("CAS_TEST".to_owned(), mark.clone());
    let run = rig.start_spec(spec);
    rig.line(&format!("end of {mark}")).await;
    assert_eq!(rig.exited(run).await.exit, Exit::Code(0));
    rig.end(run, Duration::from_secs(1)).await;
    rig.lines().into_iter().filter(|line| line.run == run).map(|line| line.text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn mask_priority_and_limits_are_those_that_were_asked_for() {
    let mut rig = Rig::new();
    let limit = |soft, hard| Ulimit { soft, hard };
    let attributes = Attributes {
        umask: Some(0o27),
        nice: Some(5),
        ulimits: BTreeMap::from([
            (Resource::Nofile, limit(Some(123), Some(456))),
            (Resource::Core, limit(Some(0), Some(0))),
        ]),
        ..Attributes::default()
    };
    let line = "umask; ulimit -Sn; ulimit -Hn; ulimit -c; nice";
    assert_eq!(said(&mut rig, "web", attributes, line).await[..5], ["0027", "123", "456", "0", "5"]);
    let plain = said(&mut rig, "web", Attributes::default(), "umask; nice").await;
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = own.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap().trim().to_owned();
    let nice = rustix::process::getpriority_process(None).unwrap().to_string();
    assert_eq!(plain[..2], [mask, nice], "the next run of the same slot begins as cas itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_another_user_has_its_numbers_groups_and_home() {
    if !is_root() {
        eprintln!("only root can become somebody else: not tried");
        return;
    }
    let mut rig = Rig::new();
    let user = |user: &str| Attributes { user: Some(user.to_owned()), ..Attributes::default() };
    let line = "id -u; id -g; id -G; echo \"$HOME $USER\"; test -w /etc/passwd || echo harmless";
    let nobody = said(&mut rig, "a", user("nobody"), line).await;
    assert_eq!((nobody[0].as_str(), nobody[4].as_str()), ("65534", "harmless"));
    assert!(nobody[3].ends_with(" nobody"), "{nobody:?}");
    assert_eq!(said(&mut rig, "b", user("1234:2345"), line).await[..3], ["1234", "2345", "2345"]);
    // What only root may have is set before the user is changed.
    let first = Attributes { nice: Some(-3), ..user("nobody") };
    assert_eq!(said(&mut rig, "c", first, "nice; id -u").await[..2], ["-3", "65534"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_nobody_may_have_is_a_start_that_failed_and_says_so() {
    let mut rig = Rig::new();
    let most: u64 = std::fs::read_to_string("/proc/sys/fs/nr_open").unwrap().trim().parse().unwrap();
    let mut spec = rig.spec("web", CommandLine::Shell("true".to_owned()));
    let limit = Ulimit { soft: Some(most + 1), hard: Some(most + 1) };
    spec.attributes.ulimits.insert(Resource::Nofile, limit);
    let run = rig.start_spec(spec);
    let why = rig.refused(run).await;
    assert!(why.contains("its ulimits, nice or umask could not be set: Operation not permitted"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_is_not_there_is_a_start_that_failed_and_says_so() {
    let mut rig = Rig::new();
    let mut spec = rig.spec("web", CommandLine::Shell("true".to_owned()));
    spec.attributes.user = Some("no-such-user".to_owned());
    let run = rig.start_spec(spec);
    assert_eq!(rig.refused(run).await, "there is no user \"no-such-user\" on this machine");
}
