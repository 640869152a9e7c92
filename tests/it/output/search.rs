//! What is looked for in stored output is found, each line once and in order, whatever form it is stored in and however little patience there is.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use cas::{
    model::{
        ids::ServiceId,
        log::{MAX_LINE_BYTES, Stream},
        redact::Redactor,
    },
    world::log_files::{
        read_lines,
        search::{Direction, Line, Place, Prefilter, Search, search},
    },
};
use regex::Regex;

use super::{
    asked::{Asked, PATIENT, Seen, is_found, pack, seen_of, stored_by_service},
    slot::{SlotWriter, id, of, slots},
};

/// Lines of all kinds on two streams, cut anywhere; runs that end within a line; holes; a clock that is set.
fn random_slot(dir: &Path, service: &str, random: &mut fastrand::Rng) -> SlotWriter {
    let mut web = SlotWriter::new(dir, service, random.u64(400..6000));
    if random.u32(0..8) == 0 {
        web.segment_bytes = 90_000;
    }
    let mut number = 0;
    for _ in 0..random.u32(20..150) {
        web.now_us += random.choice([0, 1, 1, 5, -40, 300]).unwrap() * 20_000;
        web.now_us = web.now_us.max(0);
        if random.u32(0..25) == 0 {
            web.run += 1;
        }
        let mut text = Vec::new();
        for _ in 0..random.u32(0..4) {
            number += 1;
            let body = match random.u32(0..60) {
                0..20 => "plain words here".to_owned(),
                20..29 => "x".repeat(random.usize(0..300)),
                29 => "over many segments ".repeat(random.usize(0..400)),
                30..36 => "\x1b[32mgre\x1b[0men\tand tab".to_owned(),
                36..42 => "ümläut 漢字".to_owned(),
                42..46 => "rewritten\rerror 503".to_owned(),
                46..50 => "status=404 timeout=1234".to_owned(),
                50 if web.segment_bytes > 50_000 => "z".repeat(random.usize(60_000..140_000)),
                _ => "error in a line".to_owned(),
            };
            text.extend(format!("{number} {body}").bytes());
            text.extend(random.choice(["\n", "\n", "\n", "\r\n", "\u{1}\n"]).unwrap().bytes());
            if random.u32(0..20) == 0 {
                text.extend([0xff, 0xfe, b'\n']);
            }
        }
        if random.u32(0..4) == 0 {
            text.extend(format!("{number} and ").bytes());
        }
        let stream = if random.u32(0..3) > 0 { Stream::Stdout } else { Stream::Stderr };
        if !text.is_empty() {
            web.write(stream, text);
            if random.u32(0..20) == 0 {
                web.dropped(77);
            }
            if random.u32(0..30) == 0 {
                web.bytes(b"nobody said whose\n");
            }
        }
    }
    if random.bool() {
        web.exit();
    }
    web
}

/// Packs some of the closed segments as this version does, some as earlier ones did; some lose their index or are gone.
fn store_in_all_forms(web: &SlotWriter, random: &mut fastrand::Rng) {
    let newest = web.end().segment;
    if newest == 0 {
        return;
    }
    let old = SystemTime::now() - Duration::from_mins(1);
    for number in 1..=newest {
        File::options().write(true).open(web.path("log", number)).unwrap().set_modified(old).unwrap();
        if number == newest {
            break;
        }
        match random.u32(0..12) {
            0 => fs::remove_file(web.path("idx", number)).unwrap(),
            1 if random.bool() => web.delete(number),
            2..4 => web.compress(number),
            _ => {}
        }
    }
    pack(web, random.u64(1..=newest), random.choice([300, 1000, 1 << 20]).unwrap());
}

