//! The signals that can be asked for.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! signals {
    ($($name:ident = $word:literal, $number:literal, $about:literal;)*) => {
        /// A POSIX signal that a person may send to a service. Numbers are those of Linux on x86-64 and aarch64 (signal(7)).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        pub enum Signal { $(#[doc = $about] $name,)* }

        impl Signal {
            /// Every signal, in the order in which a picker shows them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name without `SIG`.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $(Self::$name => $word,)* } }

            /// The number on Linux (x86-64, aarch64).
            #[must_use]
            pub const fn number(self) -> i32 { match self { $(Self::$name => $number,)* } }

            /// What services usually do on it.
            #[must_use]
            pub const fn about(self) -> &'static str { match self { $(Self::$name => $about,)* } }
        }
    };
}

signals! {
    Term = "TERM", 15, "ask to end";
    Int = "INT", 2, "interrupt, as Ctrl-C";
    Hup = "HUP", 1, "hang up; many servers reload";
    Quit = "QUIT", 3, "end and dump core or stacks";
    Kill = "KILL", 9, "end at once, cannot be caught";
    Usr1 = "USR1", 10, "user signal 1, often reopen logs";
    Usr2 = "USR2", 12, "user signal 2";
    Winch = "WINCH", 28, "window changed; some servers stop gracefully";
    Stop = "STOP", 19, "freeze, cannot be caught";
    Cont = "CONT", 18, "go on after a freeze";
    Abrt = "ABRT", 6, "abort with a core dump";
    Alrm = "ALRM", 14, "alarm";
    Ttin = "TTIN", 21, "terminal read; gunicorn adds a worker";
    Ttou = "TTOU", 22, "terminal write; gunicorn removes a worker";
}

/// Why a signal's name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not a signal: one of TERM, INT, HUP, QUIT, KILL, USR1, USR2, WINCH, STOP, CONT, ABRT, ALRM, TTIN, TTOU, or its number"
)]
pub struct UnknownSignal(pub String);

impl FromStr for Signal {
    type Err = UnknownSignal;
    fn from_str(text: &str) -> Result<Self, UnknownSignal> {
        let upper = text.trim().to_ascii_uppercase();
        let word = upper.strip_prefix("SIG").unwrap_or(&upper);
        Self::ALL
            .iter()
            .copied()
            .find(|signal| signal.name() == word || signal.number().to_string() == word)
            .ok_or_else(|| UnknownSignal(text.to_owned()))
    }
}
impl TryFrom<String> for Signal {
    type Error = UnknownSignal;
    fn try_from(text: String) -> Result<Self, UnknownSignal> {
        text.parse()
    }
}
impl From<Signal> for String {
    fn from(signal: Signal) -> Self {
        signal.name().to_owned()
    }
}
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIG{}", self.name())
    }
}

/// The name of any Linux signal number, also those that cannot be asked for (`SIGSEGV` of an exit).
#[must_use]
pub fn signal_name(number: i32) -> String {
    let known = match number {
        4 => Some("SIGILL"),
        5 => Some("SIGTRAP"),
        7 => Some("SIGBUS"),
        8 => Some("SIGFPE"),
        11 => Some("SIGSEGV"),
        13 => Some("SIGPIPE"),
        24 => Some("SIGXCPU"),
        25 => Some("SIGXFSZ"),
        31 => Some("SIGSYS"),
        _ => None,
    };
    known.map_or_else(
        || {
            Signal::ALL
                .iter()
                .find(|signal| signal.number() == number)
                .map_or_else(|| format!("signal {number}"), ToString::to_string)
        },
        str::to_owned,
    )
}
