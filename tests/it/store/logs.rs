//! Output of services on disk: what is written comes back, in order, whatever happens to the files.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::Arc,
};

use cas::{
    model::{
        ids::{ProjectName, RunId, ServiceId, ServiceName},
        log::{LogBatch, LogLine, Stream},
    },
    world::log_files::{LogFilter, LogWriter, Retention, StoredLine, follow, read_lines, stored_services},
};

use super::Troubles;
use crate::support::eventually;

fn id(project: &str, service: &str) -> ServiceId {
    ServiceId { project: ProjectName::new(project).unwrap(), service: ServiceName::new(service).unwrap() }
}

fn web() -> ServiceId {
    id("shop", "web")
}

fn batch(service: &ServiceId, wall_us: i64, lines: &[(Stream, bool, &str)]) -> Arc<LogBatch> {
    let mut text = String::new();
    let lines = lines
        .iter()
        .map(|(stream, continued, line)| {
            let start = u32::try_from(text.len()).unwrap();
            text.push_str(line);
            LogLine { start, len: u32::try_from(line.len()).unwrap(), stream: *stream, continued: *continued }
        })
        .collect();
    Arc::new(LogBatch { service: service.clone(), run: RunId(7), wall_us, first_seq: 0, text: text.into(), lines })
}

fn plain(service: &ServiceId, wall_us: i64, line: &str) -> Arc<LogBatch> {
    batch(service, wall_us, &[(Stream::Stdout, false, line)])
}

fn of(services: &[ServiceId]) -> LogFilter {
    LogFilter { services: services.to_vec(), ..LogFilter::default() }
}

fn texts(lines: impl IntoIterator<Item = StoredLine>) -> Vec<String> {
    lines.into_iter().map(|line| line.text).collect()
}

fn writer(dir: &Path, retention: Retention) -> LogWriter {
    LogWriter::start(dir.to_owned(), retention, |trouble| panic!("{trouble:?}"))
}

fn segments(dir: &Path, service: &ServiceId) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir.join(service.project.as_str()).join(service.service.as_str()))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    found
}

/// Numbered lines, so that what is missing shows.
fn number(line: &StoredLine) -> u64 {
    line.text.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn what_is_written_is_read_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let long = "x".repeat(64 * 1024);
    let lines = [
        (Stream::Stdout, false, "plain"),
        (Stream::Stderr, false, ""),
        (Stream::Stdout, true, long.as_str()),
        (Stream::Stdout, false, " the rest \r"),
        (Stream::Stderr, false, "\u{1b}]52;c;aGk=\u{7}\u{0}\u{200f}€ 12 o 3 4"),
    ];
    let writer = writer(dir.path(), Retention::default());
    writer.write(batch(&web(), 5, &lines));
    eventually("it is on disk without being asked", || read_lines(dir.path(), &of(&[web()])).count() == lines.len());
    for (found, (stream, continued, text)) in read_lines(dir.path(), &of(&[])).zip(lines) {
        assert_eq!((found.stream, found.continued, found.run, found.wall_us), (stream, continued, RunId(7), 5));
        assert!(found.text == text);
        assert_eq!(found.service, web());
    }
    assert_eq!(stored_services(dir.path(), None), [web()]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&segments(dir.path(), &web())[0]), mode(&dir.path().join("shop/web"))), (0o600, 0o700));
}

#[test]
fn rotation_loses_no_line_and_keeps_only_so_many_segments() {
    let dir = tempfile::tempdir().unwrap();
    let every = Retention { segment_bytes: 2000, segments: 100_000 };
    {
        let writer = writer(dir.path(), every);
        for n in 0..5000 {
            writer.write(plain(&web(), n, &format!("{n} {}", "y".repeat(usize::try_from(n % 90).unwrap()))));
        }
    }
    let found: Vec<u64> = read_lines(dir.path(), &of(&[web()])).map(|line| number(&line)).collect();
    assert!(found == (0..5000).collect::<Vec<_>>(), "{} lines", found.len());
    assert!(segments(dir.path(), &web()).len() > 100);
    assert!(segments(dir.path(), &web()).iter().all(|path| fs::metadata(path).unwrap().len() <= 2000));
    {
        let writer = writer(dir.path(), Retention { segments: 3, ..every });
        for n in 5000..5200 {
            writer.write(plain(&web(), n, &format!("{n} {}", "y".repeat(50))));
        }
        // A line longer than a segment has one of its own.
        writer.write(plain(&web(), 5200, &format!("5200 {}", "z".repeat(9000))));
        writer.write(plain(&web(), 5201, "5201 end"));
    }
    assert_eq!(segments(dir.path(), &web()).len(), 3);
    let found: Vec<u64> = read_lines(dir.path(), &of(&[web()])).map(|line| number(&line)).collect();
    assert!(found.len() > 5 && found.len() < 100, "{}", found.len());
    assert_eq!(found, (5202 - found.len() as u64..5202).collect::<Vec<_>>(), "the newest, without a gap");
}

