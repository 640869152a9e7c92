//! The loop: wait for anything, take it in, draw if the picture is out of date. Without news it sleeps; there is no tick.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use crossterm::event::Event;
use ratatui::layout::Size;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    carry::Carrier,
    clipboard::Between,
    input::{FromTerminal, Input},
    keymap::Keymap,
    message::{Message, UiEffect},
    notify, patience,
    placed::placed,
    signals::{self, Signals, Woken},
    terminal::Screen,
    theme::Theme,
    ui::{Setup, Ui},
    update::update,
    zone::Zone,
};
use crate::{
    config::user::DetachKey,
    host::handle::{Handle, Link, LogSubscription},
    model::{
        alert::AlertLevel,
        ids::{ProjectName, ServiceId},
        log::{LogBatch, LogFormat, LogNews},
        query::{Answer, Query},
        route::DesktopWay,
        tty::Parted,
    },
};

/// With what the console is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The colours at first.
    pub theme: Theme,
    /// The keys.
    pub keymap: Keymap,
    /// Where the user's own themes are.
    pub themes_dir: Option<PathBuf>,
    /// Whether clicks and the wheel are ours at first.
    pub mouse: bool,
    /// Time zone of everything that is shown.
    pub zone: Zone,
    /// The project whose services are selected at first.
    pub project: Option<ProjectName>,
    /// The file that `e` opens where nothing is selected.
    pub project_file: Option<PathBuf>,
    /// Command line of the editor; none: `$VISUAL`, `$EDITOR`, then `vi`.
    pub editor: Option<String>,
    /// The key that leaves the terminal of a service.
    pub detach_key: DetachKey,
    /// Which news are shown over everything, with the bell.
    pub alert_level: AlertLevel,
    /// The engine was reached where commands are refused.
    pub read_only: bool,
    /// Forms of log lines that the user has described.
    pub log_formats: Vec<LogFormat>,
    /// Program of the shell beside a service; none: `$SHELL`, then `/bin/sh`.
    pub shell: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            theme: Theme::default(),
            keymap: Keymap::default(),
            themes_dir: None,
            mouse: true,
            zone: Zone::Local,
            project: None,
            project_file: None,
            read_only: false,
            editor: None,
            detach_key: DetachKey::default(),
            alert_level: AlertLevel::default(),
            log_formats: Vec::new(),
            shell: None,
        }
    }
}

/// How the console was left. What happens to services of an engine in this process is the caller's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// By its user; nothing is to be stopped.
    Quit,
    /// By its user, after every service had been stopped and the engine ended.
    StoppedAll,
    /// By its user, who wants services of an engine in this process to go on under the daemon.
    LeaveRunning,
    /// By its user while services were still being stopped: wait for the engine before exiting.
    StillStopping,
    /// By this signal (its number).
    Signalled(i32),
    /// The engine ended.
    EngineEnded,
}

/// Why there is no console (any more).
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// Not a terminal to draw on; the sentence says why and what else works.
    #[error("{0}")]
    NoTerminal(String),
    /// Reading or drawing failed.
    #[error("the terminal does not work: {0}")]
    Io(#[from] io::Error),
    /// The terminal is gone; services are not touched by that.
    #[error("the terminal is gone")]
    TerminalLost,
}

/// The least time between two frames when a person did something.
const AFTER_KEY: Duration = Duration::from_millis(8);

/// The least time between two frames when only lines or numbers came.
const AFTER_NEWS: Duration = Duration::from_millis(33);

/// A shell that ends so soon, and with an error, was none.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Batches taken at once before keys are looked at again.
const BATCHES: usize = 64;

/// Opens the console on this terminal until it is left.
///
/// # Errors
/// [`TuiError`]; the terminal is given back in every case.
pub async fn run(handle: Handle, options: Options) -> Result<Outcome, TuiError> {
    super::can_run().map_err(TuiError::NoTerminal)?;
    let size = window_size()?;
    let setup = Setup {
        theme: options.theme.clone(),
        keymap: options.keymap.clone(),
        zone: options.zone,
        mouse: options.mouse,
        project: options.project.clone(),
        project_file: options.project_file.clone(),
        read_only: options.read_only,
    };
    let mut ui = Ui::new(size, setup);
    ui.alert_at(options.alert_level);
    ui.recognise(&options.log_formats);
    let detach_key = options.detach_key;
    let (messages, results) = mpsc::channel(64);
    let signals = Signals::listen()?;
    patience::watch(*handle.link.borrow() == Link::Local)?;
    let screen = Screen::enter(options.mouse)?;
    let input = Input::start()?;
    let logs = handle.logs.subscribe();
    let carrier = Carrier::new(handle.clone(), options, messages);
    let app = App {
        ui,
        screen,
        input: Some(input),
        signals,
        carrier,
        results,
        logs,
        handle,
        detach_key,
        last: None,
        urgent: true,
        leaving: false,
    };
    app.run().await
}

