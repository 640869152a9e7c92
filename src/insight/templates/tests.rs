use super::{Miner, Settings, State, TemplateId, mask::mask};

fn masked(line: &str) -> String {
    let mut out = Vec::new();
    mask(line.as_bytes(), &mut out);
    String::from_utf8_lossy(&out).replace('\u{1}', "<*>")
}

fn learnt(lines: &[&str]) -> Vec<String> {
    let mut miner = Miner::new(Settings::default());
    let ids: Vec<TemplateId> = lines.iter().map(|line| miner.learn(line.as_bytes())).collect();
    miner.settle();
    ids.into_iter().map(|id| miner.template(id).text()).collect()
}

fn is_one(lines: &[&str], template: &str) {
    let found = learnt(lines);
    assert!(found.iter().all(|text| text == template), "{found:#?}");
}

fn are_apart(lines: &[&str]) {
    let mut found = learnt(lines);
    found.sort();
    found.dedup();
    assert_eq!(found.len(), lines.len(), "{found:#?}");
}

#[test]
fn numbers_are_values_with_sign_point_and_unit() {
    assert_eq!(masked("took 5 of -17 at +0.27, 41C 64172MB 0x1f 1e9"), "took <*> of <*> at <*>, <*> <*> <*> <*>");
    assert_eq!(masked("Finished task 3.0 in stage 0.0 (TID 3)."), "Finished task <*> in stage <*> (TID <*>).");
}

#[test]
fn addresses_are_values_with_their_ports() {
    assert_eq!(masked("from 10.0.0.1:5432 to /10.250.19.102:54106"), "from <*> to <*>");
    assert_eq!(masked("addr 2607:f140:6000:8:c6b3:1ff:fecd:467f via 5c:50:15:36:bc:03"), "addr <*> via <*>");
    assert_eq!(masked("v6(en0:2607:f140:6000:8:c6b3:1ff:fecd:467f)"), "v6(en0:<*>)");
    assert_eq!(masked("db.example.com:5432 and node-4:8080 of me@example.com"), "<*> and <*> of <*>");
}

#[test]
fn keys_hashes_and_ids_are_values() {
    assert_eq!(masked("[instance: b9000564-fe1a-409b-b8cc-1e88b294cd1d] gone"), "[instance: <*>] gone");
    assert_eq!(masked("commit deadbeef01 of attempt_1445144423722_0020_m_000000_0"), "commit <*> of <*>");
    assert_eq!(masked("Deleting blk_-160899968 and blk_160899968"), "Deleting <*> and <*>");
}

#[test]
fn paths_and_urls_are_values_and_go_on_as_far_as_they_do() {
    assert_eq!(masked("open /etc/httpd/conf/w2.properties failed"), "open <*> failed");
    assert_eq!(masked(r"with Core: C:\Windows\winsxs\amd64_x\cbscore.dll"), "with Core: <*>");
    assert_eq!(masked("GET https://a.example/x?y=1&z=2, then"), "GET <*>, then");
    assert_eq!(masked("\"GET /v2/servers/detail?all=True HTTP/1.1\" status: 200"), "\"GET <*>\" status: <*>");
    assert_eq!(masked("dest path:/var/cores//[2017-07-03_16,27,09.3]-a=b.xml, x"), "dest path:<*>, x");
    assert_eq!(masked("source path:/var/log/x, and/or hi/lo"), "source path:<*>, and/or hi/lo");
}

#[test]
fn times_in_several_words_are_one_value() {
    assert_eq!(masked("at Fri Jul 15 22:35:37 2005 from"), "at <*> from");
    assert_eq!(masked("status=M Fri Jul 01 08:16:53 PDT 2005"), "status=M <*>");
    assert_eq!(masked("from 2017-05-16 05:00:00 to 2017-05-16 06:00:00,123."), "from <*> to <*>.");
    assert_eq!(masked("May I come in, Mar"), "May I come in, Mar");
}

#[test]
fn truth_nothing_and_root_are_values() {
    assert_eq!(masked("enterQuietMode(true) ws=null for user root"), "enterQuietMode(<*>) ws=<*> for user <*>");
    assert_eq!(masked("the rooted truth"), "the rooted truth");
}

#[test]
fn names_keep_what_is_no_value_in_them() {
    assert_eq!(masked("Slf4jLogger started on node-246"), "Slf4jLogger started on node-<*>");
    assert_eq!(masked("ib_sm_sweep.c:1455 jetty-6.1.26 core.2275"), "ib_sm_sweep.c:<*> jetty-<*> core.<*>");
    assert_eq!(masked("memory:10240, vCores:-17"), "memory:<*>, vCores:<*>");
}

#[test]
fn less_than_a_second_is_a_duration_and_a_tag_stays_a_tag() {
    assert_eq!(masked("lifetime <1 sec"), "lifetime <*> sec");
    assert_eq!(masked("IOThunderboltSwitch<0>(0x0)"), "IOThunderboltSwitch<<*>>(<*>)");
}