fn random_question(random: &mut fastrand::Rng, last_us: i64) -> Asked {
    let pattern = [
        None,
        Some("error"),
        Some("(?i)ERROR in"),
        Some(r"^\d+ (plain|error)"),
        Some(r"\b[45]\d\d\b.*timeout=\d{4,}"),
        Some("green  *and"),
        Some("here$"),
        Some(r"\A1\d* "),
        Some(r"[^a-z]503"),
        Some("漢|z{40}"),
        Some(r"nobody\s"),
        Some("x*"),
        Some("never to be found"),
    ];
    let pattern = random.choice(pattern).unwrap().map(str::to_owned);
    let mut instant = || (random.u32(0..3) == 0).then(|| random.i64(0..last_us + 1_000_000));
    let (since_us, until_us) = (instant(), instant());
    Asked {
        direction: if random.bool() { Direction::Backward } else { Direction::Forward },
        pattern,
        has_prefilter: random.u32(0..4) > 0,
        since_us,
        until_us,
        lines: random.choice([1, 2, 7, 50, 1000, usize::MAX]).unwrap(),
        near: 0,
        patience: if random.u32(0..3) == 0 { Duration::ZERO } else { PATIENT },
        threads: random.usize(1..4),
    }
}

#[test]
fn what_stands_near_what_is_found_comes_with_it_and_no_line_twice() {
    for seed in 0..8 {
        let mut random = fastrand::Rng::with_seed(seed);
        let dir = tempfile::tempdir().unwrap();
        let names = &["api", "db"][..random.usize(1..=2)];
        for name in names {
            let web = random_slot(dir.path(), name, &mut random);
            store_in_all_forms(&web, &mut random);
        }
        let all = stored_by_service(dir.path(), names);
        for question in 0..40 {
            let asked = Asked {
                near: random.usize(1..6),
                lines: random.choice([1, 2, 7, 50]).unwrap(),
                since_us: None,
                until_us: None,
                ..random_question(&mut random, 0)
            };
            let context = format!("seed {seed}, question {question}, {asked:?}");
            let meant = Asked { near: 0, lines: usize::MAX, ..asked.clone() }.naively(&all);
            let mut bounds: BTreeMap<ServiceId, Option<u64>> = all.keys().map(|id| (id.clone(), None)).collect();
            let mut seen: Vec<Seen> = Vec::new();
            loop {
                let found = asked.ask(dir.path(), &bounds);
                seen.extend(seen_of(&found.batches));
                bounds = found.reached.into_iter().map(|(id, seq)| (id, Some(seq))).collect();
                if found.is_complete {
                    break;
                }
            }
            seen.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
            assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "twice: {context}");
            for line in &meant {
                assert!(seen.contains(line), "{line:?} is not found: {context}");
            }
            let is_near = |line: &Seen| {
                meant.iter().any(|meant| meant.0 == line.0 && meant.1.abs_diff(line.1) <= asked.near as u64)
            };
            assert!(seen.iter().all(is_near), "{context}");
        }
    }
}

#[test]
fn of_one_part_all_that_stands_near_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 1 << 30);
    for number in 0..100 {
        let word = if number == 30 || number == 34 || number == 99 { "needle" } else { "hay" };
        web.write(Stream::Stdout, format!("{number} {word}\n").as_bytes());
    }
    for (direction, lines, numbers) in [
        (Direction::Backward, 9, [27..38, 96..100]),
        (Direction::Backward, 1, [0..0, 96..100]),
        (Direction::Forward, 9, [27..38, 96..100]),
        (Direction::Forward, 1, [27..31, 0..0]),
    ] {
        for has_prefilter in [true, false] {
            let asked = Asked { direction, lines, near: 3, has_prefilter, ..Asked::of("needle") };
            let found = asked.ask(dir.path(), &BTreeMap::from([(id("web"), None)]));
            let given: Vec<u64> = seen_of(&found.batches).iter().map(|line| line.1).collect();
            assert_eq!(given, numbers.clone().into_iter().flatten().collect::<Vec<u64>>(), "{asked:?}");
        }
    }
}

