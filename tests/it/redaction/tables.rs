//! What is taken for a secret and what is not, line by line.

use std::{collections::BTreeMap, sync::Arc};

use cas::model::{
    ids::RunId,
    log::{LogBatch, LogLine, Source, Stream},
    redact::{Masks, Passage, Redactor, Secrets},
};
use regex::{Regex, RegexSet};

fn knowing(environment: &[(&str, &str)]) -> Redactor {
    let environment: BTreeMap<String, String> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut secrets = Secrets::default();
    secrets.learn_environment(&environment);
    Redactor::of(&secrets)
}

#[test]
fn values_named_in_the_text_are_redacted() {
    let redactor = Redactor::default();
    for (line, shown) in [
        ("password=hunter2", "password=‹redacted:password›"),
        ("db_password: hunter2 user: bob", "db_password: ‹redacted:password› user: bob"),
        (r#"{"user":"bob","password":"a \"b\" c","n":1}"#, r#"{"user":"bob","password":"‹redacted:password›","n":1}"#),
        (r#"{\"apiKey\":\"abc\",\"n\":1}"#, r#"{\"apiKey\":\"‹redacted:key›\",\"n\":1}"#),
        ("run --api-key abc123 --verbose", "run --api-key ‹redacted:key› --verbose"),
        (r#"["--token", "abc123", "-v"]"#, r#"["--token", "‹redacted:token›", "-v"]"#),
        ("GET /x?access_token=abc123&page=2", "GET /x?access_token=‹redacted:token›&page=2"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ‹redacted:authorization›"),
        ("curl -H 'Authorization: Basic dTpw' x", "curl -H 'Authorization: Basic ‹redacted:authorization›' x"),
        ("sent Bearer abcdefghijklmnop1 away", "sent Bearer ‹redacted:authorization› away"),
        ("Set-Cookie: sid=abc; Path=/", "Set-Cookie: ‹redacted:cookie›"),
        (
            "\u{1b}[36mclient_secret\u{1b}[0m=\u{1b}[33mabc\u{1b}[0m ok",
            "\u{1b}[36mclient_secret\u{1b}[0m=\u{1b}[33m‹redacted:secret›\u{1b}[0m ok",
        ),
        ("<password>hunter2</password>", "<password>‹redacted:password›</password>"),
        ("PGPASSWORD=x psql", "PGPASSWORD=‹redacted:password› psql"),
        (":secret_key_base => \"abc\"", ":secret_key_base => \"‹redacted:key›\""),
        ("a=1\npassword=x\nb=2", "a=1\npassword=‹redacted:password›\nb=2"),
    ] {
        assert_eq!(redactor.text(line), shown, "{line}");
    }
}

#[test]
fn shapes_of_secrets_are_redacted() {
    let redactor = Redactor::default();
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6y";
    let slack = format!("xox{}", "b-123456789012-abcdefABCDEF");
    let stripe = format!("sk_{}", "live_4eC39HqLyjWDarjtT1zdp7dc");
    for (secret, name) in [
        ("AKIAIOSFODNN7EXAMPLE", "aws-key"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "github-token"),
        ("github_pat_11ABCDEFG0abcdefghij_klmnop", "github-token"),
        (jwt, "jwt"),
        (slack.as_str(), "slack-token"),
        (stripe.as_str(), "stripe-key"),
        ("wJalrXUtnFEMI7K8MDENGbPxRfiCYzE4vQ2Lp9ZT", "high-entropy"),
    ] {
        assert_eq!(redactor.text(&format!("got {secret} here")), format!("got ‹redacted:{name}› here"));
    }
    for (line, shown) in [
        ("postgres://shop:pa55@db:5432/x", "postgres://shop:‹redacted:url-password›@db:5432/x"),
        ("https://u:a@b@host/p?q=1", "https://u:‹redacted:url-password›@host/p?q=1"),
        ("redis://:pw@host", "redis://:‹redacted:url-password›@host"),
    ] {
        assert_eq!(redactor.text(line), shown);
    }
}

#[test]
fn a_private_key_is_redacted_line_by_line() {
    let key = "before\n-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKCAQEA\n-----END RSA PRIVATE KEY-----\nafter";
    let shown = Redactor::default().text(key).into_owned();
    assert!(!shown.contains("MIIEow") && !shown.contains("IBAAKCAQEA"), "{shown}");
    assert!(shown.starts_with("before\n-----BEGIN RSA PRIVATE KEY-----\n") && shown.ends_with("\nafter"), "{shown}");
    assert_eq!(shown.lines().count(), key.lines().count());
    let one_line = r#"{"k":"-----BEGIN PRIVATE KEY-----\nMIIEow\n-----END PRIVATE KEY-----\n","n":1}"#;
    let shown = Redactor::default().text(one_line).into_owned();
    assert!(!shown.contains("MIIEow") && shown.ends_with(r#"","n":1}"#), "{shown}");
    let tail = "MIIEow\nIBAA==\n-----END PRIVATE KEY-----\nafter";
    let shown = Redactor::default().text(tail).into_owned();
    assert!(!shown.contains("MIIEow") && !shown.contains("IBAA") && shown.ends_with("after"), "{shown}");
}

#[test]
fn what_people_look_for_stays_readable() {
    let redactor = Redactor::default();
    for line in [
        "commit 3255a37e0c1b2d4f5a6978c0d1e2f3a4b5c6d7e8 on main",
        "request 550e8400-e29b-41d4-a716-446655440000 took 3 ms",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "open /usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30",
        "at com.example.shop.OrderServiceFactory2.create(OrderServiceFactory2.java:42)",
        "GET /api/v1/users/1234567890/orders/2026-01-31T08:00:00Z 200",
        "http://localhost:8080/health and user@example.com",
        "pod my-service-7d9f8b6c5d-x2x4z is ready",
        "unexpected token: identifier",
        "key: users:42 not in the cache, cache_key=users:42, primary_key: id",
        "max_tokens: 4096, total_tokens=123, tokens=17",
        "token::Token auth://x monkey=banana author=Jane keyboard=us",
        "auth: checking who bob is",
        "PWD=/srv/shop PATH=/usr/bin:/bin SSH_AUTH_SOCK=/run/agent.sock",
        "password=$DB_PASSWORD token=${TOKEN} secret=$(cat x)",
        "passed: 12, failed: 0, pass=12",
        "password=null secret: none token=true",
        "integrity sha512-9f86D081884c7D659a2FEAa0c55aD015A3bf4F1b2b0b822Cd15d6",
        "WARN tokenizer.parallelism=false KEY_FILE=/etc/ssl/x.pem",
        "‹redacted:password› stands here",
    ] {
        assert_eq!(redactor.text(line), line);
    }
}

#[test]
fn known_values_are_redacted_wherever_they_stand_and_however_they_are_written() {
    let redactor = knowing(&[
        ("DB_PASSWORD", "s3cr/t p@ss"),
        ("SHORT_TOKEN", "abcde"),
        ("PATH", "/usr/local/bin"),
        ("MONKEY", "bananas"),
        ("DATABASE_URL", "postgres://shop:correcthorse@db/x"),
    ]);
    for line in [
        "x s3cr/t p@ss y",
        "x s3cr%2Ft%20p%40ss y",
        "x s3cr%2ft%20p%40ss y",
        "x s3cr%2Ft+p%40ss y",
        // base64 of it alone, behind "u:", and behind "me:".
        "x czNjci90IHBAc3M= y",
        "x dTpzM2NyL3QgcEBzcw== y",
        "x bWU6czNjci90IHBAc3M= y",
    ] {
        let shown = redactor.text(line);
        assert!(shown.contains("‹redacted:DB_PASSWORD›") && shown.starts_with("x "), "{line}: {shown}");
    }
    assert_eq!(redactor.text("with correcthorse"), "with ‹redacted:DATABASE_URL›");
    for line in ["abcde", "bananas", "/usr/local/bin", "postgres"] {
        assert_eq!(redactor.text(line), line);
    }
}

#[test]
fn names_of_variables_say_what_is_a_secret() {
    let value = "correct-horse";
    for name in [
        "DB_PASS",
        "PASSWORD",
        "db.password",
        "GITHUB_TOKEN",
        "API_KEY",
        "apiKey",
        "AUTH",
        "SENTRY_DSN",
        "MY_SECRET_2",
        "SESSION_COOKIE",
        "GOOGLE_CREDENTIALS",
        "PGPASSWORD",
        "DB_PWD",
        "APIKEY",
        "STRIPE_KEY",
    ] {
        assert_ne!(knowing(&[(name, value)]).text(value), value, "{name}");
    }
    for name in [
        "PWD",
        "OLDPWD",
        "PATH",
        "KEYBOARD",
        "AUTHOR",
        "MONKEY",
        "COMPASS",
        "SSH_AUTH_SOCK",
        "KEY_FILE",
        "TOKENIZER",
        "PASSENGERS",
        "XAUTHORITY",
        "PUBLIC_KEY",
        "TOKEN_TTL",
        "HOME",
    ] {
        assert_eq!(knowing(&[(name, value)]).text(value), value, "{name}");
    }
}

#[test]
fn a_mark_that_is_not_ours_is_not_believed() {
    let redactor = knowing(&[("API_TOKEN", "correct-horse")]);
    let shown = redactor.text("‹redacted:correct-horse›").into_owned();
    assert!(!shown.contains("horse"), "{shown}");
    assert_eq!(redactor.text(&shown), shown);
}

#[test]
fn what_knows_secrets_does_not_show_them() {
    let redactor = knowing(&[("API_TOKEN", "correct-horse")]);
    assert!(!format!("{redactor:?}").contains("horse"));
}

#[test]
fn payment_cards_are_masked_and_numbers_that_only_look_like_them_are_not() {
    let redactor = Redactor::default();
    for card in [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "3782 822463 10005",
        "6011111111111117",
        "30569309025904",
        "3530111333300000",
        "4222222222222",
    ] {
        assert_eq!(redactor.text(&format!("paid with {card}, thanks")), "paid with ‹redacted:card›, thanks", "{card}");
        assert_eq!(redactor.text(&format!("{{\"card\":\"{card}\"}}")), "{\"card\":\"‹redacted:card›\"}", "{card}");
    }
    for line in [
        "4111111111111112 has a wrong check digit",
        "at 1795356187000000 us",
        "trace 4611686018427387904 took 12 ms",
        "order_4111111111111111 is an id",
        "0000 0000 0000 0000",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
        "2026-11-29 10:00:00 4012 8888 8888 are three",
        "version 4.111111111111111",
        "KeyError: 'payment-provider'",
        "TokenException: expected a brace",
    ] {
        assert_eq!(redactor.text(line), line);
    }
}

#[test]
fn addresses_and_what_its_user_names_are_masked_where_it_is_wanted() {
    let line = "mail to ann.b+x@shop.example.com failed, ticket ACME-4711, git@github: no";
    assert_eq!(Redactor::default().text(line), line);
    let mut secrets = Secrets::default();
    secrets.mask(&Masks { emails: true, patterns: vec![r"ACME-\d+".to_owned()] });
    let redactor = Redactor::of(&secrets);
    let shown = "mail to ‹redacted:email› failed, ticket ‹redacted:masked›, git@github: no";
    assert_eq!(redactor.text(line), shown);
    assert_eq!(redactor.text(shown), shown, "what was shown is shown again unchanged");
    assert_eq!(redactor.text("GET /?user=bob@example.org&page=1"), "GET /?user=‹redacted:email›&page=1");
}

#[test]
fn what_its_user_wants_masked_may_say_where_a_line_begins_and_ends() {
    let mut secrets = Secrets::default();
    let patterns = [r"^user=\w+", r"\Aid=\w+", r"code=\w+$"].map(str::to_owned).to_vec();
    secrets.mask(&Masks { emails: false, patterns });
    let redactor = Redactor::of(&secrets);
    for line in ["user=ann in", "id=b42 in", "in code=c42"] {
        let shown = line.split(' ').map(|word| if word == "in" { "in" } else { "‹redacted:masked›" });
        let shown = shown.collect::<Vec<_>>().join(" ");
        assert_eq!(redactor.text(&format!("before\n{line}\nbehind")), format!("before\n{shown}\nbehind"));
        // As output is cut: what ends a line is in the text and not in the line.
        let text = format!("before\r\n{line}\r\n");
        let lines = [(0, 6), (8, line.len())].map(|(start, len)| LogLine {
            start,
            len: u32::try_from(len).unwrap(),
            stream: Stream::Stdout,
            continued: false,
        });
        let batch = Arc::new(LogBatch {
            service: "shop/web".parse().unwrap(),
            source: Source::Output,
            run: RunId(1),
            wall_us: 0,
            first_seq: 0,
            text: text.into(),
            lines: Box::new(lines),
        });
        assert_eq!(redactor.batch(&batch).line(1), shown);
        assert_eq!(Passage::through(Arc::new(Redactor::of(&secrets))).batch(&batch).line(1), shown);
    }
}

#[test]
fn patterns_that_are_too_large_together_are_looked_for_one_by_one() {
    let patterns: Vec<String> = (0..8).map(|number| format!(r"ticket-{number}-\w{{110}}?|ref-{number}-\d+")).collect();
    assert!(RegexSet::new(&patterns).is_err(), "together they fit");
    assert!(patterns.iter().all(|pattern| Regex::new(pattern).is_ok()), "one does not fit alone");
    let mut secrets = Secrets::default();
    secrets.mask(&Masks { emails: false, patterns });
    assert_eq!(Redactor::of(&secrets).text("a\nsee ref-7-42 there"), "a\nsee ‹redacted:masked› there");
}
