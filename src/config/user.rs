//! The user's own file, `config.yaml`, as it is read; [`super::layers`] writes it. Whether a theme or an action of that name exists is not known here.

use std::{collections::BTreeMap, path::Path};

use super::{
    alerts,
    nearest::did_you_mean,
    problems::Place,
    project::read_file,
    reader::{Fields, Reader},
    schema, settings,
    tree::{self, Node, Shape},
};
use crate::model::{
    alert::AlertLevel,
    log::LogFormat,
    policy::Autopilot,
    project::Problem,
    redact::Masks,
    service::{Source, Strategy},
};

/// A key with Ctrl, as the one byte that a terminal sends for it. Default: Ctrl-], as telnet has it; neither tmux nor screen wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DetachKey(u8);

impl DetachKey {
    /// From `ctrl-` and a letter or one of `]` `\` `^` `_`; none for anything else. `ctrl-[` is Esc, which programs need.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().strip_prefix("ctrl-")?.as_bytes() {
            [key @ (b'a'..=b'z' | b']' | b'\\' | b'^' | b'_')] => Some(Self(key & 0x1f)),
            _ => None,
        }
    }

    /// What the terminal sends.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self.0
    }
}

impl Default for DetachKey {
    fn default() -> Self {
        Self(0x1d)
    }
}

impl std::fmt::Display for DetachKey {
    /// `Ctrl-]`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ctrl-{}", char::from(self.0 | 0x40))
    }
}

/// What the user wants of the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserConfig {
    /// Name of a theme; none: the built-in choice.
    pub theme: Option<String>,
    /// Keys that replace the built-in ones, by action.
    pub keys: BTreeMap<String, Vec<String>>,
    /// Whether the console takes the mouse.
    pub mouse: bool,
    /// Whether the healer may act when a project is opened.
    pub autopilot: Autopilot,
    /// The key that leaves a service's terminal.
    pub detach_key: DetachKey,
    /// Which news the console shows over everything.
    pub alert_level: AlertLevel,
    /// Whether engines take changed project files in without being asked.
    pub auto_reload: bool,
    /// Whether engines learn how long services take to be ready.
    pub learning: bool,
    /// How restarts are spaced where a project says nothing of it.
    pub retry_strategy: Option<Strategy>,
    /// After how many starts in a row to give up where a project says nothing of it.
    pub max_restarts: Option<u32>,
    /// The group of this machine whose members may use the read-only socket; none: nobody.
    pub api_group: Option<String>,
    /// Forms of log lines beside those that are known.
    pub log_formats: Vec<LogFormat>,
    /// What is masked in output, beside secrets.
    pub masks: Masks,
    /// How its user is told of what goes wrong, as far as that is written.
    pub(crate) alerts: alerts::Written,
    /// Where values were written: `theme`, `detach_key`, `api.group`, `log_formats.INDEX`, and `keys.ACTION`; so that who knows themes, forms and actions can point at a
    /// wrong one.
    pub sources: BTreeMap<String, Source>,
}

impl Default for UserConfig {
    fn default() -> Self {
        Self {
            theme: None,
            keys: BTreeMap::new(),
            mouse: true,
            autopilot: Autopilot::default(),
            detach_key: DetachKey::default(),
            alert_level: AlertLevel::default(),
            auto_reload: false,
            learning: true,
            retry_strategy: None,
            max_restarts: None,
            api_group: None,
            log_formats: Vec::new(),
            masks: Masks::default(),
            alerts: alerts::Written::default(),
            sources: BTreeMap::new(),
        }
    }
}

/// What the user's file gave: where something is wrong, the built-in value stands in its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadedUser {
    /// The values.
    pub config: UserConfig,
    /// What is worth knowing.
    pub notes: Vec<Problem>,
    /// What must be changed.
    pub errors: Vec<Problem>,
}

/// Reads the user's file; one that is absent or empty is all defaults. Dollar signs are left alone.
#[must_use]
pub fn load(file: &Path) -> LoadedUser {
    if file.exists() { read_with(file, read_file) } else { LoadedUser::default() }
}

/// The same from a text that is to become the file.
pub(crate) fn load_text(file: &Path, text: &str) -> LoadedUser {
    read_with(file, |_, _| Some(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned()))
}