#[test]
fn a_thousand_searches_find_what_a_reader_of_everything_finds() {
    for seed in 0..15 {
        let mut random = fastrand::Rng::with_seed(seed);
        let dir = tempfile::tempdir().unwrap();
        let names = &["api", "db", "web"][..random.usize(1..=3)];
        let mut last_us = 0;
        for name in names {
            let web = random_slot(dir.path(), name, &mut random);
            store_in_all_forms(&web, &mut random);
            last_us = last_us.max(web.now_us);
        }
        let all = stored_by_service(dir.path(), names);
        for question in 0..70 {
            let asked = random_question(&mut random, last_us);
            is_found(dir.path(), &all, &asked, &format!("seed {seed}, question {question}, {asked:?}"));
        }
    }
}

/// Numbered lines of three services, of which each has some that stand out; packed but for the newest of each.
fn three_services(dir: &Path) -> BTreeMap<ServiceId, Vec<Seen>> {
    let names = ["api", "db", "web"];
    for (place, name) in names.into_iter().enumerate() {
        let mut web = SlotWriter::new(dir, name, 700_000);
        let mut random = fastrand::Rng::with_seed(place as u64);
        for number in 0..25_000 {
            // Each is silent for a while.
            web.now_us += if number == 10_000 { 900_000_000 * i64::try_from(place).unwrap() } else { 0 };
            let rare = if number % 4_000 == 3_999 { "the rare one" } else { "nothing" };
            let text = format!("{number} {:x} {rare} {}\n", random.u64(..), "words of it ".repeat(random.usize(0..6)));
            web.write(if number % 10 == 0 { Stream::Stderr } else { Stream::Stdout }, text);
        }
        web.exit();
        pack(&web, web.end().segment, 1 << 20);
    }
    stored_by_service(dir, &names)
}

#[test]
fn what_is_rare_is_found_over_services_and_frames_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let all = three_services(dir.path());
    for (direction, lines, patience) in [
        (Direction::Backward, usize::MAX, PATIENT),
        (Direction::Forward, 4, PATIENT),
        (Direction::Backward, 3, PATIENT),
        (Direction::Backward, 1, Duration::ZERO),
        (Direction::Forward, 1, Duration::ZERO),
    ] {
        let asked = Asked { direction, lines, patience, ..Asked::of("the rare one") };
        assert_eq!(asked.naively(&all).len(), 18);
        is_found(dir.path(), &all, &asked, &format!("{asked:?}"));
    }
    is_found(dir.path(), &all, &Asked { lines: 20_000, ..Asked::all() }, "all lines");
}

#[test]
fn a_call_without_patience_takes_one_step_and_says_where_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let all = three_services(dir.path());
    let bounds: BTreeMap<_, _> = all.keys().map(|service| (service.clone(), None)).collect();
    let asked = Asked { patience: Duration::ZERO, threads: 1, ..Asked::of("not to be found") };
    let first = asked.ask(dir.path(), &bounds);
    assert!(!first.is_complete && first.batches.is_empty() && first.left_bytes > 0);
    assert!((1..2_000_000).contains(&first.looked_bytes), "{}", first.looked_bytes);
    assert_eq!(first.reached.len(), 3);
    let patient = asked.ask(dir.path(), &bounds).left_bytes;
    assert_eq!(patient, first.left_bytes);
    let whole = Asked { patience: PATIENT, ..asked }.ask(dir.path(), &bounds);
    assert!(whole.is_complete && whole.left_bytes == 0);
    assert!(whole.reached.values().all(|reached| *reached == 0), "{:?}", whole.reached);
}

#[test]
fn the_newest_hit_is_given_without_a_look_at_what_is_older() {
    let dir = tempfile::tempdir().unwrap();
    let all = three_services(dir.path());

    let looked_at = AtomicUsize::new(0);
    let found = search(&Search {
        places: vec![Place { service: id("web"), slot: dir.path().join("web"), bound: None }],
        direction: Direction::Backward,
        since_us: None,
        until_us: None,
        prefilter: None,
        accept: &|_| {
            looked_at.fetch_add(1, Ordering::Relaxed);
            true
        },
        lines: 1,
        near: 0,
        patience: PATIENT,
        threads: 1,
    });
    assert_eq!(seen_of(&found.batches), all[&id("web")][24_999..]);
    assert!(looked_at.into_inner() < 15_000, "only the newest segment");
    assert_eq!(found.reached, BTreeMap::from([(id("web"), 24_999)]));
    // And where nothing at all was written.
    fs::create_dir(dir.path().join("quiet")).unwrap();
    let nothing = Asked::all().ask(dir.path(), &BTreeMap::from([(id("quiet"), None), (id("none"), Some(7))]));
    assert!(nothing.is_complete && nothing.batches.is_empty());
    assert_eq!(nothing.reached, BTreeMap::from([(id("quiet"), 0), (id("none"), 0)]));
}

