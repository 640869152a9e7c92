//! Answers of brokers out of bytes (<https://kafka.apache.org/protocol.html#protocol_messages>). Never: makes room for what is only announced; what
//! is broken off is `None`.

use std::collections::BTreeMap;

use crate::world::kinds::cursor::Cursor;

/// `TOPIC_AUTHORIZATION_FAILED`.
pub(super) const TOPIC_REFUSED: i16 = 29;
/// `GROUP_AUTHORIZATION_FAILED`.
pub(super) const GROUP_REFUSED: i16 = 30;
/// `CLUSTER_AUTHORIZATION_FAILED`.
pub(super) const CLUSTER_REFUSED: i16 = 31;

/// Topic, partition, offset.
pub(super) type Offset = (String, i32, i64);

#[derive(Debug, Default)]
pub(super) struct Metadata {
    /// Number, host and port of those that serve.
    pub(super) brokers: Vec<(i32, String, i32)>,
    /// The cluster's name, where it says so.
    pub(super) cluster: Option<String>,
    /// The number of the controller; below 0: none.
    pub(super) controller: i32,
    pub(super) topics: Vec<Topic>,
}

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) error: i16,
    pub(super) name: String,
    pub(super) is_internal: bool,
    pub(super) partitions: Vec<Partition>,
}

#[derive(Debug)]
pub(super) struct Partition {
    pub(super) index: i32,
    /// The number of the broker that leads it; below 0: none.
    pub(super) leader: i32,
    pub(super) replicas: Vec<i32>,
    /// How many of them are in step.
    pub(super) in_sync: usize,
    /// Those that are away.
    pub(super) offline: Vec<i32>,
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    /// `Stable`, `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Dead`.
    pub(super) state: String,
}

fn text(fields: &mut Cursor<'_>) -> Option<String> {
    nullable_text(fields)?
}

/// The outer one: whether it is there; the inner one: whether it is null.
#[expect(clippy::option_option, reason = "broken off and null are not the same")]
fn nullable_text(fields: &mut Cursor<'_>) -> Option<Option<String>> {
    let length = fields.i16()?;
    let Ok(length) = usize::try_from(length) else { return Some(None) };
    let bytes = fields.take(length)?;
    Some(Some(String::from_utf8_lossy(bytes).into_owned()))
}

fn skip_bytes(fields: &mut Cursor<'_>) -> Option<()> {
    let length = fields.i32()?;
    fields.take(usize::try_from(length).unwrap_or(0)).map(|_skipped| ())
}

/// An array, element by element; null is an empty one.
fn array<T>(fields: &mut Cursor<'_>, mut element: impl FnMut(&mut Cursor<'_>) -> Option<T>) -> Option<Vec<T>> {
    let count = fields.i32()?;
    let mut elements = Vec::new();
    for _ in 0..count {
        elements.push(element(fields)?);
    }
    Some(elements)
}

fn integers(fields: &mut Cursor<'_>) -> Option<Vec<i32>> {
    array(fields, integer)
}

fn integer(fields: &mut Cursor<'_>) -> Option<i32> {
    fields.i32()
}

fn throttle(fields: &mut Cursor<'_>, is_there: bool) -> Option<()> {
    if is_there { fields.i32().map(|_time| ()) } else { Some(()) }
}

/// `ApiVersions` 0: the least and the most of each.
pub(super) fn versions(bytes: &[u8]) -> Option<BTreeMap<i16, (i16, i16)>> {
    let mut fields = Cursor::new(bytes);
    let error = fields.i16()?;
    let versions = array(&mut fields, |fields| Some((fields.i16()?, (fields.i16()?, fields.i16()?))))?;
    (error == 0 && !versions.is_empty()).then(|| versions.into_iter().collect())
}

/// `SaslHandshake` 1: a code, and what is offered.
pub(super) fn handshake(bytes: &[u8]) -> Option<(i16, Vec<String>)> {
    let mut fields = Cursor::new(bytes);
    Some((fields.i16()?, array(&mut fields, text)?))
}

/// `SaslAuthenticate` 0: a code, and why.
pub(super) fn authenticated(bytes: &[u8]) -> Option<(i16, String)> {
    let mut fields = Cursor::new(bytes);
    Some((fields.i16()?, nullable_text(&mut fields)?.unwrap_or_default()))
}

