//! An answer to *why*: short paragraphs for people, the document for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::paragraph;
use crate::{
    cli::{
        context::Zone,
        paint::{Paint, Tone},
        text::plain,
        when::rfc3339,
    },
    model::{
        standing::{clause, glyph},
        time::{Timestamp, short_duration},
        timeline::Severity,
        why::{Answer, Blamed, Happened, Next, Step},
    },
};

/// Columns before what happened: margin, time.
const STORY: usize = 12;

/// How it is written.
#[derive(Clone, Copy)]
struct Look {
    now: Timestamp,
    zone: Zone,
    paint: Paint,
    columns: Option<u16>,
}

/// Paragraphs: the answer, what led to it, whom it is up to, what comes next, what can be done.
#[must_use]
pub fn text(answer: &Answer, now: Timestamp, zone: Zone, paint: Paint, columns: Option<u16>) -> String {
    let look = Look { now, zone, paint, columns };
    let tone = Tone::of_grade(answer.grade);
    let head = format!("{} ", paint.text(tone, glyph(answer.grade)));
    let mut text = paragraph(&head, 2, &answer.headline, Tone::Strong, paint, columns);
    for because in &answer.because {
        text.push_str(&paragraph("  ", 2, because, Tone::Plain, paint, columns));
    }
    part(&mut text, "What led to it", &answer.led_to, look, happened);
    part(&mut text, "Whom it is up to", &answer.blame, look, blamed);
    part(&mut text, "What comes next", &answer.next, look, next);
    part(&mut text, "What you can do", &answer.can, look, step);
    text
}

fn part<T>(text: &mut String, heading: &str, things: &[T], look: Look, tell: impl Fn(&T, Look) -> String) {
    if things.is_empty() {
        return;
    }
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\n{}", look.paint.text(Tone::Strong, heading));
    for thing in things {
        text.push_str(&tell(thing, look));
    }
}

fn happened(happened: &Happened, look: Look) -> String {
    let Look { zone, paint, columns, .. } = look;
    let time = paint.text(Tone::Dim, &zone.show(happened.at.wall_us, "%H:%M:%S"));
    let tone = match happened.severity {
        Severity::Info | Severity::Good => Tone::Plain,
        loud @ (Severity::Warning | Severity::Error) => Tone::of_severity(loud),
    };
    let who = happened.service.as_ref().map_or_else(String::new, |id| format!("{}: ", id.service));
    let sentence = format!("{who}{} ({})", happened.told(), happened.who);
    let mut text = paragraph(&format!("  {time}  "), STORY, &sentence, tone, paint, columns);
    for line in &happened.lines {
        let head = format!("{}{} ", " ".repeat(STORY), paint.text(Tone::Dim, "│"));
        text.push_str(&paragraph(&head, STORY + 2, line, Tone::Dim, paint, columns));
    }
    text
}

fn blamed(blamed: &Blamed, look: Look) -> String {
    let head = format!("  {} ", look.paint.text(Tone::of_grade(blamed.grade), glyph(blamed.grade)));
    let sentence = format!("{} {}: {}", blamed.service.service, clause(blamed.word), blamed.sentence);
    paragraph(&head, 4, &sentence, Tone::Plain, look.paint, look.columns)
}

/// `the healer starts it again, try 3 (at 10:00:05, in 2 s)`.
fn next(next: &Next, look: Look) -> String {
    let when = next.at.map_or_else(String::new, |at| {
        let clock = look.zone.show(at.wall_us, "%H:%M:%S");
        if at.mono_us > look.now.mono_us {
            format!(" (at {clock}, in {})", short_duration(at.since(look.now)))
        } else {
            format!(" (at {clock})")
        }
    });
    paragraph("  ", 2, &format!("{}{when}", next.text), Tone::Plain, look.paint, look.columns)
}

fn step(step: &Step, look: Look) -> String {
    let mut text = paragraph("  ", 2, &step.what, Tone::Plain, look.paint, look.columns);
    if let Some(command) = &step.command {
        let _ = writeln!(text, "      {}", look.paint.text(Tone::Moving, &format!("cas {}", plain(command))));
    }
    text
}

/// `{"answers": […], "at"}`.
#[must_use]
pub fn document(answers: &[Answer], now: Timestamp) -> Value {
    json!({ "answers": answers.iter().map(answer_json).collect::<Vec<_>>(), "at": rfc3339(now.wall_us) })
}

fn answer_json(answer: &Answer) -> Value {
    let led_to: Vec<Value> = answer
        .led_to
        .iter()
        .map(|happened| {
            json!({
                "at": rfc3339(happened.at.wall_us),
                "service": happened.service.as_ref().map(ToString::to_string),
                "who": happened.who,
                "severity": happened.severity,
                "sentence": happened.sentence,
                "why": happened.why,
                "times": happened.times,
                "lines": happened.lines,
            })
        })
        .collect();
    let blame: Vec<Value> = answer
        .blame
        .iter()
        .map(|blamed| {
            json!({
                "service": blamed.service.to_string(),
                "word": blamed.word,
                "grade": blamed.grade.label(),
                "sentence": blamed.sentence,
            })
        })
        .collect();
    let next: Vec<Value> = answer
        .next
        .iter()
        .map(|next| json!({ "text": next.text, "at": next.at.map(|at| rfc3339(at.wall_us)) }))
        .collect();
    let can: Vec<Value> = answer.can.iter().map(|step| json!({ "what": step.what, "command": step.command })).collect();
    json!({
        "subject": answer.subject,
        "grade": answer.grade.label(),
        "headline": answer.headline,
        "because": answer.because,
        "led_to": led_to,
        "blame": blame,
        "next": next,
        "can": can,
    })
}
