//! `cas exec`: a command where a service runs: in its container, or beside its process.

use super::{Place, reach::Reach};
use crate::{
    cli::{
        args::Exec,
        context::Context,
        outcome::{Failure, Outcome},
        outside::Outside,
        select,
    },
    model::{
        container::ContainerView,
        query::{Answer, Query},
        service::ServiceKind,
    },
};

pub(in crate::cli) async fn exec(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    exec: &Exec,
) -> Result<Outcome, Failure> {
    if exec.by_id {
        return in_container(outside, &exec.service.0, &exec.service.0, &exec.command).await;
    }
    let reached = match place.reach(ctx, outside).await? {
        Reach::Engine(reached) => reached,
        Reach::Nobody(_) => return Err(Failure::no_engine()),
    };
    let whole = reached.handle.snapshot();
    let snapshot = reached.snapshot();
    let known = reached.ids(&snapshot);
    if let Some(container) = select::container_in(&exec.service, &known, &whole) {
        return in_running(outside, container, &exec.command).await;
    }
    let chosen = select::in_picture(std::slice::from_ref(&exec.service), &known, &snapshot)?;
    let [service] = chosen.as_slice() else {
        return Err(Failure::new(Outcome::NotFound, format!("\"{}\" is several services: name one", exec.service)));
    };
    if let Some(container) = whole.containers.iter().find(|container| container.of.as_ref() == Some(service)) {
        return in_running(outside, container, &exec.command).await;
    }
    if snapshot.service(service).is_some_and(|view| view.kind == ServiceKind::Container) {
        return Err(Failure::with_hint(
            Outcome::Failed,
            format!("{service} does not run, so there is no container to run anything in"),
            format!("\"cas start {}\" first", service.service),
        ));
    }
    let query = Query::ShellContext { service: service.clone() };
    let Answer::ShellContext { working_dir, mut environment, secrets: _ } = reached.query(query).await? else {
        return Err(Failure::odd_answer());
    };
    environment.push(("CAS_SERVICE".to_owned(), service.to_string()));
    let code = outside.execute_beside(&working_dir, &environment, &exec.command).map_err(Failure::failed)?;
    Ok(ended(code))
}

async fn in_running(outside: &impl Outside, container: &ContainerView, command: &[String]) -> Result<Outcome, Failure> {
    if container.state != "running" {
        return Err(Failure::with_hint(
            Outcome::Failed,
            format!("the container {} is {}: nothing can be run in it", container.name, container.state),
            "start it, or unpause it, first",
        ));
    }
    in_container(outside, &container.name, &container.id, command).await
}

async fn in_container(outside: &impl Outside, name: &str, id: &str, command: &[String]) -> Result<Outcome, Failure> {
    outside.execute(name, id, command).await.map(ended).map_err(Failure::failed)
}

fn ended(code: i64) -> Outcome {
    match u8::try_from(code) {
        Ok(0) => Outcome::Ok,
        Ok(code) => Outcome::Ended(code),
        Err(_odd) => Outcome::Failed,
    }
}