#[test]
fn services_are_merged_by_time_and_each_keeps_its_own_order() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b, c) = (id("shop", "a"), id("shop", "b"), id("blog", "a"));
    {
        let writer = writer(dir.path(), Retention { segment_bytes: 100, segments: 1000 });
        for n in 0..50 {
            writer.write(plain(&a, n * 3, &format!("a{n}")));
            writer.write(plain(&b, n * 3 + 1, &format!("b{n}")));
            writer.write(plain(&c, n * 3 + 2, &format!("c{n}")));
        }
        // The clock is set back.
        writer.write(plain(&a, 10, "late"));
        writer.write(plain(&a, 200, "last"));
    }
    let all = texts(read_lines(dir.path(), &of(&[])));
    let expected: Vec<String> = (0..50).flat_map(|n| [format!("a{n}"), format!("b{n}"), format!("c{n}")]).collect();
    assert_eq!(all.len(), 152);
    assert_eq!(all.iter().filter(|text| text.len() < 4).cloned().collect::<Vec<_>>(), expected);
    let own = texts(read_lines(dir.path(), &of(std::slice::from_ref(&a))));
    assert_eq!(own[49..], ["a49", "late", "last"]);
    assert_eq!(stored_services(dir.path(), Some(&a.project)), [a.clone(), b.clone()]);
    let some = LogFilter { since_wall_us: Some(9), until_wall_us: Some(14), ..of(&[a, b]) };
    assert_eq!(texts(read_lines(dir.path(), &some)), ["a3", "b3", "a4", "late", "b4"]);
}

#[test]
fn a_tail_is_the_end_of_the_whole_across_segments() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (id("shop", "a"), id("shop", "b"));
    {
        let writer = writer(dir.path(), Retention { segment_bytes: 200_000, segments: 1000 });
        for n in 0..20_000 {
            writer.write(plain(&a, n, &format!("{n} {}", "y".repeat(usize::try_from(n % 60).unwrap()))));
            if n % 5000 == 0 {
                writer.flush();
            }
        }
        writer.write(plain(&b, 1, "0 only"));
    }
    let whole: Vec<String> = texts(read_lines(dir.path(), &of(std::slice::from_ref(&a))));
    for tail in [0, 1, 2, 10, 999, 3000, 19_999, 20_000, 30_000] {
        let filter = LogFilter { tail: Some(tail), ..of(std::slice::from_ref(&a)) };
        let found = texts(read_lines(dir.path(), &filter));
        assert!(found == whole[20_000_usize.saturating_sub(tail)..], "tail {tail}: {} lines", found.len());
    }
    let filter = LogFilter { tail: Some(2), ..of(&[a.clone(), b]) };
    assert_eq!(read_lines(dir.path(), &filter).count(), 3, "of each service");
    let filter = LogFilter { tail: Some(3), until_wall_us: Some(4000), ..of(&[a]) };
    assert_eq!(read_lines(dir.path(), &filter).map(|line| number(&line)).collect::<Vec<_>>(), [3997, 3998, 3999]);
}