/// Damages the frame that is at about this part of an archive.
fn damage(web: &Path, segment: u64, part: f64) {
    let path = web.join(format!("log.{segment:06}.zst"));
    let mut bytes = fs::read(&path).unwrap();
    let at = (bytes.len() as f64 * part) as usize;
    bytes[at] ^= 0x40;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_frame_costs_its_lines_and_is_told_in_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let all = three_services(dir.path());
    let wanted = &all[&id("web")];
    damage(&dir.path().join("web"), 2, 0.2);
    let bounds = BTreeMap::from([(id("web"), None)]);
    for direction in [Direction::Backward, Direction::Forward] {
        let found = seen_of(&Asked { direction, ..Asked::all() }.ask(dir.path(), &bounds).batches);
        let told: Vec<&Seen> = found.iter().filter(|line| line.6.starts_with("[cas: ")).collect();
        assert!(told.len() == 1 && told[0].6.contains("the archive of segment 2 is damaged"), "{told:?}");
        // All others have their numbers.
        let missing = wanted.len() - (found.len() - 1);
        assert!((1000..9000).contains(&missing), "{missing}");
        assert!(
            found.iter().filter(|line| *line != told[0]).all(|line| *line == wanted[usize::try_from(line.1).unwrap()])
        );
        assert_eq!(usize::try_from(told[0].1).unwrap(), found.iter().position(|line| line == told[0]).unwrap());
    }
    let rare = seen_of(&Asked::of("the rare one").ask(dir.path(), &bounds).batches);
    assert!((3..6).contains(&rare.len()), "{rare:?}");
}

#[test]
fn time_ranges_and_bounds_leave_what_lies_outside_alone() {
    let dir = tempfile::tempdir().unwrap();
    let all = three_services(dir.path());
    let slot = dir.path().join("web");
    // What is outside is not even unpacked: it would be told.
    for part in [0.1, 0.3, 0.5, 0.7, 0.9] {
        damage(&slot, 1, part);
    }
    let from = &all[&id("web")][12_000];
    let bounds = BTreeMap::from([(id("web"), None)]);
    let since = Asked { since_us: Some(from.2), ..Asked::all() }.ask(dir.path(), &bounds);
    assert!(seen_of(&since.batches) == all[&id("web")][12_000..]);
    assert!(since.is_complete);
    let forward = Asked { direction: Direction::Forward, ..Asked::all() };
    let behind = forward.ask(dir.path(), &BTreeMap::from([(id("web"), Some(12_000))]));
    assert!(seen_of(&behind.batches) == all[&id("web")][12_000..]);
    assert_eq!(behind.reached, BTreeMap::from([(id("web"), 25_000)]));
    let until = Asked { until_us: Some(0), ..Asked::all() }.ask(dir.path(), &bounds);
    assert!(until.is_complete && until.batches.is_empty() && until.looked_bytes == 0);
}

