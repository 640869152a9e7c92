//! Lines without a form, and lines that only look as if they had one.

use super::holds;

#[test]
fn a_word_for_a_level_counts_where_a_marker_stands() {
    holds(&[
        ("[ERROR] bad", "text error - | bad | "),
        ("[warn] bad", "text warn - | bad | "),
        ("ERROR bad", "text error - | bad | "),
        ("ERROR: bad", "text error - | bad | "),
        ("error: bad", "text error - | bad | "),
        ("Error: bad", "text error - | bad | "),
        ("Warning: bad", "text warn - | bad | "),
        ("WARN  bad", "text warn - | bad | "),
        ("debug: bad", "text debug - | bad | "),
        ("FATAL bad", "text fatal - | bad | "),
        ("ERROR", "text error - | ERROR | "),
        ("[INFO]", "text info - | [INFO] | "),
        ("app | ERROR bad", "text error - | bad | logger=app"),
        ("[app] ERROR: bad", "text error - | bad | thread=app"),
        ("gcc: error: x.c: No such file", "text error - | x.c: No such file | logger=gcc"),
        ("src/x.c:12:5: warning: unused", "text warn - | unused | caller=src/x.c:12:5"),
        ("src/x.ts(1,2): error TS2322: no", "- error - | src/x.ts(1,2): error TS2322: no | "),
        ("src/x.ts:1:2 - error TS2322: no", "- error - | src/x.ts:1:2 - error TS2322: no | "),
        ("/app/x.py:12: DeprecationWarning: old", "- warn - | /app/x.py:12: DeprecationWarning: old | "),
    ]);
}

#[test]
fn a_word_for_a_level_in_a_sentence_is_none() {
    holds(&[
        ("0 errors found", "- - - | 0 errors found | "),
        ("no error in here", "- - - | no error in here | "),
        ("Error rate is 5%", "- - - | Error rate is 5% | "),
        ("error rate is 5%", "- - - | error rate is 5% | "),
        ("Error handling was improved", "- - - | Error handling was improved | "),
        ("errors: 0", "- - - | errors: 0 | "),
        ("the error: it is here", "- - - | the error: it is here | "),
        ("an ERROR occurred while", "- - - | an ERROR occurred while | "),
        ("this is a warning for all", "- - - | this is a warning for all | "),
        ("got ERROR from the server", "- - - | got ERROR from the server | "),
        ("Information about errors", "- - - | Information about errors | "),
        ("Debugging is fun", "- - - | Debugging is fun | "),
        ("Fatality", "- - - | Fatality | "),
        ("log in as root", "- - - | log in as root | "),
        ("Config: x", "- - - | Config: x | "),
        ("Note: read this", "- - - | Note: read this | "),
        ("fine: it is", "- - - | fine: it is | "),
        ("trace the line", "- - - | trace the line | "),
        ("info about it", "- - - | info about it | "),
        ("warnings: 3", "- - - | warnings: 3 | "),
    ]);
}

#[test]
fn a_date_in_a_sentence_and_a_number_are_no_head() {
    holds(&[
        ("The date 2026-11-29 10:00:00 is in a sentence", "- - - | The date 2026-11-29 10:00:00 is in a sentence | "),
        ("2026-11-29 was a Sunday", "- - - | 2026-11-29 was a Sunday | "),
        ("at 10:00:00 it rang", "- - - | at 10:00:00 it rang | "),
        ("1764410400 is a number", "- - - | 1764410400 is a number | "),
        ("10.0.0.1 is an address", "- - - | 10.0.0.1 is an address | "),
        ("12:30 is lunch", "- - - | 12:30 is lunch | "),
        ("3 of 5 done", "- - - | 3 of 5 done | "),
        ("1.2.3", "- - - | 1.2.3 | "),
        ("2026", "- - - | 2026 | "),
        ("[config] loaded", "- - - | [config] loaded | "),
        ("[1/3] Building", "- - - | [1/3] Building | "),
        ("[hint] use it", "- - - | [hint] use it | "),
        ("- a list", "- - - | - a list | "),
        ("# a title", "- - - | # a title | "),
        ("Mon is a day", "- - - | Mon is a day | "),
        ("Nov is a month", "- - - | Nov is a month | "),
        ("Sun Nov rise", "- - - | Sun Nov rise | "),
        ("Mar 10 10:00 is a time", "- - - | Mar 10 10:00 is a time | "),
    ]);
}

