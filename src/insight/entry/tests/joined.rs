//! Which lines are one entry: `N` before a line that begins one, `|` before one that goes on.

use crate::insight::entry::{Belongs, Joiner};

/// Each line belongs as its mark says.
fn holds(marked: &str) {
    let mut joiner = Joiner::new();
    for (mark, line) in marked.lines().skip(1).map(|line| (&line[..1], line.get(2..).unwrap_or_default())) {
        let wanted = if mark == "N" { Belongs::New } else { Belongs::Continues };
        assert_eq!(joiner.feed(line), wanted, "{line:?} of {marked}");
    }
}

/// How many entries lines are.
fn entries<'a>(lines: impl Iterator<Item = &'a str>) -> usize {
    let mut joiner = Joiner::new();
    lines.filter(|line| joiner.feed(line) == Belongs::New).count()
}

#[test]
fn a_traceback_of_python_and_the_one_that_led_to_it_join_the_line_of_the_logger() {
    holds(
        r#"
N starting
N ERROR:app:cannot save
| Traceback (most recent call last):
|   File "/app/a.py", line 3, in save
|     self.db.write()
| KeyError: 'id'
|
| During handling of the above exception, another exception occurred:
|
| Traceback (most recent call last):
|   File "/app/a.py", line 9, in handle
|     raise SaveError("no") from error
| app.errors.SaveError: no
N INFO:app:going on
N plain"#,
    );
}

#[test]
fn what_a_library_writes_behind_an_exception_of_python_joins_it() {
    holds(
        r#"
N Traceback (most recent call last):
|   File "/app/a.py", line 3, in save
|     raise x
|     ^^^^^^^
| sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) connection refused
| 	Is the server running?
|
| [SQL: select 1]
| (Background on this error at: https://sqlalche.me/e/20/e3q8)
N next line"#,
    );
}

#[test]
fn a_group_of_exceptions_of_python_is_one_entry() {
    holds(
        r#"
N next line
N   + Exception Group Traceback (most recent call last):
|   |   File "/app/a.py", line 3, in <module>
|   |     raise ExceptionGroup("two", [ValueError(1), TypeError(2)])
|   | ExceptionGroup: two (2 sub-exceptions)
|   +-+---------------- 1 ----------------
|     | ValueError: 1
|     +---------------- 2 ----------------
|     | TypeError: 2
|     +------------------------------------"#,
    );
}

#[test]
fn an_exception_of_java_joins_the_line_of_the_logger_with_all_its_causes() {
    holds(
        r#"
N 2026-11-29 10:00:00.123 ERROR [main] c.s.Main - failed
| java.lang.IllegalStateException: cannot start
| 	at org.shop.Main.run(Main.java:12)
| 	at org.shop.Main.main(Main.java:5)
| 	Suppressed: java.io.IOException: close
| 		at org.shop.Main.close(Main.java:30)
| Caused by: java.net.ConnectException: Connection refused
| 	at java.base/sun.nio.ch.Net.connect0(Native Method)
| 	... 12 more
N 2026-11-29 10:00:01.123 INFO [main] c.s.Main - again
N Exception in thread "main" java.lang.RuntimeException: x
| 	at a.b.c(D.java:1)"#,
    );
}

#[test]
fn the_code_that_threw_the_error_of_node_and_the_properties_of_the_error_are_one_entry() {
    holds(
        "
N /app/server.js:12
| throw new Error('boom');
| ^
|
| Error: boom
|     at Object.<anonymous> (/app/server.js:12:11)
|     at Module._compile (node:internal/modules/cjs/loader:1105:14) {
|   errno: -111,
|   [cause]: Error: inner
|       at foo (/app/x.js:1:1)
| }
|
| Node.js v18.0.0
N Server listening { port: 80 }",
    );
}

#[test]
fn an_error_of_node_with_an_object_ends_with_its_bracket() {
    holds(
        "
N Error: connect ECONNREFUSED 127.0.0.1:5432
|     at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1494:16) {
|   errno: -111,
|   code: 'ECONNREFUSED',
| }
N after",
    );
}

#[test]
fn a_panic_of_go_has_its_goroutines_and_not_the_exit_status() {
    holds(
        "
N panic: boom
|
| goroutine 1 [running]:
| main.main()
| 	/app/main.go:5 +0x39
| created by main.start in goroutine 1
| 	/app/main.go:9 +0x1d
N exit status 2",
    );
}

