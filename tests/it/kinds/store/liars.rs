//! Servers that begin as the right one does and then lie, or never end: told apart within bounds, for every protocol of this room.

use super::{floods, says};
use crate::kinds::rig;
use cas::{
    model::exam::{Protocol, Target, Trouble},
    world::kinds,
};

/// What is said first, and what without an end (nothing: silence).
const LIES: [(Protocol, &[u8], Option<u8>); 17] = [
    (Protocol::Redis, b"$999999999\r\n", None),
    (Protocol::Redis, b"*999999999\r\n", None),
    (Protocol::Redis, b"+", Some(b'a')),
    (Protocol::Redis, b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", None),
    (Protocol::Postgres, b"R\x7f\xff\xff\xff", None),
    (Protocol::Postgres, b"R\0\0\0\x08\0\0\0\0", Some(b'Z')),
    (Protocol::Mysql, b"\xff\xff\xff\0\x0a", None),
    (Protocol::Mysql, b"\x50\0\0\0\x0a", Some(b'8')),
    (Protocol::Mongo, b"\xff\xff\xff\x7f\x01\0\0\0\x01\0\0\0\xdd\x07\0\0", None),
    (Protocol::Mongo, b"\x20\0\0\0\x01\0\0\0\x01\0\0\0\xdd\x07\0\0", Some(0xff)),
    (Protocol::Memcached, b"VERSION ", Some(b'1')),
    (Protocol::Elasticsearch, b"HTTP/1.1 200 OK\r\n\r\n", Some(b'{')),
    (Protocol::Elasticsearch, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]", None),
    (Protocol::S3, b"HTTP/1.1 200 OK\r\n\r\n", Some(b'<')),
    (Protocol::Clickhouse, b"HTTP/1.1 200 OK\r\n\r\n", Some(b'O')),
    (Protocol::Clickhouse, b"HTTP/1.1 ", Some(b'2')),
    (Protocol::S3, b"HTTP/1.1 200 OK\r\nx: ", Some(b'y')),
];

#[test]
fn who_lies_about_lengths_or_never_ends_is_no_server_of_that_kind() {
    for (protocol, first, without_end) in LIES {
        let port = match without_end {
            Some(byte) => floods(first, byte),
            None => says(first),
        };
        for answer in [rig::ready(protocol, &rig::at(port)), rig::look(protocol, &rig::at(port)).map(drop)] {
            assert!(matches!(answer, Err(Trouble::Foreign(_))), "{protocol:?} {first:?}: {answer:?}");
        }
    }
}

#[test]
fn questions_may_wander_from_thread_to_thread() {
    fn sent<T: Send>(_: T) {}
    let target = Target::default();
    sent(kinds::ready(Protocol::Redis, &target));
    sent(kinds::look(Protocol::Redis, &target));
}
