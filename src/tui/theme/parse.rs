//! Theme files: finds them, follows `inherits`, says what is wrong and where.
//!
//! A child's `[palette]` and `[roles]` are laid over its parent's entry by entry, and palette names are looked up only after that:
//! a child may change nothing but the palette.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    str::FromStr,
};

use ratatui::style::{Color, Modifier, Style};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Parts, Role, Theme, builtin};

/// A line of a file, from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    file: String,
    line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A value and where it was written.
#[derive(Clone)]
struct Written<T> {
    value: T,
    at: Place,
}

type Problems = Vec<(Place, String)>;

/// One role as a file has it: what is not there is the parent's.
#[derive(Clone, Default)]
struct Look {
    fg: Option<Written<String>>,
    bg: Option<Written<String>>,
    modifiers: Vec<(Modifier, bool)>,
}

/// One file, or several laid over each other.
#[derive(Default)]
struct Sheet {
    inherits: Option<Written<String>>,
    palette: BTreeMap<String, Written<String>>,
    roles: BTreeMap<Role, Look>,
    services: Option<Vec<Written<String>>>,
    ansi: Option<Written<Vec<Written<String>>>>,
}

/// As [`Theme::load`].
pub(super) fn load(name: &str, user_dir: Option<&Path>) -> Result<Theme, String> {
    let mut problems = Problems::new();
    let sheet = gather(name, user_dir, &mut problems)?;
    let parts = resolve(name, &sheet, &mut problems);
    problems.sort();
    let mut problems: Vec<String> = problems.into_iter().map(|(at, what)| format!("{at}: {what}")).collect();
    let theme = parts.into_theme().map_err(|missing| {
        let words: Vec<&str> = missing.iter().map(|role| role.word()).collect();
        problems.push(format!(
            "theme \"{name}\" says nothing about {}; add the roles, or `inherits = \"{}\"`",
            words.join(", "),
            super::DEFAULT
        ));
    });
    match theme {
        Ok(theme) if problems.is_empty() => Ok(theme),
        Ok(_) | Err(()) => Err(problems.join("\n")),
    }
}

/// Reads the file of `name` and of all its ancestors.
fn gather(name: &str, user_dir: Option<&Path>, problems: &mut Problems) -> Result<Sheet, String> {
    let mut seen: Vec<String> = Vec::new();
    let mut sheets: Vec<Sheet> = Vec::new();
    let mut next = Some((name.to_owned(), String::new()));
    while let Some((wanted, place)) = next {
        let (label, text) = read(&wanted, &place, user_dir, &seen)?;
        let sheet = Reader { label: &label, text: &text, problems }.sheet();
        next = sheet.inherits.as_ref().map(|parent| (parent.value.clone(), format!("{}: ", parent.at)));
        seen.push(label);
        sheets.push(sheet);
    }
    let mut whole = Sheet::default();
    for sheet in sheets.into_iter().rev() {
        whole.lay_over(sheet);
    }
    Ok(whole)
}

/// The name of a theme's file and its text; `place` says who asked for it. A user's file may inherit the built-in theme of its own
/// name.
fn read(name: &str, place: &str, user_dir: Option<&Path>, seen: &[String]) -> Result<(String, String), String> {
    if name.is_empty() || name.contains(['/', '\\', '\0']) || name.starts_with('.') {
        return Err(format!("{place}{name:?} is not the name of a theme"));
    }
    let file: Option<PathBuf> = user_dir.map(|dir| dir.join(format!("{name}.toml"))).filter(|path| path.is_file());
    let own = file.as_ref().map(|path| path.display().to_string());
    if let (Some(path), Some(label)) = (file, own.clone())
        && !seen.contains(&label)
    {
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{label}: {error}"))?;
        return Ok((label, text));
    }
    let label = format!("themes/{name}.toml");
    match builtin::find(name) {
        Some(text) if !seen.contains(&label) => Ok((label, text.to_owned())),
        Some(_) => Err(cycle(place, seen, &label)),
        None if own.is_some() => Err(cycle(place, seen, &own.unwrap_or_default())),
        None => {
            let names = Theme::names(user_dir);
            let hint = nearest(name, names.iter().map(String::as_str));
            let hint = hint.map_or_else(|| ".".to_owned(), |near| format!("; did you mean \"{near}\"?"));
            Err(format!("{place}there is no theme \"{name}\"{hint} There are: {}", names.join(", ")))
        }
    }
}

