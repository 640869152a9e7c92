//! Python: Django, `FastAPI` and the like, Flask, Celery, Streamlit; by the manager of packages that has its file there.

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

use regex::Regex;

use super::{
    super::import::{Role, Told},
    Finds, Service,
    text::{Text, pattern, port_of_code, port_of_env},
    walk::Tree,
};
use crate::model::service::Source;

const MARKS: [&str; 8] = [
    "pyproject.toml",
    "requirements.txt",
    "Pipfile",
    "setup.py",
    "manage.py",
    "uv.lock",
    "poetry.lock",
    "requirements.in",
];

static ASGI: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?m)^(\w+)(?:\s*:\s*\w+)?\s*=\s*(?:fastapi\.)?(?:FastAPI|Starlette|Litestar)\("));
static CELERY: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^\s*(\w+)(?:\s*:\s*\w+)?\s*=\s*(?:celery\.)?Celery\("));
static BEAT: LazyLock<Regex> = LazyLock::new(|| pattern(r"beat_schedule|BEAT_SCHEDULE|django_celery_beat"));
pub(super) static RUN_PORT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:app\.run|uvicorn\.run)\([^)]*\bport\s*=\s*(\d{2,5})"));
static DJANGO: LazyLock<Regex> = LazyLock::new(|| pattern(r"DJANGO_SETTINGS_MODULE|django\.core\.management"));
static STREAMLIT: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^(?:import streamlit|from streamlit)"));

pub(super) fn look(tree: &Tree, directory: &Path, finds: &mut Finds) {
    let is_project = MARKS.iter().any(|mark| tree.has(directory, mark));
    let is_loose =
        directory == tree.root && tree.names(directory).iter().any(|name| name.strip_suffix(".py").is_some());
    if !is_project && !is_loose {
        return;
    }
    let seen = Project { tree, directory, run: runner(tree, directory), files: own_files(tree, directory) };
    let is_django = seen.django(finds);
    if !is_django {
        let _ = seen.asgi(finds) || seen.flask(finds) || seen.streamlit(finds) || seen.gunicorn(finds);
    }
    seen.celery(finds);
    seen.rq(finds);
}

pub(super) struct Project<'p> {
    pub(super) tree: &'p Tree,
    pub(super) directory: &'p Path,
    /// `uv run ` and the like, or nothing.
    pub(super) run: &'static str,
    files: Vec<PathBuf>,
}

fn runner(tree: &Tree, directory: &Path) -> &'static str {
    for (lock, run) in
        [("uv.lock", "uv run "), ("poetry.lock", "poetry run "), ("Pipfile", "pipenv run "), ("pdm.lock", "pdm run ")]
    {
        if tree.above(directory, lock).is_some() {
            return run;
        }
    }
    let pyproject = tree.read(&directory.join("pyproject.toml"));
    if pyproject.is_some_and(|text| text.as_str().contains("[tool.poetry]")) { "poetry run " } else { "" }
}

/// The Python files that belong to this project and to none below it; the likely ones first, sixty at most.
fn own_files(tree: &Tree, directory: &Path) -> Vec<PathBuf> {
    let is_own = |file: &PathBuf| {
        let inner = file.parent().into_iter().flat_map(Path::ancestors).take_while(|above| *above != directory);
        !inner.into_iter().any(|above| {
            ["pyproject.toml", "requirements.txt", "Pipfile", "manage.py"].iter().any(|mark| tree.has(above, mark))
        })
    };
    let mut files: Vec<PathBuf> = tree.files_below(directory, 3, &[".py"]).into_iter().filter(is_own).collect();
    let likely = [
        "main.py",
        "app.py",
        "celery.py",
        "celery_app.py",
        "asgi.py",
        "wsgi.py",
        "server.py",
        "__init__.py",
        "worker.py",
        "tasks.py",
        "application.py",
        "settings.py",
        "api.py",
    ];
    files.sort_by_key(|file| {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        (likely.iter().position(|known| *known == name).unwrap_or(likely.len()), file.components().count())
    });
    files.truncate(60);
    files
}