#[test]
fn what_begins_trouble_is_trouble() {
    holds(&[
        ("Traceback (most recent call last):", "- error - | Traceback (most recent call last): | "),
        (
            r#"Exception in thread "main" java.lang.IllegalStateException: x"#,
            r#"- error - | Exception in thread "main" java.lang.IllegalStateException: x | "#,
        ),
        ("java.lang.IllegalStateException: x", "- error - | java.lang.IllegalStateException: x | "),
        (
            "panic: runtime error: index out of range [5] with length 3",
            "- fatal - | panic: runtime error: index out of range [5] with length 3 | ",
        ),
        (
            "fatal error: all goroutines are asleep - deadlock!",
            "- fatal - | fatal error: all goroutines are asleep - deadlock! | ",
        ),
        ("thread 'main' panicked at src/main.rs:2:5:", "- fatal - | thread 'main' panicked at src/main.rs:2:5: | "),
        (
            "thread 'main' (123) panicked at src/main.rs:2:5:",
            "- fatal - | thread 'main' (123) panicked at src/main.rs:2:5: | ",
        ),
        ("thread 'worker' panicked at src/main.rs:2:5:", "- error - | thread 'worker' panicked at src/main.rs:2:5: | "),
        (
            "TypeError: Cannot read properties of undefined (reading 'x')",
            "- error - | TypeError: Cannot read properties of undefined (reading 'x') | ",
        ),
        (
            r#"TypeError [ERR_INVALID_ARG_TYPE]: The "path" argument must be of type string"#,
            r#"- error - | TypeError [ERR_INVALID_ARG_TYPE]: The "path" argument must be of type string | "#,
        ),
        ("Uncaught ReferenceError: x is not defined", "- error - | Uncaught ReferenceError: x is not defined | "),
        (
            "Unhandled exception. System.InvalidOperationException: boom",
            "- error - | Unhandled exception. System.InvalidOperationException: boom | ",
        ),
        ("ActiveRecord::ConnectionTimeoutError: no", "- error - | ActiveRecord::ConnectionTimeoutError: no | "),
        ("app.rb:1:in `foo': msg (RuntimeError)", "- error - | app.rb:1:in `foo': msg (RuntimeError) | "),
        ("** (RuntimeError) boom", "- error - | ** (RuntimeError) boom | "),
        ("npm ERR! code ELIFECYCLE", "- error - | npm ERR! code ELIFECYCLE | "),
        ("npm WARN deprecated x", "- warn - | npm WARN deprecated x | "),
        ("--- FAIL: TestX (0.00s)", "- error - | --- FAIL: TestX (0.00s) | "),
        ("make: *** [Makefile:3: all] Error 1", "- error - | make: *** [Makefile:3: all] Error 1 | "),
        ("make[2]: *** [x] Error 2", "- error - | make[2]: *** [x] Error 2 | "),
        ("error[E0308]: mismatched types", "- error - | error[E0308]: mismatched types | "),
        ("(node:123) Warning: x", "- warn - | (node:123) Warning: x | "),
        (
            "(node:123) UnhandledPromiseRejectionWarning: Error: x",
            "- error - | (node:123) UnhandledPromiseRejectionWarning: Error: x | ",
        ),
        ("Segmentation fault (core dumped)", "- fatal - | Segmentation fault (core dumped) | "),
        (" ⨯ Error: boom", "- error - |  ⨯ Error: boom | "),
        (" ⚠ Fast Refresh had to perform a full reload", "- warn - |  ⚠ Fast Refresh had to perform a full reload | "),
    ]);
}

