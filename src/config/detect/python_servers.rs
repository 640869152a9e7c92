//! Python programs that are named in more than one place: Flask by `.flaskenv`, a factory or its caller; gunicorn by its configuration; workers of RQ.

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

use regex::Regex;

use super::{
    super::import::Told,
    Finds,
    python::{Project, RUN_PORT},
    text::{Text, pattern, port_of_code},
};

static FLASK: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^\s*(\w+)\s*=\s*(?:flask\.)?(?:Flask|APIFlask)\("));
/// `app = create_app()` of a module: whoever runs the application names this module.
static MADE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?m)^(app|application|flask_app)\s*=\s*(?:\w+\.)?(?:create|make|build|init)_app\("));
static WSGI: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^(app|application)\s*(?::[^=\n]+)?=\s*\S"));
static FLASK_APP: LazyLock<Regex> = LazyLock::new(|| pattern(r#"(?m)^(?:export\s+)?FLASK_APP\s*=\s*["']?([\w./:]+)"#));
static FLASK_PORT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?m)^(?:export\s+)?FLASK_RUN_PORT\s*=\s*["']?(\d{2,5})"#));
static WSGI_APP: LazyLock<Regex> = LazyLock::new(|| pattern(r#"(?m)^wsgi_app\s*=\s*["']([\w.:]+)["']"#));
static BIND: LazyLock<Regex> = LazyLock::new(|| pattern(r#"(?m)^bind\s*=\s*\[?\s*f?["'][^"'\n]*:(\d{2,5})["']"#));
static QUEUE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"\bQueue\(\s*(?:name\s*=\s*)?["']([A-Za-z0-9][\w.-]*)["']"#));
static RQ_BY_MANAGE: LazyLock<Regex> = LazyLock::new(|| pattern(r"manage\.py rq (worker|scheduler)\b"));

/// Files in which packages are named.
const PACKAGES: [&str; 7] = [
    "requirements.txt",
    "requirements.in",
    "pyproject.toml",
    "Pipfile",
    "setup.py",
    "requirements/base.txt",
    "requirements/prod.txt",
];

impl Project<'_> {
    /// Where a package is named among those that are needed.
    pub(super) fn needs(&self, package: &str) -> Option<Told<String>> {
        PACKAGES.iter().find_map(|file| {
            let text = self.tree.read(&self.directory.join(file))?;
            let offset = offset_of(text.as_str(), package)?;
            Some(Told { value: package.to_owned(), source: text.at(offset) })
        })
    }

    pub(super) fn flask(&self, finds: &mut Finds) -> bool {
        let literal = self.find(&FLASK);
        let made = self.find(&MADE).filter(|_| literal.is_some() || self.needs("flask").is_some());
        let flask_env = self.tree.read(&self.directory.join(".flaskenv"));
        let said = flask_env.as_ref().and_then(|text| text.capture(&FLASK_APP));
        // A literal in a function is a factory: whoever calls it is the application.
        let is_in_function = |(_, text, found): &(PathBuf, Text, Told<String>)| {
            text.as_str().lines().nth(found.source.line as usize - 1).is_some_and(|line| line.starts_with([' ', '\t']))
        };
        let chosen = match (literal, made) {
            (Some(literal), Some(made)) => Some(if is_in_function(&literal) { made } else { literal }),
            (literal, made) => literal.or(made),
        };
        let Some((file, text, app)) = chosen else { return false };
        let by_env = flask_env.as_ref().and_then(|text| port_of_code(text, &FLASK_PORT));
        // Ports below 1024 are for root; the command names another.
        let by_code = || port_of_code(&text, &RUN_PORT).filter(|port| port.value >= 1024);
        let source = said.as_ref().map_or(app.source, |said| said.source.clone());
        let port = by_env.or_else(by_code).unwrap_or(Told { value: 5000, source: source.clone() });
        let (module, from) = self.module(&file);
        // Flask finds these by itself.
        let usual = ["wsgi.py", "app.py"].iter().any(|name| self.tree.has(self.directory, name));
        let named = if usual || said.is_some() { String::new() } else { format!(" --app {module}") };
        let command = format!("flask{named} run --port {}", port.value);
        let from = if named.is_empty() { self.directory.to_owned() } else { from };
        self.push(finds, &self.name("web"), &command, &from, (source, "Flask", Some(port)));
        true
    }

    /// A WSGI application of no framework that is known, where gunicorn is among what is needed.
    pub(super) fn gunicorn(&self, finds: &mut Finds) -> bool {
        let Some(needed) = self.needs("gunicorn") else { return false };
        let settings = ["gunicorn.conf.py", "gunicorn_conf.py", "config/gunicorn.py"];
        let settings = settings.iter().find_map(|name| Some((*name, self.tree.read(&self.directory.join(name))?)));
        let bound = settings.as_ref().and_then(|(_, text)| port_of_code(text, &BIND));
        let by_settings = settings.as_ref().and_then(|(name, text)| Some((*name, text.capture(&WSGI_APP)?)));
        let (command, from, source, port) = if let Some((name, app)) = by_settings {
            // `gunicorn.conf.py` is found without being named.
            let named = if name == "gunicorn.conf.py" { String::new() } else { format!(" -c {name}") };
            let port = bound.unwrap_or(Told { value: 8000, source: app.source.clone() });
            (format!("gunicorn{named}"), self.directory.to_owned(), app.source, port)
        } else {
            let is_wsgi = |file: &PathBuf| file.file_name().is_some_and(|name| name == "wsgi.py");
            let found = self.files().iter().filter(|file| is_wsgi(file)).find_map(|file| {
                let app = self.tree.read(file)?.capture(&WSGI)?;
                Some((file.clone(), app))
            });
            let Some((file, app)) = found else { return false };
            let (module, from) = self.module(&file);
            let port = bound.unwrap_or(Told { value: 8000, source: needed.source });
            (format!("gunicorn -b 127.0.0.1:{} {module}:{}", port.value, app.value), from, app.source, port)
        };
        self.push(finds, &self.name("web"), &command, &from, (source, "a WSGI application, by gunicorn", Some(port)));
        true
    }

    /// Workers of RQ, by the project's own command where a script of it names one.
    pub(super) fn rq(&self, finds: &mut Finds) {
        let manage = if self.run.is_empty() { "python3 manage.py" } else { "python manage.py" };
        if let Some(needed) = self.needs("django-rq").filter(|_| self.tree.has(self.directory, "manage.py")) {
            let command = format!("{manage} rqworker");
            self.push(finds, "rq-worker", &command, self.directory, (needed.source, "RQ's worker", None));
            return;
        }
        let Some(needed) = self.needs("rq") else { return };
        if self.tree.has(self.directory, "manage.py") && self.rq_by_manage(manage, finds) {
            return;
        }
        let queue = self.find(&QUEUE).filter(|(_, text, _)| text.as_str().contains("rq"));
        let queue = queue.map_or_else(String::new, |(_, _, queue)| format!(" {}", queue.value));
        let command = format!("rq worker{queue}");
        self.push(finds, "rq-worker", &command, self.directory, (needed.source, "RQ's worker", None));
        if let Some(needed) = self.needs("rq-scheduler") {
            self.push(finds, "rq-scheduler", "rqscheduler", self.directory, (needed.source, "RQ's schedule", None));
        }
    }

    fn rq_by_manage(&self, manage: &str, finds: &mut Finds) -> bool {
        let mut seen = Vec::new();
        for file in self.scripts() {
            let Some(text) = self.tree.read(&file) else { continue };
            for found in RQ_BY_MANAGE.captures_iter(text.as_str()).filter_map(|found| found.get(1)) {
                if seen.contains(&found.as_str().to_owned()) {
                    continue;
                }
                seen.push(found.as_str().to_owned());
                let (name, what) = match found.as_str() {
                    "worker" => ("rq-worker", "RQ's worker"),
                    _ => ("rq-scheduler", "RQ's schedule"),
                };
                let command = format!("{manage} rq {}", found.as_str());
                self.push(finds, name, &command, self.directory, (text.at(found.start()), what, None));
            }
        }
        !seen.is_empty()
    }

    /// Scripts that start things: those of containers, and what lies in `bin`.
    fn scripts(&self) -> Vec<PathBuf> {
        let beside = ["boot.sh", "entrypoint.sh", "docker-entrypoint.sh", "start.sh", "run.sh"];
        let mut files: Vec<PathBuf> = beside.iter().map(|name| self.directory.join(name)).collect();
        for inner in ["bin", "docker", "scripts"] {
            let inner = self.directory.join(inner);
            let is_script =
                |name: &&String| !name.contains('.') || Path::new(name).extension().is_some_and(|e| e == "sh");
            files.extend(self.tree.names(&inner).iter().filter(is_script).take(20).map(|name| inner.join(name)));
        }
        files
    }
}

/// Where a line names a package, in any of the forms of these files: `rq==1`, `"rq>=1",`, `rq = "*"`.
fn offset_of(text: &str, package: &str) -> Option<usize> {
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let start = line.len() - line.trim_start_matches([' ', '\t', '"', '\'']).len();
        let rest = line[start..].get(package.len()..).filter(|_| line[start..].is_char_boundary(package.len()));
        let is_named = line[start..].get(..package.len()).is_some_and(|name| name.eq_ignore_ascii_case(package));
        if is_named && rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || "-_./:(".contains(c)))
        {
            return Some(offset + start);
        }
        offset += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_patterns_compile() {
        assert!(FLASK.is_match("    app = Flask(__name__)") && MADE.is_match("app = create_app()"));
        assert!(WSGI.is_match("application = App()") && FLASK_APP.is_match("FLASK_APP=shop.py"));
        assert!(FLASK_PORT.is_match("FLASK_RUN_PORT=5001") && WSGI_APP.is_match("wsgi_app = 'shop.wsgi:app'"));
        assert!(BIND.is_match("bind = \"0.0.0.0:8001\"") && QUEUE.is_match("rq.Queue('mails', connection=x)"));
        assert!(RQ_BY_MANAGE.is_match("exec /app/manage.py rq worker"));
    }

    #[test]
    fn a_package_is_named_by_a_whole_word() {
        for (text, holds) in [
            ("rq==1.16\n", true),
            ("a\nRQ>=1\n", true),
            ("    \"rq[x]>=1\",\n", true),
            ("rq = \"*\"\n", true),
            ("rq", true),
            ("rq-scheduler==0.1\n", false),
            ("requests\n", false),
            ("# rq is not used\n", false),
            ("é", false),
            ("", false),
        ] {
            assert_eq!(offset_of(text, "rq").is_some(), holds, "{text}");
        }
    }
}
