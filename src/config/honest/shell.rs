//! As much of a shell line as is needed to see what a check does: pipelines, words, redirections. Never: runs or expands anything.
//!
//! After the shell command language of POSIX (<https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html>); what is not
//! understood (here-documents, loops) reads as plain words.

/// What stands between two pipelines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    /// `&&`.
    And,
    /// `||`.
    Or,
    /// `;`, a new line, `&`.
    Then,
}

/// One command of a pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Simple {
    /// Program and arguments, quotes removed; assignments before the program are left out.
    pub(super) words: Vec<String>,
    /// Files that it writes its output to (`> file`, `>> file`, `2> file`).
    pub(super) writes: Vec<String>,
}

impl Simple {
    /// The program without its directory; empty where there is none.
    pub(super) fn program(&self) -> &str {
        self.words.first().map_or("", |word| word.rsplit('/').next().unwrap_or(word))
    }

    /// The arguments.
    pub(super) fn arguments(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }

    /// Whether one of the arguments is exactly this.
    pub(super) fn has(&self, argument: &str) -> bool {
        self.arguments().iter().any(|word| word == argument)
    }

    /// What stands behind one of the flags: `-p 1`, `--port=1`.
    pub(super) fn value(&self, flags: &[&str]) -> Option<&str> {
        let words = self.arguments();
        words.iter().enumerate().find_map(|(at, word)| {
            flags.iter().find_map(|flag| match word.strip_prefix(flag)? {
                "" => words.get(at + 1).map(String::as_str),
                rest => rest.strip_prefix('='),
            })
        })
    }
}

/// Commands that hand their output on, and what joins them to the next ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pipeline {
    /// At least one.
    pub(super) commands: Vec<Simple>,
    /// None: it is the last.
    pub(super) join: Option<Join>,
    /// Its exit code is turned round (`!`).
    pub(super) negated: bool,
    /// Where its text begins in the line.
    pub(super) begins: usize,
    /// Where its text ends.
    pub(super) ends: usize,
}

/// The pipelines of a line, in order.
pub(super) fn pipelines(line: &str) -> Vec<Pipeline> {
    let mut reading = Reading::of(line);
    reading.all();
    reading.pipelines
}

struct Reading<'l> {
    chars: std::iter::Peekable<std::str::CharIndices<'l>>,
    length: usize,
    word: String,
    /// There is a word, even if it is empty (`""`).
    in_word: bool,
    command: Simple,
    commands: Vec<Simple>,
    pipelines: Vec<Pipeline>,
    begins: Option<usize>,
    ends: usize,
    negated: bool,
    /// The next word is a file that is written.
    redirects: Option<bool>,
}

impl<'l> Reading<'l> {
    fn of(line: &'l str) -> Self {
        Self {
            chars: line.char_indices().peekable(),
            length: line.len(),
            word: String::new(),
            in_word: false,
            command: Simple::default(),
            commands: Vec::new(),
            pipelines: Vec::new(),
            begins: None,
            ends: 0,
            negated: false,
            redirects: None,
        }
    }

    fn all(&mut self) {
        while let Some((at, c)) = self.chars.next() {
            if !c.is_whitespace() && !matches!(c, ';' | '|' | '&' | '(' | ')') && self.begins.is_none() {
                self.begins = Some(at);
            }
            match c {
                '\\' => {
                    if let Some((_, next)) = self.chars.next()
                        && next != '\n'
                    {
                        self.push(next);
                    }
                }
                '\'' => self.quoted('\''),
                '"' => self.quoted('"'),
                '`' => self.nested('`', '`'),
                '$' => {
                    self.push('$');
                    if self.chars.next_if(|(_, next)| *next == '(').is_some() {
                        self.push('(');
                        self.nested('(', ')');
                    }
                }
                '#' if !self.in_word => while self.chars.next_if(|(_, next)| *next != '\n').is_some() {},
                '\n' | ';' => self.end_pipeline(at, Some(Join::Then)),
                '&' => self.ampersand(at),
                '|' => {
                    if self.chars.next_if(|(_, next)| *next == '|').is_some() {
                        self.end_pipeline(at, Some(Join::Or));
                    } else {
                        self.chars.next_if(|(_, next)| *next == '&');
                        self.end_command(at);
                    }
                }
                '>' => self.redirect(true),
                '<' => self.redirect(false),
                '(' | ')' => self.end_word(at),
                c if c.is_whitespace() => self.end_word(at),
                c => self.push(c),
            }
        }
        self.end_pipeline(self.length, None);
        if let Some(last) = self.pipelines.last_mut() {
            last.join = None;
        }
    }

    fn push(&mut self, c: char) {
        self.word.push(c);
        self.in_word = true;
    }

    fn quoted(&mut self, quote: char) {
        self.in_word = true;
        while let Some((_, c)) = self.chars.next() {
            match c {
                c if c == quote => return,
                '\\' if quote == '"' => {
                    if let Some((_, next)) = self.chars.next() {
                        self.word.push(next);
                    }
                }
                c => self.word.push(c),
            }
        }
    }

