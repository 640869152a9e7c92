//! The `cas` binary; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    cas::app::run()
}
