//! `healthcheck` as a readiness probe. What is not said is as Docker has it.

use std::{sync::Arc, time::Duration};

use super::{
    item::{Form, Item},
    keys,
    values::Values,
};
use crate::{
    config::import::Told,
    model::{
        probe::{Check, Probe},
        service::CommandLine,
    },
};

/// Docker's interval and timeout.
const HALF_A_MINUTE: Duration = Duration::from_secs(30);
/// Docker's retries.
const RETRIES: u32 = 3;

/// The probe; none where there is none, or it is turned off.
pub(super) fn read(values: &mut Values, item: &Arc<Item>) -> Option<Told<Probe>> {
    if !values.keys("healthcheck", item, &keys::HEALTHCHECK) {
        return None;
    }
    let mut duration = |key: &str, default: Duration| {
        let said = item.get(key).and_then(|item| values.duration(&format!("healthcheck.{key}"), item));
        said.filter(|said| !said.is_zero()).unwrap_or(default)
    };
    let interval = duration("interval", HALF_A_MINUTE);
    let timeout = duration("timeout", HALF_A_MINUTE);
    let start_period = duration("start_period", Duration::ZERO);
    let retries = item.get("retries").and_then(|item| values.number("healthcheck.retries", item));
    let retries = retries.filter(|retries| *retries > 0).unwrap_or(RETRIES);
    if item.get("disable").and_then(|item| values.truth("healthcheck.disable", item)) == Some(true) {
        return None;
    }
    let Some(test) = item.get("test") else {
        let message = format!("healthcheck: {} is not carried over: the image alone knows the test", item.quote());
        values.notes.lost_because(item.source(), message);
        return None;
    };
    let command = command(values, test)?;
    let probe = Probe {
        check: Check::Exec(command),
        interval,
        timeout,
        retries,
        successes: 1,
        start_period,
        heals: true,
        honest: true,
    };
    Some(test.told(probe))
}

fn command(values: &mut Values, test: &Arc<Item>) -> Option<CommandLine> {
    let Form::List(_) = &test.form else {
        return values.text("healthcheck.test", test).map(CommandLine::Shell);
    };
    let mut words = values.words("healthcheck.test", test)?;
    match words.first().map(String::as_str) {
        Some("NONE") => None,
        Some("CMD") if words.len() > 1 => {
            words.remove(0);
            Some(CommandLine::Argv(words))
        }
        Some("CMD-SHELL") if words.len() > 1 => {
            if words.len() > 2 {
                // Docker hands what follows to the shell as its arguments, where no line looks for it.
                let message = format!("healthcheck.test: {} is not carried over beyond its second entry", test.quote());
                values.notes.lost_because(test.source(), message);
            }
            Some(CommandLine::Shell(words.remove(1)))
        }
        first => {
            let begins = first.map_or("is empty".to_owned(), |first| format!("begins with \"{first}\""));
            let hint = "one of: [CMD, program, argument …], [CMD-SHELL, line], [NONE]";
            values.notes.error(test.source(), format!("healthcheck.test: the list {begins}"), hint);
            None
        }
    }
}
