//! Command lines seen through: shells, environments, users and other wrappers stand before the program that counts.
//!
//! Never: runs or expands anything; goes through more than [`MOST`] wrappers.

/// Most wrappers that are seen through.
const MOST: usize = 12;
/// Programs that run the command behind them, with those of their options that take a value of their own.
const WRAPPERS: &[(&str, &[&str], usize)] = &[
    // name, options with a value, words of its own before the command
    ("env", &["-u", "--unset", "-C", "--chdir", "-S"], 0),
    ("exec", &["-a"], 0),
    ("command", &[], 0),
    ("nohup", &[], 0),
    ("setsid", &[], 0),
    ("time", &["-f", "-o"], 0),
    ("nice", &["-n", "--adjustment"], 0),
    ("ionice", &["-c", "-n", "-p"], 0),
    ("stdbuf", &["-i", "-o", "-e"], 0),
    ("unbuffer", &[], 0),
    ("timeout", &["-s", "--signal", "-k", "--kill-after"], 1),
    ("tini", &["-p", "-e"], 0),
    ("dumb-init", &["-r", "--rewrite"], 0),
    ("catatonit", &[], 0),
    ("gosu", &[], 1),
    ("su-exec", &[], 1),
    ("sudo", &["-u", "--user", "-g", "--group", "-h", "-p", "-C", "-D", "-T"], 0),
    ("doas", &["-u", "-C"], 0),
    ("setpriv", &["--reuid", "--regid", "--groups"], 0),
    ("runuser", &["-u", "-g"], 0),
    ("chpst", &["-u", "-U", "-e", "-n"], 0),
    ("cross-env", &[], 0),
    ("dotenv", &["-e", "-f"], 0),
    ("xvfb-run", &["-s", "-n"], 0),
    ("docker-entrypoint.sh", &[], 0),
    ("entrypoint.sh", &[], 0),
    ("docker-php-entrypoint", &[], 0),
    ("with-contenv", &[], 0),
    ("opentelemetry-instrument", &[], 0),
    ("ddtrace-run", &[], 0),
    ("watchexec", &["-e", "-w", "-i"], 0),
];
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "zsh", "ash", "ksh"];
/// Runners of containers.
const ENGINES: [&str; 3] = ["docker", "podman", "nerdctl"];
/// Their options that take no value.
const SWITCHES: [&str; 13] = [
    "--rm",
    "--detach",
    "--interactive",
    "--tty",
    "--init",
    "--privileged",
    "--read-only",
    "--no-healthcheck",
    "--publish-all",
    "--oom-kill-disable",
    "--quiet",
    "--replace",
    "--sig-proxy",
];

/// What a command line comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Inner {
    /// A program and its arguments; not empty.
    Program(Vec<String>),
    /// An image with the command that is run in it, which may be empty.
    Image(String, Vec<String>),
}

/// The last part of a path.
pub(super) fn base(word: &str) -> &str {
    word.rsplit(['/', '\\']).next().unwrap_or(word)
}

/// Sees through a command line; none where nothing is left.
pub(super) fn unwrapped(argv: &[String]) -> Option<Inner> {
    let mut words = argv.to_vec();
    for _ in 0..MOST {
        let assigned = words.iter().take_while(|word| is_assignment(word)).count();
        words.drain(..assigned);
        let program = base(words.first()?).to_owned();
        if SHELLS.contains(&program.as_str()) {
            let Some(line) = shell_line(&words) else { return Some(Inner::Program(words)) };
            words = last_command(line)?;
        } else if ENGINES.contains(&program.as_str()) {
            return Some(container(&words).unwrap_or(Inner::Program(words)));
        } else if let Some((_, with_value, own)) = WRAPPERS.iter().find(|(name, ..)| *name == program) {
            let left = behind_options(&words[1..], with_value);
            if left.len() <= *own {
                return Some(Inner::Program(words));
            }
            words = left[*own..].to_vec();
        } else if words.len() == 1 && program.contains(' ') {
            // A whole line as the only word.
            words = last_command(words.first()?)?;
        } else {
            break;
        }
    }
    Some(Inner::Program(words)).filter(|inner| *inner != Inner::Program(Vec::new()))
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// What follows the options: those in `with_value` are two words unless they are written with `=`.
pub(super) fn behind_options<'w>(words: &'w [String], with_value: &[&str]) -> &'w [String] {
    let mut rest = words;
    while let Some((word, behind)) = rest.split_first() {
        if word == "--" {
            return behind;
        }
        if !word.starts_with('-') || word == "-" {
            break;
        }
        let takes = usize::from(with_value.contains(&word.as_str()));
        rest = &behind[takes.min(behind.len())..];
    }
    rest
}

/// The line behind `-c`, `-lc`, `-euxc`.
fn shell_line(words: &[String]) -> Option<&str> {
    let mut rest = words[1..].iter();
    while let Some(word) = rest.next() {
        let flags = word.strip_prefix('-')?;
        if !flags.starts_with('-') && flags.contains('c') {
            return rest.next().map(String::as_str);
        }
        if flags.ends_with('o') && !flags.starts_with('-') {
            rest.next();
        }
    }
    None
}

/// Of a line of shell the command that stays: the last of those one after the other, the first of a pipe.
fn last_command(line: &str) -> Option<Vec<String>> {
    let commands = commands(line);
    let split: Vec<_> =
        commands.iter().filter_map(|command| shlex::split(command)).filter(|words| !words.is_empty()).collect();
    split.into_iter().next_back()
}

/// Commands of a line, without what they are piped into; quotes hold operators together.
fn commands(line: &str) -> Vec<String> {
    let (mut found, mut now) = (Vec::new(), String::new());
    let (mut quote, mut piped, mut escaped) = (None, false, false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let is_operator = quote.is_none() && !escaped && matches!(c, ';' | '\n' | '&' | '|');
        if is_operator {
            let twice = chars.next_if_eq(&c).is_some();
            // `2>&1` and `&>` are no ends of a command.
            if c == '&' && !twice && (now.ends_with('>') || chars.peek() == Some(&'>')) {
                continue;
            }
            if !piped {
                found.push(std::mem::take(&mut now));
            }
            now.clear();
            piped = c == '|' && !twice;
            continue;
        }
        match (c, quote) {
            ('\'' | '"', None) if !escaped => quote = Some(c),
            (c, Some(open)) if c == open && !escaped => quote = None,
            (_, None | Some(_)) => {}
        }
        escaped = c == '\\' && !escaped && quote != Some('\'');
        now.push(c);
    }
    if !piped {
        found.push(now);
    }
    found
}

/// `docker run … image command`.
fn container(words: &[String]) -> Option<Inner> {
    let at = words.iter().position(|word| word == "run" || word == "create")?;
    let mut rest = &words[at + 1..];
    while let Some((word, behind)) = rest.split_first() {
        let Some(flags) = word.strip_prefix('-') else { break };
        let is_switch = SWITCHES.contains(&word.as_str())
            || word.contains('=')
            || !flags.starts_with('-') && flags.chars().all(|c| matches!(c, 'd' | 'i' | 't' | 'P' | 'q'));
        // `-p8080:80` holds its value itself.
        let is_whole = is_switch || !flags.starts_with('-') && flags.chars().count() > 1;
        rest = if is_whole { behind } else { behind.get(1..)? };
    }
    let (image, command) = rest.split_first()?;
    Some(Inner::Image(image.clone(), command.to_vec()))
}