fn read_with(file: &Path, text: impl FnOnce(&mut Reader<'_>, &Path) -> Option<String>) -> LoadedUser {
    let environment = BTreeMap::new();
    let root = file.parent().map(Path::to_owned).unwrap_or_default();
    let mut reader = Reader::new(file, root, &environment).without_interpolation();
    let mut config = UserConfig::default();
    if let Some(text) = text(&mut reader, file) {
        let tree = tree::parse(&text);
        tree.faults.into_iter().for_each(|fault| reader.problems.error(fault));
        if let Some(root) = tree.root.filter(|root| !root.is_null())
            && let Some(fields) = reader.fields("the file", &root, &schema::USER)
        {
            read(&mut reader, &fields, file, &mut config);
        }
    }
    let (notes, errors) = reader.problems.finish();
    LoadedUser { config, notes, errors }
}

/// Takes what the fields say into `config`.
pub(crate) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>, file: &Path, config: &mut UserConfig) {
    if let Some(node) = fields.get("theme")
        && let Some(theme) = reader.text("theme", node)
    {
        config.theme = Some(theme);
        config.sources.insert("theme".to_owned(), node.at.in_file(file));
    }
    if let Some(mouse) = fields.get("mouse").and_then(|node| reader.truth("mouse", node)) {
        config.mouse = mouse;
    }
    if let (Some((_, _)), Some((key, _))) = (fields.find("auto_heal"), fields.find("autopilot")) {
        reader.error(key.at, "autopilot: auto_heal is there as well, and is the same thing", "keep auto_heal");
    }
    for word in ["autopilot", "auto_heal"] {
        if let Some(mode) = fields.get(word).and_then(|node| autopilot(reader, word, node)) {
            config.autopilot = mode;
        }
    }
    if let Some(level) = fields.get("alert_level").and_then(|node| alert_level(reader, node)) {
        config.alert_level = level;
    }
    if let Some(reloads) = fields.get("auto_reload").and_then(|node| reader.truth("auto_reload", node)) {
        config.auto_reload = reloads;
    }
    if let Some(learning) = fields.get("learning_mode").and_then(|node| reader.truth("learning_mode", node)) {
        config.learning = learning;
    }
    if let Some(node) = fields.get("retry_strategy") {
        config.retry_strategy = settings::strategy(reader, "retry_strategy", node).or(config.retry_strategy);
    }
    if let Some(node) = fields.get("max_restarts") {
        config.max_restarts = reader.number("max_restarts", node, 0).or(config.max_restarts);
    }
    if let Some(node) = fields.get("detach_key")
        && let Some(key) = reader.text("detach_key", node)
    {
        if matches!(&*key.to_ascii_lowercase(), "ctrl-a" | "ctrl-b") {
            let message = format!("detach_key: {key} is the first key of screen or tmux");
            reader.note(node.at, message, "within one of them it would never arrive here");
        }
        match DetachKey::parse(&key) {
            Some(key) => config.detach_key = key,
            None => reader.error(
                node.at,
                format!("detach_key: \"{key}\" is not a key that leaves a terminal"),
                "write ctrl- and a letter or one of ] \\ ^ _, such as ctrl-]",
            ),
        }
        config.sources.insert("detach_key".to_owned(), node.at.in_file(file));
    }
    api(reader, fields, file, config);
    if let Some(node) = fields.get("mask")
        && let Some(fields) = reader.fields("mask", node, &schema::MASK)
    {
        let emails = fields.get("emails").and_then(|node| reader.truth("emails", node));
        config.masks.emails = emails.unwrap_or_default();
        config.masks.patterns = fields.get("patterns").map_or_else(Vec::new, |node| patterns(reader, node));
    }
    if let Some(node) = fields.get("log_formats") {
        config.log_formats.clear();
        for (at, format) in log_formats(reader, node) {
            config.sources.insert(format!("log_formats.{}", config.log_formats.len()), at.in_file(file));
            config.log_formats.push(format);
        }
    }
    if let Some(node) = fields.get("alerts") {
        config.alerts = alerts::Written::read(reader, node, &alerts::Written::default());
    }
    bindings(reader, fields, file, config);
}

