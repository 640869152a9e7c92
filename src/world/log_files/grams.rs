//! Which groups of three characters are in a part of an archive: a part that lacks one that a pattern cannot do without need not be unpacked.
//!
//! Small letters stand for large ones, one digit for all, all bytes that are no ASCII for each other: so the set is small, and numbers, which differ in
//! each line, do not fill it. Promise: what [`Needs`] rules out has no line that the pattern matches. Never: the other way round.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::words;

/// Kinds of characters.
const KINDS: usize = 36;

/// Bytes of a set.
pub(super) const BYTES: usize = (KINDS * KINDS * KINDS).div_ceil(8);

/// Of what is repeated more often only so much is asked for.
const REPEATED: u32 = 16;

/// The kind of each byte: 26 letters, then the others by what they do in logs.
const KIND: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte as u8 {
            letter @ b'a'..=b'z' => letter - b'a',
            letter @ b'A'..=b'Z' => letter - b'A',
            b'0'..=b'9' => 26,
            b' ' => 27,
            b'=' => 28,
            b':' => 29,
            b'/' | b'\\' => 30,
            b'.' | b',' => 31,
            b'-' | b'_' | b'+' => 32,
            b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'<' | b'>' => 33,
            0x80.. => 34,
            _ => 35,
        };
        byte += 1;
    }
    kinds
};

const fn gram(kinds: [u8; 3]) -> u16 {
    ((kinds[0] as usize * KINDS + kinds[1] as usize) * KINDS + kinds[2] as usize) as u16
}

/// A set of groups.
#[derive(Clone)]
pub(super) struct Grams(Box<[u8; BYTES]>);

impl Grams {
    /// None.
    pub(super) fn none() -> Self {
        Self(Box::new([0; BYTES]))
    }

    /// Those of one line.
    pub(super) fn add(&mut self, line: &[u8]) {
        let [Some(first), Some(second)] = [line.first(), line.get(1)].map(|byte| byte.map(|byte| KIND[*byte as usize]))
        else {
            return;
        };
        let mut before = (usize::from(first) * KINDS + usize::from(second)) * KINDS;
        for byte in &line[2..] {
            let at = before + usize::from(KIND[*byte as usize]);
            self.0[at / 8] |= 1 << (at % 8);
            before = at % (KINDS * KINDS) * KINDS;
        }
    }

    /// Those of what may be put into a line, wherever it may stand there. It begins and ends with a character that is no ASCII, of two bytes or more.
    pub(super) fn add_inset(&mut self, inset: &[u8]) {
        self.add(inset);
        let other = KIND[0x80];
        for one in 0..KINDS as u8 {
            for beside in [[one, other, other], [other, other, one]] {
                self.insert(gram(beside));
            }
            for next in 0..KINDS as u8 {
                self.insert(gram([one, next, other]));
                self.insert(gram([other, one, next]));
            }
        }
    }

    fn insert(&mut self, gram: u16) {
        self.0[usize::from(gram) / 8] |= 1 << (gram % 8);
    }

    /// Those of a stored set, too.
    pub(super) fn with(&self, set: &[u8]) -> Vec<u8> {
        self.0.iter().zip(set).map(|(own, other)| own | other).collect()
    }

    /// As it is stored.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0[..]
    }
}

fn has(set: &[u8], gram: u16) -> bool {
    set.get(usize::from(gram) / 8).is_none_or(|byte| byte >> (gram % 8) & 1 == 1)
}

/// What must be there for a pattern to match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing is known.
    Unknown,
    /// Each of these groups.
    Grams(Vec<u16>),
    /// Each of these picks of long words.
    Words(Vec<u32>),
    /// What each of these needs.
    All(Vec<Self>),
    /// What one of these needs.
    Any(Vec<Self>),
}

impl Needs {
    /// Of a pattern.
    pub(super) fn of(pattern: &Hir) -> Self {
        match pattern.kind() {
            HirKind::Empty | HirKind::Look(_) => Self::Unknown,
            HirKind::Literal(_) | HirKind::Class(_) => Self::of_parts(std::slice::from_ref(pattern)),
            HirKind::Capture(capture) => Self::of(&capture.sub),
            HirKind::Repetition(_) => Self::of_parts(std::slice::from_ref(pattern)),
            HirKind::Concat(parts) => Self::of_parts(parts),
            HirKind::Alternation(ways) => {
                let ways: Vec<Self> = ways.iter().map(Self::of).collect();
                if ways.contains(&Self::Unknown) { Self::Unknown } else { Self::Any(ways) }
            }
        }
    }

