//! The line of an entry that says most.

use crate::insight::entry::last_word;

/// The line of a text that says most.
fn word(text: &str) -> &str {
    let lines: Vec<_> = text.lines().skip(1).collect();
    lines[last_word(lines.iter().copied())]
}

#[test]
fn of_python_it_is_the_last_exception() {
    assert_eq!(
        word(
            r#"
ERROR:app:cannot save
Traceback (most recent call last):
  File "/app/a.py", line 3, in save
KeyError: 'id'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/a.py", line 9, in handle
    raise SaveError("no") from error
app.errors.SaveError: no
and more about it"#
        ),
        "app.errors.SaveError: no"
    );
}

#[test]
fn of_a_group_of_python_it_is_the_group() {
    assert_eq!(
        word(
            r#"
  + Exception Group Traceback (most recent call last):
  |   File "/app/a.py", line 3, in <module>
  | ExceptionGroup: two (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/app/a.py", line 3, in <module>
    | ValueError: 1
    +------------------------------------"#
        ),
        "  | ExceptionGroup: two (2 sub-exceptions)"
    );
}

#[test]
fn of_java_it_is_the_last_cause_or_the_exception() {
    assert_eq!(
        word(
            "
2026-11-29 10:00:00 ERROR failed
java.lang.IllegalStateException: cannot start
\tat org.shop.Main.run(Main.java:12)
Caused by: java.io.IOException: no room
\tat a.b.c(D.java:1)
Caused by: java.net.ConnectException: Connection refused
\t... 12 more"
        ),
        "Caused by: java.net.ConnectException: Connection refused"
    );
    assert_eq!(
        word("\nERROR failed\njava.lang.IllegalStateException: cannot start\n\tat a.b.c(D.java:1)"),
        "java.lang.IllegalStateException: cannot start"
    );
    assert_eq!(
        word("\nException in thread \"main\" java.lang.Error: x\n\tat a.b.c(D.java:1)"),
        "Exception in thread \"main\" java.lang.Error: x"
    );
}

#[test]
fn of_node_go_and_rust_it_is_the_error_and_the_message_of_the_panic() {
    assert_eq!(
        word("\n/app/server.js:12\n    throw new Error('boom');\n    ^\n\nError: boom\n    at foo (/app/x.js:1:1)"),
        "Error: boom"
    );
    assert_eq!(word("\npanic: boom\n\ngoroutine 1 [running]:\nmain.main()"), "panic: boom");
    assert_eq!(
        word("\nthread 'main' panicked at src/main.rs:2:5:\nindex out of bounds\nnote: run with `RUST_BACKTRACE=1`"),
        "index out of bounds"
    );
    assert_eq!(
        word("\nthread 'main' panicked at 'boom', src/main.rs:2:5"),
        "thread 'main' panicked at 'boom', src/main.rs:2:5"
    );
    assert_eq!(word("\nthread 'main' panicked at src/main.rs:2:5:"), "thread 'main' panicked at src/main.rs:2:5:");
}

#[test]
fn of_forms_with_two_lines_it_is_the_second() {
    assert_eq!(word("\nNov 29, 2026 10:00:00 AM org.shop.Main start\nSEVERE: It failed"), "SEVERE: It failed");
    assert_eq!(word("\ninfo: Shop[0]\n      hello"), "      hello");
    assert_eq!(word("\ninfo: Shop[0]"), "info: Shop[0]");
}

#[test]
fn where_nothing_is_known_it_is_the_first() {
    assert_eq!(word("\nOptions:\n  --port"), "Options:");
    assert_eq!(last_word(std::iter::empty()), 0);
}
