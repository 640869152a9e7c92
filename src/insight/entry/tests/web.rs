//! Requests.

use super::holds;

#[test]
fn the_common_and_the_combined_form_are_read() {
    holds(&[
        (
            r#"10.0.0.1 - - [29/Nov/2026:10:00:00 +0000] "GET /x?y=1 HTTP/1.1" 200 1234"#,
            r#"access info 2026-11-29 10:00:00Z | "GET /x?y=1 HTTP/1.1" 200 1234 | client=10.0.0.1; method=GET; path=/x?y=1; protocol=HTTP/1.1; status=200; bytes=1234"#,
        ),
        (
            r#"10.0.0.1 - bob [29/Nov/2026:10:00:00 +0100] "POST /x HTTP/2.0" 404 - "http://a/b" "Mozilla/5.0 (X11; Linux x86_64)""#,
            r#"access warn 2026-11-29 09:00:00Z | "POST /x HTTP/2.0" 404 - | client=10.0.0.1; user=bob; method=POST; path=/x; protocol=HTTP/2.0; status=404; referer=http://a/b; user_agent=Mozilla/5.0 (X11; Linux x86_64)"#,
        ),
        (
            r#"::1 - - [29/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 503 0 "-" "-""#,
            r#"access error 2026-11-29 10:00:00Z | "GET / HTTP/1.1" 503 0 | client=::1; method=GET; path=/; protocol=HTTP/1.1; status=503; bytes=0"#,
        ),
        (
            r#"2001:db8::1 - - [29/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 301 0 "-" "curl/8.0""#,
            r#"access info 2026-11-29 10:00:00Z | "GET / HTTP/1.1" 301 0 | client=2001:db8::1; method=GET; path=/; protocol=HTTP/1.1; status=301; bytes=0; user_agent=curl/8.0"#,
        ),
        (
            r#"- - - [29/Nov/2026:10:00:00 +0000] "GET /health HTTP/1.0" 204 0"#,
            r#"access info 2026-11-29 10:00:00Z | "GET /health HTTP/1.0" 204 0 | client=-; method=GET; path=/health; protocol=HTTP/1.0; status=204; bytes=0"#,
        ),
    ]);
}

#[test]
fn a_host_before_and_times_behind_are_read() {
    holds(&[
        (
            r#"shop.example.com:443 10.0.0.1 - - [29/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 12 "-" "curl/8.0""#,
            r#"access info 2026-11-29 10:00:00Z | "GET / HTTP/1.1" 200 12 | host=shop.example.com:443; client=10.0.0.1; method=GET; path=/; protocol=HTTP/1.1; status=200; bytes=12; user_agent=curl/8.0"#,
        ),
        (
            r#"10.0.0.1 - - [29/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 500 12 "-" "curl/8.0" 0.123 0.120"#,
            r#"access error 2026-11-29 10:00:00Z | "GET / HTTP/1.1" 500 12 | client=10.0.0.1; method=GET; path=/; protocol=HTTP/1.1; status=500; bytes=12; user_agent=curl/8.0; request_time=0.123; upstream_time=0.120"#,
        ),
        (
            r#"10.0.0.1 - - [29/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 12 "-" "curl/8.0" "10.9.8.7" rt=0.1 uct=0.0"#,
            r#"access info 2026-11-29 10:00:00Z | "GET / HTTP/1.1" 200 12 | client=10.0.0.1; method=GET; path=/; protocol=HTTP/1.1; status=200; bytes=12; user_agent=curl/8.0; forwarded_for=10.9.8.7; extra=rt=0.1 uct=0.0"#,
        ),
        (
            r#"10.0.0.1, 10.9.8.7 - - [29/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 12"#,
            r#"access info 2026-11-29 10:00:00Z | "GET / HTTP/1.1" 200 12 | client=10.0.0.1; method=GET; path=/; protocol=HTTP/1.1; status=200; bytes=12"#,
        ),
    ]);
}

