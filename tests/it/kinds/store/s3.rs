//! A store that answers as S3's reference says (<https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>, `API_ListBuckets.html`,
//! `API_ListObjectsV2.html`) and checks signatures as <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html> says; and what `MinIO`
//! adds (<https://min.io/docs/minio/linux/operations/monitoring/healthcheck-probe.html>).

use std::sync::{Arc, Mutex};

use ring::{digest, hmac};

use super::{Page, Shared, about, assert_remark, assert_strangers_are_known, http, limit, looked, says, with};
use crate::kinds::rig::{self, figure};
use cas::model::exam::{Grade, Protocol, Target, Trouble};

const KIND: Protocol = Protocol::S3;
const KEY: &str = "AKIAPROBE";
const SECRET: &str = "right-horse";
/// Its clock: far from that of whoever runs this.
const DATE: &str = "Fri, 24 May 2013 00:00:00 GMT";

#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a fake")]
struct State {
    minio: bool,
    healthy: bool,
    quorum: bool,
    region: &'static str,
    objects: usize,
    drives_offline: u32,
    down: bool,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hash(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn error(status: &str, code: &str, more: &str) -> Page {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{code}, it says</Message>{more}<RequestId>1</RequestId></Error>"
    );
    (status.to_owned(), Vec::new(), body)
}

/// What S3 does with the headers of a request: none where it is nobody's, else whether the signature is right.
fn check(asked: &str, region: &str) -> Result<bool, Page> {
    let header = |name: &str| {
        asked.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let Some(proof) = header("authorization") else { return Ok(false) };
    let part = |name: &str| proof.split([',', ' ']).find_map(|part| part.strip_prefix(name)).unwrap().to_owned();
    let credential = part("Credential=");
    let scope: Vec<&str> = credential.split('/').collect();
    if scope[0] != KEY {
        return Err(error("403 Forbidden", "InvalidAccessKeyId", ""));
    }
    let date = header("x-amz-date").unwrap();
    if !date.starts_with("20130524T0000") {
        return Err(error("403 Forbidden", "RequestTimeTooSkewed", ""));
    }
    if scope[2] != region {
        return Err(error("400 Bad Request", "AuthorizationHeaderMalformed", &format!("<Region>{region}</Region>")));
    }
    let (path, query) = {
        let whole = asked.split(' ').nth(1).unwrap();
        whole.split_once('?').unwrap_or((whole, ""))
    };
    let names = part("SignedHeaders=");
    let lines: String = names.split(';').map(|name| format!("{name}:{}\n", header(name).unwrap())).collect();
    let body = header("x-amz-content-sha256").unwrap();
    assert_eq!(body, hash(""), "a GET has no body");
    let canonical = format!("GET\n{path}\n{query}\n{lines}\n{names}\n{body}");
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{}\n{}", scope[1..].join("/"), hash(&canonical));
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for word in scope[1..].iter().copied().chain([text.as_str()]) {
        key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), word.as_bytes()).as_ref().to_vec();
    }
    if hex(&key) == part("Signature=") { Ok(true) } else { Err(error("403 Forbidden", "SignatureDoesNotMatch", "")) }
}

fn objects(count: usize) -> String {
    let shown = count.min(1000);
    let contents: String = (0..shown)
        .map(|number| format!("<Contents><Key>backup-{number}</Key><LastModified>2013-05-{:02}T23:00:00.000Z</LastModified><Size>10</Size></Contents>", 1 + number.min(22)))
        .collect();
    format!(
        "<ListBucketResult><Name>backups</Name><IsTruncated>{}</IsTruncated>{contents}</ListBucketResult>",
        count > shown
    )
}

fn answer(asked: &str, now: &State) -> Page {
    let whole = asked.split(' ').nth(1).unwrap();
    let path = whole.split('?').next().unwrap();
    let ok = |body: String| ("200 OK".to_owned(), Vec::new(), body);
    if path.starts_with("/minio/") && now.minio {
        return match path {
            "/minio/health/ready" if !now.healthy => error("503 Service Unavailable", "", ""),
            "/minio/health/cluster" if !now.quorum => (
                "503 Service Unavailable".to_owned(),
                vec![("x-minio-write-quorum".to_owned(), "3".to_owned())],
                String::new(),
            ),
            "/minio/v2/metrics/cluster" => ok(format!(
                "# TYPE minio_cluster_drive_offline_total gauge\nminio_cluster_drive_offline_total{{server=\"a\"}} {}\n\
                 minio_cluster_capacity_usable_total_bytes{{server=\"a\"}} 1e+03\nminio_cluster_capacity_usable_free_bytes{{server=\"a\"}} 250\n",
                now.drives_offline
            )),
            _ => ok(String::new()),
        };
    }
    if now.down {
        return error("503 Service Unavailable", "ServiceUnavailable", "");
    }
    let known = match check(asked, now.region) {
        Ok(known) => known,
        Err(page) => return page,
    };
    match path {
        _ if !known => error("403 Forbidden", "AccessDenied", ""),
        "/" => ok("<ListAllMyBucketsResult><Buckets><Bucket><Name>a</Name></Bucket><Bucket><Name>b</Name></Bucket></Buckets></ListAllMyBucketsResult>".to_owned()),
        "/backups" => ok(objects(now.objects)),
        _ => error("404 Not Found", "NoSuchBucket", ""),
    }
}

