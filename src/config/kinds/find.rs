//! Which kind a service is of, by its image, its command line, or the port that it listens on.
//!
//! Never: looks at a disk or asks anyone; takes a port that can mean several things for a sign.

use super::{
    Kind, all,
    unwrap::{Inner, base, behind_options, unwrapped},
};
use crate::model::exam::Protocol;

/// Ports that mean one thing.
const TELLING_PORTS: [u16; 17] =
    [25, 53, 1883, 2181, 2379, 3306, 4222, 5432, 5672, 6333, 6379, 7687, 8086, 9092, 9200, 11211, 27017];
/// Programs that run something else; what, stands behind them.
const INTERPRETERS: [&str; 38] = [
    "python", "pypy", "node", "nodejs", "ruby", "php", "java", "perl", "bundle", "npx", "npm", "yarn", "pnpm", "bun",
    "bunx", "deno", "tsx", "ts-node", "nodemon", "uv", "uvx", "poetry", "pipenv", "pdm", "hatch", "rye", "conda",
    "dotnet", "mix", "elixir", "iex", "erl", "go", "air", "mvn", "mvnw", "gradle", "gradlew",
];
/// Runners whose first words only say that something is run.
const RUN_WORDS: [&str; 5] = ["exec", "run", "dlx", "x", "tool"];
/// Options of interpreters that take a value.
const WITH_VALUE: [&str; 24] = [
    "-W",
    "-X",
    "-r",
    "--require",
    "--import",
    "--loader",
    "--experimental-loader",
    "-I",
    "-C",
    "-n",
    "--with",
    "--python",
    "-p",
    "--extra",
    "--group",
    "--env-file",
    "--directory",
    "--project",
    "--package",
    "-cp",
    "-classpath",
    "--class-path",
    "-S",
    "--name",
];
/// Ends of scripts that are no part of their names.
const SCRIPTS: [&str; 8] = [".js", ".mjs", ".cjs", ".ts", ".py", ".rb", ".jar", ".dll"];

/// The kind of a service, and how it is known: `its image is postgres:15`, `its program is redis-server`, `it listens on 5432`.
///
/// An image says more than a command, a command more than a port; but where the image is only that of a language, what its command says counts. None where
/// nothing tells: it is a plain process or container then (`named("process")`, `named("container")`).
#[must_use]
pub fn find(image: Option<&str>, command: Option<&[String]>, ports: &[u16]) -> Option<(&'static Kind, String)> {
    let by_image = image.and_then(of_image);
    let by_command = || command.and_then(of_command);
    match by_image {
        Some((kind, how)) if kind.runtime => {
            Some(by_command().filter(|(inner, _)| inner.id != kind.id).unwrap_or((kind, how)))
        }
        Some(found) => Some(found),
        None => by_command().or_else(|| of_ports(ports)),
    }
}

/// An image without registry's host, `library/`, tag and digest: `docker.io/library/postgres:15@sha256:…` is `postgres`.
fn bare(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let image = match image.rsplit_once('/') {
        Some((path, last)) => &image[..path.len() + 1 + last.find(':').unwrap_or(last.len())],
        None => image.split(':').next().unwrap_or(image),
    };
    let image = match image.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => path,
        Some(_) | None => image,
    };
    image.strip_prefix("library/").unwrap_or(image)
}

fn of_image(image: &str) -> Option<(&'static Kind, String)> {
    let name = bare(image.trim()).to_ascii_lowercase();
    if name.is_empty() {
        return None;
    }
    let has = |kind: &Kind, name: &str| kind.images.iter().any(|known| bare(known) == name);
    let exact = all().iter().find(|kind| has(kind, &name));
    // A copy of a known server in another place keeps its last name; a name such as `node` or `registry` may mean anything there.
    let copy = || {
        let last = base(&name);
        let speaks = |kind: &Kind| {
            !matches!(kind.protocol, None | Some(Protocol::Http | Protocol::Registry | Protocol::Prometheus))
        };
        all().iter().find(|kind| name.contains('/') && speaks(kind) && has(kind, last))
    };
    exact.or_else(copy).map(|kind| (kind, format!("its image is {}", shown(image.trim()))))
}