#[test]
fn what_retention_deletes_meanwhile_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let all = three_services(dir.path());
    let slot = dir.path().join("db");
    let bounds = BTreeMap::from([(id("db"), None)]);
    let asked = Asked { lines: 100, ..Asked::all() };
    let first = asked.ask(dir.path(), &bounds);
    let reached: BTreeMap<_, _> = first.reached.into_iter().map(|(service, at)| (service, Some(at))).collect();
    for name in ["log.000001.zst", "idx.000001", "log.000002.zst", "idx.000002"] {
        fs::remove_file(slot.join(name)).unwrap();
    }
    // The engine has noted which number begins each segment.
    let oldest = read_lines(&slots(dir.path()), &of("db")).next().unwrap();
    // What the first says that ends there may have begun before.
    let number = all[&id("db")].iter().find(|line| line.6.ends_with(&oldest.text)).unwrap().1;
    fs::write(slot.join("seq"), format!("3 {number}\n")).unwrap();
    let rest = Asked::all().ask(dir.path(), &reached);
    let mut got = seen_of(&rest.batches);
    got.extend(seen_of(&first.batches));
    assert!(got[1..] == all[&id("db")][usize::try_from(number).unwrap() + 1..], "{} lines", got.len());
    assert!(rest.is_complete && rest.reached == BTreeMap::from([(id("db"), number)]));
}

#[test]
fn what_is_too_much_for_one_answer_comes_with_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 8 << 20);
    for number in 0..700_u32 {
        web.out(format!("{number} {}\n", "long ".repeat(MAX_LINE_BYTES / 5 - 4)));
    }
    web.exit();
    let all = stored_by_service(dir.path(), &["web"]);
    for direction in [Direction::Backward, Direction::Forward] {
        let asked = Asked { direction, ..Asked::all() };
        let mut bounds = BTreeMap::from([(id("web"), None)]);
        let (mut lines, mut calls) = (0, 0);
        loop {
            let found = asked.ask(dir.path(), &bounds);
            let bytes: usize = found.batches.iter().map(|batch| batch.text.len()).sum();
            assert!(bytes < 64 << 20, "{bytes} bytes in one answer");
            lines += seen_of(&found.batches).len();
            calls += 1;
            if found.is_complete {
                break;
            }
            bounds = found.reached.into_iter().map(|(service, at)| (service, Some(at))).collect();
        }
        assert_eq!(lines, all[&id("web")].len());
        assert!(calls > 1, "{calls}");
    }
}

#[test]
fn a_pattern_that_is_none_is_said_to_be_none() {
    assert!(Prefilter::new("a(b").unwrap_err().contains("unclosed group"));
    assert!(Prefilter::new(r"(?i)error.*\d{3}$").is_ok());
}

#[test]
fn what_is_hidden_in_a_line_decides_nothing_in_an_archive_either() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 100_000);
    for number in 0..3000 {
        let what = if number % 500 == 250 { format!("password=hunter{number}") } else { "nothing".to_owned() };
        web.out(format!("{number} words of it {what} and more\n"));
    }
    web.exit();
    pack(&web, web.end().segment, 10_000);
    let redactor = Arc::new(Redactor::default());
    let found = |pattern: &str| {
        let regex = Regex::new(pattern).unwrap();
        let accept = |line: &Line<'_>| regex.is_match(&redactor.text(line.text));
        let found = search(&Search {
            places: vec![Place { service: id("web"), slot: dir.path().join("web"), bound: None }],
            direction: Direction::Forward,
            since_us: None,
            until_us: None,
            prefilter: Some(Prefilter::new(pattern).unwrap().through(Arc::clone(&redactor))),
            accept: &accept,
            lines: usize::MAX,
            near: 0,
            patience: PATIENT,
            threads: 2,
        });
        seen_of(&found.batches).iter().map(|seen| seen.1).collect::<Vec<_>>()
    };
    let hidden: Vec<u64> = (0..6).map(|n| n * 500 + 250).collect();
    for pattern in [
        "redacted:pass",
        "it password=‹",
        "word› and",
        "hunter1750|acted:passw",
        "word=(hunter1750|.red)",
        r"it password=[^a-z]+\w+:password",
        r"\bwords.*word=\S+ and",
        r"^\d+ w(or)ds.+password=[^ ]{10,} and more$",
        r"words (\w+ )+password\b.*[^0-9] and",
        "(it|if) password=.r?e?d?.*more",
    ] {
        assert_eq!(found(pattern), hidden, "{pattern}");
    }
    assert!(found("hunter").is_empty());
    assert_eq!(found("^1750 words"), [1750]);
}
