//! Which Git remote a directory belongs to, read from the repository's own files. Never: runs `git`, follows an include, shows a password.

use std::{
    fs::File,
    io::Read,
    path::{Component, Path, PathBuf},
};

/// More than any of these files has, bytes.
const LIMIT: u64 = 256 * 1024;

/// The remote of the repository that `directory` is in, `origin` before all others, else the first; without credentials. None where there is no
/// repository, no remote, or nothing that can be read.
#[must_use]
pub fn remote(directory: &Path) -> Option<String> {
    let dot_git = directory.ancestors().map(|above| above.join(".git")).find(|path| path.exists())?;
    let git = if dot_git.is_dir() { dot_git } else { linked(&dot_git)? };
    // A worktree has a directory of its own, and shares the configuration.
    let common = read(&git.join("commondir")).map(|text| beside(&git, text.trim()));
    let config = read(&common.unwrap_or(git).join("config"))?;
    let remotes = remotes_in(&config);
    let chosen = remotes.iter().find(|(name, _)| name == "origin").or_else(|| remotes.first())?;
    Some(without_credentials(&chosen.1)).filter(|url| !url.is_empty())
}

/// Where a `.git` file leads: `gitdir: PATH`.
fn linked(dot_git: &Path) -> Option<PathBuf> {
    let text = read(dot_git)?;
    let path = text.strip_prefix("gitdir:")?.trim();
    Some(beside(dot_git.parent()?, path))
}