#[test]
fn garbage_costs_only_what_it_covers() {
    let dir = tempfile::tempdir().unwrap();
    {
        let writer = writer(dir.path(), Retention { segment_bytes: 1000, segments: 1000 });
        for n in 0..100 {
            writer.write(plain(&web(), n, &format!("{n} {}", "y".repeat(20))));
        }
    }
    let files = segments(dir.path(), &web());
    // A segment is missing; one is cut in the middle of a line; one has a run of NULs, as after a power failure; one begins with
    // noise that is no UTF-8 and a line of two megabytes.
    fs::remove_file(&files[0]).unwrap();
    let count = files.len();
    let bytes = fs::read(&files[1]).unwrap();
    fs::write(&files[1], &bytes[..bytes.len() - 5]).unwrap();
    let mut bytes = fs::read(&files[2]).unwrap();
    bytes[100..200].fill(0);
    fs::write(&files[2], &bytes).unwrap();
    let mut noise = vec![0xff, b' ', b'o', b'\n'];
    noise.resize(2 << 20, b'z');
    noise.push(b'\n');
    noise.extend_from_slice(b"\0\0\0\0");
    noise.extend_from_slice(&fs::read(&files[3]).unwrap());
    fs::write(&files[3], noise).unwrap();
    fs::write(files[0].with_file_name("notes.txt"), "5 o 5 not a segment\n").unwrap();
    // A line whose number was covered is still a line.
    let numbers = |lines: &mut dyn Iterator<Item = StoredLine>| -> Vec<u64> {
        lines.filter_map(|line| line.text.split(' ').next()?.parse().ok()).collect()
    };
    let mut lines = read_lines(dir.path(), &of(&[web()]));
    let found = numbers(&mut lines);
    assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "in order");
    assert!(found.len() >= 100 - 100 / (count - 1) - 7, "{} of 100, {count} segments", found.len());
    assert!(lines.skipped() >= 2, "{}", lines.skipped());
    assert_eq!(found.last(), Some(&99));
    let whole = read_lines(dir.path(), &of(&[web()])).count();
    for tail in [whole, whole - 1, 40] {
        let filter = LogFilter { tail: Some(tail), ..of(&[web()]) };
        let end: Vec<StoredLine> = read_lines(dir.path(), &of(&[web()])).skip(whole - tail).collect();
        assert!(read_lines(dir.path(), &filter).collect::<Vec<_>>() == end, "tail {tail}");
    }
}

#[test]
fn after_half_a_line_the_next_begins_on_its_own() {
    let dir = tempfile::tempdir().unwrap();
    writer(dir.path(), Retention::default()).write(plain(&web(), 1, "one"));
    let file = segments(dir.path(), &web()).remove(0);
    OpenOptions::new().append(true).open(&file).unwrap().write_all(b"2 0 o 7 half").unwrap();
    writer(dir.path(), Retention::default()).write(plain(&web(), 3, "three"));
    assert_eq!(texts(read_lines(dir.path(), &of(&[web()]))), ["one", "half", "three"]);
}

#[test]
fn a_follower_goes_on_where_the_reading_ended_through_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let writer = writer(dir.path(), Retention { segment_bytes: 3000, segments: 100_000 });
    for n in 0..100 {
        writer.write(plain(&web(), n, &n.to_string()));
    }
    writer.flush();
    let (lines, mut follower) = follow(dir.path(), &LogFilter { tail: Some(10), ..LogFilter::default() });
    for n in 100..200 {
        writer.write(plain(&web(), n, &n.to_string()));
    }
    writer.flush();
    assert_eq!(lines.map(|line| number(&line)).collect::<Vec<_>>(), (90..100).collect::<Vec<_>>());
    let mut seen: Vec<u64> = Vec::new();
    let mut next = 200;
    eventually("ten thousand lines were followed while they were written", || {
        for _ in 0..100 {
            writer.write(plain(&web(), i64::try_from(next).unwrap(), &next.to_string()));
            next += 1;
        }
        seen.extend(follower.poll().iter().map(number));
        seen.len() > 10_000
    });
    writer.flush();
    while seen.last() != Some(&(next - 1)) {
        let more = follower.poll();
        assert!(!more.is_empty(), "nothing more after {:?}, {next} written", seen.last());
        seen.extend(more.iter().map(number));
    }
    assert!(seen == (100..next).collect::<Vec<_>>(), "each once and in order");
    assert!(segments(dir.path(), &web()).len() > 10);
    // A service that comes later, and one that begins anew.
    writer.write(plain(&id("shop", "late"), 1, "hello"));
    writer.flush();
    assert_eq!(texts(follower.poll()), ["hello"]);
    for file in segments(dir.path(), &web()) {
        fs::remove_file(file).unwrap();
    }
    writer.write(plain(&web(), 1, "anew"));
    writer.flush();
    assert_eq!(texts(follower.poll()), ["anew"]);
    assert!(follower.poll().is_empty());
}

#[test]
fn a_follower_waits_for_the_end_of_a_line() {
    let dir = tempfile::tempdir().unwrap();
    writer(dir.path(), Retention::default()).write(plain(&web(), 1, "one"));
    let (_, mut follower) = follow(dir.path(), &of(&[web()]));
    let mut file = OpenOptions::new().append(true).open(segments(dir.path(), &web()).remove(0)).unwrap();
    file.write_all(b"2 0 o 7 ha").unwrap();
    assert!(follower.poll().is_empty());
    file.write_all(b"lf\n").unwrap();
    assert_eq!(texts(follower.poll()), ["half"]);
}

