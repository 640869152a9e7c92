use super::Header;

/// Whether the messages are what is right of `⇒` in each line of `text`; the head and the message are written with that mark between them.
fn holds(text: &str) {
    let parts: Vec<(&str, &str)> = text.trim().lines().map(|line| line.split_once('⇒').unwrap()).collect();
    let lines: Vec<String> = parts.iter().map(|(head, message)| format!("{head}{message}")).collect();
    let header = Header::learn(lines.iter().map(String::as_bytes));
    for (line, (_, message)) in lines.iter().zip(&parts) {
        let found = String::from_utf8_lossy(header.message(line.as_bytes())).into_owned();
        assert_eq!(found, message.trim(), "{line}\n{header:?}");
    }
}

#[test]
fn a_date_a_pid_a_level_and_a_component() {
    holds(
        "
081109 203518 143 INFO dfs.DataNode$DataXceiver: ⇒Receiving block blk_-16 src: /10.250.19.102:54106
081109 203519 145 INFO dfs.DataNode$PacketResponder: ⇒PacketResponder 1 for block blk_38 terminating
081109 203521 13 WARN dfs.DataBlockScanner: ⇒Verification succeeded for blk_-49",
    );
}

#[test]
fn a_level_and_a_bracket_with_brackets_in_it_and_a_dash() {
    holds(
        "
2015-07-29 17:41:44,747 - INFO  [QuorumPeer[myid=1]/0:0:0:0:0:0:0:0:2181:FastLeaderElection@774] - ⇒Notification time out: 3200
2015-07-29 19:04:12,394 - INFO  [/10.10.34.11:3888:QuorumCnxManager$Listener@493] - ⇒Received connection request /10.10.34.11:45307
2015-07-30 16:06:21,108 - WARN  [ProcessThread(sid:2 cport:-1)::PrepRequestProcessor@476] - ⇒Processed termination: 0x14",
    );
}

#[test]
fn the_form_of_syslog_with_and_without_a_pid() {
    holds(
        "
Jun 14 15:16:01 combo sshd(pam_unix)[19939]: ⇒authentication failure; logname= uid=0 rhost=218.188.2.4
Jun 15 04:06:18 combo su(pam_unix)[21416]: ⇒session opened for user cyrus by (uid=0)
Jun 15 04:12:42 combo logrotate: ⇒ALERT exited abnormally with [1]
Jun 19 04:09:11 combo syslogd 1.4.1: ⇒restart.
Jul 27 14:42:00 combo  -- root[12345]: ⇒ROOT LOGIN ON tty2
Jul  1 14:42:00 combo com.example.launchd[1] (com.example.look[31624]): ⇒Endpoint has been activated",
    );
}

#[test]
fn columns_before_a_time_belong_to_the_head() {
    holds(
        "
- 1131566461 2005.11.09 dn228 Nov 9 12:01:01 dn228/dn228 crond(pam_unix)[2915]: ⇒session closed for user root
- 1131566469 2005.11.09 tbird-sm1 Nov 9 12:01:09 src@tbird-sm1 ib_sm.x[24904]: ⇒[ib_sm_sweep.c:1455]: No topology change
- 1131566512 2005.11.09 bn431 Nov 9 12:01:52 bn431/bn431 Server Administrator: ⇒Instrumentation Service EventID: 1404",
    );
    holds(
        "
134681 node-246 unix.hw state_change.unavailable 1077804742 1 ⇒Component State Change
350766 node-109 unix.hw state_change.unavailable 1084680778 1 ⇒Component State Change
40766 gige7 gige temperature 1104857875 1 ⇒warning
2286759 full partition status 1061219795 -1 ⇒running",
    );
}