fn fake(minio: bool) -> (Target, Shared<State>) {
    let state =
        State { minio, healthy: true, quorum: true, region: "us-east-1", objects: 2, drives_offline: 0, down: false };
    let state = Arc::new(Mutex::new(state));
    let shared = Arc::clone(&state);
    let port = http(move |asked| {
        let now = shared.lock().unwrap().clone();
        assert!(!asked.contains(SECRET), "a secret key went over the network");
        let (status, mut headers, body) = answer(asked, &now);
        headers.push(("date".to_owned(), DATE.to_owned()));
        headers.push(("x-amz-request-id".to_owned(), "1".to_owned()));
        if now.minio {
            headers.push(("server".to_owned(), "MinIO".to_owned()));
        }
        (status, headers, body)
    });
    (rig::at(port), state)
}

#[test]
fn a_store_that_speaks_s3_is_asked_with_signatures_by_its_own_clock() {
    assert_strangers_are_known(KIND);
    let other = says(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi");
    assert!(matches!(rig::ready(KIND, &rig::at(other)), Err(Trouble::Foreign(_))));

    let (open, state) = fake(false);
    assert_eq!(rig::ready(KIND, &open), Ok(()), "AccessDenied in its own XML is an answer of S3");
    let probe = with(open.clone(), Some(KEY), SECRET);
    assert_eq!(rig::ready(KIND, &probe), Ok(()));
    assert_eq!(figure(&looked(KIND, &probe), "buckets"), 2.0);
    let wrong = rig::ready(KIND, &with(open.clone(), Some(KEY), "wrong-horse")).unwrap_err();
    assert!(matches!(&wrong, Trouble::Refused(why) if why.contains(KEY) && !why.contains("horse")), "{wrong:?}");
    assert!(matches!(rig::ready(KIND, &with(open, Some("OTHER"), SECRET)), Err(Trouble::Refused(_))));
    let nowhere = rig::ready(KIND, &Target { path: "nowhere".to_owned(), ..probe.clone() }).unwrap_err();
    assert!(matches!(&nowhere, Trouble::Refused(why) if why.contains("no bucket nowhere")), "{nowhere:?}");

    let bucket = Target { path: "backups".to_owned(), ..probe.clone() };
    let first = looked(KIND, &bucket);
    assert_eq!(figure(&first, "objects"), 2.0);
    assert_eq!(figure(&first, "bytes"), 20.0);
    assert_eq!(figure(&first, "newest-object"), 21.0 * 86_400.0 + 3600.0, "since 2 May, 23:00");
    state.lock().unwrap().objects = 1500;
    let later = looked(KIND, &bucket);
    assert_eq!(figure(&later, "objects"), 1000.0);
    assert_eq!(about(&later, "objects"), "bucket backups, the first thousand of more");
    assert_eq!(figure(&later, "newest-object"), 3600.0);
    // With a prefix that must be encoded, and in a region that the server has to tell.
    state.lock().unwrap().region = "eu-central-1";
    let prefix = Target { path: "backups/daily dumps/ä".to_owned(), ..probe.clone() };
    assert_eq!(figure(&looked(KIND, &prefix), "objects"), 1000.0);
    state.lock().unwrap().down = true;
    assert!(matches!(rig::ready(KIND, &probe), Err(Trouble::Unready(_))));
}

#[test]
fn a_minio_tells_how_its_cluster_is() {
    let (target, state) = fake(true);
    assert_eq!(rig::ready(KIND, &target), Ok(()));
    let first = looked(KIND, &target);
    assert_eq!(first.server.as_deref(), Some("MinIO"));
    assert_eq!(figure(&first, "drives-offline"), 0.0);
    assert_eq!((figure(&first, "disk"), limit(&first, "disk")), (750.0, 1000.0));
    assert!(first.remarks.is_empty(), "{first:#?}");
    {
        let mut now = state.lock().unwrap();
        (now.healthy, now.quorum, now.drives_offline) = (false, false, 3);
    }
    let later = looked(KIND, &target);
    assert_remark(&later, "cluster", Grade::Critical);
    assert_eq!(figure(&later, "drives-offline"), 3.0);
    assert!(matches!(rig::ready(KIND, &target), Err(Trouble::Unready(_))));
}
