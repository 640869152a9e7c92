//! Whatever services, files and names hold: where colour is not allowed no escape byte is written, and where it is, only SGR.

use std::sync::Arc;

use cas::{
    cli::{
        context::Zone,
        paint::Paint,
        render::{events, json_line, logs, reply, status},
    },
    model::{
        policy::{Origin, Plan, Risk},
        snapshot::{ServiceView, Snapshot},
        timeline::What,
    },
};
use proptest::prelude::*;

use super::fixture;

/// Text with everything in it that has ever moved a cursor.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\x1b[2J".to_owned()),
        Just("\x1b]0;title\x07".to_owned()),
        Just("\x1b]52;c;aGk=\x1b\\".to_owned()),
        Just("\x1b]8;;http://evil\x1b\\link".to_owned()),
        Just("\x1b[31mred".to_owned()),
        Just("\x1bP1$r\x1b\\".to_owned()),
        Just("\u{9b}31m\u{9d}0;x\u{9c}".to_owned()),
        Just("a\rb\x08\x00\x7f\t".to_owned()),
        Just("\u{202e}abc\u{2066}\u{200b}\u{feff}".to_owned()),
        Just("\x1b".to_owned()),
        "\\PC{0,8}",
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// Every form that there is, with `text` wherever text can stand.
fn everything(text: &str, paint: Paint) -> String {
    let why = text.replace(['\n', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'], " ");
    let mut snapshot = fixture::snapshot();
    let view = ServiceView { why: why.clone(), command: why.clone(), ..(*snapshot.services[0]).clone() };
    snapshot.services = vec![Arc::new(view)];
    snapshot.troubles.insert(cas::model::event::TroubleSlot::Store, why.clone());
    let mut shown = tables(&snapshot, paint);
    let trouble = fixture::entry(4, 4, "web", Origin::System, What::Trouble { text: why.clone() }, &why);
    let look = events::EventLook { name_width: 6, with_project: true, zone: Zone::Utc, paint };
    shown.push_str(&events::lines(&trouble, &look));
    shown.push_str(&json_line(&events::document(&trouble)));
    let plan =
        Plan { title: why.clone(), steps: vec![why.clone()], risk: Risk::Disruptive, fingerprint: 1, revision: 0 };
    shown.push_str(&reply::plan(&plan, paint));
    for form in [logs::Form::Text, logs::Form::Json] {
        let look = logs::LogLook {
            services: vec![fixture::id("web")],
            prefix: logs::Prefix::Service,
            timestamps: true,
            zone: Zone::Utc,
            paint,
            marks: Vec::new(),
            formats: Arc::new(cas::insight::entry::Formats::builtin()),
            files: Vec::new(),
            form,
        };
        let batch = fixture::batch("web", 0, &[&why]);
        logs::LogPrinter::new(look).line(&mut shown, &logs::OneLine::of(&batch, 0, batch.lines[0]));
    }
    shown
}

fn tables(snapshot: &Snapshot, paint: Paint) -> String {
    let ids = [fixture::id("web")];
    let mut shown = status::table(snapshot, &ids, paint, None);
    shown.push_str(&status::table(snapshot, &ids, paint, Some(80)));
    shown.push_str(&json_line(&status::document(snapshot, &ids, status::Pictured::ByEngine)));
    shown
}

fn is_forbidden(c: char) -> bool {
    (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn without_colour_not_one_escape_or_control_is_written(text in hostile()) {
        let shown = everything(&text, Paint::Plain);
        prop_assert!(!shown.contains(is_forbidden), "{:?}", shown);
    }

    #[test]
    fn with_colour_only_colours_are_written(text in hostile()) {
        let shown = everything(&text, Paint::Colour);
        let without = regex::Regex::new("\x1b\\[[0-9;:]*m").unwrap().replace_all(&shown, "").into_owned();
        prop_assert!(!without.contains(is_forbidden), "{:?}", without);
    }
}