#[test]
fn brackets_around_time_and_level_but_not_around_what_only_some_lines_have() {
    holds(
        "
[Sun Dec 04 04:47:44 2005] [notice] ⇒workerEnv.init() ok /etc/httpd/conf/workers2.properties
[Sun Dec 04 04:51:08 2005] [error] ⇒mod_jk child workerEnv in error state 6
[Sun Dec 04 05:15:09 2005] [error] ⇒[client 222.166.160.184] Directory index forbidden by rule: /var/www/html/",
    );
    holds(
        "
app.log.1 2017-05-16 00:00:00.008 25746 INFO nova.osapi_compute.wsgi.server [req-38 113d 54fa - - -] ⇒10.11.10.1 \"GET /v2 HTTP/1.1\" status: 200
app.log.1 2017-05-16 00:00:00.272 2931 INFO nova.compute.manager [req-39 - - - - -] ⇒[instance: b9000564] VM Started
app.log.1 2017-05-16 00:00:01.272 2931 WARNING nova.virt.libvirt.imagecache [req-40 - - - - -] ⇒Unknown base file: /var/lib",
    );
}

#[test]
fn a_dash_that_is_not_in_the_same_place_on_every_line() {
    holds(
        "
[10.30 16:49:06] chrome.exe - ⇒proxy.example.hk:5070 open through proxy proxy.example.hk:5070 HTTPS
[10.30 16:49:07] chrome.exe *64 - ⇒clients4.example.com:443 close, 1165 bytes (1.13 KB) sent, lifetime <1 sec
[10.30 16:49:08] chat.exe - ⇒182.254.114.110:80 error : Could not connect - cannot establish",
    );
}

#[test]
fn a_capital_as_the_level_and_a_tag_with_spaces_before_its_colon() {
    holds(
        "
03-17 16:13:38.811  1702  2395 D WindowManager: ⇒printFreezing opening app
03-17 16:13:38.885  2227  2227 I chatty  : ⇒uid=10037(com.android.systemui) expire 3 lines
03-17 16:13:38.905  1702 10454 V PowerManagerService: ⇒release:lock=233570404, flg=0x0",
    );
}

#[test]
fn a_level_that_is_shortened() {
    holds(
        "
10:00:00 INF ⇒listening on port 80
10:00:01 DBG ⇒no cache for user ann
10:00:02 WRN ⇒slow answer of the ledger",
    );
}

#[test]
fn the_columns_of_a_table() {
    holds(
        "
2016-09-28 04:30:30, Info                  CBS    ⇒Loaded Servicing Stack v6.1.7601.23505
2016-09-28 04:30:31, Info                  CSI    ⇒00000001@2016/9/27:20:30:31.455 WcpInitialize called
2016-09-28 04:30:31, Error                 CBS    ⇒SQM: Failed to start upload",
    );
}

#[test]
fn fields_with_a_separator_that_the_message_may_have_as_well() {
    holds(
        "
20171223-22:15:29:606|Step_LSC|30002312|⇒onStandStepChanged 3579
20171223-22:15:29:615|Step_LSC|30002312|⇒onExtend:1514038530000 14 0 4
20171224-0:28:0:83|Step_SPUtils|30002312|⇒reload1514044800223|3786|0|0",
    );
}

#[test]
fn lines_without_a_head_are_all_message_and_so_are_those_of_a_trace_below_a_line_with_one() {
    holds("⇒Listening on port 80\n⇒Retry in 5 seconds: no answer\n⇒bye");
    holds(
        "
2026-01-01T10:00:00Z ERROR ⇒it failed
⇒    at Main.run(Main.java:5)
⇒    at Main.main(Main.java:1)
2026-01-01T10:00:01Z INFO ⇒started again",
    );
}

#[test]
fn nothing_is_learnt_from_nothing() {
    assert_eq!(Header::learn(std::iter::empty()), Header::default());
    assert_eq!(Header::learn([&b""[..], b"   "].into_iter()), Header::default());
    assert_eq!(Header::default().message(b" hello \r"), b"hello");
}

#[test]
fn junk_of_any_form_is_cut_without_a_panic() {
    let lines: Vec<Vec<u8>> = (0..200_u32)
        .map(|seed| (0..seed).map(|at| (at.wrapping_mul(seed).wrapping_mul(2_654_435_761) >> 13) as u8).collect())
        .chain([
            b"[[[[".to_vec(),
            b"]".to_vec(),
            b"[]".to_vec(),
            b"Jan".to_vec(),
            b"Jan 1 ".to_vec(),
            b"1-1 ".to_vec(),
            b"|".to_vec(),
        ])
        .collect();
    let header = Header::learn(lines.iter().map(Vec::as_slice));
    for line in &lines {
        assert!(header.message(line).len() <= line.len());
    }
}