#[test]
fn a_list_of_any_length_is_one_template() {
    is_one(
        &["ask 1.2.3.4:1 to copy to 1.1.1.1:2 1.1.1.1:3", "ask 1.2.3.4:1 to copy to 1.1.1.1:2"],
        "ask <*> to copy to <*>",
    );
    is_one(&["report 1 2 3", "report 4 5 6"], "report <*> <*> <*>");
}

#[test]
fn units_differ_within_one_template() {
    is_one(&["size 5.2 KB, free 1.0 MB", "size 877 B, free 838 KB"], "size <*>, free <*>");
    is_one(&["size 5.2 KB", "size 8 KB"], "size <*> KB");
    is_one(
        &["x close, 0 bytes sent, lifetime 00:01", "x close, 1165 bytes (1.13 KB) sent, lifetime <1 sec"],
        "x close, <*> sent, lifetime <*>",
    );
}

#[test]
fn names_become_values_when_there_are_three() {
    is_one(
        &["Opened unit a.service now", "Opened unit b.service now", "Opened unit c.socket now"],
        "Opened unit <*> now",
    );
    are_apart(&["Opened unit a.service now", "Opened unit b.service now"]);
}

#[test]
fn words_become_values_when_there_are_five() {
    let lines = ["Invalid user chen from 1.2.3.4", "Invalid user oracle from 1.2.3.4", "Invalid user ftp from 1.2.3.4"];
    are_apart(&lines);
    let more = [&lines[..], &["Invalid user guest from 1.2.3.4", "Invalid user web from 1.2.3.4"]].concat();
    is_one(&more, "Invalid user <*> from <*>");
}

#[test]
fn a_word_beside_a_value_is_a_value() {
    is_one(
        &["Failed password for root from 1.2.3.4", "Failed password for fztu from 1.2.3.4"],
        "Failed password for <*> from <*>",
    );
}

