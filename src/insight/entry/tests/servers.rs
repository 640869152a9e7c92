//! Servers, syslog, the kernel.

use super::holds;

#[test]
fn error_lines_of_nginx_are_read() {
    holds(&[
        (
            r#"2026/11/29 10:00:00 [error] 123#124: *1 open() "/x" failed (2: No such file or directory), client: 10.0.0.1, server: localhost, request: "GET /x HTTP/1.1", host: "localhost""#,
            r#"nginx error 2026-11-29 10:00:00 | open() "/x" failed (2: No such file or directory) | pid=123; connection=1; client=10.0.0.1; server=localhost; method=GET; path=/x; protocol=HTTP/1.1; host=localhost"#,
        ),
        (
            "2026/11/29 10:00:00 [notice] 1#1: start worker processes",
            "nginx info 2026-11-29 10:00:00 | start worker processes | pid=1",
        ),
        (
            "2026/11/29 10:00:00 [emerg] 1#1: bind() to 0.0.0.0:80 failed (98: Address already in use)",
            "nginx fatal 2026-11-29 10:00:00 | bind() to 0.0.0.0:80 failed (98: Address already in use) | pid=1",
        ),
        (
            r#"2026/11/29 10:00:00 [warn] 7#7: *2 a client request body is buffered, client: 10.0.0.1, server: , upstream: "http://10.0.0.2:80/", referrer: "http://a/""#,
            "nginx warn 2026-11-29 10:00:00 | a client request body is buffered | pid=7; connection=2; client=10.0.0.1; server=; upstream=http://10.0.0.2:80/; referrer=http://a/",
        ),
    ]);
}

#[test]
fn error_lines_of_apache_are_read() {
    holds(&[
        (
            "[Sun Nov 29 10:00:00.123456 2026] [core:error] [pid 123:tid 456] [client 10.0.0.1:567] AH00124: Request exceeded the limit",
            "apache error 2026-11-29 10:00:00.123456 | AH00124: Request exceeded the limit | module=core; pid=123; client=10.0.0.1:567",
        ),
        (
            "[Sun Nov 29 10:00:00.123456 2026] [ssl:trace3] [pid 123] deep",
            "apache trace 2026-11-29 10:00:00.123456 | deep | module=ssl; pid=123",
        ),
        (
            "[Sun Dec 04 04:47:44 2005] [notice] workerEnv.init() ok /etc/httpd/conf/workers2.properties",
            "apache info 2005-12-04 04:47:44 | workerEnv.init() ok /etc/httpd/conf/workers2.properties | ",
        ),
        (
            "[Sun Dec 04 04:47:44 2005] [error] [client 10.0.0.1] Directory index forbidden by rule: /var/www/",
            "apache error 2005-12-04 04:47:44 | Directory index forbidden by rule: /var/www/ | client=10.0.0.1",
        ),
    ]);
}

