//! A command as typed here, said so that an engine elsewhere understands it. Never changes what is not about this place.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    host::handle::Link,
    model::{command::Command, policy::Request, service::BaseEnvironment},
};

/// A directory as typed means one below that of this console, and a project begins with the environment of whoever opens it; an engine of this process
/// has it.
pub(crate) fn placed(mut request: Request, link: Link) -> Request {
    if let Command::Open { directory, environment, .. } = &mut request.command {
        let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        *directory = resolved(directory, &here, std::env::var_os("HOME").map(PathBuf::from).as_deref());
        if link != Link::Local && environment.is_none() {
            let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
                Some((name.into_string().ok()?, value.into_string().ok()?))
            };
            let own: BTreeMap<String, String> = std::env::vars_os().filter_map(text).collect();
            *environment = Some(BaseEnvironment(Arc::new(own)));
        }
    }
    request
}

/// `~` is the home directory, as in a shell.
fn resolved(typed: &Path, here: &Path, home: Option<&Path>) -> PathBuf {
    let path = match (typed.strip_prefix("~"), home) {
        (Ok(below), Some(home)) => home.join(below),
        (Ok(_) | Err(_), _) => here.join(typed),
    };
    path.canonicalize().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::resolved;

    #[test]
    fn a_directory_is_meant_from_where_it_is_typed() {
        let (here, home) = (Path::new("/no/here"), Path::new("/no/home"));
        for (typed, meant) in
            [("x", "/no/here/x"), ("/no/x", "/no/x"), ("~/x", "/no/home/x"), ("~", "/no/home"), ("~x", "/no/here/~x")]
        {
            assert_eq!(resolved(Path::new(typed), here, Some(home)), Path::new(meant), "{typed}");
        }
        assert_eq!(resolved(Path::new("~/x"), here, None), Path::new("/no/here/~/x"));
    }
}