/// `Metadata` 1 or 5.
pub(super) fn metadata(bytes: &[u8], version: i16) -> Option<Metadata> {
    let mut fields = Cursor::new(bytes);
    throttle(&mut fields, version >= 3)?;
    let brokers = array(&mut fields, |fields| {
        let broker = (fields.i32()?, text(fields)?, fields.i32()?);
        nullable_text(fields)?;
        Some(broker)
    })?;
    let cluster = if version >= 2 { nullable_text(&mut fields)? } else { None };
    let controller = fields.i32()?;
    let topics = array(&mut fields, |fields| {
        Some(Topic {
            error: fields.i16()?,
            name: text(fields)?,
            is_internal: fields.u8()? != 0,
            partitions: array(fields, |fields| {
                fields.i16()?;
                let (index, leader) = (fields.i32()?, fields.i32()?);
                let replicas = integers(fields)?;
                let in_sync = integers(fields)?.len();
                let offline = if version >= 5 { integers(fields)? } else { Vec::new() };
                Some(Partition { index, leader, replicas, in_sync, offline })
            })?,
        })
    })?;
    Some(Metadata { brokers, cluster, controller, topics })
}

/// `ListGroups` 0 to 2: a code, and names of groups of consumers (other protocols have groups too).
pub(super) fn groups(bytes: &[u8], version: i16) -> Option<(i16, Vec<String>)> {
    let mut fields = Cursor::new(bytes);
    throttle(&mut fields, version >= 1)?;
    let error = fields.i16()?;
    let groups = array(&mut fields, |fields| Some((text(fields)?, text(fields)?)))?;
    let names = groups.into_iter().filter(|(_, kind)| kind.is_empty() || kind == "consumer").map(|(name, _)| name);
    Some((error, names.collect()))
}

/// `DescribeGroups` 0 or 1.
pub(super) fn described(bytes: &[u8], version: i16) -> Option<Vec<Group>> {
    let mut fields = Cursor::new(bytes);
    throttle(&mut fields, version >= 1)?;
    array(&mut fields, |fields| {
        fields.i16()?;
        let (name, state) = (text(fields)?, text(fields)?);
        // Its kind of protocol, and the one that was agreed on.
        nullable_text(fields)?;
        nullable_text(fields)?;
        array(fields, |fields| {
            for _ in 0..3 {
                nullable_text(fields)?;
            }
            skip_bytes(fields)?;
            skip_bytes(fields)
        })?;
        Some(Group { name, state })
    })
}

/// `OffsetFetch` 2 or 3: a code, and topic, partition and offset of what was committed.
pub(super) fn committed(bytes: &[u8], version: i16) -> Option<(i16, Vec<Offset>)> {
    let mut fields = Cursor::new(bytes);
    throttle(&mut fields, version >= 3)?;
    let topics = array(&mut fields, |fields| {
        let name = text(fields)?;
        let partitions = array(fields, |fields| {
            let (index, offset) = (fields.i32()?, fields.i64()?);
            nullable_text(fields)?;
            let error = fields.i16()?;
            Some((error == 0 && offset >= 0).then(|| (name.clone(), index, offset)))
        })?;
        Some(partitions)
    })?;
    Some((fields.i16()?, topics.into_iter().flatten().flatten().collect()))
}

/// `ListOffsets` 1 or 2.
pub(super) fn offsets(bytes: &[u8], version: i16) -> Option<Vec<Offset>> {
    let mut fields = Cursor::new(bytes);
    throttle(&mut fields, version >= 2)?;
    let topics = array(&mut fields, |fields| {
        let name = text(fields)?;
        array(fields, |fields| {
            let (index, error) = (fields.i32()?, fields.i16()?);
            fields.i64()?;
            let offset = fields.i64()?;
            Some((error == 0 && offset >= 0).then(|| (name.clone(), index, offset)))
        })
    })?;
    Some(topics.into_iter().flatten().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::{metadata, versions};

    #[test]
    fn an_answer_that_announces_more_than_it_has_is_none() {
        assert!(versions(&[0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0, 3, 0, 0, 0, 9]).is_none());
        assert!(versions(&[0, 35, 0, 0, 0, 0]).is_none());
        assert_eq!(versions(&[0, 0, 0, 0, 0, 1, 0, 3, 0, 0, 0, 9]).unwrap()[&3], (0, 9));
        assert!(metadata(&[0; 11], 5).is_none());
        assert!(metadata(&[1; 64], 5).is_none());
    }
}
