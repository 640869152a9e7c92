//! Ports that two services of one engine want.

use cas::model::policy::{Consent, Origin, Reply};

use super::world::{Build, World, secs, service};

fn steps(world: &mut World, line: &str) -> Vec<String> {
    let reply = world.say_as(Origin::Cli, line, Consent::DryRun);
    let Reply::Planned { plan } = reply else { panic!("{reply:?}") };
    plan.steps
}

#[test]
fn a_plan_names_the_service_of_another_project_that_has_the_port_or_will() {
    let mut world = World::new(vec![service("web").port(8080), service("db").port(5432)]);
    world.load("blog", vec![service("blog/api").port(8080)]);
    assert_eq!(steps(&mut world, "start web"), ["start web"], "the other does not run");
    let both = steps(&mut world, "start web api");
    assert_eq!(both.last().unwrap(), "note: blog/api wants port 8080, which shop/web wants");
    assert_eq!(both.len(), 3, "told once: {both:?}");
    world.say("start api");
    world.run_for(secs(5));
    assert_eq!(steps(&mut world, "start web"), ["start web", "note: shop/web wants port 8080, which blog/api has"]);
    assert_eq!(steps(&mut world, "start db"), ["start db"]);
}
