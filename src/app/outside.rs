//! The real [`Outside`]: engines on sockets or in this process, files, the store, the console.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::sync::mpsc;

use crate::{
    api::{
        self,
        client::ConnectError,
        lock::Attempt,
        lock::Lock,
        server::{ServeOptions, Server},
    },
    cli::{
        interrupts::{self, Interrupt},
        outcome::Outcome,
        outside::{LogExtent, Opening, Outside},
    },
    config::{self, paths::Paths, user},
    engine::Budget,
    host::{self, Host, handle::Handle},
    model::{
        ids::{ProjectName, ServiceId},
        log::{LogBatch, LogLine},
        phase::PortHolder,
        project::{ProjectRecord, ProjectSpec},
        service::{Port, RestartPolicy, ServiceSpec},
        time::Timestamp,
        timeline::{Entry, stopped_by_hand},
    },
    tui::{
        self,
        keymap::Keymap,
        theme::{ColorDepth, Theme},
    },
    world::{
        clock,
        log_files::{self, LogFilter},
        ports,
        store::{self, EntryFilter, Store},
    },
};

/// How long a second engine waits for the first one, which holds the lock, to listen.
const HOLDER_LISTENS_WITHIN: Duration = Duration::from_secs(5);

/// So many of a service's newest entries are looked at for how it was left.
const LAST_ENTRIES: usize = 1000;

/// The rest of cas.
pub(super) struct Real {
    paths: Paths,
    environment: BTreeMap<String, String>,
    /// Soft limit of open files that services get, where ours was raised.
    open_files: Option<u64>,
    hosted: Mutex<Option<(Host, Server)>>,
}

impl Real {
    pub(super) fn new(paths: Paths, environment: BTreeMap<String, String>, open_files: Option<u64>) -> Self {
        Self { paths, environment, open_files, hosted: Mutex::new(None) }
    }

    /// Ends the engine of this process, if there is one; returns when nothing is left of it.
    pub(super) async fn close(&self) {
        let hosted = self.hosted.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((host, server)) = hosted {
            host.handle.leave().await;
            // An error means that its task has panicked; the panic was said already.
            let _ended = host.task.await;
            drop(server);
        }
    }

    /// How the console looks and what keys do: the user's file, then the command line.
    fn console_options(&self, handle: &Handle, theme: Option<&str>) -> Result<tui::Options, String> {
        let file = self.paths.user_config();
        let user = user::load(&file);
        if !user.errors.is_empty() {
            return Err(config::render(&user.errors, false).trim_end().to_owned());
        }
        let themes = self.paths.themes();
        let depth = ColorDepth::of_environment(|name| self.environment.get(name).cloned());
        let theme = match theme.or(user.config.theme.as_deref()) {
            Some(name) => Theme::load(name, Some(&themes))?,
            None => Theme::default(),
        };
        let keymap = Keymap::with_user_keys(&user.config.keys, &file.display().to_string())
            .map_err(|problems| problems.join("\n"))?;
        let snapshot = handle.snapshot();
        let open = snapshot.projects.iter().find(|project| project.open);
        Ok(tui::Options {
            theme: theme.for_depth(depth),
            keymap,
            themes_dir: Some(themes),
            mouse: user.config.mouse,
            project: open.map(|project| project.name.clone()),
            project_file: open.map(|project| project.file.clone()),
            ..tui::Options::default()
        })
    }

    fn socket(&self, file: &Path) -> PathBuf {
        self.paths.socket(file.parent().unwrap_or(file))
    }

    /// The engine that holds the lock; it may be about to listen.
    async fn wait_for_holder(&self, socket: &Path, pid: Option<u32>) -> Result<Handle, String> {
        let begin = clock::now();
        loop {
            match api::connect(socket, clock::now).await {
                Ok(handle) => return Ok(handle),
                Err(ConnectError::Absent(_)) if clock::now().since(begin) < HOLDER_LISTENS_WITHIN => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => {
                    let who = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
                    return Err(format!("another cas{who} runs this project and cannot be reached: {error}"));
                }
            }
        }
    }
}

/// Services that do not start by themselves although their file says so, and why not.
fn withheld(project: &ProjectSpec, opening: Opening, database: &Path) -> BTreeMap<ServiceId, String> {
    let why = |service: &ServiceSpec| match opening {
        Opening::Quiet => Some("not started yet: opened without autostart"),
        Opening::Autostart if was_stopped_by_hand(database, service) => {
            Some("stopped by hand before its project was closed, and restart is unless-stopped")
        }
        Opening::Autostart => None,
    };
    let autostarting = project.services.iter().filter(|service| service.autostart);
    autostarting.filter_map(|service| Some((service.id.clone(), why(service)?.to_owned()))).collect()
}

/// Whether `service` is to stay as a person left it: stopped. What cannot be read does not keep anything down.
fn was_stopped_by_hand(database: &Path, service: &ServiceSpec) -> bool {
    if service.restart != RestartPolicy::UnlessStopped {
        return false;
    }
    let filter = EntryFilter {
        limit: LAST_ENTRIES,
        project: Some(service.id.project.clone()),
        services: vec![service.id.service.clone()],
        since_wall_us: None,
    };
    let entries = store::read_entries(database, &filter).unwrap_or_else(|error| {
        tracing::warn!(service = %service.id, %error, "how it ended last time cannot be read");
        Vec::new()
    });
    stopped_by_hand(&entries)
}

