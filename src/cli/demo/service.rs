//! Which service to be.

use super::{DemoService, Kind, cache, chatty, crasher, leak, slow, stage::Stage, web, worker};

/// Is the service until it ends; its exit code. That nobody reads its output any more ends it, too.
#[must_use]
pub fn run(service: &DemoService) -> u8 {
    let mut stage = Stage::on_stdout(service);
    let ended = match service.kind {
        Kind::Api => web::run(&mut stage, service.port),
        Kind::Worker => worker::run(&mut stage, service.cache),
        Kind::Cache => cache::run(&mut stage, service.port),
        Kind::Slow => slow::run(&mut stage),
        Kind::Leak => leak::run(&mut stage),
        Kind::Crasher => crasher::run(&mut stage, service.runs.as_deref()),
        Kind::Chatty => chatty::run(&mut stage),
        Kind::Ping => cache::ping(service.port),
    };
    match ended {
        Ok(code) => code,
        // Nobody listens: the one who started us is gone.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            let _nobody_listens = stage.say(&format!("fatal: {error}"));
            1
        }
    }
}
