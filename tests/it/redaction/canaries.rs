//! Canaries in every place where secrets are put, and every sink searched for them.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::{
    daemon::{daemon_pid, good, nothing_is_left, service},
    pty::terminal::{Project, Terminal},
    support::eventually,
};

use super::{get, live_until, sockets};

/// All canaries have this in them, or one of [`OTHERS`].
const SONG: &str = "CANARYqx";

/// Those that look otherwise: base64, a key of AWS, what is random alone, a part of a private key.
const OTHERS: [&str; 4] =
    ["Q0FOQVJZcXgx", "AKIACANARYQX18ZZZZZZ", "wJalrXUtnFEMI7K8MDENGbPxRfiCYzE4vQ2Lp9ZT", "MIIEowCANARY"];

/// What `web` writes, over and over.
const WRITES: &str = r#"
while :; do
cat <<END
01 env $DB_PASSWORD
02 env_file $FILE_TOKEN
03 dot env $DOT_KEY
04 opened with $SHOP_SECRET
05 called with $2
08 {"user":"bob","password":"CANARYqx08"}
09 GET /?access_token=CANARYqx09abc&page=1
10 postgres://shop:CANARYqx10@db/shop
11 Authorization: Bearer CANARYqx11.abc
16 form=$ENCODED
17 basic Q0FOQVJZcXgxNw==
18 AKIACANARYQX18ZZZZZZ
19 ghp_CANARYqx19abcdefghijklmnopqrstuv
20 eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.CANARYqx20
-----BEGIN RSA PRIVATE KEY-----
MIIEowCANARYqx21
-----END RSA PRIVATE KEY-----
22 xoxb-12345-CANARYqx22
23 sk_live_CANARYqx23abc
24 Cookie: session=CANARYqx24; theme=dark
25 apiKey: 'CANARYqx25'
26 run --token CANARYqx26
28 connecting with $URL_PASSWORD
29 wJalrXUtnFEMI7K8MDENGbPxRfiCYzE4vQ2Lp9ZT
30 plain words
END
echo "07 to stderr: $DB_PASSWORD" >&2
sleep 0.3
done
"#;

fn canary_project() -> Project {
    let project = Project::yaml("");
    project.write("web.sh", WRITES);
    project.write("job.sh", "echo '13 client_secret: CANARYqx13'; echo \"last: $DB_PASSWORD\" >&2; exit 1\n");
    project.write("ask.sh", "echo 'refused, password=CANARYqx12'; exit 1\n");
    project.write("shop.env", "FILE_TOKEN=CANARYqx02\nBASIC_TOKEN=CANARYqx17\n");
    project.write(".env", "DOT=CANARYqx03\n");
    let services = r"
  web:
    command: [sh, web.sh, --password, CANARYqx05]
    description: 'log in with password=CANARYqx15'
    env_file: shop.env
    environment:
      DB_PASSWORD: CANARYqx01
      DOT_KEY: '${DOT}'
      ENCODED: 'CANARYqx16%40x'
      ENCODED_PASS: 'CANARYqx16@x'
      DATABASE_URL: 'postgres://shop:CANARYqx28@db/shop'
      URL_PASSWORD: CANARYqx28
    healthcheck: {test: [CMD, sh, ask.sh, --token=CANARYqx14], interval: 200ms, retries: 1}
  job:
    command: [sh, job.sh, 'postgres://u:CANARYqx06@db/x']
    environment: {DB_PASSWORD: CANARYqx01}
    restart: 'no'
";
    project.write("cas.yaml", &project.yaml_of(services));
    project
}

fn is_clean(sink: &str, text: &str) {
    for song in OTHERS.iter().chain([&SONG]) {
        if let Some(at) = text.find(song) {
            let from = (0..=at.saturating_sub(120)).rev().find(|from| text.is_char_boundary(*from)).unwrap_or(0);
            panic!("{sink} sings {song}: …{}", text[from..].chars().take(300).collect::<String>());
        }
    }
}

pub(super) fn files_below(dir: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() { files_below(&path, found) } else { found.push(path) }
    }
}

