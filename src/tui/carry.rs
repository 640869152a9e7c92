//! Carries out what the console wants done outside itself, on tasks of their own: the loop never waits for an answer.

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use tokio::{process::Command, sync::mpsc};

use super::{
    app::{FromTask, Options, history},
    clipboard::tell_tmux,
    message::Message,
    theme::{ColorDepth, Theme},
};
use crate::{
    host::handle::Handle,
    model::{
        ids::ServiceId,
        log_search::LogSearch,
        policy::Request,
        query::{Answer, Query},
        service::ServiceKind,
        timeline::Severity,
    },
};

/// Editors that take `+LINE` before the file.
const TAKE_LINE: [&str; 9] = ["vi", "vim", "nvim", "nano", "emacs", "emacsclient", "kak", "micro", "joe"];

pub(crate) struct Carrier {
    handle: Handle,
    options: Options,
    messages: mpsc::Sender<FromTask>,
}

impl Carrier {
    pub(crate) const fn new(handle: Handle, options: Options, messages: mpsc::Sender<FromTask>) -> Self {
        Self { handle, options, messages }
    }

    fn spawn(&self, work: impl Future<Output = FromTask> + Send + 'static) {
        let messages = self.messages.clone();
        // Nobody waits for it: an error in sending means that the console was left meanwhile.
        drop(tokio::spawn(async move {
            let message = work.await;
            let _left = messages.send(message).await;
        }));
    }

    pub(crate) fn spawn_request(&self, request: Request) {
        let handle = self.handle.clone();
        self.spawn(async move {
            let reply = handle.request(request.clone()).await;
            FromTask::Message(Box::new(Message::Replied { request, reply }))
        });
    }

    pub(crate) fn spawn_history(&self) {
        let handle = self.handle.clone();
        self.spawn(async move { FromTask::Message(Box::new(Message::LogHistory(history(&handle).await))) });
    }

    pub(crate) fn spawn_leave(&self) {
        let handle = self.handle.clone();
        self.spawn(async move {
            handle.leave().await;
            FromTask::Left
        });
    }

    pub(crate) fn spawn_themes(&self, depth: ColorDepth) {
        let dir = self.options.themes_dir.clone();
        let messages = self.messages.clone();
        drop(tokio::task::spawn_blocking(move || {
            let (themes, problems) = load_themes(dir.as_deref(), depth);
            let _left = messages.blocking_send(FromTask::Message(Box::new(Message::Themes(themes))));
            if let Some(text) = problems {
                let said = Message::Said { severity: Severity::Warning, text };
                let _left = messages.blocking_send(FromTask::Message(Box::new(said)));
            }
        }));
    }

    /// Looks for lines that are not in memory.
    pub(crate) fn spawn_search(&self, ticket: u64, search: LogSearch) {
        let handle = self.handle.clone();
        self.spawn(async move {
            let answer = ask(&handle, Query::SearchLogs(search)).await;
            let answer = answer.and_then(|answer| if let Answer::Found(finds) = answer { Ok(finds) } else { odd() });
            FromTask::Message(Box::new(Message::LogFinds { ticket, answer }))
        });
    }

    /// Asks for patterns.
    pub(crate) fn spawn_patterns(&self, services: Vec<ServiceId>) {
        let handle = self.handle.clone();
        self.spawn(async move {
            let answer = ask(&handle, Query::Patterns { services }).await;
            let answer = answer.and_then(|answer| if let Answer::Patterns(known) = answer { Ok(known) } else { odd() });
            FromTask::Message(Box::new(Message::Patterns(answer)))
        });
    }

    /// Writes a text into a new file in the working directory, and says its name.
    pub(crate) fn spawn_save(&self, name: String, text: String, why: String) {
        let now_us = self.handle.snapshots.borrow().at.wall_us;
        let zone = self.options.zone;
        let messages = self.messages.clone();
        drop(tokio::task::spawn_blocking(move || {
            let said = match save(&name, &text, &zone.date(now_us)) {
                Ok(file) => {
                    let why = if why.is_empty() { String::new() } else { format!("{why}; ") };
                    let lines = text.lines().count();
                    let text = format!("{why}{lines} lines are in {}", file.display());
                    Message::Said { severity: Severity::Good, text }
                }
                Err(text) => Message::Said { severity: Severity::Error, text },
            };
            let _left = messages.blocking_send(FromTask::Message(Box::new(said)));
        }));
    }

    /// A copy of a text for another program to read, for its owner alone.
    pub(crate) fn reading_copy(text: &str) -> Result<PathBuf, String> {
        let directory = std::env::temp_dir();
        let file = directory.join(format!("cas-{}-{:08x}.log", std::process::id(), fastrand::u32(..)));
        write_new(&file, text)?;
        Ok(file)
    }

    /// The pager on a file: `$PAGER`, else `less`.
    pub(crate) fn pager(file: &Path) -> Result<Command, String> {
        let text = std::env::var("PAGER").ok().filter(|text| !text.is_empty()).unwrap_or_else(|| "less".to_owned());
        let words = shlex::split(&text).filter(|words| !words.is_empty());
        let words = words.ok_or_else(|| format!("PAGER is \"{text}\": a quote is not closed"))?;
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(file);
        Ok(command)
    }

