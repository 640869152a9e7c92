//! `package.json`: scripts that stay up, by the package manager of their lock file. Builds, linters and tests are tasks.

use std::{path::Path, sync::LazyLock};

use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    super::import::{Note, Role, Told, Weight},
    Finds, Service,
    text::{Text, pattern, port_of_code, port_of_command, port_of_config, port_of_env},
    walk::Tree,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Frameworks {
    framework: Vec<Framework>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Framework {
    dependency: String,
    words: Vec<String>,
    what: String,
    port: Option<u16>,
}

static FRAMEWORKS: LazyLock<Vec<Framework>> = LazyLock::new(|| {
    let read: Result<Frameworks, _> = toml::from_str(include_str!("../../../assets/detect/node.toml"));
    read.expect("the rules are constant, and a test reads them").framework
});

/// Those that stay up, the best first; one of them is enough for a package.
const SERVING: [&str; 9] =
    ["dev", "start:dev", "start:debug", "develop", "serve", "server", "start", "start:prod", "preview"];
/// Those that stay up beside it.
const BESIDE: [&str; 10] = [
    "worker",
    "workers",
    "worker:dev",
    "dev:worker",
    "start:worker",
    "queue",
    "scheduler",
    "websocket",
    "storybook",
    "dev:queue",
];
/// Those that end.
const ENDING: [&str; 14] = [
    "build",
    "lint",
    "test",
    "typecheck",
    "type-check",
    "format",
    "migrate",
    "db:migrate",
    "seed",
    "db:seed",
    "generate",
    "prisma:generate",
    "check",
    "db:push",
];
/// Scripts that start what the members of a workspace have.
const FANNING: [&str; 10] = [
    "turbo ",
    "turbo run",
    "nx run-many",
    "lerna run",
    "pnpm -r",
    "pnpm --recursive",
    "pnpm --parallel",
    "wsrun",
    "yarn workspaces",
    "--filter",
];
/// Watchers that only build.
const BUILDERS: [&str; 11] = [
    "tsc",
    "tsup",
    "rollup",
    "unbuild",
    "microbundle",
    "babel ",
    "swc ",
    "tsdown",
    "vite build",
    "stencil build",
    "esbuild",
];

/// What says the port most surely comes first.
static LISTENS: LazyLock<[Regex; 2]> = LazyLock::new(|| {
    [
        pattern(
            r#"(?:process\.env(?:\.PORT|\[["']PORT["']\])\s*(?:\|\||\?\?)\s*["']?|\.listen\(\s*(?:\{\s*port:\s*)?)(\d{2,5})\b"#,
        ),
        pattern(r"(?i)\b(?:default_)?port\s*[:=]\s*(\d{2,5})\b"),
    ]
});
static SERVES: LazyLock<Regex> = LazyLock::new(|| pattern(r"\.listen\(|Bun\.serve\(|@hono/node-server"));
static SCRIPT_FILE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:(?:npx|cross-env|dotenv|[A-Z_]+=\S*)\s+)*(?:node|nodemon|ts-node|ts-node-dev|tsx|bun)(?:\s+(?:watch|run|--?[\w-]+(?:=\S+)?))*\s+(\.?[\w@/.-]+\.(?:[cm]?[jt]s))(?:\s|$)",
    )
});

pub(super) fn look(tree: &Tree, directory: &Path, finds: &mut Finds) {
    let file = directory.join("package.json");
    let Some(text) = tree.read(&file) else { return };
    let package = match serde_json::from_str::<Value>(text.as_str()) {
        Ok(Value::Object(package)) => package,
        Ok(_) => return,
        Err(error) => {
            let mut source = text.at(0);
            source.line = u32::try_from(error.line().max(1)).unwrap_or(1);
            source.column = u32::try_from(error.column().max(1)).unwrap_or(1);
            let message = "it is not JSON, so its scripts are not known".to_owned();
            finds.notes.push(Note { weight: Weight::Hint, source, message, hint: None });
            return;
        }
    };
    let none = Map::new();
    let scripts = package.get("scripts").and_then(Value::as_object).unwrap_or(&none);
    let seen = Package { tree, directory, text: &text, manifest: &package, scripts };
    let is_root_of_many = package.contains_key("workspaces")
        || tree.has(directory, "pnpm-workspace.yaml")
        || tree.has(directory, "lerna.json");
    let serving = seen.serving();
    match serving {
        Some((_, line)) if is_root_of_many && seen.fans_out(line, 0) => {}
        Some((_, line)) if seen.is_command_of_its_own(line) => {}
        Some((script, line)) => seen.serve(script, line, None, finds),
        None if !is_root_of_many => {
            let before = finds.candidates.len();
            seen.parts(finds);
            if finds.candidates.len() == before {
                seen.entry(finds);
            }
        }
        None => {}
    }
    for script in BESIDE {
        if let Some(line) = seen.script(script) {
            seen.serve(script, line, Some(script), finds);
        }
    }
    for script in ENDING {
        if seen.script(script).is_some() {
            seen.task(script, finds);
        }
    }
}