/// A path as a file in `directory` names it, `..` resolved by name.
fn beside(directory: &Path, path: &str) -> PathBuf {
    let mut resolved = PathBuf::new();
    for part in directory.join(path).components() {
        match part {
            Component::ParentDir => {
                resolved.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => resolved.push(part),
        }
    }
    resolved
}

fn read(path: &Path) -> Option<String> {
    if !path.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(LIMIT).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Name and first address of each remote, in the order of the file (git-config(1)).
fn remotes_in(config: &str) -> Vec<(String, String)> {
    let mut remotes: Vec<(String, String)> = Vec::new();
    let mut section = None;
    for line in config.lines().map(str::trim) {
        if let Some(head) = line.strip_prefix('[') {
            section = head.split_once(']').and_then(|(head, _)| remote_name(head));
            continue;
        }
        let Some(name) = &section else { continue };
        let Some((key, value)) = line.split_once('=') else { continue };
        if key.trim().eq_ignore_ascii_case("url") && !remotes.iter().any(|(known, _)| known == name) {
            remotes.push((name.clone(), unquoted(value.trim())));
        }
    }
    remotes
}

/// `remote "origin"` → `origin`.
fn remote_name(head: &str) -> Option<String> {
    let (section, name) = head.split_once(char::is_whitespace)?;
    let name = name.trim().strip_prefix('"')?.strip_suffix('"')?;
    section.eq_ignore_ascii_case("remote").then(|| name.to_owned())
}

/// A value without quotes and without what follows `#` or `;` outside of them.
fn unquoted(value: &str) -> String {
    let (mut text, mut is_quoted, mut is_escaped) = (String::new(), false, false);
    for letter in value.chars() {
        match letter {
            _ if is_escaped => {
                is_escaped = false;
                text.push(letter);
            }
            '\\' => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '#' | ';' if !is_quoted => break,
            _ => text.push(letter),
        }
    }
    text.trim_end().to_owned()
}

/// An address without what proves who asks: `https://user:token@host/x` → `https://host/x`. The user of `git@host:x` and `ssh://git@host/x` says nothing
/// and stays, a password with it does not. A query can hold a token and is left out.
fn without_credentials(url: &str) -> String {
    let url: String = url.chars().filter(|letter| !letter.is_control()).collect();
    let Some((scheme, rest)) = url.split_once("://") else {
        let Some((user, rest)) = url.split_once('@') else { return url };
        return match user.split_once(':') {
            Some((user, _password)) => format!("{user}@{rest}"),
            None => url,
        };
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path)));
    let host = match authority.rsplit_once('@') {
        Some((user, host)) if scheme.ends_with("ssh") => {
            format!("{}@{host}", user.split(':').next().unwrap_or_default())
        }
        Some((_credentials, host)) => host.to_owned(),
        None => authority.to_owned(),
    };
    path.map_or_else(|| format!("{scheme}://{host}"), |path| format!("{scheme}://{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{remote, remotes_in, without_credentials};

    #[test]
    fn credentials_are_taken_out_of_every_form_of_address() {
        for (url, clean) in [
            ("https://host/team/shop.git", "https://host/team/shop.git"),
            ("https://ann:hunter2@host/team/shop.git", "https://host/team/shop.git"),
            ("https://token@host/shop", "https://host/shop"),
            ("https://a:b@c:d@host/shop", "https://host/shop"),
            ("https://host/shop?private_token=hunter2", "https://host/shop"),
            ("git@host:team/shop.git", "git@host:team/shop.git"),
            ("ann:hunter2@host:team/shop.git", "ann@host:team/shop.git"),
            ("ssh://git@host:2222/shop", "ssh://git@host:2222/shop"),
            ("ssh://git:hunter2@host/shop", "ssh://git@host/shop"),
            ("git+ssh://git:hunter2@host/shop", "git+ssh://git@host/shop"),
            ("/srv/git/shop.git", "/srv/git/shop.git"),
            ("https://ann:hunter2@host", "https://host"),
        ] {
            assert_eq!(without_credentials(url), clean);
        }
    }

    #[test]
    fn origin_comes_before_others_and_the_first_where_there_is_none() {
        let config = "[core]\n\turl = no\n[remote \"up\"]\n\tfetch = +x\n\turl = \"git@host:up.git\" # ours\n[branch \"x\"]\n\tremote = up\n\
                      [Remote \"origin\"]\n  URL=https://host/o;a\n";
        let remotes = remotes_in(config);
        let names: Vec<(&str, &str)> = remotes.iter().map(|(name, url)| (name.as_str(), url.as_str())).collect();
        assert_eq!(names, [("up", "git@host:up.git"), ("origin", "https://host/o")]);
        let dir = tempfile::tempdir().unwrap();
        let git = dir.path().join(".git");
        fs::create_dir(&git).unwrap();
        fs::write(git.join("config"), config).unwrap();
        assert_eq!(remote(dir.path()).as_deref(), Some("https://host/o"));
        fs::write(git.join("config"), "[remote \"up\"]\nurl = git@host:up.git\n").unwrap();
        let below = dir.path().join("apps/web");
        fs::create_dir_all(&below).unwrap();
        assert_eq!(remote(&below).as_deref(), Some("git@host:up.git"), "of the repository above");
        fs::write(git.join("config"), "[core]\n").unwrap();
        assert_eq!(remote(&below), None);
    }

    fn repository(dir: &Path, url: &str) {
        fs::create_dir_all(dir.join(".git")).unwrap();
        fs::write(dir.join(".git/config"), format!("[remote \"origin\"]\n\turl = {url}\n")).unwrap();
    }

    #[test]
    fn a_worktree_and_a_submodule_lead_to_their_repository() {
        let dir = tempfile::tempdir().unwrap();
        let (main, tree, module) = (dir.path().join("main"), dir.path().join("tree"), dir.path().join("main/sub"));
        repository(&main, "https://host/shop");
        let own = main.join(".git/worktrees/tree");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("commondir"), "../..\n").unwrap();
        fs::create_dir(&tree).unwrap();
        fs::write(tree.join(".git"), format!("gitdir: {}\n", own.display())).unwrap();
        assert_eq!(remote(&tree).as_deref(), Some("https://host/shop"));
        let own = main.join(".git/modules/sub");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("config"), "[remote \"origin\"]\nurl = https://host/sub\n").unwrap();
        fs::create_dir(&module).unwrap();
        fs::write(module.join(".git"), "gitdir: ../.git/modules/sub\n").unwrap();
        assert_eq!(remote(&module).as_deref(), Some("https://host/sub"));
        fs::write(module.join(".git"), "garbage").unwrap();
        assert_eq!(remote(&module), None);
    }
}
