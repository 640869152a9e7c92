//! Containers beside their runs: which are meant, what is done, who is answered when, and what a frozen one is spared.
#![expect(clippy::wildcard_enum_match_arm, reason = "one effect is looked for")]

use std::{collections::BTreeSet, sync::Arc};

use cas::model::{
    container::{ContainerSpec, ContainerView, Healer, Mount, MountSource, Reach},
    deed::{Deed, DiskUse, Remake, Subject, Thing, ThingKind},
    effect::Effect,
    event::Event,
    ids::RequestId,
    policy::{Consent, Origin, Reply},
    probe::ProbeKind,
    service::{ServiceKind, ServiceSpec},
};

use super::world::{Answer, Build, World, ms, secs, service};

fn container(name: &str) -> ServiceSpec {
    service(name).with(|spec| {
        let mut container = ContainerSpec::of("shop", spec.id.service.as_str(), "casbox:1");
        let source = MountSource::Volume("data".to_owned());
        container.mounts = vec![Mount { source, target: "/data".to_owned(), read_only: false }];
        spec.kind = ServiceKind::Container;
        spec.container = Some(Arc::new(container));
    })
}

fn view(name: &str, id: &str, state: &str) -> ContainerView {
    ContainerView {
        id: id.to_owned(),
        name: name.to_owned(),
        image: "redis:7".to_owned(),
        image_id: "sha256:1".to_owned(),
        state: state.to_owned(),
        health: None,
        exit_code: None,
        oom_killed: false,
        restart_count: 0,
        ports: Vec::new(),
        mounts: Vec::new(),
        environment_names: BTreeSet::new(),
        project: None,
        service: None,
        made_by: None,
        healer: Healer::Nobody,
        restart_policy: "no".to_owned(),
        usage: None,
        of: None,
        run: None,
    }
}

/// `db` is a container of the project, `web` a process; `cache` and `old` are nobody's.
fn world() -> World {
    let mut world = World::new(vec![container("db").probe(ProbeKind::Liveness, |_| ()), service("web")]);
    let reach = Reach::Reachable {
        endpoint: "unix:///d.sock".to_owned(),
        engine: "Docker 20.10.24".to_owned(),
        api: "1.41".to_owned(),
    };
    world.tell(Event::DockerKnown(reach));
    let own = ContainerView {
        project: Some("shop".to_owned()),
        service: Some("db".to_owned()),
        ..view("shop-db-1", "aaaa1111", "running")
    };
    let all = [own, view("cache", "bbbb2222", "running"), view("old", "cccc3333", "exited")];
    world.tell(Event::ContainersListed(all.into_iter().map(Arc::new).collect()));
    world.say("start --all");
    world.run_for(secs(30));
    world
}

/// What was asked of containers, as words.
fn deeds(world: &World) -> Vec<String> {
    let told = world.effects.iter().filter_map(|(_, effect)| match effect {
        Effect::Handle { subject, deed, .. } => Some((subject, deed)),
        _other => None,
    });
    let words = |(subject, deed): (&Subject, &Deed)| {
        let of = match subject {
            Subject::Container(id) => id.clone(),
            Subject::Service(spec) => spec.name(),
            Subject::Image(tag) => tag.clone(),
            Subject::Thing(thing) => thing.to_string(),
        };
        format!("{} {of}", deed.infinitive())
    };
    told.map(words).collect()
}

fn refusal(reply: &Reply) -> String {
    match reply {
        Reply::Refused { reason, hint } => format!("{reason} ({})", hint.clone().unwrap_or_default()),
        Reply::Accepted { .. } | Reply::Unchanged { .. } | Reply::Planned { .. } | Reply::NeedsConsent { .. } => {
            panic!("{reply:?}")
        }
    }
}

#[test]
fn a_container_that_is_no_services_is_found_by_name_by_id_and_by_pattern() {
    let mut world = world();
    for line in ["pause cache", "stop bbbb", "restart docker:cache", "kill docker:ca*", "start old", "pull cache"] {
        world.put_line(line);
    }
    let wanted = [
        "pause bbbb2222",
        "stop bbbb2222",
        "restart bbbb2222",
        "kill bbbb2222",
        "start cccc3333",
        "pull the image of redis:7",
    ];
    assert_eq!(deeds(&world), wanted);
    assert_eq!(world.say("start cache"), Reply::Unchanged { note: "cache is running: nothing to start".to_owned() });
    assert!(refusal(&world.say("stop nobody")).contains("there is no service \"nobody\""));
    assert!(refusal(&world.say("stop bbb")).contains("there is no service"), "three digits are too few");
    assert!(refusal(&world.say("stop cache web")).contains("are named together"));
    assert!(refusal(&world.say("recreate cache")).contains("what it is made from is not known"));
    assert!(refusal(&world.say("silence cache")).contains("nobody alarmed"));
}