#[test]
fn a_panic_that_a_server_of_go_survived_joins_its_line() {
    holds(
        "
N 2026/11/29 10:00:00 http: panic serving 127.0.0.1:1: boom
| goroutine 18 [running]:
| net/http.(*conn).serve.func1()
| 	/usr/local/go/src/net/http/server.go:1850 +0xbf
| panic({0x66a2c0, 0x7aa9b0})
| 	/usr/local/go/src/runtime/panic.go:890 +0x262
N 2026/11/29 10:00:01 next",
    );
}

#[test]
fn a_panic_of_rust_takes_its_message_whatever_it_is_and_its_backtrace() {
    holds(
        "
N thread 'main' panicked at src/main.rs:2:5:
| ERROR it broke
| note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
| stack backtrace:
|    0: std::panicking::begin_panic
|              at /rustc/x/panicking.rs:1:2
N done",
    );
}

#[test]
fn the_message_of_an_assertion_of_rust_has_several_lines() {
    holds(
        "
N thread 'worker' panicked at src/main.rs:9:5:
| assertion `left == right` failed
|   left: 1
|  right: 2
N done",
    );
}

#[test]
fn an_exception_of_ruby_has_its_callers() {
    holds(
        "
N app.rb:1:in `foo': msg (RuntimeError)
| 	from app.rb:5:in `<main>'
N ok",
    );
}

#[test]
fn the_message_of_net_is_on_the_next_line_and_its_exception_behind() {
    holds(
        r#"
N fail: Microsoft.AspNetCore.Server.Kestrel[13]
|       Connection id "0", Request id "1": An unhandled exception was thrown by the application.
|       System.InvalidOperationException: boom
|          at Shop.Program.Main() in /app/Program.cs:line 12
|       --- End of stack trace from previous location ---
|          at Shop.Program.Main2()
N info: Shop[0]
|       hello"#,
    );
}

#[test]
fn an_exception_of_php_has_its_stack() {
    holds(
        "
N PHP Fatal error:  Uncaught Exception: x in /x.php:3
| Stack trace:
| #0 /x.php(6): foo()
| #1 {main}
|   thrown in /x.php on line 3",
    );
}

#[test]
fn lines_of_postgresql_that_say_more_join_if_they_are_of_the_same_process() {
    holds(
        r#"
N 2026-11-29 10:00:00.123 UTC [123] bob@shop ERROR:  relation "x" does not exist at character 15
| 2026-11-29 10:00:00.123 UTC [123] bob@shop STATEMENT:  select *
| 	from x
N 2026-11-29 10:00:00.123 UTC [124] bob@shop DETAIL:  other"#,
    );
}

#[test]
fn objects_over_several_lines_are_one_entry_each() {
    holds(
        r#"
N {
|   "a": 1,
|   "b": [
|     1
|   ]
| }
N {
|   "c": 2
| }"#,
    );
}