fn of_command(command: &[String]) -> Option<(&'static Kind, String)> {
    match unwrapped(command)? {
        Inner::Image(image, inside) => {
            find(Some(&image), Some(&inside).filter(|inside| !inside.is_empty()).map(Vec::as_slice), &[])
        }
        Inner::Program(words) => of_words(&words),
    }
}

fn of_words(words: &[String]) -> Option<(&'static Kind, String)> {
    let first = base(words.first()?);
    let program = without_version(first);
    let is_interpreter = INTERPRETERS.contains(&program);
    let by_name = |name: &str| {
        let names = [name, without_version(name)];
        let kind = all().iter().find(|kind| kind.programs.iter().any(|known| names.contains(&known.as_str())))?;
        Some((kind, format!("its program is {}", shown(name))))
    };
    if !is_interpreter {
        return by_name(first);
    }
    // What it runs: `next` of `npx next dev`, `celery` of `python -m celery`, `manage.py`.
    let script = script(words);
    let by_script = script.as_deref().and_then(|script| {
        let plain = SCRIPTS.iter().find_map(|end| script.strip_suffix(end));
        by_name(script).or_else(|| plain.and_then(by_name))
    });
    by_script.or_else(|| by_words(words)).or_else(|| by_name(first))
}

/// The kind with the most words that are all there.
fn by_words(words: &[String]) -> Option<(&'static Kind, String)> {
    let fitting = all().iter().filter(|kind| !kind.words.is_empty()).filter_map(|kind| {
        let named: Option<Vec<_>> = kind.words.iter().map(|wanted| way_named(wanted, words)).collect();
        named.map(|named| (kind, named))
    });
    let (kind, named) = fitting.max_by_key(|(_, named)| named.len())?;
    Some((kind, format!("its command line names {}", shown(&named.join(" ")))))
}

/// Of `a|b` the one that is among the words, themselves or as the last part of a path.
fn way_named<'k>(wanted: &'k str, words: &[String]) -> Option<&'k str> {
    wanted.split('|').find(|way| words.iter().any(|word| word == way || base(word) == *way))
}

/// Script, module or command that an interpreter runs, without directories.
fn script(words: &[String]) -> Option<String> {
    let mut rest = &words[1..];
    for _ in 0..6 {
        if let Some(at) =
            rest.iter().take_while(|word| word.starts_with('-')).position(|word| word == "-m" || word == "-jar")
        {
            return rest.get(at + 1).map(|word| base(word).to_owned());
        }
        rest = behind_options(rest, &WITH_VALUE);
        let word = rest.first()?;
        let name = base(word);
        if RUN_WORDS.contains(&word.as_str()) {
            rest = &rest[1..];
        } else if INTERPRETERS.contains(&without_version(name)) {
            // `uv run python -m celery`
            return script(rest).or_else(|| Some(name.to_owned()));
        } else {
            return Some(name.to_owned());
        }
    }
    None
}

/// `python3.11` is `python`, `php-fpm8.2` is `php-fpm`.
fn without_version(name: &str) -> &str {
    let name = name.strip_suffix(".exe").unwrap_or(name);
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').trim_end_matches('-');
    if bare.is_empty() { name } else { bare }
}

fn of_ports(ports: &[u16]) -> Option<(&'static Kind, String)> {
    ports.iter().filter(|port| TELLING_PORTS.contains(port)).find_map(|port| {
        let kind = all().iter().find(|kind| kind.port == Some(*port))?;
        Some((kind, format!("it listens on {port}")))
    })
}

