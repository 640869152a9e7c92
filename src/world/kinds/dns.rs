//! DNS: a question over UDP, over TCP where the answer is cut, over TLS where the target says so (RFC 1035:
//! <https://www.rfc-editor.org/rfc/rfc1035>, RFC 7858 for TLS).
//!
//! Options of the target: `name` (what is asked for; none: `localhost`, which every resolver knows by RFC 6761) and `type` (`A`, `AAAA`, `NS`, `MX`,
//! `TXT`, `SOA`, `SRV`, `CNAME`, `PTR`; none: `A`). With a name of one's own, an answer without records is not good.
//!
//! Never: asks more than it must; a question is repeated twice where nothing comes back.

mod packet;

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UdpSocket,
    time::timeout,
};

use crate::{
    model::exam::{Grade, Measure, Reading, Target, Trouble},
    world::clock,
};

use super::{
    wire::{self, Connection},
    words,
};
use packet::{Answer, Class, Kind, Question};

/// How long an answer may take before the question is repeated.
const PATIENCE: Duration = Duration::from_millis(1500);
const TRIES: usize = 3;
/// Addresses of a name that are tried one after the other.
const MOST_ADDRESSES: usize = 4;
/// Questions of one look.
const ROUNDS: u16 = 3;

/// What dnsmasq tells of its cache (<https://thekelleys.org.uk/dnsmasq/docs/dnsmasq-man.html>, section NOTES).
const COUNTERS: [(&str, &str); 5] = [
    ("cache-size", "cachesize.bind"),
    ("cache-insertions", "insertions.bind"),
    ("cache-evictions", "evictions.bind"),
    ("cache-misses", "misses.bind"),
    ("cache-hits", "hits.bind"),
];

pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    let question = asked(target)?;
    let answer = ask(target, &question).await?;
    judge(target, &question, &answer)
}

pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let question = asked(target)?;
    let mut reading = Reading::default();
    let (mut all, mut failed, mut slowest, mut last) = (0.0, 0.0, 0.0_f64, None);
    for _ in 0..ROUNDS {
        let begun = clock::now();
        let answer = ask(target, &question).await?;
        let took = words::seconds_since(begun);
        all += took;
        slowest = slowest.max(took);
        match judge(target, &question, &answer) {
            Ok(()) => {}
            Err(Trouble::Refused(why)) => return Err(Trouble::Refused(why)),
            Err(trouble) => {
                failed += 1.0;
                last = Some(trouble.to_string());
            }
        }
    }
    reading.measure(Measure::new("latency", all / f64::from(ROUNDS)));
    reading.measure(Measure::new("latency-slowest", slowest));
    let failures = Measure::new("failures", failed / f64::from(ROUNDS));
    if let Some(why) = last {
        reading.measure(failures.about(why.clone()));
        reading.remark("answers", Grade::Critical, why, Some("see whom it asks itself, and its log"));
    } else {
        reading.measure(failures);
    }
    tell_about_itself(target, &mut reading).await;
    Ok(reading)
}

/// Version and counters, which many servers keep to themselves: whatever is not told is left out.
async fn tell_about_itself(target: &Target, reading: &mut Reading) {
    reading.server = chaos(target, "version.bind").await.filter(|text| !text.is_empty());
    if !reading.server.as_deref().is_some_and(|version| version.starts_with("dnsmasq")) {
        return;
    }
    for (measure, name) in COUNTERS {
        if let Some(value) = chaos(target, name).await.and_then(|text| text.parse::<f64>().ok()) {
            reading.measure(Measure::new(measure, value));
        }
    }
}

/// The first text of a name in the class CHAOS.
async fn chaos(target: &Target, name: &str) -> Option<String> {
    let question = Question::new(name, Kind::Txt, Class::Chaos).ok()?;
    let answer = ask(target, &question).await.ok()?;
    (answer.code == 0).then_some(answer.text).flatten().map(|text| words::said_bytes(&text))
}

/// The question that the target's options make.
fn asked(target: &Target) -> Result<Question, Trouble> {
    let name = target.options.get("name").map_or("localhost", String::as_str);
    let kind = match target.options.get("type") {
        None => Kind::A,
        Some(word) => Kind::parse(word).ok_or_else(|| {
            let known = Kind::ALL.map(Kind::label).join(", ");
            Trouble::Refused(format!("the option type={} is not known: one of {known}", words::said(word)))
        })?,
    };
    Question::new(name, kind, Class::Internet)
        .map_err(|why| Trouble::Refused(format!("the option name={} is no name: {why}", words::said(name))))
}