impl Outside for Real {
    fn now(&self) -> Timestamp {
        clock::now()
    }

    fn port_holders(&self, ports: &[Port]) -> Vec<PortHolder> {
        ports::listeners(ports)
    }

    async fn connect(&self, file: &Path) -> Result<Option<Handle>, String> {
        let socket = self.socket(file);
        match api::connect(&socket, clock::now).await {
            Ok(handle) => Ok(Some(handle)),
            Err(ConnectError::Absent(_)) => Ok(None),
            Err(error @ ConnectError::Unusable { .. }) => Err(error.to_string()),
        }
    }

    async fn host(&self, project: Arc<ProjectSpec>, opening: Opening) -> Result<Handle, String> {
        self.paths.ensure().map_err(|error| error.to_string())?;
        let socket = self.socket(&project.file);
        self.paths.ensure_for_socket(&socket).map_err(|error| error.to_string())?;
        let lock = match Lock::take(&socket) {
            Ok(Attempt::Taken(lock)) => lock,
            Ok(Attempt::Held { pid, .. }) => return self.wait_for_holder(&socket, pid).await,
            Err(error) => return Err(format!("cannot take the lock beside {}: {error}", socket.display())),
        };
        let withheld = withheld(&project, opening, &self.paths.database());
        let user = user::load(&self.paths.user_config()).config;
        let host = host::start(host::Config {
            projects: vec![project],
            paths: self.paths.clone(),
            autopilot: user.autopilot,
            budget: Budget::default(),
            seed: clock::now().mono_us,
            withheld,
            environment: self.environment.clone(),
            open_files: self.open_files,
        })
        .map_err(|error| error.to_string())?;
        let mut handle = host.handle.clone();
        // The first picture is empty: names are looked up in one that has the project. An error means that the engine has
        // ended, which whoever asks it hears.
        let _known = handle.snapshots.wait_for(|snapshot| !snapshot.projects.is_empty()).await.is_ok();
        let server = match api::server::serve(lock, handle.clone(), ServeOptions::default()) {
            Ok(server) => server,
            Err(error) => {
                handle.leave().await;
                return Err(format!("cannot listen on {}: {error}", socket.display()));
            }
        };
        *self.hosted.lock().unwrap_or_else(PoisonError::into_inner) = Some((host, server));
        Ok(handle)
    }

    async fn console(&self, handle: Handle, theme: Option<&str>) -> Result<Outcome, String> {
        let options = self.console_options(&handle, theme)?;
        // An engine of this process is ended by the caller, and with it what still runs: also after a panic of the console.
        match AssertUnwindSafe(tui::run(handle, options)).catch_unwind().await {
            Ok(Ok(
                tui::Outcome::Quit | tui::Outcome::StoppedAll | tui::Outcome::StillStopping | tui::Outcome::EngineEnded,
            )) => Ok(Outcome::Ok),
            Ok(Ok(tui::Outcome::Signalled(_))) => Ok(Outcome::Interrupted),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_said) => Err("the console has ended by a defect of cas; the sentence above says where".to_owned()),
        }
    }

    fn stored_logs(
        &self,
        extent: &LogExtent,
        each: &mut dyn FnMut(&LogBatch) -> ControlFlow<()>,
    ) -> Result<(), String> {
        let filter = LogFilter {
            services: extent.services.clone(),
            since_wall_us: extent.since_us,
            until_wall_us: extent.until_us.map(|until| until.saturating_add(1)),
            tail: None,
        };
        for line in log_files::read_lines(&self.paths.logs(), &filter) {
            let len = u32::try_from(line.text.len()).unwrap_or(u32::MAX);
            let batch = LogBatch {
                service: line.service,
                run: line.run,
                wall_us: line.wall_us,
                first_seq: line.seq,
                text: line.text.into_boxed_str(),
                lines: Box::new([LogLine { start: 0, len, stream: line.stream, continued: line.continued }]),
            };
            if each(&batch).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn stored_entries(&self, project: &ProjectName, since_us: Option<i64>, limit: usize) -> Result<Vec<Entry>, String> {
        let filter =
            EntryFilter { limit, project: Some(project.clone()), services: Vec::new(), since_wall_us: since_us };
        store::read_entries(&self.paths.database(), &filter).map_err(|error| error.to_string())
    }

    fn registry(&self) -> Result<Vec<ProjectRecord>, String> {
        store::read_projects(&self.paths.database()).map_err(|error| error.to_string())
    }

    fn forget(&self, project: &ProjectRecord) -> Result<(), String> {
        self.paths.ensure().map_err(|error| error.to_string())?;
        let (told, trouble) = std::sync::mpsc::channel();
        let store = Store::open(self.paths.database(), move |text| {
            // An error means that nobody waits for it any more.
            let _nobody = told.send(text);
        });
        store.forget(project.root.clone());
        store.flush();
        match trouble.try_iter().last() {
            Some(Some(text)) => Err(text),
            Some(None) | None => Ok(()),
        }
    }

    fn interrupts(&self) -> Result<mpsc::Receiver<Interrupt>, String> {
        interrupts::listen().map_err(|error| format!("cannot catch SIGINT and SIGTERM: {error}"))
    }
}
