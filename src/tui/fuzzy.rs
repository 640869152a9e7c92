//! Fuzzy search: the letters that are typed, in their order, somewhere in a text; better the closer they stand together. Never: a slow list, since each
//! text is looked at once.

use nucleo_matcher::{
    Config, Matcher, Utf32Str,
    pattern::{AtomKind, CaseMatching, Normalization, Pattern},
};

/// What is looked for.
#[derive(Debug, Clone)]
pub(crate) struct Fuzzy {
    source: String,
    pattern: Pattern,
}

/// How well a text fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fit {
    score: u32,
    /// The letters that fit, counted from 0.
    pub(crate) letters: Vec<u32>,
}

impl Fuzzy {
    /// None where there is nothing to look for.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_empty = text.trim().is_empty();
        let pattern = Pattern::new(text, CaseMatching::Smart, Normalization::Smart, AtomKind::Fuzzy);
        (!is_empty).then(|| Self { source: text.to_owned(), pattern })
    }

    /// As typed.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// None where `text` does not fit.
    pub(crate) fn fit(&self, text: &str) -> Option<Fit> {
        self.fit_with(&mut Matcher::new(Config::DEFAULT), text)
    }

    fn fit_with(&self, matcher: &mut Matcher, text: &str) -> Option<Fit> {
        let mut buffer = Vec::new();
        let mut letters = Vec::new();
        let score = self.pattern.indices(Utf32Str::new(text, &mut buffer), matcher, &mut letters)?;
        letters.sort_unstable();
        letters.dedup();
        Some(Fit { score, letters })
    }

    /// Those that fit, the best first, equal ones as they come. Of two texts an item is known by, its name and its place, a name that fits is better.
    pub(crate) fn best<T>(&self, items: impl Iterator<Item = (T, String, String)>) -> Vec<T> {
        let mut matcher = Matcher::new(Config::DEFAULT);
        let mut scored: Vec<((bool, u32), T)> = items
            .filter_map(|(item, name, place)| {
                if let Some(fit) = self.fit_with(&mut matcher, &name) {
                    return Some(((true, fit.score), item));
                }
                let fit = self.fit_with(&mut matcher, &format!("{name} {place}"))?;
                Some(((false, fit.score), item))
            })
            .collect();
        scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        scored.into_iter().map(|(_, item)| item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Fuzzy;

    fn best(typed: &str, items: &[(&str, &str)]) -> Vec<String> {
        let items = items.iter().map(|(name, place)| ((*name).to_owned(), (*name).to_owned(), (*place).to_owned()));
        Fuzzy::parse(typed).unwrap().best(items)
    }

    #[test]
    fn the_best_comes_first_and_a_name_before_a_place() {
        let items = [("web-shop", "/srv/a"), ("shop", "/srv/b"), ("blog", "/srv/shop"), ("api", "/srv/c")];
        assert_eq!(best("shop", &items)[0], "shop");
        assert_eq!(best("shop", &items).len(), 3);
        assert_eq!(best("shop", &items)[2], "blog", "only its place fits");
        assert_eq!(best("wsp", &items), ["web-shop"], "letters in their order");
        assert_eq!(best("blog srv", &items), ["blog"], "words, of name and place together");
        assert!(best("zzz", &items).is_empty());
        assert!(Fuzzy::parse("  ").is_none());
    }

    #[test]
    fn the_letters_that_fit_are_known() {
        let fit = Fuzzy::parse("wsp").unwrap().fit("web-shop").unwrap();
        assert_eq!(fit.letters, [0, 4, 7]);
    }
}