#[test]
fn syslog_in_both_forms_with_a_priority_and_without_is_read() {
    holds(&[
        (
            "<34>Nov 29 10:00:00 box su: 'su root' failed for bob on /dev/pts/8",
            "syslog fatal 11/29 10:00:00 | 'su root' failed for bob on /dev/pts/8 | host=box; program=su",
        ),
        ("<13>Nov  9 10:00:00 su[1]: no host", "syslog info 11/9 10:00:00 | no host | program=su; pid=1"),
        (
            r#"<165>1 2026-11-29T10:00:00.003Z box.example.com evntslog 123 ID47 [ex@32473 iut="3" eventSource="App"][b c="\"d\""] An event"#,
            r#"syslog info 2026-11-29 10:00:00.003Z | An event | host=box.example.com; program=evntslog; pid=123; msgid=ID47; iut=3; eventSource=App; c="d""#,
        ),
        ("<34>1 - - - - - - hello", "syslog fatal - | hello | "),
        (
            r#"<191>1 2026-11-29T10:00:00Z box app - - - level=error msg="no answer""#,
            "syslog error 2026-11-29 10:00:00Z | no answer | host=box; program=app",
        ),
        ("<30>just a word", "syslog info - | just a word | "),
        ("<999>no priority", "- - - | <999>no priority | "),
        ("<script>no priority", "- - - | <script>no priority | "),
        (
            "Nov 29 10:00:00 box sshd[123]: Failed password for root from 10.0.0.1 port 22 ssh2",
            "syslog - 11/29 10:00:00 | Failed password for root from 10.0.0.1 port 22 ssh2 | host=box; program=sshd; pid=123",
        ),
        (
            "Nov  9 10:00:00.123456 box kernel: [   12.345678] usb 1-1: new device",
            "syslog - 11/9 10:00:00.123456 | usb 1-1: new device | host=box; program=kernel; uptime=12.345678",
        ),
        (
            r#"Nov 29 10:00:00 box app[1]: {"level":"warn","msg":"of json"}"#,
            "syslog warn 11/29 10:00:00 | of json | host=box; program=app; pid=1",
        ),
        (
            "2026-11-29T10:00:00+0100 box systemd[1]: Started Session 1.",
            "syslog - 2026-11-29 09:00:00Z | Started Session 1. | host=box; program=systemd; pid=1",
        ),
        ("Nov 29 10:00:00 something happened", "text - 11/29 10:00:00 | something happened | "),
    ]);
}

#[test]
fn messages_of_the_kernel_are_read() {
    holds(&[
        ("[   12.345678] usb 1-1: new device", "kernel - - | usb 1-1: new device | uptime=12.345678"),
        ("[    0.000000] Linux version 6.18.0", "kernel - - | Linux version 6.18.0 | uptime=0.000000"),
        ("[Sun Nov 29 10:00:00 2026] usb 1-1: new device", "text - 2026-11-29 10:00:00 | usb 1-1: new device | "),
    ]);
}