#[test]
fn what_only_looks_like_it_is_none() {
    holds(&[
        ("Tracebacks are good", "- - - | Tracebacks are good | "),
        ("panics: 0", "- - - | panics: 0 | "),
        ("a panic: x", "- - - | a panic: x | "),
        ("TypeErrors: 3", "- - - | TypeErrors: 3 | "),
        ("thread 'main' started", "- - - | thread 'main' started | "),
        ("make: Nothing to be done for 'all'.", "- - - | make: Nothing to be done for 'all'. | "),
        ("MyError is a class", "- - - | MyError is a class | "),
        ("Exceptional: yes", "- - - | Exceptional: yes | "),
        (
            "    at Object.<anonymous> (/app/server.js:12:11)",
            "- - - |     at Object.<anonymous> (/app/server.js:12:11) | ",
        ),
        ("  error: a key of a file", "- - - |   error: a key of a file | "),
        ("  Error: indented", "text error - | indented | "),
    ]);
}

#[test]
fn a_time_and_no_level_has_none() {
    holds(&[
        ("2026-11-29 10:00:00 started", "text - 2026-11-29 10:00:00 | started | "),
        ("2026-11-29 10:00:00 error rate is fine", "text - 2026-11-29 10:00:00 | error rate is fine | "),
        ("2026-11-29T10:00:00Z configuration loaded", "text - 2026-11-29 10:00:00Z | configuration loaded | "),
        ("2026-11-29 10:00:00 Got ERROR from server", "text - 2026-11-29 10:00:00 | Got ERROR from server | "),
        ("2026-11-29 10:00:00 config: loaded", "text - 2026-11-29 10:00:00 | config: loaded | "),
        ("[2026-11-29 10:00:00] started", "text - 2026-11-29 10:00:00 | started | "),
        ("10:00:00 started", "text - 10:00:00 | started | "),
        ("10:00:00 AM [vite] hmr update /src/App.tsx", "text - 10:00:00 | [vite] hmr update /src/App.tsx | "),
        (
            "20171223-22:15:29:606|Step_LSC|30002312|onStandStepChanged 3579",
            "text - 2017-12-23 22:15:29.606 | Step_LSC|30002312|onStandStepChanged 3579 | ",
        ),
    ]);
}

#[test]
fn a_time_and_a_level_in_any_usual_place_has_it() {
    holds(&[
        ("2026-11-29 10:00:00 ERROR bad", "text error 2026-11-29 10:00:00 | bad | "),
        ("2026-11-29 10:00:00 error connecting to db", "text error 2026-11-29 10:00:00 | connecting to db | "),
        ("2026-11-29 10:00:00 [ERROR] bad", "text error 2026-11-29 10:00:00 | bad | "),
        ("2026-11-29T10:00:00Z ERROR bad n=1", "text error 2026-11-29 10:00:00Z | bad n=1 | "),
        ("[2026-11-29 10:00:00] [ERROR] [app] bad", "log4j error 2026-11-29 10:00:00 | bad | thread=app"),
        ("[ERROR] 2026-11-29 10:00:00 bad", "text error 2026-11-29 10:00:00 | bad | "),
        ("[ERROR] [2026-11-29 10:00:00] bad", "text error 2026-11-29 10:00:00 | bad | "),
        ("ERROR 2026-11-29 10:00:00 bad", "text error 2026-11-29 10:00:00 | bad | "),
        ("2026-11-29 10:00:00 | WARN | bad", "text warn 2026-11-29 10:00:00 | bad | "),
        ("2026-11-29 10:00:00 worker-1 ERROR bad", "text error 2026-11-29 10:00:00 | bad | logger=worker-1"),
        ("2026-11-29 10:00:00 [main] ERROR bad", "log4j error 2026-11-29 10:00:00 | bad | thread=main"),
        ("29/11/2026 10:00:00 ERROR bad", "text error 2026-11-29 10:00:00 | bad | "),
        ("29.11.2026 10:00:00 ERROR bad", "text error 2026-11-29 10:00:00 | bad | "),
        ("20261129 10:00:00 ERROR bad", "text error 2026-11-29 10:00:00 | bad | "),
        ("1764410400.123 ERROR bad", "text error 2025-11-29 10:00:00.123Z | bad | "),
        ("1764410400123 ERROR bad", "text error 2025-11-29 10:00:00.123Z | bad | "),
    ]);
}
