//! Loggers of all languages.

use super::holds;

#[test]
fn lines_of_spring_boot_are_read_of_the_second_and_of_the_third_version() {
    holds(&[
        (
            "2026-11-29 10:00:00.123  INFO 123 --- [           main] o.s.b.w.e.tomcat.TomcatWebServer  : Tomcat started on port(s): 8080",
            "spring info 2026-11-29 10:00:00.123 | Tomcat started on port(s): 8080 | pid=123; thread=main; logger=o.s.b.w.e.tomcat.TomcatWebServer",
        ),
        (
            "2026-11-29T10:00:00.123+01:00  WARN 123 --- [nio-8080-exec-1] o.s.w.s.DefaultHandler : Resolved",
            "spring warn 2026-11-29 09:00:00.123Z | Resolved | pid=123; thread=nio-8080-exec-1; logger=o.s.w.s.DefaultHandler",
        ),
        (
            "2026-11-29T10:00:00.123+01:00 ERROR 123 --- [shop] [nio-8080-exec-1] o.a.c.c.C.[.[.[/].[dispatcherServlet]    : Servlet.service() failed",
            "spring error 2026-11-29 09:00:00.123Z | Servlet.service() failed | pid=123; application=shop; thread=nio-8080-exec-1; logger=o.a.c.c.C.[.[.[/].[dispatcherServlet]",
        ),
        (
            "2026-11-29T10:00:00.123+01:00 DEBUG 123 --- [shop] [main] [65a1-77bc] c.e.Main : traced",
            "spring debug 2026-11-29 09:00:00.123Z | traced | pid=123; application=shop; thread=main; trace=65a1-77bc; logger=c.e.Main",
        ),
    ]);
}

#[test]
fn lines_of_logback_log4j_tomcat_hadoop_spark_and_zookeeper_are_read() {
    holds(&[
        (
            "10:00:00.123 [main] INFO  com.example.Main - hello",
            "log4j info 10:00:00.123 | hello | thread=main; logger=com.example.Main",
        ),
        (
            "2026-11-29 10:00:00,123 ERROR [http-1] com.example.Main - it broke",
            "log4j error 2026-11-29 10:00:00.123 | it broke | thread=http-1; logger=com.example.Main",
        ),
        (
            "2026-11-29 10:00:00.123 [pool-1-thread-2] WARN com.example.Main - hm",
            "log4j warn 2026-11-29 10:00:00.123 | hm | thread=pool-1-thread-2; logger=com.example.Main",
        ),
        (
            "29-Nov-2026 10:00:00.123 SEVERE [main] org.apache.catalina.startup.HostConfig.deploy Error deploying",
            "log4j error 2026-11-29 10:00:00.123 | Error deploying | thread=main; logger=org.apache.catalina.startup.HostConfig.deploy",
        ),
        (
            "2015-10-18 18:01:47,978 INFO [main] org.apache.hadoop.mapreduce.v2.app.MRAppMaster: Created",
            "log4j info 2015-10-18 18:01:47.978 | Created | thread=main; logger=org.apache.hadoop.mapreduce.v2.app.MRAppMaster",
        ),
        (
            "2015-10-18 18:01:47,978 INFO [RMCommunicator Allocator] org.apache.hadoop.mapreduce.v2.Allocator: Sized",
            "log4j info 2015-10-18 18:01:47.978 | Sized | thread=RMCommunicator Allocator; logger=org.apache.hadoop.mapreduce.v2.Allocator",
        ),
        (
            "17/06/09 20:10:40 INFO executor.CoarseGrainedExecutorBackend: Registered",
            "text info 2017-06-09 20:10:40 | Registered | logger=executor.CoarseGrainedExecutorBackend",
        ),
    ]);
}

#[test]
fn the_two_lines_of_java_util_logging_are_read() {
    holds(&[
        (
            "Nov 29, 2026 10:00:00 AM org.apache.catalina.core.StandardService startInternal",
            "jul - 2026-11-29 10:00:00 | org.apache.catalina.core.StandardService startInternal | logger=org.apache.catalina.core.StandardService; method=startInternal",
        ),
        (
            "Nov 29, 2026 1:00:00 PM org.apache.catalina.core.StandardService startInternal",
            "jul - 2026-11-29 13:00:00 | org.apache.catalina.core.StandardService startInternal | logger=org.apache.catalina.core.StandardService; method=startInternal",
        ),
        ("INFO: Starting service [Tomcat]", "text info - | Starting service [Tomcat] | "),
        ("SEVERE: It failed", "text error - | It failed | "),
    ]);
}

