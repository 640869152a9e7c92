//! JSON and pairs.

use super::holds;

#[test]
fn json_of_pino_bunyan_zap_zerolog_logrus_structlog_and_python_is_read() {
    holds(&[
        (
            r#"{"level":30,"time":1764410400123,"pid":12,"hostname":"box","msg":"listening","req":{"id":7,"url":"/x"}}"#,
            "json info 2025-11-29 10:00:00.123Z | listening | pid=12; hostname=box; req.id=7; req.url=/x",
        ),
        (
            r#"{"name":"shop","hostname":"box","pid":12,"level":50,"msg":"no answer","time":"2026-11-29T10:00:00.123Z","v":0}"#,
            "json error 2026-11-29 10:00:00.123Z | no answer | name=shop; hostname=box; pid=12; v=0",
        ),
        (
            r#"{"level":"error","ts":1764410400.1234567,"caller":"main.go:12","msg":"cannot save","error":"disk full"}"#,
            "json error 2025-11-29 10:00:00.123456Z | cannot save | caller=main.go:12; error=disk full",
        ),
        (
            r#"{"level":"warn","order":12,"time":"2026-11-29T10:00:00+01:00","message":"slow"}"#,
            "json warn 2026-11-29 09:00:00Z | slow | order=12",
        ),
        (r#"{"level":"info","msg":"up","time":"2026-11-29T10:00:00Z"}"#, "json info 2026-11-29 10:00:00Z | up | "),
        (
            r#"{"event":"paid","level":"warning","timestamp":"2026-11-29T10:00:00.123Z","order":12}"#,
            "json warn 2026-11-29 10:00:00.123Z | paid | order=12",
        ),
        (
            r#"{"asctime": "2026-11-29 10:00:00,123", "levelname": "CRITICAL", "name": "app", "message": "gone"}"#,
            "json fatal 2026-11-29 10:00:00.123 | gone | name=app",
        ),
    ]);
}

#[test]
fn json_of_serilog_gelf_ecs_google_mongodb_hclog_and_net_is_read() {
    holds(&[
        (
            r#"{"@t":"2026-11-29T10:00:00.1234567Z","@mt":"Took {Ms}","@l":"Warning","Ms":12}"#,
            "json warn 2026-11-29 10:00:00.123456Z | Took {Ms} | Ms=12",
        ),
        (r#"{"@t":"2026-11-29T10:00:00Z","@m":"Took 12","@i":"a1"}"#, "json - 2026-11-29 10:00:00Z | Took 12 | @i=a1"),
        (
            r#"{"version":"1.1","host":"x","short_message":"m","level":3,"timestamp":1764410400.5,"_user":"bob"}"#,
            "json error 2025-11-29 10:00:00.500Z | m | version=1.1; host=x; _user=bob",
        ),
        (
            r#"{"@timestamp":"2026-11-29T10:00:00.123Z","log.level":"ERROR","message":"it broke","ecs.version":"1.2.0"}"#,
            "json error 2026-11-29 10:00:00.123Z | it broke | ecs.version=1.2.0",
        ),
        (
            r#"{"@timestamp":"2026-11-29T10:00:00.123Z","log":{"level":"warn","logger":"a.B"},"message":"hm"}"#,
            "json warn 2026-11-29 10:00:00.123Z | hm | log.logger=a.B",
        ),
        (
            r#"{"severity":"ERROR","textPayload":"boom","timestamp":"2026-11-29T10:00:00Z"}"#,
            "json error 2026-11-29 10:00:00Z | boom | ",
        ),
        (
            r#"{"t":{"$date":"2026-11-29T10:00:00.123+00:00"},"s":"E","c":"NETWORK","id":22943,"ctx":"listener","msg":"refused","attr":{"remote":"127.0.0.1:1","uuid":{"$uuid":"ab"}}}"#,
            "json error 2026-11-29 10:00:00.123Z | refused | c=NETWORK; id=22943; ctx=listener; attr.remote=127.0.0.1:1; attr.uuid.$uuid=ab",
        ),
        (
            r#"{"t":{"$date":"2026-11-29T10:00:00.123+00:00"},"s":"D2","c":"X","msg":"deep"}"#,
            "json debug 2026-11-29 10:00:00.123Z | deep | c=X",
        ),
        (
            r#"{"@level":"info","@message":"agent: started","@module":"agent","@timestamp":"2026-11-29T10:00:00.123456Z"}"#,
            "json info 2026-11-29 10:00:00.123456Z | agent: started | @module=agent",
        ),
        (
            r#"{"EventId":0,"LogLevel":"Information","Category":"Shop","Message":"hello","State":{"n":1}}"#,
            "json info - | hello | EventId=0; Category=Shop; State.n=1",
        ),
        (r#"{"levelno":30,"message":"of python"}"#, "json warn - | of python | "),
        (r#"{"severity_number":17,"body":"of telemetry"}"#, "json error - | of telemetry | "),
        (
            r#"{"PRIORITY":"4","MESSAGE":"of journald","__REALTIME_TIMESTAMP":"1764410400123456"}"#,
            "json warn 2025-11-29 10:00:00.123456Z | of journald | ",
        ),
        (
            r#"{"log":"of docker","stream":"stderr","time":"2026-11-29T10:00:00.123456789Z"}"#,
            "json - 2026-11-29 10:00:00.123456Z | of docker | stream=stderr",
        ),
    ]);
}

#[test]
fn json_of_a_request_without_a_level_has_that_of_its_status() {
    holds(&[
        (
            r#"{"time":"2026-11-29T10:00:00Z","status":502,"method":"GET","path":"/x","message":"asked"}"#,
            "json error 2026-11-29 10:00:00Z | asked | status=502; method=GET; path=/x",
        ),
        (r#"{"status":"404","uri":"/x","msg":"asked"}"#, "json warn - | asked | status=404; uri=/x"),
        (r#"{"status":502,"msg":"of no request"}"#, "json - - | of no request | status=502"),
    ]);
}

#[test]
fn what_a_role_key_says_that_is_not_understood_stays_a_field() {
    holds(&[
        (
            r#"{"level":"loud","time":"noon","msg":12}"#,
            r#"json - - | {"level":"loud","time":"noon","msg":12} | level=loud; time=noon; msg=12"#,
        ),
        (r#"{"level":99,"s":"E","msg":"no mongo"}"#, "json - - | no mongo | level=99; s=E"),
    ]);
}

#[test]
fn of_two_keys_for_one_thing_the_usual_one_wins_and_the_other_stays_a_field() {
    holds(&[
        (
            r#"{"event":"login","msg":"bob came","severity":"INFO","level":"error"}"#,
            "json error - | bob came | event=login; severity=INFO",
        ),
        (r#"{"level":"info","level":"error","msg":"a","msg":"b"}"#, "json error - | b | level=info; msg=a"),
    ]);
}

#[test]
fn json_lists_values_and_depth_are_told_as_they_are_written() {
    holds(&[
        (
            r#"{"msg":"m","tags":["a","b"],"none":null,"yes":true,"n":-1.50e3,"big":123456789012345678901234567890,"o":{},"nan":NaN}"#,
            r#"json - - | m | tags=["a","b"]; none=null; yes=true; n=-1.50e3; big=123456789012345678901234567890; o={}; nan=NaN"#,
        ),
        (
            r#"{"msg":"\u00e9\ud83d\ude00 \"q\" a\/b","esc":"\u001b[31m\x","bad":"\ud800"}"#,
            r#"json - - | é😀 "q" a/b | esc=\u001b[31m\x; bad=\ud800"#,
        ),
    ]);
}

#[test]
fn an_object_that_is_cut_short_or_followed_by_something_is_plain() {
    holds(&[
        (r#"{"a":"#, r#"- - - | {"a": | "#),
        (r#"{"a":1"#, r#"- - - | {"a":1 | "#),
        (r#"{"a":1} and more"#, r#"- - - | {"a":1} and more | "#),
        (r#"{"a":1}}"#, r#"- - - | {"a":1}} | "#),
        (r#"{"a" 1}"#, r#"- - - | {"a" 1} | "#),
        ("{a:1}", "- - - | {a:1} | "),
        (r#"{"a":tru}"#, r#"- - - | {"a":tru} | "#),
        ("{}x", "- - - | {}x | "),
    ]);
}

#[test]
fn a_list_a_text_and_an_object_behind_words_are_plain() {
    holds(&[
        ("[1,2,3]", "- - - | [1,2,3] | "),
        (r#""text""#, r#"- - - | "text" | "#),
        (r#"the body was {"level":"error"}"#, r#"- - - | the body was {"level":"error"} | "#),
    ]);
}

#[test]
fn an_object_behind_a_time_or_a_level_is_read() {
    holds(&[
        (
            r#"2026-11-29T10:00:00Z {"level":"error","msg":"boom","n":1}"#,
            "json error 2026-11-29 10:00:00Z | boom | n=1",
        ),
        (r#"2026-11-29T10:00:00Z INFO {"msg":"boom","n":1}"#, "text info 2026-11-29 10:00:00Z | boom | n=1"),
    ]);
}

#[test]
fn logfmt_of_logrus_prometheus_grafana_and_slog_is_read() {
    holds(&[
        (
            r#"time="2026-11-29T10:00:00Z" level=warning msg="it is \"slow\"" took=1.5s"#,
            r#"logfmt warn 2026-11-29 10:00:00Z | it is "slow" | took=1.5s"#,
        ),
        (
            "level=info ts=2026-11-29T10:00:00.123Z caller=main.go:12 msg=started",
            "logfmt info 2026-11-29 10:00:00.123Z | started | caller=main.go:12",
        ),
        (
            r#"logger=sqlstore t=2026-11-29T10:00:00.123456789Z level=info msg="Connecting to DB" dbtype=sqlite3"#,
            "logfmt info 2026-11-29 10:00:00.123456Z | Connecting to DB | logger=sqlstore; dbtype=sqlite3",
        ),
        (
            r#"time=2026-11-29T10:00:00.123+01:00 level=ERROR msg="no answer" host=db"#,
            "logfmt error 2026-11-29 09:00:00.123Z | no answer | host=db",
        ),
        (
            "ts=2026-11-29T10:00:00Z lvl=error empty= path=/x",
            "logfmt error 2026-11-29 10:00:00Z | ts=2026-11-29T10:00:00Z lvl=error empty= path=/x | empty=; path=/x",
        ),
    ]);
}

#[test]
fn lines_of_the_router_of_heroku_are_read() {
    holds(&[
        (
            r#"at=error code=H12 desc="Request timeout" method=GET path="/" host=x.example.com dyno=web.1 status=503 bytes=0"#,
            r#"logfmt error - | at=error code=H12 desc="Request timeout" method=GET path="/" host=x.example.com dyno=web.1 status=503 bytes=0 | code=H12; desc=Request timeout; method=GET; path=/; host=x.example.com; dyno=web.1; status=503; bytes=0"#,
        ),
        (
            r#"2026-11-29T10:00:00.123456+00:00 heroku[router]: at=info method=GET path="/" status=200 bytes=12"#,
            r#"syslog info 2026-11-29 10:00:00.123456Z | at=info method=GET path="/" status=200 bytes=12 | program=heroku; process=router; method=GET; path=/; status=200; bytes=12"#,
        ),
        (
            "2026-11-29T10:00:00.123456+00:00 app[web.1]: hello there",
            "syslog - 2026-11-29 10:00:00.123456Z | hello there | program=app; process=web.1",
        ),
    ]);
}

#[test]
fn prose_with_an_equals_sign_is_plain() {
    holds(&[
        ("a=b is what it says here", "- - - | a=b is what it says here | "),
        ("with a=b and c=d it is prose", "- - - | with a=b and c=d it is prose | "),
        ("x=1, y=2, z=3", "- - - | x=1, y=2, z=3 | "),
        ("if a==b c=d", "- - - | if a==b c=d | "),
        ("f=>x g=>y", "- - - | f=>x g=>y | "),
        ("one=pair", "- - - | one=pair | "),
        (r#"name="not closed b=1"#, r#"- - - | name="not closed b=1 | "#),
    ]);
}

#[test]
fn one_pair_that_is_the_level_is_a_level() {
    holds(&[("level=error something failed", "text error - | something failed | ")]);
}
