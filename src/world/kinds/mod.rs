//! Servers asked in their own protocols: whether they serve, and how they are.
//!
//! Each protocol is one file with two functions: `ready` (is it there, does it let us in, does it serve; one cheap exchange) and `look` (all figures
//! that matter; read only, one connection that is given back). Both are cancelled by being dropped, and whoever calls them bounds their time.
//!
//! Never: changes anything of whom it asks; reads without a bound; takes silence for an answer.

pub mod body;
mod clickhouse;
mod cursor;
mod dns;
mod elasticsearch;
mod encrypted;
mod etcd;
mod grpc;
mod haproxy;
mod http;
mod influxdb;
mod kafka;
mod memcached;
mod mongo;
mod mqtt;
mod mysql;
mod nats;
mod neo4j;
mod nginx;
mod php_fpm;
mod postgres;
mod prometheus;
mod qdrant;
mod rabbitmq;
mod redis;
mod registry;
mod s3;
mod smtp;
mod texts;
mod weaviate;
pub mod web;
pub(in crate::world) mod websocket;
pub mod wire;
pub(in crate::world) mod words;
mod zookeeper;

use crate::model::exam::{Protocol, Reading, Target, Trouble};

/// Asks whether a server serves.
///
/// # Errors
/// Why it does not, or why that could not be asked.
pub async fn ready(protocol: Protocol, target: &Target) -> Result<(), Trouble> {
    match protocol {
        Protocol::Http => http::ready(target).await,
        Protocol::Websocket => websocket::ready(target).await,
        Protocol::Grpc => grpc::ready(target).await,
        Protocol::Postgres => postgres::ready(target).await,
        Protocol::Mysql => mysql::ready(target).await,
        Protocol::Redis => redis::ready(target).await,
        Protocol::Mongo => mongo::ready(target).await,
        Protocol::Rabbitmq => rabbitmq::ready(target).await,
        Protocol::Nats => nats::ready(target).await,
        Protocol::Kafka => kafka::ready(target).await,
        Protocol::Memcached => memcached::ready(target).await,
        Protocol::Elasticsearch => elasticsearch::ready(target).await,
        Protocol::Mqtt => mqtt::ready(target).await,
        Protocol::Smtp => smtp::ready(target).await,
        Protocol::Dns => dns::ready(target).await,
        Protocol::S3 => s3::ready(target).await,
        Protocol::Etcd => etcd::ready(target).await,
        Protocol::Prometheus => prometheus::ready(target).await,
        Protocol::Influxdb => influxdb::ready(target).await,
        Protocol::Neo4j => neo4j::ready(target).await,
        Protocol::Qdrant => qdrant::ready(target).await,
        Protocol::Weaviate => weaviate::ready(target).await,
        Protocol::Nginx => nginx::ready(target).await,
        Protocol::Haproxy => haproxy::ready(target).await,
        Protocol::PhpFpm => php_fpm::ready(target).await,
        Protocol::Zookeeper => zookeeper::ready(target).await,
        Protocol::Clickhouse => clickhouse::ready(target).await,
        Protocol::Registry => registry::ready(target).await,
    }
}

/// Reads all that a server tells of how it is.
///
/// # Errors
/// Why nothing could be read.
pub async fn look(protocol: Protocol, target: &Target) -> Result<Reading, Trouble> {
    match protocol {
        Protocol::Http => http::look(target).await,
        Protocol::Websocket => websocket::look(target).await,
        Protocol::Grpc => grpc::look(target).await,
        Protocol::Postgres => postgres::look(target).await,
        Protocol::Mysql => mysql::look(target).await,
        Protocol::Redis => redis::look(target).await,
        Protocol::Mongo => mongo::look(target).await,
        Protocol::Rabbitmq => rabbitmq::look(target).await,
        Protocol::Nats => nats::look(target).await,
        Protocol::Kafka => kafka::look(target).await,
        Protocol::Memcached => memcached::look(target).await,
        Protocol::Elasticsearch => elasticsearch::look(target).await,
        Protocol::Mqtt => mqtt::look(target).await,
        Protocol::Smtp => smtp::look(target).await,
        Protocol::Dns => dns::look(target).await,
        Protocol::S3 => s3::look(target).await,
        Protocol::Etcd => etcd::look(target).await,
        Protocol::Prometheus => prometheus::look(target).await,
        Protocol::Influxdb => influxdb::look(target).await,
        Protocol::Neo4j => neo4j::look(target).await,
        Protocol::Qdrant => qdrant::look(target).await,
        Protocol::Weaviate => weaviate::look(target).await,
        Protocol::Nginx => nginx::look(target).await,
        Protocol::Haproxy => haproxy::look(target).await,
        Protocol::PhpFpm => php_fpm::look(target).await,
        Protocol::Zookeeper => zookeeper::look(target).await,
        Protocol::Clickhouse => clickhouse::look(target).await,
        Protocol::Registry => registry::look(target).await,
    }
}
