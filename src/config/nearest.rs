//! Which known word was meant. Never: guesses wildly; a third of the letters may be wrong at most.

/// The known word that is nearest to `text` by optimal string alignment (Damerau 1964: insertion, deletion, substitution and
/// swap of neighbours count one each), ignoring case and the difference between `-` and `_`.
pub(crate) fn nearest<'w>(text: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let wanted = fold(text);
    if wanted.is_empty() || wanted.len() > 100 {
        return None;
    }
    let allowed = wanted.len().div_ceil(3);
    let mut best: Option<(usize, std::cmp::Reverse<usize>, &'w str)> = None;
    for word in known.into_iter().filter(|word| word.len().abs_diff(wanted.len()) <= allowed) {
        let folded = fold(word);
        let most = best.map_or(allowed, |(distance, ..)| distance);
        let Some(distance) = distance(&wanted, &folded, most) else { continue };
        let start = std::cmp::Reverse(common_start(&wanted, &folded));
        if best.is_none_or(|(least, begun, _)| (distance, start) < (least, begun)) {
            best = Some((distance, start, word));
        }
    }
    best.map(|(.., word)| word)
}

/// `did you mean "always"? one of: …`, or only the second half.
pub(crate) fn did_you_mean(text: &str, known: &[&str]) -> String {
    let all = known.join(", ");
    match nearest(text, known.iter().copied()) {
        Some(word) => format!("did you mean \"{word}\"? one of: {all}"),
        None => format!("one of: {all}"),
    }
}

/// True where two words differ by at most so many slips.
pub(crate) fn is_within(a: &str, b: &str, most: usize) -> bool {
    distance(&fold(a), &fold(b), most).is_some()
}

fn fold(text: &str) -> Vec<char> {
    text.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

fn common_start(a: &[char], b: &[char]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// None where it is more than `most`.
fn distance(a: &[char], b: &[char], most: usize) -> Option<usize> {
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut row: Vec<usize> = vec![0; b.len() + 1];
    for i in 1..=a.len() {
        row[0] = i;
        let mut least = i;
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (above[j] + 1).min(row[j - 1] + 1).min(above[j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row[j] = best;
            least = least.min(best);
        }
        // Rows never fall below both of the rows before by more than a swap.
        if least > most + 1 {
            return None;
        }
        std::mem::swap(&mut before, &mut above);
        std::mem::swap(&mut above, &mut row);
    }
    Some(above[b.len()]).filter(|distance| *distance <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_word() {
        let known = ["command", "environment", "restart", "depends_on"];
        for (typed, meant) in [
            ("comand", Some("command")),
            ("commnad", Some("command")),
            ("Restart", Some("restart")),
            ("depends-on", Some("depends_on")),
            ("enviroment", Some("environment")),
            ("zebra", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
    }

    #[test]
    fn swapped_neighbours_count_as_one_slip() {
        assert_eq!(distance(&['a', 'b'], &['b', 'a'], 3), Some(1));
        assert_eq!(distance(&['a', 'b'], &['x', 'y'], 1), None);
    }
}
