//! Messages on their way to people: one worker a route, so that one that hangs holds up nobody else.
//!
//! Promise: every message is answered once, within [`LONGEST`]. Never: blocks whoever sends; shows a URL or a key, in an error neither; asks a proxy.

mod chat;
mod command;
mod desktop;
mod email;
mod http;
mod pager;
mod webhook;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::sync::mpsc;

use crate::model::{
    alarm::{NotSent, Notice},
    event::Event,
    exam::Hidden,
    route::{Concealed, Destination, Route},
    text::{plain, truncate},
};

/// Messages that may wait in all, and by one route; more are answered with an error.
const WAITING: usize = 256;
const WAITING_BY_ROUTE: usize = 64;

/// No message takes longer, whatever its route.
pub const LONGEST: Duration = Duration::from_secs(40);

/// A worker without work ends after so long.
const IDLE: Duration = Duration::from_mins(1);

/// Most of a file with a key that is read, bytes.
const KEY_BYTES: u64 = 16 * 1024;

/// Columns of what a server says.
const SAID_COLUMNS: usize = 200;

/// With what messages are sent.
pub type Environment = Arc<BTreeMap<String, String>>;

/// A message and its number.
struct Job {
    ticket: u64,
    route: Arc<Route>,
    notice: Arc<Notice>,
}

/// Sends messages.
#[derive(Debug, Clone)]
pub struct Notifier {
    jobs: mpsc::Sender<Job>,
    events: mpsc::Sender<Event>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "message {} by {}", self.ticket, self.route.name)
    }
}

impl Notifier {
    /// Starts within a runtime; answers go to `events`. `environment` is what commands begin with, and where a desktop session is named.
    #[must_use]
    pub fn start(events: mpsc::Sender<Event>, environment: BTreeMap<String, String>) -> Self {
        let (jobs, inbox) = mpsc::channel(WAITING);
        tokio::spawn(hand_out(inbox, events.downgrade(), Arc::new(environment)));
        Self { jobs, events }
    }

    /// Sends a message; what comes of it is [`Event::Notified`]. Returns at once.
    pub fn send(&self, ticket: u64, route: Arc<Route>, notice: Arc<Notice>) {
        if self.jobs.try_send(Job { ticket, route, notice }).is_err() {
            let events = self.events.clone();
            tokio::spawn(async move {
                let outcome = Err(NotSent::for_now("too many messages wait to be sent"));
                // An error means that the engine has ended.
                let _ended = events.send(Event::Notified { ticket, outcome }).await;
            });
        }
    }
}

/// Gives each message to the worker of its route.
async fn hand_out(mut inbox: mpsc::Receiver<Job>, events: mpsc::WeakSender<Event>, environment: Environment) {
    let mut workers: HashMap<(String, String), mpsc::Sender<Job>> = HashMap::new();
    while let Some(job) = inbox.recv().await {
        workers.retain(|_, worker| !worker.is_closed());
        let key = (job.notice.project.clone(), job.route.name.clone());
        let worker = workers.entry(key).or_insert_with(|| {
            let (worker, jobs) = mpsc::channel(WAITING_BY_ROUTE);
            tokio::spawn(work(jobs, events.clone(), environment.clone()));
            worker
        });
        if let Err(refused) = worker.try_send(job) {
            let job = refused.into_inner();
            tell(&events, job.ticket, Err(NotSent::for_now("too many messages wait for this route"))).await;
        }
    }
}

async fn work(mut jobs: mpsc::Receiver<Job>, events: mpsc::WeakSender<Event>, environment: Environment) {
    loop {
        let job = match tokio::time::timeout(IDLE, jobs.recv()).await {
            Ok(Some(job)) => job,
            Ok(None) => return,
            Err(_idle) => {
                // What came in this moment is still done.
                jobs.close();
                continue;
            }
        };
        let outcome = deliver(&job.route, &job.notice, &environment).await;
        tell(&events, job.ticket, outcome.map(drop)).await;
    }
}

