//! Elasticsearch cannot be had here: one that answers as its reference says, with the fields that are asked for
//! (<https://www.elastic.co/guide/en/elasticsearch/reference/current/cluster-health.html>, `cluster-nodes-stats.html`, `cluster-allocation-explain.html`).

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{Page, Shared, about, assert_remark, assert_strangers_are_known, http, limit, looked, remark, says, with};
use crate::kinds::rig::{self, figure};
use cas::model::exam::{Grade, Protocol, Target, Trouble};

const KIND: Protocol = Protocol::Elasticsearch;

#[derive(Clone)]
struct State {
    status: &'static str,
    nodes: u32,
    unassigned: u32,
    heap: u32,
    free: u32,
    rejected: u32,
    blocked: bool,
    wants_password: bool,
    starting: bool,
    distribution: Option<&'static str>,
}

fn well() -> State {
    State {
        status: "green",
        nodes: 3,
        unassigned: 0,
        heap: 30,
        free: 80,
        rejected: 0,
        blocked: false,
        wants_password: false,
        starting: false,
        distribution: None,
    }
}

fn page(status: &str, body: &Value) -> Page {
    (status.to_owned(), vec![("content-type".to_owned(), "application/json".to_owned())], body.to_string())
}

fn answer(asked: &str, now: &State) -> Page {
    let path = asked.split(' ').nth(1).unwrap().split('?').next().unwrap();
    // probe:right-horse
    if now.wants_password && !asked.to_lowercase().contains("authorization: basic chjvymu6cmlnahqtag9yc2u=") {
        return page(
            "401 Unauthorized",
            &json!({"error": {"type": "security_exception", "reason": "missing authentication credentials"}, "status": 401}),
        );
    }
    match path {
        "/_cluster/health" if now.starting => page(
            "503 Service Unavailable",
            &json!({"error": {"type": "master_not_discovered_exception", "reason": null}, "status": 503}),
        ),
        "/_cluster/health" => page(
            "200 OK",
            &json!({
            "cluster_name": "es", "status": now.status, "timed_out": false, "number_of_nodes": now.nodes, "active_shards": 10,
            "relocating_shards": 0, "unassigned_shards": now.unassigned, "number_of_pending_tasks": 2, "task_max_waiting_in_queue_millis": 1500}),
        ),
        "/" => {
            let mut version = json!({"number": "8.12.0"});
            if let Some(name) = now.distribution {
                version = json!({"distribution": name, "number": "2.11.1"});
            }
            page("200 OK", &json!({"name": "n1", "version": version}))
        }
        "/_nodes/stats/jvm,fs,breaker,thread_pool,process" => {
            let node = |name: &str, heap: u32, free: u32| {
                json!({
                "name": name, "jvm": {"mem": {"heap_used_in_bytes": heap, "heap_max_in_bytes": 100},
                "gc": {"collectors": {"old": {"collection_time_in_millis": 500}, "young": {"collection_time_in_millis": 1500}}}},
                "fs": {"total": {"total_in_bytes": 100, "available_in_bytes": free}}, "breakers": {"parent": {"tripped": 1}},
                "thread_pool": {"write": {"rejected": now.rejected}, "search": {"rejected": 1}},
                "process": {"open_file_descriptors": 10, "max_file_descriptors": 1000}})
            };
            page("200 OK", &json!({"nodes": {"a": node("n1", 10, 90), "b": node("n2", now.heap, now.free)}}))
        }
        "/_cluster/settings" => page(
            "200 OK",
            &json!({"persistent": {}, "transient": {}, "defaults": {
            "cluster.routing.allocation.disk.watermark.low": "85%", "cluster.routing.allocation.disk.watermark.high": "90%",
            "cluster.routing.allocation.disk.watermark.flood_stage": "95%"}}),
        ),
        "/_all/_settings/index.blocks.read_only_allow_delete" if now.blocked => {
            page("200 OK", &json!({"logs": {"settings": {"index.blocks.read_only_allow_delete": "true"}}}))
        }
        "/_all/_settings/index.blocks.read_only_allow_delete" => page("200 OK", &json!({})),
        "/_cluster/allocation/explain" => page(
            "200 OK",
            &json!({"index": "logs", "shard": 0, "primary": true,
            "unassigned_info": {"reason": "NODE_LEFT"}, "allocate_explanation": "cannot allocate because a previous copy of the primary shard existed"}),
        ),
        other => panic!("{other} is asked for"),
    }
}

