//! Go and Rust: only programs, never libraries. What a program that neither listens nor waits does is a task.

use std::{path::Path, sync::LazyLock};

use regex::Regex;

use super::{
    super::import::Role,
    Finds, Service,
    text::{Text, pattern, port_of_code, port_of_env},
    walk::Tree,
};

static GO_MAIN: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^package main\b"));
static GO_PORT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?:ListenAndServe(?:TLS)?|\.Run|\.Start|\.Listen|Addr:|addr"?,|Getenv\("PORT"\)[^\n]*)\s*\(?\s*(?:"tcp",\s*)?"[\w.]*:(\d{2,5})""#,
    )
});
static GO_SERVES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"ListenAndServe|net\.Listen|grpc\.NewServer|gin-gonic|labstack/echo|gofiber|\.Serve\(|signal\.Notify|"net/http""#,
    )
});
static RUST_SERVES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"axum|actix_web|rocket|warp::|tonic|TcpListener|hyper::|poem|salvo|tide::|HttpServer|::serve\(")
});
/// `"0.0.0.0:8080".parse()`, as an address is often made.
static RUST_ADDRESS: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#""(?:0\.0\.0\.0|127\.0\.0\.1|\[::1?\]|localhost):(\d{4,5})""#));
/// A command of a program that has several, and serves with this one.
static GO_SERVE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?m)^[^/\n]*(?:Command[^\n]*\{\s*\n\s*)(?:Name|Use):\s*"(serve|server|web)["\s]"#));
static RUST_PORT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"(?:TcpListener::bind|\.bind|SocketAddr::from|bind_addr[^"\n]*)\s*\(?[^;\n]{0,40}?(?::|,\s*)(\d{4,5})\b"#)
});

pub(super) fn look(tree: &Tree, directory: &Path, finds: &mut Finds) {
    go(tree, directory, finds);
    rust(tree, directory, finds);
}

fn go(tree: &Tree, directory: &Path, finds: &mut Finds) {
    let Some(module) = tree.above(directory, "go.mod") else { return };
    let Some(text) = tree.read(&directory.join("main.go")) else { return };
    let Some(package) = text.capture(&GO_MAIN) else { return };
    let inner = directory.strip_prefix(module).unwrap_or(Path::new(""));
    let parts: Vec<_> = inner.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    let is_command = parts.first().is_some_and(|part| part == "cmd");
    let tools = ["tools", "tool", "scripts", "hack", "gen"];
    let is_beside = |path: &Path| path.iter().any(|part| tools.iter().any(|tool| part == *tool));
    let is_tool =
        is_beside(directory.strip_prefix(&tree.root).unwrap_or(inner)) || parts.iter().any(|part| part == "internal");
    if is_tool || (!parts.is_empty() && !is_command && parts.len() > 2) {
        return;
    }
    let by_air = tree.has(directory, ".air.toml");
    let command = match (by_air, inner.as_os_str().is_empty()) {
        (true, _) => "air".to_owned(),
        (false, true) => "go run .".to_owned(),
        (false, false) => format!("go run ./{}", inner.display()),
    };
    if command.contains(' ') && inner.to_string_lossy().contains(|c: char| c.is_whitespace() || "'\"$`".contains(c)) {
        return;
    }
    let alone = parts.is_empty() || parts == ["cmd"];
    let files = tree.files_below(directory, if alone { 0 } else { 2 }, &[".go"]);
    let texts: Vec<Text> = files.iter().take(12).filter_map(|file| tree.read(file)).collect();
    let port = port_of_code(&text, &GO_PORT).or_else(|| texts.iter().find_map(|text| port_of_code(text, &GO_PORT)));
    let serves = port.is_some() || texts.iter().any(|text| GO_SERVES.is_match(text.as_str()));
    let port = port.or_else(|| if serves { port_of_env(tree, module) } else { None });
    let serve = texts.iter().find_map(|text| text.capture(&GO_SERVE)).filter(|_| !by_air);
    let command = serve.map_or_else(|| command.clone(), |serve| format!("{command} {}", serve.value));
    let own = if parts.is_empty() { module } else { directory };
    let named = super::called(&tree.root, own).unwrap_or_else(|| "app".to_owned());
    let service = Service {
        name: if alone && module == tree.root { "app" } else { named.as_str() },
        command,
        directory: module.to_owned(),
        source: package.source,
        what: if by_air { "Go, by air".to_owned() } else { "a program in Go".to_owned() },
        port,
        path: None,
        role: if serves || by_air || named.contains("worker") || named.contains("server") || alone {
            Role::Service
        } else {
            Role::Task
        },
    };
    finds.candidates.push(service.candidate());
}