#[test]
fn requests_that_are_none_are_one_field() {
    holds(&[
        (
            r#"10.0.0.1 - - [29/Nov/2026:10:00:00 +0000] "\x16\x03\x01" 400 157 "-" "-""#,
            r#"access warn 2026-11-29 10:00:00Z | "\x16\x03\x01" 400 157 | client=10.0.0.1; request=\x16\x03\x01; status=400; bytes=157"#,
        ),
        (
            r#"10.0.0.1 - - [29/Nov/2026:10:00:00 +0000] "-" 408 0"#,
            r#"access warn 2026-11-29 10:00:00Z | "-" 408 0 | client=10.0.0.1; status=408; bytes=0"#,
        ),
        (
            r#"10.0.0.1 - - [29/Nov/2026:10:00:00 +0000] "GET /a\"b HTTP/1.1" 200 1"#,
            r#"access info 2026-11-29 10:00:00Z | "GET /a\"b HTTP/1.1" 200 1 | client=10.0.0.1; method=GET; path=/a\"b; protocol=HTTP/1.1; status=200; bytes=1"#,
        ),
    ]);
}

#[test]
fn lines_of_django_werkzeug_uvicorn_and_gunicorn_are_read() {
    holds(&[
        (
            r#"[29/Nov/2026 10:00:00] "GET /admin/ HTTP/1.1" 302 0"#,
            r#"django info 2026-11-29 10:00:00 | "GET /admin/ HTTP/1.1" 302 0 | method=GET; path=/admin/; protocol=HTTP/1.1; status=302"#,
        ),
        (
            r#"127.0.0.1 - - [29/Nov/2026 10:00:00] "GET / HTTP/1.1" 200 -"#,
            r#"access info 2026-11-29 10:00:00 | "GET / HTTP/1.1" 200 - | client=127.0.0.1; method=GET; path=/; protocol=HTTP/1.1; status=200"#,
        ),
        (
            r#"INFO:     127.0.0.1:1234 - "GET / HTTP/1.1" 200 OK"#,
            r#"uvicorn info - | 127.0.0.1:1234 - "GET / HTTP/1.1" 200 OK | client=127.0.0.1:1234; method=GET; path=/; protocol=HTTP/1.1; status=200"#,
        ),
        (
            r#"INFO:     127.0.0.1:1234 - "POST /x HTTP/1.1" 500 Internal Server Error"#,
            r#"uvicorn error - | 127.0.0.1:1234 - "POST /x HTTP/1.1" 500 Internal Server Error | client=127.0.0.1:1234; method=POST; path=/x; protocol=HTTP/1.1; status=500"#,
        ),
        (
            r#"127.0.0.1 - - [29/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 12 "-" "curl/8.0""#,
            r#"access info 2026-11-29 10:00:00Z | "GET / HTTP/1.1" 200 12 | client=127.0.0.1; method=GET; path=/; protocol=HTTP/1.1; status=200; bytes=12; user_agent=curl/8.0"#,
        ),
    ]);
}

#[test]
fn lines_of_rails_are_read_with_tags_and_without() {
    holds(&[
        (
            r#"Started GET "/orders?x=1" for 127.0.0.1 at 2026-11-29 10:00:00 +0100"#,
            r#"rails info 2026-11-29 09:00:00Z | Started GET "/orders?x=1" for 127.0.0.1 at 2026-11-29 10:00:00 +0100 | method=GET; path=/orders?x=1; client=127.0.0.1"#,
        ),
        (
            "Completed 500 Internal Server Error in 5ms (ActiveRecord: 0.0ms)",
            "rails error - | Completed 500 Internal Server Error in 5ms (ActiveRecord: 0.0ms) | status=500; duration_ms=5",
        ),
        (
            "[abc-1] [10.0.0.1] Completed 404 Not Found in 12ms (Views: 1.0ms | ActiveRecord: 0.0ms)",
            "rails warn - | Completed 404 Not Found in 12ms (Views: 1.0ms | ActiveRecord: 0.0ms) | status=404; duration_ms=12",
        ),
        ("Started the engine", "- - - | Started the engine | "),
        ("Completed 3 tasks", "- - - | Completed 3 tasks | "),
    ]);
}