    /// Of parts that follow each other.
    fn of_parts(parts: &[Hir]) -> Self {
        let mut needs = Vec::new();
        let mut run = Vec::new();
        for part in parts {
            if let Some(steps) = always(part) {
                run.extend(steps);
                continue;
            }
            if let HirKind::Repetition(repetition) = part.kind()
                && repetition.min > 0
                && let Some(steps) = always(&repetition.sub)
            {
                let steps = steps.repeat(repetition.min.min(REPEATED) as usize);
                // It begins and ends with as many.
                run.extend_from_slice(&steps);
                needs.extend(of_run(&run));
                run = steps;
                continue;
            }
            needs.extend(of_run(&run));
            run.clear();
            match part.kind() {
                HirKind::Repetition(repetition) if repetition.min > 0 => needs.push(Self::of(&repetition.sub)),
                HirKind::Capture(_) | HirKind::Concat(_) | HirKind::Alternation(_) => needs.push(Self::of(part)),
                HirKind::Empty
                | HirKind::Look(_)
                | HirKind::Literal(_)
                | HirKind::Class(_)
                | HirKind::Repetition(_) => {}
            }
        }
        needs.extend(of_run(&run));
        needs.retain(|need| *need != Self::Unknown);
        match needs.len() {
            0 => Self::Unknown,
            1 => needs.remove(0),
            _ => Self::All(needs),
        }
    }

    /// False where a part with these groups, and these picks of long words, cannot have what is needed.
    pub(super) fn may_be_in(&self, grams: &[u8], has_pick: &dyn Fn(u32) -> bool) -> bool {
        match self {
            Self::Unknown => true,
            Self::Grams(all) => all.iter().all(|gram| has(grams, *gram)),
            Self::Words(picks) => picks.iter().all(|pick| has_pick(*pick)),
            Self::All(all) => all.iter().all(|need| need.may_be_in(grams, has_pick)),
            Self::Any(ways) => ways.iter().any(|need| need.may_be_in(grams, has_pick)),
        }
    }

    /// Whether long words are asked for.
    pub(super) fn has_words(&self) -> bool {
        match self {
            Self::Unknown | Self::Grams(_) => false,
            Self::Words(_) => true,
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::has_words),
        }
    }
}

/// A character that is always of one kind.
#[derive(Debug, Clone, Copy)]
struct Step {
    kind: u8,
    /// Which it is, where it is always the same.
    byte: Option<u8>,
}

impl Step {
    const fn of(byte: u8) -> Self {
        Self { kind: KIND[byte as usize], byte: Some(byte) }
    }
}

fn of_run(run: &[Step]) -> impl Iterator<Item = Needs> {
    let grams: Vec<u16> = run.windows(3).map(|three| gram([three[0].kind, three[1].kind, three[2].kind])).collect();
    let text: Vec<u8> = run.iter().map(|step| step.byte.unwrap_or(b' ')).collect();
    let mut picks = Vec::new();
    words::picks(&text, |pick| picks.push(pick));
    let grams = (!grams.is_empty()).then_some(Needs::Grams(grams));
    grams.into_iter().chain((!picks.is_empty()).then_some(Needs::Words(picks)))
}

/// What a part of a pattern matches, where its characters are always of the same kinds.
fn always(part: &Hir) -> Option<Vec<Step>> {
    match part.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(Vec::new()),
        HirKind::Literal(literal) => Some(literal.0.iter().map(|byte| Step::of(*byte)).collect()),
        HirKind::Class(class) => {
            let mut members = bytes_of(class)?;
            let mut step = Step::of(members.next()?);
            for byte in members {
                if KIND[byte as usize] != step.kind {
                    return None;
                }
                step.byte = step.byte.filter(|first| first.eq_ignore_ascii_case(&byte));
            }
            Some(vec![step])
        }
        HirKind::Repetition(repetition) => {
            let times = repetition.max.filter(|max| *max == repetition.min && *max <= REPEATED)?;
            Some(always(&repetition.sub)?.repeat(times as usize))
        }
        HirKind::Capture(capture) => always(&capture.sub),
        HirKind::Concat(parts) => Some(parts.iter().map(always).collect::<Option<Vec<_>>>()?.concat()),
        HirKind::Alternation(_) => None,
    }
}

