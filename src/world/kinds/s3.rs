//! Stores that speak S3's REST API (AWS, `MinIO`, Ceph, Garage, `SeaweedFS`).
//!
//! `ready`: `/minio/health/ready`, else `/` that answers as S3 does; with a key (user) and its secret (password) a signed request, which lists one object of
//! the bucket that the path names, or the buckets. `look`: that bucket's first thousand objects, the buckets, health and figures of a `MinIO` cluster.
//! Option: `region` (none: `us-east-1`, or what the server says).
//!
//! Never: reads the content of an object, or writes one.

mod sign;

use chrono::{DateTime, Utc};
use reqwest::Method;

use self::sign::Request;
use super::{
    texts::{number, said, said_in},
    web::{self, Answer},
    words::{encoded, encoded_path},
};
use crate::model::exam::{Grade, Measure, Reading, Target, Trouble};

pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    let open = anonymous(target);
    let minio = web::get(&open, "/minio/health/ready").await?;
    let root = if is_minio(&minio) {
        if minio.status.as_u16() == 503 {
            return Err(Trouble::Unready(format!(
                "{} says that it cannot serve: status 503 for /minio/health/ready",
                target.place()
            )));
        }
        minio
    } else {
        speaks_s3(&open).await?
    };
    if target.user.is_some() {
        signed(target, &root, 1).await?;
    }
    Ok(())
}

pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let open = anonymous(target);
    let mut reading = Reading::default();
    let root = speaks_s3(&open).await?;
    reading.server = Some(server(&root));
    if target.user.is_some() {
        let begun = tokio::time::Instant::now();
        let listed = signed(target, &root, 1000).await?;
        reading.measure(Measure::new("latency", begun.elapsed().as_secs_f64()));
        listing(target, &listed, &mut reading);
    }
    let health = web::get(&open, "/minio/health/cluster").await?;
    if is_minio(&health) {
        minio(&open, &health, &mut reading).await?;
    }
    Ok(reading)
}

/// The same place, asked as nobody: keys are for signing, never sent.
fn anonymous(target: &Target) -> Target {
    Target { user: None, password: None, ..target.clone() }
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn is_minio(answer: &Answer) -> bool {
    let marked = header(answer, "server").starts_with("MinIO") || answer.headers.contains_key("x-minio-server-status");
    marked && matches!(answer.status.as_u16(), 200 | 412 | 503)
}

/// S3 answers everybody in its own XML, mostly `AccessDenied` (<https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>).
async fn speaks_s3(open: &Target) -> Result<Answer, Trouble> {
    let answer = web::get(open, "/").await?;
    let body = answer.text();
    let marked = answer.headers.contains_key("x-amz-request-id") || answer.headers.contains_key("x-amz-id-2");
    let own = body.contains("<ListAllMyBucketsResult") || (body.contains("<Error>") && tag(&body, "Code").is_some());
    if !marked && !own {
        return Err(Trouble::Foreign(format!("{} answers {}, but not as S3 does", open.place(), answer.status)));
    }
    match (answer.status.as_u16(), tag(&body, "Code")) {
        (503, code) => Err(Trouble::Unready(format!(
            "{} says that it cannot serve: {}",
            open.place(),
            said(code.unwrap_or("status 503"))
        ))),
        _ => Ok(answer),
    }
}

/// The text of the first element of a name. What it escapes stays escaped.
fn tag<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let begin = xml.find(&format!("<{name}>"))? + name.len() + 2;
    let end = xml[begin..].find("</")?;
    Some(&xml[begin..begin + end])
}

fn bucket(target: &Target) -> (&str, &str) {
    let path = target.path.trim_matches('/');
    path.split_once('/').unwrap_or((path, ""))
}

/// The server's own clock: a signature is good for fifteen minutes of it, whatever ours says.
fn clock(answer: &Answer) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(header(answer, "date")).ok().map(|date| date.with_timezone(&Utc))
}

/// A listing, signed: of the bucket of the path, of all buckets where there is none.
async fn signed(target: &Target, root: &Answer, most: u32) -> Result<Answer, Trouble> {
    let told = target.options.get("region").cloned();
    let region = told.unwrap_or_else(|| "us-east-1".to_owned());
    let answer = signed_in(target, root, most, &region).await?;
    let body = answer.text();
    // A bucket elsewhere: the error says where.
    let other =
        tag(&body, "Region").filter(|other| *other != region && !answer.status.is_success() && other.len() < 40);
    let answer = match other {
        Some(other) => signed_in(target, root, most, other).await?,
        None => answer,
    };
    if answer.status.is_success() {
        return Ok(answer);
    }
    let (place, body) = (target.place(), answer.text());
    let code = tag(&body, "Code").unwrap_or_default();
    let words = said(tag(&body, "Message").unwrap_or(code));
    let key = said_in(target.user.as_deref().unwrap_or_default(), 40);
    Err(match code {
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" => {
            Trouble::Refused(format!("{place} does not take key {key} and its secret: {words}"))
        }
        "AccessDenied" | "AllAccessDisabled" => Trouble::Refused(format!(
            "{place} does not let key {key} list: {words}; name a bucket in check that it may list: s3://KEY:SECRET@{place}/BUCKET"
        )),
        "NoSuchBucket" => Trouble::Refused(format!("{place} has no bucket {}", said_in(bucket(target).0, 64))),
        "SlowDown" | "TooManyRequests" | "RequestLimitExceeded" => {
            Trouble::Busy(format!("{place} has too much to do: {words}"))
        }
        _ if answer.status.as_u16() == 503 => Trouble::Unready(format!("{place} says that it cannot serve: {words}")),
        "" => Trouble::Foreign(format!("{place} answers {} to a signed listing", answer.status)),
        _ => Trouble::Refused(format!("{place} refuses a signed listing: {words} ({})", said_in(code, 60))),
    })
}