#[test]
fn nothing_is_written_or_read_outside_the_directory() {
    for name in ["..", "../x", "a/b", "", ".hidden", "a\0b"] {
        assert!(ServiceName::new(name).is_err(), "{name:?}");
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("..x/web")).unwrap();
    fs::create_dir_all(dir.path().join("shop/.git")).unwrap();
    assert_eq!(stored_services(dir.path(), None), []);
    assert_eq!(stored_services(&dir.path().join("none"), None), []);
    assert_eq!(read_lines(&dir.path().join("none"), &of(&[web()])).count(), 0);
}

#[test]
fn a_full_disk_drops_lines_with_a_mark_and_services_that_can_be_kept_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("shop/web");
    fs::create_dir_all(&home).unwrap();
    // Whatever is appended to this segment meets ENOSPC, as on a full disk.
    symlink("/dev/full", home.join("000001.log")).unwrap();
    let troubles = Troubles::default();
    let writer = LogWriter::start(dir.path().to_owned(), Retention::default(), troubles.listener());
    let other = id("shop", "other");
    for n in 0..200 {
        writer.write(plain(&web(), n, &format!("{n} {}", "y".repeat(1000))));
        writer.write(plain(&other, n, &format!("{n} fine")));
    }
    eventually("it says that there is no space", || {
        troubles.now().is_some_and(|text| text.contains("No space left") && text.contains("free some space"))
    });
    writer.write(plain(&other, 200, "200 fine"));
    eventually("the other is on disk", || read_lines(dir.path(), &of(std::slice::from_ref(&other))).count() == 201);
    assert!(writer.dropped() > 0);
    fs::remove_file(home.join("000001.log")).unwrap();
    eventually("it goes on by itself", || troubles.now().is_none());
    writer.write(plain(&web(), 500, "500 after"));
    writer.flush();
    let lines = texts(read_lines(dir.path(), &of(&[web()])));
    let mark = lines.iter().position(|text| text.starts_with("[cas: ")).unwrap();
    assert_eq!(lines[mark], format!("[cas: {} lines are missing here, they could not be written]", writer.dropped()));
    assert_eq!(mark as u64 + writer.dropped(), 200, "what is not there was counted");
    assert_eq!(lines.last().map(String::as_str), Some("500 after"));
}

#[test]
fn a_directory_deleted_while_it_is_written_to_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let writer = writer(dir.path(), Retention::default());
    writer.write(plain(&web(), 1, "one"));
    writer.flush();
    fs::remove_dir_all(dir.path().join("shop")).unwrap();
    writer.write(plain(&web(), 2, "two"));
    writer.flush();
    assert_eq!(texts(read_lines(dir.path(), &of(&[web()]))), ["two"]);
}

#[test]
fn readers_and_a_flood_do_not_disturb_each_other() {
    const LINES: u64 = 200_000;
    let dir = tempfile::tempdir().unwrap();
    let retention = Retention { segment_bytes: 1 << 20, segments: 1000 };
    let writer = writer(dir.path(), retention);
    let (_, mut follower) = follow(dir.path(), &LogFilter::default());
    std::thread::scope(|threads| {
        let reader = threads.spawn(|| {
            let mut counts = BTreeMap::new();
            eventually("both services were followed to the end", || {
                for line in follower.poll() {
                    let count = counts.entry(line.service.clone()).or_insert(0);
                    assert_eq!(number(&line), *count, "{}", line.service);
                    *count += 1;
                }
                counts.values().sum::<u64>() == 2 * LINES
            });
        });
        let names = [id("shop", "a"), id("shop", "b")];
        for first in (0..LINES).step_by(200) {
            let lines: Vec<String> = (first..first + 200).map(|n| format!("{n} a line of ordinary length")).collect();
            let lines: Vec<_> = lines.iter().map(|line| (Stream::Stdout, false, line.as_str())).collect();
            for name in &names {
                writer.write(batch(name, 1, &lines));
            }
            if first % 50_000 == 0 {
                writer.flush();
            }
        }
        reader.join().unwrap();
    });
    assert_eq!(writer.dropped(), 0, "a writer that is not outrun drops nothing");
}
