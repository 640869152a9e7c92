//! Names and numbers by which things are known.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{name}\" is not a usable name: 1 to 63 of a-z A-Z 0-9 . _ -, beginning with a letter or digit")]
pub struct InvalidName {
    /// What was given.
    pub name: String,
}

/// 1 to 63 ASCII letters, digits, `.`, `_`, `-`, beginning with a letter or digit: safe in a path, on a screen, in a URL.
fn is_valid_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes a name.
            ///
            /// # Errors
            /// [`InvalidName`] where it could not be part of a path or a screen cell safely.
            pub fn new(name: &str) -> Result<Self, InvalidName> {
                if is_valid_name(name) { Ok(Self(Arc::from(name))) } else { Err(InvalidName { name: name.to_owned() }) }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str { &self.0 }
        }
        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(s: &str) -> Result<Self, InvalidName> { Self::new(s) }
        }
        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(s: String) -> Result<Self, InvalidName> { Self::new(&s) }
        }
        impl From<$name> for String { fn from(n: $name) -> Self { n.0.as_ref().to_owned() } }
        impl Borrow<str> for $name { fn borrow(&self) -> &str { &self.0 } }
        impl fmt::Display for $name { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(&self.0) } }
        impl fmt::Debug for $name { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{:?}", &*self.0) } }
    };
}

name!(
    /// A project, by default the name of its directory.
    ProjectName
);
name!(
    /// A service, unique within its project.
    ServiceName
);

/// A service of a project; written `project/service`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ServiceId {
    /// The project.
    pub project: ProjectName,
    /// The service within it.
    pub service: ServiceName,
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.project, self.service)
    }
}
impl FromStr for ServiceId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (project, service) = text.split_once('/').ok_or_else(|| InvalidName { name: text.to_owned() })?;
        Ok(Self { project: ProjectName::new(project)?, service: ServiceName::new(service)? })
    }
}
impl fmt::Debug for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub u64);
        impl fmt::Display for $name { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) } }
    };
}

number!(
    /// One run of one service, from spawn to exit. Never used twice.
    RunId
);
number!(
    /// One request at the door, from whoever; replies carry it back.
    RequestId
);
number!(
    /// A count that a service raises whenever it leaves a phase; a timer with an older epoch does nothing.
    Epoch
);