#[test]
fn an_exception_of_rails_has_its_places_that_are_not_indented() {
    holds(
        r#"
N ActiveRecord::RecordNotFound (Couldn't find User with 'id'=1):
|
| app/controllers/users_controller.rb:3:in `show'
| lib/x.rb:4:in `y'
N Started GET "/" for 127.0.0.1 at 2026-11-29 10:00:00 +0000
N Processing by HomeController#index as HTML
|   Rendering home/index.html.erb"#,
    );
}

#[test]
fn what_a_compiler_shows_of_the_code_joins_its_message() {
    holds(
        r#"
N error[E0308]: mismatched types
|  --> src/main.rs:2:18
|   |
| 2 |     let x: i32 = "a";
|   |            ---   ^^^ expected `i32`, found `&str`
|   |            |
|   |            expected due to this
N 
N warning: unused variable: `x`
|  --> src/main.rs:2:5"#,
    );
}

#[test]
fn the_two_lines_of_java_util_logging_are_one_entry_with_its_exception() {
    holds(
        "
N Nov 29, 2026 10:00:00 AM org.apache.catalina.core.StandardService startInternal
| INFO: Starting service [Tomcat]
N Nov 29, 2026 10:00:00 AM org.apache.catalina.core.StandardService startInternal
| SEVERE: It failed
| java.lang.IllegalStateException: x
| 	at a.B.c(D.java:1)",
    );
}

#[test]
fn an_exception_of_elixir_joins_the_line_of_the_logger() {
    holds(
        "
N 10:00:00.123 [error] GenServer #PID<0.1.0> terminating
| ** (RuntimeError) boom
|     (app 0.1.0) lib/x.ex:1: X.y/1
| Last message: :foo
| State: %{}",
    );
}

#[test]
fn a_hint_of_node_joins_its_warning() {
    holds(
        "
N (node:123) Warning: x
| (Use `node --trace-warnings ...` to show where the warning was created)",
    );
}

#[test]
fn the_causes_of_an_error_of_rust_join_it_over_a_blank_line() {
    holds(
        "
N Error: cannot read config
|
| Caused by:
|     No such file or directory (os error 2)
N line",
    );
}

#[test]
fn a_new_head_ends_a_traceback() {
    holds(
        r#"
N Traceback (most recent call last):
|   File "/app/a.py", line 3, in save
N 2026-11-29 10:00:00 started again
N INFO started again
|   indented
N   2026-11-29 10:00:00 indented with a time
N  INFO app: indented with a level"#,
    );
}

#[test]
fn two_tracebacks_in_a_row_are_two_entries() {
    holds(
        r#"
N Traceback (most recent call last):
|   File "/app/a.py", line 3, in save
| ValueError: 1
N Traceback (most recent call last):
|   File "/app/a.py", line 3, in save
| ValueError: 2"#,
    );
}

#[test]
fn a_traceback_behind_a_line_without_trouble_is_its_own_entry() {
    holds(
        "
N 2026-11-29 10:00:00 INFO started
N Traceback (most recent call last):
|   File \"/app/a.py\", line 3, in save
| KeyboardInterrupt",
    );
}

#[test]
fn what_is_indented_goes_on() {
    holds(
        "
N Options:
|   --port
|   --host
N
N   alone behind a blank line
N   and another
N done
| \ta tab",
    );
}

#[test]
fn lines_that_all_begin_with_a_space_are_entries_of_their_own() {
    let rows: Vec<_> = (0..1000).map(|number| format!("  app:server tick {number} +1s")).collect();
    assert_eq!(entries(rows.iter().map(String::as_str)), 1000);
}

#[test]
fn a_stream_whose_habit_is_to_indent_does_not_become_one_entry() {
    let rows: Vec<_> = (0..1000).map(|number| format!("  row {number}")).collect();
    let entries = entries(std::iter::once("A title").chain(rows.iter().map(String::as_str)));
    assert!(entries > 900, "{entries}");
}

#[test]
fn a_stack_of_frames_joins_even_where_lines_are_indented_by_habit() {
    let frames: Vec<_> = (0..300).map(|number| format!("\tat org.shop.Main.call{number}(Main.java:1)")).collect();
    assert_eq!(entries(std::iter::once("java.lang.Error: x").chain(frames.iter().map(String::as_str))), 1);
}

#[test]
fn lines_of_next_that_begin_with_a_space_are_entries_of_their_own() {
    holds(
        "
N  ✓ Ready in 2s
N  ○ Compiling / ...
N  GET / 200 in 12ms
N  ⨯ Error: boom
|     at Page (app/page.tsx:3:9)
N  GET / 500 in 12ms",
    );
}

#[test]
fn a_traceback_of_a_thread_of_python_joins_the_line_that_names_it() {
    holds(
        r#"
N Exception in thread Thread-1 (run):
| Traceback (most recent call last):
|   File "/usr/lib/python3.12/threading.py", line 1075, in _bootstrap_inner
|     self.run()
| ValueError: x"#,
    );
}

#[test]
fn a_stack_of_laravel_joins_its_line_to_the_last_bracket() {
    holds(
        r#"
N [2026-11-29 10:00:00] local.ERROR: boom {"exception":"[object] (Exception(code: 0): boom at /app/x.php:3)
| [stacktrace]
| #0 /app/y.php(6): foo()
| #1 {main}
| "}
N [2026-11-29 10:00:01] local.INFO: next"#,
    );
}

#[test]
fn plain_lines_are_entries_of_their_own() {
    holds(
        "
N Listening on port 80
N Connected
N }
N At last
N goroutines: 5
N Caused a stir
N note: run it
N #1 is the best
N 12 | 13",
    );
}
