//! Any bytes, and whole files that were damaged: an answer, soon.

use std::{fs, path::Path, time::Duration};

use proptest::{prelude::*, sample::Index};

use super::{FORMATS, corpus::manifest, imported};
use cas::world::clock;

/// Every importer on one text, each within a second.
fn survives(text: &str) {
    for (format, name, import) in FORMATS {
        let names: &[&str] = match *format {
            "pm2" => &["ecosystem.config.js", "process.json"],
            "noted" => &["Tiltfile", "skaffold.yaml"],
            _ => &[*name],
        };
        for name in names {
            let before = clock::now();
            let beside = [(".env", text), (".foreman", text), ("process-compose.yaml", text)];
            let given = imported(*import, name, text, &beside);
            let took = clock::now().since(before);
            assert!(took < Duration::from_secs(1), "{format} took {took:?}");
            assert!(given.notes.len() <= 2500, "{format}: {} notes", given.notes.len());
            for note in &given.notes {
                assert!(note.source.line > 0 && note.source.column > 0 && note.source.file.starts_with("/shop"));
            }
        }
    }
}

fn whole_texts() -> Vec<String> {
    let files = FORMATS.iter().flat_map(|(format, ..)| manifest(format));
    files.map(|(file, _)| fs::read_to_string(Path::new(&file)).unwrap()).filter(|text| text.len() < 8000).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        survives(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_signs_of_the_formats_give_an_answer(text in "([\\[\\]{}()%$@:=\\-\"'`\\\\,;#*&!|<>/. \n\ta-cx0-9]|module\\.exports = |apps: |procs: |processes:\n |\\[program:a\\]\n|\\[Service\\]\nExecStart=|command=|%\\(|\\$\\{){0,80}") {
        survives(&text);
    }

    #[test]
    fn damaged_files_give_an_answer(which in any::<Index>(), cut in any::<Index>(), from in any::<Index>(), put in "[\\[\\]{}%$:=\"'\\\\\n\t *&-]{0,4}") {
        let texts = whole_texts();
        let mut signs: Vec<char> = texts[which.index(texts.len())].chars().collect();
        let at = cut.index(signs.len().max(1));
        let end = (at + from.index(12)).min(signs.len());
        signs.splice(at.min(end)..end, put.chars());
        survives(&signs.into_iter().collect::<String>());
    }
}

#[test]
fn nesting_and_repetition_do_not_blow_up() {
    for text in [
        "[".repeat(100_000),
        "module.exports = ".to_owned() + &"[".repeat(100_000),
        "module.exports = ".to_owned() + &"(".repeat(100_000),
        "module.exports = ".to_owned() + &"`${".repeat(100_000),
        "[program:a]\nnumprocs=4000000000\nprocess_name=%(process_num)099999999d\ncommand=a".to_owned(),
        "[include]\nfiles=".to_owned() + &"*/".repeat(5_000),
        "a: &a [x]\n".to_owned() + &"b: [*a,*a,*a]\n".repeat(1000),
        "[Service]\nExecStart=".to_owned() + &"\\\n".repeat(50_000),
        "processes: {a: {extends: b}, b: {extends: a}}".to_owned(),
        "const a = [1];\n".to_owned()
            + &(0..60).map(|_| "const a = [a, a];\n").collect::<String>()
            + "module.exports = a",
    ] {
        survives(&text);
    }
}
