//! gRPC's health checking protocol: `grpc.health.v1.Health/Check` (<https://github.com/grpc/grpc/blob/master/doc/health-checking.md>) over HTTP/2
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
//!
//! The path of the target, or its option `service`, is the service that is asked for; none: the whole server. A password without a user is sent as
//! a bearer token, one with a user as `authorization: Basic …`.
//!
//! Never: calls any other method, or reads more than 64 KiB of an answer.

use h2::{RecvStream, client};
use tokio_tungstenite::tungstenite::http::{HeaderMap, Request, StatusCode, header};

use crate::{
    model::exam::{Grade, Measure, Reading, Target, Trouble},
    world::clock,
};

use super::{
    wire::{self, Connection},
    words,
};

const METHOD: &str = "/grpc.health.v1.Health/Check";
/// Most bytes of an answer, which has two.
const MOST_BYTES: usize = 64 * 1024;

/// `HealthCheckResponse.ServingStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Serving {
    Unknown,
    Yes,
    No,
}

struct Checked {
    serving: Serving,
    server: Option<String>,
    /// Seconds.
    latency: f64,
}

pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    let checked = check(target).await?;
    match checked.serving {
        Serving::Yes => Ok(()),
        Serving::Unknown | Serving::No => Err(Trouble::Unready(not_serving(target, checked.serving))),
    }
}

pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let checked = check(target).await?;
    let mut reading = Reading { server: checked.server, ..Reading::default() };
    reading.measure(Measure::new("latency", checked.latency));
    reading.measure(Measure::new("serving", if checked.serving == Serving::Yes { 1.0 } else { 0.0 }));
    match checked.serving {
        Serving::Yes => {}
        Serving::Unknown | Serving::No => {
            let advice = "see its log: the program itself has set this status";
            reading.remark("health", Grade::Critical, not_serving(target, checked.serving), Some(advice));
        }
    }
    Ok(reading)
}

fn service(target: &Target) -> String {
    target.options.get("service").cloned().unwrap_or_else(|| words::decoded(&target.path))
}

/// The service as people say it.
fn called(target: &Target) -> String {
    match service(target) {
        name if name.is_empty() => "the server as a whole".to_owned(),
        name => format!("service {}", words::said(&name)),
    }
}

fn not_serving(target: &Target, serving: Serving) -> String {
    let word = match serving {
        Serving::Unknown => "UNKNOWN",
        Serving::Yes => "SERVING",
        Serving::No => "NOT_SERVING",
    };
    format!("{} says of {}: {word}", target.place(), called(target))
}

async fn check(target: &Target) -> Result<Checked, Trouble> {
    let tcp = wire::connect_tcp(target).await?;
    let stream: Connection = if target.tls { wire::secure_for(tcp, target, &[b"h2"]).await? } else { Box::new(tcp) };
    let (client, connection) = client::Builder::new()
        .max_header_list_size(16 * 1024)
        .initial_window_size(65_535)
        .handshake::<_, bytes::Bytes>(stream)
        .await
        .map_err(|error| h2_trouble(&error, target))?;
    tokio::pin!(connection);
    tokio::select! {
        checked = exchange(client, target) => checked,
        ended = &mut connection => Err(match ended {
            Ok(()) => Trouble::Unreachable(format!("{} closed the connection without an answer", target.place())),
            Err(error) => h2_trouble(&error, target),
        }),
    }
}