impl Project<'_> {
    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    pub(super) fn find(&self, says: &Regex) -> Option<(PathBuf, Text, Told<String>)> {
        self.files.iter().find_map(|file| {
            let text = self.tree.read(file)?;
            let found = text.capture(says)?;
            Some((file.clone(), text, found))
        })
    }

    /// `app/api/main.py` as `app.api.main`, and the directory that it is imported from.
    pub(super) fn module(&self, file: &Path) -> (String, PathBuf) {
        let rest = file.strip_prefix(self.directory).unwrap_or(file).with_extension("");
        let mut parts: Vec<String> =
            rest.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        let mut from = self.directory.to_owned();
        // `src` without an `__init__.py` is where modules are, not a module.
        if parts.len() > 1 && parts[0] == "src" && !self.tree.has(&from.join("src"), "__init__.py") {
            from.push(parts.remove(0));
        }
        if parts.len() > 1 && parts.last().is_some_and(|last| last == "__init__") {
            parts.pop();
        }
        (parts.join("."), from)
    }

    pub(super) fn name(&self, fallback: &str) -> String {
        super::called(&self.tree.root, self.directory).unwrap_or_else(|| fallback.to_owned())
    }

    pub(super) fn push(
        &self,
        finds: &mut Finds,
        name: &str,
        command: &str,
        from: &Path,
        told: (Source, &str, Option<Told<u16>>),
    ) {
        let (source, what, port) = told;
        let service = Service {
            name,
            command: format!("{}{command}", self.run),
            directory: from.to_owned(),
            source,
            what: what.to_owned(),
            port,
            path: None,
            role: Role::Service,
        };
        finds.candidates.push(service.candidate());
    }

    fn django(&self, finds: &mut Finds) -> bool {
        let Some(text) = self.tree.read(&self.directory.join("manage.py")) else { return false };
        let Some(found) = text.capture(&DJANGO) else { return false };
        let python = if self.run.is_empty() { "python3" } else { "python" };
        let port = Told { value: 8000, source: found.source.clone() };
        let command = format!("{python} manage.py runserver 8000");
        self.push(finds, &self.name("web"), &command, self.directory, (found.source, "Django", Some(port)));
        true
    }

    fn asgi(&self, finds: &mut Finds) -> bool {
        let Some((file, text, app)) = self.find(&ASGI) else { return false };
        let port = port_of_code(&text, &RUN_PORT).or_else(|| port_of_env(self.tree, self.directory));
        let port = port.unwrap_or(Told { value: 8000, source: app.source.clone() });
        let (module, from) = self.module(&file);
        let command = format!("uvicorn {module}:{} --reload --port {}", app.value, port.value);
        self.push(finds, &self.name("api"), &command, &from, (app.source, "an ASGI application", Some(port)));
        true
    }

    fn streamlit(&self, finds: &mut Finds) -> bool {
        let Some((file, _, found)) = self.find(&STREAMLIT) else { return false };
        let script = file.strip_prefix(self.directory).unwrap_or(&file).display().to_string();
        if script.contains(' ') {
            return false;
        }
        let port = Told { value: 8501, source: found.source.clone() };
        let command = format!("streamlit run {script} --server.port 8501");
        self.push(finds, &self.name("app"), &command, self.directory, (found.source, "Streamlit", Some(port)));
        true
    }

    fn celery(&self, finds: &mut Finds) {
        let Some((file, _, app)) = self.find(&CELERY) else { return };
        let (module, from) = self.module(&file);
        // `shop/celery.py` is found by `-A shop`.
        let app_name = module.strip_suffix(".celery").map_or_else(|| format!("{module}:{}", app.value), str::to_owned);
        let command = format!("celery -A {app_name} worker --loglevel=info");
        self.push(finds, "celery-worker", &command, &from, (app.source, "Celery's worker", None));
        if let Some((_, _, schedule)) = self.find(&BEAT) {
            let command = format!("celery -A {app_name} beat --loglevel=info");
            self.push(finds, "celery-beat", &command, &from, (schedule.source, "Celery's schedule", None));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_patterns_compile() {
        assert!(ASGI.is_match("app = FastAPI()") && STREAMLIT.is_match("import streamlit as st"));
        assert!(CELERY.is_match("app = Celery('shop')") && BEAT.is_match("app.conf.beat_schedule = {"));
        assert!(RUN_PORT.is_match("app.run(debug=True, port=5001)") && DJANGO.is_match("DJANGO_SETTINGS_MODULE"));
    }
}