/// Codes: RFC 1035, section 4.1.1, and RFC 6895, section 2.3.
fn judge(target: &Target, question: &Question, answer: &Answer) -> Result<(), Trouble> {
    let (place, what) = (target.place(), question.words());
    let own = target.options.contains_key("name");
    match answer.code {
        0 if answer.records == 0 && own => Err(Trouble::Unready(format!("{place} knows the name and has no {what}"))),
        0 => Ok(()),
        3 if own => Err(Trouble::Unready(format!("{place} says that there is no {what} (NXDOMAIN)"))),
        3 => Ok(()),
        1 => Err(Trouble::Foreign(format!("{place} does not understand the question for {what} (FORMERR)"))),
        2 => {
            let sentence = format!("{place} cannot answer the question for {what} (SERVFAIL): see whom it asks itself");
            Err(Trouble::Unready(sentence))
        }
        4 => Err(Trouble::Foreign(format!("{place} does not answer questions (NOTIMP)"))),
        5 => {
            let hint = if own { "" } else { "; name one that it serves: check: dns://HOST?name=example.org" };
            Err(Trouble::Refused(format!("{place} refuses to answer for {what} (REFUSED){hint}")))
        }
        code => Err(Trouble::Unready(format!("{place} answers the question for {what} with code {code}"))),
    }
}

async fn ask(target: &Target, question: &Question) -> Result<Answer, Trouble> {
    if target.tls {
        return ask_stream(wire::connect(target).await?, target, question).await;
    }
    let answer = ask_udp(target, question).await?;
    if answer.is_cut {
        let stream = wire::connect_tcp(target).await?;
        return ask_stream(Box::new(stream), target, question).await;
    }
    Ok(answer)
}

fn number() -> u16 {
    // Answers are also known by their question and by who sends them: the socket is connected.
    (clock::now().mono_us & 0xFFFF) as u16
}

async fn ask_udp(target: &Target, question: &Question) -> Result<Answer, Trouble> {
    let unknown = || Trouble::Unreachable(format!("host {} cannot be found", target.host));
    let addresses = tokio::net::lookup_host((target.host.as_str(), target.port)).await.map_err(|_| unknown())?;
    let mut last = unknown();
    for address in addresses.take(MOST_ADDRESSES) {
        match ask_address(address, target, question).await {
            Err(Trouble::Unreachable(why)) => last = Trouble::Unreachable(why),
            answer => return answer,
        }
    }
    Err(last)
}

async fn ask_address(address: SocketAddr, target: &Target, question: &Question) -> Result<Answer, Trouble> {
    let place = target.place();
    let from = if address.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let broken = |error: io::Error| {
        if error.kind() == io::ErrorKind::ConnectionRefused {
            Trouble::Unreachable(format!("nothing listens on {place} (UDP)"))
        } else {
            wire::broken(&error, target)
        }
    };
    let socket = UdpSocket::bind(from).await.map_err(broken)?;
    socket.connect(address).await.map_err(broken)?;
    let number = number();
    let packet = question.packet(number);
    let mut strange = false;
    let mut buffer = vec![0; 4096];
    for _ in 0..TRIES {
        socket.send(&packet).await.map_err(broken)?;
        let begun = clock::now();
        while let Ok(got) = timeout(PATIENCE.saturating_sub(clock::now().since(begun)), socket.recv(&mut buffer)).await
        {
            match Answer::read(&buffer[..got.map_err(broken)?], number, question) {
                Some(answer) => return Ok(answer),
                // Somebody else's, or nobody's who knows DNS: the right one may follow.
                None => strange = true,
            }
        }
        if strange {
            return Err(Trouble::Foreign(format!("{place} (UDP) answers, and not as DNS does")));
        }
    }
    Err(Trouble::Unreachable(format!("{place} (UDP) answers none of {TRIES} questions")))
}

/// A question with its length before it (RFC 1035, section 4.2.2).
async fn ask_stream(mut stream: Connection, target: &Target, question: &Question) -> Result<Answer, Trouble> {
    let number = number();
    let packet = question.packet(number);
    let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
    let exchange = async {
        stream.write_all(&[&length.to_be_bytes(), packet.as_slice()].concat()).await?;
        stream.flush().await?;
        let length = stream.read_u16().await?;
        wire::exactly(&mut stream, usize::from(length), usize::from(u16::MAX)).await
    };
    let bytes = exchange.await.map_err(|error| wire::broken(&error, target))?;
    Answer::read(&bytes, number, question)
        .ok_or_else(|| Trouble::Foreign(format!("{} answers, and not as DNS does", target.place())))
}