fn shown(text: &str) -> String {
    let safe = crate::model::text::plain(text);
    crate::model::text::truncate(&safe, 80).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{bare, find};

    fn by_command(line: &[&str]) -> Option<(String, String)> {
        let words: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
        find(None, Some(&words), &[]).map(|(kind, how)| (kind.id.clone(), how))
    }

    #[test]
    fn images_are_compared_without_host_tag_and_digest() {
        for (image, name) in [
            ("redis", "redis"),
            ("redis:7-alpine", "redis"),
            ("docker.io/library/redis:7@sha256:abc", "redis"),
            ("localhost:5000/team/app:1", "team/app"),
            ("registry.example.com:443/redis", "redis"),
            ("bitnami/redis:latest", "bitnami/redis"),
            ("localhost/redis", "redis"),
        ] {
            assert_eq!(bare(image), name, "{image}");
        }
    }

    #[test]
    fn images_tell_the_kind() {
        for (image, kind) in [
            ("redis:7", Some("redis")),
            ("docker.io/valkey/valkey:8", Some("redis")),
            ("registry.example.com/mirror/redis:7", Some("redis")),
            ("nginx", Some("nginx")),
            ("nginxinc/nginx-unprivileged:stable", Some("nginx")),
            ("registry:2", Some("docker-registry")),
            ("acme/registry:2", None),
            ("acme/node", None),
            ("prom/prometheus:v2.42.0", Some("prometheus")),
            ("semitechnologies/weaviate:1.25", Some("weaviate")),
            ("acme/shop:1", None),
            ("", None),
        ] {
            let found = find(Some(image), None, &[]);
            assert_eq!(found.as_ref().map(|(kind, _)| kind.id.as_str()), kind, "{image}");
            if let Some((_, how)) = found {
                assert_eq!(how, format!("its image is {image}"));
            }
        }
    }

    #[test]
    fn command_lines_tell_the_kind() {
        for (line, kind, how) in [
            (&["redis-server", "--port", "1"][..], "redis", "its program is redis-server"),
            (&["/usr/bin/redis-server"], "redis", "its program is redis-server"),
            (&["sh", "-c", "exec redis-server --port 7000"], "redis", "its program is redis-server"),
            (
                &["bash", "-lc", "cd /srv && A=1 exec redis-server 2>&1 | tee log"],
                "redis",
                "its program is redis-server",
            ),
            (&["bash", "-e", "-o", "pipefail", "-c", "redis-server"], "redis", "its program is redis-server"),
            (&["FOO=bar", "env", "-u", "X", "BAR=1", "redis-server"], "redis", "its program is redis-server"),
            (&["sudo", "-E", "-u", "redis", "redis-server"], "redis", "its program is redis-server"),
            (&["gosu", "redis", "redis-server"], "redis", "its program is redis-server"),
            (&["tini", "--", "docker-entrypoint.sh", "redis-server"], "redis", "its program is redis-server"),
            (&["timeout", "-k", "5", "60", "redis-server"], "redis", "its program is redis-server"),
            (
                &["docker", "run", "--rm", "-it", "-p", "6379:6379", "--name", "r", "-e", "A=b", "redis:7"],
                "redis",
                "its image is redis:7",
            ),
            (
                &["docker", "run", "-p6379:6379", "--pull=always", "acme/x", "redis-server"],
                "redis",
                "its program is redis-server",
            ),
            (&["podman", "run", "node:20", "npx", "next", "start"], "nextjs", "its program is next"),
            (&["php-fpm8.2", "-F"], "php-fpm", "its program is php-fpm8.2"),
            (&["nginx", "-g", "daemon off;"], "nginx", "its program is nginx"),
            (&["npx", "--yes", "next", "dev"], "nextjs", "its program is next"),
            (&["node_modules/.bin/next", "dev"], "nextjs", "its program is next"),
            (&["node", "--inspect", "node_modules/vite/bin/vite.js"], "vite", "its program is vite"),
            (&["pnpm", "exec", "vite"], "vite", "its program is vite"),
            (&["npm", "run", "dev"], "node", "its program is npm"),
            (&["node", "-r", "dotenv/config", "server.js"], "node", "its program is node"),
            (&["python3.11", "-m", "celery", "-A", "shop", "worker"], "celery", "its program is celery"),
            (&["uv", "run", "--with", "x", "celery", "-A", "shop", "beat"], "celery", "its program is celery"),
            (&["poetry", "run", "python", "manage.py", "runserver"], "django", "its program is manage.py"),
            (&["python", "-u", "app/manage.py", "migrate"], "django", "its program is manage.py"),
            (&["python", "-X", "dev", "-m", "flask", "run"], "flask", "its program is flask"),
            (&["uvicorn", "app:app"], "python", "its program is uvicorn"),
            (&["python3", "worker.py"], "python", "its program is python3"),
            (&["bundle", "exec", "sidekiq", "-C", "x.yml"], "sidekiq", "its program is sidekiq"),
            (&["bundle", "exec", "puma"], "rails", "its program is puma"),
            (&["bin/rails", "server"], "rails", "its program is rails"),
            (&["java", "-Xmx1g", "-jar", "app.jar"], "jvm", "its program is java"),
            (&["./mvnw", "-q", "spring-boot:run"], "spring-boot", "its command line names spring-boot:run"),
            (
                &["java", "-cp", "x", "org.springframework.boot.loader.launch.JarLauncher"],
                "spring-boot",
                "its command line names org.springframework.boot.loader.launch.JarLauncher",
            ),
            (&["mix", "phx.server"], "phoenix", "its command line names phx.server"),
            (&["elixir", "--name", "a", "-S", "mix", "phx.server"], "phoenix", "its command line names phx.server"),
            (&["php", "artisan", "serve"], "php", "its program is php"),
            (&["dotnet", "watch", "run"], "dotnet", "its program is dotnet"),
            (&["prometheus-node-exporter"], "node-exporter", "its program is prometheus-node-exporter"),
            (&["redis-server --port 1"], "redis", "its program is redis-server"),
        ] {
            let (found, said) = by_command(line).unwrap_or_else(|| panic!("{line:?}"));
            assert_eq!((found.as_str(), said.as_str()), (kind, how), "{line:?}");
        }
    }

    #[test]
    fn what_tells_nothing_is_of_no_kind() {
        for line in [
            &["./server"][..],
            &[],
            &[""],
            &["sh"],
            &["sh", "-c"],
            &["sh", "-c", ""],
            &["sh", "-c", "echo 'exec redis-server' && ./x"],
            &["sh", "start.sh"],
            &["sudo"],
            &["env", "A=b"],
            &["docker", "compose", "up"],
            &["docker", "run"],
            &["docker", "run", "-p"],
            &["cat", "redis-server"],
            &["sh", "-c", "unclosed 'quote"],
        ] {
            assert_eq!(by_command(line), None, "{line:?}");
        }
        let nested: Vec<String> = std::iter::repeat_n("env".to_owned(), 10_000).collect();
        assert!(find(None, Some(&nested), &[]).is_none());
    }

    #[test]
    fn only_ports_that_mean_one_thing_count() {
        for (ports, kind) in [
            (&[6379][..], Some("redis")),
            (&[8080, 7687], Some("neo4j")),
            (&[80, 3000, 8080, 5000, 9090], None),
            (&[], None),
        ] {
            assert_eq!(find(None, None, ports).map(|(kind, _)| kind.id.as_str()), kind, "{ports:?}");
        }
        assert_eq!(find(None, None, &[6379]).unwrap().1, "it listens on 6379");
    }

    #[test]
    fn an_image_beats_a_command_beats_a_port_and_a_language_says_least() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let kind =
            |image, line: &str, ports: &[u16]| find(image, Some(&words(line)), ports).map(|(kind, _)| kind.id.as_str());
        assert_eq!(kind(Some("redis:7"), "nginx", &[7687]), Some("redis"));
        assert_eq!(kind(Some("acme/x"), "nginx", &[6379]), Some("nginx"));
        assert_eq!(kind(Some("acme/x"), "./x", &[6379]), Some("redis"));
        assert_eq!(kind(Some("node:20"), "npx next dev", &[]), Some("nextjs"));
        assert_eq!(kind(Some("python:3.12-slim"), "./x", &[]), Some("python"));
    }
}