#[test]
fn what_stands_before_an_equals_sign_is_never_a_value() {
    let keys = ["os.name", "host.name", "java.version", "user.home", "java.io.tmpdir", "user.dir", "java.vendor"];
    let lines: Vec<String> = keys.iter().map(|key| format!("Server environment:{key}=/x/y")).collect();
    are_apart(&lines.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn different_messages_of_one_form_stay_apart_however_often_they_come() {
    let states = ["running", "normal", "blocked", "critical", "starting", "closing"];
    are_apart(&states);
    let mut miner = Miner::new(Settings::default());
    for _ in 0..1000 {
        for interface in ["ee.a", "alt.b", "scip.c"] {
            miner.learn(format!("node has a network connection via interface {interface}").as_bytes());
        }
    }
    miner.settle();
    assert!(miner.templates().len() == 3, "{:?}", miner.templates());
}

#[test]
fn a_template_that_was_merged_leads_to_the_one_that_stayed() {
    let mut miner = Miner::new(Settings::default());
    let ids: Vec<TemplateId> =
        ["a.b", "c.d", "e.f"].iter().map(|name| miner.learn(format!("Opened unit {name} now").as_bytes())).collect();
    assert!(ids.iter().all(|id| miner.resolve(*id) == *id));
    miner.settle();
    assert!(ids.iter().all(|id| miner.resolve(*id) == ids[0]));
    assert_eq!(miner.template(ids[2]).count(), 3);
    assert_eq!(miner.template(ids[2]).example(), "Opened unit a.b now");
    assert_eq!(miner.learn(b"Opened unit anything now"), ids[0]);
}

/// Words that no mask takes for a value.
fn word(mut number: u64) -> String {
    let mut word = String::from("x");
    loop {
        word.push(char::from(b'a' + (number % 26) as u8));
        number /= 26;
        if number == 0 {
            return word;
        }
    }
}

#[test]
fn a_million_distinct_templates_stay_within_bounds_and_every_line_is_counted() {
    let settings = Settings { templates: 64, cache: 1024, ..Settings::default() };
    let mut miner = Miner::new(settings);
    let mut last = TemplateId::REST;
    for number in 0..1_000_000_u64 {
        // Words that are ever new, and of many forms, so that nothing has a reason to be merged.
        let line = format!("{}{}{}", word(number * 7919), &",;=|()[]:  "[..(number % 11) as usize], word(number));
        last = miner.learn(line.as_bytes());
    }
    assert!(
        miner.templates.len() <= 64 && miner.places.len() <= 64,
        "{} {}",
        miner.templates.len(),
        miner.places.len()
    );
    assert!(miner.merged.len() <= 1024 && miner.cache.len() <= 1024);
    assert_eq!(miner.templates().iter().map(|template| template.count()).sum::<u64>(), 1_000_000);
    assert_eq!(miner.resolve(TemplateId(1)), TemplateId::REST, "what was forgotten is part of the rest");
    assert!(miner.template(last).count() > 0);
}

#[test]
fn what_is_used_survives_a_storm_of_what_is_not() {
    let mut miner = Miner::new(Settings { templates: 64, ..Settings::default() });
    let kept = miner.learn(b"session opened for somebody");
    for number in 0..10_000_u64 {
        miner.learn(format!("{} {}", word(number * 104_729), "x ".repeat((number % 9) as usize)).as_bytes());
        assert_eq!(miner.resolve(kept), kept);
        miner.learn(b"session opened for somebody");
    }
    assert_eq!(miner.template(kept).count(), 10_001);
    assert_eq!(miner.template(kept).text(), "session opened for somebody");
}

#[test]
fn a_line_of_a_megabyte_is_one_short_template() {
    let mut miner = Miner::new(Settings::default());
    for line in
        [vec![b'x'; 1 << 20], b"a b ".repeat(1 << 18), b"1,".repeat(1 << 19), b"[".repeat(1 << 20), vec![0xFF; 1 << 20]]
    {
        let id = miner.learn(&line);
        let template = miner.template(id);
        assert!(template.line.len() <= 2048 && template.tokens.len() <= 160 && template.example().len() <= 1024);
        assert_eq!(template.count(), 1);
    }
}

#[test]
fn empty_lines_and_white_space_are_one_template() {
    is_one(&["", "  ", "\t", "\r"], "");
}

#[test]
fn bytes_that_are_no_text_are_taken_as_they_are() {
    let mut miner = Miner::new(Settings::default());
    let id = miner.learn(b"caf\xE9 \xFF\xFE\x00\x01 open 5");
    assert_eq!(miner.template(id).text(), "caf\u{FFFD} \u{FFFD}\u{FFFD} open <*>");
    is_one(&["größe 5 überschritten", "größe 7 überschritten"], "größe <*> überschritten");
}

fn mixed() -> Vec<String> {
    (0..3000_u64)
        .map(|number| match number % 7 {
            0 => format!("Invalid user {} from 10.0.0.{}", word(number % 90), number % 250),
            1 => format!("unit {}.service entered state {}", word(number % 400), number % 3),
            2 => format!("{} {} {}", word(number), word(number * 3), word(number * 11)),
            3 => format!("took {} ms, {} KB", number, number * 2),
            _ => format!("connection {} closed", number % 5),
        })
        .collect()
}

#[test]
fn the_same_lines_give_the_same_templates() {
    let all = |lines: &[String]| {
        let mut miner = Miner::new(Settings { templates: 128, ..Settings::default() });
        let ids: Vec<TemplateId> = lines.iter().map(|line| miner.learn(line.as_bytes())).collect();
        miner.settle();
        (ids, miner.templates().iter().map(|one| (one.id(), one.count(), one.text())).collect::<Vec<_>>())
    };
    let lines = mixed();
    assert_eq!(all(&lines), all(&lines));
}

#[test]
fn what_was_kept_goes_on_as_if_nothing_had_happened() {
    let lines = mixed();
    let (before, after) = lines.split_at(1500);
    let mut miner = Miner::new(Settings::default());
    let ids: Vec<TemplateId> = before.iter().map(|line| miner.learn(line.as_bytes())).collect();
    miner.settle();
    let kept = serde_json::to_string(&miner.state()).unwrap();
    let mut again = Miner::restore(Settings::default(), &serde_json::from_str::<State>(&kept).unwrap());
    assert_eq!(again.state(), miner.state());
    assert!(ids.iter().all(|id| again.resolve(*id) == miner.resolve(*id)));
    for line in after {
        let (one, other) = (miner.learn(line.as_bytes()), again.learn(line.as_bytes()));
        assert_eq!(miner.template(one).text(), again.template(other).text());
    }
    miner.settle();
    again.settle();
    assert_eq!(again.state(), miner.state());
}

#[test]
fn a_state_that_somebody_has_spoilt_is_taken_as_far_as_it_goes() {
    let mut miner = Miner::new(Settings::default());
    for line in mixed() {
        miner.learn(line.as_bytes());
    }
    let mut spoilt = serde_json::to_value(miner.state()).unwrap();
    spoilt["merged"] = serde_json::json!([[1, 2], [2, 1], [7, 7]]);
    spoilt["next"] = serde_json::json!(0);
    spoilt["templates"][0]["columns"] = serde_json::json!([["\u{1}", ", \u{1}"], ["", ""], ["x".repeat(70_000), ""]]);
    spoilt["templates"][1]["columns"] = serde_json::json!([]);
    spoilt["templates"][2] = spoilt["templates"][3].clone();
    let lines: u64 = spoilt["templates"].as_array().unwrap().iter().map(|one| one["count"].as_u64().unwrap()).sum();
    let mut again =
        Miner::restore(Settings { templates: 40, ..Settings::default() }, &serde_json::from_value(spoilt).unwrap());
    assert_eq!(again.templates().iter().map(|one| one.count()).sum::<u64>(), lines);
    for line in mixed() {
        let id = again.learn(line.as_bytes());
        assert!(again.resolve(id).number() < again.next);
    }
}