fn cycle(place: &str, seen: &[String], label: &str) -> String {
    format!("{place}themes inherit each other in a circle: {} → {label}", seen.join(" → "))
}

impl Sheet {
    fn lay_over(&mut self, child: Self) {
        self.palette.extend(child.palette);
        for (role, look) in child.roles {
            let own = self.roles.entry(role).or_default();
            own.fg = look.fg.or(own.fg.take());
            own.bg = look.bg.or(own.bg.take());
            own.modifiers.extend(look.modifiers);
        }
        self.services = child.services.or(self.services.take());
        self.ansi = child.ansi.or(self.ansi.take());
    }
}

/// Turns names of colours into colours.
fn resolve(name: &str, sheet: &Sheet, problems: &mut Problems) -> Parts {
    let mut palette: BTreeMap<&str, Color> = BTreeMap::new();
    for (key, written) in &sheet.palette {
        match Color::from_str(&written.value) {
            Ok(color) => drop(palette.insert(key, color)),
            Err(_) => problems.push((
                written.at.clone(),
                format!(
                    "\"{}\" is not a colour: write it like #1e1e2e, or with a terminal's name such as light-red",
                    written.value
                ),
            )),
        }
    }
    let mut color = |written: &Written<String>| {
        if let Some(color) = palette.get(written.value.as_str()) {
            return Some(*color);
        }
        if let Ok(color) = Color::from_str(&written.value) {
            return Some(color);
        }
        // A palette entry that was refused has been reported already.
        if !sheet.palette.contains_key(&written.value) {
            let hint = nearest(&written.value, sheet.palette.keys().map(String::as_str));
            let hint = hint.map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
            let what = format!("\"{}\" is neither in [palette] nor a colour{hint}", written.value);
            problems.push((written.at.clone(), what));
        }
        None
    };
    let mut roles = BTreeMap::new();
    for (role, look) in &sheet.roles {
        let mut style = Style::new();
        style.fg = look.fg.as_ref().and_then(&mut color);
        style.bg = look.bg.as_ref().and_then(&mut color);
        for (modifier, on) in &look.modifiers {
            if *on {
                style.add_modifier.insert(*modifier);
            } else {
                style.add_modifier.remove(*modifier);
            }
        }
        roles.insert(*role, style);
    }
    let services = sheet.services.iter().flatten().filter_map(&mut color).collect();
    let ansi = sheet.ansi.as_ref().and_then(|list| {
        let colors: Vec<Color> = list.value.iter().filter_map(&mut color).collect();
        colors.try_into().ok()
    });
    Parts { name: name.to_owned(), roles, services, ansi }
}

/// Reads one file.
struct Reader<'a> {
    label: &'a str,
    text: &'a str,
    problems: &'a mut Problems,
}

const TOP: [&str; 6] = ["name", "inherits", "palette", "roles", "services", "ansi"];