async fn signed_in(target: &Target, root: &Answer, most: u32, region: &str) -> Result<Answer, Trouble> {
    let place = target.place();
    let now = clock(root)
        .ok_or_else(|| Trouble::Foreign(format!("{place} does not tell its time, which a signature needs")))?;
    let date = now.format("%Y%m%dT%H%M%SZ").to_string();
    let (bucket, prefix) = bucket(target);
    let (path, query) = if bucket.is_empty() {
        ("/".to_owned(), String::new())
    } else {
        let of = if prefix.is_empty() { String::new() } else { format!("&prefix={}", encoded(prefix)) };
        (format!("/{}", encoded_path(bucket)), format!("list-type=2&max-keys={most}{of}"))
    };
    // As the client writes it: without the port that the scheme has anyway.
    let usual = if target.tls { ":443" } else { ":80" };
    let host = place.strip_suffix(usual).unwrap_or(&place);
    let request = Request { host, path: &path, query: &query, date: &date, region };
    let secret = target.password.as_ref().map_or("", |hidden| hidden.0.as_str());
    let proof = sign::authorization(&request, target.user.as_deref().unwrap_or_default(), secret);
    let headers =
        [("authorization", proof.as_str()), ("x-amz-content-sha256", sign::EMPTY), ("x-amz-date", date.as_str())];
    let whole = if query.is_empty() { path.clone() } else { format!("{path}?{query}") };
    web::ask(Method::GET, &anonymous(target), &whole, &headers, None).await
}

fn server(answer: &Answer) -> String {
    match header(answer, "server") {
        "" => "S3".to_owned(),
        name => said_in(name, 60),
    }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>: in the order of keys, not of age.
fn listing(target: &Target, answer: &Answer, reading: &mut Reading) {
    let body = answer.text();
    let (bucket, _) = bucket(target);
    if bucket.is_empty() {
        reading.measure(Measure::new("buckets", body.matches("<Bucket>").count() as f64));
        return;
    }
    let cut = tag(&body, "IsTruncated") == Some("true");
    let shown = said_in(bucket, 64);
    let about = if cut { format!("bucket {shown}, the first thousand of more") } else { format!("bucket {shown}") };
    let objects: Vec<&str> = body.split("<Contents>").skip(1).collect();
    let sizes = objects.iter().filter_map(|object| tag(object, "Size")).filter_map(number);
    reading.measure(Measure::new("objects", objects.len() as f64).about(about.clone()));
    reading.measure(Measure::new("bytes", sizes.sum()).about(about.clone()));
    let dates = objects.iter().filter_map(|object| tag(object, "LastModified"));
    let newest = dates.filter_map(|date| DateTime::parse_from_rfc3339(date).ok()).max();
    if let (Some(newest), Some(now)) = (newest, clock(answer)) {
        let age = (now.timestamp() - newest.timestamp()).max(0);
        reading.measure(Measure::new("newest-object", age as f64).about(about));
    }
}

/// <https://min.io/docs/minio/linux/operations/monitoring/healthcheck-probe.html>; its metrics are there for everybody where
/// `MINIO_PROMETHEUS_AUTH_TYPE=public` (<https://min.io/docs/minio/linux/reference/minio-metrics-and-alerts/metrics-v2.html>).
async fn minio(open: &Target, health: &Answer, reading: &mut Reading) -> Result<(), Trouble> {
    if health.status.as_u16() == 503 {
        let quorum = said_in(header(health, "x-minio-write-quorum"), 10);
        let sentence = format!("its cluster has not enough drives to write (quorum {quorum})");
        reading.remark("cluster", Grade::Critical, sentence, Some("bring its nodes and drives back: mc admin info"));
    }
    let metrics = web::get(open, "/minio/v2/metrics/cluster").await?;
    if !metrics.status.is_success() {
        return Ok(());
    }
    let body = metrics.text();
    let sum = |name: &str| {
        let lines =
            body.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        let values: Vec<f64> = lines.filter_map(|line| line.rsplit(' ').next()).filter_map(number).collect();
        if values.is_empty() { None } else { Some(values.iter().sum::<f64>()) }
    };
    for (metric, name) in [
        ("minio_cluster_drive_offline_total", "drives-offline"),
        ("minio_cluster_nodes_offline_total", "nodes-offline"),
        ("minio_s3_requests_errors_total", "errors"),
    ] {
        if let Some(value) = sum(metric) {
            reading.measure(Measure::new(name, value));
        }
    }
    let (total, free) =
        (sum("minio_cluster_capacity_usable_total_bytes"), sum("minio_cluster_capacity_usable_free_bytes"));
    if let (Some(total), Some(free)) = (total.filter(|total| *total > 0.0), free) {
        reading.measure(Measure::new("disk", total - free).of(total));
    }
    Ok(())
}