async fn tell(events: &mpsc::WeakSender<Event>, ticket: u64, outcome: Result<(), NotSent>) {
    if let Some(events) = events.upgrade() {
        // An error means that the engine has ended.
        let _ended = events.send(Event::Notified { ticket, outcome }).await;
    }
}

/// Sends one message by a route and says, as a clause, what took it.
///
/// # Errors
/// Why it was not taken, without anything secret.
pub async fn deliver(route: &Route, notice: &Notice, environment: &Environment) -> Result<String, NotSent> {
    let mut notice = notice.clone();
    notice.host = host_name();
    let sent = tokio::time::timeout(LONGEST, send(route, &notice, environment)).await;
    let seconds = LONGEST.as_secs();
    let outcome = sent.unwrap_or_else(|_| Err(NotSent::for_now(format!("not done after {seconds} s"))));
    outcome.map_err(|mut error| {
        error.why = truncate(&plain(&error.why.replace(['\n', '\r'], " ")), SAID_COLUMNS).into_owned();
        for secret in secrets_of(route) {
            error.why = error.why.replace(&secret.0, &format!("‹redacted:{}›", route.name));
        }
        error
    })
}

async fn send(route: &Route, notice: &Notice, environment: &Environment) -> Result<String, NotSent> {
    match &route.to {
        Destination::Desktop(way) => desktop::send(*way, notice, environment).await,
        Destination::Command { line, directory } => command::send(line, directory, notice, environment).await,
        Destination::Webhook { url, method, headers, body } => {
            webhook::send(url, method, headers, body.as_deref(), notice).await
        }
        Destination::Slack(url) => chat::slack(url, notice).await,
        Destination::Discord(url) => chat::discord(url, notice).await,
        Destination::Teams(url) => chat::teams(url, notice).await,
        Destination::PagerDuty { key, url } => pager::pagerduty(key, url, notice).await,
        Destination::Opsgenie { key, url } => pager::opsgenie(key, url, notice).await,
        Destination::Telegram { token, chat, url } => chat::telegram(token, chat, url, notice).await,
        Destination::Ntfy { url, token } => chat::ntfy(url, token.as_ref(), notice).await,
        Destination::Email(mail) => email::send(mail, notice).await,
    }
}

/// A secret where it is: what a file holds is read anew each time, without the line's end.
async fn reveal(concealed: &Concealed) -> Result<Hidden, NotSent> {
    match concealed {
        Concealed::Value(hidden) => Ok(hidden.clone()),
        Concealed::File(path) => {
            let path = path.clone();
            let read = tokio::task::spawn_blocking(move || read_key(&path)).await;
            read.unwrap_or_else(|error| Err(NotSent::for_now(format!("its key cannot be read: {error}"))))
        }
    }
}

fn read_key(path: &std::path::Path) -> Result<Hidden, NotSent> {
    use std::io::Read as _;
    let cannot = |why: String| NotSent::for_now(format!("{} cannot be read: {why}", path.display()));
    let is_file = std::fs::metadata(path).map_err(|error| cannot(error.to_string()))?.is_file();
    if !is_file {
        return Err(cannot("it is not a file".to_owned()));
    }
    let file = std::fs::File::open(path).map_err(|error| cannot(error.to_string()))?;
    let mut text = String::new();
    file.take(KEY_BYTES).read_to_string(&mut text).map_err(|error| cannot(error.to_string()))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(cannot("it is empty".to_owned()));
    }
    Ok(Hidden(text.to_owned()))
}

/// What must not stand in an error, as far as it can be had.
fn secrets_of(route: &Route) -> Vec<Hidden> {
    let known = route.to.secrets().into_iter().map(|secret| Hidden(secret.to_owned()));
    let files = route.to.files().into_iter().filter_map(|path| read_key(path).ok());
    known.chain(files).filter(|secret| secret.0.len() >= 4).collect()
}

/// The machine's name, or `localhost`.
fn host_name() -> String {
    rustix::system::uname().nodename().to_str().ok().filter(|name| !name.is_empty()).unwrap_or("localhost").to_owned()
}

/// A text cut to so many characters, with an ellipsis where something is missing.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}