fn window_size() -> io::Result<Size> {
    let (width, height) = crossterm::terminal::size()?;
    Ok(Size { width, height })
}

struct App {
    ui: Ui,
    screen: Screen,
    input: Option<Input>,
    signals: Signals,
    carrier: Carrier,
    results: mpsc::Receiver<FromTask>,
    logs: LogSubscription,
    handle: Handle,
    detach_key: DetachKey,
    /// When the last frame was drawn.
    last: Option<Instant>,
    /// A person waits for the next frame.
    urgent: bool,
    leaving: bool,
}

/// What a task that was started for the console brings back.
#[derive(Debug)]
pub(crate) enum FromTask {
    /// News.
    Message(Box<Message>),
    /// Everything is stopped.
    Left,
}

/// What woke the loop.
enum Wake {
    Terminal(FromTerminal),
    Woken(Woken),
    Task(Option<FromTask>),
    Snapshot(bool),
    Link(bool),
    Log(Option<LogNews>),
    Frame,
    Work,
}

impl App {
    async fn run(mut self) -> Result<Outcome, TuiError> {
        let snapshot = self.handle.snapshots.borrow_and_update().clone();
        update(&mut self.ui, Message::Snapshot(snapshot));
        let link = *self.handle.link.borrow_and_update();
        update(&mut self.ui, Message::Link(link));
        self.carrier.spawn_history();
        loop {
            if let Err(error) = self.draw_if_due() {
                // A terminal that takes nothing fails as soon as a signal has come.
                return self.signals.ending().map_or(Err(error), |number| Ok(Outcome::Signalled(number)));
            }
            let event = self.next().await;
            if let Some(outcome) = self.take(event).await? {
                return Ok(outcome);
            }
        }
    }

    /// Draws where the picture is out of date and the last frame is old enough.
    fn draw_if_due(&mut self) -> Result<(), TuiError> {
        if self.ui.is_stale() && self.due().is_none_or(|due| due <= Instant::now()) {
            self.ui.take_stale();
            self.screen.draw(&self.ui)?;
            self.last = Some(Instant::now());
            self.urgent = false;
        }
        Ok(())
    }

    fn due(&self) -> Option<Instant> {
        self.last.map(|last| last + if self.urgent { AFTER_KEY } else { AFTER_NEWS })
    }

