//! A project that was moved while it is open: the way out is another than for two that share a name.

use std::sync::Arc;

use cas::model::{
    event::Event,
    heritage::Heritage,
    ids::ProjectName,
    project::{ProjectRecord, ProjectSpec},
    timeline::What,
};

use super::world::{World, service};

/// What is said to a project of the same name in another directory, while that of the first is there or not.
fn hint(exists: bool) -> String {
    let mut world = World::new(vec![service("web")]);
    world.tell(Event::RegistryRead(vec![ProjectRecord {
        name: ProjectName::new("shop").unwrap(),
        root: "/srv/shop".into(),
        file: "/srv/shop/cas.yaml".into(),
        services: 1,
        last_opened_us: 5,
        exists,
        remote: None,
        moved_from: None,
    }]));
    let (root, file) = ("/new/shop".into(), "/new/shop/cas.yaml".into());
    let twin = ProjectSpec {
        name: ProjectName::new("shop").unwrap(),
        root,
        file,
        services: Vec::new(),
        alerts: Arc::default(),
    };
    world.tell(Event::ProjectLoaded { project: Arc::new(twin), heritage: Heritage::default(), request: None });
    let timeline = world.engine.snapshot(world.now).timeline.clone();
    let told = timeline.iter().rev().find(|entry| matches!(entry.what, What::Trouble { .. })).unwrap();
    assert!(told.sentence().contains("a project named shop is open already, in /srv/shop"), "{}", told.sentence());
    told.why.clone()
}

#[test]
fn a_namesake_is_to_be_renamed_and_what_was_moved_is_to_be_closed_first() {
    assert_eq!(hint(true), "set `name:` in /new/shop/cas.yaml");
    assert_eq!(hint(false), "that directory is gone: cas close shop, then open this one");
}