fn api(reader: &mut Reader<'_>, fields: &Fields<'_>, file: &Path, config: &mut UserConfig) {
    if let Some(node) = fields.get("api")
        && let Some(fields) = reader.fields("api", node, &schema::API)
        && let Some(node) = fields.get("group")
        && let Some(group) = reader.text("group", node)
    {
        if group.is_empty() {
            reader.error(node.at, "group: it is empty", "write the name of a group of this machine, or remove the key");
        } else {
            config.api_group = Some(group);
            config.sources.insert("api.group".to_owned(), node.at.in_file(file));
        }
    }
}

fn patterns(reader: &mut Reader<'_>, node: &Node) -> Vec<String> {
    let Shape::List(items) = &node.shape else {
        reader.wrong_form("patterns", node, "a list", "write [one, two], or one entry a line after \"- \"");
        return Vec::new();
    };
    items.iter().filter_map(|item| reader.pattern("patterns", item)).collect()
}

fn log_formats(reader: &mut Reader<'_>, node: &Node) -> Vec<(Place, LogFormat)> {
    let Shape::List(items) = &node.shape else {
        reader.wrong_form("log_formats", node, "a list", "write - {name: …, pattern: …} for each format");
        return Vec::new();
    };
    items.iter().filter_map(|item| Some((item.at, log_format(reader, item)?))).collect()
}

fn log_format(reader: &mut Reader<'_>, node: &Node) -> Option<LogFormat> {
    let fields = reader.fields("a format", node, &schema::LOG_FORMAT)?;
    for needed in ["name", "pattern"] {
        if fields.get(needed).is_none() && !fields.misspells(needed, &schema::LOG_FORMAT) {
            let message = format!("log_formats: this format has no {needed}");
            reader.error(node.at, message, "a format is {name: …, pattern: '^(?P<level>\\w+) (?P<message>.*)'}");
        }
    }
    let name = fields.get("name").and_then(|node| reader.text("name", node));
    let pattern = fields.get("pattern").and_then(|node| {
        let pattern = reader.pattern("pattern", node)?;
        // It compiles, as was just seen.
        let has_names = regex::Regex::new(&pattern).is_ok_and(|regex| regex.capture_names().flatten().next().is_some());
        if !has_names {
            let hint = "name what it finds: (?P<time>…), (?P<level>…), (?P<message>…), or a field";
            reader.error(node.at, format!("pattern: \"{pattern}\" names nothing of a line"), hint);
        }
        has_names.then_some(pattern)
    });
    let time = fields.get("time").and_then(|node| reader.text("time", node));
    Some(LogFormat { name: name?, pattern: pattern?, time })
}

fn bindings(reader: &mut Reader<'_>, fields: &Fields<'_>, file: &Path, config: &mut UserConfig) {
    let Some(node) = fields.get("keys") else { return };
    let Shape::Map(entries) = &node.shape else {
        reader.wrong_form("keys", node, "a map", "write action: key, or action: [key, key]");
        return;
    };
    for (action, node) in entries {
        let Some(keys) = keys(reader, &action.text, node) else { continue };
        config.keys.insert(action.text.to_string(), keys);
        let at: Place = action.at;
        config.sources.insert(format!("keys.{}", action.text), at.in_file(file));
    }
}

/// One key, or a list of them; none at all unbinds the action.
fn keys(reader: &mut Reader<'_>, action: &str, node: &Node) -> Option<Vec<String>> {
    match &node.shape {
        Shape::List(_) => reader.texts(action, node),
        Shape::Scalar { .. } if node.is_null() => Some(Vec::new()),
        Shape::Scalar { .. } | Shape::Map(_) => Some(vec![reader.text(action, node)?]),
    }
}

fn alert_level(reader: &mut Reader<'_>, node: &Node) -> Option<AlertLevel> {
    let text = reader.text("alert_level", node)?;
    let level = AlertLevel::parse(&text);
    if level.is_none() {
        let hint = did_you_mean(&text, &AlertLevel::ALL.map(AlertLevel::label));
        reader.error(node.at, format!("alert_level: \"{text}\" is not a level"), hint);
    }
    level
}

fn autopilot(reader: &mut Reader<'_>, what: &str, node: &Node) -> Option<Autopilot> {
    let text = reader.text(what, node)?;
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" => Some(Autopilot::On),
        "off" | "false" | "no" => Some(Autopilot::Off),
        _ => {
            let hint = did_you_mean(&text, &["on", "off"]);
            reader.error(node.at, format!("{what}: \"{text}\" is not a mode of the autopilot"), hint);
            None
        }
    }
}
