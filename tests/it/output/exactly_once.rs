//! Engines die at any moment; each line is taken once, with the same number.

use std::collections::BTreeMap;

use cas::{
    model::{intake::Cursor, log::Stream},
    world::log_files::{read_lines, search::Direction},
};
use proptest::prelude::*;

use super::{
    asked::{Asked, pack, seen_of},
    capture::{Rig, lines},
    slot::{SlotWriter, id, of, slots},
};

/// What happens next.
#[derive(Debug, Clone)]
enum Happening {
    /// The service writes.
    Write(Stream, Vec<u8>),
    /// Output is lost on a full disk.
    Drop(u64),
    /// The engine reads what is there, and stores all but so many of the batches' cursors.
    Read,
    /// The engine dies; of what it has read so many last batches were not stored.
    Die(usize),
    /// A closed segment is compressed, as earlier versions did.
    Compress,
    /// Closed segments are packed, in small frames.
    Pack,
    /// The run ends; the engine, being there, shows what is unfinished; a new run begins.
    NextRun,
}

fn happening() -> impl Strategy<Value = Happening> {
    let stream = prop_oneof![3 => Just(Stream::Stdout), 1 => Just(Stream::Stderr)];
    let text = prop_oneof![
        6 => "([a-zé€]{0,12}\n){0,6}[a-z]{0,9}",
        1 => "[a-z]{200}\n",
        2 => Just("\r\n".to_owned()),
    ]
    .prop_map(String::into_bytes);
    let long = Just(vec![b'x'; 70_000]);
    let bytes = prop_oneof![30 => text, 1 => long, 3 => proptest::collection::vec(any::<u8>(), 0..40)];
    prop_oneof![
        10 => (stream, bytes).prop_map(|(stream, bytes)| Happening::Write(stream, bytes)),
        1 => (1..1000_u64).prop_map(Happening::Drop),
        3 => Just(Happening::Read),
        3 => (0..5_usize).prop_map(Happening::Die),
        1 => Just(Happening::Compress),
        1 => Just(Happening::Pack),
        1 => Just(Happening::NextRun),
    ]
}

/// What was stored so far.
#[derive(Default)]
struct Store {
    lines: Vec<(u64, String)>,
    cursor: Cursor,
}

impl Store {
    fn take(&mut self, taken: &[cas::world::output::Taken]) {
        for one in taken {
            assert_eq!(one.batch.first_seq, self.cursor.next_seq, "no gap in the numbers");
            self.lines.extend(lines(std::slice::from_ref(one)));
            self.cursor = one.cursor().unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn each_line_is_taken_once_whenever_engines_die(
        happenings in proptest::collection::vec(happening(), 1..40),
        segment_bytes in prop_oneof![Just(1000_u64), Just(5000), Just(100_000)],
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut web = SlotWriter::new(dir.path(), "web", segment_bytes);
        let mut store = Store::default();
        let mut rig = Rig::new(&web.slot, Cursor::default());
        let (mut compressed, mut marks) = (0, 0);
        for happening in happenings {
            match happening {
                Happening::Write(stream, bytes) => web.write(stream, bytes),
                Happening::Drop(count) if web.end().segment > 0 => {
                    web.dropped(count);
                    marks += 1;
                }
                Happening::Drop(_) => {}
                Happening::Read => store.take(&rig.read()),
                Happening::Die(unstored) => {
                    let read = rig.read();
                    store.take(&read[..read.len().saturating_sub(unstored)]);
                    rig = Rig::new(&web.slot, store.cursor);
                }
                Happening::Compress => {
                    if compressed + 1 < web.end().segment {
                        compressed += 1;
                        web.compress(compressed);
                    }
                }
                Happening::Pack => {
                    // What was taken in before, as the engine does.
                    store.take(&rig.read());
                    let before = (compressed + 4).min(web.end().segment);
                    compressed = compressed.max(before.saturating_sub(1));
                    pack(&web, before, 300);
                }
                Happening::NextRun => {
                    store.take(&rig.read());
                    rig.capture.drain(web.end());
                    store.take(&rig.taken());
                    web.run += 1;
                }
            }
        }
        store.take(&rig.read());
        // An engine that never died, and reads it all at once.
        let whole = lines(&Rig::new(&web.slot, Cursor::default()).read());
        // It has not seen the last run's end: the unfinished lines of two streams, and marks, which come with the next line.
        prop_assert!(store.lines.len() >= whole.len());
        prop_assert_eq!(&store.lines[..whole.len()], &whole[..]);
        prop_assert!(store.lines.len() - whole.len() <= 2 + marks);
        prop_assert_eq!(store.lines.iter().map(|line| line.0).collect::<Vec<_>>(), (0..store.lines.len() as u64).collect::<Vec<_>>());
        // Whoever looks for them afterwards finds the same lines with the same numbers, from either end.
        for direction in [Direction::Backward, Direction::Forward] {
            let bounds = BTreeMap::from([(id("web"), None)]);
            let found = seen_of(&Asked { direction, ..Asked::all() }.ask(dir.path(), &bounds).batches);
            let found: Vec<(u64, String)> = found.into_iter().map(|line| (line.1, line.6)).collect();
            prop_assert_eq!(&found[..whole.len()], &whole[..]);
        }
        let read: Vec<(u64, String)> = read_lines(&slots(dir.path()), &of("web")).map(|line| (line.seq, line.text)).collect();
        prop_assert_eq!(&read[..whole.len()], &whole[..]);
    }
}

#[test]
fn every_cursor_that_was_handed_on_is_a_place_to_go_on_from() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 90);
    for n in 0..60 {
        web.out(format!("{n} out\n{n} half"));
        web.err(format!("{n} err"));
        web.out("\n");
        if n % 7 == 0 {
            web.dropped(n);
        }
        web.err(" and on\n");
        if n % 11 == 0 {
            web.run += 1;
        }
    }
    let taken = Rig::new(&web.slot, Cursor::default()).read();
    let all = lines(&taken);
    assert!(taken.len() > 100);
    for (at, place) in taken.iter().enumerate() {
        let rest = lines(&Rig::new(&web.slot, place.cursor().unwrap()).read());
        let next = usize::try_from(place.cursor().unwrap().next_seq).unwrap();
        assert_eq!(rest, all[next..], "from batch {at}, {:?}", place.cursor().unwrap());
    }
}