    /// Gives what was copied to the tmux around; only that it cannot be is news.
    pub(crate) fn spawn_tmux(&self, text: String) {
        let messages = self.messages.clone();
        drop(tokio::spawn(async move {
            if let Err(text) = tell_tmux("tmux", &text).await {
                let said = Message::Said { severity: Severity::Warning, text };
                let _left = messages.send(FromTask::Message(Box::new(said))).await;
            }
        }));
    }

    /// The shell in a container: this program opens it, so that nobody needs the engine's own client.
    pub(crate) fn shell_inside(id: &str) -> Command {
        let own = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("cas"));
        let mut command = Command::new(own);
        command.args(["exec", "--by-id", id]);
        command
    }

    /// The id of the container that a service is; none where it is a process.
    fn container_of(&self, service: &ServiceId) -> Result<Option<String>, String> {
        let snapshot = self.handle.snapshots.borrow();
        if let Some(container) = snapshot.containers.iter().find(|container| container.of.as_ref() == Some(service)) {
            return match container.state.as_str() {
                "running" => Ok(Some(container.id.clone())),
                state => Err(format!("shell: the container of {service} is {state}")),
            };
        }
        match snapshot.service(service).filter(|view| view.kind == ServiceKind::Container) {
            Some(view) => {
                Err(format!("shell: {service} is {}, so there is no container to go into", view.phase.label()))
            }
            None => Ok(None),
        }
    }

    /// The shell beside a service: in its container, or where its process runs.
    pub(crate) async fn shell(&self, service: &ServiceId) -> Result<Command, String> {
        if let Some(container) = self.container_of(service)? {
            return Ok(Self::shell_inside(&container));
        }
        let query = Query::ShellContext { service: service.clone() };
        let Answer::ShellContext { working_dir, environment, secrets: _ } = ask(&self.handle, query).await? else {
            return Err(format!("the engine did not say where {service} runs"));
        };
        let own = self.options.shell.clone().or_else(|| std::env::var("SHELL").ok());
        let mut command = Command::new(own.filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".to_owned()));
        command.current_dir(working_dir).envs(environment).env("CAS_SERVICE", service.to_string());
        Ok(command)
    }

    /// The editor on a file, at a line where it can do that.
    pub(crate) fn editor(&self, file: &Path, line: Option<u32>) -> Result<Command, String> {
        let from_environment =
            || ["VISUAL", "EDITOR"].into_iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
        let text = self.options.editor.clone().or_else(from_environment).unwrap_or_else(|| "vi".to_owned());
        let words = shlex::split(&text).filter(|words| !words.is_empty());
        let words = words.ok_or_else(|| format!("EDITOR is \"{text}\": a quote is not closed"))?;
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        let name = Path::new(&words[0]).file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(line) = line.filter(|_| TAKE_LINE.contains(&name.as_str())) {
            command.arg(format!("+{line}"));
        }
        command.arg(file);
        Ok(command)
    }
}

/// Asks the engine; that it cannot answer is a sentence.
async fn ask(handle: &Handle, query: Query) -> Result<Answer, String> {
    match handle.query(query).await {
        Ok(Answer::Unavailable(why)) => Err(why),
        Ok(answer) => Ok(answer),
        Err(gone) => Err(gone.to_string()),
    }
}

/// What was answered is no answer to what was asked.
fn odd<T>() -> Result<T, String> {
    Err("the engine answered something else".to_owned())
}

/// Writes a file that was not there, for its owner alone.
fn write_new(file: &Path, text: &str) -> Result<(), String> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let written = options.open(file).and_then(|mut open| {
        open.write_all(text.as_bytes())?;
        open.write_all(b"\n")
    });
    written.map_err(|error| format!("{} cannot be written: {error}", file.display()))
}

/// Writes a text into a new file of the working directory; where it cannot be, of the directory for what is temporary.
fn save(name: &str, text: &str, date: &str) -> Result<PathBuf, String> {
    let stamp: String = date.chars().map(|c| if c.is_ascii_digit() { c } else { '-' }).collect();
    let here = std::env::current_dir().unwrap_or_else(|_| std::env::temp_dir());
    let mut first = None;
    for directory in [here, std::env::temp_dir()] {
        for again in 0..100 {
            let more = if again == 0 { String::new() } else { format!("-{again}") };
            let file = directory.join(format!("{name}-{stamp}{more}.log"));
            if file.exists() {
                continue;
            }
            match write_new(&file, text) {
                Ok(()) => return Ok(file),
                Err(error) => {
                    first.get_or_insert(error);
                    break;
                }
            }
        }
    }
    Err(first.unwrap_or_else(|| "there are a hundred such files already".to_owned()))
}

fn load_themes(dir: Option<&Path>, depth: ColorDepth) -> (Vec<Theme>, Option<String>) {
    let mut themes = Vec::new();
    let mut problems = Vec::new();
    for name in Theme::names(dir) {
        match Theme::load(&name, dir) {
            Ok(theme) => themes.push(theme.for_depth(depth)),
            Err(error) => problems.push(format!("theme {name}: {}", error.lines().next().unwrap_or_default())),
        }
    }
    (themes, (!problems.is_empty()).then(|| problems.join("; ")))
}