    async fn next(&mut self) -> Wake {
        let deadline = if self.ui.is_stale() { self.due() } else { None };
        let frame = async {
            match deadline {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let terminal = async {
            match self.input.as_mut() {
                Some(input) => input.next().await,
                None => std::future::pending().await,
            }
        };
        let behind = self.ui.is_behind();
        tokio::select! {
            biased;
            event = terminal => Wake::Terminal(event),
            woken = self.signals.next() => Wake::Woken(woken),
            task = self.results.recv() => Wake::Task(task),
            () = frame => Wake::Frame,
            changed = self.handle.snapshots.changed() => Wake::Snapshot(changed.is_ok()),
            changed = self.handle.link.changed() => Wake::Link(changed.is_ok()),
            news = self.logs.next() => Wake::Log(news),
            () = std::future::ready(()), if behind => Wake::Work,
        }
    }

    async fn take(&mut self, event: Wake) -> Result<Option<Outcome>, TuiError> {
        self.urgent |= matches!(event, Wake::Terminal(_) | Wake::Woken(_) | Wake::Task(_));
        let message = match event {
            Wake::Terminal(FromTerminal::Lost) => return Err(TuiError::TerminalLost),
            Wake::Terminal(FromTerminal::Event(event)) => match event {
                Event::Key(key) => Message::Key(key),
                Event::Mouse(mouse) => Message::Mouse(mouse),
                Event::Paste(text) => Message::Paste(text),
                Event::Resize(..) => return self.resized().map(|()| None),
                Event::FocusGained | Event::FocusLost => return Ok(None),
            },
            // A terminal that is gone sends it as well, and then there is nobody to show anything to.
            Wake::Woken(Woken::Signal(number))
                if number == signals::HANGUP && self.ui.hosts() && signals::terminal_is_there() =>
            {
                Message::ReloadAsked
            }
            Wake::Woken(Woken::Signal(number)) => return Ok(Some(Outcome::Signalled(number))),
            Wake::Woken(Woken::Resized) => return self.resized().map(|()| None),
            Wake::Woken(Woken::Continued) => {
                self.screen.take_again()?;
                return self.resized().map(|()| None);
            }
            Wake::Task(Some(FromTask::Left)) => return Ok(Some(Outcome::StoppedAll)),
            Wake::Task(Some(FromTask::Message(message))) => *message,
            // The carrier holds a sender, so this never comes; frames are drawn by the loop.
            Wake::Task(None) | Wake::Frame => return Ok(None),
            Wake::Snapshot(true) => Message::Snapshot(self.handle.snapshots.borrow_and_update().clone()),
            Wake::Link(true) => Message::Link(*self.handle.link.borrow_and_update()),
            Wake::Snapshot(false) | Wake::Link(false) | Wake::Log(None) => {
                return Ok(Some(if self.leaving { Outcome::StoppedAll } else { Outcome::EngineEnded }));
            }
            Wake::Log(Some(news)) => {
                self.take_logs(news);
                return Ok(None);
            }
            Wake::Work => {
                self.ui.work();
                Message::Worked
            }
        };
        let effects = update(&mut self.ui, message);
        for effect in effects {
            if let Some(outcome) = self.carry_out(effect).await? {
                return Ok(Some(outcome));
            }
        }
        Ok(None)
    }

    /// Takes what is there, but not more than leaves time for keys.
    fn take_logs(&mut self, first: LogNews) {
        update(&mut self.ui, Message::Log(first));
        for _ in 1..BATCHES {
            let Some(news) = self.logs.try_next() else { break };
            update(&mut self.ui, Message::Log(news));
        }
    }

    fn resized(&mut self) -> Result<(), TuiError> {
        let size = window_size()?;
        self.screen.resize(size)?;
        update(&mut self.ui, Message::Resized(size));
        Ok(())
    }

    async fn carry_out(&mut self, effect: UiEffect) -> Result<Option<Outcome>, TuiError> {
        match effect {
            UiEffect::Request(request) => self.carrier.spawn_request(placed(request, self.ui.link)),
            UiEffect::LoadThemes => self.carrier.spawn_themes(self.ui.theme().depth()),
            UiEffect::Copy(text) => {
                let between = Between::of_environment(|name| std::env::var_os(name).is_some());
                self.screen.copy(&text, between)?;
                if between == Between::Tmux {
                    self.carrier.spawn_tmux(text);
                }
            }
            UiEffect::Save { name, text, why } => self.carrier.spawn_save(name, text, why),
            UiEffect::SearchLogs { ticket, search } => self.carrier.spawn_search(ticket, search),
            UiEffect::AskPatterns(services) => self.carrier.spawn_patterns(services),
            UiEffect::Page(text) => self.read_beside(&text, |_, file| Carrier::pager(file)).await?,
            UiEffect::Peruse(text) => {
                let program = |carrier: &Carrier, file: &std::path::Path| carrier.editor(file, None);
                self.read_beside(&text, program).await?;
            }
            UiEffect::Ring => self.screen.ring()?,
            UiEffect::Notify(notice) => {
                let variable = |name: &str| std::env::var(name).ok();
                let auto = notice.way == DesktopWay::Auto;
                if !(auto && notify::is_on_a_desktop(variable)) {
                    let way = if auto { notify::way_of(variable) } else { notice.way };
                    let between = Between::of_environment(|name| std::env::var_os(name).is_some());
                    self.screen.say(&notify::sequence(&notice, way, between))?;
                }
            }
            UiEffect::CaptureMouse(mouse) => self.screen.capture_mouse(mouse)?,
            UiEffect::Repaint => {
                test_panic();
                self.screen.repaint()?;
            }
            UiEffect::Quit => {
                return Ok(Some(if self.leaving { Outcome::StillStopping } else { Outcome::Quit }));
            }
            UiEffect::StopAllAndQuit => {
                self.leaving = true;
                self.carrier.spawn_leave();
            }
            UiEffect::LeaveRunning => return Ok(Some(Outcome::LeaveRunning)),
            UiEffect::Suspend => self.suspend().await?,
            UiEffect::Attach(service) => {
                if let Some(number) = self.attach(&service).await? {
                    return Ok(Some(Outcome::Signalled(number)));
                }
            }
            UiEffect::Shell(service) => match self.carrier.shell(&service).await {
                Ok(command) => self.shell(command, &service.to_string()).await?,
                Err(sentence) => self.say(sentence),
            },
            UiEffect::ShellInside { id, name } => self.shell(Carrier::shell_inside(&id), &name).await?,
            UiEffect::Edit { file, line } => match self.carrier.editor(&file, line) {
                Ok(command) => self.edit(command).await?,
                Err(sentence) => self.say(sentence),
            },
        }
        Ok(None)
    }

    fn say(&mut self, text: String) {
        update(&mut self.ui, Message::Said { severity: crate::model::timeline::Severity::Error, text });
    }

    /// Stops this process and its group as the shell's Ctrl-Z does. Where nobody could bring it back the kernel does not stop it.
    async fn suspend(&mut self) -> Result<(), TuiError> {
        super::terminal::give_back();
        self.stop_input();
        rustix::process::kill_current_process_group(rustix::process::Signal::TSTP).map_err(io::Error::from)?;
        // The signal may reach another thread first: go on when the shell says so, or when there is no shell to say it.
        let _continued = tokio::time::timeout(Duration::from_millis(200), self.signals.cont.recv()).await;
        self.come_back()
    }

    fn stop_input(&mut self) {
        if let Some(input) = self.input.take() {
            input.stop();
        }
    }

    fn come_back(&mut self) -> Result<(), TuiError> {
        self.screen.take_again()?;
        self.input = Some(Input::start()?);
        self.signals = Signals::listen()?;
        self.resized()
    }

    /// Lets a service have the terminal, and takes output in meanwhile. The number of the signal that came then, if one did.
    async fn attach(&mut self, service: &ServiceId) -> Result<Option<i32>, TuiError> {
        super::terminal::give_back();
        self.stop_input();
        let handle = self.handle.clone();
        let mut attached = std::pin::pin!(super::attach(&handle, service, self.detach_key));
        let ended = loop {
            tokio::select! {
                ended = &mut attached => break ended,
                Some(news) = self.logs.next() => { update(&mut self.ui, Message::Log(news)); }
            }
        };
        self.come_back()?;
        match ended {
            Ok(Parted::LetGo | Parted::EngineGone) => {}
            Ok(Parted::Ended) => self.say(format!("{service} has ended, and its terminal with it")),
            Ok(Parted::Signalled(number)) => return Ok(Some(number)),
            Err(sentence) => self.say(sentence),
        }
        Ok(None)
    }

    /// Lets a shell have the terminal. It ends with the code of its last command, which is nobody's fault; one that ends at once never was.
    async fn shell(&mut self, command: tokio::process::Command, of: &str) -> Result<(), TuiError> {
        let begun = Instant::now();
        let ended = self.beside(command).await?;
        if let (Err(sentence), true) = (ended, begun.elapsed() < AT_ONCE) {
            self.say(format!("no shell in {of}: {sentence}; `cas exec {of} COMMAND` says more"));
        }
        Ok(())
    }

    /// Lets an editor have the terminal, and has what it wrote read again.
    async fn edit(&mut self, command: tokio::process::Command) -> Result<(), TuiError> {
        if let Err(sentence) = self.beside(command).await? {
            self.say(sentence);
            return Ok(());
        }
        for effect in update(&mut self.ui, Message::Edited) {
            if let UiEffect::Request(request) = effect {
                self.carrier.spawn_request(request);
            }
        }
        Ok(())
    }

    /// Lets a program have the terminal to read a text in a file that is gone afterwards.
    async fn read_beside(
        &mut self,
        text: &str,
        program: impl Fn(&Carrier, &std::path::Path) -> Result<tokio::process::Command, String>,
    ) -> Result<(), TuiError> {
        let said = match Carrier::reading_copy(text) {
            Err(sentence) => Err(sentence),
            Ok(file) => match program(&self.carrier, &file) {
                Err(sentence) => Err(sentence),
                Ok(command) => {
                    let ended = self.beside(command).await?;
                    // It was made for this one look.
                    let _gone = std::fs::remove_file(&file);
                    ended
                }
            },
        };
        if let Err(sentence) = said {
            self.say(sentence);
        }
        Ok(())
    }

    /// Lets another program have the terminal, and takes output in meanwhile; how that program failed, if it did.
    async fn beside(&mut self, mut command: tokio::process::Command) -> Result<Result<(), String>, TuiError> {
        super::terminal::give_back();
        self.stop_input();
        let _lent = patience::Lent::now();
        let ended = match command.spawn() {
            Err(error) => Err(format!("{} could not be started: {error}", program(&command))),
            Ok(mut child) => loop {
                tokio::select! {
                    status = child.wait() => match status {
                        Ok(status) if status.success() => break Ok(()),
                        Ok(status) => break Err(format!("{} ended with {status}", program(&command))),
                        Err(error) => break Err(format!("{}: {error}", program(&command))),
                    },
                    Some(news) = self.logs.next() => { update(&mut self.ui, Message::Log(news)); }
                }
            },
        };
        self.come_back()?;
        Ok(ended)
    }
}

/// A defect on demand, in debug builds only: a test of what a real one would leave of the terminal and of the services.
fn test_panic() {
    assert!(!cfg!(debug_assertions) || std::env::var_os("CAS_TEST_PANIC").is_none(), "asked for by CAS_TEST_PANIC");
}

fn program(command: &tokio::process::Command) -> String {
    command.as_std().get_program().to_string_lossy().into_owned()
}

/// What was kept of earlier output; empty where the engine cannot say.
pub(crate) async fn history(handle: &Handle) -> Vec<Arc<LogBatch>> {
    let answer = handle.query(Query::Logs { service: None }).await;
    if let Ok(Answer::Logs(batches)) = answer { batches } else { Vec::new() }
}
