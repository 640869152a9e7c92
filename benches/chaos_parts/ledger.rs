//! What services say of themselves, in files of their own, and whether the segments and the store of cas say the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// A service that numbers its lines, keeps a ledger of its runs, and crashes now and then. Arguments: its name, lines per second.
///
/// Every run appends `begin NONCE PID` to `ledger/NAME` and, at an end of its own, `end NONCE LINES CODE`. Two at a time are seen by
/// a lock on `ledger/NAME.lock`: the second writes `double NONCE`.
pub(crate) const WRITER: &str = r"
import fcntl, os, random, signal, sys, time
name, rate, crash = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
ledger = os.open('ledger/' + name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
lock = os.open('ledger/' + name + '.lock', os.O_RDWR | os.O_CREAT, 0o600)
nonce = '%d.%d' % (os.getpid(), time.time_ns())
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    os.write(ledger, ('double %s\n' % nonce).encode())
os.write(ledger, ('begin %s %d\n' % (nonce, os.getpid())).encode())
done = False
def stop(number, frame):
    global done
    done = True
signal.signal(signal.SIGTERM, stop)
n = 0
ends = time.monotonic() + random.uniform(0.5, 1.5) * crash if crash else 1e18
while not done and time.monotonic() < ends:
    lines = []
    for _ in range(max(1, rate // 10)):
        n += 1
        lines.append('%s %d and some words to fill the line\n' % (nonce, n))
    data = ''.join(lines).encode()
    while data:
        data = data[os.write(1, data):]
    time.sleep(0.1)
code = 0 if done else random.choice([1, 3, 7])
os.write(ledger, ('end %s %d %d\n' % (nonce, n, code)).encode())
os._exit(code)
";

/// What the services wrote down.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Runs by nonce: lines and code where the run ended by itself.
    pub(crate) runs: BTreeMap<String, Option<(u64, i32)>>,
    /// Runs that found another of the same service.
    pub(crate) doubles: usize,
}

impl Ledger {
    /// Reads all ledgers of a project.
    pub(crate) fn read(project: &Path) -> Self {
        let mut ledger = Self::default();
        for file in fs::read_dir(project.join("ledger")).expect("ledgers").flatten() {
            let text = fs::read_to_string(file.path()).unwrap_or_default();
            for line in text.lines() {
                let words: Vec<&str> = line.split(' ').collect();
                match words.as_slice() {
                    ["begin", nonce, _] => drop(ledger.runs.insert((*nonce).to_owned(), None)),
                    ["end", nonce, lines, code] => {
                        let end = (lines.parse().expect("lines"), code.parse().expect("a code"));
                        ledger.runs.insert((*nonce).to_owned(), Some(end));
                    }
                    ["double", _] => ledger.doubles += 1,
                    _ => {}
                }
            }
        }
        ledger
    }

    pub(crate) fn crashes(&self) -> usize {
        self.runs.values().flatten().filter(|(_, code)| *code != 0).count()
    }
}

/// What was found in output.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    pub(crate) lines: u64,
    pub(crate) missing: u64,
    pub(crate) doubled: u64,
    pub(crate) strange: u64,
}

/// Compares numbered lines, in the order in which they are kept, with the ledger.
pub(crate) fn compare<'a>(ledger: &Ledger, lines: impl Iterator<Item = &'a str>) -> Findings {
    let mut findings = Findings::default();
    let mut seen: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for line in lines {
        let mut words = line.splitn(3, ' ');
        let (Some(nonce), Some(number)) = (words.next(), words.next().and_then(|n| n.parse::<u64>().ok())) else {
            findings.strange += 1;
            continue;
        };
        if !ledger.runs.contains_key(nonce) || !line.ends_with("to fill the line") {
            findings.strange += 1;
            continue;
        }
        findings.lines += 1;
        if !seen.entry(nonce).or_default().insert(number) {
            findings.doubled += 1;
        }
    }
    for (nonce, end) in &ledger.runs {
        let numbers = seen.get(nonce.as_str());
        let have = numbers.map_or(0, BTreeSet::len) as u64;
        let most = numbers.and_then(BTreeSet::last).copied().unwrap_or(0);
        let wanted = end.map_or(most, |(lines, _)| lines);
        findings.missing += wanted.saturating_sub(have);
    }
    findings
}
