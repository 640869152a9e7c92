//! Main processes that a signal has stopped (SIGSTOP, SIGTSTP): alive, and doing nothing until somebody continues them.
//!
//! Never: a word about what stands still for a moment; a signal of our own, as whoever stopped it may be looking at it.

use std::time::Duration;

use crate::model::{metric::Sample, phase::Phase, policy::Origin, time::Timestamp, timeline::What};

use super::{Engine, state::Run, timeline::About};

/// What stands still for so long is told.
const TOLD_AFTER: Duration = Duration::from_secs(10);

/// A main process that does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Still {
    since: Timestamp,
    told: bool,
}

/// What a look changed.
enum News {
    Stopped { pid: u32 },
    Goes { after: Duration },
}

impl Run {
    /// Takes a look in.
    fn look(&mut self, at: Timestamp, is_stopped: bool, is_running: bool) -> Option<News> {
        let Some(still) = &mut self.still else {
            self.still = is_stopped.then_some(Still { since: at, told: false });
            return None;
        };
        if !is_stopped {
            let Still { since, told } = *still;
            self.still = None;
            return told.then(|| News::Goes { after: at.since(since) });
        }
        if still.told || !is_running || at.since(still.since) < TOLD_AFTER {
            return None;
        }
        still.told = true;
        Some(News::Stopped { pid: self.pid? })
    }

    /// The clause for why it is where it is; none where it runs, or has stood still for a moment only.
    pub(super) fn stillness(&self) -> Option<String> {
        let Still { since, told: true } = self.still? else { return None };
        let (pid, since) = (self.pid?, since.wall().format("%H:%M:%S"));
        Some(format!("stopped by a signal (SIGSTOP) since {since} UTC; kill -CONT {pid} continues it"))
    }
}

impl Engine {
    /// Which main processes a look found stopped. Of a run that the look does not know nothing follows.
    pub(super) fn notice_stopped(&mut self, sample: &Sample) {
        let mut news = Vec::new();
        for (id, service) in &mut self.services {
            let is_running = matches!(service.phase, Phase::Running { .. });
            let Some(run) = service.run.as_mut() else { continue };
            let is_stopped = sample.stopped.contains(&run.id);
            // Mostly there is nothing to be looked up.
            if (is_stopped || run.still.is_some())
                && sample.runs.iter().any(|(seen, _)| *seen == run.id)
                && let Some(told) = run.look(sample.at, is_stopped, is_running)
            {
                service.view = None;
                news.push((id.clone(), run.id, told));
            }
        }
        for (id, run, told) in news {
            let (what, why) = match told {
                News::Stopped { pid } => {
                    (What::Suspended { pid }, format!("it does nothing until kill -CONT {pid} continues it"))
                }
                News::Goes { after } => (What::Continued { after }, String::new()),
            };
            self.record(About::Run(&id, run), Origin::System, what, why);
        }
    }
}