#[test]
fn lines_of_postgresql_are_read_with_the_usual_prefixes() {
    holds(&[
        (
            r#"2026-11-29 10:00:00.123 UTC [123] bob@shop ERROR:  relation "x" does not exist at character 15"#,
            r#"postgres error 2026-11-29 10:00:00.123Z | relation "x" does not exist at character 15 | pid=123; user=bob; db=shop"#,
        ),
        (
            "2026-11-29 10:00:00.123 UTC [123] bob@shop STATEMENT:  select * from x",
            "postgres - 2026-11-29 10:00:00.123Z | select * from x | pid=123; user=bob; db=shop",
        ),
        (
            "2026-11-29 10:00:00.123 CET [1] LOG:  database system is ready to accept connections",
            "postgres info 2026-11-29 10:00:00.123 | database system is ready to accept connections | pid=1",
        ),
        (
            "2026-11-29 10:00:00 UTC:10.0.0.1(5432):bob@shop:[123]:FATAL:  no room",
            "postgres fatal 2026-11-29 10:00:00Z | no room | client=10.0.0.1; user=bob; db=shop; pid=123",
        ),
        (
            "2026-11-29 10:00:00 UTC [123]: [3-1] user=bob,db=shop,app=psql,client=10.0.0.1 WARNING:  careful",
            "postgres warn 2026-11-29 10:00:00Z | careful | pid=123; user=bob; db=shop; app=psql; client=10.0.0.1",
        ),
        ("2026-11-29 10:00:00.123 -03 [123] DEBUG2:  deep", "postgres debug 2026-11-29 13:00:00.123Z | deep | pid=123"),
        (r#"ERROR:  relation "x" does not exist"#, r#"text error - | relation "x" does not exist | "#),
    ]);
}

#[test]
fn lines_of_mysql_and_mariadb_are_read() {
    holds(&[
        (
            "2026-11-29T10:00:00.123456Z 0 [System] [MY-010931] [Server] /usr/sbin/mysqld: ready for connections.",
            "mysql info 2026-11-29 10:00:00.123456Z | /usr/sbin/mysqld: ready for connections. | pid=0; code=MY-010931; subsystem=Server",
        ),
        (
            "2026-11-29T10:00:00.123456Z 8 [Warning] [MY-013360] [Server] Plugin is deprecated",
            "mysql warn 2026-11-29 10:00:00.123456Z | Plugin is deprecated | pid=8; code=MY-013360; subsystem=Server",
        ),
        (
            "2026-11-29T10:00:00.123456Z 0 [ERROR] Aborting",
            "mysql error 2026-11-29 10:00:00.123456Z | Aborting | pid=0",
        ),
        (
            "2026-11-29 10:00:00 0 [Note] InnoDB: Using Linux native AIO",
            "mysql info 2026-11-29 10:00:00 | InnoDB: Using Linux native AIO | pid=0",
        ),
        ("261129 10:00:00 [ERROR] Fatal", "text error 2026-11-29 10:00:00 | Fatal | "),
    ]);
}

#[test]
fn lines_of_redis_are_read() {
    holds(&[
        (
            "123:M 29 Nov 2026 10:00:00.123 * Ready to accept connections",
            "redis info 2026-11-29 10:00:00.123 | Ready to accept connections | pid=123; role=M",
        ),
        (
            "1:C 29 Nov 2026 10:00:00.123 # WARNING Memory overcommit must be enabled!",
            "redis warn 2026-11-29 10:00:00.123 | WARNING Memory overcommit must be enabled! | pid=1; role=C",
        ),
        ("7:S 29 Nov 2026 10:00:00.123 . deep", "redis debug 2026-11-29 10:00:00.123 | deep | pid=7; role=S"),
        ("7:X 29 Nov 2026 10:00:00.123 - verbose", "redis info 2026-11-29 10:00:00.123 | verbose | pid=7; role=X"),
    ]);
}

#[test]
fn lines_of_rabbitmq_kafka_elasticsearch_zookeeper_clickhouse_nats_and_cassandra_are_read() {
    holds(&[
        (
            "2026-11-29 10:00:00.123456+00:00 [error] <0.222.0> Channel error",
            "rabbitmq error 2026-11-29 10:00:00.123456Z | Channel error | pid=0.222.0",
        ),
        (
            "2026-11-29 10:00:00.123 [info] <0.222.0> started TCP listener",
            "rabbitmq info 2026-11-29 10:00:00.123 | started TCP listener | pid=0.222.0",
        ),
        (
            "[2026-11-29 10:00:00,123] ERROR Error while loading (kafka.server.KafkaServer)",
            "log4j error 2026-11-29 10:00:00.123 | Error while loading | logger=kafka.server.KafkaServer",
        ),
        (
            "[2026-11-29 10:00:00,123] INFO [broker 1] started (kafka.server.KafkaServer)",
            "log4j info 2026-11-29 10:00:00.123 | [broker 1] started | logger=kafka.server.KafkaServer",
        ),
        (
            "[2026-11-29T10:00:00,123][WARN ][o.e.n.Node               ] [node-1] starting",
            "elasticsearch warn 2026-11-29 10:00:00.123 | starting | logger=o.e.n.Node; thread=node-1",
        ),
        (
            "2026-11-29 10:00:00,123 [myid:1] - INFO  [main:QuorumPeer@1] - Reading configuration",
            "log4j info 2026-11-29 10:00:00.123 | Reading configuration | thread=myid:1; logger=main:QuorumPeer@1",
        ),
        (
            "2026.11.29 10:00:00.123456 [ 123 ] {abc} <Error> Application: bad",
            "clickhouse error 2026-11-29 10:00:00.123456 | Application: bad | pid=123",
        ),
        (
            "[1] 2026/11/29 10:00:00.123456 [INF] Server is ready",
            "go info 2026-11-29 10:00:00.123456 | Server is ready | pid=1",
        ),
        ("[1] 2026/11/29 10:00:00.123456 [ERR] no room", "go error 2026-11-29 10:00:00.123456 | no room | pid=1"),
        (
            "INFO  [main] 2026-11-29 10:00:00,123 CassandraDaemon.java:12 - Hostname",
            "log4j info 2026-11-29 10:00:00.123 | Hostname | thread=main; caller=CassandraDaemon.java:12",
        ),
    ]);
}