    /// The rest of a substitution, as it is written.
    fn nested(&mut self, open: char, close: char) {
        let mut depth = 1_u32;
        self.in_word = true;
        for (_, c) in self.chars.by_ref() {
            self.word.push(c);
            if c == close {
                depth -= 1;
                if depth == 0 {
                    return;
                }
            } else if c == open {
                depth += 1;
            }
        }
    }

    fn ampersand(&mut self, at: usize) {
        if self.chars.next_if(|(_, next)| *next == '&').is_some() {
            self.end_pipeline(at, Some(Join::And));
        } else if self.chars.next_if(|(_, next)| *next == '>').is_some() {
            self.end_word(at);
            self.chars.next_if(|(_, next)| *next == '>');
            self.redirects = Some(true);
        } else {
            self.end_pipeline(at, Some(Join::Then));
        }
    }

    fn redirect(&mut self, writes: bool) {
        // The number before it is no word: `2>`.
        if self.in_word && self.word.bytes().all(|byte| byte.is_ascii_digit()) {
            self.word.clear();
            self.in_word = false;
        }
        self.end_word(self.ends);
        self.chars.next_if(|(_, next)| matches!(next, '>' | '|' | '<'));
        if self.chars.next_if(|(_, next)| *next == '&').is_some() {
            // `>&2`: another descriptor, no file.
            while self.chars.next_if(|(_, next)| next.is_ascii_digit() || *next == '-').is_some() {}
            return;
        }
        self.redirects = Some(writes);
    }

    fn end_word(&mut self, at: usize) {
        if !std::mem::take(&mut self.in_word) {
            return;
        }
        self.ends = at;
        let word = std::mem::take(&mut self.word);
        match self.redirects.take() {
            Some(true) => self.command.writes.push(word),
            Some(false) => {}
            None if self.command.words.is_empty() && is_assignment(&word) => {}
            None if self.command.words.is_empty() && self.commands.is_empty() && word == "!" => self.negated = true,
            // What holds commands together says nothing of its own.
            None if self.command.words.is_empty()
                && matches!(word.as_str(), "{" | "}" | "if" | "then" | "fi" | "else" | "do" | "done" | "while") => {}
            None => self.command.words.push(word),
        }
    }

    fn end_command(&mut self, at: usize) {
        self.end_word(at);
        if self.command != Simple::default() {
            self.commands.push(std::mem::take(&mut self.command));
        }
    }

    fn end_pipeline(&mut self, at: usize, join: Option<Join>) {
        self.end_command(at);
        let negated = std::mem::take(&mut self.negated);
        let begins = self.begins.take().unwrap_or(at);
        if self.commands.is_empty() {
            return;
        }
        let commands = std::mem::take(&mut self.commands);
        self.pipelines.push(Pipeline { commands, join, negated, begins, ends: self.ends.max(begins) });
    }
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

#[cfg(test)]
mod tests {
    use super::{Join, pipelines};

    fn shown(line: &str) -> Vec<String> {
        let one = |pipeline: super::Pipeline| {
            let commands: Vec<String> = pipeline
                .commands
                .iter()
                .map(|command| {
                    let writes = command.writes.iter().fold(String::new(), |text, file| text + " >" + file);
                    format!("{}{writes}", command.words.join("·"))
                })
                .collect();
            let join = match pipeline.join {
                Some(Join::And) => " &&",
                Some(Join::Or) => " ||",
                Some(Join::Then) => " ;",
                None => "",
            };
            format!("{}{}{join}", if pipeline.negated { "! " } else { "" }, commands.join(" | "))
        };
        pipelines(line).into_iter().map(one).collect()
    }

    #[test]
    fn a_line_is_taken_apart_as_a_shell_would() {
        for (line, parts) in [
            ("curl -f 'a b' || exit 1", vec!["curl·-f·a b ||", "exit·1"]),
            ("a | b && c; d &", vec!["a | b &&", "c ;", "d"]),
            ("A=1 b > /dev/null 2>&1", vec!["b >/dev/null"]),
            ("test \"$(redis-cli ping | tr a b)\" = PONG", vec!["test·$(redis-cli ping | tr a b)·=·PONG"]),
            ("[ $(curl -s x) = ok ]", vec!["[·$(curl -s x)·=·ok·]"]),
            ("! a", vec!["! a"]),
            ("a # b | c", vec!["a"]),
            ("a &> out; b >> log < in", vec!["a >out ;", "b >log"]),
            ("(a; b) || true", vec!["a ;", "b ||", "true"]),
            ("a\\\nb \"\" ", vec!["ab·"]),
            ("'unclosed", vec!["unclosed"]),
            ("", vec![]),
        ] {
            assert_eq!(shown(line), parts, "{line}");
        }
    }
}
