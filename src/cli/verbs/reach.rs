//! Which engine a command line talks to, and which part of it the line is about.
//!
//! In a project: the engine that runs it, hosted or daemon; where it is to run, the daemon is asked to open it. Outside of all projects: the daemon
//! with everything that it runs. Never opens a project for a mere look, because opening one starts what starts by itself.

use std::{path::Path, path::PathBuf, sync::Arc, time::Duration};

use super::{Place, act::ask};
use crate::{
    cli::{
        context::Context,
        outcome::{Failure, Outcome},
        outside::{Access, Outside},
        select,
    },
    host::handle::Handle,
    model::{
        command::{Command, ServiceRef, Starts, Targets},
        ids::{ProjectName, ServiceId},
        policy::{Consent, Reply},
        query::{Answer, Query},
        service::BaseEnvironment,
        snapshot::{ProjectView, Snapshot},
        timeline::Entry,
    },
};

/// A project that the daemon has said it opened is in its picture by then.
const SHOWN_WITHIN: Duration = Duration::from_secs(10);

/// An engine that was reached.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Reached {
    /// The engine.
    pub(in crate::cli) handle: Handle,
    /// The project that the line is about; none: all.
    pub(in crate::cli) project: Option<ProjectName>,
}

/// What was found.
pub(in crate::cli) enum Reach {
    /// An engine.
    Engine(Reached),
    /// No engine runs the project of this file.
    Nobody(PathBuf),
}

impl Reached {
    /// The engine that runs the project of `file`.
    pub(in crate::cli) fn on(handle: Handle, file: &Path) -> Self {
        let project = open_project(&handle.snapshot(), file).map(|project| project.name.clone());
        Self { handle, project }
    }

    /// Asks the engine; that it cannot answer is a failure.
    pub(in crate::cli) async fn query(&self, query: Query) -> Result<Answer, Failure> {
        let answer = self.handle.query(query).await?;
        if let Answer::Unavailable(why) = answer { Err(Failure::failed(why)) } else { Ok(answer) }
    }

    fn is_about(&self, project: &ProjectName) -> bool {
        self.project.as_ref().is_none_or(|own| own == project)
    }

    /// The services that the line can be about.
    pub(in crate::cli) fn ids(&self, snapshot: &Snapshot) -> Vec<ServiceId> {
        let all = snapshot.services.iter().map(|service| &service.id);
        all.filter(|id| self.is_about(&id.project)).cloned().collect()
    }

    /// The part of a picture that the line is about. Projects are all there.
    pub(in crate::cli) fn part(&self, snapshot: &Arc<Snapshot>) -> Arc<Snapshot> {
        if snapshot.services.iter().all(|service| self.is_about(&service.id.project)) {
            return Arc::clone(snapshot);
        }
        let mut part = (**snapshot).clone();
        part.services.retain(|service| self.is_about(&service.id.project));
        part.timeline.retain(|entry| self.concerns(entry));
        part.alerts.alarms.retain(|alarm| alarm.service.as_ref().is_none_or(|id| self.is_about(&id.project)));
        part.alerts.silences.retain(|silence| self.is_about(&silence.service.project));
        part.alerts.routes.retain(|route| self.is_about(&route.project));
        Arc::new(part)
    }

    /// Whether an entry is about the project, or about cas itself.
    pub(in crate::cli) fn concerns(&self, entry: &Entry) -> bool {
        entry.project.as_ref().is_none_or(|project| self.is_about(project))
    }

    /// The newest picture, the part that the line is about.
    pub(in crate::cli) fn snapshot(&self) -> Arc<Snapshot> {
        self.part(&self.handle.snapshot())
    }

    /// The same wish with services named so that only those of the project are meant, where the engine runs others, too.
    pub(in crate::cli) fn command(&self, command: &Command) -> Command {
        let open = self.handle.snapshot().projects.iter().filter(|project| project.open).count();
        let Some(project) = self.project.as_ref().filter(|_| open > 1) else {
            return command.clone().settled();
        };
        let mut command = command.clone().settled();
        if let Some(targets) = command.targets_mut() {
            let snapshot = self.handle.snapshot();
            let known = self.ids(&snapshot);
            let is_container = |reference: &ServiceRef| select::container_in(reference, &known, &snapshot).is_some();
            let (containers, services) = std::mem::take(&mut targets.services).into_iter().partition(is_container);
            targets.services = services;
            name_fully(targets, project);
            targets.services.extend::<Vec<ServiceRef>>(containers);
        }
        command
    }
}

fn name_fully(targets: &mut Targets, project: &ProjectName) {
    if std::mem::take(&mut targets.all) {
        targets.services = vec![ServiceRef(format!("{project}/*"))];
        return;
    }
    for service in targets.services.iter_mut().filter(|service| !service.0.contains('/')) {
        service.0 = format!("{project}/{service}");
    }
}

