//! SMTP: a greeting, a login where credentials are given, and a good-bye. RFC 5321 (<https://www.rfc-editor.org/rfc/rfc5321>), STARTTLS by RFC 3207
//! (<https://www.rfc-editor.org/rfc/rfc3207>), AUTH by RFC 4954 (<https://www.rfc-editor.org/rfc/rfc4954>).
//!
//! Never: sends a mail, names a sender or a recipient, or shows a password to a wire that others can read (it goes over TLS or to this machine only).

use std::net::IpAddr;

use tokio::{
    io::{AsyncBufRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::{
    model::exam::{Grade, Measure, Reading, Target, Trouble},
    world::clock,
};

use super::{
    wire::{self, Connection, Duplex},
    words,
};

/// Most bytes of a line: RFC 5321 says 512, servers say more.
const MOST_LINE: usize = 4096;
/// Most lines of an answer.
const MOST_LINES: usize = 100;

/// An answer: its code and its lines without it.
struct Reply {
    code: u16,
    lines: Vec<String>,
}

impl Reply {
    fn text(&self, target: &Target) -> String {
        words::hushed(&format!("{} {}", self.code, self.lines.join(" ")), target)
    }
}

/// What the server offers (EHLO's lines, in capitals).
#[derive(Default)]
struct Offers(Vec<String>);

impl Offers {
    /// The words behind a keyword; none where it is not offered.
    fn of(&self, keyword: &str) -> Option<Vec<&str>> {
        self.0.iter().find_map(|line| {
            // "AUTH=LOGIN" is an old way to write it.
            let mut words = line.split([' ', '=']);
            (words.next() == Some(keyword)).then(|| words.collect())
        })
    }
}

/// A session that was greeted, and logged in where credentials are given.
struct Session {
    stream: BufReader<Connection>,
    banner: Reply,
    offers: Offers,
    /// Seconds from the connection to the end of the greeting.
    greeted: f64,
}

pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    let mut session = open(target).await?;
    noop(&mut session.stream, target).await?;
    quit(&mut session.stream, target).await
}

pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let mut session = open(target).await?;
    let latency = noop(&mut session.stream, target).await?;
    quit(&mut session.stream, target).await?;
    let mut reading = Reading::default();
    let banner = session.banner.lines.first().cloned().unwrap_or_default();
    // The name of the host stands first (section 4.2).
    let product = banner.split_once(' ').map_or(banner.as_str(), |(_host, product)| product);
    reading.server = Some(words::said(product));
    reading.measure(Measure::new("latency", latency));
    reading.measure(Measure::new("greeting", session.greeted));
    // SIZE without a figure, or with 0, is no limit (RFC 1870).
    let size = session.offers.of("SIZE").and_then(|words| words.first()?.parse::<f64>().ok());
    if let Some(size) = size.filter(|size| *size > 0.0) {
        reading.measure(Measure::new("max-size", size));
    }
    if !target.tls && session.offers.of("STARTTLS").is_none() && !is_loopback(&target.host) {
        let advice = "give it a certificate, so that mails and passwords do not travel in the clear";
        reading.remark("starttls", Grade::Notice, "it does not offer STARTTLS", Some(advice));
    }
    Ok(reading)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

async fn open(target: &Target) -> Result<Session, Trouble> {
    let begun = clock::now();
    if target.tls {
        let mut stream = BufReader::new(wire::connect(target).await?);
        let banner = greeting(&mut stream, target).await?;
        let offers = hello(&mut stream, target).await?;
        let greeted = words::seconds_since(begun);
        log_in(&mut stream, target, &offers, true).await?;
        return Ok(Session { stream, banner, offers, greeted });
    }
    let mut plain = BufReader::new(wire::connect_tcp(target).await?);
    let banner = greeting(&mut plain, target).await?;
    let offers = hello(&mut plain, target).await?;
    let greeted = words::seconds_since(begun);
    let local = is_loopback(&target.host);
    let must_hide = target.password.is_some() && !(local && offers.of("AUTH").is_some());
    if must_hide && offers.of("STARTTLS").is_some() {
        let mut stream = start_tls(plain, target).await?;
        let inside = hello(&mut stream, target).await?;
        log_in(&mut stream, target, &inside, true).await?;
        return Ok(Session { stream, banner, offers, greeted });
    }
    let boxed: Connection = Box::new(plain);
    let mut stream = BufReader::new(boxed);
    log_in(&mut stream, target, &offers, local).await?;
    Ok(Session { stream, banner, offers, greeted })
}

async fn start_tls(mut plain: BufReader<TcpStream>, target: &Target) -> Result<BufReader<Connection>, Trouble> {
    let answer = ask(&mut plain, target, "STARTTLS").await?;
    expect(&answer, 220, "STARTTLS", target)?;
    if !plain.buffer().is_empty() {
        // What came before the handshake may come from anybody.
        let sentence = format!("{} says more than it should before TLS begins", target.place());
        return Err(Trouble::Foreign(sentence));
    }
    Ok(BufReader::new(wire::secure(plain.into_inner(), target).await?))
}

async fn greeting<R: AsyncBufRead + Unpin>(stream: &mut R, target: &Target) -> Result<Reply, Trouble> {
    let banner = reply(stream, target).await?;
    expect(&banner, 220, "the connection", target)?;
    Ok(banner)
}

/// EHLO, or HELO where that is not known.
async fn hello<S: Duplex + AsyncBufRead>(stream: &mut S, target: &Target) -> Result<Offers, Trouble> {
    let answer = ask(stream, target, "EHLO cas.localhost").await?;
    if answer.code == 250 {
        let offers = answer.lines.iter().skip(1).map(|line| line.trim().to_ascii_uppercase());
        return Ok(Offers(offers.collect()));
    }
    if (500..=502).contains(&answer.code) {
        let answer = ask(stream, target, "HELO cas.localhost").await?;
        expect(&answer, 250, "HELO", target)?;
        return Ok(Offers::default());
    }
    expect(&answer, 250, "EHLO", target)?;
    Ok(Offers::default())
}

async fn log_in<S>(stream: &mut S, target: &Target, offers: &Offers, hidden: bool) -> Result<(), Trouble>
where
    S: Duplex + AsyncBufRead,
{
    let Some(password) = &target.password else { return Ok(()) };
    let place = target.place();
    let Some(ways) = offers.of("AUTH") else {
        let sentence = format!("{place} takes no login, and a password was given: write the check without one");
        return Err(Trouble::Refused(sentence));
    };
    if !hidden {
        let sentence =
            format!("the password is not sent to {place}, as it would travel in the clear: it offers no STARTTLS");
        return Err(Trouble::Refused(sentence));
    }
    let user = target.user.as_deref().unwrap_or_default();
    let answer = if ways.contains(&"PLAIN") {
        let secret = words::base64(format!("\0{user}\0{}", password.0).as_bytes());
        ask(stream, target, &format!("AUTH PLAIN {secret}")).await?
    } else if ways.contains(&"LOGIN") {
        let first = ask(stream, target, "AUTH LOGIN").await?;
        expect(&first, 334, "AUTH LOGIN", target)?;
        let second = ask(stream, target, &words::base64(user.as_bytes())).await?;
        expect(&second, 334, "AUTH LOGIN", target)?;
        ask(stream, target, &words::base64(password.0.as_bytes())).await?
    } else {
        let ways = words::said(&ways.join(" "));
        return Err(Trouble::Refused(format!("{place} takes no password in a way that is known here, only {ways}")));
    };
    if matches!(answer.code, 535 | 534 | 538 | 501 | 504) {
        let (user, text) = (words::said(user), answer.text(target));
        return Err(Trouble::Refused(format!("{place} refuses user {user} with the password it was given: {text}")));
    }
    expect(&answer, 235, "the login", target)
}

/// NOOP; how long it took, in seconds.
async fn noop<S: Duplex + AsyncBufRead>(stream: &mut S, target: &Target) -> Result<f64, Trouble> {
    let begun = clock::now();
    let answer = ask(stream, target, "NOOP").await?;
    expect(&answer, 250, "NOOP", target)?;
    Ok(words::seconds_since(begun))
}

async fn quit<S: Duplex + AsyncBufRead>(stream: &mut S, target: &Target) -> Result<(), Trouble> {
    match ask(stream, target, "QUIT").await {
        Ok(answer) => expect(&answer, 221, "QUIT", target),
        // Some close at once; all was said before.
        Err(Trouble::Unreachable(_)) => Ok(()),
        Err(trouble) => Err(trouble),
    }
}

async fn ask<S: AsyncBufRead + AsyncWrite + Unpin>(
    stream: &mut S,
    target: &Target,
    line: &str,
) -> Result<Reply, Trouble> {
    let written = async {
        stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        stream.flush().await
    };
    written.await.map_err(|error| wire::broken(&error, target))?;
    reply(stream, target).await
}

/// Lines of `250-…` up to one of `250 …` (section 4.2.1).
async fn reply<R: AsyncBufRead + Unpin>(stream: &mut R, target: &Target) -> Result<Reply, Trouble> {
    let mut lines = Vec::new();
    let mut first_code = None;
    for _ in 0..MOST_LINES {
        let line = wire::line(stream, MOST_LINE).await.map_err(|error| wire::broken(&error, target))?;
        let code = line.get(..3).filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()));
        let code = code.and_then(|code| code.parse::<u16>().ok()).filter(|code| (200..600).contains(code));
        let more = line.get(3..4).unwrap_or(" ");
        match code {
            Some(code) if *first_code.get_or_insert(code) == code && (more == " " || more == "-") => {
                lines.push(line.get(4..).unwrap_or_default().to_owned());
                if more == " " {
                    return Ok(Reply { code, lines });
                }
            }
            _ => {
                let said = words::hushed(&line, target);
                return Err(Trouble::Foreign(format!("{} does not speak SMTP: it says \"{said}\"", target.place())));
            }
        }
    }
    Err(Trouble::Foreign(format!("{} answers with more than {MOST_LINES} lines", target.place())))
}

/// What a code means where another one was wanted (section 4.2.3).
fn expect(answer: &Reply, wanted: u16, to: &str, target: &Target) -> Result<(), Trouble> {
    let (place, text) = (target.place(), answer.text(target));
    match answer.code {
        code if code == wanted => Ok(()),
        421 if text.to_ascii_lowercase().contains("connections") || text.contains("too many") => {
            Err(Trouble::Busy(format!("{place} takes no more connections: {text}")))
        }
        421 => Err(Trouble::Unready(format!("{place} does not serve now: {text}"))),
        400..=499 => Err(Trouble::Busy(format!("{place} cannot answer {to} now: {text}"))),
        530 | 534 | 535 | 538 | 550 => Err(Trouble::Refused(format!("{place} refuses {to}: {text}"))),
        554 | 521 => Err(Trouble::Refused(format!("{place} takes no mail from here: {text}"))),
        _ => Err(Trouble::Foreign(format!("{place} answers {to} with {text}"))),
    }
}