fn fake(state: State) -> (Target, Shared<State>) {
    let state = Arc::new(Mutex::new(state));
    let shared = Arc::clone(&state);
    let port = http(move |asked| {
        let now = shared.lock().unwrap().clone();
        answer(asked, &now)
    });
    (rig::at(port), state)
}

#[test]
fn an_elasticsearch_tells_how_it_is_and_its_figures_follow_what_happens() {
    assert_strangers_are_known(KIND);
    let other = says(b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\nconnection: close\r\n\r\n{\"hello\":\"you\"}");
    assert!(matches!(rig::ready(KIND, &rig::at(other)), Err(Trouble::Foreign(_))));

    let (target, state) = fake(well());
    assert_eq!(rig::ready(KIND, &target), Ok(()));
    let first = looked(KIND, &target);
    assert_eq!(first.server.as_deref(), Some("Elasticsearch 8.12.0"));
    assert_eq!((figure(&first, "heap"), limit(&first, "heap")), (30.0, 100.0));
    assert_eq!((figure(&first, "disk"), limit(&first, "disk")), (20.0, 100.0));
    assert_eq!(figure(&first, "breakers-tripped"), 2.0);
    assert_eq!(figure(&first, "rejected-requests"), 2.0);
    assert_eq!(figure(&first, "gc-time"), 4.0);
    assert_eq!(figure(&first, "oldest-task"), 1.5);
    assert_eq!(figure(&first, "pending-tasks"), 2.0);
    assert!(first.remarks.is_empty(), "{first:#?}");

    {
        let mut now = state.lock().unwrap();
        (now.status, now.unassigned, now.heap, now.free, now.rejected, now.blocked) = ("yellow", 4, 97, 8, 50, true);
        now.distribution = Some("opensearch");
    }
    let later = looked(KIND, &target);
    assert_eq!(later.server.as_deref(), Some("OpenSearch 2.11.1"));
    assert_eq!(figure(&later, "heap"), 97.0);
    assert_eq!(about(&later, "heap"), "node n2");
    assert_eq!(figure(&later, "rejected-requests"), 102.0);
    assert_eq!(figure(&later, "unassigned-shards"), 4.0);
    assert_remark(&later, "cluster", Grade::Warning);
    assert_remark(&later, "blocks", Grade::Critical);
    assert!(
        remark(&later, "watermark").is_some_and(|seen| seen.sentence.contains("92 % full, beyond the high watermark")),
        "{later:#?}"
    );
    assert!(remark(&later, "unassigned").is_some_and(|seen| seen.sentence.contains("NODE_LEFT")));
    assert_eq!(rig::ready(KIND, &target), Ok(()), "yellow serves");
    state.lock().unwrap().nodes = 1;
    assert_remark(&looked(KIND, &target), "cluster", Grade::Notice);

    state.lock().unwrap().status = "red";
    assert!(matches!(rig::ready(KIND, &target), Err(Trouble::Unready(why)) if why.contains("red")));
    assert_remark(&looked(KIND, &target), "cluster", Grade::Critical);
    state.lock().unwrap().starting = true;
    assert!(matches!(rig::ready(KIND, &target), Err(Trouble::Unready(_))));
}

#[test]
fn an_elasticsearch_with_a_password_lets_in_who_has_it() {
    let (target, _state) = fake(State { wants_password: true, ..well() });
    assert_eq!(rig::ready(KIND, &with(target.clone(), Some("probe"), "right-horse")), Ok(()));
    let none = rig::ready(KIND, &target).unwrap_err();
    assert!(matches!(&none, Trouble::Refused(why) if why.contains("check: elasticsearch://")), "{none:?}");
    let wrong = rig::ready(KIND, &with(target, Some("probe"), "wrong-horse")).unwrap_err();
    assert!(matches!(&wrong, Trouble::Refused(why) if !why.contains("horse")), "{wrong:?}");
}