/// The members of a class, where each is one ASCII character.
fn bytes_of(class: &Class) -> Option<impl Iterator<Item = u8>> {
    let ranges: Vec<(u8, u8)> = match class {
        Class::Unicode(class) => {
            let byte = |character: char| u8::try_from(character).ok().filter(u8::is_ascii);
            class.iter().map(|range| Some((byte(range.start())?, byte(range.end())?))).collect::<Option<_>>()?
        }
        Class::Bytes(class) => class.iter().map(|range| (range.start(), range.end())).collect(),
    };
    ranges.iter().all(|(_, last)| last.is_ascii()).then(|| ranges.into_iter().flat_map(|(first, last)| first..=last))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::words::{self, Words},
        Grams, Needs,
    };

    fn may_match(pattern: &str, line: &str) -> bool {
        let (mut grams, mut words) = (Grams::none(), Words::default());
        grams.add(line.as_bytes());
        words.add(line.as_bytes());
        let set = words.set().unwrap();
        let has_pick = |pick| words::may_have(&set, pick);
        Needs::of(&regex_syntax::parse(pattern).unwrap()).may_be_in(grams.bytes(), &has_pick)
    }

    #[test]
    fn what_a_pattern_cannot_do_without_is_missed() {
        let line = "2026-11-22 WARN pool exhausted after 30s: timeout=4711 (client 10.0.0.1)";
        for pattern in [
            "exhausted",
            "(?i)EXHAUSTED AFTER",
            r"timeout=\d+",
            r"timeout=[0-9]{4}\b",
            "^2026.*(warn|WARN) pool",
            r"(pool|lake) exhausted",
            r"x?y*client \d+(\.[0-9]+){3}",
            "",
            "a|.*",
        ] {
            assert!(may_match(pattern, line), "{pattern}");
        }
        for pattern in
            ["deadlock", "(?i)Deadlock", r"timeouts=\d+", "(lake|sea) exhausted", r"a(lake|sea)+", "pool *client x+yzz"]
        {
            assert!(!may_match(pattern, line), "{pattern}");
        }
    }

    #[test]
    fn a_long_word_that_is_not_there_is_missed() {
        let line = "trace_id=4BF92F3577B34DA6A3CE929D0E0E4736 took 12 ms";
        for pattern in
            ["4BF92F3577B34DA6A3CE929D0E0E4736", "(?i)4bf92f3577b34da6a3ce929d0e0e4736", r"[0-9A-F]{32} took"]
        {
            assert!(may_match(pattern, line), "{pattern}");
        }
        for pattern in [
            "D6A3CE929D0E0E47364BF92F3577B34A",
            "(?i)d6a3ce929d0e0e47364bf92f3577b34a",
            "(x|4BF92F3577B34DA6A3CE929D0E0E4736) tock",
            "trace_id=(D6A3CE929D0E0E47364BF92F3577B34A)+",
        ] {
            assert!(!may_match(pattern, line), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn a_long_word_that_matches_is_never_ruled_out(
            word in "[0-9a-fA-F-]{1,50}", line in "[0-9a-fA-F =-]{0,20}", behind in "[0-9a-f ]{0,20}", ignoring in any::<bool>(),
        ) {
            let pattern = if ignoring { format!("(?i){}", word.to_lowercase()) } else { word.clone() };
            let line = format!("{line}{word}{behind}");
            prop_assert!(may_match(&pattern, &line), "{pattern} in {line}");
        }

        #[test]
        fn a_line_that_matches_is_never_ruled_out(
            pattern in "[ab]{0,2}(\\([abc1]{1,3}\\|[ab]{2}\\)[+*?]?|[a-c]|.|\\[ab\\]|\\[0-9\\]){0,3}(abc){0,2}(x\\{2,3\\}y)?",
            line in "[abcxy12 =é]{0,40}",
            ignoring in any::<bool>(),
        ) {
            let pattern = if ignoring { format!("(?i){}", pattern.to_uppercase()) } else { pattern };
            if let Ok(regex) = regex::Regex::new(&pattern)
                && regex.is_match(&line)
            {
                prop_assert!(may_match(&pattern, &line), "{pattern} in {line}");
            }
        }
    }
}