#[test]
fn lines_of_morgan_next_gin_fiber_and_chi_are_read() {
    holds(&[
        (
            "GET /x 200 1.234 ms - 5",
            "request info - | GET /x 200 1.234 ms - 5 | method=GET; path=/x; status=200; duration_ms=1.234",
        ),
        (
            "POST /x 404 12 - 1.2 ms",
            "request warn - | POST /x 404 12 - 1.2 ms | method=POST; path=/x; status=404; duration_ms=1.2",
        ),
        (
            " GET /x 500 in 12ms",
            "request error - | GET /x 500 in 12ms | method=GET; path=/x; status=500; duration_ms=12",
        ),
        (
            r#"[GIN] 2026/11/29 - 10:00:00 | 500 |     1.2ms |   127.0.0.1 | GET      "/x""#,
            r#"gin error 2026-11-29 10:00:00 | 500 |     1.2ms |   127.0.0.1 | GET      "/x" | status=500; duration=1.2ms; client=127.0.0.1; method=GET; path=/x"#,
        ),
        (
            "10:00:00 | 200 |  1.2ms | 127.0.0.1 | GET | /x | -",
            "request info 10:00:00 | 200 |  1.2ms | 127.0.0.1 | GET | /x | - | status=200; duration=1.2ms; client=127.0.0.1; method=GET; path=/x",
        ),
        (
            r#"2026/11/29 10:00:00 "GET http://localhost/x HTTP/1.1" from 127.0.0.1:1234 - 503 12B in 1.2ms"#,
            r#"go error 2026-11-29 10:00:00 | "GET http://localhost/x HTTP/1.1" from 127.0.0.1:1234 - 503 12B in 1.2ms | method=GET; path=http://localhost/x; protocol=HTTP/1.1; status=503"#,
        ),
        ("GET /x was asked", "- - - | GET /x was asked | "),
        ("GET a grip 200 times", "- - - | GET a grip 200 times | "),
    ]);
}

#[test]
fn lines_of_haproxy_are_read_also_in_syslog() {
    holds(&[
        (
            r#"127.0.0.1:1234 [29/Nov/2026:10:00:00.123] front back/s1 0/0/1/2/3 503 1234 - - ---- 1/1/0/0/0 0/0 "GET /x HTTP/1.1""#,
            r#"haproxy error 2026-11-29 10:00:00.123 | front back/s1 0/0/1/2/3 503 1234 - - ---- 1/1/0/0/0 0/0 "GET /x HTTP/1.1" | client=127.0.0.1:1234; frontend=front; backend=back/s1; timers=0/0/1/2/3; status=503; bytes=1234; method=GET; path=/x; protocol=HTTP/1.1"#,
        ),
        (
            r#"Nov 29 10:00:00 box haproxy[123]: 127.0.0.1:1234 [29/Nov/2026:10:00:00.123] front back/s1 0/0/1/2/3 200 1234 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#,
            r#"syslog info 11/29 10:00:00 | front back/s1 0/0/1/2/3 200 1234 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1" | host=box; program=haproxy; pid=123; client=127.0.0.1:1234; frontend=front; backend=back/s1; timers=0/0/1/2/3; status=200; bytes=1234; method=GET; path=/; protocol=HTTP/1.1"#,
        ),
        (
            "10.0.0.1:1234 [29/Nov/2026:10:00:00.123] tcp db/db1 0/0/5007 212 -- 0/0/0/0/3 0/0",
            "haproxy info 2026-11-29 10:00:00.123 | tcp db/db1 0/0/5007 212 -- 0/0/0/0/3 0/0 | client=10.0.0.1:1234; frontend=tcp; backend=db/db1; timers=0/0/5007",
        ),
    ]);
}

#[test]
fn words_around_a_date_in_brackets_are_plain() {
    holds(&[
        (
            "we met [29/Nov/2026:10:00:00 +0000] and it was good",
            "- - - | we met [29/Nov/2026:10:00:00 +0000] and it was good | ",
        ),
        (
            r#"10.0.0.1 - - [29/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" ok"#,
            r#"- - - | 10.0.0.1 - - [29/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" ok | "#,
        ),
    ]);
}