#[test]
fn no_sink_sings() {
    let project = canary_project();
    let opened = project.cas(&["up", "--detach"], &[("SHOP_SECRET", "CANARYqx04")]);
    // Its job fails, as it may before it is waited for.
    assert!(String::from_utf8_lossy(&opened.stderr).contains("under care"), "{opened:?}");
    is_clean("cas up", &String::from_utf8_lossy(&opened.stderr));
    let output = || String::from_utf8_lossy(&project.cas(&["logs"], &[]).stdout).into_owned();
    // Twice, so that what is written after those words, and once more than once, is there too.
    eventually("it has written all", || output().matches("30 plain words").count() > 1);
    eventually("the job has failed", || service(&project, "job")["phase"] == "failed");
    eventually("the probe has failed", || service(&project, "web")["health"] == "unhealthy");

    let mut sinks = 0;
    let mut clean = |sink: &str, text: &str, marks: usize| {
        is_clean(sink, text);
        assert!(text.matches("‹redacted:").count() >= marks, "{sink} has shown too little: {text}");
        sinks += 1;
    };
    for (arguments, marks) in [
        (&["status"][..], 0),
        (&["status", "--json"], 1),
        (&["check"], 0),
        (&["check", "--json"], 2),
        (&["logs"], 25),
        (&["logs", "--json"], 25),
        (&["logs", "web", "-n", "40"], 25),
        (&["events"], 1),
        (&["events", "--json"], 3),
        (&["insight", "patterns", "--json"], 10),
        (&["graph"], 0),
        (&["daemon", "logs"], 0),
        (&["daemon", "status", "--json"], 0),
        (&["projects", "--json"], 0),
        (&["--read-only", "logs"], 20),
    ] {
        let ran = project.cas(arguments, &[]);
        let both = [ran.stdout, ran.stderr].concat();
        clean(&format!("cas {arguments:?}"), &String::from_utf8_lossy(&both), marks);
    }
    let [socket, shows] = sockets(&project);
    for (path, marks) in [
        ("/v1/snapshot", 3),
        ("/v1/services", 2),
        ("/v1/logs", 25),
        ("/v1/logs?since=1h", 25),
        ("/v1/logs?tail=1000", 25),
        ("/v1/entries", 2),
        ("/v1/patterns", 10),
        ("/v1/metrics", 0),
        ("/v1/daemon", 0),
    ] {
        clean(path, &get(&socket, path), marks);
        clean(&format!("read-only {path}"), &get(&shows, path), marks);
    }
    clean("/v1/live", &live_until(&socket, &["30 plain words", "snapshot"]), 20);

    let mut console = Terminal::open(&project);
    console.eventually("it shows the services", |screen| screen.is("job", "failed") && screen.shows("redacted"));
    console.type_keys("q");
    console.ends();
    clean("the console", &String::from_utf8_lossy(&console.raw()), 1);

    assert!(daemon_pid(&project).is_some());
    what_is_kept(&project, &mut clean);
    assert!(sinks > 37, "{sinks}");
    good(&project, &["daemon", "stop", "--down"]);
    nothing_is_left(&project);
}

/// What is on disk: clean, but for the output as it was written and what only the engine and the shims read; all of it their owner's alone.
fn what_is_kept(project: &Project, clean: &mut impl FnMut(&str, &str, usize)) {
    let state = project.environment().into_iter().find(|(name, _)| *name == "CAS_STATE_DIR").unwrap().1;
    let mut files = Vec::new();
    files_below(&state, &mut files);
    let mut raw = String::new();
    for file in &files {
        let name = file.strip_prefix(&state).unwrap().to_string_lossy().into_owned();
        if file.metadata().unwrap().file_type().is_file() {
            let bytes = fs::read(file).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            if name.starts_with("projects/") {
                let mode = file.metadata().unwrap().permissions().mode();
                assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
                if name.contains("/log.") {
                    raw.push_str(&text);
                }
            } else {
                clean(&name, &text, 0);
            }
        }
    }
    assert!(
        files.iter().any(|file| file.extension().is_some_and(|kind| kind == "db" || kind == "sqlite")),
        "{files:?}"
    );
    let places = [
        "01", "02", "03", "04", "05", "08", "09", "10", "11", "13", "16", "19", "20", "21", "22", "23", "24", "25",
        "26", "28",
    ];
    for place in places {
        assert!(raw.contains(&format!("{SONG}{place}")), "the output as it was written has lost {place}");
    }
    for other in OTHERS {
        assert!(raw.contains(other), "the output as it was written has lost {other}");
    }
}