impl Reader<'_> {
    fn at(&self, span: &Range<usize>) -> Place {
        let before = self.text.as_bytes().iter().take(span.start);
        Place { file: self.label.to_owned(), line: 1 + before.filter(|byte| **byte == b'\n').count() }
    }

    fn complain(&mut self, span: &Range<usize>, what: &str) {
        let at = self.at(span);
        self.problems.push((at, what.to_owned()));
    }

    fn unknown<'w>(
        &mut self,
        span: &Range<usize>,
        key: &str,
        what: &str,
        known: impl Iterator<Item = &'w str> + Clone,
    ) {
        let hint = nearest(key, known.clone());
        let hint = hint.map_or_else(|| ".".to_owned(), |near| format!("; did you mean \"{near}\"?"));
        let known: Vec<&str> = known.collect();
        self.complain(span, &format!("\"{key}\" is not {what}{hint} One of: {}", known.join(", ")));
    }

    fn sheet(&mut self) -> Sheet {
        let mut sheet = Sheet::default();
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            self.complain(&error.span().unwrap_or_default(), error.message());
        }
        for (key, value) in table.get_ref() {
            match key.get_ref().as_ref() {
                "name" => drop(self.string(value)),
                "inherits" => sheet.inherits = self.string(value),
                "palette" => sheet.palette = self.palette(value),
                "roles" => sheet.roles = self.roles(value),
                "services" => sheet.services = self.colors(value).map(|list| list.value),
                "ansi" => sheet.ansi = self.ansi(value),
                other => self.unknown(&key.span(), other, "a part of a theme", TOP.into_iter()),
            }
        }
        sheet
    }

    fn string(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Written<String>> {
        let text = value.get_ref().as_str().map(|text| Written { value: text.to_owned(), at: self.at(&value.span()) });
        if text.is_none() {
            let found = value.get_ref().type_str();
            self.complain(&value.span(), &format!("a text in quotes is expected here; this is of type {found}"));
        }
        text
    }

    fn table<'v>(&mut self, value: &'v Spanned<DeValue<'v>>) -> Option<&'v DeTable<'v>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.complain(
                &value.span(),
                &format!("a table is expected here; this is of type {}", value.get_ref().type_str()),
            );
        }
        table
    }

    fn palette(&mut self, value: &Spanned<DeValue<'_>>) -> BTreeMap<String, Written<String>> {
        let mut palette = BTreeMap::new();
        for (key, value) in self.table(value).into_iter().flatten() {
            if let Some(color) = self.string(value) {
                palette.insert(key.get_ref().to_string(), color);
            }
        }
        palette
    }

    fn roles(&mut self, value: &Spanned<DeValue<'_>>) -> BTreeMap<Role, Look> {
        let mut roles = BTreeMap::new();
        for (key, value) in self.table(value).into_iter().flatten() {
            let word = key.get_ref().as_ref();
            match Role::ALL.into_iter().find(|role| role.word() == word) {
                Some(role) => drop(roles.insert(role, self.look(value))),
                None => self.unknown(&key.span(), word, "a role", Role::ALL.iter().map(|role| role.word())),
            }
        }
        roles
    }

    /// A role is a table, or just the colour of its letters.
    fn look(&mut self, value: &Spanned<DeValue<'_>>) -> Look {
        let mut look = Look::default();
        if value.get_ref().is_str() {
            look.fg = self.string(value);
            return look;
        }
        for (key, value) in self.table(value).into_iter().flatten() {
            let modifier = match key.get_ref().as_ref() {
                "fg" => {
                    look.fg = self.string(value);
                    continue;
                }
                "bg" => {
                    look.bg = self.string(value);
                    continue;
                }
                "bold" => Modifier::BOLD,
                "dim" => Modifier::DIM,
                "italic" => Modifier::ITALIC,
                "underline" => Modifier::UNDERLINED,
                "reverse" => Modifier::REVERSED,
                other => {
                    let known = ["fg", "bg", "bold", "dim", "italic", "underline", "reverse"];
                    self.unknown(&key.span(), other, "a part of a style", known.into_iter());
                    continue;
                }
            };
            match value.get_ref().as_bool() {
                Some(on) => look.modifiers.push((modifier, on)),
                None => self.complain(&value.span(), "true or false is expected here"),
            }
        }
        look
    }

    /// `[services]` and `[ansi]`: a table with the one key `colors`.
    fn colors(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Written<Vec<Written<String>>>> {
        let mut list = None;
        for (key, value) in self.table(value)? {
            if key.get_ref().as_ref() != "colors" {
                self.unknown(&key.span(), key.get_ref(), "known here", ["colors"].into_iter());
                continue;
            }
            let Some(array) = value.get_ref().as_array() else {
                self.complain(&value.span(), "a list of colours is expected here");
                continue;
            };
            let colors = array.iter().filter_map(|value| self.string(value)).collect();
            list = Some(Written { value: colors, at: self.at(&value.span()) });
        }
        list
    }

    fn ansi(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Written<Vec<Written<String>>>> {
        let list = self.colors(value)?;
        if list.value.len() != 16 {
            let what = format!("sixteen colours are expected here, not {}", list.value.len());
            self.problems.push((list.at, what));
            return None;
        }
        Some(list)
    }
}

/// The known word that was probably meant: at most two letters in five differ (Levenshtein, 1966).
fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, near) = known.map(|near| (edits(word, near), near)).min()?;
    (distance * 5 <= near.chars().count().max(3) * 2).then_some(near)
}

fn edits(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, b) in other.chars().enumerate() {
            let change = corner + usize::from(a != b);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}