#[test]
fn lines_of_python_are_read() {
    holds(&[
        ("ERROR:root:msg here", "python error - | msg here | logger=root"),
        ("WARNING:app.views:careful", "python warn - | careful | logger=app.views"),
        (
            "2026-11-29 10:00:00,123 - app.name - ERROR - it broke",
            "python error 2026-11-29 10:00:00.123 | it broke | logger=app.name",
        ),
        ("2026-11-29 10:00:00,123 INFO app it went well", "python info 2026-11-29 10:00:00.123 | app it went well | "),
        (
            "2026-11-29 10:00:00,123 [ERROR] app: it broke",
            "python error 2026-11-29 10:00:00.123 | it broke | logger=app",
        ),
        ("2026-11-29 10:00:00,123 ERROR: it broke", "python error 2026-11-29 10:00:00.123 | it broke | "),
        (
            "[2026-11-29 10:00:00,123] ERROR in app: Exception on / [GET]",
            "python error 2026-11-29 10:00:00.123 | Exception on / [GET] | logger=app",
        ),
        (
            "[2026-11-29 10:00:00,123: ERROR/MainProcess] Task raised",
            "celery error 2026-11-29 10:00:00.123 | Task raised | process=MainProcess",
        ),
        (
            "[2026-11-29 10:00:00,123: WARNING/ForkPoolWorker-1] slow",
            "celery warn 2026-11-29 10:00:00.123 | slow | process=ForkPoolWorker-1",
        ),
        (
            "[2026-11-29 10:00:00 +0000] [123] [INFO] Booting worker with pid: 123",
            "gunicorn info 2026-11-29 10:00:00Z | Booting worker with pid: 123 | pid=123",
        ),
        (
            "INFO:     Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)",
            "uvicorn info - | Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit) | ",
        ),
        (
            "2026-11-29 10:00:00.123 | ERROR    | app.mod:run:12 - it broke",
            "loguru error 2026-11-29 10:00:00.123 | it broke | caller=app.mod:run:12",
        ),
        (
            "INFO 2026-11-29 10:00:00,123 basehttp 123 456 asked",
            "django info 2026-11-29 10:00:00.123 | asked | logger=basehttp; pid=123; thread=456",
        ),
        (
            "2026-11-29 10:00:00 [info     ] paid                           order=12",
            "structlog info 2026-11-29 10:00:00 | paid | order=12",
        ),
        (
            "2026-11-29 10:00:00 [scrapy.core.engine] INFO: Spider opened",
            "text info 2026-11-29 10:00:00 | Spider opened | logger=scrapy.core.engine",
        ),
        (
            "[2026-11-29T10:00:00.123+0000] {taskinstance.py:12} INFO - Dependencies are met",
            "text info 2026-11-29 10:00:00.123Z | Dependencies are met | caller=taskinstance.py:12",
        ),
        (
            "INFO  [alembic.runtime.migration] Context impl SQLiteImpl.",
            "text info - | Context impl SQLiteImpl. | logger=alembic.runtime.migration",
        ),
        (
            "2026-11-29 10:00:00,123 123 INFO shop odoo.modules.loading: loading",
            "python info 2026-11-29 10:00:00.123 | shop odoo.modules.loading: loading | pid=123",
        ),
        ("[10:00:00] WARNING  of rich", "text warn 10:00:00 | of rich | "),
    ]);
}

#[test]
fn lines_of_rails_and_its_logger_are_read() {
    holds(&[
        (
            "E, [2026-11-29T10:00:00.123456 #123] ERROR -- : it broke",
            "rails error 2026-11-29 10:00:00.123456 | it broke | pid=123",
        ),
        (
            "I, [2026-11-29T10:00:00.123456 #123]  INFO -- app: hello",
            "rails info 2026-11-29 10:00:00.123456 | hello | pid=123; logger=app",
        ),
        (
            "F, [2026-11-29T10:00:00.123456 #123] FATAL -- : [tag] gone",
            "rails fatal 2026-11-29 10:00:00.123456 | [tag] gone | pid=123",
        ),
        (
            "2026-11-29T10:00:00.123Z pid=123 tid=abc class=Foo INFO: start",
            "text info 2026-11-29 10:00:00.123Z | start | pid=123; tid=abc; class=Foo",
        ),
    ]);
}