struct Package<'p> {
    tree: &'p Tree,
    directory: &'p Path,
    text: &'p Text,
    manifest: &'p Map<String, Value>,
    scripts: &'p Map<String, Value>,
}

impl<'p> Package<'p> {
    fn script(&self, name: &str) -> Option<&'p str> {
        self.scripts.get(name).and_then(Value::as_str).filter(|line| !line.trim().is_empty() && !line.contains('\0'))
    }

    /// The script that stays up; of several, one whose first word is known, else the best name.
    fn serving(&self) -> Option<(&'static str, &'p str)> {
        SERVING.iter().find_map(|name| {
            let line = self.script(name)?;
            (!is_builder(line)).then_some((*name, line))
        })
    }

    /// True where a script only starts what the members of the workspace have; one that runs others is what they are.
    fn fans_out(&self, line: &str, depth: usize) -> bool {
        let runs_others = ["npm-run-all", "run-p ", "run-s ", "concurrently"].iter().any(|word| line.contains(word));
        if !runs_others || depth > 3 {
            return FANNING.iter().any(|word| line.contains(word));
        }
        let words = line.split(|c: char| c.is_whitespace() || c == '"' || c == '\'');
        let named = |word: &str| -> Vec<&str> {
            let word = word.strip_prefix("npm:").unwrap_or(word);
            let Some(start) = word.strip_suffix('*') else { return self.script(word).into_iter().collect() };
            let is_meant = |name: &&String| name.starts_with(start) && !start.is_empty();
            self.scripts.keys().filter(is_meant).filter_map(|name| self.script(name)).collect()
        };
        let mut others = words.flat_map(named).peekable();
        if others.peek().is_none() {
            return FANNING.iter().any(|word| line.contains(word));
        }
        others.all(|other| is_builder(other) || self.fans_out(other, depth + 1))
    }

    /// A tool for the command line, whose script only starts it.
    fn is_command_of_its_own(&self, line: &str) -> bool {
        self.manifest.contains_key("bin")
            && SCRIPT_FILE.is_match(line)
            && self.framework(line).is_none()
            && self.port_of_code(line).is_none()
    }

    /// Where no script serves: the file that `main` names, or one that is called as `npm start` has it, if it listens.
    fn entry(&self, finds: &mut Finds) {
        let main = self.manifest.get("main").and_then(Value::as_str).map(clean);
        let usual = ["server.js", "index.js", "app.js", "server.mjs", "src/index.js", "src/server.js"];
        let found = main.as_deref().into_iter().chain(usual).find_map(|name| {
            let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '_' | '-'));
            let text = self.tree.read(&self.directory.join(name)).filter(|_| is_plain && !name.starts_with('-'))?;
            Some((name.to_owned(), text.capture(&SERVES)?))
        });
        let Some((name, listens)) = found else { return };
        let line = format!("node {name}");
        let framework = self.framework(&line);
        let own = self.own_name();
        let service = Service {
            name: &own,
            directory: self.directory.to_owned(),
            source: listens.source,
            what: format!("{}: {name} listens", framework.map_or("Node", |framework| framework.what.as_str())),
            port: self.port(&line, framework, "main"),
            command: line,
            path: None,
            role: Role::Service,
        };
        finds.candidates.push(service.candidate());
    }

    fn own_name(&self) -> String {
        let own = self.manifest.get("name").and_then(Value::as_str).unwrap_or_default();
        // Beside the framework of another language, what Node has are its scripts and styles.
        let others = ["artisan", "Gemfile", "manage.py", "mix.exs", "composer.json"];
        let is_beside = others.iter().any(|file| self.tree.has(self.directory, file));
        let fallback = || {
            let of_root = if is_beside { "assets" } else { "web" };
            super::called(&self.tree.root, self.directory).unwrap_or_else(|| of_root.to_owned())
        };
        super::sanitised(own).unwrap_or_else(fallback)
    }

    /// `dev:api` and `dev:web` where there is no `dev`.
    fn parts(&self, finds: &mut Finds) {
        for (name, line) in self.scripts {
            let part = ["dev:", "serve:", "start:"].iter().find_map(|start| name.strip_prefix(start));
            let Some(line) = line.as_str().filter(|line| !is_builder(line) && !line.contains('\0')) else { continue };
            if let Some(part) = part.filter(|_| !BESIDE.contains(&name.as_str()) && plain_word(name)) {
                self.serve(name, line, Some(part), finds);
            }
        }
    }

    fn depends_on(&self, name: &str) -> bool {
        ["dependencies", "devDependencies"]
            .iter()
            .any(|kind| self.manifest.get(*kind).and_then(Value::as_object).is_some_and(|all| all.contains_key(name)))
    }

    fn framework(&self, line: &str) -> Option<&'static Framework> {
        let has_word = |framework: &&Framework| {
            framework.words.iter().any(|word| {
                line.match_indices(word.as_str()).any(|(at, _)| {
                    let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '-' && c != '.');
                    is_edge(line[..at].chars().next_back()) && is_edge(line[at + word.len()..].chars().next())
                })
            })
        };
        let named = FRAMEWORKS.iter().filter(|framework| self.depends_on(&framework.dependency)).find(has_word);
        // A workspace's member may have its framework from the root.
        named.or_else(|| {
            FRAMEWORKS.iter().filter(|framework| framework.port.is_some() && framework.words[0].contains(' ')).find(
                |framework| {
                    let first = line.split_whitespace().next();
                    line.contains(&framework.words[0]) || first == Some(framework.dependency.as_str())
                },
            )
        })
    }

    fn serve(&self, script: &str, line: &str, part: Option<&str>, finds: &mut Finds) {
        let source = self.text.place_of_key("scripts", script);
        let framework = self.framework(line);
        self.note_missing(script, line, finds);
        let is_worker =
            part.is_some_and(|part| part.contains("worker") || part.contains("queue") || part == "scheduler");
        let port = if is_worker { None } else { self.port(line, framework, script) };
        let own = self.own_name();
        let part = part.map(|part| part.replace(':', "-"));
        let called = framework.map_or("a script", |framework| framework.what.as_str());
        let service = Service {
            name: part.as_deref().unwrap_or(&own),
            command: format!("{} run {script}", self.runner()),
            directory: self.directory.to_owned(),
            source,
            what: format!("{called}: {}", line.chars().take(100).collect::<String>()),
            port,
            path: None,
            role: Role::Service,
        };
        finds.candidates.push(service.candidate());
    }

    fn task(&self, script: &str, finds: &mut Finds) {
        let service = Service {
            name: script,
            command: format!("{} run {script}", self.runner()),
            directory: self.directory.to_owned(),
            source: self.text.place_of_key("scripts", script),
            what: "a script that ends".to_owned(),
            port: None,
            path: None,
            role: Role::Task,
        };
        finds.candidates.push(service.candidate());
    }

    /// The line, the configuration, `.env`, the code, and the framework's default, in this order.
    fn port(&self, line: &str, framework: Option<&Framework>, script: &str) -> Option<Told<u16>> {
        let here = self.text.place_of_key("scripts", script);
        if let Some(value) = port_of_command(line) {
            return Some(Told { value, source: here });
        }
        let by_config = || port_of_config(self.tree, self.directory);
        // Development servers of pages do not read PORT from `.env`; programs that listen by themselves mostly do.
        let listens_itself = framework.is_none_or(|framework| framework.port.is_none() || framework.what == "NestJS");
        let by_env = || if listens_itself { port_of_env(self.tree, self.directory) } else { None };
        let by_code = || if listens_itself { self.port_of_code(line) } else { None };
        let by_default =
            || framework.and_then(|framework| framework.port).map(|value| Told { value, source: here.clone() });
        by_config().or_else(by_env).or_else(by_code).or_else(by_default)
    }

    fn port_of_code(&self, line: &str) -> Option<Told<u16>> {
        let named = SCRIPT_FILE.captures(line).and_then(|found| found.get(1)).map(|file| clean(file.as_str()));
        let usual = [
            "src/main.ts",
            "src/index.ts",
            "src/server.ts",
            "src/app.ts",
            "server.js",
            "index.js",
            "app.js",
            "src/index.js",
            "src/server.js",
        ];
        let texts: Vec<Text> = named
            .as_deref()
            .into_iter()
            .chain(usual)
            .filter_map(|name| self.tree.read(&self.directory.join(name)))
            .collect();
        LISTENS.iter().find_map(|says| texts.iter().find_map(|text| port_of_code(text, says)))
    }

    fn note_missing(&self, script: &str, line: &str, finds: &mut Finds) {
        let Some(named) = SCRIPT_FILE.captures(line).and_then(|found| found.get(1)) else { return };
        let name = clean(named.as_str());
        // What a build makes is not there before the build.
        let is_built =
            ["dist/", "build/", "out/", "lib/", ".next/", ".output/"].iter().any(|made| name.starts_with(made));
        if is_built || name.starts_with("..") || self.directory.join(&name).exists() {
            return;
        }
        finds.notes.push(Note {
            weight: Weight::Lost,
            source: self.text.place_of_key("scripts", script),
            message: format!("the script {script} runs {name}, and there is no such file"),
            hint: Some("mend the script, or leave the service out".to_owned()),
        });
    }

    fn runner(&self) -> &'static str {
        let managers = ["pnpm", "yarn", "bun", "npm"];
        for directory in self.directory.ancestors().take_while(|above| above.starts_with(&self.tree.root)) {
            if let Some(text) = self.tree.read(&directory.join("package.json")) {
                let read = serde_json::from_str::<Value>(text.as_str()).ok();
                let said = read.as_ref().and_then(|package| package.get("packageManager")).and_then(Value::as_str);
                if let Some(manager) =
                    said.and_then(|said| managers.iter().find(|manager| said.starts_with(&format!("{manager}@"))))
                {
                    return manager;
                }
            }
            let locks = [
                ("pnpm-lock.yaml", "pnpm"),
                ("pnpm-workspace.yaml", "pnpm"),
                ("yarn.lock", "yarn"),
                ("bun.lock", "bun"),
                ("bun.lockb", "bun"),
                ("package-lock.json", "npm"),
            ];
            if let Some((_, manager)) = locks.iter().find(|(lock, _)| self.tree.has(directory, lock)) {
                return manager;
            }
        }
        "npm"
    }
}