async fn exchange(client: client::SendRequest<bytes::Bytes>, target: &Target) -> Result<Checked, Trouble> {
    let trouble = |error: h2::Error| h2_trouble(&error, target);
    let begun = clock::now();
    let mut client = client.ready().await.map_err(trouble)?;
    let (answer, mut sending) = client.send_request(request(target)?, false).map_err(trouble)?;
    sending.send_data(message(&service(target)).into(), true).map_err(trouble)?;
    let answer = answer.await.map_err(trouble)?;
    let (head, mut body) = answer.into_parts();
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if head.status != StatusCode::OK {
        return Err(http_trouble(head.status, target));
    }
    if !kind.starts_with("application/grpc") {
        let sentence = format!("{} speaks HTTP/2 and not gRPC: it answers with {}", target.place(), words::said(kind));
        return Err(Trouble::Foreign(sentence));
    }
    let bytes = read(&mut body, target).await?;
    // Without a body the status stands in the head ("trailers only").
    let trailers = body.trailers().await.map_err(trouble)?.unwrap_or_default();
    let status = status(&trailers, target).or_else(|| status(&head.headers, target));
    let Some((code, said)) = status else {
        return Err(Trouble::Foreign(format!("{} ends its answer without grpc-status", target.place())));
    };
    accepted(code, &said, target)?;
    let latency = words::seconds_since(begun);
    let serving = serving(&bytes)
        .ok_or_else(|| Trouble::Foreign(format!("{} answers the health check with other fields", target.place())))?;
    let server = head.headers.get(header::SERVER).and_then(|server| server.to_str().ok()).map(words::said);
    Ok(Checked { serving, server, latency })
}

fn request(target: &Target) -> Result<Request<()>, Trouble> {
    let scheme = if target.tls { "https" } else { "http" };
    let mut request = Request::post(format!("{scheme}://{}{METHOD}", target.place()))
        .header(header::TE, "trailers")
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::USER_AGENT, concat!("cas-probe/", env!("CARGO_PKG_VERSION")));
    if let Some(password) = &target.password {
        request = request.header(
            header::AUTHORIZATION,
            match &target.user {
                Some(user) => format!("Basic {}", words::base64(format!("{user}:{}", password.0).as_bytes())),
                None => format!("Bearer {}", password.0),
            },
        );
    }
    request.body(()).map_err(|error| Trouble::Refused(format!("{} cannot be asked: {error}", target.place())))
}

/// `HealthCheckRequest { string service = 1; }` behind the five bytes of a message that is not compressed.
fn message(service: &str) -> Vec<u8> {
    let mut fields = Vec::new();
    if !service.is_empty() {
        fields.push(0x0A);
        let mut length = service.len();
        while length > 0x7F {
            fields.push((length & 0x7F) as u8 | 0x80);
            length >>= 7;
        }
        fields.push(length as u8);
        fields.extend(service.bytes());
    }
    let length = u32::try_from(fields.len()).unwrap_or(u32::MAX);
    [&[0], length.to_be_bytes().as_slice(), &fields].concat()
}

/// `HealthCheckResponse { ServingStatus status = 1; }`; a status of 0 is left out on the wire.
fn serving(bytes: &[u8]) -> Option<Serving> {
    let (head, fields) = bytes.split_at_checked(5)?;
    let [compressed, a, b, c, d] = *head else { return None };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
    match (compressed, fields.get(..length)?) {
        (0, [] | [0x08, 0]) => Some(Serving::Unknown),
        (0, [0x08, 1]) => Some(Serving::Yes),
        // 3 is SERVICE_UNKNOWN, which only Watch says.
        (0, [0x08, 2 | 3]) => Some(Serving::No),
        _ => None,
    }
}

async fn read(body: &mut RecvStream, target: &Target) -> Result<Vec<u8>, Trouble> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.map_err(|error| h2_trouble(&error, target))?;
        if bytes.len() + chunk.len() > MOST_BYTES {
            return Err(Trouble::Foreign(format!("{} answers with more than {MOST_BYTES} bytes", target.place())));
        }
        bytes.extend_from_slice(&chunk);
        // Where the window is not given back there is nobody left who would care.
        let _window = body.flow_control().release_capacity(chunk.len());
    }
    Ok(bytes)
}

/// `grpc-status` and `grpc-message`, which is percent-encoded.
fn status(headers: &HeaderMap, target: &Target) -> Option<(u32, String)> {
    let code = headers.get("grpc-status")?.to_str().ok()?.parse().ok()?;
    let said = headers.get("grpc-message").and_then(|said| said.to_str().ok()).unwrap_or_default();
    Some((code, words::hushed(&words::decoded(said), target)))
}

