//! `RabbitMQ`: AMQP 0-9-1 for whether it serves, its management API (where it is there) for how it is.
//!
//! Options of the target: `management` (port of the management API, by default AMQP's plus 10000), `queues` (names joined by commas, asked over AMQP
//! itself where the management API does not answer). The path is the virtual host; none: `/`, and figures of all of them.
//!
//! Never: publishes, consumes or declares anything (queues are declared passively, which only asks for them).

mod amqp;
mod management;

use crate::model::exam::{Grade, Measure, Reading, Target, Trouble};

use super::words;

/// Most queues that are asked for by name.
const MOST_NAMED: usize = 100;

const HOW_TO_ENABLE: &str = "run rabbitmq-plugins enable rabbitmq_management (image: a tag with -management), or name queues: check: \
                             amqp://HOST:5672/VHOST?queues=a,b; another port of it: ?management=PORT";

pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    amqp::Session::open(target).await?.close().await
}

pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let port = words::port_option(target, "management").map_err(Trouble::Refused)?;
    let mut reading = Reading::default();
    let mut session = amqp::Session::open(target).await?;
    reading.server = Some(session.product.clone());
    let answered = match management_port(target, port) {
        Some(port) => management::look(&Target { port, ..target.clone() }, &mut reading).await,
        None => Err(Trouble::Unreachable("no port of a management API is known".to_owned())),
    };
    match answered {
        Ok(()) => {}
        Err(Trouble::Refused(why)) => {
            let advice = "give it the right to look: rabbitmqctl set_user_tags USER monitoring";
            reading.remark(
                "management",
                Grade::Warning,
                format!("the management API lets nobody in: {why}"),
                Some(advice),
            );
        }
        Err(Trouble::Unreachable(why) | Trouble::Foreign(why) | Trouble::Unready(why) | Trouble::Busy(why)) => {
            let sentence = format!("only AMQP tells how it is, as the management API does not answer: {why}");
            reading.remark("management", Grade::Notice, sentence, Some(HOW_TO_ENABLE));
        }
    }
    if let Some(names) = target.options.get("queues") {
        named_queues(&mut session, names, &mut reading).await?;
    }
    if let Some(reason) = session.blocked.take() {
        let advice = "publishers are held back until memory or disk is free: consume, purge, or raise the watermark";
        reading.remark("alarm", Grade::Critical, format!("it blocks connections: {reason}"), Some(advice));
    }
    session.close().await?;
    Ok(reading)
}

/// Where the management API is looked for.
fn management_port(target: &Target, told: Option<u16>) -> Option<u16> {
    told.or_else(|| target.port.checked_add(10_000))
}

/// Depth and consumers of queues by name, over AMQP, where the management API has not said them already.
async fn named_queues(session: &mut amqp::Session, names: &str, reading: &mut Reading) -> Result<(), Trouble> {
    let mut deepest: Option<(u32, String)> = None;
    let (mut consumers, mut unconsumed) = (0, Vec::new());
    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()).take(MOST_NAMED) {
        match session.queue(name).await? {
            amqp::Queue::Is { messages, consumers: here } => {
                consumers += here;
                if messages > 0 && here == 0 {
                    unconsumed.push(words::said(name));
                }
                if deepest.as_ref().is_none_or(|(most, _)| messages > *most) {
                    deepest = Some((messages, words::said(name)));
                }
            }
            amqp::Queue::Not(why) => {
                let sentence = format!("queue {} cannot be looked at: {why}", words::said(name));
                reading.remark("queue", Grade::Warning, sentence, Some("see that it is declared, and spelled so"));
            }
        }
    }
    if reading.measures.iter().any(|measure| measure.name == "queue-depth") {
        return Ok(());
    }
    if let Some((messages, name)) = deepest {
        reading.measure(Measure::new("queue-depth", f64::from(messages)).about(format!("queue {name}")));
        reading.measure(Measure::new("consumers", f64::from(consumers)));
        let measure = Measure::new("unconsumed-queues", unconsumed.len() as f64);
        reading.measure(if unconsumed.is_empty() {
            measure
        } else {
            measure.about(words::said(&unconsumed.join(", ")))
        });
    }
    Ok(())
}
