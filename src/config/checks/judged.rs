//! How the figures of checks are judged, and what is done where they are not well. Never: a threshold that its figure cannot pass.

use std::time::Duration;

use super::{
    super::{
        command::Surroundings,
        nature::amount,
        reader::{Fields, Reader},
        tree::Shape,
    },
    SHORTEST, line,
};
use crate::model::{
    exam::{Grade, Reads, Rule, Unit},
    own::{Fix, Mending, OwnCheck, Storage, Webhook, figures},
};

const COOLDOWN: Duration = Duration::from_mins(15);
const DAY: f64 = 86_400.0;

/// The rules of a check; none after an error.
pub(super) fn rules(reader: &mut Reader<'_>, fields: &Fields<'_>, name: &str, check: &OwnCheck) -> Option<Vec<Rule>> {
    let hint = "write a number, a share such as 80%, a size such as 1G or a time such as 5s";
    let is_share = ["warn", "critical"].into_iter().any(|key| {
        matches!(fields.get(key).map(|node| &node.shape), Some(Shape::Scalar { text, .. }) if text.trim().ends_with('%'))
    });
    let mut told = |key: &str| match fields.get(key) {
        Some(node) => reader.parsed(key, node, hint, amount).map(Some),
        None => Some(None),
    };
    let (warn, critical) = (told("warn")?, told("critical")?);
    let mut time = |key: &str| match fields.get(key) {
        Some(node) => reader.duration(key, node, SHORTEST).map(|time| Some(time.as_secs_f64())),
        None => Some(None),
    };
    let (within, oldest) = (time("within")?, time("oldest")?);
    let rule = |figure: &str, title: String, unit| Rule {
        name: figure.to_owned(),
        title,
        unit,
        reads: Reads::Value,
        warn,
        critical,
        below: false,
        advice: None,
    };
    let expires = |what: &str, usual: (f64, f64), advice: &str| Rule {
        warn: warn.or(Some(usual.0)),
        critical: critical.or(Some(usual.1)),
        below: true,
        advice: Some(advice.to_owned()),
        ..rule(figures::EXPIRES, format!("{name}: the {what} expires in"), Unit::Seconds)
    };
    Some(match check {
        OwnCheck::Certificate(_) => {
            vec![expires("certificate", (14.0 * DAY, 3.0 * DAY), "renew it, and reload whoever serves it")]
        }
        OwnCheck::Token(_) => vec![expires("token", (300.0, 0.0), "have a new one made")],
        OwnCheck::Webhook(_) => vec![
            Rule {
                warn: warn.or(Some(1.0)),
                critical: critical.or(Some(10.0)),
                advice: Some("see why the receiver refused them, then send them again (fix: replay)".to_owned()),
                ..rule(figures::FAILED, format!("{name}: failed deliveries"), Unit::Count)
            },
            Rule {
                warn: None,
                critical: None,
                ..rule(figures::LATENCY, format!("{name}: answered within"), Unit::Seconds)
            },
        ],
        OwnCheck::Echo { .. } => vec![rule(figures::LATENCY, format!("{name}: echoed within"), Unit::Seconds)],
        OwnCheck::Storage(storage) => storage_rules(storage, name, (warn, critical), is_share),
        OwnCheck::Fresh(_) => {
            if within.is_none() {
                let hint = "write within: 15m, the age from which on it is critical";
                reader.error(fields.at, format!("the check {name} has no within"), hint);
            }
            vec![Rule {
                critical: critical.or(within),
                advice: Some("see whether whoever writes it runs, and fill in what is missing".to_owned()),
                ..rule(figures::AGE, format!("{name}: the newest data is as old as"), Unit::Seconds)
            }]
        }
        OwnCheck::Queue(_) => vec![
            Rule {
                advice: Some("see whether its workers run and keep up".to_owned()),
                ..rule(figures::DEPTH, format!("{name}: waiting"), Unit::Count)
            },
            Rule {
                warn: None,
                critical: oldest,
                advice: Some("see whether its workers run, and whether one job holds the others up".to_owned()),
                ..rule(figures::OLDEST, format!("{name}: the oldest has waited"), Unit::Seconds)
            },
        ],
        OwnCheck::Figure(_) => {
            let below = fields.get("below").and_then(|node| reader.truth("below", node)).unwrap_or(false);
            let reads = if is_share { Reads::Share } else { Reads::Value };
            vec![Rule { reads, below, ..rule(figures::VALUE, name.to_owned(), Unit::Count) }]
        }
    })
}

fn storage_rules(
    storage: &Storage,
    name: &str,
    (warn, critical): (Option<f64>, Option<f64>),
    is_share: bool,
) -> Vec<Rule> {
    let written = warn.or(critical).is_some();
    let shared = storage.quota.is_some() && (is_share || !written);
    let size = Rule {
        name: figures::SIZE.to_owned(),
        title: format!("{name}: its files take"),
        unit: Unit::Bytes,
        reads: if shared { Reads::Share } else { Reads::Value },
        warn: warn.or((shared && !written).then_some(0.8)),
        critical: critical.or((shared && !written).then_some(0.95)),
        below: false,
        advice: Some("remove what is not needed, keep less (keep), or raise the quota".to_owned()),
    };
    let beyond = storage.keep.map(|_| Rule {
        name: figures::BEYOND.to_owned(),
        title: format!("{name}: files beyond what is kept"),
        unit: Unit::Count,
        reads: Reads::Value,
        warn: Some(1.0),
        critical: None,
        below: false,
        advice: Some("look at the list; fix: clean removes them".to_owned()),
    });
    std::iter::once(size).chain(beyond).collect()
}

/// What is done; none where nothing is, or after an error.
pub(super) fn mending(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    check: &OwnCheck,
    surroundings: Surroundings<'_>,
) -> Option<Mending> {
    let at = fields.get("fix_at").map(|node| {
        reader.parsed("fix_at", node, "write warn or critical", |text| match text {
            "warn" => Ok(Grade::Warning),
            "critical" => Ok(Grade::Critical),
            _ => Err("is neither warn nor critical".to_owned()),
        })
    });
    let cooldown = fields.get("cooldown").map(|node| reader.duration("cooldown", node, SHORTEST));
    let Some(node) = fields.get("fix") else {
        for key in ["fix_at", "cooldown"] {
            if let Some((key, _)) = fields.find(key) {
                reader.error(key.at, format!("{}: there is no fix", key.text), "write fix: command, or remove it");
            }
        }
        return None;
    };
    let word = matches!(node.shape, Shape::Scalar { .. }).then(|| reader.text("fix", node)).flatten();
    let fix = match word.as_deref().map(str::trim) {
        Some("replay") if matches!(check, OwnCheck::Webhook(Webhook { deadletter: Some(_), .. })) => Fix::Replay,
        Some("replay") => {
            let hint = "replay is for a webhook with a deadletter directory";
            reader.error(node.at, "fix: there is nothing to replay", hint);
            return None;
        }
        Some("clean") if matches!(check, OwnCheck::Storage(Storage { keep: Some(_), .. })) => Fix::Clean,
        Some("clean") => {
            let hint = "clean is for storage with keep: 30d, or keep: {newest: 10}";
            reader.error(node.at, "fix: nothing says what to clean", hint);
            return None;
        }
        _ => Fix::Run(line(reader, "fix", node, surroundings)?),
    };
    let usual = match fix {
        Fix::Run(_) => Grade::Critical,
        Fix::Replay | Fix::Clean => Grade::Warning,
    };
    Some(Mending { fix, at: at.flatten().unwrap_or(usual), cooldown: cooldown.flatten().unwrap_or(COOLDOWN) })
}