#[test]
fn lines_of_loggers_of_node_are_read() {
    holds(&[
        (r#"error: no answer {"service":"shop"}"#, "text error - | no answer | service=shop"),
        ("info: hello", "text info - | hello | "),
        ("2026-11-29T10:00:00.123Z error: no answer", "text error 2026-11-29 10:00:00.123Z | no answer | "),
        ("[10:00:00.123] INFO (123): hello", "text info 10:00:00.123 | hello | pid=123"),
        ("[10:00:00.123] ERROR (shop/123): hello", "text error 10:00:00.123 | hello | pid=123"),
        (
            "[Nest] 123  - 11/29/2026, 10:00:00 AM     LOG [NestFactory] Starting",
            "nest info 2026-11-29 10:00:00 | Starting | thread=NestFactory",
        ),
        (
            "[Nest] 123  - 11/29/2026, 10:00:00 PM   ERROR [Handler] no",
            "nest error 2026-11-29 22:00:00 | no | thread=Handler",
        ),
        ("Sun, 29 Nov 2026 10:00:00 GMT app:server listening", "text - 2026-11-29 10:00:00Z | app:server listening | "),
        ("2026-11-29T10:00:00.123Z app:server listening", "text - 2026-11-29 10:00:00.123Z | app:server listening | "),
    ]);
}

#[test]
fn lines_of_go_are_read() {
    holds(&[
        ("2026/11/29 10:00:00 file.go:12: msg", "go - 2026-11-29 10:00:00 | msg | caller=file.go:12"),
        (
            "2026/11/29 10:00:00.123456 /app/main.go:12: msg",
            "go - 2026-11-29 10:00:00.123456 | msg | caller=/app/main.go:12",
        ),
        ("2026/11/29 10:00:00 listening on :80", "go - 2026-11-29 10:00:00 | listening on :80 | "),
        (
            "2026/11/29 10:00:00 http: panic serving 127.0.0.1:1: boom",
            "go error 2026-11-29 10:00:00 | http: panic serving 127.0.0.1:1: boom | ",
        ),
        (
            r#"2026/11/29 10:00:00 INFO hello count=3 who="a b""#,
            "go info 2026-11-29 10:00:00 | hello | count=3; who=a b",
        ),
        ("2026/11/29 10:00:00 [WARN] careful", "go warn 2026-11-29 10:00:00 | careful | "),
        (
            "E1129 10:00:00.123456   123 file.go:12] it broke",
            "klog error 11/29 10:00:00.123456 | it broke | pid=123; caller=file.go:12",
        ),
        (
            r#"I1129 10:00:00.123456   123 file.go:12] "Pod ready" pod="a/b" n=3"#,
            "klog info 11/29 10:00:00.123456 | Pod ready | pid=123; caller=file.go:12; pod=a/b; n=3",
        ),
        (
            "I261129 10:00:00.123456 1 server/node.go:12 started",
            "klog info 2026-11-29 10:00:00.123456 | started | pid=1; caller=server/node.go:12",
        ),
        ("10:00AM INF started port=80", "zerolog info 10:00:00 | started | port=80"),
        (r#"2026-11-29T10:00:00Z ERR failed error="x y""#, "zerolog error 2026-11-29 10:00:00Z | failed | error=x y"),
        ("INFO[0012] hello                                         k=v", "logrus info - | hello | uptime=0012; k=v"),
        ("WARN[2026-11-29T10:00:00Z] hello k=v", "logrus warn 2026-11-29 10:00:00Z | hello | k=v"),
        (
            "2026-11-29T10:00:00.123Z [INFO]  agent: started: k=v",
            "hclog info 2026-11-29 10:00:00.123Z | started | logger=agent; k=v",
        ),
        (
            "2026-11-29T10:00:00.123Z\tINFO\tshop.http\tserver/main.go:12\tstarted\t{\"port\": 80}",
            "zap info 2026-11-29 10:00:00.123Z | started | logger=shop.http; caller=server/main.go:12; port=80",
        ),
        (
            "2026/11/29 10:00:00.123\tINFO\tadmin\tadmin endpoint started\t{\"address\": \"localhost:2019\"}",
            "zap info 2026-11-29 10:00:00.123 | admin endpoint started | logger=admin; address=localhost:2019",
        ),
        ("2026-11-29T10:00:00.123456Z\tinfo\tstarted", "zap info 2026-11-29 10:00:00.123456Z | started | "),
    ]);
}

#[test]
fn lines_of_rust_are_read() {
    holds(&[
        (
            "2026-11-29T10:00:00.123456Z  INFO my_app::http: listening addr=0.0.0.0:80",
            "rust info 2026-11-29 10:00:00.123456Z | listening | logger=my_app::http; addr=0.0.0.0:80",
        ),
        (
            r#"2026-11-29T10:00:00.123456Z ERROR request{method=GET uri="/x"}: my_app: failed error=boom"#,
            "rust error 2026-11-29 10:00:00.123456Z | failed | method=GET; uri=/x; logger=my_app; error=boom",
        ),
        (
            "2026-11-29T10:00:00.123456Z  WARN my_app: a sentence with x=1 in it",
            "rust warn 2026-11-29 10:00:00.123456Z | a sentence with x=1 in it | logger=my_app",
        ),
        (" INFO my_app: without time", "text info - | my_app: without time | "),
        ("[2026-11-29T10:00:00Z INFO  my_app] hello", "rust info 2026-11-29 10:00:00Z | hello | logger=my_app"),
        (
            "[2026-11-29T10:00:00Z ERROR my_app::db] no answer",
            "rust error 2026-11-29 10:00:00Z | no answer | logger=my_app::db",
        ),
    ]);
}

#[test]
fn lines_of_net_are_read() {
    holds(&[
        (
            "fail: Microsoft.AspNetCore.Server.Kestrel[13]",
            "dotnet error - | Microsoft.AspNetCore.Server.Kestrel[13] | logger=Microsoft.AspNetCore.Server.Kestrel; event=13",
        ),
        (
            "info: Microsoft.Hosting.Lifetime[14] Now listening",
            "dotnet info - | Now listening | logger=Microsoft.Hosting.Lifetime; event=14",
        ),
        ("dbug: Shop[0]", "dotnet debug - | Shop[0] | logger=Shop; event=0"),
        ("[10:00:00 INF] of serilog", "serilog info 10:00:00 | of serilog | "),
        ("2026-11-29 10:00:00.123 +01:00 [ERR] of serilog", "text error 2026-11-29 09:00:00.123Z | of serilog | "),
        (
            "2026-11-29 10:00:00.1234|ERROR|Shop.Main|of nlog",
            "text error 2026-11-29 10:00:00.123400 | Shop.Main|of nlog | ",
        ),
    ]);
}

#[test]
fn lines_of_php_are_read() {
    holds(&[
        (
            "[29-Nov-2026 10:00:00 UTC] PHP Warning:  Undefined variable $x in /x.php on line 3",
            "php warn 2026-11-29 10:00:00Z | Undefined variable $x in /x.php on line 3 | ",
        ),
        (
            "[29-Nov-2026 10:00:00 Europe/Berlin] PHP Fatal error:  Uncaught Exception: x",
            "php fatal 2026-11-29 10:00:00 | Uncaught Exception: x | ",
        ),
        (
            "[29-Nov-2026 10:00:00] NOTICE: fpm is running, pid 1",
            "php info 2026-11-29 10:00:00 | fpm is running, pid 1 | ",
        ),
        (
            "[Sun Nov 29 10:00:00 2026] 127.0.0.1:1234 [404]: GET /x",
            "php warn 2026-11-29 10:00:00 | 127.0.0.1:1234 [404]: GET /x | client=127.0.0.1:1234; method=GET; path=/x; status=404",
        ),
        (
            r#"[2026-11-29 10:00:00] local.ERROR: boom {"userId":1} []"#,
            "monolog error 2026-11-29 10:00:00 | boom | logger=local; userId=1",
        ),
        (
            "[2026-11-29T10:00:00.123456+00:00] app.INFO: hello [] []",
            "monolog info 2026-11-29 10:00:00.123456Z | hello | logger=app",
        ),
        ("PHP Deprecated:  old in /x.php on line 3", "php warn - | old in /x.php on line 3 | "),
    ]);
}

#[test]
fn lines_of_elixir_and_android_are_read() {
    holds(&[
        ("10:00:00.123 [info] Running Shop.Endpoint", "elixir info 10:00:00.123 | Running Shop.Endpoint | "),
        ("10:00:00.123 [error] GenServer terminating", "elixir error 10:00:00.123 | GenServer terminating | "),
        ("11-29 10:00:00.123  123  456 E Tag: it broke", "text error 11/29 10:00:00.123 | Tag: it broke | pid=123"),
    ]);
}