#[test]
fn the_container_of_a_service_means_the_service() {
    let mut world = world();
    world.say("stop shop-db-1");
    world.run_for(secs(20));
    assert_eq!(world.phase("db"), "stopped");
    assert_eq!(deeds(&world), Vec::<String>::new(), "its run was ended, not its container beside it");
    for verb in ["pause", "unpause", "recreate", "rm"] {
        let said = refusal(&world.say(&format!("{verb} web")));
        assert!(said.starts_with("web is a process, not a container"), "{verb}: {said}");
    }
}

#[test]
fn whoever_asked_hears_when_it_is_done_and_why_it_could_not_be() {
    let mut world = world();
    let request = world.put_line("pause cache");
    assert_eq!(world.reply_to(request), None, "it is not done yet");
    world.run_for(ms(5));
    assert_eq!(world.reply_to(request), Some(Reply::Accepted { note: "pause cache".to_owned() }));
    world.assert_told_of_all("cache: paused");
    world.deeds_fail = Some("Docker refused it: no such container".to_owned());
    let request = world.put_line("unpause docker:shop-db-1 docker:cache");
    assert!(world.reply_to(request).is_some(), "neither is paused");
    let request = world.put_line("signal HUP cache");
    world.run_for(ms(5));
    let said = refusal(&world.reply_to(request).unwrap());
    assert!(said.starts_with("cache: Docker refused it: no such container"), "{said}");
    world.assert_told_of_all("cache: not sent SIGHUP: Docker refused it");
}

#[test]
fn a_frozen_service_is_neither_asked_nor_healed_and_has_time_to_come_back() {
    let mut world = world();
    world.put_line("pause db");
    assert_eq!(deeds(&world), ["pause shop-db-1"]);
    let run = world.view("db").run.unwrap();
    world.tell(Event::RunPaused { run, is_paused: true });
    world.behave("db", |b| {
        b.answers.insert(ProbeKind::Liveness, Answer::Bad);
    });
    let asked = |world: &World| {
        world.effects.iter().filter(|(_, effect)| matches!(effect, Effect::Probe(round) if round.run == run)).count()
    };
    let before = asked(&world);
    world.run_for(secs(600));
    assert_eq!((asked(&world), world.spawns("db").len()), (before, 1));
    assert!(world.view("db").paused);
    assert!(world.view("db").why.contains("paused since"), "{}", world.view("db").why);
    world.assert_told("db", "its container is paused");
    world.put_line("unpause db");
    world.tell(Event::RunPaused { run, is_paused: false });
    world.run_for(secs(10));
    assert_eq!(world.spawns("db").len(), 1, "it has some time before a bad answer counts");
    world.assert_told("db", "goes on after it was paused for 10m");
    world.run_for(secs(60));
    assert!(world.spawns("db").len() > 1, "then it is healed as ever: {:?}", world.story("db"));
}

#[test]
fn a_service_that_somebody_else_has_frozen_hangs() {
    let mut world = world();
    let run = world.view("db").run.unwrap();
    world.tell(Event::RunPaused { run, is_paused: true });
    world.behave("db", |b| {
        b.answers.insert(ProbeKind::Liveness, Answer::Bad);
    });
    world.run_for(secs(20));
    world.assert_told("db", "its container is paused");
    assert!(world.spawns("db").len() > 1, "{:?}", world.story("db"));
}