/// Codes: <https://github.com/grpc/grpc/blob/master/doc/statuscodes.md>.
fn accepted(code: u32, said: &str, target: &Target) -> Result<(), Trouble> {
    let place = target.place();
    match code {
        0 => Ok(()),
        5 => {
            let called = called(target);
            Err(Trouble::Refused(format!(
                "{place} is alive, and its health service does not know {called} (NOT_FOUND)"
            )))
        }
        12 => Err(Trouble::Foreign(format!(
            "{place} speaks gRPC, so it is alive, but the health service (grpc.health.v1.Health) is not registered in it \
             (UNIMPLEMENTED): {said}"
        ))),
        7 => Err(Trouble::Refused(format!("{place} does not permit the health check (PERMISSION_DENIED): {said}"))),
        16 => {
            let key = format!("write check: grpc://:TOKEN@{place} in cas.yaml");
            Err(Trouble::Refused(format!("{place} wants to know who asks (UNAUTHENTICATED): {said}; {key}")))
        }
        8 => Err(Trouble::Busy(format!("{place} has too much to do (RESOURCE_EXHAUSTED): {said}"))),
        4 | 14 => Err(Trouble::Unready(format!("{place} cannot serve now (status {code}): {said}"))),
        _ => Err(Trouble::Unready(format!("{place} fails at the health check (status {code}): {said}"))),
    }
}

/// What a status of HTTP means: <https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>.
fn http_trouble(status: StatusCode, target: &Target) -> Trouble {
    let place = target.place();
    match status.as_u16() {
        401 | 403 => Trouble::Refused(format!("{place} refuses the health check: HTTP status {status}")),
        429 => Trouble::Busy(format!("{place} has too much to do: HTTP status {status}")),
        502..=504 => Trouble::Unready(format!("{place} cannot serve now: HTTP status {status}")),
        404 => Trouble::Foreign(format!("{place} speaks HTTP/2 and knows no {METHOD}: HTTP status {status}")),
        _ => Trouble::Foreign(format!("{place} does not answer as gRPC does: HTTP status {status}")),
    }
}

fn h2_trouble(error: &h2::Error, target: &Target) -> Trouble {
    let place = target.place();
    if let Some(io) = error.get_io() {
        // Whoever does not know HTTP/2 often closes at the sight of it; that cannot be told from a fall.
        let trouble = wire::broken(io, target);
        return if let (Trouble::Unreachable(why), false) = (&trouble, target.tls) {
            Trouble::Unreachable(format!("{why}; where it wants TLS, write grpcs://"))
        } else {
            trouble
        };
    }
    if error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR) {
        return Trouble::Unready(format!("{place} is shutting down (GOAWAY)"));
    }
    if error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM) || error.reason() == Some(h2::Reason::REFUSED_STREAM) {
        return Trouble::Busy(format!("{place} takes no more calls: {error}"));
    }
    Trouble::Foreign(format!("{place} does not speak HTTP/2: {error}"))
}

#[cfg(test)]
mod tests {
    use super::{Serving, message, serving};

    #[test]
    fn the_two_messages_are_written_and_read_as_protobuf_says() {
        assert_eq!(message(""), [0, 0, 0, 0, 0]);
        assert_eq!(message("ab"), [0, 0, 0, 0, 4, 0x0A, 2, b'a', b'b']);
        assert_eq!(message(&"x".repeat(300))[4..8], [47, 0x0A, 0xAC, 2]);
        assert_eq!(serving(&[0, 0, 0, 0, 2, 8, 1]), Some(Serving::Yes));
        assert_eq!(serving(&[0, 0, 0, 0, 2, 8, 2]), Some(Serving::No));
        assert_eq!(serving(&[0, 0, 0, 0, 0]), Some(Serving::Unknown));
        assert_eq!(serving(&[0, 0, 0, 0, 9, 8, 1]), None);
        assert_eq!(serving(&[0, 0, 0]), None);
    }
}
