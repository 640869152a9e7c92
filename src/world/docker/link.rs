//! The connection to the engine: found, kept, and made anew. Promise: an engine that comes back is used again within seconds, and everybody is told
//! to look; one that is silent is known to be within fifteen seconds. Never: ends because of an engine.

use std::{
    collections::HashMap,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use bollard::{
    API_DEFAULT_VERSION, ClientVersion,
    models::EventMessage,
    query_parameters::{EventsOptions, ListContainersOptions},
};
use futures_util::StreamExt;

use super::{
    Docker, Happening, Standing,
    call::{ANSWER, Failure, quoted, silence},
    endpoint::{self, Endpoint, Lookup},
    labels, registry,
    roster::Roster,
    ssh, tls,
};
use crate::{
    model::{
        container::Reach,
        event::{Event, TroubleSlot},
    },
    world::Shared,
};

/// The first answer over SSH may take longer: a login comes before it, and a program is started there.
const FIRST_BY_SSH: Duration = Duration::from_secs(10);
/// Between two looks whether it is there: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// While nobody needs it.
const IDLE_PAUSE: Duration = Duration::from_secs(15);
/// Between two heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Events of a burst are looked at together.
const TOGETHER: Duration = Duration::from_millis(100);
/// Streams may be silent for as long as they like: what bounds them is the heartbeat.
const STREAM_SECONDS: u64 = 365 * 24 * 3600;
/// The oldest version of the API that is spoken: that of Docker 19.03.
const OLDEST: (usize, usize) = (1, 40);

/// Keeps the connection, for as long as the world is there.
pub(in crate::world) async fn keep(world: Weak<Shared>) {
    let mut pause = PAUSES.0;
    loop {
        let Some(shared) = world.upgrade() else { return };
        let released = shared.released.clone();
        let (reach, is_silent) = match connect(&shared.docker).await {
            Ok(standing) => {
                pause = PAUSES.0;
                stay(&shared, standing).await
            }
            Err(reach) => (reach, true),
        };
        if released.is_cancelled() {
            return;
        }
        announce(&shared, Standing { reach, ..Standing::default() }).await;
        let wait = match (shared.docker.is_wanted.load(Ordering::Relaxed), is_silent) {
            (true, _) | (false, false) => pause,
            (false, true) => IDLE_PAUSE,
        };
        pause = (pause * 2).min(PAUSES.1);
        let docker = Arc::clone(&shared);
        drop(shared);
        tokio::select! {
            () = released.cancelled() => return,
            () = docker.docker.poke.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Finds it and asks who it is.
pub(super) async fn connect(docker: &Docker) -> Result<Standing, Reach> {
    let endpoint = endpoint::find(&docker.lookup).map_err(|why| Reach::Absent { why })?;
    if let Endpoint::Unix(path) = &endpoint {
        // In the system's own words: hyper says less.
        if let Err(error) = tokio::net::UnixStream::connect(path).await {
            let is_refused = error.kind() == std::io::ErrorKind::PermissionDenied;
            let hint = if is_refused { " (the group docker may be missing: see docs/containers.md)" } else { "" };
            return Err(Reach::Absent { why: format!("{endpoint}: {error}{hint}") });
        }
    }
    let absent = |why: String| Reach::Absent { why: format!("{endpoint}: {why}") };
    let client = client_of(&endpoint, &docker.lookup).map_err(absent)?;
    let asked = async {
        let version = client.version().await?;
        let client = client.negotiate_version().await?;
        Ok::<_, bollard::errors::Error>((version, client))
    };
    let within = if matches!(endpoint, Endpoint::Ssh(_)) { FIRST_BY_SSH } else { ANSWER };
    let (version, client) = match tokio::time::timeout(within, asked).await {
        Err(_late) => return Err(Reach::Hung { why: format!("{endpoint}: {}", silence(within)) }),
        Ok(Err(error)) => {
            if let Some(why) = mistaken(&endpoint, &error) {
                return Err(absent(why));
            }
            return Err(match Failure::of(&error) {
                Failure::Away(why) => absent(why),
                Failure::Refused { message, .. } => Reach::Hung { why: format!("{endpoint}: {message}") },
                Failure::Odd(why) => Reach::Hung { why: format!("{endpoint}: {why}") },
            });
        }
        Ok(Ok(answer)) => answer,
    };
    let spoken = client.client_version();
    let api = format!("{}.{}", spoken.major_version, spoken.minor_version);
    if (spoken.major_version, spoken.minor_version) < OLDEST {
        return Err(Reach::TooOld { version: api });
    }
    let is_podman = version.components.iter().flatten().any(|part| part.name.contains("Podman"));
    let name = if is_podman { "Podman" } else { "Docker" };
    let engine = format!("{name} {}", quoted(version.version.as_deref().unwrap_or("of no version")));
    let is_local = matches!(endpoint, Endpoint::Unix(_));
    let reach = Reach::Reachable { endpoint: endpoint.to_string(), engine, api };
    Ok(Standing { reach, client: Some(client), is_local })
}

/// A client that has not said anything yet; a clause, where there can be none.
fn client_of(endpoint: &Endpoint, lookup: &Lookup) -> Result<bollard::Docker, String> {
    let newest: &ClientVersion = API_DEFAULT_VERSION;
    let client = match endpoint {
        Endpoint::Unix(path) => bollard::Docker::connect_with_unix(&path.to_string_lossy(), STREAM_SECONDS, newest),
        Endpoint::Tcp(address) => bollard::Docker::connect_with_http(address, STREAM_SECONDS, newest),
        Endpoint::Tls(address, certs) => {
            tls::usable(certs)?;
            let [ca, cert, key] = endpoint::FILES.map(|name| certs.join(name));
            // An empty file adds nobody to those whom this machine trusts.
            let ca = if ca.exists() { ca } else { "/dev/null".into() };
            bollard::Docker::connect_with_ssl(address, &key, &cert, &ca, STREAM_SECONDS, newest)
        }
        Endpoint::Ssh(address) => ssh::client(address, lookup, STREAM_SECONDS, newest),
    };
    let client = client.map_err(|error| quoted(&error.to_string()))?;
    Ok(client.with_request_modifier(registry::url_safe))
}

/// What is wrong, a clause, where the way to the engine is not as it is said to be.
fn mistaken(endpoint: &Endpoint, error: &bollard::errors::Error) -> Option<String> {
    match (endpoint, error) {
        (Endpoint::Tls(_, certs), error) => tls::trouble(error, certs),
        (Endpoint::Tcp(_), bollard::errors::Error::DockerResponseServerError { message, .. })
            if message.contains("HTTP request to an HTTPS server") =>
        {
            Some("it speaks TLS only: DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH for the certificates".to_owned())
        }
        _ => None,
    }
}

/// Tells who needs to know, where that is news.
async fn announce(shared: &Shared, standing: Standing) {
    let docker = &shared.docker;
    let is_wanted = docker.is_wanted.load(Ordering::Relaxed);
    let (reach, is_news) = (standing.reach.clone(), docker.standing.borrow().reach != standing.reach);
    docker.standing.send_replace(standing);
    let text = reach
        .obstacle()
        .filter(|_| is_wanted)
        .map(|why| format!("Docker: not reachable ({why}); containers wait for it, processes go on"));
    if is_news {
        shared.tell(Event::DockerKnown(reach)).await;
    }
    if is_news || text.is_some() {
        shared.tell(Event::Trouble { slot: TroubleSlot::Docker, text }).await;
    }
}

/// Until the connection ends: what is wrong then, and whether it had been silent.
async fn stay(shared: &Arc<Shared>, standing: Standing) -> (Reach, bool) {
    let docker = &shared.docker;
    let Some(client) = standing.client.clone() else { return (Reach::Unknown, true) };
    let endpoint = match &standing.reach {
        Reach::Reachable { endpoint, .. } => endpoint.clone(),
        Reach::Unknown | Reach::Absent { .. } | Reach::Hung { .. } | Reach::TooOld { .. } => String::new(),
    };
    let of_containers = HashMap::from([("type".to_owned(), vec!["container".to_owned()])]);
    let mut events =
        Box::pin(client.events(Some(EventsOptions { filters: Some(of_containers), ..EventsOptions::default() })));
    docker.late.store(0, Ordering::Relaxed);
    announce(shared, standing).await;
    // An error means that no container is looked after.
    let _nobody = docker.happenings.send(Happening::Anew);
    let mut roster = Roster::default();
    roster.anew();
    let mut beat = tokio::time::interval(HEARTBEAT);
    loop {
        let due = roster.due(TOGETHER);
        tokio::select! {
            () = shared.released.cancelled() => return (Reach::Unknown, false),
            _ = beat.tick() => {
                if let Err(why) = heartbeat(&client).await {
                    return (Reach::Hung { why: format!("{endpoint}: {why}") }, false);
                }
            }
            () = docker.poke.notified() => {
                if let Err(why) = heartbeat(&client).await {
                    return (Reach::Hung { why: format!("{endpoint}: {why}") }, false);
                }
                docker.late.store(0, Ordering::Relaxed);
                // Whoever began to need it is told that all is well.
                roster.anew();
            }
            () = docker.stale.notified() => roster.own_changed(),
            () = tokio::time::sleep(due) => roster.look(shared).await,
            event = events.next() => match event {
                Some(Ok(event)) => {
                    if let Some(happening) = happening_of(event) {
                        roster.hear(&happening);
                        let _nobody = docker.happenings.send(happening);
                    }
                }
                Some(Err(error)) => {
                    let why = match Failure::of(&error) {
                        Failure::Away(why) | Failure::Odd(why) => why,
                        Failure::Refused { message, .. } => message,
                    };
                    return (Reach::Absent { why: format!("{endpoint}: {why}") }, false);
                }
                None => return (Reach::Absent { why: format!("{endpoint}: it hung up") }, false),
            },
        }
    }
}

async fn heartbeat(client: &bollard::Docker) -> Result<(), String> {
    let options = ListContainersOptions { limit: Some(1), ..ListContainersOptions::default() };
    match tokio::time::timeout(ANSWER, client.list_containers(Some(options))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => match Failure::of(&error) {
            Failure::Away(why) => Err(why),
            // It answers.
            Failure::Refused { .. } | Failure::Odd(_) => Ok(()),
        },
        Err(_late) => Err(silence(ANSWER)),
    }
}

fn happening_of(event: EventMessage) -> Option<Happening> {
    let actor = event.actor?;
    let attributes = actor.attributes.unwrap_or_default();
    let action = event.action?;
    // Of every probe there are three.
    if action.starts_with("exec_") || action == "top" || action == "resize" {
        return None;
    }
    Some(Happening::Of { id: actor.id?, action, labels: labels::of_compose(&attributes) })
}