/// The open project of `file` in a picture.
pub(in crate::cli) fn open_project<'a>(snapshot: &'a Snapshot, file: &Path) -> Option<&'a ProjectView> {
    let root = file.parent().unwrap_or(file);
    let real = root.canonicalize();
    let real = real.as_deref().unwrap_or(root);
    let is_it = |project: &&ProjectView| project.open && (project.root == root || project.root == real);
    snapshot.projects.iter().find(is_it)
}

impl Place {
    /// The engine that this line is about.
    pub(in crate::cli) async fn reach(&self, ctx: &Context<'_>, outside: &impl Outside) -> Result<Reach, Failure> {
        match self.find(ctx, outside) {
            Ok(file) => {
                let handle = outside.connect(&file, self.access).await.map_err(Failure::failed)?;
                Ok(handle.map_or(Reach::Nobody(file.clone()), |handle| Reach::Engine(Reached::on(handle, &file))))
            }
            Err(no_project) => match self.everything(outside).await? {
                Some(reached) => Ok(Reach::Engine(reached)),
                None => Err(no_project),
            },
        }
    }

    /// The daemon with all that it runs, for a line that names no file.
    pub(in crate::cli) async fn everything(&self, outside: &impl Outside) -> Result<Option<Reached>, Failure> {
        if self.file.is_some() {
            return Ok(None);
        }
        let handle = outside.daemon(self.access).await.map_err(Failure::failed)?;
        Ok(handle.map(|handle| Reached { handle, project: None }))
    }

    /// Has the daemon, where one runs, open the project of `file`.
    pub(in crate::cli) async fn open_under_daemon(
        &self,
        ctx: &Context<'_>,
        outside: &impl Outside,
        file: &Path,
        starts: Starts,
    ) -> Result<Option<Reached>, Failure> {
        if self.access == Access::ReadOnly {
            return Ok(None);
        }
        let Some(handle) = outside.daemon(Access::Full).await.map_err(Failure::failed)? else { return Ok(None) };
        open(ctx, outside, &handle, file, starts).await.map(Some)
    }
}

/// Has the engine of `handle` open the project of `file` and start no more than `starts`, and waits until it shows it.
pub(in crate::cli) async fn open(
    ctx: &Context<'_>,
    outside: &impl Outside,
    handle: &Handle,
    file: &Path,
    starts: Starts,
) -> Result<Reached, Failure> {
    let directory = file.parent().unwrap_or(file);
    // A file that its directory would not lead to is named itself.
    let leads = outside.find(directory).is_ok_and(|found| same(&found, file));
    let directory = if leads { directory } else { file };
    let command = Command::Open {
        directory: directory.canonicalize().unwrap_or_else(|_| directory.to_owned()),
        environment: Some(BaseEnvironment(Arc::new(ctx.env.clone()))),
        starts,
    };
    agreed(ask(handle, &command, Consent::Ask).await?)?;
    let mut snapshots = handle.snapshots.clone();
    let shown = snapshots.wait_for(|snapshot| open_project(snapshot, file).is_some());
    match tokio::time::timeout(SHOWN_WITHIN, shown).await {
        Ok(Ok(_)) => Ok(Reached::on(handle.clone(), file)),
        Ok(Err(_)) => Err(Failure::failed("the engine has ended")),
        Err(_) => {
            Err(Failure::failed(format!("the daemon does not show {} although it has opened it", file.display())))
        }
    }
}

fn same(a: &Path, b: &Path) -> bool {
    a == b || a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
}

/// Nothing where a command was taken; else why not.
pub(in crate::cli) fn agreed(reply: Reply) -> Result<(), Failure> {
    match reply {
        Reply::Accepted { .. } | Reply::Unchanged { .. } => Ok(()),
        Reply::Refused { reason, hint } => Err(Failure::Said { outcome: Outcome::Refused, message: reason, hint }),
        Reply::Planned { plan } | Reply::NeedsConsent { plan } => {
            Err(Failure::new(Outcome::Refused, format!("not done without consent: {}", plan.title)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::name_fully;
    use crate::model::{
        command::{ServiceRef, Targets},
        ids::ProjectName,
    };

    #[test]
    fn names_are_completed_and_all_means_all_of_the_project() {
        let shop = ProjectName::new("shop").unwrap();
        let mut targets = Targets {
            services: ["web", "blog/web", "w*"].into_iter().map(|name| ServiceRef(name.to_owned())).collect(),
            all: false,
        };
        name_fully(&mut targets, &shop);
        let names: Vec<&str> = targets.services.iter().map(|service| service.0.as_str()).collect();
        assert_eq!(names, ["shop/web", "blog/web", "shop/w*"]);
        let mut targets = Targets { services: Vec::new(), all: true };
        name_fully(&mut targets, &shop);
        assert_eq!((targets.all, targets.services), (false, vec![ServiceRef("shop/*".to_owned())]));
    }
}