fn rust(tree: &Tree, directory: &Path, finds: &mut Finds) {
    let Some(text) = tree.read(&directory.join("Cargo.toml")) else { return };
    let Ok(manifest) = text.as_str().parse::<toml::Table>() else { return };
    let Some(package) = manifest.get("package").and_then(toml::Value::as_table) else { return };
    let Some(own) = package.get("name").and_then(toml::Value::as_str) else { return };
    let mut programs: Vec<(String, String)> = Vec::new();
    for program in manifest.get("bin").and_then(toml::Value::as_array).into_iter().flatten() {
        let Some(name) = program.get("name").and_then(toml::Value::as_str) else { continue };
        let path = program.get("path").and_then(toml::Value::as_str);
        let usual = if name == own { "src/main.rs".to_owned() } else { format!("src/bin/{name}.rs") };
        programs.push((name.to_owned(), path.map_or(usual, str::to_owned)));
    }
    let is_named = |programs: &[(String, String)], path: &str| programs.iter().any(|(_, known)| known == path);
    if tree.has(&directory.join("src"), "main.rs") && !is_named(&programs, "src/main.rs") {
        programs.push((own.to_owned(), "src/main.rs".to_owned()));
    }
    for name in tree.names(&directory.join("src/bin")) {
        let Some(stem) = name.strip_suffix(".rs") else { continue };
        let path = format!("src/bin/{name}");
        if !is_named(&programs, &path) {
            programs.push((stem.to_owned(), path));
        }
    }
    let dependencies = manifest.get("dependencies").map(toml::Value::to_string).unwrap_or_default();
    for (name, path) in programs {
        if super::sanitised(&name).as_deref() == Some(name.as_str()) {
            program(tree, directory, &text, (&name, own, &path), &dependencies, finds);
        }
    }
}

fn program(
    tree: &Tree,
    directory: &Path,
    manifest: &Text,
    names: (&str, &str, &str),
    dependencies: &str,
    finds: &mut Finds,
) {
    let (name, package, path) = names;
    let Some(code) = tree.read(&directory.join(path)) else { return };
    let frameworks = ["axum", "actix-web", "rocket", "warp", "tonic", "poem", "salvo", "tide", "hyper", "leptos_axum"];
    let by_dependency = path == "src/main.rs"
        && frameworks
            .iter()
            .any(|known| dependencies.contains(&format!("{known} =")) || dependencies.contains(&format!("{known}=")));
    let serves = by_dependency || RUST_SERVES.is_match(code.as_str());
    let is_worker = ["server", "worker", "daemon", "api", "web"].iter().any(|word| name.contains(word));
    // The port may be said in any file of the program.
    let mut files = vec![directory.join(path)];
    files.extend(tree.files_below(&directory.join("src"), 6, &[".rs"]).into_iter().take(20));
    let by_code = || {
        let of = |says: &Regex| files.iter().find_map(|file| port_of_code(&tree.read(file)?, says));
        of(&RUST_PORT).or_else(|| of(&RUST_ADDRESS))
    };
    let service = Service {
        name,
        command: format!("cargo run -p {package} --bin {name}"),
        directory: directory.to_owned(),
        source: manifest.place_of("[package]"),
        what: format!("a program in Rust, {path}"),
        port: if serves { by_code().or_else(|| port_of_env(tree, directory)) } else { None },
        path: None,
        role: if serves || is_worker { Role::Service } else { Role::Task },
    };
    finds.candidates.push(service.candidate());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_patterns_compile() {
        let port = |says: &Regex, text: &str| says.captures(text).map(|found| found[1].to_owned());
        assert_eq!(port(&GO_PORT, r#"http.ListenAndServe(":8080", nil)"#).as_deref(), Some("8080"));
        assert_eq!(port(&RUST_PORT, r#"TcpListener::bind("0.0.0.0:3000")"#).as_deref(), Some("3000"));
        assert_eq!(port(&RUST_PORT, r#".bind(("127.0.0.1", 8080))"#).as_deref(), Some("8080"));
        assert_eq!(port(&RUST_ADDRESS, r#"bind(&"0.0.0.0:8080".parse()?)"#).as_deref(), Some("8080"));
        assert_eq!(port(&GO_SERVE, "var x = &cobra.Command{\n\tUse:   \"serve\",\n").as_deref(), Some("serve"));
        assert!(GO_MAIN.is_match("package main") && GO_SERVES.is_match("\"net/http\"") && RUST_SERVES.is_match("axum"));
    }
}