fn clean(name: &str) -> String {
    name.strip_prefix("./").unwrap_or(name).to_owned()
}

fn plain_word(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.'))
}

/// The line without what is done before: `cross-env NAME=value`, `rimraf dist &&`.
fn main_part(line: &str) -> &str {
    let mut line = line.trim_start();
    loop {
        let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim_start();
        line = match first {
            "npx" | "cross-env" => rest,
            "premove" | "rimraf" | "rm" | "del" => match rest.split_once("&&") {
                Some((_, rest)) => rest.trim_start(),
                None => return line,
            },
            _ if first.contains('=') && !rest.is_empty() => rest,
            _ => return line,
        };
    }
}

fn is_builder(line: &str) -> bool {
    let line = main_part(line);
    let words: Vec<&str> = line.split_whitespace().collect();
    let watches = words.iter().any(|word| matches!(*word, "-w" | "--watch"));
    let builds = words.iter().any(|word| word.starts_with("build"));
    if watches && builds && !line.contains("&&") {
        return true;
    }
    BUILDERS.iter().any(|word| {
        line.strip_prefix(word.trim_end()).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '-']))
    }) && !line.contains("&& node")
        && !line.contains("onSuccess")
        && !line.contains("&& nodemon")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_and_patterns_are_sound() {
        assert!(FRAMEWORKS.len() > 20);
        assert!(
            LISTENS[0].is_match("app.listen(3000)")
                && LISTENS[1].is_match("const PORT = 3000")
                && SCRIPT_FILE.is_match("node ./src/index.js")
        );
        assert!(is_builder("tsc --watch") && !is_builder("tsx watch a.ts") && SERVES.is_match("app.listen(port)"));
        assert!(is_builder("rimraf dist && pnpm build-bundle -w") && !is_builder("pnpm build && node dist/a.js -w"));
        assert!(is_builder("cross-env NODE_ENV=production tsup --watch"));
    }
}