#[test]
fn a_new_container_is_made_once_and_only_for_who_was_named() {
    let mut world = world();
    let remakes = |world: &World| -> Vec<Remake> {
        let of = |effect: &Effect| match effect {
            Effect::Spawn { spec, remake, .. } if spec.container.is_some() => Some(*remake),
            _other => None,
        };
        world.effects.iter().filter_map(|(_, effect)| of(effect)).collect()
    };
    let Reply::NeedsConsent { plan } = world.say_as(Origin::Key, "recreate db", Consent::Ask) else {
        panic!("what disrupts is confirmed");
    };
    assert!(plan.steps.iter().any(|step| step == "start db in a new container"), "{plan:?}");
    world.say("recreate db");
    world.run_for(secs(20));
    world.say("restart db");
    world.run_for(secs(20));
    assert_eq!(remakes(&world), [Remake::Nothing, Remake::Container, Remake::Nothing]);
    let Reply::NeedsConsent { plan } = world.say("recreate db --renew-volumes") else {
        panic!("data is lost: a person must see the plan");
    };
    assert!(plan.steps.last().unwrap().contains("the data in them is lost"), "{plan:?}");
    world.say_as(Origin::Cli, "recreate db --renew-volumes", Consent::Given(plan.fingerprint));
    world.run_for(secs(20));
    assert_eq!(remakes(&world).last(), Some(&Remake::WithVolumes));
}

#[test]
fn only_what_does_not_run_is_removed_and_a_person_agrees_first() {
    let mut world = world();
    assert!(refusal(&world.say("rm db")).starts_with("db is up"));
    assert!(refusal(&world.say("rm cache")).starts_with("cache runs"));
    let Reply::NeedsConsent { plan } = world.say("rm old") else { panic!("it cannot be undone") };
    assert_eq!(plan.steps, ["remove the container old"]);
    world.put_agreed("rm old", plan.fingerprint);
    assert_eq!(deeds(&world), ["remove cccc3333"]);
    let other = world.say_as(Origin::Cli, "rm old --volumes", Consent::Given(plan.fingerprint));
    assert!(matches!(other, Reply::NeedsConsent { .. }), "that was not agreed to: {other:?}");
}

#[test]
fn a_clean_up_removes_what_was_agreed_to_and_nothing_of_an_open_project() {
    let mut world = world();
    let thing = |kind, name: &str, is_named| Thing {
        kind,
        id: name.to_owned(),
        name: name.to_owned(),
        bytes: Some(1_000_000),
        is_used: false,
        is_named,
        project: None,
    };
    let things = vec![
        thing(ThingKind::Images, "casbox:1", true),
        thing(ThingKind::Images, "other:1", true),
        thing(ThingKind::Images, "0123456789ab", false),
        thing(ThingKind::Volumes, "shop_data", true),
        thing(ThingKind::Volumes, "data", true),
        Thing { project: Some("shop".to_owned()), ..thing(ThingKind::Containers, "shop-web-1", true) },
    ];
    let read = |world: &mut World, things: &[Thing]| {
        let disk = DiskUse { things: things.to_vec(), layers: None };
        world.tell(Event::DiskRead { request: RequestId(0), disk: Ok(Arc::new(disk)) });
    };
    read(&mut world, &things);
    let line = "prune containers images volumes --everything";
    let Reply::NeedsConsent { plan } = world.say(line) else { panic!("it cannot be undone") };
    let note = "note: volumes hold data, and what is removed cannot be had back";
    let wanted =
        ["remove image other:1 (1.0 MB)", "remove image 0123456789ab (1.0 MB)", "remove volume data (1.0 MB)", note];
    assert_eq!(plan.steps, wanted);
    assert_eq!(plan.title, "free 3.0 MB: 2 images, 1 volume");
    // Meanwhile there is more: that is asked again.
    let more = [things.clone(), vec![thing(ThingKind::Volumes, "new", true)]].concat();
    read(&mut world, &more);
    let again = world.say_as(Origin::Cli, line, Consent::Given(plan.fingerprint));
    assert!(matches!(again, Reply::NeedsConsent { .. }), "{again:?}");
    assert_eq!(deeds(&world), Vec::<String>::new());
    read(&mut world, &things);
    let request = world.put_agreed(line, plan.fingerprint);
    assert_eq!(deeds(&world).len(), 3);
    world.run_for(ms(5));
    let note = "freed 3.0 MB: 2 images, 1 volume".to_owned();
    assert_eq!(world.reply_to(request), Some(Reply::Accepted { note }));
    read(&mut world, &things[..1]);
    assert!(matches!(world.say("prune"), Reply::Unchanged { note } if note.starts_with("nothing to remove")));
    assert!(refusal(&world.say("prune")).contains("nobody has looked"), "what was read is used once");
}
